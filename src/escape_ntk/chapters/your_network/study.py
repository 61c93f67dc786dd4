"""Experiment behind the page *Use it on your own network*: when does R_2 help, on real data?

Seven sets, n = 30, 60, 120, 240 labels to train on as far as rows are left, as many others to
choose by, two networks, ten seeds.  Every method chooses on the same n labels: of 18 settings, and
for a network that is *stopped* of 18 moments as well; Gaussians have two knobs and 70 settings, a
cut-off as many ranks as differ.  The networks of all settings are trained side by side.

Declared before the first counted run, after trials on the seeds 101 to 103, which count nowhere:
all sets, sizes, settings and seeds below, and what is expected.  R_2 is expected to beat plain
training stopped early and the network's own tangent kernel, on the mean over the sets; not to beat
weight decay, nor random directions; to be level with Gaussians.  Grids end where a method turns
into another: λ → 0 and decay → 0 are plain training, a large decay or ridge predicts the mean,
n_k = 1 is the least; a large λ forbids f_L outside the learnable directions.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from escape_ntk import checks
from escape_ntk.chapters.your_network.copies import Copies, dense, pooled
from escape_ntk.chapters.your_network.losses import LOSSES, Loss
from escape_ntk.chapters.your_network.modules import default_module
from escape_ntk.chapters.your_network.real_sets import SETS, Part, Parts, classes_of, divide
from escape_ntk.study.point import Draws, Point, Result
from escape_ntk.study.sampling import finite
from escape_ntk.training.run import UNSAVED, Run

SEEDS = tuple(range(1, 11))
SIZES = (30, 60, 120, 240)
LEAST_TEST = 50
"""Rows that must be left to judge by."""
NETWORKS: dict[str, dict[str, Any]] = {
    "tanh": {
        "hidden": (64,),
        "optimizer": "momentum",
        "rate": 1.0,
        "leaks": (0.03, 0.2, 1.5, 10.0, 70.0, 500.0),
        "decays": (1e-5, 1.0),
    },
    "relu": {
        "hidden": (32, 32, 32),
        "optimizer": "adam",
        "rate": 0.003,
        "leaks": (0.1, 1.0, 10.0, 100.0, 1e3, 1e4),
        "decays": (1e-3, 30.0),
    },
}
"""One layer of tanh by gradient descent with momentum, three of ReLU by AdamW; their grids."""
TRAINED = ("leak", "random", "decay", "plain")
"""R_2, R_2 with random directions in place of the learnable ones, weight decay, no penalty."""
SOLVED = ("ntk", "cutoff", "rbf", "ridge")
"""Ridge with the network's kernel at θ₀, its spectral cut-off; ridge with Gaussians; linear."""


