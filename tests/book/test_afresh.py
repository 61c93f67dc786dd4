"""What has changed is built anew, what is wrong is said again, and nothing else is done.

A small book: the page *value* shows what stands in a file of the package, *link* the title of
*value*, and nothing tells Sphinx of either.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, docutils_namespace

from escape_ntk.records.database import ROOT_VARIABLE

pytestmark = pytest.mark.usefixtures("extensions")
PAGES = {
    "book/index.md": "# Home\n\n```{toctree}\nvalue\nlink\nalone\n```\n",
    "book/value.md": "(there)=\n# First\n\n```{value}\n```\n",
    "book/link.md": "# Link\n\nTo {ref}`there`.\n",
    "book/alone.md": "# Alone\n\nNothing.\n",
}
ELSEWHERE = {
    "src/package/value.txt": "old",
    "book/_ext/extension.py": "",
    "book/tools/tool.py": "",
    "book/records/curves.sqlite": "",
    "book/_static/book.css": "",
    "benchmarks/training.json": "",
    "readers/value.ipynb": "",
    "requirements.txt": "",
    "_config.yml": "",
    "_toc.yml": "",
    "CITATION.cff": "",
}
AROUND = {"tests/test_value.py": "", "book/value.ipynb": ""}


@pytest.fixture(scope="module")
def state(extensions):
    return importlib.import_module("state")


@pytest.fixture(scope="module")
def build(extensions):
    return importlib.import_module("build")


@pytest.fixture
def root(tmp_path) -> Path:
    """A small checkout."""
    for name, text in {**PAGES, **ELSEWHERE, **AROUND}.items():
        write(tmp_path, name, text)
    return tmp_path


def write(root: Path, name: str, text: str, *, older: bool = False) -> None:
    """Write a file; ``older``: with a date before that of every build."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    if older:
        os.utime(path, (0, 0))


class Value(SphinxDirective):
    """Shows a file of the package."""

    def run(self) -> list[nodes.Node]:
        """One paragraph."""
        text = (Path(self.env.srcdir) / "src/package/value.txt").read_text("utf-8")
        return [nodes.paragraph("", text)]


class Built:
    """One build of the small book: what it said, and which pages it read."""

    def __init__(self, root: Path, *extensions: str):
        self.root, self.read, said = root, [], StringIO()
        config = {
            "extensions": ["myst_parser", *extensions],
            "root_doc": "book/index",
            "exclude_patterns": ["_build", "tests", "readers"],
        }
        places = (root, None, root / "_build/html", root / "_build/.doctrees", "html", config)
        with docutils_namespace():
            app = Sphinx(*places, status=None, warning=said, warningiserror=True, keep_going=True)
            app.add_directive("value", Value, override=True)
            app.connect("source-read", lambda app, page, text: self.read.append(page))
            app.build()
        self.said, self.failed = re.sub(r"\x1b\[[\d;]*m", "", said.getvalue()), app.statuscode

    def page(self, name: str) -> str:
        """What the site shows."""
        return (self.root / f"_build/html/book/{name}.html").read_text("utf-8")


# ---------------------------------------------------------------- what has changed


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_change_of_the_ground_has_every_page_read_again(state, root, name):
    before = state.state(root)
    write(root, name, "changed", older=True)
    assert state.to_read(before, state.state(root), {"book/value", "book/link"}) == {
        "book/value",
        "book/link",
    }


@pytest.mark.parametrize("name", AROUND)
def test_what_lies_around_is_seen_and_has_no_page_read(state, root, name):
    before = state.state(root)
    write(root, name, "changed")
    assert state.state(root) != before
    assert state.to_read(before, state.state(root), {"book/value"}) == set()


def test_a_page_that_changes_is_read_and_one_that_others_may_include_has_all_read(state, root):
    before, pages = state.state(root), {"book/value", "book/link"}
    write(root, "book/link.md", "changed", older=True)
    assert state.to_read(before, state.state(root), pages) == {"book/link"}
    write(root, "book/included.md", "new")
    assert state.to_read(before, state.state(root), pages) == pages


def test_control_a_touch_and_what_python_writes_change_nothing(state, root):
    before = state.state(root)
    (root / "src/package/value.txt").touch()
    write(root, "src/package/__pycache__/flow.pyc", "compiled")
    write(root, "_build/html/index.html", "built")
    write(root, ".git/index", "hidden")
    assert state.state(root) == before
    assert state.to_read(before, before, {"book/value"}) == set()


