"""Experiments behind the chapter *NTK limits*: width, lazy training, eigenvalues, the staircase."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from escape_ntk.chapters.ntk_limits import chapter
from escape_ntk.kernels.ntk import KernelRidge, empirical_ntk, infinite_ntk
from escape_ntk.kernels.spectrum import SphereRidge, ntk_spectrum
from escape_ntk.models.data import (
    RidgeSum,
    Target,
    dense_part,
    draw_inputs,
    inputs_of_law,
    random_direction,
    sparse_part,
)
from escape_ntk.models.network import (
    TwoLayerNetwork,
    activation,
    draw_weights,
    paired_network,
    weights_of_law,
)
from escape_ntk.numerics.polynomials import gegenbauer, gegenbauer_coefficients, multiplicity
from escape_ntk.numerics.stats import rms
from escape_ntk.study.point import Draws, Point, Result
from escape_ntk.training.run import UNSAVED, Run

SINE, SIGMOID = "sin(z+pi/4)", "sigmoid(z-1)"
F64 = torch.float64


@dataclass(frozen=True)
class KernelWidth(Point):
    """rms of K_m − K_∞ relative to K_∞ over the width, unit w; and against the other law's K_∞."""

    experiment: ClassVar[str] = "ntk-width"
    draws: ClassVar[Draws] = Draws("sphere", "sphere")

    seed: int
    d: int = 20
    n: int = 100
    widths: tuple[int, ...] = (256, 1024, 4096, 16_384, 65_536, 262_144)
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """Fresh weights at every width, the same inputs on the sphere."""
        generator = torch.Generator().manual_seed(self.seed)
        exact = {"generator": generator, "dtype": F64}
        X = draw_inputs(self.n, self.d, self.draws.inputs, **exact)
        act = activation(self.activation)
        limits = {law: infinite_ntk(X, X, act, weight_law=law) for law in ("sphere", "gaussian")}
        rows: dict[str, list[float]] = {"matched": [], "mismatched": []}
        for m in self.widths:
            weights = draw_weights(m, self.d, law=self.draws.weights, **exact)
            kernel = empirical_ntk(X, X, weights, act)
            for name, law in (("matched", "sphere"), ("mismatched", "gaussian")):
                rows[name].append(rms(kernel - limits[law]) / rms(limits[law]))
        widths = np.array(self.widths, dtype=float)
        return {}, {"width": widths, **{name: np.array(v) for name, v in rows.items()}}


@dataclass(frozen=True)
class EigenvalueSlopes(Point):
    """ζ_0…ζ_3 over the dimension, exactly; and what is left of them without ξ_{ℓ−1}(σ')."""

    experiment: ClassVar[str] = "ntk-eigenvalues"
    draws: ClassVar[Draws] = Draws()

    activation: str
    dims: tuple[int, ...] = (25, 50, 100, 200, 400, 800, 1400, 2000)
    degree: int = 3

    def compute(self, run: Run = UNSAVED) -> Result:
        """Arrays (dims, degrees): eigenvalues, shares of the trace, and the second term alone."""
        act, ell = activation(self.activation), np.arange(self.degree + 1)
        rows: dict[str, list] = {"eigenvalues": [], "shares": [], "second_term": []}
        for d in self.dims:
            spectrum = ntk_spectrum(act, d)
            rows["eigenvalues"].append(spectrum.eigenvalues[ell])
            rows["shares"].append(spectrum.shares[ell])
            xi = gegenbauer_coefficients(act.first, self.degree + 1, d)[1:]
            counts = np.array([multiplicity(d, int(j) + 1) for j in ell])
            rows["second_term"].append(d * (ell + d - 2) / (2 * ell + d - 2) * xi**2 / counts)
        dims = np.array(self.dims, dtype=float)
        return {}, {"d": dims, **{name: np.array(v) for name, v in rows.items()}}


