"""What the statements of the chapter *Landscape* assume."""

from dataclasses import replace

import numpy as np

from escape_ntk.chapters.landscape import chapter
from escape_ntk.chapters.landscape.runs import Landscape, comparison
from escape_ntk.chapters.regularizer.runs import draw_problem
from escape_ntk.models.pairs import from_pairs
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.records.store import Record
from escape_ntk.study import computed_checks as p
from escape_ntk.study.hypotheses import (
    Answer,
    Setting,
    answer,
    changed,
    least_size,
    limit,
    sizes,
    small_limit,
    unchecked,
    zero_size,
)
from escape_ntk.study.hypotheses import Hypothesis as H
from escape_ntk.study.recurring_hypotheses import (
    BOUNDED_BY_ONE,
    ON_SPHERE,
    PAIRED,
    only,
    with_summary,
)
from escape_ntk.study.theorems import Entry


def comparison_norms(setting: Setting) -> Answer:
    """‖t_L‖_F and ‖W_Q‖_{2,4} of the comparison do not grow with the width: made anew, one seed.

    At most 1.2 times from the narrowest to the widest run.  A control takes ‖W_Q‖_F ~ m^{1/4}.
    """
    widths = sizes(setting.runs, "m")
    plain = any(run.get("norm_of_movement") == "F" for run in setting.runs)
    norms = []
    for m in (min(widths), max(widths)):
        point = Landscape(1, int(m), n_test=1)
        t_linear, state = comparison(draw_problem(point, cumulative_multiplicity(point.d, 1)))
        rows = from_pairs(state).norm(dim=1)
        power = 2 if plain else 4
        norms.append([float(t_linear.norm()), float((rows**power).sum() ** (1 / power))])
    growth = float((np.array(norms[1]) / norms[0]).max())
    return answer(growth <= 1.2, f"largest growth {growth:.2f}")


def _depth(record: Record, when: str = "end_") -> float:
    """How far below 0 the certified curvature can be, in units of |λ_min| at W = 0."""
    return -record.summary[f"{when}floor"] / abs(record.summary["start_lowest"])


CERTIFIED = "landscape-certified"
PLATEAU = p.of_records(
    lambda r: with_summary(
        r, **{k.replace("plateau_", "end_"): v for k, v in r.summary.items() if "plateau_" in k}
    )
)
"""The run stopped on its plateau."""
WEIGHTS = H(r"$\lambda_1,\dots,\lambda_4\ge0$", least_size("empirical low_degree", 0),
            changed(empirical=-1.0))  # fmt: skip
chapter.assume(
    Entry(
        "prop-floor",
        (
            PAIRED,
            WEIGHTS,
            H(
                r"for the count: $\lambda_1=\lambda_4=0$",
                zero_size("population", "norm"),
                changed(norm=1e-8),
            ),
        ),
    ),
    Entry(
        "prop-clock",
        (
            H(
                r"$\lambda_{\min}<0$, $W_0$ not orthogonal to its eigenspace",
                p.overlapping_start,
                changed(start="orthogonal"),
            ),
            H(
                "the share of the fall small enough",
                unchecked("how small is a constant of the proof"),
            ),
            H(r"$\varepsilon\to0$", small_limit("ε", "sizes")),
        ),
    ),
    Entry(
        "thm-signs",
        (
            PAIRED,
            replace(WEIGHTS, words=r"$Q\ge0$ quadratic in $t$: $\lambda_2,\lambda_3\ge0$"),
            H(r"$\lambda_4=0$", zero_size("norm"), changed(norm=1e-8)),
        ),
    ),
    Entry(
        "lem-comparison",
        (
            H("$d$ and $n_k$ fixed", p.one_value("d"), p.two_dimensions),
            H(
                r"$|t^\star_q|=O(m^{-1/4})$: $\lVert W_Q\rVert_{2,4}$ bounded in $m$",
                comparison_norms,
                changed(norm_of_movement="F"),
            ),
            H(r"$m\to\infty$", limit("m", "m")),
        ),
        claims=("landscape-floor",),
    ),
    Entry(
        "cor-signs",
        (
            H(
                r"$\nabla_tL_\lambda(W)=0$, up to 1 % of its start",
                only(
                    CERTIFIED,
                    p.at_most(
                        lambda r: r.summary["end_gradient"] / r.arrays["gradient"][0],
                        0.01,
                        "over its start",
                    ),
                ),
                p.of_records(
                    lambda r: (
                        with_summary(r, end_gradient=float(np.max(r.arrays["gradient"])))
                        if r.experiment == CERTIFIED
                        else r
                    )
                ),
            ),
            H(
                r"$\lambda_{\min}\ge-\delta$, $\delta$ small beside $|\lambda_{\min}|$ at $W=0$",
                only(CERTIFIED, p.at_most(_depth, 0.05, "δ over it")),
                PLATEAU,
            ),
            PAIRED,
            H(r"order: $d$ fixed", p.one_value("d"), p.two_dimensions),
            replace(ON_SPHERE, words=r"order: inputs on $S^{d-1}(\sqrt d)$"),
            replace(BOUNDED_BY_ONE, words=r"order: $|\sigma'|,|\sigma''|\le1$"),
            H(
                r"order: $\lVert t_L\rVert_F$, $\lVert W_Q\rVert_{2,4}$ bounded in $m$",
                comparison_norms,
                changed(norm_of_movement="F"),
            ),
            H(
                r"order: $\lVert W\rVert_{2,4}$ bounded in $m$",
                p.no_growth("landscape-run", "norm_2_4"),
                p.of_records(lambda r: with_summary(r, norm_2_4=r.config["m"] ** 0.25)),
            ),
            H(r"order: $m\to\infty$", limit("m", "m")),
        ),
        claims=("landscape-floor",),
    ),
)
