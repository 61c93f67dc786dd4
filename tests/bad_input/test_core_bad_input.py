"""The numerical core: what is refused, with which type, and that the message teaches the repair.

Every refusal is one sentence "expected …; got …; remedy: …".  As control, the same calls with
sound arguments go through.
"""

from functools import partial

import numpy as np
import pytest
import torch
from refusals import refused, table

from escape_ntk.checks import (
    InputError,
    NonFiniteError,
    RankError,
    ShapeError,
    StabilityError,
    UnknownNameError,
)
from escape_ntk.models.data import (
    RidgeSum,
    Target,
    dense_quadratic,
    draw_inputs,
    published_target,
    random_direction,
    sparse_part,
)
from escape_ntk.models.network import (
    Activation,
    TwoLayerNetwork,
    activation,
    draw_weights,
    paired_network,
)
from escape_ntk.models.pairs import PairFeatures, from_pairs, to_pairs
from escape_ntk.models.taylor import linear_term, quadratic_term
from escape_ntk.numerics import polynomials
from escape_ntk.risk.leaks import GaussianLeak, SampledLeak, SphereLeak
from escape_ntk.risk.problem import dense_plus_sparse_problem
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.risk.regularizer import Penalties, RegularizedRisk
from escape_ntk.training import trajectory
from escape_ntk.training.curvature import (
    curvature_floor,
    mean_curvature,
    random_sign_balance,
    stationary_balance,
)
from escape_ntk.training.descent import gradient_descent, stability_limit
from escape_ntk.training.flow import gradient_flow

N, D, P = 6, 4, 3
SIGMOID = activation("sigmoid(z-1)")
NAN, INF = float("nan"), float("inf")


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


WEIGHTS = draw_weights(2 * P, D, seeded())
X = draw_inputs(N, D, "gaussian", seeded())
Y = torch.linspace(-1, 1, N)
U = torch.ones(2 * P, D)
STATE = 0.1 * torch.ones(2, P, D)
BETA = random_direction(D, seeded())
Z = torch.linspace(-1, 1, 3)


def with_entry(array: torch.Tensor, value: float) -> torch.Tensor:
    """A copy whose first entry is ``value``."""
    out = array.clone()
    out.view(-1)[0] = value
    return out


def features() -> PairFeatures:
    return PairFeatures(X, WEIGHTS, SIGMOID)


def risk(**options) -> RegularizedRisk:
    return RegularizedRisk(features(), Y, **options)


def network() -> TwoLayerNetwork:
    return paired_network(WEIGHTS, SIGMOID)


def observe(state: torch.Tensor) -> dict[str, float]:
    return {"size": float(state.norm())}


def descend(start=STATE, step=0.1, n_steps=3, record_at=(0, 3)):
    return gradient_descent(
        risk(), start, step=step, n_steps=n_steps, record_at=record_at, observe=observe
    )


def flow(start=STATE, t_end=1.0, record_at=(0.0, 1.0), **options):
    return gradient_flow(
        risk(), start, t_end=t_end, record_at=record_at, observe=observe, **options
    )


# ---------------------------------------------------------------- sizes