@dataclass(frozen=True)
class EigenvalueSamples(Point):
    """ζ_ℓ = E[K(x, y) Q_ℓ(x·y)] with fresh x, y and one fresh neuron w each: no formula but K's.

    Q_ℓ(x·y) = P_ℓ(x·y/d).  Arrays over ℓ: mean, standard error, ζ_ℓ by quadrature, and ζ_ℓ without
    its ξ_{ℓ+1} term.
    """

    experiment: ClassVar[str] = "ntk-eigenvalue-samples"
    draws: ClassVar[Draws] = Draws("sphere", "sphere")

    seed: int
    d: int = 20
    n_triples: int = 20_000_000
    batch: int = 200_000
    degree: int = 2
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """Batch means of (x·y) σ'(w·x) σ'(w·y) P_ℓ."""
        generator = torch.Generator().manual_seed(self.seed)
        act, means = activation(self.activation), []
        for _ in range(self.n_triples // self.batch):
            X, Y, w = (
                torch.randn(self.batch, self.d, generator=generator, dtype=torch.float32)
                for _ in range(3)
            )
            X, Y = (inputs_of_law(Z, self.draws.inputs) for Z in (X, Y))
            w = weights_of_law(w, self.draws.weights)
            inner = (X * Y).sum(1).double()
            slopes = act.first((w * X).sum(1).double()) * act.first((w * Y).sum(1).double())
            kernel = inner * slopes
            tau = inner / self.d
            row = [(kernel * gegenbauer(tau, j, self.d)).mean() for j in range(self.degree + 1)]
            means.append([float(value) for value in row])
        batches, ell = np.array(means), np.arange(self.degree + 1)
        xi = gegenbauer_coefficients(act.first, self.degree, self.d)
        below = [0.0] + [xi[j] ** 2 / multiplicity(self.d, j) for j in range(self.degree)]
        return {}, {
            "sampled": batches.mean(0),
            "standard_error": batches.std(0, ddof=1) / math.sqrt(len(batches)),
            "exact": ntk_spectrum(act, self.d).eigenvalues[ell],
            "first_term": self.d * ell / (2 * ell + self.d - 2) * np.array(below),
        }


def train_network(
    network: TwoLayerNetwork, X: Tensor, y: Tensor, *, step: float, n_steps: int, over: float = 1.0
) -> Tensor:
    """Movement U after full-batch descent of mean((g(x; U) − g(x; 0) − y)²), g = f/over, all of it.

    The step is ``step``·over², so that the linear model of g moves as fast as that of f.
    """
    U, w, a, n = torch.zeros_like(network.weights), network.weights, network.signs, len(X)
    start, root = network(X) / over, math.sqrt(network.width) * over
    for _ in range(n_steps):
        z = X @ (w + U).T
        residual = network.activation.value(z) @ a / root - start - y
        pull = network.activation.first(z).mul_(2 / (n * root) * residual[:, None]).mul_(a)
        U = U.addmm(pull.T, X, alpha=-step * over**2)
    return U


def train_kernel(gram: Tensor, cross: Tensor, y: Tensor, *, step: float, n_steps: int) -> Tensor:
    """Predictions K(x, X)α after the same descent of the model linear in the features of K."""
    alpha = torch.zeros_like(y)
    for _ in range(n_steps):
        alpha = alpha - step * 2 / len(y) * (gram @ alpha - y)
    return cross @ alpha


def _line_and_square(point: "Lazy | OutputScale", generator: torch.Generator):
    """(X, fresh inputs, y): harmonics of degree 1 and 2 in one direction, E f*² = 1."""
    exact = {"generator": generator, "dtype": F64}
    beta = random_direction(point.d, **exact)
    parts = tuple(sparse_part(beta, j, "sphere").scaled_to(math.sqrt(0.5)) for j in (1, 2))
    sizes = (point.n, point.n_test)
    X, Z = (draw_inputs(n, point.d, point.draws.inputs, **exact) for n in sizes)
    return X, Z, Target(parts)(X)


@dataclass(frozen=True)
class Lazy(Point):
    """A network under gradient descent against its linearisation and the infinite-width predictor.

    rms deviation on fresh inputs for each width; ``one_sign``: the same with all a_r = +1 (and
    f(x; 0) subtracted); ``other_law``: against the infinite kernel of the other law of w.
    """

    experiment: ClassVar[str] = "ntk-lazy"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=("paired_network",))

    seed: int
    d: int = 10
    n: int = 50
    n_test: int = 500
    widths: tuple[int, ...] = (256, 1024, 4096, 16_384, 65_536)
    step: float = 1.0
    n_steps: int = 200
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """Every width with fresh weights; target: linear plus quadratic harmonic, E f*² = 1."""
        generator = torch.Generator().manual_seed(self.seed)
        exact, act = {"generator": generator, "dtype": F64}, activation(self.activation)
        X, Z, y = _line_and_square(self, generator)
        descent = {"step": self.step, "n_steps": self.n_steps}
        limits = {
            law: train_kernel(
                infinite_ntk(X, X, act, weight_law=law),
                infinite_ntk(Z, X, act, weight_law=law),
                y,
                **descent,
            )
            for law in ("sphere", "gaussian")
        }

        def row(m: int, run: Run) -> dict[str, float]:
            weights = draw_weights(m, self.d, law=self.draws.weights, **exact)
            net = paired_network(weights, act)
            one = TwoLayerNetwork(net.weights, torch.ones_like(net.signs), act)
            own = train_kernel(
                empirical_ntk(X, X, weights, act), empirical_ntk(Z, X, weights, act), y, **descent
            )
            trained, alike = (n(Z, train_network(n, X, y, **descent)) - n(Z) for n in (net, one))
            return {
                "own": rms(trained - own),
                "one_sign": rms(alike - own),
                "infinite": rms(trained - limits["sphere"]),
                "other_law": rms(trained - limits["gaussian"]),
                "size": rms(limits["sphere"]),
            }

        widths = np.array(self.widths, dtype=float)
        return {}, {"width": widths, **run.tabulate(self.widths, row, generator)}


