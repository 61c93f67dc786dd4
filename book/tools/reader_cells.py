"""The cells of a reader's edition: text between code, figures in the outputs of folded cells."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bs4 import Tag
from launch import Repository
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from plain_markdown import Links, Writer

from escape_ntk.study.reading import KEY, WIDTH

HIDDEN = "remove-input"
"""Tag of cells whose code the book does not show."""
MARK = "\0"
"""Before what is no text but a cell."""
LEFT_OUT = ".figure-files, p:has(code.myst-nb.download)"
"""What leads to files of the site."""
DRAWING = "drawing_sha256"
"""In the metadata of a cell: of the drawing that its picture was made from."""
SVG = "application/papermill.record/image/svg+xml"
"""How an executed page keeps a figure that it handed to the book."""
MOVING = ("moves", "parts")
"""Classes of figures that the book moves."""

BEGIN = """\
from escape_ntk.study import reading

reading.begin("{name}")  # figures below are shown in place"""
FETCH = """\
# What this notebook needs, where it is not installed: the book's package, with its records.
try:
    import escape_ntk
except ModuleNotFoundError:
    !git clone --quiet --depth 1 --branch {branch} {url} {folder}
    %pip install --quiet --editable ./{folder}
    import sys

    sys.path.insert(0, "{folder}/src")  # this kernel started before the package was there
"""
INSTALL = """\
# What this notebook needs: the package of the book that it is from.
try:
    import escape_ntk
except ModuleNotFoundError:
    from pathlib import Path

    if not Path("../pyproject.toml").is_file():
        raise ModuleNotFoundError(
            "expected the package escape-ntk; found none; "
            "remedy: run this notebook in its folder of the repository, or install the package"
        ) from None
    %pip install --quiet --editable ..
    import sys

    sys.path.insert(0, "../src")  # this kernel started before the package was there
"""
ABOUT = (
    "*A page of {book}, as a notebook of its own. The numbers and verdicts in its text were "
    "measured in recorded runs, and the code computes anew: run it from top to bottom, and change "
    "any line.{page}*"
)
PAGE = " The page itself, with what moves and what can be downloaded: {address}"


@dataclass(frozen=True)
class Book:
    """What a notebook tells of the book that it is from."""

    address: str
    repository: Repository | None
    pages: Sequence[str]
    title: str = "Escaping the NTK regime"

    def about(self, page: str) -> str:
        """The line under the title."""
        if not self.address:
            return ABOUT.format(book=f"the executable book “{self.title}”", page="")
        page = PAGE.format(address=f"{self.address}{page}.html")
        return ABOUT.format(book=f"the executable book [{self.title}]({self.address})", page=page)

    def first_cell(self, page: str) -> str:
        """Source of the cell that installs or fetches what is missing."""
        begin = BEGIN.format(name=Path(page).name)
        if self.repository is None:
            return f"{INSTALL}\n{begin}"
        folder = self.repository.url.rsplit("/", 1)[1]
        fetch = FETCH.format(url=self.repository.url, branch=self.repository.branch, folder=folder)
        return f"{fetch}\n{begin}"


class Code:
    """The code cells of a page, taken one by one as the site shows them.

    ``keys``: what a figure of the page is glued as, by its name.
    """

    def __init__(self, cells: Sequence[NotebookNode], keys: Mapping[str, str]):
        self.cells, self.keys = cells, keys
        self.visible = [cell for cell in cells if not is_hidden(cell)]
        self._next = self._seen = 0

    def key(self, name: str) -> str:
        """What the cell that shows the figure ``name`` of the page calls it."""
        return self.keys.get(name, name)

    def of_figure(self, name: str) -> NotebookNode:
        """The hidden cell that shows the figure ``name``: by its key, or else the live one."""
        key = re.escape(self.key(name))
        for call in (rf'\bshow\w*\("{key}"', r"\bshow_live\("):
            for cell in self.cells:
                if is_hidden(cell) and re.search(call, cell.source):
                    return cell
        raise ValueError(f'expected a cell with show("{key}"); remedy: run `make notebooks`')

    def of_listing(self, node: Tag) -> NotebookNode:
        """The next visible cell; its code is the one that ``node`` shows."""
        cell, self._next = self.visible[self._next], self._next + 1
        shown = node.select_one(".cell_input").get_text()
        if "".join(shown.split()) != "".join(cell.source.split()):
            raise ValueError(
                "expected the site to show the code of the page's notebook; "
                f"got {shown[:80]!r}, not {cell.source[:80]!r}; remedy: run `make book`"
            )
        return cell

    def silent_before(self, cell: NotebookNode) -> list[NotebookNode]:
        """Hidden cells that show nothing, before ``cell`` and after those given already."""
        place = next(i for i, own in enumerate(self.cells) if own is cell)
        between = self.cells[self._seen : place]
        self._seen = max(self._seen, place)
        return [own for own in between if is_hidden(own) and not own.outputs]


def is_hidden(cell: NotebookNode) -> bool:
    """Whether the site leaves its code out."""
    return HIDDEN in cell.metadata.get("tags", ())


