"""A figure as a file: the numbers in it, and the two looks of it."""

import csv
import importlib.util
import io
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt

from escape_ntk.display.marks import table
from escape_ntk.display.panels import POINTS, pieces
from escape_ntk.display.style import COLOURS, in_style, new_axes
from escape_ntk.display.svg import DATA, KEEP, as_svg

matplotlib.use("Agg")
BOOK = Path(__file__).parents[2] / "book"


def module(place: str):
    """A Sphinx extension of the book, or a tool, as a module."""
    spec = importlib.util.spec_from_file_location(place.split("/")[1], BOOK / f"{place}.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


files = module("tools/looks")


@in_style
def every_kind():
    """One mark of each kind."""
    figure, (left, right) = new_axes(2, 3.0)
    left.plot([1, 2, 4], [0.5, np.nan, 0.25], color=COLOURS["linear"], label="a & b")
    left.fill_between([1, 2], [0, 1], [2, 5], color=COLOURS["leak"])
    left.errorbar([3], [7], [[1], [2]], color=COLOURS["test"], label="mean", capsize=3)
    left.axhline(9)
    left.scatter([5], [6], color="#009E73")
    left.set(xlabel="width", ylabel="error", title="first")
    right.imshow([[1.0, np.nan], [3.0, 4.0]], cmap="cividis")
    right.text(0, 0, "1")
    right.bar([1], [2.5])
    right.set_xticks([0, 1], ["ten", "twenty"])
    return figure


@pytest.fixture
def figure():
    drawn = every_kind()
    yield drawn
    plt.close(drawn)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_table_has_every_mark(figure):
    found = rows(table(figure))

    def pick(mark: str, *keys: str) -> list[tuple[str, ...]]:
        return [tuple(r[k] for k in keys) for r in found if r["mark"] == mark]

    assert ("1", "0.5", "a & b") in pick("line", "x", "y", "series")
    assert not [r for r in found if "nan" in r.values()]  # a gap is no point
    assert ("", "9", "") in pick("line", "x", "y", "series")
    assert pick("band", "x", "low", "high") == [("1", "0", "2"), ("2", "1", "5")]
    assert ("3", "6", "9", "mean") in pick("interval in y", "x", "low", "high", "series")
    assert ("5", "6", "#009e73") in pick("point", "x", "y", "color")
    cells = {("0", "ten", "0", "1"), ("0", "ten", "1", "3"), ("1", "twenty", "1", "4")}
    assert set(pick("cell", "x", "x_name", "y", "value")) == cells
    assert pick("bar", "x", "low", "high") == [("1", "0", "2.5")]
    assert {(r["panel"], r["x_axis"], r["y_axis"]) for r in found} == {
        ("1: first", "width", "error"),
        ("2", "", ""),
    }


def test_file_carries_the_table_and_nothing_that_changes(figure):
    text = as_svg(figure)
    drawing, data, _ = files.split(text)
    assert data == table(figure) and DATA not in drawing
    again = every_kind()
    assert again._repr_svg_() == text
    plt.close(again)


def test_dark_colors_are_seen_and_keep_their_hue():
    for color in [*COLOURS.values(), "#471365", "#08306b"]:
        seen = files.dark(color.lower())
        assert files.contrast(seen, files.GROUND) >= files.LEAST_CONTRAST, color
    for grey in ("#8c8c8c", "#555555"):  # of guides, which stay behind
        assert files.contrast(files.dark(grey), files.GROUND) >= 3
    okabe_ito = {"#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}
    assert {files.dark(c) for c in okabe_ito} == okabe_ito
    red, green, blue = (int(files.dark("#0072b2")[i : i + 2], 16) for i in (1, 3, 5))
    assert red < green < blue
    assert files.dark("#000000") == files.INK and files.dark("#ffffff") == files.GROUND
    assert files.contrast("#000000", "#ffffff") == pytest.approx(21)
    # a color that is not made lighter would not be seen
    for color in ("#471365", "#0072b2"):
        assert files.contrast(color, files.GROUND) < files.LEAST_CONTRAST


def test_dark_drawing_keeps_its_cells(figure):
    drawing, *_ = files.split(as_svg(figure))
    dark = files.in_the_dark(drawing)
    assert f'<g id="{KEEP}-1-0" fill="#000000">' in dark
    assert f'fill="{files.INK}"' in dark.partition(">")[0]
    assert "#ffffff" not in dark and "#ffffff" in drawing
    picture = drawing.partition("data:image/png;base64,")[2][:400].split('"')[0]
    assert picture and "".join(picture.split()) in "".join(dark.split())


@in_style
def side_by_side(sharey: bool, legend: bool):
    figure, axes = new_axes(3, 3.0, sharey=sharey)
    for i, ax in enumerate(axes):
        ax.plot([1, 2], [i, 1], label=f"curve {i}")
        ax.set(xlabel="width")
    axes[0].set_ylabel("error")
    if legend:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center")
    return figure


@pytest.mark.parametrize("sharey", [True, False])
@pytest.mark.parametrize("legend", [True, False])
def test_panels_are_cut_and_each_has_its_scale(sharey, legend):
    figure = side_by_side(sharey, legend)
    drawing, _, cut = files.split(as_svg(figure))
    plt.close(figure)
    widths = [len(row) for row in cut["panels"]]
    assert widths == ([1, 2, 2] if sharey else [1, 1, 1]) and len(cut["legend"]) == legend
    frames = [row[-1] for row in cut["panels"]]
    assert frames[0][0] == 0 and all(a[2] == b[0] for a, b in pairwise(frames))
    if sharey:
        left, _, right, _ = cut["panels"][2][0]
        assert left == 0 and 20 < right < frames[0][2]
    tall = files.in_one_column(drawing, cut)
    assert tall.count("<use href") == sum(widths) + legend


def test_the_copy_of_a_scale_brings_nothing_of_what_stands_beside_it():
    figure = side_by_side(sharey=True, legend=False)
    first, *others = figure.axes
    first.set_ylim(-0.12, 1.35)  # the longest number, −0.2, is not drawn
    for ax in others:
        ax.set_ylabel("another error")
    figure.set_dpi(POINTS)
    figure.draw_without_rendering()
    picture = figure.get_tightbbox().padded(0.1)
    copied, *_ = pieces(figure, picture)["panels"][1][1]
    label = first.yaxis.label.get_window_extent().x1 - picture.x0 * POINTS
    far, near, *_ = sorted(
        t.get_window_extent().x0 - picture.x0 * POINTS for t in first.get_yticklabels()
    )
    plt.close(figure)
    assert far < label < copied < near


def test_what_cannot_be_cut_stays_whole():
    figure = side_by_side(False, False)
    figure.suptitle("over all panels")
    drawing, _, cut = files.split(as_svg(figure))
    plt.close(figure)
    assert cut == {"panels": [], "legend": []}
    assert files.in_one_column(drawing, cut) is None


def test_legend_is_set_in_lines():
    boxes = [[0, 0, 40, 9], [40, 0, 80, 9], [80, 0, 150, 9]]
    assert [len(line) for line in files._in_lines(boxes, 85)] == [2, 1]