def test_a_commit_other_packages_and_other_records_are_seen(state, root, monkeypatch):
    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    before = state.state(root)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "new"], check=True)
    committed = state.state(root)
    assert committed["around"] != before["around"] and committed["ground"] == before["ground"]
    assert state.RECORDS == ROOT_VARIABLE
    monkeypatch.setenv(ROOT_VARIABLE, str(root / "book/records"))
    chosen = state.state(root)
    assert chosen["ground"] != before["ground"]
    monkeypatch.setattr(state.metadata, "distributions", list)
    assert state.state(root)["ground"] != chosen["ground"]


def test_a_printed_book_is_offered_by_the_next_build(state, root):
    before = state.state(root)
    write(root, state.PRINTED, "leaves")
    printed = state.state(root)
    assert printed["around"] != before["around"] and printed["ground"] == before["ground"]
    write(root, "_build/pdf/other.pdf", "leaves")
    assert state.state(root) == printed  # control: nothing links to it


# ---------------------------------------------------------------- what is built


def test_a_change_that_sphinx_cannot_see_is_on_the_page_after_the_next_build(root):
    assert "old" in Built(root, "afresh").page("value")
    write(root, "src/package/value.txt", "new", older=True)
    assert "new" in Built(root, "afresh").page("value")


def test_control_without_the_extension_the_page_is_stale(root):
    Built(root)
    write(root, "src/package/value.txt", "new", older=True)
    assert "old" in Built(root).page("value")


def test_one_page_is_read_again_and_what_others_say_of_it_is_new(root):
    assert set(Built(root, "afresh").read) == {name.removesuffix(".md") for name in PAGES}
    write(root, "book/value.md", PAGES["book/value.md"].replace("First", "Second"), older=True)
    again = Built(root, "afresh")
    assert again.read == ["book/value"]
    assert "Second" in again.page("link") and "First" not in again.page("link")


def test_control_without_the_extension_an_older_page_is_not_read(root):
    Built(root)
    write(root, "book/value.md", PAGES["book/value.md"].replace("First", "Second"), older=True)
    assert Built(root).read == []


def test_a_warning_is_said_by_every_build_until_it_is_mended(root, build, state):
    wrong = f"{PAGES['book/alone.md']}\n{{ref}}`nowhere`\n"
    write(root, "book/alone.md", wrong)
    for _ in range(2):
        built = Built(root, "afresh")
        assert built.failed and "nowhere" in built.said
        assert not build.built(root, state.state(root))
    write(root, "book/alone.md", PAGES["book/alone.md"])
    built = Built(root, "afresh")
    assert not built.failed and not built.said


def test_control_without_the_extension_it_is_said_once(root):
    write(root, "book/alone.md", f"{PAGES['book/alone.md']}\n```{{value}} none\n```\n")
    assert Built(root).failed
    assert not Built(root).failed


def test_a_build_that_breaks_off_does_not_count(root, build, state, monkeypatch):
    Built(root, "afresh")
    write(root, "src/package/value.txt", "new")
    with monkeypatch.context() as patch, pytest.raises(Exception, match="broken"):
        patch.setattr(Value, "run", _broken)
        Built(root, "afresh")
    write(root, "src/package/value.txt", "old")
    assert state.kept(root / build.ENVIRONMENT) is None
    assert set(Built(root, "afresh").read) == {name.removesuffix(".md") for name in PAGES}


def _broken(self):
    raise RuntimeError("broken")


# ---------------------------------------------------------------- make book


def test_nothing_is_done_where_nothing_has_changed(root, build, state, capsys):
    Built(root, "afresh")
    write(root, "_build/html/index.html", "the root, which another extension writes")
    build.main(root)
    assert "nothing has changed" in capsys.readouterr().out
    assert build.built(root, state.state(root))


@pytest.mark.parametrize(
    "change",
    [
        lambda root: write(root, "book/alone.md", "changed"),
        lambda root: write(root, "tests/test_value.py", "changed"),
        lambda root: (root / "_build/html/book/alone.html").unlink(),
        lambda root: (root / "_build/html/index.html").unlink(),
    ],
)
def test_control_after_any_change_something_is(root, build, state, change):
    Built(root, "afresh")
    write(root, "_build/html/index.html", "")
    change(root)
    assert not build.built(root, state.state(root))


def test_only_a_change_of_the_ground_or_a_bad_build_begins_with_nothing(root, build, state):
    before = state.state(root)
    write(root, "book/alone.md", "changed")
    assert "--all" not in build.options(before, state.state(root))
    write(root, "_toc.yml", "changed")
    assert "--all" in build.options(before, state.state(root))
    assert "--all" in build.options(None, before)
