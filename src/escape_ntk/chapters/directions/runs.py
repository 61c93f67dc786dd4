"""Experiments behind the chapter *Good directions*: spectra, projectors, four kinds of movement."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from escape_ntk.chapters.directions import chapter
from escape_ntk.kernels.ntk import infinite_ntk
from escape_ntk.kernels.spectrum import ntk_spectrum
from escape_ntk.models.data import draw_inputs, random_direction, random_signs
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.numerics.eigenpairs import leading_eigenpairs
from escape_ntk.numerics.polynomials import cumulative_multiplicity, gegenbauer_sum
from escape_ntk.numerics.stats import rms
from escape_ntk.risk.constructions import RankOneMovement, represent_power
from escape_ntk.risk.leaks import SphereLeak
from escape_ntk.risk.projectors import PopulationProjector, TrainingProjector, worst_leak
from escape_ntk.study.point import PROJECTED, Draws, Point, Result
from escape_ntk.training.run import UNSAVED, Run

SINE, SIGMOID = "sin(z+pi/4)", "sigmoid(z-1)"
F64 = torch.float64


@dataclass(frozen=True)
class PopulationGap(Point):
    """ζ_{(n_k)}/ζ_{(n_k+1)} over the dimension, k = 1 and 2, from exact eigenvalues by degree."""

    experiment: ClassVar[str] = "directions-gap"
    draws: ClassVar[Draws] = Draws()

    activation: str
    dims: tuple[int, ...] = (25, 50, 100, 200, 400, 800, 1600)

    def compute(self, run: Run = UNSAVED) -> Result:
        """Gaps; for comparison the larger over the smaller eigenvalue of degrees 0 and 1."""
        act, rows = activation(self.activation), {"gap_1": [], "gap_2": [], "inside": []}
        for d in self.dims:
            lam = ntk_spectrum(act, d).eigenvalues
            for k in (1, 2):
                rows[f"gap_{k}"].append(lam[: k + 1].min() / lam[k + 1 :].max())
            rows["inside"].append(lam[:2].max() / lam[:2].min())
        dims = np.array(self.dims, dtype=float)
        return {}, {"d": dims, **{name: np.array(row) for name, row in rows.items()}}


@dataclass(frozen=True)
class GramSpectrum(Point):
    """Eigenvalues of the infinite kernel's Gram matrix at n inputs, and angles of its eigenvectors.

    The empirical eigenvector v̂_j = Φᵀu_j/√Λ_j has sin²θ_j = u_jᵀK_{>k}u_j/Λ_j with the population
    space of degrees ≤ k, where K_{>k} = Σ_{ℓ>k} ζ_ℓB(d,ℓ)P_ℓ(XXᵀ/d): exact, no test set.
    Foreseen: γ/(nζ_{(j)} + γ); and to second order (γ + 2γ⁽²⁾/ζ_{(j)})/Λ_j,
    γ⁽²⁾ = Σ_{ℓ>k} ζ_ℓ²B(d,ℓ).
    """

    experiment: ClassVar[str] = "directions-gram"
    draws: ClassVar[Draws] = Draws("sphere")

    seed: int
    d: int
    k: int
    n: int
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """Eigenvalues beside the predicted ones; sin² of the first n_k, and the foreseen ones."""
        generator = torch.Generator().manual_seed(self.seed)
        act, n_k = activation(self.activation), cumulative_multiplicity(self.d, self.k)
        X = draw_inputs(self.n, self.d, self.draws.inputs, generator, dtype=F64)
        spectrum = ntk_spectrum(act, self.d)
        gram = infinite_ntk(X, X, act)
        values, vectors = leading_eigenpairs(gram, n_k)
        vectors = vectors[:, :n_k]
        low = (spectrum.eigenvalues * spectrum.multiplicities)[: self.k + 1]
        gram -= gegenbauer_sum((X @ X.T / self.d).clamp_(-1, 1), low, self.d)
        sin2 = ((gram @ vectors) * vectors).sum(0) / values[:n_k]
        gamma = spectrum.bulk(self.k)
        lam, counts = spectrum.eigenvalues, spectrum.multiplicities
        levels = np.sort(np.repeat(lam[: self.k + 1], counts[: self.k + 1].round().astype(int)))
        first = gamma / (self.n * levels[::-1] + gamma)
        sigma2 = float((lam[self.k + 1 :] ** 2 * counts[self.k + 1 :]).sum())
        second = (gamma + 2 * sigma2 / levels[::-1]) / values[:n_k].numpy()
        return {
            "n_k": n_k,
            "gap": float(values[n_k - 1] / values[n_k]),
            "gamma": gamma,
            "gamma_next": spectrum.bulk(self.k + 1),
            "sin2": float(sin2.mean()),
            "sin2_first": float(first.mean()),
            "sin2_second": float(second.mean()),
        }, {
            "eigenvalues": values.numpy().astype(np.float32),
            "predicted": spectrum.gram_eigenvalues(self.n, self.k).astype(np.float32),
            "sin2": sin2.numpy(),
        }


@dataclass(frozen=True)
class GramNoise(Point):
    """Δ = K_{>k} − γ_{>k}I, what the high degrees add to the Gram matrix besides γ_{>k}I.

    In units of γ_{>k}: ‖Δ‖, and the rms of the eigenvalues of Δ.  Foreseen: for ‖Δ‖ the edge of the
    bulk, by Marchenko and Pastur; for the rms ((n − 1)γ⁽²⁾)^{1/2}, γ⁽²⁾ = Σ_{ℓ>k} ζ_ℓ²B(d,ℓ).
    """

    experiment: ClassVar[str] = "directions-noise"
    draws: ClassVar[Draws] = Draws("sphere")

    seed: int
    d: int
    k: int
    n: int
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """K_{>k} as the infinite kernel's Gram matrix without the degrees ≤ k."""
        generator, act = torch.Generator().manual_seed(self.seed), activation(self.activation)
        X = draw_inputs(self.n, self.d, self.draws.inputs, generator, dtype=F64)
        spectrum = ntk_spectrum(act, self.d)
        lam, counts = spectrum.eigenvalues, spectrum.multiplicities
        cosine = (X @ X.T / self.d).clamp_(-1, 1)
        noise = infinite_ntk(X, X, act)
        noise -= gegenbauer_sum(cosine, (lam * counts)[: self.k + 1], self.d)
        gamma, sigma2 = spectrum.bulk(self.k), float((lam**2 * counts)[self.k + 1 :].sum())
        noise.diagonal().sub_(gamma)
        values = torch.linalg.eigvalsh(noise) / gamma
        edge = float(
            spectrum.gram_eigenvalues(self.n, self.k)[cumulative_multiplicity(self.d, self.k)]
        )
        return {
            "gamma": gamma,
            "norm": float(values.abs().max()),
            "norm_foreseen": edge / gamma - 1,
            "spread": rms(values),
            "spread_foreseen": math.sqrt((self.n - 1) * sigma2) / gamma,
        }, {}


