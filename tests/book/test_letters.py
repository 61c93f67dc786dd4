"""Formulas in letters, and texts cut where a reader would."""

from __future__ import annotations

import importlib

import pytest


@pytest.fixture(scope="module")
def letters(extensions):
    return importlib.import_module("letters")


@pytest.mark.parametrize(
    "tex, text",
    [
        (r"f_L+\lambda\,nR_2", "f_L+λnR₂"),
        (r"m^{-1/4}", "m^-1/4"),
        (r"d^2\le n\ll d^{3}", "d²≤n≪d³"),
        (r"\mathbb E_x f_L(x;P_{>k}W)^2", "E_x f_L(x;P_>kW)²"),
        (r"\frac12\lVert W\rVert_F", "1/2‖W‖_F"),
        (r"\Sigma\varphi\sigma''", "Σφσ′′"),
        (r"f^*(x), \log x", "f*(x), log x"),
    ],
)
def test_formulas_become_letters(letters, tex, text):
    assert letters.letters(tex) == text


def test_a_heading_is_plain(letters):
    assert letters.heading(r'<span class="math">\(R_1\)</span>: &lt;a&gt;') == "R₁: <a>"


@pytest.mark.parametrize(
    "text, cut",
    [
        ("Short.", "Short."),
        ("One sentence here. Two follow it now.", "One sentence here."),
        ("See Fig. 2 for what it is, and go on", "See Fig. 2 for what…"),
        ("a" * 12 + " " + "b" * 30, "a" * 12 + "…"),
    ],
)
def test_a_text_is_cut_where_it_may_end(letters, text, cut):
    assert letters.shortened(text, 22) == cut
