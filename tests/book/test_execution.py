"""The page *Execution*: pages that ran, packages, and an inventory of records that misses none.

Each check has a twin on made values with something missing, and finds it.
"""

import importlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from docutils import nodes
from docutils.utils import new_document

from escape_ntk.chapters import inventory
from escape_ntk.chapters.setup.runs import Initialization
from escape_ntk.records.store import RecordStore, RecordWarning, default_root
from escape_ntk.study.point import configuration

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def execution():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "book/_ext")
        return importlib.import_module("execution_table")


# ---------------------------------------------------------------- pages

RAN = {"mtime": 1.0, "runtime": 2.5, "succeeded": True}


def test_cells_are_counted(execution, tmp_path):
    cell = "```{code-cell} python\n1\n```\n\n"
    text = f"# A\n\n{cell}~~~{{code-block}}\n```\n~~~\n\n{cell}"
    (tmp_path / "a.md").write_text(text, "utf-8")
    (tmp_path / "b.md").write_text("no cells, only `code-cell`\n", "utf-8")
    assert execution.cells(tmp_path, ["a", "b"]) == {"a": 2}


def test_every_executable_page_of_the_book_has_a_row(execution):
    counts = execution.cells(ROOT, execution.statements.order(ROOT))
    notebooks = {path.stem for path in (ROOT / "book").glob("*.ipynb")}
    assert {name.removeprefix("book/") for name in counts} == notebooks
    for name, count in counts.items():
        cells = json.loads((ROOT / f"{name}.ipynb").read_text("utf-8"))["cells"]
        own = [cell for cell in cells if "colab" not in cell["metadata"].get("tags", [])]
        assert count == sum(cell["cell_type"] == "code" for cell in own), name


def test_pages_that_ran_have_no_problem(execution):
    (run,) = execution.runs({"a": 3}, {"a": RAN})
    assert (run.cells, run.seconds, run.status) == (3, 2.5, "ran")
    assert execution.problems([run]) == []


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({}, "did not run"),
        ({"a": None}, "did not run"),
        ({"a": RAN | {"succeeded": False}}, "failed"),
    ],
)
def test_control_a_page_that_did_not_run_is_found(execution, data, status):
    runs = execution.runs({"a": 3, "b": 1}, {"b": RAN, **data})
    assert execution.problems(runs) == [f"a: 3 cells, {status}"]


@pytest.mark.parametrize(("succeeded", "said"), [(True, []), (False, ["a: 1 cells, failed"])])
def test_a_page_that_failed_is_a_warning_of_the_build(
    execution, tmp_path, monkeypatch, caplog, succeeded, said
):
    """The placeholder becomes the table either way; `make book` makes the warning an error."""
    (tmp_path / "a.md").write_text("```{code-cell} python\n1\n```\n", "utf-8")
    (tmp_path / "_toc.yml").write_text("root: a.md\nparts: []\n", "utf-8")
    data = {"a": {"exec_data": RAN | {"succeeded": succeeded}}}
    monkeypatch.setattr(execution.NbMetadataCollector, "get_doc_data", lambda env: data)
    document = new_document("page")
    document += execution.Placeholder()
    fill = object.__new__(execution.FillTable)
    fill.document = document
    builder = SimpleNamespace(get_relative_uri=lambda start, end: f"{end}.html")
    document.settings.env = SimpleNamespace(
        app=SimpleNamespace(builder=builder),
        docname="page",
        srcdir=tmp_path,
        titles={"a": nodes.title("", "The page A")},
    )
    fill.run()
    (table,) = document.findall(nodes.table)
    cells = [entry.astext() for entry in table.findall(nodes.entry)]
    ran = ["The page A", "1", "1970-01-01 00:00", "2.5", "ran" if succeeded else "failed"]
    assert cells == [*execution.HEADER, *ran, "1 pages", "1", "", "2.5", ""]
    assert [link["refuri"] for link in document.findall(nodes.reference)] == ["a.html"]
    assert [record.getMessage() for record in caplog.records] == said


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
    assert inventory.duration(seconds) == words
