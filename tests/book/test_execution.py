"""The page *Execution*: packages, and an inventory of records that misses none.

Each check has a twin on made values with something missing, and finds it.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from escape_ntk.chapters import inventory
from escape_ntk.chapters.setup.runs import Initialization
from escape_ntk.display import html
from escape_ntk.records.store import RecordStore, RecordWarning, default_root
from escape_ntk.study.point import configuration

ROOT = Path(__file__).parents[2]


# ---------------------------------------------------------------- versions


def test_versions_are_those_asked_for():
    rows = {name: (here, pin) for name, here, pin in inventory.versions(ROOT)}
    assert rows["numpy"][0] == np.__version__
    assert {"torch", "jupyter-book", "pytest"} <= rows.keys()
    assert all(pin != "not pinned" for _, pin in rows.values())


def test_control_what_is_not_there_is_said(tmp_path):
    (tmp_path / "requirements.in").write_text("# numpy-like\nno-such-package-x\nnumpy<9\n", "utf-8")
    (tmp_path / "requirements.txt").write_text("numpy==0.1  # via here\n", "utf-8")
    assert inventory.versions(tmp_path) == [
        ["no-such-package-x", "not installed", "not pinned"],
        ["numpy", np.__version__, "0.1"],
    ]


# ---------------------------------------------------------------- records


@pytest.fixture
def store(tmp_path) -> RecordStore:
    """Two sound records of one experiment."""
    made = RecordStore(tmp_path)
    for seed, seconds in ((1, 30.0), (2, 100.0)):
        save(made, "setup-initialization", configuration(Initialization(seed)), seconds)
    return made


def save(store: RecordStore, folder: str, config: dict, seconds: float = 1.0, **facts):
    where = {"accelerator": None, "cpu": "a chip", "commit": f"{config['seed']}" * 40} | facts
    return store.save(
        folder, config, summary={}, arrays={}, wall_seconds=seconds, environment=where
    )


def test_an_inventory_adds_up(store):
    (row,) = inventory.inventory(store)
    assert row.folder == "setup-initialization" and row.experiments == ("setup",)
    assert row.seconds == 130 and inventory.gaps(store) == []
    folder, by, runs, machine, wall, _, commits = row.cells()
    assert (folder, by, runs, wall) == ("setup-initialization", "setup", 2, "2 min")
    assert machine.startswith("a chip, ")
    assert [text.rstrip("+") for text in commits.split(", ")] == ["1" * 10, "2" * 10]
    text = inventory.table([row]).text
    assert "<td>all</td>" in text and "<td>2 commits</td>" in text
    assert text.count("<td>") == 2 * len(inventory.HEADER)


def test_the_inventory_of_the_book_is_whole():
    store = RecordStore(default_root())
    assert inventory.gaps(store) == []
    stored = sum(len(store.keys(name)) for name in store.experiments())
    assert sum(len(row.records) for row in inventory.inventory(store)) == stored > 2000


def test_control_a_damaged_record_is_a_gap(store):
    path = store.path("setup-initialization")
    with closing(sqlite3.connect(path)) as there, there:
        there.execute("UPDATE records SET summary = '{\"a\": 1}' WHERE config LIKE '%:2%'")
    with pytest.warns(RecordWarning):
        assert inventory.gaps(store) == ["setup-initialization: 1 of 2 records are damaged"]


def test_control_a_folder_that_nothing_writes_is_a_gap(store):
    save(store, "attic", {"seed": 3})
    assert inventory.gaps(store) == ["attic: no experiment of the catalogue writes it"]
    assert inventory.inventory(store)[-1].experiments == ()


def test_control_a_silent_record_is_a_gap(store, monkeypatch):
    monkeypatch.setattr(inventory, "FACTS", (*inventory.FACTS, "weather"))
    assert inventory.gaps(store) == ["setup-initialization: a record does not say its weather"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "below 1 s"),
        (1, "1 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (9000, "2.5 h"),
    ],
)
def test_durations(seconds, words):
    assert html.duration(seconds) == words
