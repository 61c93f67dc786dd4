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


@pytest.mark.parametrize("word, long", [("c", False), ("c" * 25, True)])
def test_names_may_end_a_line_in_a_table_and_where_they_are_long(mended, word, long):
    name = f'<code class="docutils"><span class="pre">a.b_{word}(x).</span></code>'
    broken = name.replace("a.b_", "a.<wbr>b_<wbr>")
    within = broken if long else name
    assert mended(f"<td>{name}</td><p>{name}</p>") == f"<td>{broken}</td><p>{within}</p>"
    assert mended("<pre>a.b_c</pre>") == "<pre>a.b_c</pre>"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (".27 [.20, .35], 10 seeds", f"{unbroken('.27 [.20, .35]')}, 10 seeds"),
        ("[−0.41, +0.5]", unbroken("[−0.41, +0.5]")),
        ("3.72 (3.62–4.33)", unbroken("3.72 (3.62–4.33)")),
        ("3.7 (3 to 1e-5)", unbroken("3.7 (3 to 1e-5)")),
        ("0.25 (5 of 10)", "0.25 (5 of 10)"),
        ("shape [9, n]", "shape [9, n]"),
    ],
)
def test_no_line_of_a_table_ends_within_an_interval(mended, written, expected):
    assert mended(f"<td>{written}</td>") == f"<td>{expected}</td>"
    assert mended(f"<p>{written}</p>") == f"<p>{written}</p>"


def test_an_interval_within_a_formula_is_left(mended):
    cell = f"<td>on {formula('[-1, 1]')}</td>"
    assert mended(cell).endswith(cell)


def test_measured_intervals_are_held_too(mended):
    value = '<span class="measured">{}</span>'
    words = f"{value.format('−0.502')} [{value.format('−.51')}, {value.format('−.49')}]"
    assert mended(f"<td><p>{words}</p></td>") == f"<td><p>{unbroken(words)}</p></td>"


def test_letters_of_a_table_are_set_as_mathematics(mended):
    table = '<table><caption>{}</caption><th scope="col">{}</th><td>{}</td></table>'
    written = "at n = 3 n_2", "‖W_L‖ &lt; λR_1", "λ_2 of f_L, layer_norm, x_norm"
    shown = table.format(
        "at <i>n</i> = 3 <i>n</i><sub>2</sub>",
        "‖<i>W</i><sub><i>L</i></sub>‖ &lt; <i>λR</i><sub>1</sub>",
        "<i>λ</i><sub>2</sub> of <i>f</i><sub><i>L</i></sub>, layer_norm, x_norm",
    )
    results = '<div class="results">{}</div>'
    assert mended(results.format(table.format(*written))) == results.format(shown)
    assert mended(table.format(*written)) == table.format(*written)


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
