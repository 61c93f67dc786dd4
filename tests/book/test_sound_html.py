"""What touches a formula stays on its line, and names in tables may end one."""

from __future__ import annotations

import importlib

import pytest


@pytest.fixture
def mended(extensions):
    return importlib.import_module("sound_html").mended


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
