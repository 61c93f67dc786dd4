"""Beside the sweep: an honest split of the labels, the network itself, and the two-step method.

The problems, and the methods, are those of :mod:`~escape_ntk.chapters.sample_complexity.runs`.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from escape_ntk.chapters.sample_complexity import chapter
from escape_ntk.chapters.sample_complexity.runs import SEEDS, Flow, Joint, Prepared, QuadNTK
from escape_ntk.models.pairs import NetworkFeatures
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.risk.regularizer import Penalties, RegularizedRisk
from escape_ntk.study.dense_plus_sparse import PARTS, error_by_part, samples
from escape_ntk.study.point import Draws, Point, Result
from escape_ntk.study.sampling import unit_start
from escape_ntk.training.flow import gradient_flow
from escape_ntk.training.run import UNSAVED, Run
from escape_ntk.training.trajectory import log_times

HELD_OUT = {"free": None, "quarter": 0.25, "tenth": 0.1}
"""Labels that choose, as a share of n; None: all ``n_validation`` of them, whatever n."""


def _along(
    point: Flow, risk: RegularizedRisk, start: Tensor, prepared: Prepared, run: Run
) -> dict[str, np.ndarray]:
    """What would choose a moment, and the test error, at each recorded time of one flow."""
    data, _, validation, test = prepared
    goal, answers = data.target(validation.X), data.target(test.X)
    held = {
        name: len(goal) if share is None else max(1, round(share * point.n))
        for name, share in HELD_OUT.items()
    }

    def observe(state: Tensor) -> dict[str, float]:
        gaps = (risk.prediction(*validation.terms(state)) - goal).square()
        seen = risk.prediction(*risk.features.terms(state)) - risk.y
        errors = risk.prediction(*test.terms(state)) - answers
        return {
            **{name: float(gaps[:count].mean()) for name, count in held.items()},
            "train": float(seen.square().mean()),
            "test": float(errors.square().mean()),
        }

    trained = gradient_flow(
        risk,
        start,
        t_end=point.t_end,
        record_at=log_times(point.t_end, point.n_times),
        observe=observe,
        rtol=point.rtol,
        atol=point.atol,
        run=run,
    )
    return dict(trained.values)


def _chosen_by_each(arrays: dict[str, np.ndarray]) -> Result:
    """The test error that each chooser picks, over settings and moments; all values as arrays."""
    choosers = (*HELD_OUT, "train")
    summary = {f"by_{name}": float(_picked(arrays, name)) for name in choosers}
    return summary, arrays


def _picked(arrays: dict[str, np.ndarray], name: str) -> float:
    return arrays["test"].flat[int(np.nanargmin(arrays[name]))]


@dataclass(frozen=True)
class SplitJoint(Joint):
    """The joint model chosen by n/4 and by n/10 held-out labels, beside 2000 free ones."""

    experiment: ClassVar[str] = "complexity-split-joint"

    def compute(self, run: Run = UNSAVED) -> Result:
        """``by_…``: its test error by each of them; ``by_train``: by the training error."""
        prepared = self.prepare()
        data, features = prepared[:2]
        projector = TrainingProjector(features, cumulative_multiplicity(self.d, self.k))

        def row(weight: float, run: Run) -> dict[str, np.ndarray]:
            penalties = Penalties(empirical=weight)
            risk = RegularizedRisk(
                features, data.target(data.X), penalties=penalties, projector=projector
            )
            return _along(self, risk, features.zero_state(), prepared, run)

        return _chosen_by_each(run.tabulate(self.empirical, row))


@dataclass(frozen=True)
class SplitQuadNTK(QuadNTK):
    """QuadNTK so chosen, over every scale with every λ_4."""

    experiment: ClassVar[str] = "complexity-split-quadntk"

    def compute(self, run: Run = UNSAVED) -> Result:
        """``by_…``: its test error by each of them; ``by_train``: by the training error."""
        prepared = self.prepare()
        data, features = prepared[:2]
        unit = unit_start(features, data.generator)

        def row(cell: tuple[float, float], run: Run) -> dict[str, np.ndarray]:
            scale, norm = cell
            penalties = Penalties(norm=norm)
            risk = RegularizedRisk(
                features, data.target(data.X), model="quadratic", penalties=penalties
            )
            return _along(self, risk, scale * unit, prepared, run)

        cells = itertools.product(self.scales, self.norms)
        return _chosen_by_each(run.tabulate(cells, row))


@dataclass(frozen=True)
class Network(Joint):
    """The network f itself, R_2 on its linear term: over λ_2 and time, as the joint model."""

    experiment: ClassVar[str] = "complexity-network"

    def compute(self, run: Run = UNSAVED) -> Result:
        """For each λ_2 the validation and the test error of the best moment; which λ_2 is best."""
        data, features, validation, test = self.prepare()
        kind = NetworkFeatures
        network = [kind(f.X, features.weights, features.activation) for f in (features, test)]
        held = kind(validation.X, features.weights, features.activation)
        projector = TrainingProjector(network[0], cumulative_multiplicity(self.d, self.k))
        goal, answers = data.target(held.X), data.target(test.X)

        def row(weight: float, run: Run) -> dict[str, float]:
            risk = RegularizedRisk(
                network[0],
                data.target(data.X),
                penalties=Penalties(empirical=weight),
                projector=projector,
            )

            def observe(state: Tensor) -> dict[str, float]:
                gap = sum(held.terms(state)) - goal
                return {"validation": float(gap.square().mean())}

            trained = gradient_flow(
                risk,
                network[0].zero_state(),
                t_end=self.t_end,
                record_at=log_times(self.t_end, self.n_times),
                observe=observe,
                rtol=self.rtol,
                atol=self.atol,
                best="validation",
                run=run,
            )
            error = sum(network[1].terms(trained.kept["best"])) - answers
            return {
                "empirical": weight,
                "validation": float(np.nanmin(trained.values["validation"])),
                "error": float(error.square().mean()),
            }

        arrays = run.tabulate(self.empirical, row)
        best = int(np.nanargmin(arrays["validation"]))
        free = list(self.empirical).index(0.0)
        return {
            "error": float(arrays["error"][best]),
            "empirical": float(arrays["empirical"][best]),
            "free_error": float(arrays["error"][free]),
        }, arrays


def low_degree_features(X: Tensor, k: int) -> Tensor:
    """Polynomials of degree ≤ k, k = 1 or 2, that span: 1, x_i, and x_ix_j, (x_i² − 1)/√2.

    Of mean square 1 each, but for O(1/d); on the sphere the squares sum to a constant, so that
    there is one more than n_2.
    """
    columns = [torch.ones_like(X[:, :1]), X]
    if k == 2:
        i, j = torch.triu_indices(X.shape[1], X.shape[1], 1)
        columns += [X[:, i] * X[:, j], (X.square() - 1) / 2**0.5]
    return torch.cat(columns, dim=1)


@dataclass(frozen=True)
class TwoStep(QuadNTK):
    """Ridge regression on the polynomials of degree ≤ k, then QuadNTK on what that leaves.

    The ridge by the validation error of the first step; start, λ_4 and moment by that of the sum.
    """

    experiment: ClassVar[str] = "complexity-two-step"
    draws: ClassVar[Draws] = Draws("sphere", "sphere", tools=("PairFeatures",))

    ridges: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0)
    """In units of n."""

    def compute(self, run: Run = UNSAVED) -> Result:
        """Test error by part of the sum; ``first``: of the first step alone."""
        prepared = self.prepare()
        data, features, validation, test = prepared
        y, goal = data.target(data.X), data.target(validation.X)
        parts = data.target.part_values(test.X)
        fits = [self._first_step(data.X, y, ridge) for ridge in self.ridges]
        gaps = [float((fit(validation.X) - goal).square().mean()) for fit in fits]
        first = fits[int(np.argmin(gaps))]
        beside = {f.X.data_ptr(): first(f.X) for f in (validation, test)}
        left, unit = y - first(data.X), unit_start(features, data.generator)

        def row(cell: tuple[float, float], run: Run) -> dict[str, float]:
            scale, norm = cell
            risk = RegularizedRisk(
                features, left, model="quadratic", penalties=Penalties(norm=norm)
            )

            def both(seen, state: Tensor) -> Tensor:
                return risk.prediction(*seen.terms(state)) + beside[seen.X.data_ptr()]

            def observe(state: Tensor) -> dict[str, float]:
                return {"validation": float((both(validation, state) - goal).square().mean())}

            trained = gradient_flow(
                risk,
                scale * unit,
                t_end=self.t_end,
                record_at=log_times(self.t_end, self.n_times),
                observe=observe,
                rtol=self.rtol,
                atol=self.atol,
                best="validation",
                run=run,
            )
            return {
                "scale": scale,
                "norm": norm,
                "validation": float(np.nanmin(trained.values["validation"])),
                **error_by_part(both(test, trained.kept["best"]), parts),
            }

        arrays = run.tabulate(itertools.product(self.scales, self.norms), row)
        best = int(np.nanargmin(arrays["validation"]))
        alone = error_by_part(first(test.X), parts)
        summary = {name: float(column[best]) for name, column in arrays.items()}
        summary |= {f"first_{name}": alone[name] for name in ("error", *PARTS)}
        return summary | {"ridge": self.ridges[int(np.argmin(gaps))]}, arrays

    def _first_step(self, X: Tensor, y: Tensor, ridge: float):
        """The ridge regression as a function of inputs."""
        Z = low_degree_features(X.double(), self.k)
        normal = Z.T @ Z + ridge * len(Z) * torch.eye(Z.shape[1], dtype=Z.dtype)
        c = torch.linalg.solve(normal, Z.T @ y.double())
        return lambda inputs: (low_degree_features(inputs.double(), self.k) @ c).to(inputs)


SPLIT_DIM, SPLIT_FACTORS = 12, (1.5, 2.0, 3.0, 4.0)
"""d and n/n_2 of the runs that choose by held-out labels."""
NETWORK_FACTORS = SPLIT_FACTORS
"""n/n_2 of the network, at the same d."""
TWO_STEP_DIMS, TWO_STEP_FACTORS = (16, 24), (3.0,)


def _sizes(dims: Sequence[int], factors: Sequence[float]) -> list[tuple[int, int]]:
    return [(d, samples(factor, d, 2)) for d in dims for factor in factors]


def split_points(seeds: Sequence[int]) -> list[SplitJoint | SplitQuadNTK]:
    """Both Taylor models, chosen by labels that are counted."""
    return [
        kind(seed, 2, d, n)
        for kind in (SplitJoint, SplitQuadNTK)
        for d, n in _sizes([SPLIT_DIM], SPLIT_FACTORS)
        for seed in seeds
    ]


def network_points(seeds: Sequence[int]) -> list[Network]:
    """The network itself over n."""
    sizes = _sizes([SPLIT_DIM], NETWORK_FACTORS)
    return [Network(seed, 2, d, n) for d, n in sizes for seed in seeds]


def two_step_points(seeds: Sequence[int]) -> list[TwoStep]:
    """The two-step method at n = 3 n_2."""
    sizes = _sizes(TWO_STEP_DIMS, TWO_STEP_FACTORS)
    return [TwoStep(seed, 2, d, n) for d, n in sizes for seed in seeds]


def full_points(seeds: Sequence[int]) -> list[Point]:
    """All three."""
    return [*two_step_points(seeds), *network_points(seeds), *split_points(seeds)]


def live_points(seeds: Sequence[int]) -> list[Point]:
    """One small problem each, for the reader's machine."""
    kinds: tuple[type[Flow], ...] = (SplitJoint, SplitQuadNTK, Network, TwoStep)
    n = samples(3.0, 8, 2)
    return [kind(seed, 2, 8, n, n_test=2000, m=400) for kind in kinds for seed in seeds]


chapter.experiment(
    "baselines",
    "Beside the sweep: labels held out from n, the network itself, ridge and then QuadNTK",
    SEEDS,
    live_points,
    full_points,
)
