"""The reader's edition of each chapter holds text that every notebook shows, and runs alone.

That it says what the site says is tested with the built site, in tests/site/test_readers.py.  Its
visible code is that of the executed notebook beside the page, which nbval runs; here a few run
once more, each in an empty folder, without records.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbclient import NotebookClient

from escape_ntk.study import reading
from escape_ntk.study.claims import MissingRecordError

ROOT = Path(__file__).parents[2]
EDITIONS = sorted((ROOT / "readers").glob("*.ipynb"))
EACH = pytest.mark.parametrize("path", EDITIONS, ids=lambda path: path.stem)
QUICK = ("setup", "directions", "sample-complexity")
"""Those that run here: the quickest that also show figures."""
ROLE = re.compile(r"\{[a-z:-]+\}`")
LEFT_OVER = re.compile(
    r"^\s*(?::{3,}|`{3,}\{|~{3,}\{)"  # a directive
    r"|^\([\w-]+\)=$|^:label:|^\$\$.*\([\w-]+\)$"  # a label
    r"|</?(?!(?:details|summary|sub|sup)>)[a-z]+",  # HTML other than what folds
    re.MULTILINE,
)
LINK = re.compile(r"\]\(([^)\s]*)\)")
REMEDY = "run `make readers`"


@pytest.fixture(scope="module")
def tool(extensions):
    return importlib.import_module("readers_edition")


def markdown(path: Path) -> list[str]:
    """The text of each cell that is no code, blocks of code left out."""
    cells = nbformat.read(path, 4).cells
    text = [cell.source for cell in cells if cell.cell_type == "markdown"]
    return [re.sub(r"^( *> ?)?```.*?^( *> ?)?```$", "", t, flags=re.S | re.M) for t in text]


def left_over(text: str) -> list[str]:
    """What only the book can resolve."""
    text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$", "", text, flags=re.DOTALL)
    return ROLE.findall(text) + LEFT_OVER.findall(re.sub(r"`[^`]+`", "", text))


def figures(path: Path) -> dict[str, nbformat.NotebookNode]:
    """Cells that show figures, by the figure's name."""
    cells = nbformat.read(path, 4).cells
    return {c.metadata[reading.KEY]: c for c in cells if reading.KEY in c.metadata}


def test_each_page_that_runs_has_its_edition(tool):
    names = {Path(page).name for page in tool.offered(ROOT)}
    assert len(names) == 15 and {path.stem for path in EDITIONS} == names, REMEDY


@EACH
def test_nothing_is_left_that_only_the_book_resolves(path):
    assert [found for text in markdown(path) for found in left_over(text)] == []


@pytest.mark.parametrize("name", ["setup", "mlp"])
def test_control_the_notebook_beside_the_page_is_full_of_it(name):
    text = "\n".join(markdown(ROOT / f"book/{name}.ipynb"))
    assert len(left_over(text)) > 20


def undefined(*notebooks: Path) -> list[str]:
    """What their code uses and no cell before defines, or cannot be read."""
    asked = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821"]
    asked += ["--output-format", "json", *notebooks]
    found = subprocess.run(asked, capture_output=True, text=True)
    return [f"{Path(f['filename']).stem}: {f['message']}" for f in json.loads(found.stdout)]


def test_nothing_is_used_that_no_cell_before_has_made():
    assert undefined(*EDITIONS) == []


def test_control_without_its_folded_imports_a_name_is_missing(tmp_path):
    notebook = nbformat.read(ROOT / "readers/idea.ipynb", 4)
    needed = "from escape_ntk.chapters import idea"
    notebook.cells = [cell for cell in notebook.cells if not cell.source.startswith(needed)]
    nbformat.write(notebook, tmp_path / "idea.ipynb")
    assert "idea: Undefined name `show_samples`" in undefined(tmp_path / "idea.ipynb")


@EACH
def test_what_folds_opens_on_something(path):
    empty = re.compile(r"</summary>\s*</details>")
    assert [found for text in markdown(path) for found in empty.findall(text)] == [], REMEDY


@EACH
def test_every_formula_is_closed(path):
    for text in markdown(path):
        for block in re.sub(r"\$\$.*?\$\$", "", text, flags=re.S).split("\n\n"):
            assert len(re.findall(r"(?<!\\)\$", block)) % 2 == 0, block


@EACH
def test_no_formula_in_a_quote_has_several_lines(path):
    """JupyterLab would set the marks of the quote."""
    for text in markdown(path):
        for line in text.splitlines():
            assert not line.startswith(">") or line.count("$$") % 2 == 0, line


@EACH
def test_links_lead_somewhere(path):
    for text in markdown(path):
        for target in LINK.findall(text):
            assert target.startswith("https://") or (path.parent / target).is_file(), target