@dataclass(frozen=True)
class OutputScale(Point):
    """The paired network of :class:`Lazy` with m^{−1/2} before its sum, and with m^{−1}.

    Steps are chosen so that both have one and the same linear model.  For each width: rms deviation
    from that on fresh inputs, and how far a neuron moves, (Σ_r |u_r|²/m)^{1/2}.
    """

    experiment: ClassVar[str] = "ntk-output-scale"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=("paired_network",))

    seed: int
    d: int = 10
    n: int = 50
    n_test: int = 500
    widths: tuple[int, ...] = (256, 1024, 4096, 16_384)
    step: float = 1.0
    n_steps: int = 200
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """Every width with fresh weights; target: linear plus quadratic harmonic, E f*² = 1."""
        generator = torch.Generator().manual_seed(self.seed)
        exact, act = {"generator": generator, "dtype": F64}, activation(self.activation)
        X, Z, y = _line_and_square(self, generator)
        descent = {"step": self.step, "n_steps": self.n_steps}

        def row(m: int, run: Run) -> dict[str, float]:
            weights = draw_weights(m, self.d, law=self.draws.weights, **exact)
            net = paired_network(weights, act)
            own = train_kernel(
                empirical_ntk(X, X, weights, act), empirical_ntk(Z, X, weights, act), y, **descent
            )
            found = {}
            for name, over in (("root", 1.0), ("full", math.sqrt(net.width))):
                U = train_network(net, X, y, over=over, **descent)
                found[f"deviation_{name}"] = rms((net(Z, U) - net(Z)) / over - own)
                found[f"moved_{name}"] = float(U.square().sum(1).mean().sqrt())
            return found

        widths = np.array(self.widths, dtype=float)
        return {}, {"width": widths, **run.tabulate(self.widths, row, generator)}