SIZES = table(
    ("odd m", InputError, lambda: draw_weights(5, D, seeded())),
    ("m = 0", InputError, lambda: draw_weights(0, D, seeded())),
    ("m = 1", InputError, lambda: draw_weights(1, D, seeded())),
    ("m = 4.0", InputError, lambda: draw_weights(4.0, D, seeded())),
    ("m = True", InputError, lambda: draw_weights(True, D, seeded())),
    ("odd U", InputError, lambda: to_pairs(U[:5])),
    ("three states", ShapeError, lambda: from_pairs(torch.ones(3, P, D))),
    ("weights with d = 0", InputError, lambda: draw_weights(4, 0, seeded())),
    ("inputs with d = 0", InputError, lambda: draw_inputs(3, 0, "gaussian", seeded())),
    ("n = 0", InputError, lambda: draw_inputs(0, D, "gaussian", seeded())),
    ("n = -1", InputError, lambda: draw_inputs(-1, D, "gaussian", seeded())),
    ("n = 2.5", InputError, lambda: draw_inputs(2.5, D, "gaussian", seeded())),
    ("chunk = 0", InputError, lambda: PairFeatures(X, WEIGHTS, SIGMOID, chunk=0)),
    ("block = 0", InputError, lambda: GaussianLeak(WEIGHTS, SIGMOID, block=0)),
    ("series degree", InputError, lambda: GaussianLeak(WEIGHTS, SIGMOID, degree=1)),
    ("series degree, sphere", InputError, lambda: SphereLeak(WEIGHTS, SIGMOID, degree=1)),
    ("sphere in the plane", InputError, lambda: SphereLeak(torch.eye(2), SIGMOID)),
    ("no nodes", InputError, lambda: polynomials.gauss_hermite(0)),
)


@SIZES
def test_sizes(error, call):
    refused(call, error)


def test_odd_width_says_which_width_to_use():
    assert "use m=6" in refused(lambda: draw_weights(5, D, seeded()), InputError)


GEGENBAUER = table(
    ("multiplicity", InputError, lambda: polynomials.multiplicity(2, 1)),
    ("cumulative", InputError, lambda: polynomials.cumulative_multiplicity(2, 1)),
    ("gegenbauer", InputError, lambda: polynomials.gegenbauer(Z, 2, 2)),
    ("zonal", InputError, lambda: polynomials.zonal(Z, 2, 2, "sphere")),
    ("overlap", InputError, lambda: polynomials.zonal_overlap(Z, 2, 1, "sphere")),
    ("target", InputError, lambda: published_target(torch.tensor([1.0, 0.0]), "sphere")),
    ("quadratic", InputError, lambda: dense_quadratic(torch.diag(Z[:2]), "sphere")),
)


@GEGENBAUER
def test_gegenbauer_needs_three_dimensions(error, call):
    assert "Gaussian inputs" in refused(call, error)


def test_control_two_dimensions_suffice_for_hermite():
    published_target(torch.tensor([1.0, 0.0]), "gaussian")(torch.ones(2, 2))
    assert polynomials.zonal(Z, 2, 2, "gaussian").shape == Z.shape


@pytest.mark.parametrize("degree", [-1, 1.5, "2", None, True])
def test_degrees(degree):
    for call in (
        lambda: polynomials.multiplicity(D, degree),
        lambda: polynomials.normalized_hermite(Z, degree),
        lambda: polynomials.gegenbauer(Z, degree, D),
        lambda: RidgeSum(BETA[None], torch.ones(1), degree, "gaussian"),
    ):
        refused(call, InputError)


# ---------------------------------------------------------------- arrays


TAKE_INPUTS = {
    "features": lambda x: PairFeatures(x, WEIGHTS, SIGMOID),
    "network": lambda x: network()(x),
    "linear_term": lambda x: linear_term(network(), x, U),
    "quadratic_term": lambda x: quadratic_term(network(), x, U),
    "target": lambda x: published_target(BETA)(x),
}
TAKE_WEIGHTS = {
    "features": lambda w: PairFeatures(X, w, SIGMOID),
    "network": lambda w: paired_network(w, SIGMOID),
    "leak": lambda w: GaussianLeak(w, SIGMOID),
    "leak on the sphere": lambda w: SphereLeak(w, SIGMOID),
}
TAKE_MOVEMENT = {
    "network": lambda u: network()(X, u),
    "linear_term": lambda u: linear_term(network(), X, u),
    "quadratic_term": lambda u: quadratic_term(network(), X, u),
}
TAKE_START = {
    "descent": descend,
    "flow": flow,
    "stability_limit": lambda start: stability_limit(risk(), start),
}
TAKE_TARGETS = {"risk": lambda y: RegularizedRisk(features(), y)}
TAKERS = [
    pytest.param(take, sound, id=f"{kind}-{name}")
    for kind, sound, takers in (
        ("X", X, TAKE_INPUTS),
        ("weights", WEIGHTS, TAKE_WEIGHTS),
        ("U", U, TAKE_MOVEMENT),
        ("start", STATE, TAKE_START),
        ("y", Y, TAKE_TARGETS),
    )
    for name, take in takers.items()
]


