"""What the statement of the chapter *Other ways* assumes."""

from escape_ntk.chapters.other_ways import chapter
from escape_ntk.study.hypotheses import Hypothesis as H
from escape_ntk.study.hypotheses import unchecked
from escape_ntk.study.recurring_hypotheses import ON_SPHERE
from escape_ntk.study.theorems import Entry

chapter.assume(
    Entry(
        "prop-floor-labels",
        (
            ON_SPHERE,
            H(
                "the dense part is drawn from a law that no rotation of its space changes",
                unchecked("it is how the targets are drawn"),
            ),
        ),
    )
)