@dataclass(frozen=True)
class MemorizedNoise(Point):
    """What the population sees of labels of pure noise, fitted exactly by the infinite kernel.

    E f_L²/(1/n)Σf_L² of the shortest movement for the part of y outside the first n_k eigenvectors
    of the Gram matrix (``high``), and for the part inside (``low``).  With α = K^{−1}f the
    former is αᵀK²α, K² the zonal kernel of eigenvalues ζ_ℓ².  Foreseen: nγ⁽²⁾/γ².
    """

    experiment: ClassVar[str] = "directions-memorized"
    draws: ClassVar[Draws] = Draws("sphere")

    seed: int
    d: int
    n: int
    k: int = 1
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """Both ratios, exact for these inputs and labels, and the foreseen one."""
        generator, act = torch.Generator().manual_seed(self.seed), activation(self.activation)
        X = draw_inputs(self.n, self.d, self.draws.inputs, generator, dtype=F64)
        y = torch.randn(self.n, generator=generator, dtype=F64)
        spectrum, n_k = ntk_spectrum(act, self.d), cumulative_multiplicity(self.d, self.k)
        lam, counts = spectrum.eigenvalues, spectrum.multiplicities
        square = gegenbauer_sum((X @ X.T / self.d).clamp_(-1, 1), lam**2 * counts, self.d)
        values, vectors = torch.linalg.eigh(infinite_ntk(X, X, act))
        along = vectors.T @ y
        ratios = {}
        for name, part in (("high", slice(None, -n_k)), ("low", slice(-n_k, None))):
            alpha = vectors[:, part] @ (along[part] / values[part])
            train = float(along[part].square().mean()) * len(along[part]) / self.n
            ratios[name] = float(alpha @ (square @ alpha)) / train
        sigma2, gamma = float((lam**2 * counts)[self.k + 1 :].sum()), spectrum.bulk(self.k)
        return {**ratios, "foreseen": self.n * sigma2 / gamma**2}, {}