@pytest.mark.parametrize("take, sound", TAKERS)
def test_arrays_that_are_not_finite(take, sound):
    for value in (NAN, INF, -INF):
        assert "1 NaN or infinite" in refused(
            lambda v=value: take(with_entry(sound, v)), NonFiniteError
        )


@pytest.mark.parametrize("take, sound", TAKERS)
def test_arrays_of_another_kind(take, sound):
    """Integers, NumPy arrays, lists, text, one axis more, nothing along the last."""
    for other in (sound.long(), sound.numpy(), sound.tolist(), "X", sound[None], sound[..., :0]):
        refused(partial(take, other), ShapeError)


MATCHED = [p for p in TAKERS if not p.id.startswith("weights-") or p.id == "weights-features"]


@pytest.mark.parametrize("take, sound", MATCHED)
def test_arrays_of_another_dtype(take, sound):
    assert "float32" in refused(lambda: take(sound.double()), ShapeError)


@pytest.mark.parametrize("take, sound", MATCHED)
def test_arrays_of_another_length(take, sound):
    refused(lambda: take(sound[..., :-1].contiguous()), ShapeError)


@pytest.mark.parametrize("take, sound", TAKERS)
def test_control_sound_arrays_pass(take, sound):
    take(sound)


def test_signs_of_a_network():
    ones = torch.ones(P)
    for signs, error in ((ones[:2], ShapeError), (2 * ones, InputError), (0 * ones, InputError)):
        refused(lambda s=signs: TwoLayerNetwork(WEIGHTS, s, SIGMOID), error)


# ---------------------------------------------------------------- targets


ONE = torch.ones(1)
TARGETS = table(
    ("long direction", InputError, lambda: RidgeSum(2 * BETA[None], ONE, 1, "gaussian")),
    ("zero direction", InputError, lambda: sparse_part(0 * BETA, 1, "gaussian")),
    ("long published", InputError, lambda: published_target(1.1 * BETA)),
    ("flat directions", ShapeError, lambda: RidgeSum(BETA, ONE, 1, "gaussian")),
    ("two coefficients", ShapeError, lambda: RidgeSum(BETA[None], Z[:2], 1, "gaussian")),
    ("double coefficients", ShapeError, lambda: RidgeSum(BETA[None], ONE.double(), 1, "gaussian")),
    ("NaN coefficient", NonFiniteError, lambda: RidgeSum(BETA[None], NAN * ONE, 1, "gaussian")),
    ("negative norm", InputError, lambda: sparse_part(BETA, 1, "gaussian").scaled_to(-1.0)),
    ("NaN norm", NonFiniteError, lambda: sparse_part(BETA, 1, "gaussian").scaled_to(NAN)),
    ("zero part", InputError, lambda: RidgeSum(BETA[None], 0 * ONE, 1, "gaussian").scaled_to(1.0)),
    ("multiple of I", InputError, lambda: dense_quadratic(torch.eye(D), "gaussian")),
    ("oblong form", ShapeError, lambda: dense_quadratic(torch.ones(3, 4), "gaussian")),
    ("form as a list", ShapeError, lambda: dense_quadratic([[1.0, 0.0], [0.0, -1.0]], "gaussian")),
    ("no parts", InputError, lambda: Target(())),
    ("two laws", InputError, lambda: Target((sparse_part(BETA, 1, "gaussian"),
                                             sparse_part(BETA, 2, "sphere")))),
)  # fmt: skip


@TARGETS
def test_targets(error, call):
    refused(call, error)


# ---------------------------------------------------------------- names and activations