@EACH
def test_figures_are_pictures_and_those_of_the_page(path):
    shown = figures(path)
    page = (ROOT / f"book/{path.stem}.md").read_text("utf-8")
    assert set(shown) == set(re.findall(r"\{glue:figure\} (.*)\n:name: ", page)), REMEDY
    drawn = [
        hashlib.sha256(text.encode()).hexdigest()
        for cell in nbformat.read(ROOT / f"book/{path.stem}.ipynb", 4).cells
        for output in cell.get("outputs", [])
        for kind, text in output.get("data", {}).items()
        if kind.endswith("image/svg+xml")
    ]
    for cell in shown.values():
        (output,) = cell.outputs
        assert base64.b64decode(output.data["image/png"]).startswith(b"\x89PNG")
        assert len(output.data["text/plain"]) > 40, "words for who cannot see it"
        assert cell.metadata["drawing_sha256"] in drawn, REMEDY
        assert cell.metadata["jupyter"] == {"source_hidden": True}


@EACH
def test_its_code_is_that_of_the_page(path):
    def seen(cells):
        return [
            (c.source, c.outputs)
            for c in cells
            if c.cell_type == "code"
            and "remove-input" not in c.metadata.get("tags", ())
            and "cellView" not in c.metadata  # folded
        ]

    page = seen(nbformat.read(ROOT / f"book/{path.stem}.ipynb", 4).cells)
    first, *own = seen(
        c for c in nbformat.read(path, 4).cells if reading.KEY not in c.get("metadata", {})
    )
    assert own == [cell for cell in page if "colab" not in cell[0]], REMEDY
    assert "import escape_ntk" in first[0] and f'begin("{path.stem}")' in first[0]


@EACH
def test_it_is_small_enough_for_every_viewer(path, tool):
    assert path.stat().st_size < tool.MOST_BYTES


# ---------------------------------------------------------------- in an empty folder


def asked(cell: nbformat.NotebookNode) -> list[str]:
    """The recorded figures that a cell asks for."""
    return re.findall(r'\bshow(?!_live)\w*\("([\w-]+)"\)', cell.source)


@EACH
def test_without_records_a_figure_is_found_under_the_name_that_its_cell_asks_for(path):
    cells = nbformat.read(path, 4).cells
    wanted = [(asked(c), c.metadata[reading.KEY]) for c in cells if reading.KEY in c.metadata]
    assert [pair for pair in wanted if pair[0] and pair[0] != [pair[1]]] == [], REMEDY
    assert any(names for names, _ in wanted) or path.stem == "your-network"


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


@pytest.mark.parametrize("name", QUICK)
def test_it_runs_in_an_empty_folder(name, tmp_path, monkeypatch):
    path = tmp_path / f"{name}.ipynb"
    shutil.copy(ROOT / f"readers/{name}.ipynb", path)
    monkeypatch.setenv("ESCAPE_NTK_RECORDS", str(tmp_path / "no records"))
    stored, again = (nbformat.read(path, 4) for _ in range(2))
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(again, timeout=600, kernel_name="python3", resources=where).execute()
    for old, new in zip(stored.cells, again.cells, strict=True):
        if reading.KEY in old.metadata:
            assert new.outputs[0].data["image/png"] == old.outputs[0].data["image/png"]
        if "nbval-check-output" in old.metadata.get("tags", ()):
            assert printed(new) == printed(old)


def test_control_without_its_pictures_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reading, "_chapters", ["setup"])

    def draw():
        raise MissingRecordError("expected records; got none; remedy: run it")

    with pytest.raises(MissingRecordError):
        reading.shown("fig-remainder", draw)
    shutil.copy(ROOT / "readers/setup.ipynb", tmp_path / "setup (1).ipynb")
    assert reading.shown("fig-remainder", draw).png.startswith(b"\x89PNG")
    with pytest.raises(MissingRecordError):
        reading.shown("fig-unknown", draw)


def test_where_the_records_are_at_hand_a_figure_is_drawn_anew(monkeypatch):
    from escape_ntk.chapters.setup import page

    assert page.show("fig-remainder").text.startswith('<details class="provenance">')
    monkeypatch.setattr(reading, "_chapters", ["setup"])
    data, looks = page.show("fig-remainder")._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert looks["image/png"]["width"] == reading.WIDTH


# ---------------------------------------------------------------- from page to Markdown