@dataclass(frozen=True)
class Staircase(Point):
    """Share with which harmonics of degree ≤ 3 are learned by the ridgeless kernel, over n.

    Shares averaged over all harmonics of a degree, and the population error of
    f* = (h_1 + h_2 + h_3)/√3 (one direction), both exact; with their predictions.
    """

    experiment: ClassVar[str] = "ntk-staircase"
    draws: ClassVar[Draws] = Draws("sphere")

    seed: int
    d: int
    n_most: int = 6000
    per_decade: int = 8
    degree: int = 3
    activation: str = SINE

    @property
    def sizes(self) -> list[int]:
        """Training sizes: from √d to min(d³, n_most), equally spaced in log n."""
        low, high = math.log10(self.d) / 2, math.log10(min(self.d**3, self.n_most))
        count = round((high - low) * self.per_decade) + 1
        return sorted({round(x) for x in np.logspace(low, high, count)})

    def compute(self, run: Run = UNSAVED) -> Result:
        """Nested training sets."""
        generator = torch.Generator().manual_seed(self.seed)
        exact = {"generator": generator, "dtype": F64}
        act, degrees = activation(self.activation), range(self.degree + 1)
        parts = tuple(
            sparse_part(random_direction(self.d, **exact), j, "sphere").scaled_to(3**-0.5)
            for j in (1, 2, 3)
        )
        X = draw_inputs(max(self.sizes), self.d, self.draws.inputs, **exact)
        spectrum, powers = ntk_spectrum(act, self.d), [0.0, 1 / 3, 1 / 3, 1 / 3]

        def row(n: int, run: Run) -> dict[str, np.ndarray | float]:
            ridge = SphereRidge(X[:n], act)
            return {
                "learned": np.asarray(ridge.learned(degrees)),
                "predicted": spectrum.learned(n)[: self.degree + 1],
                "error": ridge.error(Target(parts)),
                "foreseen": spectrum.predicted_error(n, powers),
            }

        return {}, {"n": np.array(self.sizes), **run.tabulate(self.sizes, row)}


@dataclass(frozen=True)
class ExpectedError(Point):
    """Population error over n, averaged over all targets with power 1/3 in degrees 1, 2, 3.

    Exact but for the draw of X; with its prediction, and that without the variance factor.
    """

    experiment: ClassVar[str] = "ntk-expected-error"
    draws: ClassVar[Draws] = Draws("sphere")

    seed: int
    d: int = 40
    sizes: tuple[int, ...] = (40, 57, 80, 113, 160, 320, 640, 1280, 2560)
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """Nested training sets."""
        generator = torch.Generator().manual_seed(self.seed)
        act, powers = activation(self.activation), [0.0, 1 / 3, 1 / 3, 1 / 3]
        X = draw_inputs(max(self.sizes), self.d, self.draws.inputs, generator, dtype=F64)
        spectrum = ntk_spectrum(act, self.d)
        bias = [float(np.mean((1 - spectrum.learned(n)[1:4]) ** 2)) for n in self.sizes]
        return {}, {
            "n": np.array(self.sizes),
            "error": np.array([SphereRidge(X[:n], act).expected_error(powers) for n in self.sizes]),
            "foreseen": np.array([spectrum.predicted_error(n, powers) for n in self.sizes]),
            "bias_alone": np.array(bias),
        }


@dataclass(frozen=True)
class Blindness(Point):
    """Errors of kernel regression on sparse and on dense harmonics of one degree, one draw of X.

    Means over ``n_directions`` pairs of a direction β, for p_ℓ(β·x), and a dense harmonic: rotating
    the targets is rotating the inputs, and the frozen weights with them, since the kernels contain
    inner products only.  ``sparse``, ``dense``: the infinite kernel's errors, exact;
    ``_finite``: those of m frozen weights, at n_test fresh inputs.  ``_stretched``: the means
    over the first ``n_stretched`` pairs, with those weights stretched along each β by √(1 + spread)
    and brought back to length 1, so that rotating the target is no longer rotating the rest.
    """

    experiment: ClassVar[str] = "ntk-blind"
    draws: ClassVar[Draws] = Draws("sphere", "sphere")

    seed: int
    degree: int
    n: int
    d: int = 20
    n_directions: int = 100
    n_stretched: int = 3
    n_test: int = 3000
    m: int = 8000
    spread: float = 2.0
    activation: str = SINE

    def compute(self, run: Run = UNSAVED) -> Result:
        """Six errors, each relative to E h² = 1; inputs, weights, fresh inputs, pairs drawn."""
        exact = {"generator": torch.Generator().manual_seed(self.seed), "dtype": F64}
        act, law = activation(self.activation), self.draws.inputs
        X = draw_inputs(self.n, self.d, law, **exact)
        w = draw_weights(self.m, self.d, law=self.draws.weights, **exact)
        fresh = draw_inputs(self.n_test, self.d, law, **exact)
        pairs = [self._pair(**exact) for _ in range(self.n_directions)]

        def stretched(pair: dict[str, RidgeSum], run: Run) -> dict[str, float]:
            beta = pair["sparse"].directions[0]
            moved = w + (math.sqrt(1 + self.spread) - 1) * (w @ beta)[:, None] * beta
            return finite_errors(X, moved / moved.norm(dim=1, keepdim=True), [pair], fresh, act)

        infinite = run.once("infinite", lambda _: infinite_errors(X, pairs, act))
        finite = run.once("finite", lambda _: finite_errors(X, w, pairs, fresh, act))
        table = run.tabulate(pairs[: self.n_stretched], stretched)
        finite = {f"{name}_finite": error for name, error in finite.items()}
        moved = {f"{name}_stretched": float(rows.mean()) for name, rows in table.items()}
        return {**infinite, **finite, **moved}, {}

    def _pair(self, generator: torch.Generator, dtype: torch.dtype) -> dict[str, RidgeSum]:
        """A sparse and a dense harmonic of norm 1."""
        exact = {"generator": generator, "dtype": dtype}
        beta, many = random_direction(self.d, **exact), 20 * self.d
        return {
            "sparse": sparse_part(beta, self.degree, "sphere"),
            "dense": dense_part(self.d, self.degree, "sphere", n_directions=many, **exact),
        }