NAMES = table(
    ("activation", UnknownNameError, lambda: activation("softplus")),
    ("input law", UnknownNameError, lambda: draw_inputs(3, D, "cauchy", seeded())),
    ("weight law", UnknownNameError, lambda: draw_weights(4, D, seeded(), law="uniform")),
    ("zonal law", UnknownNameError, lambda: polynomials.zonal(Z, 1, D, "cube")),
    ("overlap law", UnknownNameError, lambda: polynomials.zonal_overlap(Z, 1, D, "")),
    ("target law", UnknownNameError, lambda: published_target(BETA, "Gaussian")),
    ("no name", InputError, lambda: activation(None)),
)


@NAMES
def test_unknown_names(error, call):
    assert "one of" in refused(call, error)


def cosine(z):
    return torch.cos(z)


def sine(z):
    return torch.sin(z)


def minus_sine(z):
    return -torch.sin(z)


WRONG_DERIVATIVES = [
    ("first", (sine, sine, cosine), "σ'"),
    ("sign of the second", (sine, cosine, sine), "σ''"),
    ("almost right", (sine, cosine, lambda z: -1.0001 * torch.sin(z)), "σ''"),
]


@pytest.mark.parametrize(
    "functions, named", [pytest.param(f, n, id=i) for i, f, n in WRONG_DERIVATIVES]
)
def test_wrong_derivatives_are_named(functions, named):
    text = refused(lambda: Activation("mine", *functions), InputError)
    assert f"expected {named} of activation 'mine'" in text
    assert "Activation.from_function" in text


