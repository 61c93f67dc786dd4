"""The stabilised integrator by its rates and bounds, and gradient flow by independent routes."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from mortal import KilledError, Memory, killed_again_and_again
from scipy import special
from scipy.integrate import solve_ivp

from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import STEP_FACTOR, PairFeatures
from escape_ntk.numerics import rkc
from escape_ntk.risk.leaks import GaussianLeak
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.risk.regularizer import Penalties, RegularizedRisk, RiskValue
from escape_ntk.training import flow as flow_module
from escape_ntk.training.descent import gradient_descent
from escape_ntk.training.flow import gradient_flow
from escape_ntk.training.trajectory import Outcome

N, D, P = 9, 3, 4
F64 = torch.float64
SIGMOID = activation("sigmoid(z-1)")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]


def slope(x, y) -> float:
    """Exponent of y ∝ x^slope by regression of logarithms."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def size_of(state: torch.Tensor) -> dict[str, float]:
    return {"size": float(state.norm()), "first": float(state.flatten()[0])}


def pair_problem(penalties: Penalties | None = None, device: str = "cpu", dtype=F64):
    """A small regularised risk with a start away from the saddle W = 0, the same on any device."""
    g = torch.Generator().manual_seed(0)
    weights = draw_weights(2 * P, D, g, dtype=dtype)
    X = draw_inputs(N, D, "gaussian", g, dtype=dtype)
    y = torch.randn(N, generator=g, dtype=dtype)
    start = 0.5 * torch.randn(2, P, D, generator=g, dtype=dtype)
    weights, X, y, start = (tensor.to(device) for tensor in (weights, X, y, start))
    features = PairFeatures(X, weights, SIGMOID)
    projector = TrainingProjector(features, 3)
    penalties = penalties or Penalties(empirical=3.0, norm=0.01)
    leak = GaussianLeak(weights, SIGMOID) if penalties.population else None
    parts = {"penalties": penalties, "projector": projector, "population": leak}
    return RegularizedRisk(features, y, **parts), start


class VelocityRisk(RegularizedRisk):
    """A stand-in whose gradient flow is ẏ = F(y) for a given F; counts its calls."""

    def __init__(self, velocity, like: torch.Tensor):
        _, p, d = like.shape
        ones = like.new_ones(p, d)
        self.features = PairFeatures(ones[:1], ones, SIGMOID)
        self.velocity, self.calls, self.penalties = velocity, 0, Penalties()

    def value_and_gradient(self, state):
        """(nothing, −F(state)/2): the flow multiplies by −2."""
        self.calls += 1
        return RiskValue(loss=0.0), self.velocity(state) / -STEP_FACTOR


# ---------------------------------------------------------------- the coefficients


@pytest.mark.parametrize("s", [2, 3, 5, 10, 50])
def test_nodes_rise_from_zero_to_one(s):
    nodes = rkc.coefficients(s)[-1]
    assert nodes[-1] == pytest.approx(1, abs=1e-13)
    assert all(a < b for a, b in zip((0.0, *nodes), nodes, strict=False))


@pytest.mark.parametrize("s", [2, 3, 5, 10, 50])
def test_stages_stand_at_their_nodes(s):
    """For y' = 1 stage j is y + c_jh, and the step is exact."""
    h, y, seen = 0.7, torch.zeros(1, dtype=F64), []

    def velocity(stage):
        seen.append(float(stage))
        return torch.ones_like(stage)

    new = rkc.rkc_step(velocity, y, torch.ones_like(y), h, s)
    nodes = rkc.coefficients(s)[-1]
    assert seen == pytest.approx([c * h for c in nodes[:-1]], abs=1e-12)
    assert float(new) == pytest.approx(h, abs=1e-12)


@pytest.mark.parametrize("s", [2, 3, 5, 10, 50])
def test_second_order_condition(s):
    """For y' = t, written (y, t)' = (t, 1), the step is h²/2 exactly: Σ b_jc_j = ½."""
    h, y = 0.7, torch.zeros(2, dtype=F64)

    def velocity(z):
        return torch.stack([z[1], torch.ones_like(z[1])])

    new = rkc.rkc_step(velocity, y, velocity(y), h, s)
    assert float(new[0]) == pytest.approx(h**2 / 2, rel=1e-11)


