"""The place that a formula keeps until it is typeset."""

from __future__ import annotations

import importlib

import pytest

pytestmark = pytest.mark.usefixtures("extensions")
TYPESET = {
    r"W^*": 1.69,
    r"f_L": 1.16,
    r"x_1,\dots,x_n": 4.75,
    r"P_{>k}": 1.81,
    r"W=TW+(W-TW)": 11.17,
    r"(\lambda_1,\dots,\lambda_4)=(10^{-3},1,10^{-5},10^{-4})": 16.44,
    r"\sigma(z)=\sin(z+\pi/4)": 9.25,
    r"\lVert W\rVert_{2,4}": 3.34,
    r"\{f_L(\cdot;V)+f_Q(\cdot;W):\lVert V\rVert_F\le B_L,\lVert W\rVert_{2,4}\le B_Q\}": 23.43,
}
"""Formulas of a chapter, and how wide MathJax sets them, in em of the text."""


def miss(tool) -> float:
    """By what share an estimate misses, on average."""
    return sum(abs(tool.of(tex) / width - 1) for tex, width in TYPESET.items()) / len(TYPESET)


@pytest.fixture(scope="module")
def tool(extensions):
    return importlib.import_module("formula_width")


def test_estimates_are_near(tool):
    assert miss(tool) < 0.1


def test_control_without_the_scale_of_formulas_they_are_not(tool, monkeypatch):
    monkeypatch.setattr(tool, "SCALE", 1.0)
    assert miss(tool) > 0.12


def test_formulas_in_a_line_carry_it_and_displayed_ones_do_not(extensions):
    html = importlib.import_module("sound_html")
    line = r'<span class="math notranslate nohighlight">\(a&lt;b\)</span>'
    shown = r'<div class="math notranslate nohighlight">\[a\]</div>'
    wide = importlib.import_module("formula_width").of("a<b")
    assert (
        html.spaced(line + shown) == line.replace(">", f' style="--wide: {wide:.1f}em">', 1) + shown
    )
