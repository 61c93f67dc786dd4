"""What a figure shows, as numbers: every mark with its coordinates, one row each.

The numbers are read back from the drawing, so they are what the reader sees; the records behind
them are named in the strip under the figure.
"""

import csv
import io
from collections.abc import Iterator
from numbers import Real
from typing import Any

import numpy as np
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection, QuadMesh
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

COLUMNS = (
    *("panel", "x_axis", "y_axis", "series", "mark", "color"),
    *("x", "x_name", "y", "y_name", "low", "high", "value"),
)
"""``low`` and ``high`` bound a band or an interval; ``value`` is what a cell's colour stands for;
``x_name`` and ``y_name``: what the nearest tick says, on an axis that counts names."""
Row = dict[str, Any]


def table(figure: Figure) -> str:
    """The marks of ``figure`` as comma-separated values with a header."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    panels = [ax for ax in figure.axes if ax.axison and ax.get_label() != "<colorbar>"]
    for panel, ax in enumerate(panels, start=1):
        names = {"panel": panel, "x_axis": ax.get_xlabel(), "y_axis": ax.get_ylabel()}
        if title := ax.get_title():
            names["panel"] = f"{panel}: {title}"
        for row in _marks(ax):
            writer.writerow(names | {key: _text(value) for key, value in row.items()})
    return out.getvalue()


def _marks(ax: Axes) -> Iterator[Row]:
    """The rows of one panel."""
    bars = [c for c in ax.containers if isinstance(c, ErrorbarContainer)]
    named = {id(c.lines[0]): c.get_label() for c in bars if c.lines[0] is not None}
    named |= {id(part): c.get_label() for c in bars for part in c.lines[2]}
    caps = {id(cap) for c in bars for cap in c.lines[1]}
    ticks = {"x": _tick_names(ax.xaxis), "y": _tick_names(ax.yaxis)}
    for artist in [*ax.lines, *ax.collections, *ax.images, *ax.containers]:
        if id(artist) in caps or not _is_visible(artist):
            continue
        label = str(named.get(id(artist), artist.get_label()))
        series = "" if label.startswith("_") else label
        for row in _rows(ax, artist):
            if not np.isfinite([float(v) for v in row.values() if isinstance(v, Real)]).all():
                continue  # a gap in a curve
            names = {f"{k}_name": ticks[k].get(round(row[k]), "") for k in ticks if k in row}
            yield {"series": series} | row | names


def _is_visible(artist) -> bool:
    """Whether an artist is drawn; a container has no visibility of its own."""
    return getattr(artist, "get_visible", lambda: True)()


def _tick_names(axis) -> dict[int, str]:
    """Names by place, on an axis whose ticks are 0, 1, 2, … and say something else."""
    places = list(axis.get_majorticklocs())
    names = [text.get_text() for text in axis.get_majorticklabels()]
    if places != list(range(len(places))) or names == [str(i) for i in range(len(places))]:
        return {}
    return dict(enumerate(names)) if isinstance(axis.get_major_locator(), FixedLocator) else {}


def _rows(ax: Axes, artist) -> Iterator[Row]:
    """The rows of one artist, by its kind."""
    if isinstance(artist, Line2D):
        yield from _line(ax, artist)
    elif isinstance(artist, PathCollection):
        values, color = artist.get_array(), _hex(artist.get_facecolor())
        for i, (x, y) in enumerate(np.ma.getdata(artist.get_offsets())):
            own = {} if values is None else {"value": values[i]}
            yield {"mark": "point", "color": color, "x": x, "y": y} | own
    elif isinstance(artist, QuadMesh):
        yield from _cells(_centres(np.asarray(artist.get_coordinates())), artist.get_array())
    elif isinstance(artist, LineCollection):
        yield from _segments(artist)
    elif isinstance(artist, PolyCollection):
        yield from _band(artist)
    elif isinstance(artist, BarContainer):
        yield from _bars(artist)
    elif artist in ax.images:
        rows, columns = artist.get_array().shape[:2]
        grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)
        yield from _cells(grid, artist.get_array())


def _line(ax: Axes, line: Line2D) -> Iterator[Row]:
    """Points of a curve; of a straight line across the panel, the one coordinate that counts."""
    own = line.get_transform().contains_branch_seperately(ax.transData)
    curve = line.get_linestyle() not in ("None", "", " ")
    kind = {"mark": "line" if curve else "point"}
    kind["color"] = _hex(line.get_color() if curve else line.get_markeredgecolor())
    for x, y in np.column_stack([line.get_xdata(), line.get_ydata()]).astype(float):
        yield kind | ({"x": x} if own[0] else {}) | ({"y": y} if own[1] else {})
        if not all(own):
            return


def _band(polygons: PolyCollection) -> Iterator[Row]:
    """Lower and upper edge at every x."""
    color = _hex(polygons.get_facecolor())
    for path in polygons.get_paths():
        corners = np.asarray(path.vertices)
        for x in np.unique(corners[:, 0]):
            y = corners[corners[:, 0] == x, 1]
            yield {"mark": "band", "color": color, "x": x, "low": y.min(), "high": y.max()}


def _segments(lines: LineCollection) -> Iterator[Row]:
    """Intervals: the coordinate that stays, and the two ends of the one that varies."""
    color = _hex(lines.get_color())
    for (x, y), (x_end, y_end) in (s[[0, -1]] for s in lines.get_segments() if len(s)):
        if x == x_end:
            yield {"mark": "interval in y", "color": color, "x": x, "low": y, "high": y_end}
        else:
            yield {"mark": "interval in x", "color": color, "y": y, "low": x, "high": x_end}


def _bars(container: BarContainer) -> Iterator[Row]:
    """Where a bar stands, from where to where it reaches."""
    upright = container.orientation != "horizontal"
    for bar in container.patches:
        x, y, width, height = bar.get_bbox().bounds
        where = {"x": x + width / 2} if upright else {"y": y + height / 2}
        ends = (y, y + height) if upright else (x, x + width)
        color = _hex(bar.get_facecolor())
        yield {"mark": "bar", "color": color, "low": ends[0], "high": ends[1]} | where


def _cells(grid: np.ndarray, values: np.ndarray | None) -> Iterator[Row]:
    """Cells of a picture that have a value."""
    if values is None:
        return
    values = np.ma.masked_invalid(values).reshape(grid.shape[:2])
    for index in zip(*np.nonzero(~np.ma.getmaskarray(values)), strict=True):
        x, y = grid[index]
        yield {"mark": "cell", "x": x, "y": y, "value": values[index]}


def _centres(corners: np.ndarray) -> np.ndarray:
    return (corners[:-1, :-1] + corners[1:, :-1] + corners[:-1, 1:] + corners[1:, 1:]) / 4


def _hex(color) -> str:
    found = colors.to_rgba_array(color)
    return colors.to_hex(found[0]) if len(found) else ""


def _text(value: object) -> object:
    return format(value, ".7g") if isinstance(value, Real) else value