def stability_polynomial(s: int, z: torch.Tensor, damping: float = 2 / 13) -> torch.Tensor:
    """R_s(z) = 1 − b_sT_s(w_0) + b_sT_s(w_0 + w_1z), by the library's Chebyshev polynomials."""
    w0 = 1 + damping / s**2
    values = special.eval_chebyt(s, w0)
    first, second = (np.polynomial.Chebyshev.basis(s).deriv(k)(w0) for k in (1, 2))
    b, w1 = second / first**2, first / second
    moved = special.eval_chebyt(s, (w0 + w1 * z).numpy())
    return torch.from_numpy(1 - b * values + b * moved)


@pytest.mark.parametrize("s", [2, 3, 5, 10, 29])
def test_a_step_is_the_damped_chebyshev_polynomial(s):
    """y' = −λy: y(t + h) = R_s(−hλ)y(t).  The conditions of order hold for other T_j as well."""
    z = -torch.linspace(0, 0.6 * s**2, 101, dtype=F64)
    y = torch.ones_like(z)
    new = rkc.rkc_step(lambda v: z * v, y, z * y, 1.0, s)
    torch.testing.assert_close(new, stability_polynomial(s, z), rtol=0, atol=1e-11)
    other = stability_polynomial(s, z, damping=0.1)  # control; order two leaves R_2 no freedom
    assert (float((new - other).abs().max()) > 1e-3) == (s > 2)


# ---------------------------------------------------------------- order and stability


def pendulum(y: torch.Tensor) -> torch.Tensor:
    """A damped nonlinear system."""
    return torch.stack([y[1], -torch.sin(y[0]) - y[1]])


def pendulum_error(step, n_steps: int) -> float:
    """Error at t = 2 of n_steps equal steps."""
    exact = solve_ivp(
        lambda t, y: pendulum(torch.from_numpy(y)).numpy(),
        (0, 2), [1.0, 0.5], method="DOP853", rtol=1e-12, atol=1e-13,
    ).y[:, -1]  # fmt: skip
    y = torch.tensor([1.0, 0.5], dtype=F64)
    for _ in range(n_steps):
        y = step(y, 2 / n_steps)
    return float(np.abs(y.numpy() - exact).max())


STEPS = (16, 32, 64, 128)


@pytest.mark.parametrize("s", [2, 3, 4, 7, 20])
def test_step_has_order_two(s):
    errors = [pendulum_error(lambda y, h: rkc.rkc_step(pendulum, y, pendulum(y), h, s), n)
              for n in STEPS]  # fmt: skip
    assert slope(STEPS, errors) == pytest.approx(-2, abs=0.1)


def test_control_forward_euler_has_order_one():
    errors = [pendulum_error(lambda y, h: y + h * pendulum(y), n) for n in STEPS]
    assert slope(STEPS, errors) == pytest.approx(-1, abs=0.1)


def amplification(s: int, h_rho: float) -> float:
    """max |R(−z)| over 0 ≤ z ≤ hρ: the growth of the worst mode of y' = −λy in one step."""
    rates = torch.linspace(0, 1, 4001, dtype=F64)
    y = torch.ones_like(rates)
    return float(rkc.rkc_step(lambda v: -rates * v, y, -rates * y, h_rho, s).abs().max())


@pytest.mark.parametrize("s", [3, 5, 10, 29, 100])
def test_stable_up_to_the_stated_bound(s):
    """Control: one stage less, or a fifth more of hρ, and the step blows up."""
    bound = 2 / 3 * (s**2 - 1) * (1 - 2 * rkc.DAMPING / 15)
    assert rkc.stages_for(bound * (1 - 1e-12), 1.0) == s
    assert amplification(s, bound) <= 1 + 1e-12
    assert amplification(s - 1, bound) > 1.001
    assert amplification(s, 1.2 * bound) > 1.001


