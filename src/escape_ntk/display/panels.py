"""Where a drawing can be cut, so that a narrow screen shows its panels below one another.

Nothing is drawn anew: a piece is a box of the drawing, in points from its upper left corner.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox, BboxBase

POINTS = 72.0
"""An inch."""
HANDLE = 3.2
"""Reach of a legend's sign to the left of its word, in sizes of the letters."""
TICK = 4.0
"""Reach of a tick to the left of its panel."""
BAR = "<colorbar>"
"""What matplotlib calls the panel of a colour bar."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def pieces(figure: Figure, picture: Bbox) -> dict[str, list]:
    """``panels``: rows of boxes to be set side by side; ``legend``: boxes to be set in lines.

    ``picture``: what of the figure is drawn, in inches.  Both are empty where nothing can be cut.
    A panel that shares its scale with one to the left brings a copy of that one's scale.
    """
    nothing: dict[str, list] = {"panels": [], "legend": []}
    columns = _columns(figure)
    if len(columns) < 2 or figure.texts or figure.get_suptitle() or len(figure.legends) > 1:
        return nothing
    height = picture.height * POINTS
    bottom, legend = height, []
    if figure.legends:
        shelf = _box(figure.legends[0].get_window_extent(), figure, picture)
        lowest = max(_box(_extent(ax), figure, picture)[3] for axs in columns for ax in axs)
        if shelf[1] < lowest - 1:
            return nothing
        bottom = (shelf[1] + lowest) / 2
        legend = _entries(figure.legends[0], figure, picture, bottom, height)
    spans = [_span(axs, figure, picture) for axs in columns]
    inner = [(a[1] + b[0]) / 2 for a, b in pairwise(spans)]
    edges = [0.0, *inner, picture.width * POINTS]
    panels = []
    for i, axs in enumerate(columns):
        row = [(edges[i], 0.0, edges[i + 1], bottom)]
        source = next((j for j in reversed(range(i)) if _share(columns[j], axs)), None)
        if source is not None:
            start, frame = _scale(columns[source], figure, picture)
            if any(ax.get_ylabel() for ax in axs):  # its own label stands left of the copy
                _, own = _scale(axs, figure, picture)
                row = [(edges[i], 0.0, own - TICK, bottom), (own, 0.0, edges[i + 1], bottom)]
                row.insert(1, (start, 0.0, frame, bottom))
            else:
                row.insert(0, (edges[source], 0.0, frame, bottom))
        panels.append(row)
    return {"panels": _rounded(panels), "legend": _rounded([legend])[0]}


def _columns(figure: Figure) -> list[list[Axes]]:
    """Panels grouped by what overlaps from left to right; a colour bar stays with its neighbour."""
    axs = [ax for ax in figure.axes if ax.get_visible() and (ax.axison or ax.get_legend())]
    axs.sort(key=lambda ax: _extent(ax).x0)
    columns: list[list[Axes]] = []
    reach = -np.inf
    for ax in axs:
        extent = _extent(ax)
        if columns and (extent.x0 < reach or ax.get_label() == BAR):
            columns[-1].append(ax)
        else:
            columns.append([ax])
        reach = max(reach, extent.x1)
    return columns


def _extent(ax: Axes) -> BboxBase:
    return ax.get_tightbbox() or ax.get_window_extent()


def _box(extent: BboxBase, figure: Figure, picture: Bbox) -> Box:
    """An extent in pixels as a box in points from the upper left corner of the picture."""
    inches = extent.transformed(figure.dpi_scale_trans.inverted())
    left, right = inches.x0 - picture.x0, inches.x1 - picture.x0
    top, bottom = picture.y1 - inches.y1, picture.y1 - inches.y0
    return left * POINTS, top * POINTS, right * POINTS, bottom * POINTS


def _span(axs: Sequence[Axes], figure: Figure, picture: Bbox) -> tuple[float, float]:
    boxes = [_box(_extent(ax), figure, picture) for ax in axs]
    return min(b[0] for b in boxes), max(b[2] for b in boxes)


def _entries(legend: Legend, figure: Figure, picture: Bbox, top: float, bottom: float) -> list[Box]:
    """The columns of a legend, each sign with its word."""
    spans = []
    for text in legend.get_texts():
        left, _, right, _ = _box(text.get_window_extent(), figure, picture)
        spans.append((left - HANDLE * float(text.get_fontsize()), right + 2))
    merged: list[tuple[float, float]] = []
    for left, right in sorted(spans):
        if merged and left < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(right, merged[-1][1]))
        else:
            merged.append((left, right))
    return [(left, top, right, bottom) for left, right in merged]


def _has_scale(ax: Axes) -> bool:
    """Whether numbers or names stand at the panel's vertical scale."""
    return bool(_numbers(ax))


def _numbers(ax: Axes) -> list[Text]:
    """Those at the panel's vertical scale; matplotlib has some beyond its ends, not drawn."""
    low, high = sorted(ax.get_ylim())
    labels = ax.yaxis.get_majorticklabels()
    shown = [text for text in labels if text.get_visible() and text.get_text()]
    return [text for text in shown if low <= text.get_position()[1] <= high]


def _share(left: Sequence[Axes], right: Sequence[Axes]) -> bool:
    """Whether the columns share their vertical scales, and only the left one shows them."""
    right = [ax for ax in right if ax.get_label() != BAR]
    if any(_has_scale(ax) for ax in right):
        return False
    group = left[0].get_shared_y_axes()
    joined = any(group.joined(a, b) for a in left for b in right)
    return joined and all(_has_scale(ax) for ax in left)


def _scale(axs: Sequence[Axes], figure: Figure, picture: Bbox) -> tuple[float, float]:
    """Where the numbers of the vertical scales begin, and where their panels do."""
    frame = min(_box(ax.get_window_extent(), figure, picture)[0] for ax in axs)
    shown = [text.get_window_extent() for ax in axs for text in _numbers(ax)]
    return min([_box(extent, figure, picture)[0] - 1 for extent in shown], default=frame), frame


def _rounded(rows: Sequence[Sequence[Box]]) -> list[list[list[float]]]:
    return [[[round(float(v), 1) for v in box] for box in row] for row in rows]
