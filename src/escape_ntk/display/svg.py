"""A figure as one SVG file that carries its data: what a page of the book shows and offers.

The same figure gives the same file, byte by byte: no date, no random names.
"""

import io
import json
import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from matplotlib import pyplot as plt
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from escape_ntk.display.marks import table
from escape_ntk.display.panels import POINTS, pieces

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

KEEP = "keep"
"""Groups of the file with such a name keep their colours on a dark page."""
DATA = '<metadata id="data">'
"""What opens the table of :func:`escape_ntk.display.marks.table` in the file."""
SVG: "dict[RcKeyType, str]" = {"svg.hashsalt": "escape-ntk", "svg.fonttype": "path"}
PIECES = '<metadata id="pieces">'
"""What opens :func:`escape_ntk.display.panels.pieces`, as JSON, in the file."""
PAD = 0.1
"""Inches of ground around what is drawn."""
NOTHING = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def as_svg(figure: Figure) -> str:
    """``figure`` as the text of an SVG file, its data inside."""
    for ax in figure.axes:
        if ax.images or any(isinstance(c, QuadMesh) for c in ax.collections):
            for i, text in enumerate(ax.texts):
                text.set_gid(f"{KEEP}-{figure.axes.index(ax)}-{i}")  # it stands on a coloured cell
    out, dpi = io.StringIO(), figure.dpi
    figure.set_dpi(POINTS)  # measured as it is drawn
    try:
        with plt.rc_context(SVG):
            figure.draw_without_rendering()
            picture = figure.get_tightbbox().padded(PAD)
            cut = json.dumps(pieces(figure, picture))
            figure.savefig(out, format="svg", bbox_inches=picture, metadata=NOTHING)
    finally:
        figure.set_dpi(dpi)
    carried = f"{DATA}{escape(table(figure))}</metadata>\n {PIECES}{cut}</metadata>"
    return re.sub(r"(<svg\b[^>]*>)", lambda m: f"{m[1]}\n {carried}", out.getvalue(), count=1)
