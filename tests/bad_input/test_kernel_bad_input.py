"""Kernels, spectra, constructions and models of the risk: what is refused, and the remedy.

As control, the same calls with sound arguments go through.
"""

import math
import re
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from refusals import refused, table

from escape_ntk.checks import (
    CutoffWarning,
    InputError,
    NonFiniteError,
    RankError,
    ShapeError,
    UnknownNameError,
)
from escape_ntk.kernels.ntk import (
    KernelRidge,
    dual_on_sphere,
    empirical_ntk,
    infinite_ntk,
    ridge_factor,
)
from escape_ntk.kernels.spectrum import Spectrum, SphereRidge, ntk_spectrum
from escape_ntk.models.data import (
    Target,
    dense_part,
    draw_inputs,
    draw_target,
    random_direction,
    sparse_part,
)
from escape_ntk.models.modules import ModuleFeatures
from escape_ntk.models.network import Activation, activation, draw_weights
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.numerics import polynomials
from escape_ntk.risk.constructions import RankOneMovement, represent_power
from escape_ntk.risk.projectors import TrainingProjector, spectral_steps
from escape_ntk.risk.regularizer import Penalties, RegularizedRisk

N, D, P = 6, 4, 5
F64 = torch.float64
NAN = float("nan")
SIGMOID, SIN, ERF, RELU = (
    activation(name) for name in ("sigmoid(z-1)", "sin(z+pi/4)", "erf", "relu")
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


X = draw_inputs(N, D, "gaussian", seeded(), dtype=F64)
ON_SPHERE = draw_inputs(N, D, "sphere", seeded(), dtype=F64)
WEIGHTS = draw_weights(2 * P, D, seeded(), dtype=F64)
BETA = random_direction(D, seeded(), dtype=F64)
Y = torch.linspace(-1, 1, N, dtype=F64)
TAU = torch.linspace(-1, 1, 5, dtype=F64)
WITH_NAN = torch.where(X == X[0, 0], torch.nan, X)
KINKED = Activation(  # the value is smooth enough for quadrature, the slope is not
    "z|z|³/4", lambda z: z * z.abs() ** 3 / 4, lambda z: z.abs() ** 3, lambda z: 3 * z * z.abs()
)
FEW = Spectrum(D, np.array([1.0, 0.5]), 0.0)


# ---------------------------------------------------------------- kernels


KERNELS = table(
    ("X with one axis", ShapeError, lambda: infinite_ntk(X[0], X, SIN)),
    ("Y of another d", ShapeError, lambda: infinite_ntk(X, X[:, :3], SIN)),
    ("Y of another dtype", ShapeError, lambda: infinite_ntk(X, X.float(), SIN)),
    ("X of numpy", ShapeError, lambda: infinite_ntk(X.numpy(), X, SIN)),
    ("no rows", ShapeError, lambda: infinite_ntk(X[:0], X, SIN)),
    ("NaN in X", NonFiniteError, lambda: infinite_ntk(WITH_NAN, X, SIN)),
    ("NaN in Y", NonFiniteError, lambda: infinite_ntk(X, WITH_NAN, SIN)),
    ("d = 2", InputError, lambda: infinite_ntk(X[:, :2], X[:, :2], SIGMOID, route="series")),
    ("unknown law", UnknownNameError, lambda: infinite_ntk(X, X, SIN, weight_law="uniform")),
    ("unknown route", UnknownNameError, lambda: infinite_ntk(X, X, SIN, route="fast")),
    ("no closed form", InputError, lambda: infinite_ntk(X, X, SIGMOID, route="closed")),
    ("erf, unit weights", InputError, lambda: infinite_ntk(X, X, ERF, route="closed")),
    ("series off the sphere", InputError, lambda: infinite_ntk(X, X, SIN, route="series")),
    ("Y off the sphere", InputError, lambda: infinite_ntk(ON_SPHERE, X, SIN, route="series")),
    ("series of a kink", InputError,
     lambda: infinite_ntk(ON_SPHERE, ON_SPHERE, RELU, route="series")),
    ("quadrature of a kink", InputError, lambda: infinite_ntk(X, X, RELU, route="quadrature")),
    ("kink after a zero row", InputError,
     lambda: infinite_ntk(torch.cat([0 * X[:1], X]), X, RELU, route="quadrature")),
    ("long inputs of a sine", InputError, lambda: infinite_ntk(10 * X, 10 * X, SIN)),
    ("long inputs by quadrature", InputError,
     lambda: infinite_ntk(100 * X, 100 * X, SIN, route="quadrature")),
    ("dual: unknown law", UnknownNameError, lambda: dual_on_sphere(TAU, SIN, D, weight_law="x")),
    ("dual: quadrature", UnknownNameError, lambda: dual_on_sphere(TAU, SIN, D, route="quadrature")),
    ("dual: no closed form", InputError, lambda: dual_on_sphere(TAU, SIGMOID, D, route="closed")),
    ("weights of another d", ShapeError, lambda: empirical_ntk(X, X, WEIGHTS[:, :3], SIN)),
    ("weights of another dtype", ShapeError, lambda: empirical_ntk(X, X, WEIGHTS.float(), SIN)),
    ("NaN in the weights", NonFiniteError, lambda: empirical_ntk(X, X, NAN * WEIGHTS, SIN)),
    ("block = 0", InputError, lambda: empirical_ntk(X, X, WEIGHTS, SIN, block=0)),
    ("overflow", NonFiniteError, lambda: empirical_ntk(1e200 * X, X * 1e200, WEIGHTS, SIN)),
    ("overflow, infinite width", NonFiniteError, lambda: infinite_ntk(1e200 * X, 1e200 * X, RELU)),
    ("overflow in float32", NonFiniteError,
     lambda: infinite_ntk(1e20 * X.float(), 1e20 * X.float(), RELU)),
    ("dual: τ = 1.1", InputError, lambda: dual_on_sphere(1.1 * TAU, SIGMOID, D)),
    ("dual: NaN", NonFiniteError, lambda: dual_on_sphere(NAN * TAU, SIN, D)),
    ("dual: integers", ShapeError, lambda: dual_on_sphere(TAU.long(), SIN, D)),
    ("dual: numpy", ShapeError, lambda: dual_on_sphere(TAU.numpy(), SIN, D)),
    ("dual: slope of ReLU at ±1", InputError,
     lambda: dual_on_sphere(TAU.clone().requires_grad_(), RELU, D)),
    ("gradient of a series", InputError,
     lambda: infinite_ntk(ON_SPHERE.clone().requires_grad_(), ON_SPHERE, SIN, route="series")),
    ("gradient of a series in Y", InputError,
     lambda: infinite_ntk(ON_SPHERE, ON_SPHERE.clone().requires_grad_(), SIN, route="series")),
    ("slope of a series, forwards", InputError,
     lambda: forwards(lambda Z: infinite_ntk(Z, ON_SPHERE, SIN, route="series"))),
    ("slope of quadrature, forwards", InputError,
     lambda: forwards(lambda Z: infinite_ntk(Z, ON_SPHERE, SIGMOID))),
    ("second slope of quadrature", InputError,
     lambda: torch.func.grad(torch.func.grad(
         lambda s: infinite_ntk(s * ON_SPHERE, X, SIGMOID).sum()))(torch.ones((), dtype=F64))),
    ("slope with a kink", InputError, lambda: infinite_ntk(
        X.clone().requires_grad_(), X, KINKED, route="quadrature").sum().backward()),
)  # fmt: skip


def forwards(function):
    return torch.func.jvp(function, (ON_SPHERE,), (ON_SPHERE,))


@KERNELS
def test_kernels(error, call):
    refused(call, error)


def test_refusals_of_kernels_name_the_remedy():
    assert 'route="quadrature"' in refused(
        lambda: infinite_ntk(X, X, SIN, route="series"), InputError
    )
    assert 'route="auto"' in refused(lambda: infinite_ntk(X, X, ERF, route="closed"), InputError)


@pytest.mark.parametrize("weight_law", ["sphere", "gaussian"])
@pytest.mark.parametrize("act", [SIGMOID, SIN, ERF, RELU], ids=lambda act: act.name)
def test_control_sound_kernels_pass_even_at_the_origin(act, weight_law):
    Z = torch.cat([0 * X[:1], X])
    for K in (infinite_ntk(Z, Z, act, weight_law=weight_law), empirical_ntk(Z, Z, WEIGHTS, act)):
        assert bool(K.isfinite().all())
        assert bool((K[0] == 0).all() and (K[:, 0] == 0).all())


# ---------------------------------------------------------------- ridge regression


GRAM = infinite_ntk(X, X, SIN)
LEANING = GRAM + 1e-3 * torch.ones(N, N, dtype=F64).triu(1)
RIDGE = table(
    ("not square", ShapeError, lambda: KernelRidge(GRAM[:3])),
    ("one axis", ShapeError, lambda: KernelRidge(GRAM[0])),
    ("NaN", NonFiniteError, lambda: KernelRidge(NAN * GRAM)),
    ("not symmetric", InputError, lambda: KernelRidge(LEANING)),
    ("a test–train block", InputError, lambda: KernelRidge(infinite_ntk(X.flip(0), 2 * X, SIN))),
    ("carries a gradient", InputError, lambda: KernelRidge(GRAM.clone().requires_grad_())),
    ("negative throughout", RankError, lambda: KernelRidge(-GRAM).dual(Y, 0.0)),
    ("zero", RankError, lambda: KernelRidge(0 * GRAM).dual(Y, 0.0)),
    ("NaN in y", NonFiniteError, lambda: KernelRidge(GRAM).dual(NAN * Y, 0.1)),
    ("y of integers", ShapeError, lambda: KernelRidge(GRAM).dual(Y.long(), 0.1)),
    ("y on another device", ShapeError, lambda: KernelRidge(GRAM).dual(Y.to("meta"), 0.1)),
    ("factor: not square", ShapeError, lambda: ridge_factor(GRAM[:3].clone(), 0.1)),
    ("factor: NaN", NonFiniteError, lambda: ridge_factor(NAN * GRAM, 0.1)),
    ("factor: not symmetric", InputError, lambda: ridge_factor(LEANING.clone(), 0.1)),
    ("factor: indefinite", RankError, lambda: ridge_factor(GRAM - torch.eye(N, dtype=F64), 0.1)),
    ("negative ridge", InputError, lambda: KernelRidge(GRAM).dual(Y, -0.1)),
    ("NaN ridge", NonFiniteError, lambda: KernelRidge(GRAM).dual(Y, NAN)),
    ("ridge as text", InputError, lambda: KernelRidge(GRAM).dual(Y, "small")),
    ("short y", ShapeError, lambda: KernelRidge(GRAM).dual(Y[:3], 0.1)),
    ("y of two axes", ShapeError, lambda: KernelRidge(GRAM).dual(Y[:, None], 0.1)),
    ("sphere: negative ridge", InputError, lambda: SphereRidge(ON_SPHERE, SIN, ridge=-1.0)),
    ("sphere: NaN", NonFiniteError, lambda: SphereRidge(WITH_NAN, SIN)),
    ("sphere: repeated inputs", RankError, lambda: SphereRidge(ON_SPHERE.repeat(2, 1), SIN)),
)  # fmt: skip


@RIDGE
def test_ridge(error, call):
    refused(call, error)


def test_what_is_no_gram_matrix_is_told_from_a_test_train_block():
    for block in (GRAM[:3], infinite_ntk(X.flip(0), 2 * X, SIN)):
        for call in (KernelRidge, lambda K: ridge_factor(K.clone(), 0.1)):
            with pytest.raises(InputError, match=r"remedy: pass K\(X, X\) .* test–train block"):
                call(block)
    nearly = GRAM + 1e-7 * torch.ones(N, N, dtype=F64).triu(1)  # control: rounding passes
    torch.testing.assert_close(KernelRidge(nearly).dual(Y, 0.1), KernelRidge(GRAM).dual(Y, 0.1),
                               rtol=1e-5, atol=1e-5)  # fmt: skip


# ---------------------------------------------------------------- half precision, NaN rows


HALVES = [torch.float16, torch.bfloat16]
IN_HALF = {
    "infinite_ntk": lambda h: infinite_ntk(X.to(h), X.to(h), SIN),
    "empirical_ntk": lambda h: empirical_ntk(X.to(h), X.to(h), WEIGHTS.to(h), SIN),
    "dual_on_sphere": lambda h: dual_on_sphere(TAU.to(h), SIN, D),
    "KernelRidge": lambda h: KernelRidge(GRAM.to(h)),
    "dual": lambda h: KernelRidge(GRAM).dual(Y.to(h), 0.1),
    "ridge_factor": lambda h: ridge_factor(GRAM.to(h), 0.1),
    "SphereRidge": lambda h: SphereRidge(ON_SPHERE.to(h), SIN, ridge=0.1),
    "PairFeatures": lambda h: PairFeatures(X.to(h), WEIGHTS.to(h), SIGMOID),
    "spectral_steps": lambda h: spectral_steps(torch.tensor([4.0, 1.0]).to(h)),
    "draw_inputs": lambda h: draw_inputs(N, D, "sphere", seeded(), dtype=h),
    "draw_weights": lambda h: draw_weights(4, D, seeded(), dtype=h),
    "random_direction": lambda h: random_direction(D, seeded(), dtype=h),
    "dense_part": lambda h: dense_part(D, 2, "sphere", seeded(), dtype=h),
    "draw_target": lambda h: draw_target(2, D, seeded(), h),
}


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("call", IN_HALF.values(), ids=IN_HALF)
def test_half_precision_is_refused_everywhere(call, half):
    with pytest.raises(InputError, match=r"expected .*; got .*; remedy") as caught:
        call(half)
    text = str(caught.value)
    assert str(half) in text and ("float()" in text or "dtype=torch.float32" in text)
    call(torch.float32), call(F64)  # control


@pytest.mark.parametrize("half", HALVES)
def test_a_projector_of_half_precision_is_refused(half):
    features = PairFeatures(X, WEIGHTS, SIGMOID)
    features.X, features.first = features.X.to(half), features.first.to(half)
    text = refused(lambda: TrainingProjector(features, 1), ShapeError)
    assert str(half) in text and "features.X.float()" in text


def test_a_dtype_that_is_none_is_refused():
    for dtype in ("float64", torch.int64, None):
        refused(lambda dtype=dtype: draw_inputs(N, D, "sphere", seeded(), dtype=dtype), InputError)


class NormModule(torch.nn.Module):
    """√Σ(Wx)²: its gradient at x = 0 is NaN."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(D, 3, bias=False, dtype=F64)

    def forward(self, x):
        return self.layer(x).square().sum(-1).sqrt()


def test_the_row_that_is_not_finite_is_named():
    bad = torch.arange(N) == 2
    rows, y = X.masked_fill(bad[:, None], NAN), Y.masked_fill(bad, math.inf)
    cross = GRAM.masked_fill(bad[:, None] | bad, NAN)  # what a NaN input makes of K
    zero = ModuleFeatures(NormModule(), X.masked_fill(bad[:, None], 0.0))
    for call in (
        lambda: infinite_ntk(rows, X, SIN),
        lambda: infinite_ntk(X, rows, SIN),
        lambda: PairFeatures(rows, WEIGHTS, SIGMOID),
        lambda: KernelRidge(cross),
        lambda: ridge_factor(cross, 0.1),
        lambda: KernelRidge(GRAM).dual(y, 0.1),
        lambda: TrainingProjector(zero, 1),
    ):
        assert re.search(r"(in|at) row 2( of X)?; remedy", refused(call, NonFiniteError))


# ---------------------------------------------------------------- features that do not fit


def test_features_of_another_activation_are_refused():
    one, other = (PairFeatures(X, WEIGHTS, act) for act in (SIGMOID, SIN))
    assert "of the same activation" in refused(lambda: one.cross_gram(other), InputError)
    assert "same frozen weights" in refused(
        lambda: one.cross_gram(PairFeatures(X, 2 * WEIGHTS, SIGMOID)), InputError
    )
    twice = [PairFeatures(X, WEIGHTS, torch.tanh) for _ in range(2)]  # control
    torch.testing.assert_close(twice[0].cross_gram(twice[1]), twice[0].cross_gram(twice[0]))


@pytest.mark.parametrize("what", ["inputs", "state"])
def test_pair_features_refuse_gradients_that_their_buffers_cannot_give(what):
    given = X.clone().requires_grad_(what == "inputs")
    features = PairFeatures(given, WEIGHTS, SIGMOID)
    state = torch.ones(2, P, D, dtype=F64, requires_grad=what == "state")
    least_squares = partial(features.least_squares, y=torch.zeros(len(X), dtype=F64))
    for call in (features.terms, features.terms_and_pullback, least_squares):
        assert "state.detach()" in refused(lambda call=call: call(state), InputError)
    with torch.no_grad():  # control
        plain = PairFeatures(X, WEIGHTS, SIGMOID).terms(state.detach())
        torch.testing.assert_close(features.terms(state), plain, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["low_outputs", "high_outputs", "dual_coefficients"])
def test_outputs_of_another_length_are_refused(name):
    call = getattr(TrainingProjector(PairFeatures(X, WEIGHTS, SIGMOID), 2), name)
    for f in (Y[:3], Y[:, None], Y.float(), Y.long()):
        refused(lambda f=f: call(f), ShapeError)
    assert call(Y).shape == Y.shape


@pytest.mark.parametrize("word", ["gaps", "", None, 2.0, -1])
def test_other_words_for_n_k_are_refused(word):
    text = refused(lambda: TrainingProjector(FEATURES, word), InputError)
    assert "expected n_k to be an integer" in text and 'or n_k="gap"' in text


@pytest.mark.parametrize("act", [SIGMOID, SIN, ERF, RELU], ids=lambda act: act.name)
def test_sphere_ridge_needs_inputs_on_the_sphere(act):
    """The closed forms go through anywhere, its inner products do not."""
    for beside in (X, (1 + 1e-5) * ON_SPHERE):
        assert "√d" in refused(lambda Z=beside: SphereRidge(Z, act, ridge=0.1), InputError)
    SphereRidge(ON_SPHERE, act, ridge=0.1)


def test_singular_kernel_without_a_ridge_warns():
    singular = KernelRidge(torch.ones(3, 3, dtype=F64))
    with pytest.warns(CutoffWarning, match="2 of 3 kernel eigenvalues"):
        singular.dual(Y[:3], 0.0)
    with warnings.catch_warnings():  # control: no warning with a ridge, or with full rank
        warnings.simplefilter("error")
        singular.dual(Y[:3], 0.1)
        KernelRidge(torch.eye(3, dtype=F64)).dual(Y[:3], 0.0)


# ---------------------------------------------------------------- spectra and quadratures


SPECTRA = table(
    ("n beyond the functions", InputError, lambda: FEW.effective_ridge(20)),
    ("n = 0", InputError, lambda: FEW.effective_ridge(0)),
    ("n = 2.5", InputError, lambda: FEW.effective_ridge(2.5)),
    ("negative ridge", InputError, lambda: FEW.learned(3, -1.0)),
    ("NaN ridge", NonFiniteError, lambda: FEW.learned(3, NAN)),
    ("k = -1", InputError, lambda: FEW.bulk(-1)),
    ("kept degree = -1", InputError, lambda: FEW.check_degree(-1)),
    ("d = 2", InputError, lambda: ntk_spectrum(SIN, 2)),
    ("degree = -1", InputError, lambda: ntk_spectrum(SIN, D, degree=-1)),
    ("unknown law", UnknownNameError, lambda: ntk_spectrum(SIN, D, weight_law="uniform")),
    ("degree of coefficients", InputError,
     lambda: polynomials.gegenbauer_coefficients(torch.sin, 20, D, n_nodes=20)),
    ("d = 2 in coefficients", InputError,
     lambda: polynomials.gegenbauer_coefficients(torch.sin, 2, 2)),
    ("d = 2 in a sum", InputError, lambda: polynomials.gegenbauer_sum(TAU, [1.0], 2)),
    ("alpha = -1", InputError, lambda: polynomials.gauss_jacobi(5, -1.0, 0.0)),
    ("beta = -2", InputError, lambda: polynomials.gauss_jacobi(5, 0.0, -2.0)),
    ("NaN alpha", NonFiniteError, lambda: polynomials.gauss_jacobi(5, NAN, 0.0)),
    ("no nodes", InputError, lambda: polynomials.gauss_jacobi(0, 0.0, 0.0)),
    ("no nodes, Laguerre", InputError, lambda: polynomials.gauss_laguerre(0)),
    ("d = 2 in a rule", InputError, lambda: polynomials.gauss_gegenbauer(2)),
    ("no directions", InputError,
     lambda: dense_part(D, 2, "sphere", seeded(), n_directions=0)),
    ("law of a dense part", UnknownNameError, lambda: dense_part(D, 2, "uniform", seeded())),
)  # fmt: skip


@SPECTRA
def test_spectra(error, call):
    refused(call, error)


def test_too_many_samples_say_how_many_functions_there_are():
    assert "5 functions" in refused(lambda: FEW.effective_ridge(20), InputError)  # 1 + d
    assert FEW.effective_ridge(20, 0.1) > 0 and FEW.effective_ridge(4) > 0


def test_coefficients_say_how_many_nodes_they_need():
    def coefficients(**options):
        return polynomials.gegenbauer_coefficients(torch.sin, 300, D, **options)

    assert "n_nodes=602" in refused(coefficients, InputError)
    assert np.isfinite(coefficients(n_nodes=602)).all()


# ---------------------------------------------------------------- constructions


def movement(**changes) -> RankOneMovement:
    sound = {
        "weights": WEIGHTS,
        "activation": SIN,
        "beta": BETA,
        "h": torch.ones_like(WEIGHTS[:, 0]),
    }
    return RankOneMovement(**(sound | changes))


CONSTRUCTIONS = table(
    ("weights not unit", InputError, lambda: represent_power(2 * WEIGHTS, SIN, BETA, 2)),
    ("β not unit", InputError, lambda: represent_power(WEIGHTS, SIN, 2 * BETA, 2)),
    ("short weights", InputError, lambda: represent_power(WEIGHTS / 2, SIN, BETA, 2)),
    ("short β", InputError, lambda: represent_power(WEIGHTS, SIN, BETA / 2, 2)),
    ("β of another d", ShapeError, lambda: represent_power(WEIGHTS, SIN, BETA[:3], 2)),
    ("β of another dtype", ShapeError, lambda: represent_power(WEIGHTS, SIN, BETA.float(), 2)),
    ("NaN in the weights", NonFiniteError, lambda: represent_power(NAN * WEIGHTS, SIN, BETA, 2)),
    ("degree 1", InputError, lambda: represent_power(WEIGHTS, SIN, BETA, 1)),
    ("degree 2.0", InputError, lambda: represent_power(WEIGHTS, SIN, BETA, 2.0)),
    ("no curvature", InputError, lambda: represent_power(WEIGHTS, RELU, BETA, 2)),
    ("erf: odd curvature", InputError, lambda: represent_power(WEIGHTS, ERF, BETA, 2)),
    ("h of another length", ShapeError, lambda: movement(h=torch.ones(3, dtype=F64))),
    ("NaN in h", NonFiniteError, lambda: movement(h=NAN * WEIGHTS[:, 0])),
    ("inputs of another d", ShapeError, lambda: movement().terms(X[:, :3])),
    ("signs of another length", ShapeError, lambda: movement().terms(X, Y[:2])),
    ("signs of another length, movement", ShapeError, lambda: movement().movement(Y[:2])),
)


@CONSTRUCTIONS
def test_constructions(error, call):
    refused(call, error)


def test_control_sound_constructions_pass():
    for degree in (2, 3):
        assert bool(represent_power(WEIGHTS, SIN, BETA, degree).h.isfinite().all())
    assert bool(represent_power(WEIGHTS, ERF, BETA, 3).h.isfinite().all())


# ---------------------------------------------------------------- what the risk fits


FEATURES = PairFeatures(X, WEIGHTS, SIGMOID)
PROJECTOR = TrainingProjector(FEATURES, 2)


@pytest.mark.parametrize("name", ["population", "empirical", "low_degree"])
def test_quadratic_model_refuses_penalties_on_the_linear_term(name):
    def risk(model):
        penalties = Penalties(**{name: 0.1})
        return RegularizedRisk(FEATURES, Y, model=model, penalties=penalties, projector=PROJECTOR)

    assert "f_Q alone" in refused(lambda: risk("quadratic"), InputError)
    if name != "population":  # control; that one needs its leak besides
        risk("linear"), risk("joint")


def test_quadratic_model_takes_the_norm():
    risk = RegularizedRisk(FEATURES, Y, model="quadratic", penalties=Penalties(norm=0.1))
    assert bool(risk.value_and_gradient(FEATURES.zero_state())[1].isfinite().all())


def test_unknown_model():
    text = refused(lambda: RegularizedRisk(FEATURES, Y, model="cubic"), UnknownNameError)
    assert "joint, linear, quadratic" in text


def test_degrees_beyond_the_spectrum_and_gaussian_targets_are_refused():
    generator = torch.Generator().manual_seed(0)
    X = draw_inputs(20, 6, "sphere", generator, dtype=torch.float64)
    ridge = SphereRidge(X, activation("sin(z+pi/4)"))
    beta = torch.eye(6, dtype=torch.float64)[0]
    for law, degree, word in (("sphere", 13, "degree"), ("gaussian", 2, "sphere")):
        with pytest.raises(InputError, match=f"expected .*{word}.*remedy"):
            ridge.error(Target((sparse_part(beta, degree, law),)))
    for call in (lambda: ridge.learned([13]), lambda: ridge.expected_error([1.0] * 14)):
        with pytest.raises(InputError, match="expected a degree ≤ 12"):
            call()
    with pytest.raises(InputError, match="expected a degree ≤ 12"):
        ridge.spectrum.predicted_error(10, [1.0] * 14)
