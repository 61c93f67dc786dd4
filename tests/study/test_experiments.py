"""Experiments at small sizes, each number along a second route: what only pages ran before."""

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch

from escape_ntk.chapters.directions.runs import (
    EqualSigns,
    GramNoise,
    MemorizedNoise,
    Memorizing,
    Scene,
)
from escape_ntk.chapters.landscape import runs as landscape
from escape_ntk.chapters.ntk_limits.runs import (
    Blindness,
    EigenvalueSamples,
    ExpectedError,
    OutputScale,
)
from escape_ntk.chapters.quadntk.runs import SeveralDirections, SignDraws
from escape_ntk.chapters.regularizer.runs import ClosedForms
from escape_ntk.chapters.setup.runs import LeakClosedForm
from escape_ntk.kernels.ntk import KernelRidge, infinite_ntk
from escape_ntk.kernels.spectrum import ntk_spectrum
from escape_ntk.models.data import draw_inputs, random_direction, sparse_part
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.risk.constructions import represent_power
from escape_ntk.study import curve as curves

F64 = torch.float64


def test_sampled_eigenvalues_are_those_of_the_quadrature():
    """Fresh triples against Gegenbauer coefficients, in standard errors; and the trace of both."""
    point = EigenvalueSamples(1, d=6, n_triples=400_000, batch=10_000)
    _, a = point.compute()
    assert (np.abs(a["sampled"] - a["exact"]) < 4.5 * a["standard_error"]).all()
    assert (a["standard_error"] < 0.05 * a["exact"]).all()
    other = ntk_spectrum(activation(point.activation), 6, weight_law="gaussian").eigenvalues[:3]
    assert (np.abs(a["sampled"] - other) > 4.5 * a["standard_error"]).any()  # the test can fail


def test_the_expected_error_is_that_of_drawn_targets():
    """The trace formula against ridge regression on 200 drawn targets and fresh inputs."""
    point = ExpectedError(3, d=6, sizes=(12, 40))
    _, a = point.compute()
    generator = torch.Generator().manual_seed(point.seed)
    act = activation(point.activation)
    X = draw_inputs(40, 6, "sphere", generator, dtype=F64)  # the experiment's own
    Z = draw_inputs(4000, 6, "sphere", generator, dtype=F64)
    for n, own in zip(point.sizes, a["error"], strict=True):
        fit, cross = KernelRidge(infinite_ntk(X[:n], X[:n], act)), infinite_ntk(Z, X[:n], act)
        errors = []
        for _ in range(200):
            parts = [
                sparse_part(random_direction(6, generator, dtype=F64), j, "sphere")
                for j in (1, 2, 3)
            ]
            y, goal = (sum(part(x) for part in parts) / math.sqrt(3) for x in (X[:n], Z))
            errors.append(float((cross @ fit.dual(y, 0.0) - goal).square().mean()))
        spread = np.std(errors, ddof=1) / math.sqrt(len(errors))
        assert abs(np.mean(errors) - own) < 4.5 * spread + 0.02 * own


def test_drawn_signs_have_the_mean_of_all_signs():
    """Over all 64 sign patterns of six pairs the mean of f_L² is the formula, exactly."""
    point = SignDraws(1, d=5, n=8, m=12, n_draws=4000)
    summary, _ = point.compute()
    generator = torch.Generator().manual_seed(point.seed)
    weights = draw_weights(12, 5, generator, dtype=F64)
    beta = random_direction(5, generator, dtype=F64)
    made = represent_power(weights, activation(point.activation), beta, 2)
    X = draw_inputs(8, 5, "sphere", generator, dtype=F64)
    every = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=6)), dtype=F64)
    squares = torch.stack([made.terms(X, signs)[0].square() for signs in every])
    same, _, leak = made.terms(X)
    assert torch.allclose(squares.mean(0), leak)
    assert summary["equal"] == pytest.approx(float(same.square().mean() / leak.mean()))
    spread = float(squares.mean(1).std() / leak.mean()) / math.sqrt(point.n_draws)
    assert abs(summary["drawn"] - 1) < 4.5 * spread


