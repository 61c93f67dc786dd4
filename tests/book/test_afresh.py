"""What has changed is built anew, what is wrong is said again, and nothing else is done.

A small book: the page *value* shows what stands in a file of the package, *link* the title of
*value* and the number of an equation on it, *quote* the whole of *value*, and nothing but *quote*
tells Sphinx.
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
EQUATIONS = "\n```{math}\n:label: one\nx\n```\n\n```{math}\n:label: two\ny\n```\n"
PAGES = {
    "book/index.md": "# Home\n\n```{toctree}\nvalue\nlink\nquote\nalone\n```\n",
    "book/value.md": f"(there)=\n# First\n\n```{{value}}\n```\n{EQUATIONS}",
    "book/link.md": "# Link\n\nTo {ref}`there` and {eq}`two`.\n",
    "book/quote.md": "# Quote\n\n```{quote}\n```\n",
    "book/alone.md": "# Alone\n\nNothing.\n\n```{index} entry\n```\n",
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


class Quote(SphinxDirective):
    """Shows the source of another page, and says so."""

    def run(self) -> list[nodes.Node]:
        """One paragraph."""
        self.env.note_dependency("book/value.md")
        text = (Path(self.env.srcdir) / "book/value.md").read_text("utf-8")
        return [nodes.paragraph("", text)]


class Built:
    """One build of the small book: what it said, which pages it read, which it wrote."""

    def __init__(self, root: Path, *extensions: str, into: str = "_build"):
        self.site, self.read, self.wrote, said = root / into / "html", [], set(), StringIO()
        config = {
            "extensions": ["myst_parser", *extensions],
            "root_doc": "book/index",
            "exclude_patterns": ["_build", "tests", "readers"],
            "numfig": True,
        }
        places = (root, None, self.site, root / into / ".doctrees", "html", config)
        with docutils_namespace():
            app = Sphinx(*places, status=None, warning=said, warningiserror=True, keep_going=True)
            app.add_directive("value", Value, override=True)
            app.add_directive("quote", Quote, override=True)
            app.connect("source-read", lambda app, page, text: self.read.append(page))
            app.connect("html-page-context", self._note)
            app.build()
        self.said, self.failed = re.sub(r"\x1b\[[\d;]*m", "", said.getvalue()), app.statuscode

    def _note(self, app, page, template, context, doctree) -> None:
        self.wrote |= {page.removeprefix("book/")} if doctree is not None else set()

    def page(self, name: str) -> str:
        """What the site shows."""
        return (self.site / f"book/{name}.html").read_text("utf-8")

    def files(self) -> dict[str, bytes]:
        """All that the site consists of."""
        found = (path for path in self.site.rglob("*") if path.is_file())
        return {path.relative_to(self.site).as_posix(): path.read_bytes() for path in found}


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


def test_what_another_edition_of_the_tools_kept_does_not_count(state, tmp_path):
    kept = {"sources": state.state(tmp_path), "across": "0"}
    state.keep(tmp_path, kept)
    assert state.kept(tmp_path) == kept
    for other in (kept["sources"], {**kept, "more": 1}, [], "kept"):
        state.keep(tmp_path, other)
        assert state.kept(tmp_path) is None


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
    assert again.read == ["book/quote", "book/value"]
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


# ---------------------------------------------------------------- what is written

ALWAYS = {"index"}
"""Sphinx writes the home page at every build."""
CHANGES = {  # of the page *value*: what in it, and into what
    "words": ("```{value}", "Words.\n\n```{value}", False),
    "title": ("# First", "# Second", True),
    "numbers": ("```{math}\n:label: one\nx\n```\n", "", True),
    "section": ("# First", "# First\n\n## New", True),
    "label": ("(there)=", "(there)=\n(here)=", True),
}
"""The last: whether other pages may say something of it."""


def change(root: Path, name: str) -> None:
    """Change the page *value*."""
    before, after, _ = CHANGES[name]
    assert before in PAGES["book/value.md"]
    write(root, "book/value.md", PAGES["book/value.md"].replace(before, after), older=True)


@pytest.mark.parametrize("name", CHANGES)
def test_after_a_change_the_site_is_the_one_that_is_built_from_nothing(root, name):
    """Byte for byte, the index of the search included; only what may have changed is written."""
    Built(root, "afresh")
    change(root, name)
    again = Built(root, "afresh")
    own = {"value", "quote"} | ALWAYS
    assert again.wrote == ({page.split("/")[1][:-3] for page in PAGES} if CHANGES[name][2] else own)
    assert again.files() == Built(root, "afresh", into="_build/new").files()


@pytest.mark.parametrize("name", ["title", "numbers"])
def test_control_where_pages_are_taken_to_say_nothing_of_one_another_one_is_stale(
    root, extensions, monkeypatch, name
):
    monkeypatch.setattr(importlib.import_module("across"), "digest", lambda env: "")
    Built(root, "afresh")
    change(root, name)
    again = Built(root, "afresh")
    assert "link" not in again.wrote
    assert again.page("link") != Built(root, "afresh", into="_build/new").page("link")


def test_control_a_page_that_does_not_say_what_it_rests_on_is_stale(root, monkeypatch):
    monkeypatch.setattr(Quote, "run", lambda self: [nodes.paragraph("", self.env.doc2path("x"))])
    Built(root, "afresh")
    change(root, "words")
    assert Built(root, "afresh").wrote == {"value"} | ALWAYS


def test_what_lies_around_has_all_pages_written_and_listings_of_sources_made_anew(root):
    listing = root / "_build/html/_modules/package.html"
    Built(root, "afresh")
    write(root, "_build/html/_modules/package.html", "")
    change(root, "words")
    assert "link" not in Built(root, "afresh").wrote and listing.exists()
    write(root, "tests/test_value.py", "changed")
    assert "link" in Built(root, "afresh").wrote and not listing.exists()


def test_a_page_that_was_removed_is_written_again(root):
    (Built(root, "afresh").site / "book/alone.html").unlink()
    assert Built(root, "afresh").wrote == {"alone"} | ALWAYS


def test_without_the_extension_the_index_loses_the_entries_of_pages_that_are_not_written(root):
    """A control for the comparison of sites: Sphinx alone does not pass it."""
    for _ in range(2):
        built = Built(root)
        write(root, "book/value.md", f"{PAGES['book/value.md']}\nmore")
        os.utime(root / "book/value.md", (2**31, 2**31))
    index = (built.site / "searchindex.js").read_text("utf-8")
    assert '"entry"' not in index
    assert '"entry"' in (Built(root, into="_build/new").site / "searchindex.js").read_text("utf-8")


def test_the_search_keeps_the_statements_of_pages_that_are_not_written(root):
    extensions = ("sphinx_proof", "afresh", "early_assets", "find")
    theorem = "# Alone\n\n```{prf:theorem} T\n:label: t\nNothing.\n```\n"
    write(root, "book/alone.md", theorem)
    first = Built(root, *extensions)
    change(root, "words")
    again = Built(root, *extensions)
    assert "alone" not in again.wrote
    for index in (built.files()["searchindex.js"].decode() for built in (first, again)):
        assert '"Theorem 1": [[0, "t"]]' in index
    assert again.files() == Built(root, *extensions, into="_build/new").files()


@pytest.fixture(scope="module")
def plain(extensions):
    return importlib.import_module("across").plain


def test_what_is_the_same_reads_the_same_in_every_order(plain):
    class Thing:
        def __init__(self, **facts):
            vars(self).update(facts)

    one = Thing(a={1: {"x", "y"}, 2: nodes.title("", "A long title of many words")}, b=[1, 2])
    two = Thing(b=[1, 2], a={2: nodes.title("", "A long title of many words"), 1: {"y", "x"}})
    assert plain(one) == plain(two)
    two.b.reverse()
    assert plain(one) != plain(two)  # the order of a list counts


def test_control_what_differs_anywhere_reads_otherwise(plain):
    long = "A title that is longer than what a text shows of itself"
    for one, two in (
        (nodes.Text(f"{long}, one"), nodes.Text(f"{long}, two")),
        (nodes.title("", long, ids=["a"]), nodes.title("", long, ids=["b"])),
        ({"a": 1}, {"a": 2}),
        ({"a"}, ["a"]),
        ("1", 1),
        (object(), object()),
    ):
        assert plain(one) != plain(two)
    circle = {}
    circle["own"] = circle
    assert plain(circle) == plain({"own": circle}["own"])


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
