"""The chapter *The published figure*: descent with a noisy R_1, and whole curves compared."""

import numpy as np
import pytest
import torch
from scipy.interpolate import PchipInterpolator

from escape_ntk.chapters.published_figure import claims, digitised, whole_curves
from escape_ntk.chapters.published_figure import runs as runs_of
from escape_ntk.chapters.published_figure.comparisons import residuals
from escape_ntk.chapters.published_figure.noisy_leak import NoisyLeakCurve, noisy_gradient
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.risk.leaks import SampledLeak
from escape_ntk.risk.regularizer import RegularizedRisk
from escape_ntk.study.claims import Runs
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


def test_a_gap_within_a_pixel_of_either_direction_does_not_count():
    values, own = np.array([1.0, 0.5, 0.0]), np.array([0.9, 0.4, 0.0])
    assert whole_curves.gap(values, [own], 0.02) == pytest.approx([0.08, 0.08, 0.0])
    later = np.array([1.0, 0.45, 0.1])
    assert whole_curves.gap(values, [own, later], 0.02) == pytest.approx([0.0, 0.03, 0.0])
    assert whole_curves.gap(-values, [-own, -later], 0.02) == pytest.approx([0.0, 0.03, 0.0])


def test_a_pixel_of_time_is_a_step_on_the_published_axis():
    times = np.array([0.0, 9.0, 99.0, 9999.0])
    step = np.log(whole_curves.shifted(times, 1) + 1) - np.log(times + 1)
    assert step / np.log(100) == pytest.approx(np.full(4, digitised.TIME_PIXEL))
    assert whole_curves.shifted(times, 0) == pytest.approx(times)


def test_the_scan_at_one_is_the_comparison_itself():
    """Interpolated between the λ of the figure, at one of them: two routes to the same distance."""
    runs, curve = Runs(), whole_curves.WholeCurve("penalty", 1e-3)
    scanned = whole_curves.scan(runs, curve)[len(whole_curves.COEFFICIENTS) // 2]
    assert whole_curves.COEFFICIENTS[len(whole_curves.COEFFICIENTS) // 2] == pytest.approx(1)
    own = whole_curves.apart(runs, runs_of.SUM_NO_R1, curve)
    assert scanned.z == pytest.approx(own.z, rel=1e-6)


def test_between_the_lambdas_of_the_figure_the_curves_are_known_within_a_few_percent():
    """Those of λ = 1e-3 left out and interpolated over two decades: farther than what is used."""
    runs, curve = Runs(), whole_curves.WholeCurve("test", 1e-3)
    times, _ = curve.published()
    lambdas = [1e-5, 1e-4, 1e-2, 1e-1]
    rows = [whole_curves.predicted(runs, runs_of.SUM_NO_R1, "test", lam, times) for lam in lambdas]
    path = PchipInterpolator(np.log10(lambdas), np.log(np.array(rows) + curve.pixel))
    own = whole_curves.predicted(runs, runs_of.SUM_NO_R1, "test", 1e-3, times).mean(0)
    left_out = (np.exp(path(-3.0)) - curve.pixel).mean(0)
    assert np.sqrt(((left_out - own) ** 2).mean()) < 0.1


def test_predictions_of_sums_of_squares_stay_above_zero():
    """Also where another hypothesis takes them down by orders of magnitude."""
    rows = residuals(Runs(), claims.PRINTED_SUM)
    penalty = next(r.predicted for r in rows if r.comparison.panel == "penalty")
    assert 0 <= penalty.interval.low < penalty.interval.value < 1
    assert penalty.z > 100