def test_number_of_stages_grows_like_the_root():
    stiffness = [1e2, 1e4, 1e6]
    assert slope(stiffness, [rkc.stages_for(1.0, x) for x in stiffness]) == pytest.approx(
        0.5, abs=0.02
    )
    assert rkc.stages_for(1.0, 0.0) == 2


# ---------------------------------------------------------------- the parts of the controller


def test_spectral_radius_against_eigvalsh():
    g = torch.Generator().manual_seed(0)
    A = torch.randn(12, 12, generator=g, dtype=F64)
    A = A @ A.T
    y, calls = torch.randn(12, generator=g, dtype=F64), []

    def velocity(v):
        calls.append(1)
        return -(A @ v)

    start = torch.randn(12, generator=g, dtype=F64)
    rho, direction, n_calls = rkc.spectral_radius(velocity, y, -(A @ y), start, most=200, rtol=1e-6)
    exact, vectors = torch.linalg.eigh(A)
    assert rho == pytest.approx(float(exact[-1]), rel=1e-4)
    assert abs(float(direction @ vectors[:, -1])) == pytest.approx(1, abs=1e-3)
    assert n_calls == len(calls) < 200
    again = rkc.spectral_radius(velocity, y, -(A @ y), direction, rtol=1e-3)
    assert again[2] <= 3  # a warm start is cheap
    once = rkc.spectral_radius(velocity, y, -(A @ y), 3 * vectors[:, -1], most=1)
    assert once[0] == pytest.approx(float(exact[-1]), rel=1e-6)  # a direction of any length


def test_interpolant_is_exact_for_cubics():
    def cubic(t):
        return torch.tensor([1 + 2 * t - t**2 + 3 * t**3, t**3], dtype=F64)

    def rate(t):
        return torch.tensor([2 - 2 * t + 9 * t**2, 3 * t**2], dtype=F64)

    h = 0.8
    for theta in (0.0, 0.3, 0.5, 1.0):
        got = rkc.hermite_interpolant(cubic(0.0), rate(0.0), cubic(h), rate(h), h, theta)
        torch.testing.assert_close(got, cubic(theta * h), rtol=1e-14, atol=1e-14)


def test_interpolant_error_has_slope_four():
    """Third order: exact for cubics, error O(h⁴). Control: linear interpolation, O(h²)."""
    hs, cubic, linear = np.array([0.4, 0.2, 0.1, 0.05]), [], []
    for h in hs:
        ends = [torch.tensor(g(t), dtype=F64) for t in (1.0, 1.0 + h) for g in (math.sin, math.cos)]
        middle = math.sin(1.0 + h / 2)
        cubic.append(abs(float(rkc.hermite_interpolant(*ends, float(h), 0.5)) - middle))
        linear.append(abs(float(ends[0] + ends[2]) / 2 - middle))
    assert slope(hs, cubic) == pytest.approx(4, abs=0.1)
    assert slope(hs, linear) == pytest.approx(2, abs=0.1)


def test_error_norm_is_rotation_invariant():
    """Control: the norm by entries, which changes under a rotation, is not what is used."""
    g = torch.Generator().manual_seed(0)
    y, f, new, f_new = torch.randn(4, 2, P, D, generator=g, dtype=F64)
    q = torch.linalg.qr(torch.randn(D, D, generator=g, dtype=F64))[0]
    plain = rkc.error_norm(y, f, new, f_new, 0.1, 1e-3, 1e-5)
    turned = rkc.error_norm(y @ q, f @ q, new @ q, f_new @ q, 0.1, 1e-3, 1e-5)
    assert turned == pytest.approx(plain, rel=1e-12)
    assert float((y @ q).abs().max()) != pytest.approx(float(y.abs().max()), rel=1e-3)


def test_error_norm_is_the_stated_estimate():
    """e = 0.8(y − y') + 0.4h(f + f'): third order in h for a smooth solution."""
    hs = [0.4, 0.2, 0.1, 0.05]
    errors = []
    for h in hs:
        y, new = (torch.full((1, 1), math.exp(-t), dtype=F64) for t in (1.0, 1.0 + h))
        errors.append(rkc.error_norm(y, -y, new, -new, h, 0.0, 1.0))
    assert slope(hs, errors) == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("block", [0, 1])
