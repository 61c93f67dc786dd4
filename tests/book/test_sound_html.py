"""Finished pages mended: what touches a formula stays on its line, pictures have their size."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from matplotlib import pyplot as plt


@pytest.fixture
def html(extensions):
    return importlib.import_module("sound_html")


@pytest.fixture
def mended(html):
    return html.mended


def formula(tex: str) -> str:
    return f'<span class="math notranslate nohighlight">\\({tex}\\)</span>'


def unbroken(inside: str) -> str:
    return f'<span class="unbroken">{inside}</span>'


X, Y = formula("x&lt;1"), formula("y\ny")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (f"so {X}, and", f"so {unbroken(X + ',')} and"),
        (f"({X}) is", f"{unbroken('(' + X + ')')} is"),
        (f"the {X}th", f"the {unbroken(X + 'th')}"),
        (f"a {Y}-dimensional ball", f"a {unbroken(Y + '-')}dimensional ball"),
        (f"{X}–{Y}.", f"{unbroken(X + '–')}{unbroken(Y + '.')}"),
        (f"&quot;{X}&quot;", unbroken(f"&quot;{X}&quot;")),
        (f"<p>{X} is {Y}</p>", f"<p>{X} is {Y}</p>"),
        ("so x, and", "so x, and"),
    ],
)
def test_no_line_ends_between_a_formula_and_what_touches_it(mended, written, expected):
    assert mended(written).endswith(expected)


def test_names_in_cells_may_end_a_line(mended):
    name = '<code class="docutils"><span class="pre">a.b_c(x).</span></code>'
    assert mended(f"<p>{name}</p>") == f"<p>{name}</p>"
    broken = name.replace("a.b_c", "a.<wbr>b_<wbr>c")
    assert mended(f"<td>{name}</td><p>{name}</p>") == f"<td>{broken}</td><p>{name}</p>"


def test_pages_are_mended(html):
    body = '<th class="head"><p></p></th><th class="head stub"><p>a</p></th><th></th>'
    right = '<td></td><th class="head stub" scope="col"><p>a</p></th><td></td>'
    assert html.mended(body) == right
    assert html.mended('<div role="doc-biblioentry">') == '<div role="listitem">'
    assert html.mended('<section id="proof-content">') == "<section>"
    assert html.mended(right) == right
    formula = '<span class="math">x</span>'
    assert html.mended(formula) == html.NOTE + formula


def test_pictures_say_how_large_they_are(tmp_path, html):
    drawing, photo, other = (tmp_path / name for name in ("a.svg", "b.png", "c.txt"))
    drawing.write_text('<svg width="3pt" viewBox="0 0 300.4 200"></svg>', "utf-8")
    plt.imsave(photo, np.zeros((7, 5)))
    other.write_text("no picture", "utf-8")
    known = {path.name: path for path in (drawing, photo, other)}
    images = [f'<img alt="x" src="../_images/{name}"' for name in (*known, "gone.svg")]
    sizes = [html.sized(f"{image} />", known).removeprefix(image) for image in images]
    assert sizes == [' width="300" height="200" />', ' width="5" height="7" />', " />", " />"]
    own = '<img width="1" src="../_images/a.svg">'
    assert html.sized(own, known) == own