LINES = {
    "<p>a <em>b</em> <code>c_d</code> 2*3_4</p>": r"a *b* `c_d` 2\*3\_4",
    r'<p><span class="math">\(a&lt;|b|\)</span></p>': r"$a\lt |b|$",
    '<p><a class="claim-badge partly" href="scorecard.html#x">partly</a></p>': (
        "**[◐ partly](https://b.org/n/book/scorecard.html#x)**"
    ),
    '<div class="passage">It is. <details class="claims"><summary class="claim-badge partly">partly'
    '</summary><ul><li><a href="scorecard.html#x">x</a></li></ul></details> So.</div>': (
        "It is. **[◐ partly](https://b.org/n/book/scorecard.html#x)** So."
    ),
    '<p><a href="#prop">Prop. 1</a></p>': "[Prop. 1](https://b.org/n/book/setup.html#prop)",
    '<p><a href="https://a.org/x">x</a></p>': "[x](https://a.org/x)",
    '<p><a>t</a><span role="tooltip">definition</span></p>': "t",
    r'<div class="math"><span class="eqno">(3)</span>\[x\]</div>': "$$\nx\n\\tag{3}\n$$",
    "<ol><li><p>a</p><ul><li>b</li></ul></li><li><p>c</p></li></ol>": "1. a\n\n   * b\n\n2. c",
    "<table><tr><th>a|b</th></tr><tr><td><p>c</p></td></tr></table>": ("| a\\|b |\n| --- |\n| c |"),
    r'<table><tr><td><span class="math">\(\|a\||b|\)</span></td></tr></table>': (
        r"| $\Vert a\Vert \vert b\vert $ |" "\n| --- |"
    ),
    '<div class="proof"><p>T</p><section><div class="math">\\[x\ny\\]</div></section></div>': (
        "> **T**\n>\n> $$ x y $$"
    ),
    '<div class="solution"><p>S</p><section><p>a</p></section></div>': (
        "<details><summary>S</summary>\n\na\n\n</details>"
    ),
    "<details><summary>S</summary><p>a</p></details>": (
        "<details><summary>S</summary>\n\na\n\n</details>"
    ),
    "<p>a</p><details><summary>All 30 rows</summary></details>": "a",
    r'<div class="term symbols"><div class="math">\[x\]</div><a class="symbols-link" href="n.html">'
    'Symbols</a><span role="tooltip">x: an input</span></div>': "$$\nx\n$$",
}


@pytest.mark.parametrize("html, text", LINES.items())
def test_html_becomes_markdown(tool, html, text):
    plain = importlib.import_module("plain_markdown")
    writer = plain.Writer(plain.Links("book/setup", "https://b.org/n/"))
    assert "\n\n".join(writer.blocks(BeautifulSoup(html, "html.parser").children)) == text


def test_without_an_address_links_lead_to_notebooks_beside(tool):
    links = importlib.import_module("plain_markdown").Links("book/setup", "", {"book/joint"})
    assert links("joint.html#x") == "joint.ipynb"
    assert links("#x") == links("scorecard.html") == links("setup.html") == ""


def test_a_change_makes_an_edition_stale(tool):
    path = ROOT / "readers/setup.ipynb"
    new = nbformat.read(path, 4)
    assert tool.stale(new, nbformat.read(path, 4)) == ""
    for change in ("source", "outputs", "metadata"):
        old = nbformat.read(path, 4)
        cell = next(c for c in old.cells if reading.KEY in c.metadata)
        cell[change] = {"source": "other", "outputs": [], "metadata": {}}[change]
        assert tool.stale(new, old), change


def test_an_address_goes_into_the_first_cells(tool):
    cells, launch = (importlib.import_module(name) for name in ("reader_cells", "launch"))
    setting = launch.Repository("https://github.com/owner/name", "trunk")
    book = cells.Book("https://owner.github.io/name/", setting, ())
    assert "--branch trunk https://github.com/owner/name name" in book.first_cell("book/setup")
    assert "https://owner.github.io/name/book/setup.html" in book.about("book/setup")
    assert "http" not in cells.Book("", None, ()).about("book/setup")


# ---------------------------------------------------------------- the address


@pytest.mark.parametrize(
    "setting, url, address",
    [
        ("", "", ""),
        (None, "https://github.com/Owner/name", "https://owner.github.io/name/"),
        ("", "https://github.com/owner/owner.github.io", "https://owner.github.io/"),
        ("https://book.org/x", "https://github.com/owner/name", "https://book.org/x/"),
    ],
)
def test_one_setting_says_where_the_book_is(tool, setting, url, address):
    launch, place = (importlib.import_module(name) for name in ("launch", "address"))
    assert place.address(setting, launch.repository(url, "main")) == address


@pytest.mark.parametrize("setting", ["book.org", "ftp://a.org/", "https://a.org/?q", 3])
def test_what_is_no_address_is_refused(tool, setting):
    place = importlib.import_module("address")
    with pytest.raises(place.AddressError, match=r"expected .*; got .*; remedy: "):
        place.address(setting, None)


def test_editions_are_written_the_same_way_each_time():
    for path in EDITIONS:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        ids = [cell["id"] for cell in cells]
        assert ids == [f"{path.stem}-{number:03d}" for number in range(len(ids))]
