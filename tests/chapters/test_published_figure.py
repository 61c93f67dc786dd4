"""Runs of the chapter *The published figure*: descent whose R_1 comes from fresh inputs."""

import torch

from escape_ntk.chapters.published_figure.noisy_leak import NoisyLeakCurve, noisy_gradient
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.risk.leaks import SampledLeak
from escape_ntk.risk.regularizer import RegularizedRisk
from escape_ntk.study.curve import Curve, draw_problem

SIZE = dict(d=6, n=30, m=40, n_k=6, n_test=50, t_end=300, n_times=8, dtype="float64")


def test_the_noisy_gradient_is_that_of_the_risk_with_these_fresh_inputs():
    """Two routes: by dual coefficients, and by projecting t twice."""
    curve, draw = NoisyLeakCurve(1, 2.0, 0.5, **SIZE), torch.Generator().manual_seed(0)
    problem = draw_problem(curve)
    Z = draw_inputs(20, 6, "gaussian", draw, dtype=torch.float64)
    fresh = PairFeatures(Z, problem.weights, problem.activation)
    state = torch.randn(2, 20, 6, generator=draw, dtype=torch.float64)
    risk = RegularizedRisk(
        problem.features, problem.y, penalties=curve.penalties, projector=problem.projector,
        population=SampledLeak(fresh),
    )  # fmt: skip
    value, gradient = risk.value_and_gradient(state)
    loss, own = noisy_gradient(problem, curve.penalties, state, fresh)
    assert abs(loss - value.loss) < 1e-12 * value.loss
    assert torch.allclose(own, gradient, rtol=1e-10, atol=1e-12)
    without = noisy_gradient(problem, Curve(1, 2.0, **SIZE).risk(problem).penalties, state, fresh)
    assert not torch.allclose(without[1], gradient, rtol=1e-2)  # control: no R_1


def test_many_fresh_inputs_are_the_exact_leak_and_few_are_not():
    _, exact = Curve(1, 2.0, 0.5, method="descent", **SIZE).compute()
    gaps = []
    for n_leak in (5, 3000):
        summary, own = NoisyLeakCurve(1, 2.0, 0.5, n_leak=n_leak, **SIZE).compute()
        assert summary["outcome"] == "reached_end" and own["times"].tolist() == list(exact["times"])
        gaps.append(abs(own["test"] - exact["test"]).max())
    assert gaps[1] < 0.1 * gaps[0]