class Pieces:
    """Blocks that are no text, for :class:`plain_markdown.Writer`."""

    def __init__(self, page: str, article: Tag, code: Code, links: Links):
        self.page, self.code, self.links = page, code, links
        self.left_out = {id(node) for node in article.select(LEFT_OUT)}
        self.cells: list[NotebookNode] = []
        self.drawings: dict[str, str] = {}

    def __call__(self, node: Tag) -> list[str] | None:
        classes = node.get_attribute_list("class")
        if id(node) in self.left_out:
            return []
        if any(name in classes for name in MOVING):
            return [self._moving()]
        if "provenance" in classes and node.get_text().startswith("Live"):
            return ["*Live: drawn from what the cells above computed.*"]
        if node.name == "figure":
            return self._figure(node)
        if "cell" in classes and node.select_one(".cell_input"):
            cell = self.code.of_listing(node)
            return [*self._silent(cell), self._mark(listing(cell))]
        return None

    def _mark(self, cell: NotebookNode) -> str:
        self.cells.append(cell)
        return f"{MARK}{len(self.cells) - 1}"

    def _silent(self, cell: NotebookNode) -> list[str]:
        """What has to run before ``cell`` and is not shown on the page, folded."""
        before = self.code.silent_before(cell)
        return [self._mark(new_code_cell(own.source, metadata=dict(FOLDED))) for own in before]

    def _moving(self) -> str:
        target = self.links(f"{Path(self.page).name}.html")
        where = f"[the book]({target})" if target else "the book"
        return f"*A figure to move stands here in {where}.*"

    def _figure(self, node: Tag) -> list[str]:
        name = str(node["id"])
        cell, key = self.code.of_figure(name), self.code.key(name)
        self.drawings[key] = next(o.data[SVG] for o in cell.outputs if SVG in o.get("data", ()))
        words = str(node.find("img")["alt"])
        caption = node.find("figcaption")
        text = Writer(self.links).blocks(caption.children)
        number = node.select_one(".caption-number").get_text().strip()
        text[0] = text[0].replace(number, f"**{number}.**", 1)
        made = figure(key, number, cell.source, words)
        made.metadata[DRAWING] = hashlib.sha256(self.drawings[key].encode()).hexdigest()
        return [*self._silent(cell), self._mark(made), *text]


FOLDED = {"jupyter": {"source_hidden": True}, "cellView": "form"}
"""Of a cell whose code is not to be read, in JupyterLab and in Colab."""


def listing(cell: NotebookNode) -> NotebookNode:
    """A cell of code that readers see, with what it printed."""
    tags = [t for t in cell.metadata.get("tags", ()) if t != HIDDEN]
    kept = [o for o in cell.outputs if "papermill.record" not in str(o.get("data", {}).keys())]
    return new_code_cell(
        cell.source,
        outputs=kept,
        execution_count=cell.execution_count,
        metadata={"tags": tags} if tags else {},
    )


def figure(key: str, number: str, source: str, words: str) -> NotebookNode:
    """A folded cell that shows a figure; ``words`` say what is there to who cannot see it."""
    return new_code_cell(
        f"# @title {number}\n{source}", metadata={**FOLDED, KEY: key, "alt": words}
    )


def output(cell: NotebookNode, png: str) -> NotebookNode:
    """The output of a cell that shows a figure, from its picture in base64."""
    return new_output(
        "display_data",
        data={"image/png": png, "text/plain": cell.metadata["alt"]},
        metadata={"image/png": {"width": WIDTH}},
    )


def notebook(
    article: Tag, page: str, code: Code, book: Book
) -> tuple[NotebookNode, dict[str, str]]:
    """The edition of ``page`` from its ``article`` on the site and its cells of ``code``.

    Also the drawings of its figures, as SVG by what their cells call them.
    """
    links = Links(page, book.address, book.pages)
    pieces = Pieces(page, article, code, links)
    blocks = Writer(links, taken=pieces).blocks(article.children)
    cells = list(_cells(blocks, pieces.cells))
    title, *rest = cells
    first = new_code_cell(book.first_cell(page))
    head, *body = title.source.split("\n\n", 1)
    about = new_markdown_cell(f"{head}\n\n{book.about(page)}")
    cells = [about, first, *(new_markdown_cell(text) for text in body), *rest]
    name = Path(page).name
    for number, cell in enumerate(cells):
        cell.id = f"{name}-{number:03d}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return new_notebook(cells=cells, metadata=metadata), pieces.drawings


def _cells(blocks: Sequence[str], others: Sequence[NotebookNode]) -> Iterator[NotebookNode]:
    """Text from heading to heading as one cell, broken by code."""
    text: list[str] = []
    for block in [*blocks, ""]:
        if text and (not block or block.startswith((MARK, "#"))):
            yield new_markdown_cell("\n\n".join(text))
            text = []
        if block.startswith(MARK):
            yield others[int(block.removeprefix(MARK))]
        elif block:
            text.append(block)
