"""What the statements of the chapter *QuadNTK* assume."""

import math
from dataclasses import replace

from escape_ntk.chapters.quadntk import chapter
from escape_ntk.study.hypotheses import Answer, Setting, answer, changed, nonzero_mean, unchecked
from escape_ntk.study.hypotheses import Hypothesis as H
from escape_ntk.study.recurring_hypotheses import (
    BOUNDED_BY_ONE,
    CONSTRUCTION,
    EVEN,
    FAIR,
    HIGH,
    ON_SPHERE,
    ON_SPHERE_BESIDE,
    WIDE,
    below,
    hermite,
)
from escape_ntk.study.theorems import Entry


def enough_samples(setting: Setting) -> Answer:
    """n ≥ d at every size of the complexities: the least multiple."""
    least = math.inf
    for run in setting.runs:
        d, n, _ = run["at"]
        pairs = [(x, n) for x in run["dims"]] + [(d, x) for x in (n, *run["sizes"])]
        least = min(least, *(n / d for d, n in pairs))
    return answer(least >= 1, f"at least {least:.2g} d")


chapter.assume(
    Entry("prop-signs", (FAIR,)),
    Entry(
        "prop-leaks",
        (
            ON_SPHERE_BESIDE,
            *CONSTRUCTION,
            H(r"$\mathbb E_w\sigma'(w\cdot x)\ne0$", nonzero_mean(1), EVEN),
            WIDE,
        ),
    ),
    Entry(
        "thm-construction",
        (
            ON_SPHERE_BESIDE,
            *CONSTRUCTION,
            hermite(2, below, r"order in $d$: $\mu_j(\sigma'')\ne0$ for these $j$"),
            WIDE,
            HIGH,
        ),
    ),
    Entry(
        "prop-several",
        (
            *CONSTRUCTION,
            H(r"the $\beta_j$ are orthonormal", unchecked("they are drawn as such")),
            WIDE,
            replace(HIGH, words=r"the factor: $d\to\infty$, $n_\beta$ fixed"),
        ),
    ),
    Entry(
        "prop-shortest",
        (H(ON_SPHERE.words, unchecked("there are no records to look at")),),
        runs=({"activation": "sin(z+pi/4)"},),
    ),
    Entry(
        "prop-rademacher",
        (
            BOUNDED_BY_ONE,
            H(r"$n\ge d$", enough_samples, changed(at=(16, 10, 200))),
            ON_SPHERE,
        ),
    ),
)
