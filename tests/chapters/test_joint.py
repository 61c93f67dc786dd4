"""W* = W_L + S W_Q, the bound with one term for each R_j, and the points that measure them."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from escape_ntk import chapters
from escape_ntk.chapters.end_to_end import claims as e2e_claims
from escape_ntk.chapters.end_to_end import runs as end_to_end
from escape_ntk.chapters.joint import claims, page
from escape_ntk.chapters.joint import runs as joint
from escape_ntk.chapters.sample_complexity import claims as complexity
from escape_ntk.checks import InputError
from escape_ntk.kernels.spectrum import ntk_spectrum
from escape_ntk.models.data import (
    dense_part,
    dense_plus_sparse,
    dense_quadratic,
    draw_inputs,
    draw_target,
    random_direction,
    random_signs,
    sparse_part,
)
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.numerics.stats import log_slope
from escape_ntk.risk.constructions import represent_target
from escape_ntk.risk.generalization import (
    GRID,
    attained_complexity,
    gap_bound,
    quadratic_complexity,
    radius,
)
from escape_ntk.risk.leaks import SphereLeak
from escape_ntk.risk.projectors import PopulationProjector
from escape_ntk.risk.regularizer import norm_2_4_to_the_4
from escape_ntk.study.claims import at_least
from escape_ntk.study.dense_plus_sparse import explicit
from escape_ntk.study.sweep import LiveResult, run_live

F64 = torch.float64
SIN = activation("sin(z+pi/4)")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def target(k: int, d: int, generator):
    """Dense of degree k plus sparse of degree k + 1."""
    kind = {"generator": generator, "dtype": F64}
    dense = dense_part(d, 1, "sphere", **kind)
    if k == 2:
        dense = dense_quadratic(torch.randn(d, d, **kind), "sphere")
    return dense_plus_sparse(dense, sparse_part(random_direction(d, **kind), k + 1, "sphere"))


# ---------------------------------------------------------------- W*


@pytest.mark.parametrize("k", [1, 2])
def test_the_bias_of_the_explicit_solution_falls_and_equal_signs_grow(k):
    """(E_S f − f*)² goes like 1/m; with equal signs the error grows."""
    d, widths, bias, equal = 6, [2**j for j in (9, 11, 13)], [], []
    for m in widths:
        sums = np.zeros(2)
        for seed in range(6):
            g = seeded(seed)
            goal, X = target(k, d, g), draw_inputs(60, d, "sphere", g, dtype=F64)
            made = represent_target(
                draw_weights(m, d, g, dtype=F64), SIN, goal.parts[:1], goal.parts[1]
            )
            mean, _, coherent = made.moments(X)
            sums[0] += float((mean - goal(X)).square().mean())
            sums[1] += float((mean + coherent - goal(X)).square().mean())
        bias.append(sums[0])
        equal.append(sums[1])
    assert log_slope(widths, bias) == pytest.approx(-1, abs=0.3)
    assert log_slope(widths, equal) > 0.2  # control


@pytest.mark.parametrize("k", [1, 2])
def test_moments_are_those_over_all_signs(k):
    """Mean and variance over all 2⁶ choices of signs, from the features of the whole movement."""
    g = seeded(8)
    goal, weights = target(k, 5, g), draw_weights(12, 5, g, dtype=F64)
    made = represent_target(weights, SIN, goal.parts[:1], goal.parts[1])
    X = draw_inputs(7, 5, "sphere", g, dtype=F64)
    features = PairFeatures(X, weights, SIN)
    every = torch.cartesian_prod(*[torch.tensor([1.0, -1.0], dtype=F64)] * 6)
    values = torch.stack([sum(features.terms(made.state(signs))) for signs in every])
    mean, variance, coherent = made.moments(X, block=4)
    torch.testing.assert_close(mean, values.mean(0))
    torch.testing.assert_close(variance, values.var(0, correction=0))
    torch.testing.assert_close(mean + coherent, values[0])
    leak = made.quadratic.terms(X)[2]  # control: f_L's leak alone leaves out W_L's cross term
    assert float((variance - leak).abs().max()) > 1e-6 * float(variance.max())


@pytest.mark.parametrize("degree", [2, 3])
def test_several_directions_have_their_moments_and_their_target(degree):
    """All 2⁶ signs of a small network; on a wide one the mean over the signs is near f*."""
    g = seeded(9)
    low = dense_part(5, 1, "sphere", g, dtype=F64)
    many = dense_part(5, degree, "sphere", g, n_directions=3, dtype=F64)
    X = draw_inputs(40, 5, "sphere", g, dtype=F64)
    made = represent_target(draw_weights(12, 5, g, dtype=F64), SIN, [low], many)
    features = PairFeatures(X, made.quadratic.weights, SIN)
    every = torch.cartesian_prod(*[torch.tensor([1.0, -1.0], dtype=F64)] * 6)
    values = torch.stack([sum(features.terms(made.state(signs))) for signs in every])
    mean, variance, coherent = made.moments(X, block=4)
    torch.testing.assert_close(mean, values.mean(0))
    torch.testing.assert_close(variance, values.var(0, correction=0))
    torch.testing.assert_close(mean + coherent, values[0])
    wide = represent_target(draw_weights(200_000, 5, g, dtype=F64), SIN, [low], many)
    error = wide.moments(X)[0] - low(X) - many(X)
    assert float(error.square().mean()) < 1e-3
    single = represent_target(made.quadratic.weights, SIN, [low], many.scaled_to(2.0))
    assert single.t_linear.shape == made.t_linear.shape


def test_the_state_is_the_sum_of_both_movements():
    g = seeded(3)
    goal, weights = target(2, 5, g), draw_weights(40, 5, g, dtype=F64)
    made, signs = (
        represent_target(weights, SIN, goal.parts[:1], goal.parts[1]),
        random_signs(20, g),
    )
    X = draw_inputs(9, 5, "sphere", g, dtype=F64)
    features, state = PairFeatures(X, weights, SIN), made.state(signs)
    f_l, _, _ = made.quadratic.terms(X, signs)
    torch.testing.assert_close(
        features.linear(state[1]), f_l + features.linear(made.t_linear), rtol=1e-10, atol=1e-12
    )
    alone = dataclasses.replace(made, t_linear=torch.zeros_like(made.t_linear)).state(signs)
    fourth = float(norm_2_4_to_the_4(alone)[0])
    assert fourth == pytest.approx(made.quadratic.norm_2_4_to_the_4)


def test_scaling_the_movement_scales_f_q():
    g = seeded(4)
    goal, weights = target(1, 5, g), draw_weights(40, 5, g, dtype=F64)
    made = represent_target(weights, SIN, goal.parts[:1], goal.parts[1]).quadratic
    X = draw_inputs(7, 5, "sphere", g, dtype=F64)
    torch.testing.assert_close(made.scaled(-3.0).terms(X)[1], -3 * made.terms(X)[1])


def test_targets_that_are_not_dense_plus_sparse_are_refused():
    g = seeded(5)
    weights, goal = draw_weights(40, 5, g, dtype=F64), target(1, 5, g)
    with pytest.raises(InputError, match="above the degree"):
        represent_target(weights, SIN, [goal.parts[1]], goal.parts[1])


# ---------------------------------------------------------------- the bound


def test_radii_are_the_next_of_the_grid():
    for norm in (0.01, 0.9, 1.0, 3.7, 900.0):
        assert norm <= radius(norm) * (1 + 1e-9) and radius(norm) < norm * 2 ** (1.01 / GRID)
    assert radius(0.0) == 2.0**-10
    with pytest.raises(InputError, match="largest radius"):
        radius(2000.0)


def test_the_complexity_bounds_what_any_f_q_can_correlate():
    """(1/n)Σ ε f_Q ≤ ½‖W‖_{2,4}² max‖M_r‖, attained up to the shares by the top eigenvector."""
    g = seeded(6)
    d, m, n = 5, 40, 50
    weights, X = draw_weights(m, d, g, dtype=F64), draw_inputs(n, d, "sphere", g, dtype=F64)
    signs = random_signs(n, g)
    M = torch.einsum("i,ir,ij,ik->rjk", signs, SIN.second(X @ weights.T), X, X) / n
    most = float(torch.linalg.eigvalsh(M).abs().max())
    features = PairFeatures(X, weights, SIN)
    for _ in range(20):
        state = torch.randn(2, m // 2, d, generator=g, dtype=F64)
        correlation = abs(float(signs @ features.terms(state)[1])) / n
        assert correlation <= most / 2 * float(norm_2_4_to_the_4(state)[0]) ** 0.5
    one = quadratic_complexity(weights, SIN, n, seeded(7), draws=1)
    many = quadratic_complexity(weights, SIN, 16 * n, seeded(7), draws=3)
    assert one > many > one / 8  # like n^{−1/2}
    assert one == pytest.approx(most / 2, rel=0.5)


def test_each_penalty_has_its_term():
    sizes = {"population": 0.04, "empirical": 0.01, "low_degree": 4.0, "norm_fourth": 16.0}
    b = gap_bound(n=400, mean_kernel=9.0, complexity=0.05, **sizes)
    assert (b.population_leak, b.empirical_leak) == pytest.approx((0.2, 0.1))
    assert b.linear == pytest.approx(2 * 2 * 3 / 20)
    assert b.quadratic == pytest.approx(2 * 4 * 0.05)
    assert b.chance == pytest.approx(math.sqrt(math.log(161**2 / 0.05) / 800))
    assert b.total == pytest.approx(0.2 + 0.1 + 0.6 + 0.4 + b.chance)
    half = gap_bound(n=400, mean_kernel=9.0, complexity=0.05, cap=0.5, **sizes)
    assert half.chance == pytest.approx(b.chance / 2) and half.linear == b.linear
    with pytest.raises(InputError, match="population"):
        gap_bound(n=400, mean_kernel=9.0, complexity=0.05, **sizes | {"population": -1.0})


# ---------------------------------------------------------------- the points


def test_the_recorded_mean_square_is_that_of_drawn_signs():
    point = joint.Solution(1, 1, 5, n=40, widths=(64, 256))
    _, a = point.compute()
    assert np.allclose(a["mean_square"], a["bias"] + a["variance"])
    g = seeded(1)
    goal = joint.draw_target(1, 5, g, F64)
    X, weights = draw_inputs(40, 5, "sphere", g, dtype=F64), draw_weights(64, 5, g, dtype=F64)
    made, features = joint.explicit(weights, point.activation, goal), PairFeatures(X, weights, SIN)
    drawn = [
        (sum(features.terms(made.state(random_signs(32, g)))) - goal(X)).square().mean()
        for _ in range(600)
    ]
    assert float(torch.stack(drawn).mean()) == pytest.approx(a["mean_square"][0], rel=0.1)


def test_budgets_with_the_populations_projector_leak_less_than_with_a_training_sets():
    s, arrays = joint.Budgets(1, 1, 6, 120, n_signs=3).compute()
    assert s["R_1"] < s["training_R_1"]
    assert s["R_3"] == pytest.approx(s["linear_norm"], rel=0.3)
    assert s["R_1_linear"] > 5 * s["R_1"]  # control: f_L makes the sparse part
    assert len(arrays["eigenvalues"]) == cumulative_multiplicity(6, 1) + 1


def test_the_mean_empirical_leak_is_that_over_all_signs():
    g = seeded(9)
    goal, weights = target(1, 4, g), draw_weights(12, 4, g, dtype=F64)
    made = represent_target(weights, SIN, goal.parts[:1], goal.parts[1])
    features = PairFeatures(draw_inputs(9, 4, "sphere", g, dtype=F64), weights, SIN)
    projector = PopulationProjector(SphereLeak(weights, SIN), tuple(weights.shape), 5)
    every = torch.cartesian_prod(*[torch.tensor([1.0, -1.0], dtype=F64)] * 6)
    drawn = [
        features.linear(projector.high(made.state(signs)[1])).square().mean() for signs in every
    ]
    got = joint._mean_empirical_leak(features, projector, made)
    assert got == pytest.approx(float(torch.stack(drawn).mean()), rel=1e-10)


def test_norms_are_those_of_infinite_width():
    _, a = joint.Norms(1, 1, m=8192, dims=(8,)).compute()
    lam = ntk_spectrum(SIN, 8).eigenvalues
    low = a["linear"][0]
    assert 0.4 / lam[1] < low < 0.6 / lam[1] + 1 / lam[0]
    assert a["linear_alone"][0] == pytest.approx(0.5 / lam[2], rel=0.1)


def test_a_gap_is_measured_on_the_clipped_loss():
    point = joint.Gap(1, 1, 5, 30, m=60, n_test=500, t_end=50.0)
    class_point = joint.GapClass(1, 1, 5, 30, m=60, n_test=500)
    (made,) = claims.with_bounds([run_live(point)], [run_live(class_point)])
    s = made.summary
    assert s["gap"] == pytest.approx(s["test"] - s["train"])
    assert 0 <= s["train"] <= 1 and 0 < s["zero"] <= 1 and s["gap"] < s["bound"]
    terms = [s[f"bound_{term}"] for term in page.TERMS]
    assert s["bound"] == pytest.approx(sum(terms)) and s["bound"] < s["bound_largest"]


def test_the_class_of_a_run_has_its_frozen_weights():
    """Its complexities are those of the weights that the run draws."""
    point = joint.Gap(2, 1, 5, 30, m=40, n_test=50, n_validation=20)
    known, _ = joint.GapClass(2, 1, 5, 30, m=40, n_test=50, n_validation=20).compute()
    problem, _ = joint.draw_problem(point)
    for name, measure in (("complexity", attained_complexity), ("largest", quadratic_complexity)):
        own = measure(problem.weights, point.activation, 30, seeded(4_000_002))
        assert known[name] == pytest.approx(own)
    other, _ = joint.GapClass(2, 1, 5, 30, m=40, n_test=51, n_validation=20).compute()
    assert other["complexity"] != known["complexity"]  # control: another draw
    assert known["mean_kernel"] == pytest.approx(ntk_spectrum(SIN, 5).trace)
    same, _ = end_to_end.DescentClass(2, 1, 5, 30, m=40, n_test=50, n_validation=20).compute()
    assert same == known


TINY = {"m": 60, "n_validation": 20, "n_test": 300, "t_end": 100.0}


def test_descent_and_flow_end_alike_and_below_their_bound():
    ends = {}
    for method in end_to_end.METHODS:
        point = end_to_end.Descent(1, 1, 5, 40, method=method, n_times=5, n_signs=2, **TINY)
        ends[method], arrays = point.compute()
        assert ends[method]["value"] <= ends[method]["guarantee"]
        assert set(arrays) in (set(), {"times", "train", *_measured()})
    assert ends["descent"]["end_error"] == pytest.approx(ends["flow"]["end_error"], rel=0.1)
    four, _ = end_to_end.Descent(
        1, 1, 5, 40, penalties=end_to_end.ALL_FOUR, n_times=3, n_signs=2, **TINY
    ).compute()
    assert "guarantee" not in four and four["zero"] > 0


def test_noisy_labels_end_high_and_f_l_alone_ends_on_the_saddle():
    """Stationary in t at both, but only the joint end is flat: more labels than weights."""
    s, _ = end_to_end.Noisy(1, 1, 4, 200, m=20, n_test=60, n_signs=2, t_end=3000.0).compute()
    assert s["end_value"] < s["linear_value"] < s["start_value"]
    assert s["linear_guarantee_coupling"] == 0  # s = 0
    assert abs(s["linear_guarantee_first_order"]) < 0.05 * s["start_value"]
    assert s["linear_flatness"] > 2 * s["end_flatness"]
    clean, _ = end_to_end.Noisy(
        1, 1, 4, 200, m=20, n_test=60, n_signs=2, t_end=3000.0, label_noise=0.0
    ).compute()
    assert clean["end_value"] < 0.5 * s["end_value"]  # control: it is the noise that stays


def test_a_run_over_the_width_is_the_taylor_model_of_the_networks():
    size = TINY | {"m": 40}
    s, _ = end_to_end.Wider(1, 1, 5, 40, **size).compute()
    both, _ = end_to_end.FullNetwork(1, 1, 5, 40, **size).compute()
    assert s["error"] == pytest.approx(both["taylor_error"], rel=1e-4)
    strong, _ = end_to_end.Wider(1, 1, 5, 40, empirical=10.0, **size).compute()
    assert strong["linear_sparse"] < s["linear_sparse"]  # the penalty is on


def test_every_term_of_the_guarantee_is_measured_and_bounded():
    """At the end of a tiny run: R_4 keeps W within its bound, and each term is below its own."""
    tiny = TINY | {"t_end": 300.0}
    s, arrays = end_to_end.Guaranteed(1, 2, 4, 30, n_times=5, **tiny).compute()
    weights = end_to_end.Guaranteed.penalties
    assert arrays["norm_2_4"].max() <= (arrays["value"][0] / weights[3]) ** 0.125
    assert all(np.diff(arrays["value"]) <= 0)
    assert s["end_R_3"] * weights[2] <= s["known_start"]
    for name in ("missed", "low_degree", "cross"):
        assert 0 <= s[f"end_{name}"] <= s[f"advance_{name}"] * (1 + 1e-9)
    assert s["end_mean_penalty"] <= s["advance_signs"]
    assert s["end_deepest"] <= s["advance_curvature"]
    assert abs(s["end_first_order"]) <= s["advance_gradient"]
    assert abs(s["end_norm_slope"]) <= s["advance_norm_slope"]
    parts = "missed mean_penalty inner leak first_order coupling cross norm_curvature norm_slope"
    for when in ("start", "end"):
        right = sum(s[f"{when}_{name}"] for name in parts.split())
        right -= s[f"{when}_curvature"] + s[f"{when}_distance"]
        assert s[f"{when}_value"] == pytest.approx(right, rel=1e-8)
    off = (*weights[:3], 0.0)
    without, free = end_to_end.Guaranteed(1, 2, 4, 30, penalties=off, n_times=5, **tiny).compute()
    assert "advance_cross" not in without
    assert free["norm_2_4"][-1] > arrays["norm_2_4"][-1]  # control: nothing holds it back


def test_the_guarantee_asks_for_more_at_more_dimensions_and_smaller_errors():
    """Γ, c⁴ and ⟨g²⟩ against those of drawn weights; width and samples in their orders."""
    _, a = end_to_end.Required(dims=(8, 16), errors=(0.5, 0.25)).compute()
    assert (np.diff(a["width"], axis=0) > 0).all() and (np.diff(a["width"], axis=1) > 0).all()
    assert (a["samples"][1] > 4 * a["samples"][0]).all()
    g = torch.Generator().manual_seed(0)
    target = draw_target(2, 8, g, torch.float64)
    weights = draw_weights(6_000, 8, g, dtype=torch.float64)
    made = explicit(weights, end_to_end.Required.activation, target)
    drawn = made.quadratic.norm_2_4_to_the_4
    assert a["norm_fourth"][0] == pytest.approx(drawn, rel=0.05)
    X = draw_inputs(6_000, 8, "sphere", g, dtype=torch.float64)
    rest = target(X) - made.quadratic.terms(X)[1]
    assert a["low"][0] == pytest.approx(float(rest.square().mean()), rel=0.05)


def _measured() -> set[str]:
    parts = {"error", "dense", "sparse", "rest", "c_dense", "c_sparse"}
    terms = {f"{t}_{p}" for t in ("linear", "quadratic") for p in ("dense", "sparse")}
    return parts | terms | set(e2e_claims.SIZES)


def test_another_method_is_refused():
    with pytest.raises(InputError, match="method"):
        end_to_end.Descent(1, 1, 5, 40, method="newton")


def test_the_full_network_is_compared_with_its_taylor_model():
    tiny = TINY | {"m": 200}
    s, _ = end_to_end.FullNetwork(1, 1, 5, 40, **tiny).compute()
    assert 0 < s["remainder"] < 1 and 0 < s["difference"] < 1
    assert s["network_error"] == pytest.approx(s["taylor_error"], rel=0.5)


# ---------------------------------------------------------------- judges and readers


def run(config: dict, summary: dict, arrays=None) -> LiveResult:
    return LiveResult("made", config, summary, arrays or {})


def test_exponents_are_read_off_made_thresholds():
    """n_.25 = 2n_2 exactly: slope 1 in n_2 and less in n_3; a censored dimension is left out."""
    runs = [
        run({"d": d, "seed": seed, "n": n}, {"error": cumulative_multiplicity(d, 2) / (2 * n)})
        for d in (10, 20, 40)
        for seed in complexity.SEEDS
        for n in (f * cumulative_multiplicity(d, 2) for f in (1, 2, 3) if d < 40 or f < 2)
    ]
    size = {k: (lambda d, k=k: cumulative_multiplicity(d, k)) for k in (2, 3)}
    assert list(complexity.uncensored(runs, 0.25)) == [10, 20]
    assert complexity.exponents(runs, 0.25, size[2]) == pytest.approx([1.0] * 5)
    assert max(complexity.exponents(runs, 0.25, size[3])) < 0.8
    assert complexity.foreseen_gap(2, [1000, 2000]) == pytest.approx(1, abs=0.01)


def test_a_half_time_is_where_half_of_the_end_is_reached():
    made = run({}, {}, {"times": np.array([0, 1, 10, 100.0]), "x": np.array([0, 0.1, 0.6, 1.0])})
    assert e2e_claims.half_time(made, "x") == 10
    never = run({}, {}, {"times": np.array([0, 1, 100.0]), "x": np.array([0, 0.1, -0.01])})
    assert e2e_claims.half_time(never, "x") == 100


spread = np.array([-0.01, 0.0, 0.01, 0.0])
GAP = {"differences": 0.9 + spread, "foreseen": 0.9}
SLOPES = {"gap": -1 + spread, "bound": -0.5 + spread}
SIZES = {key: [1.0, 1.9] for key in e2e_claims.SIZES}
NOISE = {"difference": spread, "d_25": 1.5 + spread}
SHARES = {"with": [0.6, 0.5], "without": [0.1, 0.2]}


@pytest.mark.parametrize(
    ("judge", "passing", "failing"),
    [
        ("complexity-difference", GAP, GAP | {"differences": 10 * spread}),
        ("complexity-foreseen", 1 + spread, 1.1 + spread),
        ("complexity-foreseen", 1 + spread, 1 + 30 * spread),
        ("joint-gap", SLOPES | {"ratios": [0.1]}, SLOPES | {"ratios": [0.1, 1.1]}),
        (at_least(1.0), [2.0, 1.5], [2.0, 0.9]),
        ("e2e-sizes", SIZES, SIZES | {"R_2": [0.1, 2.1]}),
        ("e2e-carries", {250: [0.9], 1000: [0.5]}, {250: [0.9], 1000: [1.1]}),
        ("complexity-shares", SHARES, SHARES | {"without": [0.1, 0.3]}),
        ("complexity-noise-ntk", NOISE, NOISE | {"difference": 0.5 + spread}),
    ],
)
def test_each_judge_can_pass_and_can_fail(judge, passing, failing):
    judge = chapters.claim(judge).judge if isinstance(judge, str) else judge
    assert judge(passing).verdict == "reproduced"
    assert judge(failing).verdict == "not_reproduced"


def test_a_difference_away_from_the_foreseen_one_is_partly_reproduced():
    away = GAP | {"differences": 0.5 + spread}
    assert chapters.claim("complexity-difference").judge(away).verdict == "partly"
