"""What the statements of the chapter *The regulariser* assume."""

from dataclasses import replace

from escape_ntk.chapters.regularizer import chapter
from escape_ntk.study import computed_checks as p
from escape_ntk.study.hypotheses import Hypothesis as H
from escape_ntk.study.hypotheses import changed, continuous, least_size
from escape_ntk.study.recurring_hypotheses import ON_SPHERE_BESIDE, RELU, THREE, UNIT_WEIGHTS
from escape_ntk.study.theorems import Entry

chapter.assume(
    Entry(
        "prop-shrink",
        (
            H("$K$ invertible", p.gram_rank(lambda run: int(run["n"])), changed(m=2, d=3)),
            H(r"$\lambda_2\ge0$", least_size("empirical", 0), changed(empirical=-1.0)),
        ),
        claims=("regularizer-switch-r2",),
    ),
    Entry(
        "prop-leak-sphere",
        (
            ON_SPHERE_BESIDE,
            THREE,
            replace(UNIT_WEIGHTS, words="$|w|=|v|=1$"),
            H(r"$c=w\cdot v\ne\pm1$", p.no_parallel_weights, changed(repeated=True)),
            H(r"$\sigma$ twice continuously differentiable", continuous(2), RELU),
        ),
    ),
)
