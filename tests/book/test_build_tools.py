"""What stands beside the build: pages executed side by side, and where its time goes."""

import importlib

import nbformat
import pytest
from jupyter_cache import get_cache


@pytest.fixture(scope="module")
def phases(extensions):
    return importlib.import_module("phases")


@pytest.fixture(scope="module")
def execute(extensions):
    return importlib.import_module("execute")


class Application:
    """One that keeps its listeners, with the metadata of two pages."""

    def __init__(self):
        self.listeners = {}
        runs = {"slow": {"exec_data": {"runtime": 9.0}}, "text": {}}
        self.env = type("Env", (), {"nb_metadata": runs, "docname": "slow"})()

    def connect(self, event, listener, priority=500):
        self.listeners[event] = listener


def test_phases_are_timed_only_when_asked(phases, monkeypatch):
    monkeypatch.delenv("VERBOSE", raising=False)
    quiet = Application()
    phases.setup(quiet)
    assert not quiet.listeners


def test_each_phase_is_told_once_and_the_cells_that_took_longest(phases, monkeypatch):
    monkeypatch.setenv("VERBOSE", "1")
    app, said = Application(), []
    phases.setup(app)
    logger = type("Logger", (), {"info": lambda self, text, *rest: said.append(text % rest)})()
    monkeypatch.setattr(phases.logging, "getLogger", lambda name: logger)
    app.listeners["env-before-read-docs"](app)
    app.listeners["source-read"](app, "slow", [])
    app.listeners["doctree-read"](app, None)
    for event in ("env-updated", "env-updated", "env-check-consistency"):
        app.listeners[event](app)
    app.listeners["build-finished"](app, None)
    assert sum("cells executed" in line for line in said) == 1
    assert said[3].endswith("until pages written")
    assert said[4].endswith("of reading, of 1 pages:") and said[5].endswith("s in slow")
    assert said[-1].split() == "9.0 s in slow".split()


@pytest.fixture
def book(tmp_path):
    """Three pages of one cell: two that print, and one that fails."""
    (tmp_path / "book").mkdir()
    for name, code in (("good", "print(1 + 1)"), ("other", "print(3)"), ("bad", "1 / 0")):
        cells = [nbformat.v4.new_code_cell(code)]
        spec = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        notebook = nbformat.v4.new_notebook(cells=cells, metadata=spec)
        nbformat.write(notebook, tmp_path / "book" / f"{name}.ipynb")
    return tmp_path


def test_missing_pages_are_executed_and_one_that_fails_is_left_to_the_build(execute, book, capsys):
    execute.main(book)
    assert {line.split()[-1] for line in capsys.readouterr().out.splitlines()} == {"good", "other"}
    cache = get_cache(execute.cache_folder(book))
    assert [path.stem for path, _ in execute.missing(cache, book / "book")] == ["bad"]
    notebook = nbformat.read(book / "book/good.ipynb", 4)
    kept = cache.get_cache_bundle(cache.match_cache_notebook(notebook).pk).nb
    assert kept.cells[0].outputs[0].text == "2\n"
