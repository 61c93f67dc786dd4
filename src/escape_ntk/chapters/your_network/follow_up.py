"""Experiment that goes on where the study of real data stops: more labels, and cross-entropy.

Declared before its first counted run, after the study was known and after trials on the seeds 101
and 102, which count nowhere.

*More labels.*  As in the study: same methods, settings and seeds.  Elevation at n = 480 and 960,
all ten digits at 480, diabetes at 196: as many as leave 50 rows to judge by, or as many as there is
time for (of digits there are rows for 873).  The study has the other sets where their rows end, or
near it.  300 steps as before, so that n alone changes; in a trial on elevation
the last moment was the best one.  Expected, with each set at its largest n: the gain of R_2 over
plain training, both stopped early, is smaller than with 30 labels, and none on the mean over the
sets; weight decay is not beaten.

*Cross-entropy*, in training, in validation and on the test rows, for the five sets with classes: 60
and 240 labels where the study has these sizes, else its largest.  The four networks alone; ridge
regressions minimise squares.  A step is 1/(curvature at θ₀) as in the study, for the curvature that
this loss has where all classes are alike; λ and weight decay by momentum have the
study's grids in units of that curvature, AdamW's decay that of the study.  Expected on the mean
over the sets, all stopped early: R_2 has a lower loss than plain training, not than weight decay,
nor than random directions.

Bars are those of the study: the 95 % interval of the mean over the sets, on one side of 1.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from escape_ntk import checks
from escape_ntk.chapters.your_network import study
from escape_ntk.chapters.your_network.copies import Copies
from escape_ntk.chapters.your_network.losses import LOSSES, Loss
from escape_ntk.chapters.your_network.real_sets import SETS, Parts
from escape_ntk.study.point import Draws, Point

MORE = (("diabetes", 196), ("elevation", 480), ("elevation", 960), ("digits", 480))
"""Set and labels beyond those of the study."""
NETWORKS = tuple(study.NETWORKS)
CLASSES = tuple(data for data in SETS if SETS[data].classes)


@dataclass(frozen=True)
class FollowUp(study.RealData):
    """:class:`~escape_ntk.chapters.your_network.study.RealData` with a ``loss`` to train by."""

    experiment: ClassVar[str] = "good-directions-more"
    draws: ClassVar[Draws] = Draws()

    loss: str = "squares"

    def __post_init__(self):
        super().__post_init__()
        checks.one_of("loss", self.loss, tuple(LOSSES))
        if self.loss == "cross-entropy":
            checks.one_of("set for cross-entropy", self.data, CLASSES)

    @property
    def trained_by(self) -> Loss:
        """The loss of this name."""
        return LOSSES[self.loss]

    def solve(self, copies: Copies, kernel: study.Spectrum, parts: Parts) -> dict[str, np.ndarray]:
        """As in the study, for squares; nothing for another loss."""
        return super().solve(copies, kernel, parts) if self.loss == "squares" else {}


def cell(seed: int, data: str, n: int, network: str, loss: str = "squares") -> FollowUp:
    """One run; λ in units of the curvature that the loss has at θ₀."""
    point = FollowUp(**dataclasses.asdict(study.cell(seed, data, n, network)), loss=loss)
    units = point.trained_by.curvature(SETS[data].outputs) / LOSSES["squares"].curvature(1)
    return dataclasses.replace(point, leaks=tuple(leak * units for leak in point.leaks))


def entropy_sizes(data: str) -> list[int]:
    """60 and 240 labels where the study has them, else its largest n."""
    there = study.sizes_of(data)
    return [n for n in (60, 240) if n in there] or there[-1:]


def more_points(seeds: Sequence[int]) -> list[FollowUp]:
    """More labels, by squares."""
    return [cell(seed, *at, name) for at in MORE for seed in seeds for name in NETWORKS]


def entropy_points(seeds: Sequence[int]) -> list[FollowUp]:
    """By cross-entropy."""
    cells = [(data, n, name) for data in CLASSES for n in entropy_sizes(data) for name in NETWORKS]
    return [cell(seed, *at, "cross-entropy") for at in cells for seed in seeds]


def live_points(seeds: Sequence[int]) -> list[Point]:
    """Iris, a few steps."""
    return [
        dataclasses.replace(cell(seed, "iris", 30, name, "cross-entropy"), steps=40)
        for seed in seeds
        for name in NETWORKS
    ]


def full_points(seeds: Sequence[int]) -> list[Point]:
    """What the claims rest on."""
    return [*entropy_points(seeds), *more_points(seeds)]
