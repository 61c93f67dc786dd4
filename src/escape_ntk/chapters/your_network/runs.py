"""Experiment behind the page *Use it on your own network*: R_2 on an ordinary network, small data.

A tanh network on two handwritten digits, trained plainly, with R_2, and with weight decay.  The
strength of a penalty is chosen on validation images, once for training to the end and once with the
best moment of training chosen as well.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from escape_ntk import checks
from escape_ntk.chapters.your_network import chapter, follow_up
from escape_ntk.chapters.your_network import modules as any_module
from escape_ntk.chapters.your_network import study as real_data
from escape_ntk.chapters.your_network.layer_sweep import sweep_points
from escape_ntk.chapters.your_network.modules import default_module
from escape_ntk.models.images import Images, digits
from escape_ntk.models.modules import ModuleFeatures, empirical_leak
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.study.point import Draws, Point, Result
from escape_ntk.study.sampling import accuracy, finite
from escape_ntk.training.run import UNSAVED, Run

METHODS = ("plain", "leak", "decay", "random")
"""No penalty, R_2, torch's weight decay, and R_2 with random directions, as many as learnable."""
LEAKS = ("leak", "random")


def network(width: int, generator: torch.Generator) -> nn.Module:
    """8×8 pixels, ``width`` tanh neurons, one output; torch's default initialisation."""
    layers = nn.Flatten, lambda: nn.Linear(64, width), nn.Tanh, lambda: nn.Linear(width, 1)
    return default_module(lambda: nn.Sequential(*(make() for make in layers)), generator)


class RandomDirections:
    """Takes the place of a TrainingProjector: n_k random directions of the outputs are kept.

    The negative control of R_2: a penalty of the same form that knows nothing of the kernel.
    """

    def __init__(self, features: ModuleFeatures, n_k: int, generator: torch.Generator):
        self.features = features
        drawn = torch.randn(len(features), n_k, generator=generator, dtype=torch.float64)
        self.basis = torch.linalg.qr(drawn).Q.to(features.X)

    def high_outputs(self, outputs: Tensor) -> Tensor:
        """(I − QQᵀ)f for outputs f (n,)."""
        return outputs - self.basis @ (self.basis.T @ outputs)


@dataclass(frozen=True)
class OwnNetwork(Point):
    """Test loss and accuracy of the four methods on one draw of images and weights."""

    experiment: ClassVar[str] = "own-network"
    draws: ClassVar[Draws] = Draws(tools=("TrainingProjector",))

    seed: int
    classes: tuple[int, int] = (3, 8)
    n: int = 60
    n_test: int = 228
    width: int = 256
    n_k: int = 5
    leaks: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
    decays: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    step: float = 0.02
    steps: int = 2000
    every: int = 50

    def __post_init__(self):
        for name, least in (("n", 2), ("width", 1), ("steps", 1), ("every", 1)):
            checks.integer(name, getattr(self, name), least=least)
        checks.number("step", self.step, least=0, strict=True)
        if self.steps % self.every:
            raise checks.InputError(
                checks.message(
                    expected="steps that are a multiple of every",
                    got=f"{self.steps} and {self.every}",
                    remedy="for example 800 and 20",
                )
            )

    def compute(self, run: Run = UNSAVED) -> Result:
        """Per method ``…_end`` and ``…_stopped``; ``loss_…`` and ``accuracy_…`` on the test images.

        Drawn from the seed, in this order: the images, n to train on, n to choose by, n_test to
        judge by; the weights.  A run that diverges has NaN and is not chosen.
        """
        generator = torch.Generator().manual_seed(self.seed)
        split = digits(generator, self.classes, n_train=2 * self.n, n_test=self.n_test)
        rows = torch.arange(2 * self.n)
        train, validation = split.train.rows(rows[::2]), split.train.rows(rows[1::2])
        seed = int(torch.randint(2**31, (), generator=generator))
        grids = dict(zip(METHODS, ((0.0,), self.leaks, self.decays, self.leaks), strict=True))
        summary, arrays = {}, {}
        for method, strengths in grids.items():
            curves = np.array(
                [
                    self.train(seed, train, (validation, split.test), method, strength)
                    for strength in strengths
                ]
            )
            summary |= chosen(method, strengths, curves)
            arrays[method] = curves
        return finite(summary), {**arrays, "times": np.arange(0, self.steps + 1, self.every)}

    def train(
        self, seed: int, train: Images, judges: Sequence[Images], method: str, strength: float
    ) -> np.ndarray:
        """(moments, 5): losses and accuracies on both judges, and R_2, every so many steps."""
        generator = torch.Generator().manual_seed(seed)
        module = network(self.width, generator)
        features = ModuleFeatures(module, train.X, keep=True)
        projector = TrainingProjector(features, self.n_k)
        random = RandomDirections(features, self.n_k, generator)
        penalized = random if method == "random" else projector
        decay = strength if method == "decay" else 0.0
        optimizer = torch.optim.SGD(module.parameters(), lr=self.step, weight_decay=decay)
        moments = []
        for done in range(self.steps + 1):
            optimizer.zero_grad()
            loss = (module(train.X)[:, 0] - train.y).square().mean()
            if not bool(loss.isfinite()):
                break
            if method in LEAKS:
                leak = empirical_leak(features, penalized, features.movement())
                loss = loss + strength * leak
            if done % self.every == 0:
                moved = features.movement().detach()
                good = float(empirical_leak(features, projector, moved))
                moments.append([*(x for j in judges for x in judged(module, j)), good])
            loss.backward()
            optimizer.step()
        lost = self.steps // self.every + 1 - len(moments)
        return np.array(moments + [[math.nan] * 5] * lost)