def drawn_denominator(record) -> float:
    """Mean over j ≤ n_k of γ/Λ_j: the drawn eigenvalue in the denominator, and nothing else."""
    drawn = record.arrays["eigenvalues"][: record.summary["n_k"]].astype(float)
    return float((record.summary["gamma"] / drawn).mean())


@dataclass(frozen=True)
class Leaks(Point):
    """max E f_L²/‖W‖² over the range of P_{>k}, in units of ζ_{(n_k+1)}.

    For the population projector of a finite network, and for that of n training inputs.
    """

    experiment: ClassVar[str] = "directions-leaks"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=(*PROJECTED, "PopulationProjector"))

    seed: int
    d: int = 20
    k: int = 1
    m: int = 2000
    factors: tuple[float, ...] = (2.0, 5.0, 10.0, 20.0, 40.0)
    n_random: int = 20
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """Worst and random directions; one value of the training projector for each n/n_k."""
        generator = torch.Generator().manual_seed(self.seed)
        exact = {"generator": generator, "dtype": F64}
        act, n_k = activation(self.activation), cumulative_multiplicity(self.d, self.k)
        weights = draw_weights(self.m, self.d, law=self.draws.weights, **exact)
        leak, shape = SphereLeak(weights, act), (len(weights), self.d)
        population = PopulationProjector(leak, shape, n_k, tolerance=1e-8)
        unit = float(population.eigenvalues[n_k])

        def ratio(t: Tensor) -> float:
            size = float(t.square().sum()) / 2  # ‖W‖² of the movement with s = 0
            return float(leak.value_and_gradient(t)[0]) / size / unit

        drawn = [population.high(torch.randn(*shape, **exact)) for _ in range(self.n_random)]
        rows: dict[str, list[float]] = {"worst": [], "bulk_over_n": []}
        bulk = ntk_spectrum(act, self.d).bulk(self.k)
        for factor in self.factors:
            n = round(factor * n_k)
            X = draw_inputs(n, self.d, self.draws.inputs, **exact)
            features = PairFeatures(X, weights, act)
            projector = TrainingProjector(features, n_k)
            rows["worst"].append(worst_leak(leak, projector, shape)[0] / unit)
            rows["bulk_over_n"].append(bulk / n / unit)
        return {
            "next_eigenvalue": unit,
            "population_worst": worst_leak(leak, population, shape)[0] / unit,
            "population_random": max(ratio(t) for t in drawn),
            "inside_least": float(population.eigenvalues[n_k - 1]) / unit,
        }, {"factor": np.array(self.factors), **{k: np.array(v) for k, v in rows.items()}}


@dataclass(frozen=True)
class Drawn(Point):
    """What all runs on a :class:`Scene` share."""

    seed: int
    d: int = 20
    n: int = 200
    k: int = 1
    activation: str = SINE


@dataclass(frozen=True)
class OverWidths(Drawn):
    """One row of numbers for the scene of each width."""

    widths: tuple[int, ...] = (512, 1024, 2048, 4096, 8192)

    def compute(self, run: Run = UNSAVED) -> Result:
        """Arrays over the width."""

        def row(m: int, run: Run) -> dict[str, float]:
            return self.row(Scene.draw(self, m))

        widths = np.array(self.widths, dtype=float)
        return {}, {"width": widths, **run.tabulate(self.widths, row)}

    def row(self, scene: "Scene") -> dict[str, float]:
        """What is measured at one width."""
        raise NotImplementedError


KINDS = ("inside", "random_signs", "memorizing", "same_sign")
"""Four kinds of movement; the second and third lie in P_{>k}."""


@dataclass(frozen=True)
class Movements(OverWidths):
    """Four kinds of movement of one Frobenius norm, that of the explicit f_Q = (β·x)².

    Mean squares of f_L on the training set and, exactly, on the population, over the width.
    """

    experiment: ClassVar[str] = "directions-movements"
    draws: ClassVar[Draws] = Draws(
        "sphere", "sphere", tools=(*PROJECTED, "random_signs", "represent_power")
    )

    n_signs: int = 10

    def row(self, scene: "Scene") -> dict[str, float]:
        """Train and population for each kind."""
        found = {}
        for kind in KINDS:
            draws = self.n_signs if kind == "random_signs" else 1
            pairs = [scene.mean_squares(scene.movement(kind)[1]) for _ in range(draws)]
            for side, values in zip(("train", "population"), zip(*pairs, strict=True), strict=True):
                found[f"{kind}_{side}"] = float(np.mean(values))
        return found