@dataclass(frozen=True)
class RealData(Point):
    """All methods on one draw of rows and weights.

    ``shares``: n_k over the n·C outputs; ``leaks``: λ.  As (least, largest), evenly in log:
    ``decays``, of AdamW, or over the curvature of the risk at θ₀; ``ridges``, over the mean
    eigenvalue.  As (least, largest, count): ``bandwidths``, over the median distance, and
    ``rbf_ridges``.  ``rate``: of Adam, or the step over 1/(curvature at θ₀, penalties included).
    """

    experiment: ClassVar[str] = "good-directions-study"
    draws: ClassVar[Draws] = Draws()

    seed: int
    data: str
    n: int
    network: str
    hidden: tuple[int, ...]
    optimizer: str
    rate: float
    leaks: tuple[float, ...]
    decays: tuple[float, float]
    shares: tuple[float, ...] = (0.03, 0.13, 0.5)
    ridges: tuple[float, float] = (1e-6, 1e3)
    bandwidths: tuple[float, float, int] = (0.125, 8.0, 10)
    rbf_ridges: tuple[float, float, int] = (1e-5, 10.0, 7)
    steps: int = 300
    moments: int = 20
    most_test: int = 500

    def __post_init__(self):
        checks.one_of("set", self.data, tuple(SETS))
        checks.one_of("network", self.network, tuple(NETWORKS))
        checks.one_of("optimizer", self.optimizer, ("momentum", "adam"))
        for name in ("steps", "moments"):
            checks.integer(name, getattr(self, name), least=2)
        checks.number("rate", self.rate, least=0, strict=True)

    @property
    def trained_by(self) -> Loss:
        """What networks are trained, chosen and judged by."""
        return LOSSES["squares"]

    @property
    def settings(self) -> int:
        """How many each method may choose from."""
        return len(self.shares) * len(self.leaks)

    def compute(self, run: Run = UNSAVED) -> Result:
        """Per method ``loss_…``, ``accuracy_…`` on the test rows, and the setting that was chosen.

        Networks have ``…_end`` and ``…_stopped``.  Drawn from the seed, in this order: the rows,
        the weights, the random directions.
        """
        generator = torch.Generator().manual_seed(self.seed)
        parts = divide(self.data, self.n, self.most_test, generator)
        sizes = (SETS[self.data].width, *self.hidden, SETS[self.data].outputs)
        copies = Copies(default_module(lambda: dense(sizes, self.network), generator), self.network)
        kernel = Spectrum.of(copies, parts.train)
        most = max(kernel.count(share) for share in self.shares)
        drawn = torch.randn(len(kernel.values), most, generator=generator, dtype=torch.float64)
        random = torch.linalg.qr(drawn).Q
        curves = run.once("networks", lambda part: self.train(copies, kernel, random, parts))
        solved = self.solve(copies, kernel, parts)
        summary, arrays = {}, {"times": self.times}
        for method in TRAINED:
            got = np.asarray(curves[method])
            for when, at in (("end", got[:, -1:]), ("stopped", got)):
                summary |= chosen(f"{method}_{when}", at)
            arrays[method] = extract(got)
        for method, got in solved.items():
            summary |= chosen(method, got[:, None])
            arrays[method] = got
        return finite(summary), arrays

    @property
    def times(self) -> np.ndarray:
        """The moments at which training may stop: 0, and about evenly spaced in log."""
        return np.unique(np.round(np.geomspace(1, self.steps + 1, self.moments))).astype(int) - 1

    def train(
        self, copies: Copies, kernel: "Spectrum", random: Tensor, parts: Parts
    ) -> dict[str, np.ndarray]:
        """Method → (settings, moments, 3): validation loss, test loss, test accuracy."""
        grid = [(kernel.count(share), leak) for share in self.shares for leak in self.leaks]
        m, most = self.settings, random.shape[1]
        strengths = torch.tensor([leak for _, leak in grid]).repeat(2)
        kept = torch.arange(most) < torch.tensor([[k] for k, _ in grid])
        bases = [kernel.vectors[:, :most].float(), random.float()]
        decay = torch.zeros(3 * m + 1)
        decay[2 * m : -1] = torch.from_numpy(np.geomspace(*self.decays, m))
        if self.optimizer == "adam":
            rule = Adam(self.rate, decay)
        else:
            top, stiff = float(kernel.values[0]), torch.zeros(len(decay))
            stiff[:m] = torch.tensor([float(kernel.values[k]) for k, _ in grid])
            outside = {k: kernel.outside(random[:, :k]) for k in dict(grid)}
            stiff[m : 2 * m] = torch.tensor([outside[k] for k, _ in grid])
            stiff[: 2 * m] *= strengths
            top *= self.trained_by.curvature(parts.train.Y.shape[1])
            rule = Momentum(self.rate / (top * (1 + decay) + 2 * stiff), top * decay)
        penalty = LinearPenalty(strengths, bases, kept.float().repeat(2, 1))
        curves = descend(copies, parts, penalty, rule, self.times, self.trained_by)
        return dict(zip(TRAINED, np.split(curves, [m, 2 * m, 3 * m]), strict=True))

    def solve(self, copies: Copies, kernel: "Spectrum", parts: Parts) -> dict[str, np.ndarray]:
        """Method → (settings, 3), as :meth:`train` but without moments."""
        m, X, Y = self.settings, parts.train.X, parts.train.Y
        ridges = np.geomspace(*self.ridges, m)
        counts = np.unique(np.round(np.geomspace(1, kernel.rank, m)).astype(int))
        out = {}
        for method, dual in (
            ("ntk", [kernel.ridge(pooled(Y), ridge) for ridge in ridges]),
            ("cutoff", [kernel.cut(pooled(Y), int(count)) for count in counts]),
        ):
            movements = (torch.stack(dual).float() @ kernel.features).float()
            moved = copies.moved(movements)
            out[method] = judged(parts, lambda part, moved=moved: copies.linear(moved, part.X))
        rows, scale = [], float(torch.pdist(X).median())
        fine = np.geomspace(*self.rbf_ridges)
        for width in np.geomspace(*self.bandwidths):

            def gaussian(A: Tensor, B: Tensor, width=width) -> Tensor:
                return torch.exp(
                    -torch.cdist(A.double(), B.double()).square() / 2 / (width * scale) ** 2
                )

            rows.append(kernel_ridge(gaussian, parts, fine))
        out["rbf"] = np.concatenate(rows)
        out["ridge"] = kernel_ridge(lambda A, B: A.double() @ B.double().T, parts, ridges)
        return out


