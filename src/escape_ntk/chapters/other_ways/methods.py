"""Twelve ways to fit one training set, all chosen by one rule on the same held-out labels.

Each is a function of a :class:`Task` and returns a :class:`Fitted`: what is predicted at the test
inputs, and what it cost.  The n labels of a task are all that it has: a fifth of them choose
ridges, steps, strengths and the moment to stop, and no others are looked at.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from escape_ntk.kernels.ntk import KernelRidge, infinite_ntk
from escape_ntk.models.network import Activation
from escape_ntk.models.pairs import NetworkFeatures, PairFeatures
from escape_ntk.numerics.polynomials import cumulative_multiplicity, gegenbauer_sum
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.risk.regularizer import Penalties, RegularizedRisk
from escape_ntk.study.sampling import unit_start
from escape_ntk.training.flow import gradient_flow
from escape_ntk.training.run import Run
from escape_ntk.training.trajectory import log_times

RIDGES = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""In units of the mean of K(x, x)."""
BANDWIDTHS = (0.5, 1.0, 2.0, 4.0)
"""Of the Gaussian kernel, in units of the length √d of the inputs."""
STRENGTHS = (0.1, 1.0, 10.0)
"""λ_2 where R_2 is used; λ_2 = 0 is tried beside them where the method may do without."""
SCALES = (0.01, 0.1, 1.0)
"""Starts of f_Q alone."""
SIZES = (0.5, 1.0, 3.0)
"""Of one step of the first layer, each neuron's gradient having length 1."""
COUNTS = (2, 4, 8, 16)
"""Steps of the first layer, where there are several."""
RATES = (0.1, 0.5)
"""Steps of descent in the mean-field scaling, in its own time."""
N_STEPS = 2000
"""Of descent in the mean-field scaling."""
FIELD_WIDTH = 256
"""Neurons there: its limit is approached like 1/m, and both layers learn."""


@dataclass(frozen=True)
class Task:
    """What a method may know: labelled inputs, k, σ and a width; and where it predicts.

    ``X``, ``y`` train and ``held_out``, ``goal`` choose; all in float64.  ``direction``: β, for the
    oracle alone.
    """

    X: Tensor
    y: Tensor
    held_out: Tensor
    goal: Tensor
    test: Tensor
    k: int
    activation: Activation
    weights: Tensor
    direction: Tensor
    generator: torch.Generator
    t_end: float
    n_times: int

    @property
    def n_k(self) -> int:
        """Polynomials of degree ≤ k on the sphere."""
        return cumulative_multiplicity(self.X.shape[1], self.k)

    def loss(self, prediction: Tensor) -> float:
        """Mean square on the held-out labels, by which everything is chosen."""
        return float((prediction.double() - self.goal).square().mean())


@dataclass(frozen=True)
class Fitted:
    """Predictions at test and held-out inputs, the held-out loss, gradients spent, the choice."""

    test: Tensor
    held_out: Tensor
    loss: float
    gradients: int = 0
    choice: float = math.nan


Method = Callable[[Task, Run], Fitted]
METHODS: dict[str, Method] = {}
"""Every method by name, in the order of the chapter's table."""


def method(name: str) -> Callable[[Method], Method]:
    """Put a function among :data:`METHODS`."""

    def register(fit: Method) -> Method:
        METHODS[name] = fit
        return fit

    return register


def _best(fits: Sequence[Fitted] | Iterator[Fitted]) -> Fitted:
    """The least held-out loss; the gradients of all are counted."""
    fits = list(fits)
    losses = [fit.loss if math.isfinite(fit.loss) else math.inf for fit in fits]
    best = fits[int(np.argmin(losses))]
    spent = sum(fit.gradients for fit in fits)
    return Fitted(best.test, best.held_out, best.loss, spent, best.choice)


# ---------------------------------------------------------------- kernels

Kernel = Callable[[Tensor, Tensor], Tensor]


def _ridge(
    task: Task, kernel: Kernel, y: Tensor | None = None, goal: Tensor | None = None
) -> Fitted:
    """Kernel ridge regression with the best of :data:`RIDGES`."""
    gram = kernel(task.X, task.X)
    unit, solve = float(gram.diagonal().mean()), KernelRidge(gram)
    y, goal = (task.y, task.goal) if y is None or goal is None else (y, goal)
    alphas = torch.stack([solve.dual(y, ridge * unit) for ridge in RIDGES], dim=1)
    held_out = kernel(task.held_out, task.X) @ alphas
    losses = (held_out - goal[:, None]).square().mean(0)
    best = int(losses.argmin())
    test = torch.cat([kernel(Z, task.X) @ alphas[:, best] for Z in task.test.split(1000)])
    return Fitted(test, held_out[:, best], float(losses[best]), choice=RIDGES[best])


@method("ntk")
def ntk(task: Task, run: Run) -> Fitted:
    """Ridge regression with the infinite tangent kernel of the first layer."""
    return _ridge(task, lambda X, Z: infinite_ntk(X, Z, task.activation))