class Surrogate(torch.autograd.Function):
    """The identity, whose derivatives of both modes say 3."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z):
        return z.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, *slopes):
        return 3 * slopes[0]

    @staticmethod
    def jvp(ctx, *tangents):
        return 3 * tangents[0]


def counting(z, calls=[]):  # noqa: B006
    calls.append(1)
    return torch.tanh(z) + len(calls)


NO_ACTIVATIONS = [
    ("mean", lambda z: torch.tanh(z) + 0.5 * z.mean(), InputError, "with a part of the entries"),
    ("softmax", lambda z: torch.softmax(z, -1), InputError, "with a part of the entries"),
    ("cumulative", lambda z: torch.cumsum(z, -1), InputError, "in another order"),
    ("by rows", lambda z: torch.tanh(z) + (z.ndim > 1), InputError, "with entries in rows"),
    ("noise", lambda z: torch.tanh(z) + torch.randn_like(z), InputError, "called again"),
    ("memory", counting, InputError, "called again"),
    ("by sign of the sum", lambda z: torch.tanh(z) + (z if z.sum() > 0 else 0), InputError,
     "act on each entry alone"),
    ("detached", lambda z: z.detach(), InputError, "σ' of activation 'mine' to match its deriv"),
    ("detached in part", lambda z: z * z.detach(), InputError, "by differences"),
    ("surrogate", Surrogate.apply, InputError, "by differences"),
    ("steps", torch.sign, InputError, "f_L would be the zero function"),
    ("constant", torch.ones_like, InputError, "f_L would be the zero function"),
    ("invisible", lambda z: 1e-30 * torch.tanh(z), InputError, "f_L would be the zero function"),
    ("huge", lambda z: 1e30 * torch.tanh(z), InputError, "squares must fit"),
    ("half a line", torch.log, NonFiniteError, "σ of activation 'mine' finite on [−4, 4]"),
    ("a pole of its slope", lambda z: z.clamp(min=0).sqrt(), NonFiniteError, "finite"),
    ("without torch", lambda z: torch.from_numpy(np.tanh(z.detach().numpy())), InputError,
     "(σ differentiated)"),
]  # fmt: skip


@pytest.mark.parametrize(
    "function, error, words", [pytest.param(*row, id=i) for i, *row in NO_ACTIVATIONS]
)
def test_what_is_no_activation_is_named(function, error, words):
    assert words in refused(lambda: Activation.from_function("mine", function), error)


def test_a_derivative_by_hand_is_held_to_the_same():
    def noisy(z):
        return torch.cos(z) + 1e-3 * torch.randn_like(z)

    text = refused(lambda: Activation("mine", sine, noisy, minus_sine), InputError)
    assert "σ' of activation 'mine' to act on each entry alone" in text
    text = refused(lambda: Activation("mine", sine, cosine, lambda z: NAN * z), NonFiniteError)
    assert "σ'' of activation 'mine' finite" in text


@pytest.mark.parametrize(
    "function",
    [torch.relu, torch.abs, torch.nn.functional.gelu, torch.nn.functional.hardswish, torch.exp,
     torch.nn.Softplus(), lambda z: z.clamp(-1, 1), lambda z: torch.sin(100 * z), lambda z: z**4],
)  # fmt: skip
def test_control_activations_pass_and_draw_nothing(function):
    before = torch.get_rng_state()
    act = Activation.from_function("mine", function)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(act.value(Z), function(Z))


def test_the_look_at_a_noisy_function_draws_nothing():
    before = torch.get_rng_state()
    with pytest.raises(InputError):
        activation(torch.nn.Dropout(0.5))
    assert torch.equal(torch.get_rng_state(), before)


def test_control_right_derivatives_pass():
    Activation("mine", sine, cosine, minus_sine)


# ---------------------------------------------------------------- penalties and directions


@pytest.mark.parametrize("name", ["population", "empirical", "low_degree", "norm"])
def test_penalties(name):
    assert name in refused(lambda: Penalties(**{name: -1e-9}), InputError)
    for value in (NAN, INF):
        refused(lambda v=value: Penalties(**{name: v}), NonFiniteError)
    refused(lambda: Penalties(**{name: "strong"}), InputError)


@pytest.mark.parametrize("name", ["population", "empirical", "low_degree"])
def test_penalties_that_lack_their_projector(name):
    text = refused(lambda: risk(penalties=Penalties(**{name: 1.0})), InputError)
    assert "projector" in text


def test_population_penalty_that_lacks_its_leak():
    options = dict(penalties=Penalties(population=1.0), projector=TrainingProjector(features(), 2))
    assert "pass population=" in refused(lambda: risk(**options), InputError)
    leak = SampledLeak(features())
    risk(**options, population=leak).value_and_gradient(STATE)  # control: with it, it runs


DIRECTIONS = table(
    ("n_k beyond n", RankError, lambda: TrainingProjector(features(), N + 1)),
    ("n_k beyond the rank", RankError,
     lambda: TrainingProjector(PairFeatures(X[:1].repeat(3, 1), WEIGHTS, SIGMOID), 2)),
    ("zero inputs", RankError, lambda: TrainingProjector(PairFeatures(0 * X, WEIGHTS, SIGMOID), 1)),
    ("n_k = -1", InputError, lambda: TrainingProjector(features(), -1)),
    ("n_k = 1.0", InputError, lambda: TrainingProjector(features(), 1.0)),
    ("negative rcond", InputError, lambda: TrainingProjector(features(), 1, rcond=-1.0)),
    ("NaN rcond", NonFiniteError, lambda: TrainingProjector(features(), 1, rcond=NAN)),
)  # fmt: skip


@DIRECTIONS
def test_directions(error, call):
    refused(call, error)


CLOSED_FORMS = pytest.mark.parametrize("leak", [GaussianLeak, SphereLeak])


@CLOSED_FORMS
def test_closed_form_needs_unit_weights(leak):
    assert "SampledLeak" in refused(lambda: leak(1.01 * WEIGHTS, SIGMOID), InputError)


@CLOSED_FORMS
@pytest.mark.parametrize(
    "function",
    [torch.relu, lambda z: torch.sigmoid(30 * z)],
    ids=["kink", "steep"],
)
def test_closed_form_needs_a_series_that_converges(function, leak):
    """Off by per cents without this refusal; control: smoother functions pass."""
    act = Activation.from_function("mine", function)
    assert "SampledLeak" in refused(lambda: leak(WEIGHTS, act), InputError)
    for smooth in (torch.tanh, torch.erf, lambda z: z, lambda z: z**3):
        leak(WEIGHTS, Activation.from_function("smooth", smooth))


CURVATURES = table(
    ("state of another shape", ShapeError, lambda: curvature_floor(risk(), STATE[:, :2])),
    ("NaN state", NonFiniteError, lambda: curvature_floor(risk(), NAN * STATE)),
    ("signs at NaN", NonFiniteError, lambda: mean_curvature(risk(), NAN * STATE, STATE)),
    ("movement of another shape", ShapeError, lambda: mean_curvature(risk(), STATE, STATE[:, :2])),
)  # fmt: skip


@CURVATURES
def test_curvatures(error, call):
    refused(call, error)


def test_control_sound_curvatures_pass():
    assert curvature_floor(risk(), STATE) < 0 and np.isfinite(mean_curvature(risk(), STATE, STATE))


# ---------------------------------------------------------------- runs


RUNS = table(
    ("step 0", InputError, lambda: descend(step=0.0)),
    ("negative step", InputError, lambda: descend(step=-0.1)),
    ("NaN step", NonFiniteError, lambda: descend(step=NAN)),
    ("step beyond stability", StabilityError, lambda: descend(step=1e4)),
    ("no steps", InputError, lambda: descend(n_steps=0)),
    ("half a step", InputError, lambda: descend(n_steps=2.5)),
    ("t_end 0", InputError, lambda: flow(t_end=0.0, record_at=(0.0,))),
    ("t_end infinite", NonFiniteError, lambda: flow(t_end=INF)),
    ("rtol 0", InputError, lambda: flow(rtol=0.0)),
    ("negative atol", InputError, lambda: flow(atol=-1e-6)),
    ("rtol as text", InputError, lambda: flow(rtol="tight")),
    ("no gradients", InputError, lambda: flow(max_gradients=0)),
    ("recorded after the end", InputError, lambda: flow(record_at=[0.0, 2.0])),
    ("recorded after the last step", InputError, lambda: descend(record_at=[0, 4])),
    ("recorded between steps", InputError, lambda: descend(record_at=[0, 1.5])),
    ("two times only", InputError, lambda: trajectory.log_times(10.0, 2)),
    ("t_end before the start", InputError, lambda: trajectory.log_times(1.0, 5)),
)


@RUNS
def test_runs(error, call):
    refused(call, error)


@pytest.mark.parametrize("run", [descend, flow], ids=["descent", "flow"])
@pytest.mark.parametrize("times", [[1, 0], [0, 0], [-1, 0], [0, NAN], [INF], [], [[0, 1]]], ids=str)
def test_times_that_are_not_increasing(run, times):
    refused(lambda: run(record_at=times), InputError)


def test_step_beyond_stability_says_which_step_is_stable():
    limit = stability_limit(risk(), STATE)
    text = refused(lambda: descend(step=1.1 * limit), StabilityError)
    assert f"{limit:.4g}" in text and "allow_unstable=True" in text


def test_control_sound_runs_pass():
    assert np.isfinite(descend().values["size"]).all()
    assert np.isfinite(flow().values["size"]).all()


@pytest.mark.parametrize("balance", [random_sign_balance, stationary_balance])
def test_a_balance_takes_movements_of_its_features_alone(balance):
    problem = dense_plus_sparse_problem(d=4, n=12, m=10, n_fresh=20, dtype=torch.float64)
    risk = problem.risk(Penalties(1.0, 1.0, 1.0, 1e-3))
    state = torch.ones_like(problem.zero_state())
    balance(risk, state, state[1], state)
    with pytest.raises(ShapeError, match="t_linear"):
        balance(risk, state, state[1][:, :2], state)
    with pytest.raises(ShapeError, match="quadratic"):
        balance(risk, state, state[1], state[:, :2])
