"""Claims of the chapter *Setup*."""

from collections.abc import Sequence

from escape_ntk.claims.ledger import (
    Claim,
    at_most,
    over_draws,
    slope_near,
    slope_value,
    summary_value,
)
from escape_ntk.experiments import foundations as f
from escape_ntk.records import Record

CHAPTER = "setup"
COMMAND = "escape-ntk run setup"
SEEDS = tuple(range(1, 11))


def _gather(point: type, value):
    return over_draws([point(seed) for seed in SEEDS], value, COMMAND)


def _leak_errors(record: Record, broken: bool) -> float:
    """|closed form − Monte Carlo| in standard errors."""
    s = record.summary
    closed = s["without_k20"] if broken else s["closed_form"]
    return abs(closed - s["monte_carlo"]) / s["standard_error"]


CLAIMS: Sequence[Claim] = (
    Claim(
        id="setup-zero-start",
        chapter=CHAPTER,
        statement="With paired neurons f(x; 0) = 0 for every input.",
        source="D",
        target="0",
        tolerance="1e-12 (rounding of a sum of m terms in float64)",
        broken="independent instead of paired weights",
        gather=_gather(f.Initialization, summary_value("paired", "unpaired")),
        judge=at_most(1e-12),
    ),
    Claim(
        id="setup-remainder-order",
        chapter=CHAPTER,
        statement="f(x; W) − f_L − f_Q is of third order in the movement.",
        source="D",
        target="slope 3",
        tolerance="±0.1, 95 % interval over ten draws",
        broken="f_Q left out of the expansion",
        gather=_gather(f.RemainderOrder, slope_value("size", "second_order", "first_order")),
        judge=slope_near(3.0, 0.1),
    ),
    Claim(
        id="setup-scale-same-sign",
        chapter=CHAPTER,
        statement="At the QuadNTK scale m^(−1/4), all signs equal, the remainder falls like "
        "m^(−1/4).",
        source="D",
        target="slope −1/4",
        tolerance="±0.05, 95 % interval over ten draws",
        broken="random signs on the movements",
        gather=_gather(
            f.QuadraticScale, slope_value("width", "remainder_same", "remainder_random")
        ),
        judge=slope_near(-0.25, 0.05),
    ),
    Claim(
        id="setup-scale-random-sign",
        chapter=CHAPTER,
        statement="At the QuadNTK scale m^(−1/4), with random signs, the remainder falls like "
        "m^(−1/2).",
        source="D",
        target="slope −1/2",
        tolerance="±0.05, 95 % interval over ten draws",
        broken="all signs equal",
        gather=_gather(
            f.QuadraticScale, slope_value("width", "remainder_random", "remainder_same")
        ),
        judge=slope_near(-0.5, 0.05),
    ),
    Claim(
        id="setup-pairs",
        chapter=CHAPTER,
        statement="Gradient descent with step η on all weights is gradient descent with step 2η "
        "in pair coordinates.",
        source="D",
        target="relative difference 0",
        tolerance="1e-10 after 200 steps in float64",
        broken="step η in pair coordinates",
        gather=_gather(f.PairDescent, summary_value("right", "wrong")),
        judge=at_most(1e-10),
    ),
    Claim(
        id="setup-projector",
        chapter=CHAPTER,
        statement="The projector built from the Gram matrix is the projector on the top n_k right "
        "singular vectors of the feature matrix.",
        source="D",
        target="relative difference 0",
        tolerance="1e-10 in float64",
        broken="n_k − 1 directions",
        gather=_gather(f.DenseProjector, summary_value("right", "one_too_few")),
        judge=at_most(1e-10),
    ),
    Claim(
        id="setup-leak-closed-form",
        chapter=CHAPTER,
        statement="For Gaussian inputs the closed form of R_1 is the population leak.",
        source="D",
        target="difference 0",
        tolerance="4 standard errors of a million fresh inputs, in each of ten draws",
        broken="the κ_20 term set to zero",
        gather=_gather(f.LeakClosedForm, _leak_errors),
        judge=at_most(4.0),
    ),
)