@method("rbf")
def rbf(task: Task, run: Run) -> Fitted:
    """Ridge regression with exp(−|x − z|²/(2b²d)), b among :data:`BANDWIDTHS`."""
    d = task.X.shape[1]

    def gaussian(b: float) -> Kernel:
        return lambda X, Z: torch.cdist(X, Z).square_().div_(-2 * b * b * d).exp_()

    return _best(_ridge(task, gaussian(b)) for b in BANDWIDTHS)


def _low_degrees(task: Task) -> Kernel:
    """Σ_{ℓ ≤ k} P_ℓ(x·z/d): the polynomials of degree ≤ k and nothing else."""
    d = task.X.shape[1]
    return lambda X, Z: gegenbauer_sum(X @ Z.T / d, [1.0] * (task.k + 1), d)


@method("oracle")
def oracle(task: Task, run: Run) -> Fitted:
    """Ridge on the polynomials of degree ≤ k and on one more: the sparse polynomial of β·x."""
    d, low = task.X.shape[1], _low_degrees(task)
    along = [0.0] * (task.k + 1) + [1.0]

    def feature(X: Tensor) -> Tensor:
        column = gegenbauer_sum(X @ task.direction / math.sqrt(d), along, d)
        return column * math.sqrt(cumulative_multiplicity(d, task.k + 1) - task.n_k)

    return _ridge(task, lambda X, Z: low(X, Z) + torch.outer(feature(X), feature(Z)))


# ---------------------------------------------------------------- Taylor model and network


def _flow(task: Task, run: Run, risk: RegularizedRisk, start: Tensor, goal: Tensor) -> Fitted:
    """Gradient flow up to the moment of the least held-out loss against ``goal``."""
    kind = type(risk.features)
    held_out, test = (
        kind(X.float(), risk.features.weights, task.activation) for X in (task.held_out, task.test)
    )

    def observe(state: Tensor) -> dict[str, float]:
        prediction = risk.prediction(*held_out.terms(state)).double()
        return {"held_out": float((prediction - goal).square().mean())}

    trained = gradient_flow(
        risk,
        start,
        t_end=task.t_end,
        record_at=log_times(task.t_end, task.n_times),
        observe=observe,
        rtol=1e-2,
        atol=1e-4,
        best="held_out",
        run=run,
    )
    state = trained.kept["best"]
    return Fitted(
        risk.prediction(*test.terms(state)).double(),
        risk.prediction(*held_out.terms(state)).double(),
        float(np.nanmin(trained.values["held_out"])),
        trained.n_gradients,
    )


def _features(task: Task, kind: type[PairFeatures] = PairFeatures) -> PairFeatures:
    return kind(task.X.float(), task.weights.float(), task.activation)


def _chosen(fit: Fitted, choice: float) -> Fitted:
    return Fitted(fit.test, fit.held_out, fit.loss, fit.gradients, choice)


def _from_zero(
    task: Task, run: Run, kind: type[PairFeatures], strengths: Sequence[float]
) -> Fitted:
    """From W = 0 with each λ_2; where n ≤ n_k there is nothing outside P_{≤k}, and λ_2 = 0."""
    features = _features(task, kind)
    if len(features) > task.n_k:
        projector = TrainingProjector(features, task.n_k)
    else:
        projector, strengths = None, (0.0,)

    def fit(strength: float) -> Fitted:
        risk = RegularizedRisk(
            features,
            task.y.float(),
            penalties=Penalties(empirical=strength),
            projector=projector if strength else None,
        )
        return _chosen(_flow(task, run, risk, features.zero_state(), task.goal), strength)

    return _best(fit(strength) for strength in strengths)


@method("joint")
def joint(task: Task, run: Run) -> Fitted:
    """f_L + f_Q with R_2, the paper's model."""
    return _from_zero(task, run, PairFeatures, (0.0, *STRENGTHS))


def _quadratic(task: Task, run: Run, y: Tensor, goal: Tensor) -> Fitted:
    """f_Q alone, fitted to ``y`` from each of :data:`SCALES`."""
    features = _features(task)
    unit = unit_start(features, task.generator)

    def fit(scale: float) -> Fitted:
        risk = RegularizedRisk(features, y.float(), model="quadratic")
        return _chosen(_flow(task, run, risk, scale * unit, goal), scale)

    return _best(fit(scale) for scale in SCALES)


@method("quadntk")
def quadntk(task: Task, run: Run) -> Fitted:
    """f_Q alone."""
    return _quadratic(task, run, task.y, task.goal)


@method("two-stage")
def two_stage(task: Task, run: Run) -> Fitted:
    """Ridge on the polynomials of degree ≤ k, then f_Q on what is left."""
    first = _ridge(task, _low_degrees(task))
    left = task.y - _fitted_values(task, first.choice)
    second = _quadratic(task, run, left, task.goal - first.held_out)
    alone = _chosen(first, 0.0)
    both = Fitted(
        first.test + second.test,
        first.held_out + second.held_out,
        second.loss,
        second.gradients,
        second.choice,
    )
    return _best([alone, both])


