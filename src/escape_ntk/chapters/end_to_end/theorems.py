"""What the statements of the chapter *Gradient descent end to end* assume."""

from collections.abc import Sequence

from escape_ntk.chapters.end_to_end import chapter
from escape_ntk.chapters.end_to_end import claims as end_to_end
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.records.store import Record
from escape_ntk.study import computed_checks as p
from escape_ntk.study.hypotheses import Change, Hypothesis, changed, unchecked
from escape_ntk.study.hypotheses import Hypothesis as H
from escape_ntk.study.recurring_hypotheses import (
    BOUNDED_BY_ONE,
    EVEN,
    LABELS,
    LINEAR,
    NEARLY_ODD,
    ON_SPHERE,
    PAIRED,
    below,
    hermite,
    with_array,
    with_summary,
)
from escape_ntk.study.theorems import Entry

AT_ZERO = p.of_records(
    lambda r: (
        with_summary(
            r,
            gradient=1.0,
            flatness=1.0,
            **{
                f"guarantee{part}": r.summary["start_value"]
                for part in ("", "_curvature", "_comparison")
            },
        )
        if "guarantee" in r.summary
        else r
    )
)
"""Stopped at W = 0, with the comparison W* = 0."""
NO_CROSS = p.of_records(
    lambda r: (
        with_summary(r, guarantee_cross=0.0, end_R_1=0.0, end_R_2=0.0, end_R_3=0.0)
        if "guarantee" in r.summary
        else with_summary(r, mean_kernel=0.0, complexity=0.0)
    )
)
"""Infinitely many neurons and samples."""


def _flow_terms(records: Sequence[Record]) -> list[tuple[str, float, float]]:
    flow = [r for r in records if r.config.get("method") == "flow"]
    classes = [r for r in records if r.experiment == "end-to-end-complexity"]
    return end_to_end.guarantee_terms(end_to_end.with_bound(flow, classes))


MEASURED = (
    r"stationary: $\lVert\nabla L_\lambda\rVert$ over its start",
    r"flat: floor of the curvature over that at $W=0$",
    r"flat enough: $\frac\delta2\lVert W_Q\rVert_F^2$ over $L_\lambda(0)$",
    r"$W^*$ is good: comparison over $L_\lambda(0)$",
    r"wide: cross over $L_\lambda(0)$",
    r"together: $\Xi$ over $L_\lambda(0)$",
    r"enough samples: bound on the gap over the error of $f=0$",
)
"""The rows of the chapter's table, in its order: :func:`end_to_end.guarantee_terms`."""
FAILING = ("wide", "enough samples")


def _measured(place: int, words: str) -> Hypothesis:
    fails = words.startswith(FAILING)
    change: dict[str, Change] = {"mended": NO_CROSS} if fails else {"control": AT_ZERO}
    return H(words, p.kept_small(_flow_terms, place), **change)


ALL_FOUR = ("e2e-all-four",)
FOURTH = H(
    r"$\lambda_4>0$",
    p.listed_penalties(lambda weights: weights[3] > 0),
    changed(penalties=(1.0, 1.0, 1.0, 0.0)),
)
EVERY_ONE = H(
    r"$\lambda_1,\dots,\lambda_4>0$, $\lambda_2\ge1$",
    p.listed_penalties(lambda weights: min(weights) > 0 and weights[1] >= 1),
    changed(penalties=(1.0, 0.5, 1.0, 1.0)),
)
NOT_RISING = H(
    r"$L_\lambda(W)\le L_0$",
    p.never_above_its_start,
    p.of_records(lambda r: with_array(r, "value", lambda values: values[::-1])),
)
ONE_NEURON = H(
    "$W_Q$ moves one neuron of each pair",
    p.one_neuron_of_each_pair,
    changed(tools=("PairFeatures", "TrainingProjector")),
)
GOOD = H(
    r"$n\ge n_k$, $\Lambda_{n_k}>0$",
    p.gram_rank(lambda run: cumulative_multiplicity(int(run["d"]), int(run["k"]))),
    changed(n=10),
)
GAP = H(
    r"a spectral gap: $\min_{\ell\le k}\zeta_\ell>\max_{\ell>k}\zeta_\ell$",
    p.spectral_gap,
    NEARLY_ODD,
)
POSITIVE = H(
    r"$\zeta_\ell>0$, $\ell\le k$",
    p.positive_eigenvalues(lambda k: range(k + 1)),
    LINEAR,
)
OF_THE_SAMPLE = (
    BOUNDED_BY_ONE,
    ON_SPHERE,
    POSITIVE,
    GAP,
    hermite(1, lambda k: range(k + 1), r"$\mu_j(\sigma')\ne0$, $j\le k$"),
    H(
        r"$\mu_j(\sigma'')\ne0$, $j\le k-1$, $j\equiv k-1$",
        p.hermite_nonzero(2, below),
        EVEN,
    ),
    H(r"$d\to\infty$, $m$, $n$ as large as it says", unchecked("no run is so large")),
)
chapter.assume(
    Entry(
        "thm-end",
        (
            H(
                r"$\lambda_4=0$",
                p.listed_penalties(lambda weights: weights[3] == 0),
                changed(penalties=(0.0, 1.0, 0.0, 1.0)),
            ),
            ON_SPHERE,
            LABELS,
            *(_measured(place, words) for place, words in enumerate(MEASURED)),
        ),
    ),
    Entry("lem-kept", (FOURTH, NOT_RISING)),
    Entry("lem-norm", (PAIRED,), claims=ALL_FOUR),
    Entry("lem-orders", (ONE_NEURON, PAIRED, BOUNDED_BY_ONE, ON_SPHERE, GOOD), claims=ALL_FOUR),
    Entry(
        "thm-advance",
        (
            EVERY_ONE,
            NOT_RISING,
            ONE_NEURON,
            PAIRED,
            BOUNDED_BY_ONE,
            ON_SPHERE,
            GOOD,
            LABELS,
            H(
                r"$P_{\le k}$ is the training set's, in all of $R_1$, $R_2$, $R_3$",
                p.trained_projector,
                changed(tools=("PairFeatures", "represent_power")),
            ),
        ),
    ),
    Entry(
        "lem-missed",
        (
            ON_SPHERE,
            POSITIVE,
            GAP,
        ),
        claims=ALL_FOUR,
    ),
    Entry("lem-sample", OF_THE_SAMPLE, claims=ALL_FOUR),
    Entry("cor-samples", (EVERY_ONE, *OF_THE_SAMPLE), claims=ALL_FOUR),
    Entry(
        "thm-steps",
        (
            EVERY_ONE,
            BOUNDED_BY_ONE,
            ON_SPHERE,
            H("perturbed descent as in the work cited", unchecked("the code's takes a flow")),
        ),
        claims=ALL_FOUR,
    ),
)
