"""What the statements of the chapter *QuadNTK* assume."""

from escape_ntk.chapters.quadntk import chapter
from escape_ntk.study.hypotheses import Hypothesis as H
from escape_ntk.study.hypotheses import nonzero_mean, unchecked
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
        "prop-shortest",
        (H(ON_SPHERE.words, unchecked("there are no records to look at")),),
        runs=({"activation": "sin(z+pi/4)"},),
    ),
    Entry(
        "prop-rademacher",
        (
            BOUNDED_BY_ONE,
            H(r"$n\ge d$", unchecked("no claim of this book measures these complexities")),
            H(ON_SPHERE.words, unchecked("there are no records to look at")),
        ),
        runs=({"activation": "sin(z+pi/4)"}, {"activation": "sigmoid(z-1)"}),
    ),
)