def test_the_error_is_that_of_the_worst_block(block):
    """rms(e)/(atol + rtol·rms) block by block: rms(e) = 0.8δ against a block of size c."""
    y, nothing = torch.zeros(2, P, D, dtype=F64), torch.zeros(2, P, D, dtype=F64)
    y[0], y[1] = 3.0, 5.0
    new = y.clone()
    new[block] += 0.01
    ours = rkc.error_norm(y, nothing, new, nothing, 0.1, 1e-3, 1e-2)
    assert ours == pytest.approx(0.8 * 0.01 / (1e-2 + 1e-3 * float(new[block, 0, 0])), rel=1e-12)


# ---------------------------------------------------------------- gradient flow


def reference(risk, start, t_end: float) -> torch.Tensor:
    """The flow by an eighth-order method of another library."""

    def rhs(t, y):
        gradient = risk.value_and_gradient(torch.from_numpy(y).reshape(start.shape))[1]
        return -STEP_FACTOR * gradient.flatten().numpy()

    solution = solve_ivp(
        rhs, (0, t_end), start.flatten().numpy(), method="DOP853", rtol=1e-11, atol=1e-13
    )
    return torch.from_numpy(solution.y[:, -1]).reshape(start.shape)


def run(risk, start, t_end=20.0, record_at=(0.0,), observe=size_of, **options):
    return gradient_flow(
        risk, start, t_end=t_end, record_at=list(record_at), observe=observe, **options
    )


def test_flow_against_another_integrator():
    """Control: at a loose tolerance the difference is seen."""
    risk, start = pair_problem()
    exact = reference(risk, start, 20.0)
    gaps = [
        float((run(risk, start, rtol=rtol, atol=rtol / 100).state - exact).norm() / exact.norm())
        for rtol in (1e-6, 1e-2)
    ]
    assert gaps[0] < 1e-5 < 1e-3 < gaps[1]


@pytest.mark.parametrize("device", DEVICES)
def test_flow_lowers_the_risk(device):
    risk, start = pair_problem(device=device)
    end = run(risk, start)
    totals = [risk.value_and_gradient(w)[0].total(risk.penalties) for w in (start, end.state)]
    assert end.outcome is Outcome.REACHED_END
    assert end.state.device.type == device
    assert totals[1] < 0.7 * totals[0]


def test_descent_tends_to_the_flow_like_its_step():
    risk, start = pair_problem()
    exact, steps = reference(risk, start, 8.0), [0.2, 0.1, 0.05, 0.025]
    gaps = []
    for step in steps:
        options = dict(n_steps=round(8 / step), record_at=[0], observe=size_of)
        gaps.append(
            float((gradient_descent(risk, start, step=step, **options).state - exact).norm())
        )
    assert slope(steps, gaps) == pytest.approx(1, abs=0.1)


def test_declared_times_cost_no_gradients_and_change_nothing():
    risk, start = pair_problem()
    few = run(risk, start, record_at=[0.0, 10.0, 20.0])
    many = run(risk, start, record_at=np.linspace(0, 20, 201).tolist())
    assert few.n_gradients == many.n_gradients
    assert torch.equal(few.state, many.state)
    assert np.array_equal(few.values["size"], many.values["size"][[0, 100, 200]])


def test_every_gradient_is_counted():
    start = torch.ones(2, P, D, dtype=F64)
    risk = VelocityRisk(lambda y: -y, start)
    assert run(risk, start).n_gradients == risk.calls


