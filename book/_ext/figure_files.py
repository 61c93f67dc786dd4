"""Sphinx extension: each figure in looks for every screen, with its files to download.

A figure of the package reaches its page as one SVG with its data inside (figures/picture.py).
Here it becomes four pictures, light and dark, wide and for phones, of which one is shown.  Under it
stands one quiet line: where it comes from, and a menu with its files, the drawing, the numbers in
it, and the page as a notebook.  Both open without scripts.  Chapters say nothing about it.

Looked at: the classes ``only-light`` and ``only-dark`` of the theme are used, and choose between
pictures that somebody has made; sphinx-image-inverter turns colours over, those of cells that stand
for values too; glue of myst-nb shows what a cell displays and keeps no file.  None cuts panels.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import editions
from docutils import nodes
from looks import in_one_column, in_the_dark, split
from sphinx import addnodes

from escape_ntk.display.svg import DATA

PIXELS = 1.4
"""Of a phone, to a point of a drawing in one column."""


def _drawing(figure: nodes.figure, env) -> tuple[nodes.image, str] | None:
    """The picture of a figure that carries its data, and its text."""
    for image in figure.findall(nodes.image):
        if image["uri"].endswith(".svg"):
            path = Path(env.relfn2path(image["uri"], env.docname)[1])
            text = path.read_text("utf-8") if path.is_file() else ""
            if DATA in text:
                return image, text
    return None


def take_strip(figure: nodes.figure) -> list[nodes.Node]:
    """What says where the figure comes from, taken out of the cell just before it."""
    siblings = figure.parent.children
    at = siblings.index(figure)
    if at and 'class="provenance"' in siblings[at - 1].astext():
        cell = siblings[at - 1]
        figure.parent.remove(cell)
        return [*cell.findall(nodes.raw)]
    return []


def _equip(app, doctree: nodes.document) -> None:
    env = app.env
    for figure in list(doctree.findall(nodes.figure)):
        if (found := _drawing(figure, env)) is None:
            continue
        image, text = found
        drawing, data, pieces = split(text)
        name = (figure["names"] or figure["ids"] or ["figure"])[0]
        folder = Path(app.outdir).parent / "figures" / env.docname
        looks = {"wide": drawing, "narrow": in_one_column(drawing, pieces)}
        shown = nodes.container(classes=["drawing"])
        for shape, look in looks.items():
            if look is None:
                shown["classes"].append("uncut")
                continue
            for theme, content in {"light": look, "dark": in_the_dark(look)}.items():
                variant = image.deepcopy()
                path = folder / f"{name}-{shape}-{theme}.svg"
                variant["uri"] = _written(app, path, content)
                variant["classes"] = [*image["classes"], shape, f"only-{theme}"]
                if shape == "narrow":  # its letters as large as those of the text
                    points = float(re.search(r'viewBox="0 0 ([\d.]+)', look)[1])
                    variant["width"] = f"{points * PIXELS:.0f}px"
                    variant["classes"].append("no-scaled-link")
                variant["loading"] = "lazy"  # what is not shown is not fetched
                shown += variant
        kept = [c for c in figure.children if isinstance(c, nodes.caption | nodes.legend)]
        figure.children = []
        figure += [shown, *kept]
        files = {
            "drawing (SVG)": _written(app, folder / f"{name}.svg", text),
            "data (CSV)": _written(app, folder / f"{name}.csv", data),
            "this page (notebook)": editions.offered(env),
        }
        line = nodes.container("", *take_strip(figure), *_menu(files), classes=["origin"])
        figure.parent.insert(figure.parent.index(figure) + 1, line)


def _written(app, path: Path, content: str) -> str:
    """Write a file; return its path as Sphinx takes it, from the root of the sources."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
    return "/" + Path(os.path.relpath(path, app.srcdir)).as_posix()


def _menu(files: dict[str, str]) -> list[nodes.Node]:
    links = [addnodes.download_reference("", words, reftarget=to) for words, to in files.items()]
    lines = (nodes.list_item("", nodes.paragraph("", "", link)) for link in links)
    opens = '<details class="figure-files"><summary>Files</summary>'
    return [
        nodes.raw("", opens, format="html"),
        nodes.bullet_list("", *lines),
        nodes.raw("", "</details>", format="html"),
    ]


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    # Before Sphinx collects pictures and downloads.
    app.connect("doctree-read", _equip, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
