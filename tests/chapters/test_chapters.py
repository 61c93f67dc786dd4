"""Chapters are folders, and nothing lists them: a planted one is found; numbers are the pages'."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from escape_ntk import chapters

TOC = (Path(__file__).parents[2] / "_toc.yml").read_text("utf-8")


def pages(toc: str) -> list[str]:
    """The names of the chapters' pages, in the order of the contents."""
    part = toc.partition("caption: Chapters")[2].partition("caption:")[0]
    return re.findall(r"file: book/([\w-]+)\.md", part)


def misnumbered(toc: str) -> list[str]:
    """The chapters whose number is not the place of their page."""
    places = dict(enumerate(pages(toc), 1))
    return [c.name for c in chapters.load("runs") if places.get(c.number) != c.name]


def test_chapters_are_numbered_as_their_pages_stand():
    assert len(pages(TOC)) == len(chapters.load("runs")) > 10
    assert misnumbered(TOC) == []


def test_control_pages_that_changed_places_are_seen():
    one, two = "book/mlp.md", "book/cnn.md"
    swapped = TOC.replace(one, "here").replace(two, one).replace("here", two)
    assert misnumbered(swapped) == ["mlp", "cnn"]


# ---------------------------------------------------------------- a chapter that is planted

FILES = {
    "__init__": """
from escape_ntk.study.chapter import Chapter

chapter = Chapter(__name__, 99)
""",
    "runs": """
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from escape_ntk.chapters.planted import chapter
from escape_ntk.study.point import Draws, Point


@dataclass(frozen=True)
class Double(Point):
    experiment: ClassVar[str] = "planted-doubles"
    draws: ClassVar[Draws] = Draws("sphere")
    seed: int
    d: int = 4

    def compute(self, run=None):
        return {"right": 2 * self.seed, "broken": 2 * self.seed + 1}, {"x": np.arange(3)}


def points(seeds):
    return [Double(seed) for seed in seeds]


chapter.experiment("planted", "Doubles of seeds", (1, 2), points, points)
""",
    "claims": """
from escape_ntk.chapters.planted import chapter, runs
from escape_ntk.study.claims import at_most


@chapter.claim(
    "planted-even",
    "A double is even.",
    source="D",
    target="0",
    tolerance="none",
    broken="one more",
    judge=at_most(0),
)
def odd(read, broken):
    return [r.summary["broken" if broken else "right"] % 2 for r in read(runs.points((1, 2)))]
""",
    "theorems": """
from escape_ntk.chapters.planted import chapter
from escape_ntk.study.recurring_hypotheses import ON_SPHERE
from escape_ntk.study.theorems import Entry

chapter.assume(Entry("prop-planted", (ON_SPHERE,), claims=("planted-even",)))
""",
    "page": """
from matplotlib.figure import Figure

from escape_ntk.chapters.planted import chapter, runs


@chapter.figure("fig-planted")
def doubles(read):
    figure = Figure()
    rows = read(runs.points((1, 2)))
    figure.subplots().plot([r.summary["right"] for r in rows])
    return figure
""",
}
LOOK = """
import json
import sys

from escape_ntk import __main__, chapters
from escape_ntk.records.store import RecordStore, default_root

if sys.argv[1:]:
    chapters.__path__.append(sys.argv[1])
from escape_ntk.chapters import inventory
from escape_ntk.study import theorems

__main__.main(["run", "planted"])
__main__.main(["list"])
store = RecordStore(default_root())
claim, entry = chapters.claims()[-1], chapters.theorems()["prop-planted"]
(page,) = [c for c in chapters.load("page") if c.name == "planted"]
print(json.dumps({
    "row": claim.evaluate(store),
    "inventory": [row.cells()[:3] for row in inventory.inventory(store)],
    "gaps": inventory.gaps(store),
    "hypotheses": [str(a.outcome) for _, a in theorems.answers(entry, [claim], store)],
    "strip": page.show("fig-planted").text,
}))
"""


@pytest.fixture
def looked(tmp_path):
    """Runs :data:`LOOK` in a fresh process, with the planted chapter or without it."""
    folder = tmp_path / "more" / "planted"
    folder.mkdir(parents=True)
    for name, text in FILES.items():
        (folder / f"{name}.py").write_text(text, "utf-8")

    def look(*found: Path) -> subprocess.CompletedProcess:
        env = os.environ | {"ESCAPE_NTK_RECORDS": str(tmp_path / "records")}
        command = [sys.executable, "-c", LOOK, *map(str, found)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=env)

    return look, folder.parent


def test_a_planted_chapter_is_found_by_all_that_goes_through_chapters(looked):
    look, folder = looked
    done = look(folder)
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    listed = [line.split()[:3] for line in lines if "recorded   Doubles" in line]
    assert listed == [["planted", "live", "2/2"], ["planted", "full", "2/2"]]
    found = json.loads(last)
    assert found["row"]["id"] == "planted-even" and found["row"]["chapter"] == "planted"
    assert found["row"]["verdict"] == "reproduced" and found["row"]["negative_control"]["failed"]
    assert found["inventory"] == [["planted-doubles", "planted", 2]] and found["gaps"] == []
    assert found["hypotheses"] == ["met"]
    assert "<code>escape-ntk run planted</code>" in found["strip"] and "seeds 1–2" in found["strip"]


def test_control_without_the_folder_nothing_is_found(looked):
    look, _ = looked
    done = look()
    assert done.returncode != 0 and "'planted'" in done.stderr and "Doubles" not in done.stdout
