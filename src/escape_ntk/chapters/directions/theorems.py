"""What the statements of the chapter *Good directions* assume."""

from dataclasses import replace

from escape_ntk.chapters.directions import chapter
from escape_ntk.study import computed_checks as p
from escape_ntk.study.hypotheses import (
    Answer,
    Setting,
    answer,
    bounded,
    changed,
    limit,
    unchecked,
)
from escape_ntk.study.hypotheses import Hypothesis as H
from escape_ntk.study.recurring_hypotheses import (
    EXACT_LAWS,
    FAIR,
    HIGH,
    LINEAR,
    ON_SPHERE,
    POPULATION,
    QUARTIC,
    SMOOTH,
    SQUARE_MEAN,
    THREE,
    WIDE,
    hermite,
    only,
    with_array,
)
from escape_ntk.study.theorems import Entry


def no_weights(setting: Setting) -> Answer:
    """No run draws frozen weights: its kernel is that of infinitely many."""
    drawn = sorted({law for run in setting.runs for law in run["weights"]})
    return answer(not drawn, f"frozen weights drawn: {', '.join(drawn) or 'none'}")


INFINITE = H(
    "infinite width",
    p.infinite_width,
    p.of_records(lambda r: with_array(r, "eigenvalues", lambda v: 1.01 * v)),
)

chapter.assume(
    Entry(
        "thm-gap",
        (
            EXACT_LAWS,
            THREE,
            SQUARE_MEAN,
            SMOOTH,
            hermite(1, lambda k: range(3), r"$\mu_0,\dots,\mu_k\ne0$, $1\le k\le2$"),
            HIGH,
        ),
    ),
    Entry(
        "thm-gram",
        (
            ON_SPHERE,
            H("infinite width", no_weights, changed(weights=("sphere",))),
            H(r"$\gamma_{>k}\ge c\,d$, $k\le2$", p.tail_share(2), LINEAR),
            H("$d^k<n<d^{k+1}$", p.between_powers, changed(n=10**9)),
            H(r"$d\to\infty$, $d^{k+\varepsilon}\le n\le d^{k+1-\varepsilon}$", limit("d", "d")),
        ),
    ),
    Entry("prop-leak-bound", (POPULATION,)),
    Entry(
        "thm-angles",
        (
            ON_SPHERE,
            INFINITE,
            H(
                r"$\Lambda_j>0$ for $j\le n_k$",
                p.infinite_gram_rank,
                p.of_records(lambda r: with_array(r, "eigenvalues", lambda v: v * (v >= v[0]))),
            ),
        ),
        claims=tuple(f"directions-angles-{o}-{k}" for o in ("first", "second") for k in (1, 2)),
    ),
    Entry(
        "prop-harmless",
        (
            H("$P_{>k}$ an orthogonal projector", p.orthogonal_projector, changed(oblique=True)),
            H(
                "$P_{>k}$ independent of $S$",
                unchecked("inputs and signs are drawn one after the other; no number can show it"),
            ),
            H(r"$\sigma'$ bounded", bounded(1), QUARTIC),
            replace(FAIR, check=only("directions-movements", FAIR.check)),
            H("$|u_r|=O(m^{-1/4})$", p.movement_scale, changed(power=0.0)),
            WIDE,
        ),
    ),
)
