"""Curves by descent whose R_1 is a mean over fresh inputs, drawn anew in each step.  [C]

That is how the authors' notebook means R_1; everywhere else in this chapter it is exact.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from escape_ntk import checks
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.pairs import STEP_FACTOR, PairFeatures
from escape_ntk.risk.problem import Problem
from escape_ntk.risk.regularizer import Penalties
from escape_ntk.study.curve import Curve, Observer, draw_problem
from escape_ntk.study.point import Result
from escape_ntk.training.run import UNSAVED, Run
from escape_ntk.training.trajectory import Outcome, Recorder

NOISE = 1_000_000
"""Added to a curve's seed for the fresh inputs of its steps: its other draws are as without."""


def noisy_gradient(
    problem: Problem, penalties: Penalties, state: Tensor, fresh: PairFeatures
) -> tuple[float, Tensor]:
    """(training loss, ∇_{(s,t)} L_λ) with R_1 the mean over the inputs of ``fresh``.

    With κ = A_z Aᵀ, the cross Gram matrix of fresh and training inputs, and c the dual coefficients
    of f_L on the training set, f_L(z; P_{>k}W) = f_L(z; W) − κc; its pullback is that of f_L at z
    less Aᵀ of the dual coefficients of κᵀg.  The same as by projecting t, and two products cheaper.
    [D]  Only ``population`` and ``empirical`` of the penalties count.
    """
    features, projector = problem.features, problem.projector
    linear, quadratic, pullback = features.terms_and_pullback(state)
    residual, n = linear + quadratic - problem.y, len(features)
    slope = 2 / n * residual
    kappa = fresh.cross_gram(features)
    leak = fresh.linear(state[1]) - kappa @ projector.dual_coefficients(linear)
    g = 2 * penalties.population / len(fresh) * leak
    along_linear = slope + 2 * penalties.empirical / n * projector.high_outputs(linear)
    gradient = pullback(along_linear - projector.dual_coefficients(kappa.T @ g), slope)
    gradient[1].add_(fresh.linear_pullback(g))
    return float(residual.square().mean()), gradient


@dataclass(frozen=True)
class NoisyLeakCurve(Curve):
    """A curve by plain gradient descent, R_1 from ``n_leak`` fresh inputs in each step.

    Data and weights are those of the :class:`~escape_ntk.study.curve.Curve` of its seed.
    """

    experiment: ClassVar[str] = "curves-noisy-leak"

    method: str = "descent"
    n_leak: int = 100

    def __post_init__(self):
        super().__post_init__()
        checks.one_of("method", self.method, ("descent",))
        checks.integer("n_leak", self.n_leak, least=1)

    @classmethod
    def beside(cls, curve: Curve) -> "NoisyLeakCurve":
        """The same data, weights and λ as those of ``curve``, by descent with fresh inputs."""
        return cls(**{**dataclasses.asdict(curve), "method": "descent"})

    def compute(self, run: Run = UNSAVED) -> Result:
        """Train and measure: (summary, arrays) for the record."""
        problem, penalties = draw_problem(self), self.penalties
        draw = torch.Generator().manual_seed(NOISE + self.seed)
        state, done, part = problem.zero_state(), 0, run.part()
        recorder, saved = Recorder(self.record_times, Observer(problem)), part.load()
        if saved is not None:
            recorder.restore(saved)
            state, done = torch.from_numpy(saved["state"].copy()), int(saved["done"])
            draw.set_state(torch.from_numpy(saved["draws"].copy()))
        outcome, begun = Outcome.REACHED_END, done
        while True:
            if recorder.next_time == done:
                recorder.record(state)
            if done == self.t_end:
                break
            if done > begun and part.due():
                kept = {"state": state.numpy().copy(), "done": done}
                part.save(kept | {"draws": draw.get_state().numpy()} | recorder.dump())
            Z = draw_inputs(self.n_leak, self.d, self.draws.inputs, draw, dtype=state.dtype)
            fresh = PairFeatures(Z, problem.weights, problem.activation)
            loss, gradient = noisy_gradient(problem, penalties, state, fresh)
            if not math.isfinite(loss):
                outcome = Outcome.DIVERGED
                break
            state = state - STEP_FACTOR * self.step * gradient
            done += 1
        summary = {"outcome": str(outcome), "gradients": done, "steps": done}
        return summary, {"times": recorder.times, **recorder.values()}

    @property
    def penalties(self) -> Penalties:
        """λ_1 and λ_2."""
        return Penalties(self.penalty_population, self.penalty_empirical)