def infinite_errors(X, pairs: Sequence[dict[str, RidgeSum]], act) -> dict[str, float]:
    """Mean error over the pairs of the infinite kernel without ridge, fitted at X."""
    ridge = SphereRidge(X, act)
    return {
        name: float(np.mean([ridge.error(Target((pair[name],))) for pair in pairs]))
        for name in pairs[0]
    }


def finite_errors(X, w, pairs: Sequence[dict[str, RidgeSum]], Z, act) -> dict[str, float]:
    """Mean error over the pairs, at Z, of the kernel of the weights w, fitted with a tiny ridge."""
    fit, cross = KernelRidge(empirical_ntk(X, X, w, act)), empirical_ntk(Z, X, w, act)
    unit = 1e-6 * float(fit.eigenvalues.mean())

    found = {}
    for name in pairs[0]:
        labels, goals = (
            torch.stack([pair[name](inputs) for pair in pairs], 1) for inputs in (X, Z)
        )
        along = (fit.vectors.T @ labels) / (fit.eigenvalues + unit)[:, None]
        found[name] = float((cross @ (fit.vectors @ along) - goals).square().mean())
    return found


SEEDS = (1, 2, 3, 4, 5)
STAIRCASE_DIMS = (10, 20, 40)
BLIND = ((2, 250, 100, 3), (3, 2000, 40, 1))
"""(degree, n, directions, of these stretched) at d = 20, where that degree is learned in part."""
BLIND_SEEDS = tuple(range(101, 111))
"""Draws of inputs, none of them looked at before."""


def blind_points(degree: int) -> list[Blindness]:
    """Sparse and dense harmonics of one degree, for every draw of the inputs."""
    kind = next(kind for kind in BLIND if kind[0] == degree)
    degree, n, directions, moved = kind
    return [
        Blindness(seed, degree, n, n_directions=directions, n_stretched=moved)
        for seed in BLIND_SEEDS
    ]


def full_points(seeds: Sequence[int]) -> list[Point]:
    """Everything that the chapter's claims and figures rest on."""
    points: list[Point] = [EigenvalueSlopes(name) for name in (SINE, SIGMOID)]
    for seed in seeds:
        points += [KernelWidth(seed), Lazy(seed), OutputScale(seed)]
        points += [EigenvalueSamples(seed), ExpectedError(seed)]
        points += [Staircase(seed, d) for d in STAIRCASE_DIMS]
    return points + [point for degree in (2, 3) for point in blind_points(degree)]


def _limits_live(seeds: Sequence[int]) -> list[Point]:
    return [Staircase(seed, 10) for seed in seeds]


chapter.experiment(
    "ntk-limits",
    "The tangent kernel: width, lazy training, eigenvalues, staircase, blindness",
    SEEDS,
    _limits_live,
    full_points,
)