def judged(module: nn.Module, images: Images) -> tuple[float, float]:
    """(mean square, accuracy)."""
    with torch.no_grad():
        prediction: Tensor = module(images.X)[:, 0]
    loss = float((prediction - images.y).square().mean())
    return (loss, accuracy(prediction, images.y)) if math.isfinite(loss) else (math.nan, math.nan)


def chosen(method: str, strengths: Sequence[float], curves: np.ndarray) -> dict[str, float]:
    """What validation chooses of ``curves`` (strengths, moments, 5): at the end, and any moment."""
    validation = np.where(np.isnan(curves[..., 0]), np.inf, curves[..., 0])
    end = int(validation[:, -1].argmin())
    best, moment = np.unravel_index(validation.argmin(), validation.shape)
    out = {}
    for when, i, j in (("end", end, -1), ("stopped", int(best), int(moment))):
        _, _, loss, share, leak = curves[i, j]
        out |= {
            f"loss_{method}_{when}": loss,
            f"accuracy_{method}_{when}": share,
            f"leak_{method}_{when}": leak,
            f"strength_{method}_{when}": strengths[i],
        }
    return out


SEEDS = tuple(range(1, 11))


def full_points(seeds: Sequence[int]) -> list[Point]:
    """One point a seed, and the checks of the generic Taylor terms."""
    return [*any_module.points(), *sweep_points(), *(OwnNetwork(seed) for seed in seeds)]


def live_points(seeds: Sequence[int]) -> list[Point]:
    """One strength each, fewer steps."""
    return [OwnNetwork(seed, leaks=(1.0,), decays=(0.1,), steps=500) for seed in seeds]


chapter.experiment(
    "own-network",
    "R_2 on an ordinary network for two digits, beside weight decay and early stopping",
    SEEDS,
    live_points,
    full_points,
)
chapter.experiment(
    "good-directions-study",
    "When R_2 helps: seven sets of real data, beside stopping, weight decay, kernels and ridge",
    real_data.SEEDS,
    real_data.live_points,
    real_data.full_points,
)
chapter.experiment(
    "good-directions-more",
    "More labels than in the study of real data, and cross-entropy in the place of mean squares",
    real_data.SEEDS,
    follow_up.live_points,
    follow_up.full_points,
)
