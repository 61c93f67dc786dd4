"""How many labels each of twelve methods needs, for a dense part, a sparse part, and both.

Inputs on the sphere; the dense part a harmonic of degree k, the sparse one a harmonic of degree
k + 1 in one direction, each alone or both in equal shares, E f*² = 1.  A climb takes the first n
labels of one sequence, n growing by √2, until the test error is at most a tenth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from escape_ntk import checks
from escape_ntk.chapters.other_ways import chapter
from escape_ntk.chapters.other_ways.methods import METHODS, Task
from escape_ntk.models.data import Target, draw_inputs, draw_target
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.numerics.stats import first_crossing
from escape_ntk.study.dense_plus_sparse import SINE
from escape_ntk.study.point import PROJECTED, Draws, Point, Result
from escape_ntk.study.sampling import finite
from escape_ntk.training.run import UNSAVED, Run

TARGETS = ("both", "sparse", "dense")
LEVELS = (0.25, 0.1)
"""Test errors at which the number of labels is read."""
HELD_OUT = 5
"""One of so many labels is held out, to choose by."""
TOOLS_OF = {
    **dict.fromkeys(("joint", "network", "network-r2"), PROJECTED),
    **dict.fromkeys(("quadntk", "two-stage"), ("PairFeatures",)),
}
"""What hypotheses ask about, of the methods that have it."""


@dataclass(frozen=True)
class Climb(Point):
    """One method on n = first, first·√2, … labels, until its test error is at most a tenth."""

    experiment: ClassVar[str] = "other-ways"

    seed: int
    method: str
    target: str
    k: int
    d: int
    largest: int = 3620
    first: int = 10
    m: int = 1000
    n_test: int = 4000
    t_end: float = 10_000.0
    n_times: int = 17
    activation: str = SINE

    def __post_init__(self):
        checks.one_of("method", self.method, tuple(METHODS))
        checks.one_of("target", self.target, TARGETS)
        checks.integer("k", self.k, least=1)
        checks.integer("first", self.first, least=2 * HELD_OUT)
        checks.integer("largest", self.largest, least=self.first)

    @property
    def draws(self) -> Draws:  # pyright: ignore
        """Laws of inputs and weights; pairs and a projector where the method has them."""
        return Draws("sphere", "sphere", tools=TOOLS_OF.get(self.method, ()))

    def sizes(self) -> list[int]:
        """Numbers of labels: first·2^{j/2}, rounded."""
        count = int(2 * np.log2(self.largest / self.first) + 1e-9) + 1
        return [round(self.first * 2 ** (j / 2)) for j in range(count)]

    def draw(self) -> tuple[Target, Tensor, Tensor, Tensor]:
        """(target, test inputs, all labelled inputs, weights): alike for all methods."""
        generator = torch.Generator().manual_seed(self.seed)
        both = draw_target(self.k, self.d, generator, torch.float64)
        test, X = (
            draw_inputs(n, self.d, self.draws.inputs, generator, dtype=torch.float64)
            for n in (self.n_test, self.largest)
        )
        kind = {"law": self.draws.weights, "dtype": torch.float64}
        weights = draw_weights(self.m, self.d, generator, **kind)
        return both, test, X, weights

    def compute(self, run: Run = UNSAVED) -> Result:
        """Labels at which each level is reached; errors and what is learned over n; gradients."""
        both, test, X, weights = self.draw()
        dense, sparse = (part.scaled_to(1.0) for part in both.parts)
        target = {"both": both, "dense": Target((dense,)), "sparse": Target((sparse,))}[self.target]
        parts = torch.stack([dense(test), sparse(test)])
        y, goal = target(X), target(test)

        def rung(n: int, run: Run) -> dict[str, float]:
            kept = n - n // HELD_OUT
            task = Task(
                X=X[:kept],
                y=y[:kept],
                held_out=X[kept:n],
                goal=y[kept:n],
                test=test,
                k=self.k,
                activation=activation(self.activation),
                weights=weights,
                direction=both.parts[1].directions[0],
                generator=torch.Generator().manual_seed(self.seed),
                t_end=self.t_end,
                n_times=self.n_times,
            )
            fitted = METHODS[self.method](task, run)
            learned = torch.linalg.solve(parts @ parts.T, parts @ fitted.test)
            return {
                "n": n,
                "error": float((fitted.test - goal).square().mean()),
                "held_out": fitted.loss,
                "dense": float(learned[0]),
                "sparse": float(learned[1]),
                "gradients": fitted.gradients,
                "choice": fitted.choice,
            }

        rows = []
        for n in self.sizes():
            rows.append(run.once(str(n), lambda part, n=n: rung(n, part)))
            if rows[-1]["error"] <= LEVELS[-1]:
                break
        arrays = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        return finite(
            {f"n_{level}": reached(arrays, level) for level in LEVELS}
            | {"gradients": float(arrays["gradients"].sum()), "rungs": float(len(rows))}
        ), arrays


def reached(arrays, level: float) -> float:
    """Labels at which the error falls to ``level``; NaN where it does not, or is from the start."""
    return first_crossing(arrays["n"], arrays["error"], level)


SEEDS = (1, 2, 3, 4, 5)
DIMS = {1: (12, 24, 48), 2: (8, 12, 16)}


def climbs(
    target: str, seeds: Sequence[int], methods: Sequence[str] = tuple(METHODS)
) -> list[Climb]:
    """Every method, k and d on one target."""
    return [
        Climb(seed, method, target, k, d)
        for k, dims in DIMS.items()
        for d in dims
        for method in methods
        for seed in seeds
    ]


def full_points(seeds: Sequence[int]) -> list[Climb]:
    """All three targets; both parts first."""
    return [point for target in TARGETS for point in climbs(target, seeds)]


def live_points(seeds: Sequence[int]) -> list[Climb]:
    """One dimension, both parts, a few of the methods, narrow: for the reader's machine."""
    return [
        Climb(seed, method, "both", 1, 12, largest=320, m=200, n_test=1000)
        for method in ("ntk", "joint", "reused-batch", "oracle")
        for seed in seeds
    ]


chapter.experiment(
    "other-ways",
    "Labels that twelve methods need for a dense part, a sparse part, and both",
    SEEDS,
    live_points,
    full_points,
)
