"""Claims of the chapter *Convolutional networks*: which Taylor terms follow a trained network.

ReLU, the authors' activation, and GELU are judged apart: five seeds each, the same five splits.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from escape_ntk.chapters.cnn import chapter
from escape_ntk.chapters.cnn import runs as e
from escape_ntk.numerics.stats import Numbers
from escape_ntk.records.store import Record
from escape_ntk.study.claims import (
    Finding,
    Measure,
    Runs,
    Value,
    Verdict,
    at_least,
    at_most,
    ratio_one,
)

POINTS = e.full_points(e.SEEDS)
EARLY = 10.0
"""Epochs at which the network is still near its start."""


ByActivation = Mapping[str, list[float]]


def by_activation(points: Sequence[e.Convolutional], value: Value[float]) -> Measure[ByActivation]:
    """Measures ``value(record, broken)`` of every point, by activation."""

    def measure(runs: Runs, broken: bool) -> ByActivation:
        found: dict[str, list[float]] = {}
        for record in runs(points):
            found.setdefault(record.config["activation"], []).append(value(record, broken))
        return found

    return measure


def apart(judge: Callable[[Numbers], Finding]) -> Callable[[ByActivation], Finding]:
    """Judges each activation by itself: reproduced when all are, partly when one is, even partly.

    What was measured stands below the name of the activation, and so does its verdict.
    """

    def both(values: ByActivation) -> Finding:
        found = {activation: judge(own) for activation, own in values.items()}
        verdicts = {one.verdict for one in found.values()}
        told = {a: {"verdict": str(one.verdict), **one.measured} for a, one in found.items()}
        return Finding(verdicts.pop() if len(verdicts) == 1 else Verdict.PARTLY, told)

    return both


def early(record: Record, name: str) -> float:
    """A measurement after :data:`EARLY` epochs, at the last recorded moment up to then."""
    at = int(np.searchsorted(record.arrays["times"], EARLY, side="right")) - 1
    return float(record.arrays[name][at])


def order(record: Record, broken: bool) -> float:
    """The larger of f over f_L + f_Q and f_L + f_Q over f_L, in test loss; below 1 if in order."""
    s = record.summary
    last = s["test_loss_limit"] if broken else s["test_loss_linear"]
    return max(s["test_loss_network"] / s["test_loss_quadratic"], s["test_loss_quadratic"] / last)


chapter.claim(
    "cnn-order",
    "After equally long training on digits the test losses are in the order f, then f_L + f_Q, "
    "then f_L.",
    source="M",
    target="both ratios below 1",
    tolerance="each of five seeds, ReLU and GELU apart",
    broken="f_L trained endlessly in the place of f_L",
    judge=apart(at_most(1.0)),
    measure=by_activation(POINTS, order),
)


def nearer(record: Record, broken: bool) -> float:
    """Distance of f from the trained f_L + f_Q over that from the trained f_L.

    Other test images: half of the set further on.
    """
    f, quadratic, linear = record.arrays["predictions"].astype(np.float64)
    if broken:
        quadratic = np.roll(quadratic, len(quadratic) // 2)
    return float(np.linalg.norm(f - quadratic) / np.linalg.norm(f - linear))


chapter.claim(
    "cnn-nearer",
    "The trained f_L + f_Q is nearer to the trained network than the trained f_L is.",
    source="M",
    target="ratio of the distances below 1",
    tolerance="each of five seeds, ReLU and GELU apart",
    broken="f_L + f_Q at other test images",
    judge=apart(at_most(1.0)),
    measure=by_activation(POINTS, nearer),
)


def own(record: Record, broken: bool) -> float:
    """rms of f less its own Taylor terms over that of f, on the test images.

    The control's are those of an early moment.
    """
    if broken:
        return early(record, "own_quadratic") / early(record, "size_network")
    return record.summary["own_quadratic"] / record.summary["size_network"]


chapter.claim(
    "cnn-own",
    "The trained network has left the region of its own Taylor terms: their error at its own "
    "movement is more than half its size.",
    source="M",
    target="at least 1/2",
    tolerance="each of five seeds, ReLU and GELU apart",
    broken="at an early moment of training",
    judge=apart(at_least(0.5)),
    measure=by_activation(POINTS, own),
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
    tolerance="each of five seeds, ReLU and GELU apart",
    broken="f_L trained as long as f_L + f_Q",
    judge=apart(at_most(1.0)),
    measure=by_activation(POINTS, endless),
)


def at_training_loss(record: Record, model: str, goal: float) -> float:
    """Test loss of a model when its training loss, its lowest so far, first falls to ``goal``."""
    a = record.arrays
    lowest = np.minimum.accumulate(a[f"train_loss_{model}"])
    when = np.interp(-goal, -lowest, a["times"])
    return float(np.interp(when, a["times"], a[f"test_loss_{model}"]))


def at_equal_training_loss(record: Record, broken: bool) -> float:
    """Test loss of f over that of f_L + f_Q, at the training loss at which the latter ends."""
    s = record.summary
    f = at_training_loss(record, "network", s["train_loss_quadratic"])
    return (s["test_loss_network"] if broken else f) / s["test_loss_quadratic"]


chapter.claim(
    "cnn-equal",
    "At equal training loss, f has the test loss of f_L + f_Q.",
    source="M",
    target="ratio 1",
    tolerance="95 % interval of the mean over five seeds within [0.8, 1.25], ReLU and GELU apart",
    broken="at equal time, the end of the budget",
    judge=apart(ratio_one(0.8, 1.25)),
    measure=by_activation(POINTS, at_equal_training_loss),
    after="the claim",
)


# ---------------------------------------------------------------- without end


def over_kernel(record: Record, broken: bool) -> float:
    """Test loss of f at the end of the budget over that of f_L trained endlessly."""
    s, name = record.summary, "test_loss_network"
    return (early(record, name) if broken else s[name]) / s["test_loss_limit"]


chapter.claim(
    "cnn-kernel",
    "At the end of the budget f has a lower test loss than f_L trained endlessly, which is "
    "regression with its tangent kernel: that step of the order is not one of speed.",
    source="D+M",
    target="ratio below 1",
    tolerance="each of five seeds, ReLU and GELU apart",
    broken="f after ten epochs",
    judge=apart(at_most(1.0)),
    measure=by_activation(POINTS, over_kernel),
    after="the claim",
)