def test_closed_forms_are_seen_by_fresh_inputs():
    """Both laws within five standard errors; without κ20 they are not."""
    summary, _ = ClosedForms(2, m=40, d=5, n_fresh=200_000).compute()
    for law in ("gaussian", "sphere"):
        assert summary[law] < 5 < summary[f"{law}_without_k20"]
    summary, _ = LeakClosedForm(2, m=40, d=5, n=30, n_fresh=200_000).compute()
    off = {name: abs(summary[name] - summary["monte_carlo"]) for name in summary}
    assert off["closed_form"] < 5 * summary["standard_error"] < off["without_k20"]


def test_memorizing_is_the_shortest_way_to_fit_noise():
    """The residual inside and the movement, against dense least squares on all features."""
    point = Memorizing(1, d=4, n=30, m=200)
    summary, _ = point.compute()
    scene = Scene.draw(point, point.m)
    y = torch.randn(30, generator=scene.generator, dtype=F64)
    features = scene.features
    A = torch.stack([features.linear_pullback(e) for e in torch.eye(30, dtype=F64)]).flatten(1)
    n_k = cumulative_multiplicity(4, 1)
    basis = torch.linalg.svd(A, full_matrices=False)[0][:, :n_k]
    rest = y - basis @ (basis.T @ y)
    assert summary["left_inside"] == pytest.approx(float(rest.square().mean() / y.square().mean()))
    shortest = torch.linalg.pinv(A) @ rest
    farthest = shortest.view(-1, 4).norm(dim=1).max() / 2
    assert summary["movement"] == pytest.approx(float(farthest), rel=1e-6)
    assert summary["left"] < 1e-12


@pytest.mark.parametrize("kind", [landscape.PublishedLandscape, landscape.CertifiedPublished])
def test_a_published_landscape_on_a_small_problem(monkeypatch, kind):
    """λ_min at W = 0 against a dense Hessian; the floor lies below it, the risk falls."""
    small = partial(curves.Curve, d=4, n=20, m=12, n_k=4, dtype="float64")
    monkeypatch.setattr(landscape, "Curve", small)
    point = kind(1, empirical=1.0, times=(0.0, 5.0, 50.0))
    summary, a = point.compute()
    curve = small(1, 1.0, 0.0, n_test=1)
    risk = curve.risk(curves.draw_problem(curve))
    start = risk.features.zero_state()
    flat = torch.eye(start.numel(), dtype=start.dtype)
    columns = [landscape_product(risk, start, e.view(start.shape)) for e in flat]
    lowest = 2 * float(torch.linalg.eigvalsh(torch.stack(columns).double()).min())
    seen = summary["start_lowest"] if kind is landscape.CertifiedPublished else a["lowest"][0]
    assert seen == pytest.approx(lowest, rel=0.1) and lowest < 0
    assert a["value"][-1] < a["value"][0] and len(a["value"]) == 3
    if "floor" in a:
        assert a["floor"][0] <= lowest * (1 - 1e-6)


def landscape_product(risk, state, v):
    """∇²L_λ(state)v in pair coordinates by central differences of the gradient."""
    size = 1e-2  # the gradient is cubic in the state
    ahead, behind = (risk.value_and_gradient(state + s * size * v)[1] for s in (1, -1))
    return ((ahead - behind) / (2 * size)).flatten()


def test_equal_signs_keep_what_the_projector_keeps():
    """One width against the projector of its scene; without it f_L is that of all of t."""
    point = EqualSigns(1, d=4, n=30, widths=(200,))
    _, arrays = point.compute()
    scene = Scene.draw(point, 200)
    s, t = scene.movement("same_sign")
    assert torch.equal(s.abs(), t.abs())
    high = t - scene.projector.low(t)
    assert arrays["kept"][0] == pytest.approx(float(high.square().sum() / t.square().sum()))
    assert arrays["train"][0] == pytest.approx(float(scene.features.linear(high).square().mean()))
    assert 0 < arrays["kept"][0] < 0.9
    assert arrays["train"][0] < scene.mean_squares(t)[0]


def test_weights_that_are_not_stretched_are_upright():
    sizes = {"d": 4, "n_test": 30, "m": 60, "n_directions": 3, "n_stretched": 3}
    flat, _ = Blindness(1, 2, 12, spread=0.0, **sizes).compute()
    moved, _ = Blindness(1, 2, 12, spread=8.0, **sizes).compute()
    for name in ("sparse", "dense"):
        assert flat[f"{name}_stretched"] == pytest.approx(flat[f"{name}_finite"])
        assert moved[f"{name}_finite"] == flat[f"{name}_finite"]
    assert abs(moved["sparse_stretched"] / flat["sparse_stretched"] - 1) > 1e-3


