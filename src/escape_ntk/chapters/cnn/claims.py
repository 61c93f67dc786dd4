"""Claims of the chapter *Convolutional networks*: which Taylor terms follow a trained network."""

from collections.abc import Mapping

import numpy as np

from escape_ntk.chapters.cnn import chapter
from escape_ntk.chapters.cnn import runs as e
from escape_ntk.numerics.stats import Numbers
from escape_ntk.records.store import Record
from escape_ntk.study.claims import (
    Finding,
    Runs,
    at_least,
    at_most,
    each,
    ratio_one,
)

POINTS = e.full_points(e.SEEDS)
EARLY = 10.0
"""Epochs at which the network is still near its start."""


def order(record: Record, broken: bool) -> float:
    """The larger of f over f_L + f_Q and f_L + f_Q over f_L, in test loss; below 1 if in order."""
    s = record.summary
    last = s["test_loss_limit"] if broken else s["test_loss_linear"]
    return max(s["test_loss_network"] / s["test_loss_quadratic"], s["test_loss_quadratic"] / last)


chapter.claim(
    "cnn-order",
    "After equally long training on digits the test losses are in the published order: f, then "
    "f_L + f_Q, then f_L.",
    source="C+M",
    target="both ratios below 1",
    tolerance="each of ten runs: ReLU and GELU, five seeds",
    broken="f_L trained endlessly in the place of f_L",
    judge=at_most(1.0),
    measure=each(POINTS, order),
)


def nearer(record: Record, broken: bool) -> float:
    """Distance of f from the trained f_L + f_Q over that from the trained f_L.

    Other test images: half of the set further on.
    """
    f, quadratic, linear = record.arrays["predictions"]
    if broken:
        quadratic = np.roll(quadratic, len(quadratic) // 2)
    return float(np.linalg.norm(f - quadratic) / np.linalg.norm(f - linear))


chapter.claim(
    "cnn-nearer",
    "The trained f_L + f_Q is nearer to the trained network than the trained f_L is.",
    source="C+M",
    target="ratio of the distances below 1",
    tolerance="each of ten runs",
    broken="f_L + f_Q at other test images",
    judge=at_most(1.0),
    measure=each(POINTS, nearer),
)


def own(record: Record, broken: bool) -> float:
    """rms of f less its own Taylor terms over that of f, on the test images.

    Early: after :data:`EARLY` epochs, the last recorded moment up to then.
    """
    at = int(np.searchsorted(record.arrays["times"], EARLY, side="right")) - 1 if broken else -1
    return float(record.arrays["own_quadratic"][at] / record.arrays["size_network"][at])


chapter.claim(
    "cnn-own",
    "The trained network has left the region of its own Taylor terms: their error at its own "
    "movement is more than half its size.",
    source="M",
    target="at least 1/2",
    tolerance="each of ten runs",
    broken="at an early moment of training",
    judge=at_least(0.5),
    measure=each(POINTS, own),
)


def endless(record: Record, broken: bool) -> float:
    """Test loss of f_L trained endlessly over that of f_L + f_Q at the end."""
    s = record.summary
    return s["test_loss_linear" if broken else "test_loss_limit"] / s["test_loss_quadratic"]


chapter.claim(
    "cnn-endless",
    "Trained endlessly, f_L has a lower test loss than f_L + f_Q at the end of the budget.",
    source="D+M",
    target="ratio below 1",
    tolerance="each of ten runs",
    broken="f_L trained as long as f_L + f_Q",
    judge=at_most(1.0),
    measure=each(POINTS, endless),
)


def at_training_loss(record: Record, model: str, goal: float) -> float:
    """Test loss of a model when its training loss, its lowest so far, first falls to ``goal``."""
    a = record.arrays
    lowest = np.minimum.accumulate(a[f"train_loss_{model}"])
    when = np.interp(-goal, -lowest, a["times"])
    return float(np.interp(when, a["times"], a[f"test_loss_{model}"]))


def equal(ratios: Mapping[str, Numbers]) -> Finding:
    """As :func:`ratio_one` over all runs; the mean of each activation beside it."""
    got = ratio_one(0.8, 1.25)([x for values in ratios.values() for x in values])
    means = {name: float(np.mean(values)) for name, values in ratios.items()}
    return Finding(got.verdict, {**got.measured, **means})


@chapter.claim(
    "cnn-equal",
    "At equal training loss, f has the test loss of f_L + f_Q.",
    source="M",
    target="ratio 1",
    tolerance="95 % interval of the mean over ten runs within [0.8, 1.25]",
    broken="at equal time, the end of the budget",
    judge=equal,
)
def at_equal_training_loss(runs: Runs, broken: bool) -> dict[str, list[float]]:
    """Test loss of f over that of f_L + f_Q, by activation, at the training loss of the latter."""
    ratios: dict[str, list[float]] = {}
    for r in runs(POINTS):
        s = r.summary
        f = at_training_loss(r, "network", s["train_loss_quadratic"])
        value = (s["test_loss_network"] if broken else f) / s["test_loss_quadratic"]
        ratios.setdefault(r.config["activation"], []).append(value)
    return ratios