@dataclass(frozen=True)
class Spectrum:
    """The tangent kernel of the n·C training outputs, over n·C: μ_j descending, and vectors."""

    features: Float[Tensor, "m P"]
    values: Float[Tensor, " m"]
    vectors: Float[Tensor, "m m"]

    @classmethod
    def of(cls, copies: Copies, train: Part) -> "Spectrum":
        """At θ₀."""
        features = copies.jacobian(train.X)
        values, vectors = torch.linalg.eigh((features @ features.T).double() / len(features))
        return cls(features, values.flip(0).clamp(min=0), vectors.flip(1))

    @property
    def rank(self) -> int:
        """Eigenvalues above 10⁻⁶ of the largest: float32 features carry no more."""
        return int((self.values > 1e-6 * self.values[0]).sum())

    def count(self, share: float) -> int:
        """n_k of a share of the outputs, at least 1."""
        return max(1, round(share * len(self.values)))

    def outside(self, basis: Float[Tensor, "m k"]) -> float:
        """The largest eigenvalue of (I − QQᵀ) K/m (I − QQᵀ)."""
        v = torch.ones(len(basis), dtype=basis.dtype)
        size = 0.0
        for _ in range(50):
            v = v / v.norm()
            v = v - basis @ (basis.T @ v)
            v = self.vectors @ (self.values * (self.vectors.T @ v))
            v = v - basis @ (basis.T @ v)
            size = float(v.norm())
        return size

    def ridge(self, y: Float[Tensor, " m"], ridge: float) -> Float[Tensor, " m"]:
        """(K + ρ tr K/m)⁻¹y."""
        shifted = self.values + ridge * self.values.mean()
        return self.vectors @ (self.vectors.T @ y.double() / shifted) / len(y)

    def cut(self, y: Float[Tensor, " m"], count: int) -> Float[Tensor, " m"]:
        """U_kΛ_k⁻¹U_kᵀy."""
        top = self.vectors[:, :count]
        return top @ (top.T @ y.double() / self.values[:count]) / len(y)


@dataclass(frozen=True)
class LinearPenalty:
    """λ (1/m)‖(I − QQᵀ)f_L‖² of the first copies; each keeps some columns of its basis."""

    strengths: Float[Tensor, " S"]
    bases: Sequence[Tensor]
    kept: Float[Tensor, "S k"]

    def gradient(self, f: Float[Tensor, "S m"]) -> Float[Tensor, "S m"]:
        """(2λ/m)(I − QQᵀ)f; the copies share the bases in equal parts."""
        each = len(f) // len(self.bases)
        inside = [
            ((g @ Q) * kept) @ Q.T
            for g, Q, kept in zip(f.split(each), self.bases, self.kept.split(each), strict=True)
        ]
        return (f - torch.cat(inside)) * (2 / f.shape[1] * self.strengths)[:, None]


@dataclass(frozen=True)
class Momentum:
    """torch's SGD with momentum 0.9: v ← 0.9 v + g + wθ, θ ← θ − ηv, with η and w of each copy."""

    rate: Float[Tensor, " S"]
    decay: Float[Tensor, " S"]

    def step(self, p: Tensor, g: Tensor, v: Tensor, _: Tensor, count: int) -> None:
        """Changes p and v."""
        v.mul_(0.9).add_(g).addcmul_(each(self.decay, p), p)
        p.addcmul_(each(self.rate, p), v, value=-1)


@dataclass(frozen=True)
class Adam:
    """torch's AdamW at its defaults, with the decay of each copy."""

    rate: float
    decay: Float[Tensor, " S"]

    def step(self, p: Tensor, g: Tensor, first: Tensor, second: Tensor, count: int) -> None:
        """Changes p and both moments."""
        bias, root = 1 - 0.9**count, math.sqrt(1 - 0.999**count)
        p.mul_(1 - self.rate * each(self.decay, p))
        first.lerp_(g, 0.1)
        second.mul_(0.999).addcmul_(g, g, value=0.001)
        p.addcdiv_(first, (second.sqrt() / root).add_(1e-8), value=-self.rate / bias)


def each(values: Float[Tensor, " S"], like: Tensor) -> Tensor:
    """A number for each copy, in the shape that multiplies ``like`` (S, …)."""
    return values.view(-1, *[1] * (like.ndim - 1))


