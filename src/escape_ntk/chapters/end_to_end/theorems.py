"""What the statements of the chapter *Gradient descent end to end* assume."""

from collections.abc import Sequence

from escape_ntk.chapters.end_to_end import chapter
from escape_ntk.chapters.end_to_end import claims as end_to_end
from escape_ntk.records.store import Record
from escape_ntk.study import computed_checks as p
from escape_ntk.study.hypotheses import Change, Hypothesis, changed
from escape_ntk.study.hypotheses import Hypothesis as H
from escape_ntk.study.recurring_hypotheses import LABELS, ON_SPHERE, with_summary
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
    lambda r: with_summary(r, guarantee_cross=0.0, bound=0.0) if "guarantee" in r.summary else r
)
"""Infinitely many neurons and samples."""


def _flow_terms(records: Sequence[Record]) -> list[tuple[str, float, float]]:
    return end_to_end.guarantee_terms([r for r in records if r.config["method"] == "flow"])


MEASURED = (
    r"stationary: $\lVert\nabla L_\lambda\rVert$ over its start",
    r"flat: floor of the curvature over that at $W=0$",
    r"flat enough: $\frac\delta2\lVert W_Q\rVert_F^2$ over $L_\lambda(0)$",
    r"$W^*$ is good: comparison over $L_\lambda(0)$",
    r"wide: cross over $L_\lambda(0)$",
    r"together: $\Lambda$ over $L_\lambda(0)$",
    r"enough samples: bound on the gap over the error of $f=0$",
)
"""The rows of the chapter's table, in its order: :func:`end_to_end.guarantee_terms`."""
FAILING = ("wide", "enough samples")


def _measured(place: int, words: str) -> Hypothesis:
    fails = words.startswith(FAILING)
    change: dict[str, Change] = {"mended": NO_CROSS} if fails else {"control": AT_ZERO}
    return H(words, p.kept_small(_flow_terms, place), **change)


chapter.assume(
    Entry(
        "thm-end",
        (
            H(
                r"$\lambda_1=\lambda_4=0$",
                p.no_first_nor_fourth,
                changed(penalties=(1.0, 1.0, 0, 0)),
            ),
            ON_SPHERE,
            LABELS,
            *(_measured(place, words) for place, words in enumerate(MEASURED)),
        ),
    ),
)
