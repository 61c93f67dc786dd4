"""Claims of the chapter *Setup*."""

from escape_ntk.chapters.setup import chapter
from escape_ntk.chapters.setup import runs as e
from escape_ntk.records.store import Record
from escape_ntk.study.claims import (
    at_most,
    over_seeds,
    slope_near,
    slope_value,
    summary_value,
)

chapter.claim(
    "setup-zero-start",
    "With paired neurons f(x; 0) = 0 for every input.",
    source="D",
    identity=True,
    target="0",
    tolerance="1e-12 (rounding of a sum of m terms in float64)",
    broken="independent instead of paired weights",
    judge=at_most(1e-12),
    measure=over_seeds(e.Initialization, e.SEEDS, summary_value("paired", "unpaired")),
)

chapter.claim(
    "setup-remainder-order",
    "f(x; W) − f_L − f_Q is of third order in the movement.",
    source="D",
    target="slope 3",
    tolerance="±0.1, 95 % interval over ten draws",
    broken="f_Q left out of the expansion",
    judge=slope_near(3.0, 0.1),
    measure=over_seeds(
        e.RemainderOrder, e.SEEDS, slope_value("size", "second_order", "first_order")
    ),
)

chapter.claim(
    "setup-scale-same-sign",
    "At the QuadNTK scale m^(−1/4), all signs equal, the remainder falls like m^(−1/4).",
    source="D",
    target="slope −1/4",
    tolerance="±0.05, 95 % interval over ten draws",
    broken="random signs on the movements",
    judge=slope_near(-0.25, 0.05),
    measure=over_seeds(
        e.QuadraticScale, e.SEEDS, slope_value("width", "remainder_same", "remainder_random")
    ),
)

chapter.claim(
    "setup-scale-random-sign",
    "At the QuadNTK scale m^(−1/4), with random signs, the remainder falls like m^(−1/2).",
    source="D",
    target="slope −1/2",
    tolerance="±0.05, 95 % interval over ten draws",
    broken="all signs equal",
    judge=slope_near(-0.5, 0.05),
    measure=over_seeds(
        e.QuadraticScale, e.SEEDS, slope_value("width", "remainder_random", "remainder_same")
    ),
)

chapter.claim(
    "setup-pairs",
    "Gradient descent with step η on all weights is gradient descent with step 2η in pair "
    "coordinates.",
    source="D",
    identity=True,
    target="relative difference 0",
    tolerance="1e-10 after 200 steps in float64",
    broken="step η in pair coordinates",
    judge=at_most(1e-10),
    measure=over_seeds(e.PairDescent, e.SEEDS, summary_value("right", "wrong")),
)

chapter.claim(
    "setup-projector",
    "The projector built from the Gram matrix is the projector on the top n_k right singular "
    "vectors of the feature matrix.",
    source="D",
    identity=True,
    target="relative difference 0",
    tolerance="1e-10 in float64",
    broken="n_k − 1 directions",
    judge=at_most(1e-10),
    measure=over_seeds(e.DenseProjector, e.SEEDS, summary_value("right", "one_too_few")),
)


def leak_error(record: Record, broken: bool) -> float:
    """|closed form − Monte Carlo| in standard errors."""
    s = record.summary
    closed = s["without_k20"] if broken else s["closed_form"]
    return abs(closed - s["monte_carlo"]) / s["standard_error"]


chapter.claim(
    "setup-leak-closed-form",
    "For Gaussian inputs the closed form of R_1 is the population leak.",
    source="D",
    target="difference 0",
    tolerance="4 standard errors of a million fresh inputs, in each of ten draws",
    broken="the κ_20 term set to zero",
    judge=at_most(4.0),
    measure=over_seeds(e.LeakClosedForm, e.SEEDS, leak_error),
)