def test_measurements_follow_the_solution():
    """ẏ = −y: measured sizes at declared times are those of e^{−t}, interpolated ones too."""
    start = torch.ones(2, P, D, dtype=F64)
    times = np.array([0.0, 0.1, 0.37, 1.0, 2.9, 3.0])
    end = run(VelocityRisk(lambda y: -y, start), start, 3.0, times, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(end.values["first"], np.exp(-times), rtol=3e-4)
    assert end.values["first"][0] == 1  # the start itself
    assert end.values["first"][-1] == float(end.state.flatten()[0])  # the end itself


def test_flow_is_rotation_invariant():
    """Inputs, weights and start turned together: the same steps and a turned end."""
    risk, start = pair_problem(Penalties())
    q = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(3)).double())[0]
    weights = draw_weights(2 * P, D, torch.Generator().manual_seed(0), dtype=F64)
    turned = RegularizedRisk(PairFeatures(risk.features.X @ q, weights @ q, SIGMOID), risk.y)
    a, b = run(risk, start, rtol=1e-5, atol=1e-7), run(turned, start @ q, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(b.state, a.state @ q, rtol=0, atol=1e-5)


# ---------------------------------------------------------------- the limit on stages


def stiff(rho: float, dtype=torch.float32):
    """Half of the coordinates decay at rate ρ, the others at 0.01; the fast ones start at rest."""
    rates = torch.full((2, P, D), 0.01, dtype=dtype)
    rates[0] = rho
    start = torch.ones(2, P, D, dtype=dtype)
    start[0] = 0
    return VelocityRisk(lambda y: -rates * y, start), start


def test_a_step_with_too_many_stages_is_shortened_before_it_is_taken():
    """The h that the stages use is the h that the error and the clock see."""
    risk, start = stiff(1e4)
    flow = flow_module._Flow(lambda y: risk.value_and_gradient(y)[1].mul_(-2), start, 1e-4, 1e-6)
    flow.start(100.0)
    flow.h = 100.0
    assert rkc.stages_for(flow.h, flow.rho) > 2 * flow.most_stages  # the limit is met

    new, f_new, error = flow.try_step()
    s = rkc.stages_for(flow.h, flow.rho)
    assert flow.h < 100.0 and s <= flow.most_stages
    assert torch.equal(new, rkc.rkc_step(flow.velocity, start, flow.f, flow.h, s))
    assert error == rkc.error_norm(start, flow.f, new, f_new, flow.h, flow.rtol, flow.atol)


def test_no_step_of_a_run_breaks_the_limits(monkeypatch):
    """Every step: s ≤ most_stages and hρ within the bound for s; time adds up to t_end."""
    risk, start = stiff(1e3)
    taken, plain = [], rkc.rkc_step

    def spy(velocity, y, f, h, s):
        taken.append((h, s))
        return plain(velocity, y, f, h, s)

    monkeypatch.setattr(rkc, "rkc_step", spy)
    end = run(risk, start, 50.0, rtol=1e-4, atol=1e-6)
    most = max(2, round(math.sqrt(1e-4 / (10 * torch.finfo(torch.float32).eps))))
    assert end.outcome is Outcome.REACHED_END and end.n_rejected == 0
    assert max(s for _, s in taken) == most  # the limit is met, and kept
    assert all(h * 1e3 <= 2 / 3 * (s**2 - 1) for h, s in taken)
    assert sum(h for h, _ in taken) == pytest.approx(50.0, rel=1e-9)
    assert float(end.state[1, 0, 0]) == pytest.approx(math.exp(-0.5), rel=1e-3)


@pytest.mark.parametrize("rtol", [1e-3, 1e-6])
def test_rounding_in_the_stages_stays_a_tenth_of_the_tolerance(rtol):
    flow = flow_module._Flow(lambda y: -y, torch.ones(2, P, D, dtype=F64), rtol, 1e-9)
    rounding = 10 * torch.finfo(F64).eps * flow.most_stages**2
    assert rounding == pytest.approx(rtol, rel=2 / flow.most_stages)


def test_two_stages_are_always_allowed():
    """The least there is, even for a tolerance beyond the numbers' own."""
    start = torch.ones(2, P, D, dtype=torch.float32)
    assert flow_module._Flow(lambda y: -y, start, 1e-12, 1e-12).most_stages == 2


# ---------------------------------------------------------------- a pull that changes slowly

SLOW = Penalties(empirical=3.0, population=1.0)


def end_and_leaks(penalties: Penalties, rtol: float):
    """Where it ends, and how often it has computed the leak."""
    risk, start = pair_problem(penalties)
    leaks, plain = [], risk.population_leak
    risk.population_leak = lambda t: leaks.append(1) or plain(t)
    return run(risk, start, rtol=rtol, atol=rtol / 100), len(leaks)


def test_a_slow_pull_is_computed_once_a_step_and_nothing_is_lost(monkeypatch):
    """Control: at every stage it is computed twice as often, and the end is the same."""
    risk, start = pair_problem(SLOW)
    exact = reference(risk, start, 20.0)
    lagged, leaks = end_and_leaks(SLOW, 1e-5)
    monkeypatch.setattr(flow_module, "LAG", 0.0)
    every, all_leaks = end_and_leaks(SLOW, 1e-5)
    gaps = [float((end.state - exact).norm() / exact.norm()) for end in (lagged, every)]
    assert gaps[0] < 1e-4 and gaps[0] < 1.1 * gaps[1]
    power = 9  # calls that find its spectral radius, at most
    assert leaks <= lagged.n_steps + lagged.n_rejected + 4 + power < all_leaks


def test_a_fast_pull_is_computed_at_every_stage():
    end, leaks = end_and_leaks(Penalties(population=1e3), 1e-4)
    assert leaks > end.n_gradients / 2 > end.n_steps


def error_of_equal_steps(n: int, stages: int = 5) -> float:
    """|y − e^{−t}y_0| at t = 2, a quarter of the rate in the pull, after n steps."""
    start = torch.ones(2, P, D, dtype=F64)
    start[0] = 0.0
    flow = flow_module._Flow(lambda y: -0.75 * y, start, 1.0, 1.0, lambda y: -0.25 * y[1])
    flow.start(2.0)
    flow.stages = lambda: stages
    for _ in range(n):
        flow.h = 2.0 / n
        new, f_new, error = flow.try_step()
        flow.h = 2.0 / n
        flow.accept(new, f_new, error)
    return abs(float(flow.y[1, 0, 0]) - math.exp(-2.0))


def test_continuing_the_pull_keeps_the_second_order(monkeypatch):
    """Control: with the pull of the beginning at all stages it is of first order."""
    errors = [error_of_equal_steps(n) for n in (20, 40, 80)]
    assert errors[0] / errors[1] > 3.4 and errors[1] / errors[2] > 3.6
    monkeypatch.setattr(rkc, "coefficients", without_nodes(rkc.coefficients))
    frozen = [error_of_equal_steps(n) for n in (40, 80)]
    assert frozen[0] / frozen[1] < 2.4 and frozen[1] > 5 * errors[2]


def without_nodes(plain):
    """The coefficients of a step whose stages all lie at its beginning."""

    def coefficients(s: int):
        *others, nodes = plain(s)
        return *others, tuple(0.0 for _ in nodes)

    return coefficients


def test_the_radius_of_a_slow_pull_is_that_of_the_whole():
    """Its own and that of the rest, which are no less together."""
    risk, start = pair_problem(SLOW)
    fast, slow = flow_module._velocities(risk)
    flow = flow_module._Flow(fast, start, 1e-3, 1e-5, slow)
    flow.start(10.0)
    whole = flow_module._Flow(lambda y: risk.value_and_gradient(y)[1].mul_(-2), start, 1e-3, 1e-5)
    whole.start(10.0)
    assert torch.allclose(flow.f, whole.f, rtol=1e-12)
    assert 0 < flow.slow_rho < flow.rho and whole.rho <= flow.rho * (1 + 1e-9)
    assert flow.rho < whole.rho + flow.slow_rho * 1.01


# ---------------------------------------------------------------- the length of a step


def started(velocity=lambda y: -y, size: float = 1.0, t_end: float = 10.0):
    """The integrator before its first step, from y = size everywhere."""
    start = torch.full((2, P, D), size, dtype=F64)
    flow = flow_module._Flow(velocity, start, 1e-3, 1e-5)
    flow.start(t_end)
    return flow


@pytest.mark.parametrize("rate, size", [(1.0, 1.0), (7.0, 1.0), (7.0, 0.01)])
def test_the_first_step_of_a_decay(rate, size):
    """ẏ = −λy: h = (10λ)^{−1} √(atol/|y| + rtol), whatever the trial step; t_end when at rest."""
    flow = started(lambda y: -rate * y, size)
    assert flow.h == pytest.approx(math.sqrt(1e-5 / size + 1e-3) / (10 * rate), rel=1e-6)
    assert flow.rho == pytest.approx(flow_module.RADIUS_SAFETY * rate, rel=1e-6)
    assert started(lambda y: 0 * y, t_end=3.0).h == 3.0


def test_the_first_step_of_a_cubic_decay():
    """ẏ = −y³ from 1: ρ = 3, and the trial step 1/ρ changes the velocity by 1 − (1 − 1/ρ)³."""
    flow = started(lambda y: -(y**3))
    trial = 1 / (3 * flow_module.RADIUS_SAFETY)
    error = trial * (1 - (1 - trial) ** 3) / (1e-5 + 1e-3)
    assert flow.h == pytest.approx(trial / (10 * math.sqrt(error)), rel=1e-5)


@pytest.mark.parametrize("growth", [1.0, 1.5, 0.6])
def test_the_controller_foresees_a_steady_growth_of_the_error(growth):
    """Errors c·qⁿh³ come out at 0.8³ from the third step on, for every q; at first for q = 1."""
    flow, errors = started(), []
    constant = 0.3 / flow.h**3
    for n in range(6):
        errors.append(constant * growth**n * flow.h**3)
        flow.accept(flow.y, flow.f, errors[-1])
    assert errors[1] == pytest.approx(0.8**3 * growth, rel=1e-9)
    assert errors[2:] == pytest.approx([0.8**3] * 4, rel=1e-9)


@pytest.mark.parametrize("error, factor", [(1e-30, 10.0), (1e12, 0.1)])
def test_no_step_changes_by_more_than_ten(error, factor):
    flow = started()
    h = flow.h
    flow.accept(flow.y, flow.f, error)
    assert flow.h == pytest.approx(factor * h, rel=1e-12)


@pytest.mark.parametrize("error", [1.1, 8.0, 500.0])
def test_a_rejected_step_is_repeated_at_four_fifths_of_the_tolerance(error):
    flow = started()
    h = flow.h
    flow.reject(error)
    assert error * (flow.h / h) ** 3 == pytest.approx(0.8**3, rel=1e-12)


@pytest.mark.parametrize("error", [1e9, math.inf, math.nan])
def test_a_hopeless_step_is_cut_to_a_tenth(error):
    flow = started()
    h = flow.h
    flow.reject(error)
    assert flow.h == pytest.approx(h / 10, rel=1e-12)


def test_a_rejection_renews_the_spectral_radius_once():
    """A radius some steps old may be the cause; one just estimated is not asked for again."""
    flow = started()
    flow.accept(flow.y, flow.f, 0.5)
    before = flow.calls
    flow.reject(2.0)
    assert flow.calls > before and flow.since_radius == 0
    before = flow.calls
    flow.reject(2.0)
    assert flow.calls == before and flow.rejected == 2


# ---------------------------------------------------------------- outcomes


def test_max_gradients_is_an_outcome():
    risk, start = pair_problem()
    end = run(risk, start, 1e6, [0.0, 1e6], max_gradients=80)
    assert end.outcome is Outcome.MAX_GRADIENTS
    assert end.n_gradients < 80 + 100
    assert np.isfinite(end.values["size"][0]) and np.isnan(end.values["size"][1])


def test_exponential_growth_diverges():
    start = torch.ones(2, P, D)
    end = run(VelocityRisk(lambda y: y.clone(), start), start, 1e3, [0.0, 1.0, 1e3])
    assert end.outcome is Outcome.DIVERGED
    assert end.values["first"][1] == pytest.approx(math.e, rel=1e-2)
    assert np.isnan(end.values["first"][2])


def test_a_velocity_that_is_not_finite_diverges():
    """Squares of the start overflow float32: the run ends as data, not as an exception."""
    features = PairFeatures(torch.ones(1, D), torch.ones(P, D), SIGMOID)
    huge = torch.full((2, P, D), 1e25)
    end = run(RegularizedRisk(features, torch.ones(1)), huge)
    assert end.outcome is Outcome.DIVERGED


def test_blow_up_in_finite_time_underflows_the_step():
    """ẏ = y² from 1 ends at t = 1, whatever the step."""
    start = torch.ones(2, P, D, dtype=F64)
    end = run(VelocityRisk(lambda y: y**2, start), start, 2.0, [0.0, 0.5, 2.0])
    assert end.outcome in (Outcome.STEP_UNDERFLOW, Outcome.DIVERGED)
    assert end.values["first"][1] == pytest.approx(2, rel=1e-2)


def test_flow_at_rest_stays_at_rest():
    start = torch.zeros(2, P, D, dtype=F64)
    end = run(VelocityRisk(lambda y: -y, start), start, 1e4)
    assert end.outcome is Outcome.REACHED_END and torch.equal(end.state, start)


# ---------------------------------------------------------------- resuming


def same(a, b) -> bool:
    """Bit for bit: state, measurements and counts."""
    counts = ("outcome", "n_gradients", "n_steps", "n_rejected")
    return (
        torch.equal(a.state, b.state)
        and all(np.array_equal(a.values[k], b.values[k], equal_nan=True) for k in a.values)
        and a.values.keys() == b.values.keys()
        and all(getattr(a, k) == getattr(b, k) for k in counts)
    )


def interrupted_by_saves(options, saves: int):
    """Kill after each ``saves`` saves, start again, until the run ends: (result, kills)."""
    return killed_again_and_again(lambda saving: run(*options, run=saving), saves)


TIMES = [0.0, 0.5, 3.0, 11.0, 20.0]
STIFF = Penalties(empirical=300.0, norm=0.01)
"""So that the spectral radius sets the stages."""


@pytest.mark.parametrize("saves, dtype", [(1, F64), (7, F64), (12, F64), (3, torch.float32)])
def test_killed_run_resumes_bit_for_bit(saves, dtype):
    options = (*pair_problem(STIFF, dtype=dtype), 20.0, TIMES)
    end, kills = interrupted_by_saves(options, saves)
    assert kills >= 1
    assert same(end, run(*options))


def test_killed_run_with_a_slow_pull_resumes_bit_for_bit(monkeypatch):
    """Control: one that forgets the pull of the step before goes on otherwise."""
    options = (*pair_problem(SLOW), 20.0, TIMES)
    whole = run(*options)
    end, kills = interrupted_by_saves(options, 4)
    assert kills >= 1 and same(end, whole)
    monkeypatch.setattr(flow_module._Flow, "OF_THE_PULL", ("pull",))
    assert not same(interrupted_by_saves(options, 4)[0], whole)


def test_a_checkpoint_from_before_pulls_were_continued_is_taken_up(monkeypatch):
    """To the tolerance of the flow, not bit for bit."""
    options = (*pair_problem(SLOW), 20.0, TIMES)
    monkeypatch.setattr(flow_module._Flow, "OF_THE_PULL", ())
    end, kills = interrupted_by_saves(options, 4)
    assert kills >= 1
    assert torch.allclose(end.state, run(*options).state, rtol=1e-3, atol=1e-4)


def test_run_killed_while_measuring_resumes_bit_for_bit():
    risk, start = pair_problem(STIFF)
    for deaths in range(1, len(TIMES)):
        memory, seen = Memory(), []

        def observe(state, seen=seen, deaths=deaths):
            seen.append(1)
            if len(seen) == deaths:
                raise KilledError
            return size_of(state)

        again = partial(run, risk, start, 20.0, TIMES)
        with pytest.raises(KilledError):
            again(observe=observe, run=memory.run())
        assert same(again(run=memory.run()), run(risk, start, 20.0, TIMES))


@pytest.mark.parametrize("forgotten", ["last_error", "rho", "since_radius"])
def test_control_a_forgetful_checkpoint_is_caught(monkeypatch, forgotten):
    names = [name for name in flow_module._Flow.SCALARS if name != forgotten]
    options = (*pair_problem(STIFF), 20.0, TIMES)
    whole = run(*options)
    monkeypatch.setattr(flow_module._Flow, "SCALARS", names)
    end, kills = interrupted_by_saves(options, 7)
    assert kills >= 1 and not same(end, whole)
