"""Beside the proofs of each chapter stand notes for the steps where a reader stops: short ones."""

import re
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[2] / "book"
NOTE = re.compile(r"^```\{margin\} (?P<title>.+)\n(?P<text>(?:.+\n)+)```\n\n(?=\S)", re.M)
PROOF = re.compile(r"^\*(?:Proof|Sketch|Heuristic)[.*]", re.M)
FEWEST, MOST = 2, 5
MOST_WORDS = 45


def problems(text: str) -> list[str]:
    """What is wrong with the notes of a chapter."""
    notes = list(NOTE.finditer(text))
    found = []
    if len(notes) != text.count("{margin}"):
        found.append("a note without a title, or with nothing after it")
    if "*Proof.*" in text and len(notes) < FEWEST:
        found.append(f"{len(notes)} notes")
    if len(notes) > MOST:
        found.append(f"{len(notes)} notes")
    found += [f"long: {n['title']}" for n in notes if len(n["text"].split()) > MOST_WORDS]
    return found


CHAPTERS = [path for path in sorted(BOOK.glob("*.md")) if PROOF.search(path.read_text("utf-8"))]


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)
def test_notes_are_sound(page):
    assert problems(page.read_text("utf-8")) == []


def test_chapters_with_proofs_have_notes():
    proving = [path for path in CHAPTERS if "*Proof.*" in path.read_text("utf-8")]
    assert len(proving) >= 7
    assert all("```{margin}" in path.read_text("utf-8") for path in proving)


NOTED = "```{margin} Title\nA few words.\n```\n\n*Proof.* So. ∎\n"


def test_control_a_proof_without_notes_is_found():
    assert problems("*Proof.* So. ∎\n") == ["0 notes"]
    assert problems(NOTED) == ["1 notes"]
    assert problems(NOTED * FEWEST) == []
    assert problems(NOTED * (MOST + 1)) == [f"{MOST + 1} notes"]


def test_control_a_long_note_and_one_without_a_title_are_found():
    long = NOTED.replace("A few words.", "word " * (MOST_WORDS + 1))
    assert problems(long + NOTED) == ["long: Title"]
    assert problems(NOTED * 2 + "```{margin}\nwords\n```\n") == [
        "a note without a title, or with nothing after it"
    ]
