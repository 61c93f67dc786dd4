"""What the networks of the study are trained by, chosen by and judged by.

Targets are those of :func:`~escape_ntk.chapters.your_network.real_sets.divide`.
"""

import math
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from escape_ntk import checks
from escape_ntk.chapters.your_network.real_sets import Part


@runtime_checkable
class Loss(Protocol):
    """A mean over rows, of S copies at once."""

    def judge(self, f: Float[Tensor, "S n C"], part: Part) -> Float[Tensor, " S"]:
        """The loss of each copy, in units of the one of who knows nothing."""
        ...

    def slope(self, f: Float[Tensor, "S C n"], part: Part) -> Float[Tensor, "S C n"]:
        """The gradient, by the outputs, of what is trained."""
        ...

    def curvature(self, outputs: int) -> float:
        """c: at θ₀ the curvature of what is trained is about c times the largest of K/(n·C)."""
        ...


class Squares:
    """(1/(n·C)) Σ (f − y)²; the targets have unit mean square, so the training mean has 1."""

    def judge(self, f: Float[Tensor, "S n C"], part: Part) -> Float[Tensor, " S"]:
        """Mean squares of all rows and outputs."""
        return (f - part.Y).square().mean((1, 2))

    def slope(self, f: Float[Tensor, "S C n"], part: Part) -> Float[Tensor, "S C n"]:
        """2(f − y)/(n·C)."""
        return (f - part.Y.T) * (2 / part.Y.numel())

    def curvature(self, outputs: int) -> float:
        """2, and exactly."""
        return 2.0


class CrossEntropy:
    """−(1/n) Σ log p(class); p is the sigmoid of one output, the softmax of several.

    Judged over log C (log 2 for one output): all classes alike have 1.
    """

    def judge(self, f: Float[Tensor, "S n C"], part: Part) -> Float[Tensor, " S"]:
        """The mean over the rows, over log C."""
        labels = _labels(part)
        if f.shape[-1] == 1:
            signed = f[..., 0] * (2 * labels - 1)
            return nn.functional.softplus(-signed).mean(1) / math.log(2)
        at_label = f.gather(-1, labels.expand(len(f), -1)[..., None])[..., 0]
        return (f.logsumexp(-1) - at_label).mean(1) / math.log(f.shape[-1])

    def slope(self, f: Float[Tensor, "S C n"], part: Part) -> Float[Tensor, "S C n"]:
        """(p − 1[class])/n."""
        labels = _labels(part)
        if f.shape[1] == 1:
            return (f.sigmoid() - labels) / len(part)
        return (f.softmax(1) - nn.functional.one_hot(labels, f.shape[1]).T) / len(part)

    def curvature(self, outputs: int) -> float:
        """1/4 for one output, 1 for several, where all classes are about alike: C times 1/C."""
        return 0.25 if outputs == 1 else 1.0


def _labels(part: Part) -> Tensor:
    if part.labels is None:
        raise checks.InputError(
            checks.message(
                expected="classes for cross-entropy",
                got="a number to predict",
                remedy="mean squares, or a set with classes",
            )
        )
    return part.labels.to(torch.long)


LOSSES: dict[str, Loss] = {"squares": Squares(), "cross-entropy": CrossEntropy()}