@dataclass(frozen=True)
class EqualSigns(OverWidths):
    """P_{>k}W of the explicit movement with equal signs, in the scenes of :class:`Movements`."""

    experiment: ClassVar[str] = "directions-equal-signs"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=(*PROJECTED, "represent_power"))

    def row(self, scene: "Scene") -> dict[str, float]:
        """Mean squares of f_L, and the share of ‖t‖² that P_{>k} keeps."""
        t = scene.movement("same_sign")[1]
        high = scene.projector.high(t)
        train, population = scene.mean_squares(high)
        kept = float(high.square().sum() / t.square().sum())
        return {"train": train, "population": population, "kept": kept}


@dataclass(frozen=True)
class Scene:
    """A network, its training set and projector, and the explicit movement for (β·x)²."""

    features: PairFeatures
    projector: TrainingProjector
    leak: SphereLeak
    made: RankOneMovement
    generator: torch.Generator

    @classmethod
    def draw(cls, config, m: int) -> "Scene":
        """From ``config.seed`` and the sizes of ``config``; its own stream for each width."""
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + m)
        exact = {"generator": generator, "dtype": F64}
        act, d = activation(config.activation), config.d
        weights = draw_weights(m, d, law=config.draws.weights, **exact)
        beta = random_direction(d, **exact)
        X = draw_inputs(config.n, d, config.draws.inputs, **exact)
        features = PairFeatures(X, weights, act)
        projector = TrainingProjector(features, cumulative_multiplicity(d, config.k))
        made = represent_power(weights, act, beta, 2)
        return cls(features, projector, SphereLeak(weights, act), made, generator)

    def movement(self, kind: str) -> Tensor:
        """(s, t) (2, p, d) of this kind, ‖W‖_F that of the explicit movement."""
        h, shape = self.made.h, self.features.weights.shape
        length = self.made.lengths.square().sum().sqrt()
        if kind in ("random_signs", "same_sign"):
            signs = torch.ones_like(h)
            if kind == "random_signs":
                signs = random_signs(len(h), self.generator)
            s = (signs * self.made.lengths)[:, None] * self.made.beta
            t = h.sign()[:, None] * s
            return torch.stack([s, self.projector.high(t) if kind == "random_signs" else t])
        if kind == "inside":
            t = self.projector.low(torch.randn(*shape, generator=self.generator, dtype=F64))
        else:
            noise = torch.randn(len(self.features), generator=self.generator, dtype=F64)
            t = self.projector.memorize(noise)
        t = t * (length * math.sqrt(2) / t.norm())  # ‖W‖_F² = ½‖t‖² when s = 0
        return torch.stack([torch.zeros_like(t), t])

    def mean_squares(self, t: Tensor) -> tuple[float, float]:
        """(mean of f_L² over the training set, E f_L² over the population)."""
        train = float(self.features.linear(t).square().mean())
        return train, float(self.leak.value_and_gradient(t)[0])


@dataclass(frozen=True)
class Memorizing(Drawn):
    """Pure noise of variance 1 as labels: fitted inside P_{≤k}, and along memorising directions."""

    experiment: ClassVar[str] = "directions-memorizing"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=(*PROJECTED, "represent_power"))

    m: int = 4096

    def compute(self, run: Run = UNSAVED) -> Result:
        """Training error left, E f_L² of the memorising movement, and its size per neuron."""
        scene = Scene.draw(self, self.m)
        y = torch.randn(self.n, generator=scene.generator, dtype=F64)
        t = scene.projector.memorize(y)
        low = scene.projector.low_outputs(y)
        left = low + scene.features.linear(t) - y
        return {
            "left_inside": float((low - y).square().mean() / y.square().mean()),
            "left": float(left.square().mean() / y.square().mean()),
            "population": float(scene.leak.value_and_gradient(t)[0]),
            "movement": float(t.norm(dim=1).max()) / 2,
            "natural": self.m**-0.25,
        }, {}