def descend(
    copies: Copies,
    parts: Parts,
    penalty: LinearPenalty,
    rule: "Momentum | Adam",
    times: np.ndarray,
    loss: Loss,
) -> np.ndarray:
    """(S, times, 3), see :func:`judged`: the loss of all rows in each step.

    The penalty is that of the first copies.  One that diverges has NaN from then on.
    """
    X = parts.train.X
    weights, there, count = (
        copies.repeated(len(rule.decay)),
        copies.at_start(X),
        len(penalty.strengths),
    )
    state = [(torch.zeros_like(p), torch.zeros_like(p)) for p in weights]

    def errors(f: Tensor, linear: Callable[[int], Tensor]) -> tuple[Tensor, Tensor]:
        f_L = linear(count)
        return loss.slope(f, parts.train), penalty.gradient(f_L.flatten(1)).view_as(f_L)

    curves: list[np.ndarray] = []
    for done in range(int(times[-1]) + 1):
        if done in times:
            curves.append(judged(parts, lambda part: copies.outputs(weights, part.X), loss))
        gradients = copies.gradients(weights, X, there, errors)
        for p, g, kept in zip(weights, gradients, state, strict=True):
            rule.step(p, g, *kept, done + 1)
    return np.stack(curves, axis=1)


def judged(parts: Parts, predict, loss: Loss = LOSSES["squares"]) -> np.ndarray:
    """(S, 3): the loss on the validation and the test rows, and the accuracy on the latter."""
    columns = []
    for part in (parts.validation, parts.test):
        f = predict(part)
        columns.append(loss.judge(f, part).double())
    lost = torch.full_like(columns[-1], math.nan)
    if parts.test.labels is None:
        columns.append(lost)
    else:
        right = (classes_of(f) == parts.test.labels).double().mean(1)
        columns.append(torch.where(columns[-1].isfinite(), right, lost))
    return torch.stack(columns, dim=1).numpy()


def kernel_ridge(kernel, parts: Parts, ridges: np.ndarray) -> np.ndarray:
    """(ridges, 3): f(z) = k(z, X)(K + ρ tr K/n)⁻¹Y for each ρ."""
    K = kernel(parts.train.X, parts.train.X)
    values, vectors = torch.linalg.eigh(K)
    shifted = values.clamp(min=0) + torch.from_numpy(ridges)[:, None] * K.trace() / len(K)
    dual = vectors @ ((vectors.T @ parts.train.Y.double()) / shifted[..., None])
    return judged(parts, lambda part: kernel(part.X, parts.train.X) @ dual)


def chosen(name: str, curves: np.ndarray) -> dict[str, float]:
    """What validation chooses of (settings, moments, 3): test loss, accuracy, setting, moment."""
    validation = np.where(np.isnan(curves[..., 0]), np.inf, curves[..., 0])
    i, j = np.unravel_index(validation.argmin(), validation.shape)
    told = {"loss": curves[i, j, 1], "accuracy": curves[i, j, 2], "setting": i, "moment": j}
    return {f"{what}_{name}": float(value) for what, value in told.items()}


def extract(curves: np.ndarray) -> np.ndarray:
    """(settings, 5) of (settings, moments, 3): losses at the end, at the best moment, and which."""
    validation = np.where(np.isnan(curves[..., 0]), np.inf, curves[..., 0])
    best = validation.argmin(1)
    rows = np.arange(len(curves))
    return np.column_stack([curves[:, -1, :2], curves[rows, best, :2], best])


def sizes_of(data: str) -> list[int]:
    """The n of :data:`SIZES` that leave rows enough to judge by."""
    return [n for n in SIZES if SETS[data].rows >= 2 * n + LEAST_TEST]


CELLS = [(data, n, network) for data in SETS for n in sizes_of(data) for network in NETWORKS]
"""Set, labels to train on, network."""


def study_points(seeds: Sequence[int]) -> list[RealData]:
    """Every cell, seed by seed."""
    return [cell(seed, *which) for seed in seeds for which in CELLS]


def cell(seed: int, data: str, n: int, network: str) -> RealData:
    """One run."""
    return RealData(seed, data, n, network, **NETWORKS[network])


def slow_points(seeds: Sequence[int]) -> list[RealData]:
    """60 digits with a tenth of the step and ten times as many: is it the step?"""
    cells = (cell(seed, "digits-38", 60, "tanh") for seed in seeds)
    return [dataclasses.replace(point, rate=0.1, steps=3000) for point in cells]


def live_points(seeds: Sequence[int]) -> list[Point]:
    """Iris, a few steps."""
    return [
        dataclasses.replace(cell(seed, "iris", 30, network), steps=40)
        for seed in seeds
        for network in NETWORKS
    ]


def full_points(seeds: Sequence[int]) -> list[Point]:
    """What the claims rest on."""
    return [*study_points(seeds), *slow_points(seeds)]