def test_the_scale_before_the_sum_changes_no_linear_model():
    """With m^(−1) the neurons move √m times as far as lazy ones do while all is still linear."""
    point = OutputScale(1, d=4, n=12, n_test=15, widths=(4096,), step=1e-4, n_steps=3)
    _, arrays = point.compute()
    ratio = arrays["moved_full"][0] / arrays["moved_root"][0]
    assert ratio == pytest.approx(64, rel=1e-2)
    assert arrays["deviation_full"][0] < 1e-4


def test_memorised_noise_is_what_regression_without_ridge_leaves():
    """E f_L² by fresh inputs in place of the zonal kernel; the two parts are all of y."""
    point = MemorizedNoise(1, d=5, n=30)
    summary, _ = point.compute()
    generator = torch.Generator().manual_seed(1)
    X = draw_inputs(30, 5, "sphere", generator, dtype=torch.float64)
    y = torch.randn(30, generator=generator, dtype=torch.float64)
    act = activation(point.activation)
    vectors = torch.linalg.eigh(infinite_ntk(X, X, act))[1][:, :-6]
    high = vectors @ (vectors.T @ y)
    Z = draw_inputs(20_000, 5, "sphere", generator, dtype=torch.float64)
    f = infinite_ntk(Z, X, act) @ torch.linalg.solve(infinite_ntk(X, X, act), high)
    assert summary["high"] == pytest.approx(
        float(f.square().mean() / high.square().mean()), rel=0.05
    )
    assert summary["low"] != pytest.approx(summary["high"], rel=0.2)


def test_noise_of_high_degrees_is_the_gram_matrix_without_the_low_ones():
    summary, _ = GramNoise(1, d=3, k=1, n=12).compute()
    X = draw_inputs(12, 3, "sphere", torch.Generator().manual_seed(1), dtype=torch.float64)
    act = activation("sin(z+pi/4)")
    lam = ntk_spectrum(act, 3).eigenvalues
    rest = infinite_ntk(X, X, act) - lam[0] - lam[1] * X @ X.T - summary["gamma"] * torch.eye(12)
    size = float(torch.linalg.matrix_norm(rest, 2)) / summary["gamma"]
    assert summary["norm"] == pytest.approx(size, rel=1e-6)
    square = float(rest.square().sum()) / 12 / summary["gamma"] ** 2
    assert summary["spread"] == pytest.approx(square**0.5, rel=1e-6)


def test_noisy_labels_leave_a_high_end_that_is_flat_and_f_l_alone_on_the_saddle():
    """∇_tL_λ = 0 where f_L alone rests, and the floor is deep; more labels than weights."""
    s, _ = landscape.Noisy(1, m=20, d=4, n=200, t_end=3000.0).compute()
    assert s["end_value"] < s["linear_value"] < s["start_value"]
    assert s["linear_coupling"] == 0  # s = 0
    assert abs(s["linear_first_order"]) < 0.05 * s["start_value"]
    assert s["linear_floor"] < 2 * s["end_floor"] < 0
    parts = ("comparison", "first_order", "coupling", "cross")
    for when in ("start_", "linear_", "end_"):
        right = sum(s[when + name] for name in parts) - s[f"{when}curvature"] - s[f"{when}distance"]
        assert s[f"{when}value"] == pytest.approx(right, rel=1e-8)
    clean, _ = landscape.Noisy(1, m=20, d=4, n=200, t_end=3000.0, label_noise=0.0).compute()
    assert clean["end_value"] < 0.5 * s["end_value"]  # control: it is the noise that stays


def test_norms_of_several_directions_have_their_order():
    """Least < one movement < shared out; equal directions cost what one does; one is one."""
    _, a = SeveralDirections(1, 2, d=20, m=4000, counts=(1, 2, 6), n_bound=200).compute()
    assert a["norm"][0] == pytest.approx(a["split"][0]) == pytest.approx(a["aligned"][0])
    assert a["aligned"] == pytest.approx([a["norm"][0]] * 3)
    assert a["split"] == pytest.approx(a["norm"][0] * a["count"])
    assert (a["norm"][1:] < 0.8 * a["split"][1:]).all() and (np.diff(a["norm"]) > 0).all()
    assert (a["least"][1:] < a["norm"][1:]).all()
