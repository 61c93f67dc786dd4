"""What the statements of the chapter *NTK limits* assume."""

from dataclasses import replace

from escape_ntk.chapters.ntk_limits import chapter
from escape_ntk.study import computed_checks as p
from escape_ntk.study.hypotheses import Hypothesis as H
from escape_ntk.study.hypotheses import changed, finite_mean, limit, unchecked
from escape_ntk.study.recurring_hypotheses import (
    EXACT_LAWS,
    HIGH,
    LINEAR,
    ON_SPHERE,
    SINGULAR,
    SMOOTH,
    SQUARE_MEAN,
    THREE,
    UNIT_WEIGHTS,
    WIDE,
    hermite,
)
from escape_ntk.study.theorems import Entry

chapter.assume(
    Entry(
        "prop-width",
        (
            H(r"$\mathbb E_w\sigma'(w\cdot x)^4<\infty$", finite_mean(4), SINGULAR),
            replace(UNIT_WEIGHTS, words="$w_r$ from the law of the limit, the unit sphere"),
            WIDE,
        ),
    ),
    Entry(
        "thm-eigenvalues",
        (
            EXACT_LAWS,
            THREE,
            SQUARE_MEAN,
            SMOOTH,
            hermite(1, lambda k: range(3), r"$\mu_{\ell-1}\ne0$, $\ell\le3$"),
            HIGH,
        ),
    ),
    Entry(
        "thm-staircase",
        (
            ON_SPHERE,
            hermite(1, lambda k: range(3), r"$\mu_1\ne0$, $\mu_j\ne0$ for $j\le k-1=2$"),
            H(r"$\gamma_{>k}\ge c\,d$, $k=3$", p.tail_share(3), LINEAR),
            H(
                r"$f^*$ bounded in $L^{2+\varepsilon}$",
                unchecked("the shares of each degree are measured without a target"),
            ),
            H(r"ridge positive and $O(1)$", unchecked("the measured ridge is 0, its limit")),
            H(r"$d\to\infty$, $d^{k+\varepsilon}\le n\le d^{k+1-\varepsilon}$", limit("d", "d")),
        ),
        claims=("ntk-staircase", "ntk-error"),
    ),
    Entry(
        "thm-blind",
        (
            H("kernel invariant under rotations", p.invariant_kernel, changed(kernel="finite")),
            H(
                "input law invariant under rotations",
                p.invariant_inputs,
                changed(stretched=True),
            ),
            H("labels without noise", unchecked("the code adds none; no number can show it")),
            H(
                "the expectation finite",
                unchecked("a mean over draws is finite whether or not the expectation is"),
            ),
        ),
    ),
    Entry(
        "cor-blind",
        (
            H("law of the weights invariant under rotations", p.invariant_weights,
              changed(stretched=True)),
            H("input law invariant under rotations", p.invariant_inputs, changed(stretched=True)),
            H("labels without noise", unchecked("the code adds none; no number can show it")),
            H("the expectation finite", unchecked("no mean over draws can show it")),
        ),
    ),
)  # fmt: skip