@dataclass(frozen=True)
class Views(Drawn):
    """f_L and f_Q along the four movements, at training and at fresh inputs, for the reader's hand.

    Along the movement c·W the model predicts c f_L + c² f_Q.
    """

    experiment: ClassVar[str] = "directions-views"
    draws: ClassVar[Draws] = Draws(
        "sphere", "sphere", tools=(*PROJECTED, "random_signs", "represent_power")
    )

    m: int = 4096
    n_shown: int = 120

    def compute(self, run: Run = UNSAVED) -> Result:
        """For each kind: (2, n_shown) of f_L and f_Q on both sets; β·x on both sets."""
        scene = Scene.draw(self, self.m)
        law, generator = self.draws.inputs, scene.generator
        fresh_inputs = draw_inputs(self.n_shown, self.d, law, generator, dtype=F64)
        act = activation(self.activation)
        fresh = PairFeatures(fresh_inputs, scene.features.weights, act)
        arrays = {
            "train_projection": (scene.features.X @ scene.made.beta)[: self.n_shown].numpy(),
            "fresh_projection": (fresh_inputs @ scene.made.beta).numpy(),
        }
        for kind in KINDS:
            state = scene.movement(kind)
            for side, features in (("train", scene.features), ("fresh", fresh)):
                both = torch.stack(features.terms(state))[:, : self.n_shown]
                arrays[f"{kind}_{side}"] = both.numpy()
        return {}, arrays


SEEDS = (1, 2, 3, 4, 5)
GRAM_SIZES = {
    1: tuple((d, round(d**1.5)) for d in (25, 50, 100, 200)),
    2: tuple((d, round(d**2.5)) for d in (8, 12, 16, 20)),
}
"""(d, n = d^{k + 1/2}), by k: between d^k and d^{k+1}."""
NOISE_CLOSED = {
    1: tuple((d, d**2) for d in (16, 25, 36, 50)),
    2: tuple((d, d**3) for d in (6, 8, 12)),
}
"""(d, n = d^{k+1}), by k: there the theorem says nothing."""
MEMORIZED_SIZES = (
    (40, 200), (40, 400), (80, 400), (80, 800), (80, 1600), (160, 800), (160, 1600),
)  # fmt: skip
"""(d, n), k = 1, from n = 5d to d²/4."""
ANGLE_FACTORS = (2.0, 4.0, 8.0, 16.0, 32.0)
ANGLE_DIMS = {1: 50, 2: 10}


def gram_points(seeds: Sequence[int], k: int) -> list[GramSpectrum]:
    """Spectra at n = d^{k+1/2} over the dimension."""
    return [GramSpectrum(seed, d, k, n) for d, n in GRAM_SIZES[k] for seed in seeds]


def angle_points(seeds: Sequence[int], k: int) -> list[GramSpectrum]:
    """Angles over n at one dimension."""
    d = ANGLE_DIMS[k]
    sizes = [round(factor * cumulative_multiplicity(d, k)) for factor in ANGLE_FACTORS]
    return [GramSpectrum(seed, d, k, n) for n in sizes for seed in seeds]


def noise_points(seeds: Sequence[int], k: int, *, closed: bool = False) -> list[GramNoise]:
    """What high degrees add, over the dimension: at n = d^{k+1/2}, or where the gap has closed."""
    sizes = (NOISE_CLOSED if closed else GRAM_SIZES)[k]
    return [GramNoise(seed, d, k, n) for d, n in sizes for seed in seeds]


def memorized_points(seeds: Sequence[int]) -> list[MemorizedNoise]:
    """Memorised noise over n and d."""
    return [MemorizedNoise(seed, d, n) for d, n in MEMORIZED_SIZES for seed in seeds]


def full_points(seeds: Sequence[int]) -> list[Point]:
    """Everything that the chapter's claims and figures rest on."""
    points: list[Point] = [PopulationGap(name) for name in (SINE, SIGMOID)]
    for k in (1, 2):
        points += [*gram_points(seeds, k), *angle_points(seeds, k)]
        points += [*noise_points(seeds, k), *noise_points(seeds, k, closed=True)]
    points += memorized_points(seeds)
    for kind in (Movements, EqualSigns, Memorizing, Leaks):
        points += [kind(seed) for seed in seeds]
    return [*points, Views(seeds[0])]


def _directions_live(seeds: Sequence[int]) -> list[Point]:
    return [Movements(seed) for seed in seeds]


chapter.experiment(
    "directions",
    "Good directions: gap, Gram spectra, projectors, four kinds of movement",
    SEEDS,
    _directions_live,
    full_points,
)
