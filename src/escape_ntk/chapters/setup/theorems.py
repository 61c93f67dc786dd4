"""What the statements of the chapter *Setup* assume."""

from dataclasses import replace

from escape_ntk.chapters.setup import chapter
from escape_ntk.study import computed_checks as p
from escape_ntk.study.hypotheses import Hypothesis as H
from escape_ntk.study.hypotheses import bounded, changed, inputs_from, nonzero_mean
from escape_ntk.study.recurring_hypotheses import (
    ERF,
    EVEN,
    ON_SPHERE,
    PAIRED,
    QUARTIC,
    RELU,
    SPHERE,
    UNIT_WEIGHTS,
    WIDE,
)
from escape_ntk.study.theorems import Entry

chapter.assume(
    Entry("prop-zero-start", (replace(PAIRED, control=changed(pairing="independent")),)),
    Entry("prop-remainder", (H(r"$\sigma'''$ bounded", bounded(3), QUARTIC),)),
    Entry(
        "prop-ball",
        (H(r"$\sigma'''$ bounded", bounded(3), QUARTIC),),
        runs=({"activation": "sin(z+pi/4)"}, {"activation": "sigmoid(z-1)"}),
    ),
    Entry(
        "prop-scale",
        (
            H(r"derivatives of $\sigma$ up to order 5 bounded", bounded(1, 2, 3, 4, 5), RELU),
            ON_SPHERE,
            H(r"$\mathbb E_w\sigma''(w\cdot x)\ne0$", nonzero_mean(2), ERF),
            H(r"equal signs: $\mathbb E_w\sigma'''(w\cdot x)\ne0$", nonzero_mean(3), EVEN),
            H(r"random signs: $\mathbb E_w\sigma''''(w\cdot x)\ne0$", nonzero_mean(4), ERF),
            WIDE,
        ),
    ),
    Entry("prop-pairs", (PAIRED,)),
    Entry(
        "prop-projector",
        (
            H(
                r"$\Lambda_k$ invertible: $n_k\le n$, $\Lambda_{n_k}>0$ ($n_k=d$ here)",
                p.gram_rank(lambda run: int(run["d"])),
                changed(n=10),
            ),
        ),
    ),
    Entry(
        "prop-leak",
        (
            H("$x\\sim N(0,I_d)$", inputs_from("gaussian"), SPHERE),
            replace(UNIT_WEIGHTS, words="$|w_r|=1$"),
            H(
                r"$\sigma'$ twice differentiable, growth polynomial (here bounded)",
                bounded(2, 3),
                RELU,
            ),
        ),
    ),
)
