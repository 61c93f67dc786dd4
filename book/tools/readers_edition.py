"""The reader's edition of a page: ``readers/<page>.ipynb``, a notebook that needs no book.

Called by ``make readers``, after ``make book``: text, numbers, verdicts and titles are read from
the pages of the built site; code, its outputs and drawings from the executed notebook beside each
page.  Statements are quotes, references are links to the book (``address``), figures are pictures
in the output of a folded cell, which draws them again where the records are at hand.  Drawings
become pixels in an installed Chromium; the picture of one that has not changed is kept.

Looked at: the notebook beside each page holds directives and roles, which only the book resolves;
jupyterlab-myst shows the directives of others, not these, and only in JupyterLab; sphinx-tojupyter
and nbconvert know neither claims nor records.  Attachments are not shown by Colab, nor
pictures in Markdown by every viewer: an output is.
"""

from __future__ import annotations

import base64
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import address
import jupytext
import launch
import nbformat
import reader_cells
import yaml
from bs4 import BeautifulSoup
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build/html"
PLACE = "readers"
MOST_BYTES = 1_500_000
"""Of one notebook."""
REMEDY = "run `make readers`"


PARTS = ("Start here", "Chapters")
"""Parts of the book whose pages have one, if they run."""


def offered(root: Path) -> list[str]:
    """Pages with an edition, in their order: ``book/idea``, ``book/setup`` and so on."""
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    parts = (part["chapters"] for part in toc["parts"] if part["caption"] in PARTS)
    pages = [page["file"].removesuffix(".md") for part in parts for page in part]
    return [page for page in pages if (root / f"{page}.ipynb").is_file()]


@dataclass(frozen=True)
class Edition:
    """The reader's edition of a page, its pictures still missing, and the drawings for them."""

    notebook: NotebookNode
    drawings: Mapping[str, str]


def edition(page: str, site: Path = SITE, root: Path = ROOT) -> Edition:
    """The edition of ``page`` as the built ``site`` has it."""
    text = (site / f"{page}.html").read_text("utf-8")
    article = BeautifulSoup(text, "html.parser").select_one("article.bd-article")
    code = [c for c in jupytext.read(root / f"{page}.ipynb").cells if c.cell_type == "code"]
    code = [cell for cell in code if not launch.is_setup(cell)]
    book = reader_cells.Book(address.book(root), launch.configured(root), offered(root))
    keys = glued((root / f"{page}.md").read_text("utf-8"))
    return Edition(*reader_cells.notebook(article, page, reader_cells.Code(code, keys), book))


def glued(text: str) -> dict[str, str]:
    """The key of each figure in the source of a page, by the figure's name."""
    found = re.findall(r"^```\{glue:figure\} (\S+)\n:name: (\S+)$", text, re.MULTILINE)
    return {name: key for key, name in found}


def shown(cell: NotebookNode) -> str | None:
    """What a cell calls the figure that it shows, if it shows one."""
    return cell.metadata.get(reader_cells.KEY)


def pictures(notebook: NotebookNode) -> dict[tuple[str, str], list[NotebookNode]]:
    """Outputs of the cells that show figures, by name and drawing."""
    return {
        (shown(cell), cell.metadata[reader_cells.DRAWING]): cell.outputs
        for cell in notebook.cells
        if shown(cell) and cell.outputs
    }


def stale(new: NotebookNode, old: NotebookNode) -> str:
    """In what a stored edition differs from a new one, pictures by their drawings; or nothing."""
    if len(new.cells) != len(old.cells):
        return f"{len(old.cells)} cells where there should be {len(new.cells)}"
    for a, b in zip(new.cells, old.cells, strict=True):
        if (a.source, dict(a.metadata)) != (b.source, dict(b.metadata)):
            return f"cell {a.id}: {b.source[:200]!r} where there should be {a.source[:200]!r}"
        if shown(a) and not b.outputs:
            return f"cell {a.id} has no picture"
        if a.cell_type == "code" and not shown(a) and a.outputs != b.outputs:
            return f"cell {a.id} has other outputs"
    return ""


def pixels(drawings: Sequence[str]) -> list[bytes]:
    """Drawings as pictures of two pixels to a point, of few colours."""
    import browser
    from reader_pictures import shot

    with browser.chromium() as chromium:
        page = chromium.new_page(device_scale_factor=2)
        return [shot(page, drawing) for drawing in drawings]


def illustrate(new: Edition, old: NotebookNode) -> int:
    """Give each figure its picture, from ``old`` where the drawing is the same; count the new."""
    kept, missing = pictures(old), []
    for cell in filter(shown, new.notebook.cells):
        cell.outputs = kept.get((shown(cell), cell.metadata[reader_cells.DRAWING]), [])
        if not cell.outputs:
            missing.append(cell)
    made = pixels([new.drawings[shown(cell)] for cell in missing]) if missing else []
    for cell, png in zip(missing, made, strict=True):
        cell.outputs = [reader_cells.output(cell, base64.b64encode(png).decode())]
    return len(missing)


def main(site: Path = SITE, root: Path = ROOT) -> None:
    """Write the editions that changed; say which."""
    pages = offered(root)
    for page in pages:
        path = root / PLACE / f"{Path(page).name}.ipynb"
        new = edition(page, site, root)
        old = nbformat.read(path, 4) if path.exists() else nbformat.v4.new_notebook()
        if stale(new.notebook, old):
            made = illustrate(new, old)
            path.parent.mkdir(exist_ok=True)
            nbformat.write(new.notebook, path)
            for copy in site.glob(f"_downloads/*/{path.name}"):
                shutil.copy2(path, copy)  # the built site offers it too
            size = path.stat().st_size / 1e3
            print(f"{path.relative_to(root)}: {size:.0f} kB, {made} new pictures")
    names = {Path(page).name for page in pages}
    for path in (root / PLACE).glob("*.ipynb"):
        if path.stem not in names:
            path.unlink()


if __name__ == "__main__":
    sys.exit(main())
