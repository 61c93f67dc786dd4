"""A chapter read as a notebook of its own, outside the book: figures are shown where they stand.

A page of the book hands its figures to the book, which sets them.  A reader's notebook
(``readers/`` in the repository) says ``begin("setup")`` first, and then the same calls display
them: drawn from the records where they are at hand, and else as the notebook itself kept them, so
that it can be run in an empty folder.
"""

import base64
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escape_ntk.study.claims import MissingRecordError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEY = "escape_ntk"
"""In the metadata of a cell: the name of the figure that it shows."""
DPI = 160
WIDTH = 720
"""Of a figure on the screen, in CSS pixels."""
_chapters: list[str] = []
"""The chapter that is read, where one is; the last counts."""


@dataclass(frozen=True)
class Picture:
    """A figure in pixels, as a notebook shows and keeps it."""

    png: bytes
    words: str

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
        picture = base64.b64encode(self.png).decode()
        data = {"image/png": picture, "text/plain": self.words}
        return data, {"image/png": {"width": WIDTH}}


def begin(chapter: str) -> None:
    """From here on, figures of this ``chapter`` are displayed by the cell that asks for them."""
    _chapters.append(chapter)


def begun() -> bool:
    """Whether this kernel reads a notebook of its own."""
    return bool(_chapters)


def picture(name: str, figure: "Figure") -> Picture:
    """``figure`` in pixels, and closed."""
    from matplotlib import pyplot as plt  # a second to import: not for the command line

    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI, bbox_inches="tight")
    plt.close(figure)
    return Picture(out.getvalue(), f"<figure {name}>")


def shown(name: str, draw: Callable[[], Any]) -> Any:
    """What ``draw`` makes of the records; where these are missing, what the notebook kept.

    A figure comes in pixels, all else as it is.  Raises :class:`MissingRecordError` where the
    notebook has kept nothing, as in the book.
    """
    try:
        piece = draw()
    except MissingRecordError:
        if (found := kept(name, Path())) is None:
            raise
        return found
    return picture(name, piece) if hasattr(piece, "savefig") else piece


def kept(name: str, folder: Path) -> Picture | None:
    """The figure ``name`` as it stands in a notebook of the chapter in ``folder``."""
    for path in sorted(folder.glob(f"{_chapters[-1]}*.ipynb")):
        for cell in json.loads(path.read_text("utf-8")).get("cells", []):
            if cell.get("metadata", {}).get(KEY) != name:
                continue
            for output in cell.get("outputs", []):
                if png := _png(output.get("data", {})):
                    return Picture(png, f"<figure {name}, as this notebook kept it>")
    return None


def _png(data: Mapping[str, Any]) -> bytes:
    return base64.b64decode("".join(data.get("image/png", "")))