def _fitted_values(task: Task, ridge: float) -> Tensor:
    """What ridge on the polynomials of degree ≤ k makes of the training labels."""
    gram = _low_degrees(task)(task.X, task.X)
    return gram @ KernelRidge(gram).dual(task.y, ridge * float(gram.diagonal().mean()))


@method("network")
def network(task: Task, run: Run) -> Fitted:
    """The network itself, its first layer trained, without R_2."""
    return _from_zero(task, run, NetworkFeatures, (0.0,))


@method("network-r2")
def network_with_r2(task: Task, run: Run) -> Fitted:
    """The network itself with R_2."""
    return _from_zero(task, run, NetworkFeatures, STRENGTHS)


# ---------------------------------------------------------------- few steps, then ridge


def _second_layer(task: Task, W: Tensor) -> Fitted:
    """Ridge regression on the features σ(w_r·x)."""

    def kernel(X: Tensor, Z: Tensor) -> Tensor:
        sigma = task.activation.value
        return sigma(X @ W.T) @ sigma(Z @ W.T).T / len(W)

    return _ridge(task, kernel)


def _moved(task: Task, W: Tensor, X: Tensor, left: Tensor, size: float) -> Tensor:
    """One step of every neuron along its gradient Σ_i left_i σ'(w·x_i) x_i, both of length 1."""
    gradient = task.activation.first(X @ W.T).T @ (left[:, None] * X)
    gradient /= gradient.norm(dim=1, keepdim=True).clamp(min=1e-30)
    W = W + size * gradient
    return W / W.norm(dim=1, keepdim=True)


def _stepped(task: Task, counts: Sequence[int], *, fresh: bool) -> Fitted:
    """First-layer steps on what ridge on degrees ≤ k leaves, then ridge on the second layer.

    ``fresh``: each step has a part of the training set of its own; otherwise each has all of it.
    Half of the neurons stay where they were drawn: what moved looks one way, and a dense part needs
    all.
    """
    low = _ridge(task, _low_degrees(task))
    left = task.y - _fitted_values(task, low.choice)

    def walk(size: float, count: int) -> Fitted:
        W = start = task.weights.double()
        n = len(task.X) // count if fresh else len(task.X)
        for step in range(count):
            rows = slice(step * n, (step + 1) * n) if fresh else slice(None)
            W = _moved(task, W, task.X[rows], left[rows], size)
        return _chosen(_second_layer(task, torch.cat([start, W])), size)

    fits = [walk(s, c) for c in counts if c <= len(task.X) for s in SIZES]
    spent = sum(c for c in counts if c <= len(task.X)) * len(SIZES)
    best = _best([_chosen(_second_layer(task, task.weights.double()), 0.0), *fits])
    return Fitted(best.test, best.held_out, best.loss, spent, best.choice)


@method("one-step")
def one_step(task: Task, run: Run) -> Fitted:
    """One large step of the first layer, then ridge on the second."""
    return _stepped(task, (1,), fresh=False)


@method("fresh-batches")
def fresh_batches(task: Task, run: Run) -> Fitted:
    """Several steps, each on samples of its own, then ridge on the second layer."""
    return _stepped(task, COUNTS, fresh=True)


@method("reused-batch")
def reused_batch(task: Task, run: Run) -> Fitted:
    """Several steps on the same samples, then ridge on the second layer."""
    return _stepped(task, COUNTS, fresh=False)


# ---------------------------------------------------------------- mean field


@method("mean-field")
def mean_field(task: Task, run: Run) -> Fitted:
    """f = (1/m) Σ a_r σ(w_r·x), both layers by gradient descent, a ± 1 at the start."""
    X, y = task.X.float(), task.y.float()
    held_out, test = task.held_out.float(), task.test.float()
    at = set(np.unique(np.rint(np.geomspace(1, N_STEPS, 40)).astype(int)).tolist())
    sigma, first = task.activation.value, task.activation.first

    def fit(rate: float) -> Fitted:
        half = task.weights[: FIELD_WIDTH // 2].float()
        W, a = torch.cat([half, half]), torch.ones(2 * len(half))
        a[len(half) :] = -1
        best = Fitted(test.new_zeros(len(test)).double(), task.goal * 0, task.loss(task.goal * 0))
        for step in range(1, N_STEPS + 1):
            z = X @ W.T
            value = sigma(z)
            left = (y - value @ a / len(a)) / len(X)
            movement = (first(z) * (left[:, None] * a)).T @ X
            a = a + rate * (value.T @ left)
            W = W + rate * movement
            if step in at:
                prediction = sigma(held_out @ W.T) @ a / len(a)
                loss = task.loss(prediction)
                if loss < best.loss:
                    seen = (sigma(test @ W.T) @ a / len(a)).double()
                    best = Fitted(seen, prediction.double(), loss)
        return Fitted(best.test, best.held_out, best.loss, N_STEPS, rate)

    return _best(fit(rate) for rate in RATES)
