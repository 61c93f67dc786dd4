"""What follows a statement says how much of it is proved, in one of three words: page *Sources*."""

import importlib
import re
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[2] / "book"
WORD = re.compile(r"^\*(Proof|Sketch|Heuristic)\b", re.M)
OTHER = re.compile(
    r"^(\*{1,2})(?:Why|Idea|Reason|Reasons|Argument|Derivation|Demonstration|Proof sketch)[.:]?\1"
    r"(?=[ \n(])|^\*(?:proof|sketch|heuristic|PROOF)\b",
    re.M,
)
END = "∎"

pytestmark = pytest.mark.usefixtures("extensions")


def problems(text: str) -> list[str]:
    """What is wrong with the words of a page.

    After a theorem, proposition, lemma or corollary tagged [D] stands a *Proof* or a *Sketch*,
    before the next statement or heading.  A proof ends with ∎ and nothing else does.  No other
    word stands for one of the three.
    """
    statements = importlib.import_module("statements")
    lines = text.splitlines()
    found = [f"{match[0]} stands for a proof" for match in OTHER.finditer(text)]
    if len(re.findall(r"^\*Proof\b", text, re.M)) != text.count(END):
        found.append("as many ∎ as proofs")
    for statement in statements.read("page", text).statements:
        rest = lines[statement.line :]
        stop = next(
            (
                i
                for i, line in enumerate(rest)
                if statements.DIRECTIVE.match(line) or statements.HEADING.fullmatch(line)
            ),
            len(rest),
        )
        after = "\n".join(rest[:stop])
        words = WORD.findall(after)
        if statement.formal and "D" in statement.tags and not {"Proof", "Sketch"} & set(words):
            found.append(f"{statement.label}: [D] without a proof")
        if ("Proof" in words) != (END in after):
            found.append(f"{statement.label}: a proof ends with ∎, and nothing else")
    return found


@pytest.mark.parametrize("page", sorted(BOOK.glob("*.md")), ids=lambda page: page.stem)
def test_every_page_says_what_it_proves(page):
    text = page.read_text("utf-8")
    assert problems(text if page.stem != "sources" else re.sub(r".*ends with ∎.*", "", text)) == []


def test_the_three_words_are_in_use():
    text = "\n".join(page.read_text("utf-8") for page in BOOK.glob("*.md"))
    assert set(WORD.findall(text)) == {"Proof", "Sketch", "Heuristic"}


# --- negative controls: each condition broken on a small page ----------------------------------

LEMMA = ":::{{prf:lemma}} One\n:label: one\nSo it is. **[{tag}]**\n:::\n\n{after}\n"


@pytest.mark.parametrize(
    "after", ["*Proof.* So. ∎", "*Sketch.* So.", "*Proof.* A. ∎\n\n*Heuristic.* B."]
)
def test_sound_pages_pass(after):
    assert problems(LEMMA.format(tag="D", after=after)) == []


def test_what_is_proved_elsewhere_needs_no_word():
    assert problems(LEMMA.format(tag="L", after="")) == []


@pytest.mark.parametrize("after", ["So.", "*Heuristic.* So.", "## Next\n\n*Sketch.* So."])
def test_control_a_derived_statement_without_proof_is_found(after):
    assert problems(LEMMA.format(tag="D", after=after)) == ["one: [D] without a proof"]


@pytest.mark.parametrize(
    "word", ["*Why.*", "**Why.**", "*Why* (a heuristic).", "*Idea.*", "*proof.*"]
)
def test_control_another_word_is_found(word):
    (problem,) = problems(LEMMA.format(tag="L", after=f"{word} So."))
    assert problem.endswith("stands for a proof")


@pytest.mark.parametrize("after", ["*Proof.* So.", "*Sketch.* So. ∎"])
def test_control_a_proof_without_end_and_an_end_without_proof_are_found(after):
    assert "one: a proof ends with ∎, and nothing else" in problems(
        LEMMA.format(tag="D", after=after)
    )


@pytest.mark.parametrize("page", ["landscape", "setup"])
def test_control_in_the_book(page):
    """One heading of a proof changed in a chapter, and it does not pass."""
    text = (BOOK / f"{page}.md").read_text("utf-8")
    assert problems(text.replace("*Proof.*", "*Why.*", 1)) != []
