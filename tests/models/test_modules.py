"""Taylor terms of any module: the two-layer closed forms, orders of the remainder, refusals."""

import math

import pytest
import torch
from torch import nn

from escape_ntk.chapters.your_network.modules import TwoLayer
from escape_ntk.checks import InputError, NonFiniteError, ShapeError
from escape_ntk.models.modules import ModuleFeatures, empirical_leak
from escape_ntk.models.network import activation, draw_weights, paired_network
from escape_ntk.models.pairs import PairFeatures, from_pairs, to_pairs
from escape_ntk.models.taylor import linear_term, quadratic_term
from escape_ntk.numerics.stats import log_slope, rms
from escape_ntk.risk.projectors import TrainingProjector

F64 = torch.float64
SIN = activation("sin(z+pi/4)")


def two_layer(seed: int, d=4, p=6, n=15):
    g = torch.Generator().manual_seed(seed)
    weights = draw_weights(2 * p, d, g, dtype=F64)
    X = torch.randn(n, d, generator=g, dtype=F64)
    U = torch.randn(2 * p, d, generator=g, dtype=F64)
    return X, weights, U, ModuleFeatures(TwoLayer(weights, SIN), X, chunk=4)


def mlp(act=nn.Tanh, seed=0, inputs=5) -> nn.Module:
    torch.manual_seed(seed)
    layers = (nn.Linear(inputs, 12), act(), nn.Linear(12, 9), act(), nn.Linear(9, 1))
    return nn.Sequential(*layers).double()


def cnn(act=nn.Softplus, seed=0) -> nn.Module:
    torch.manual_seed(seed)
    layers = (
        nn.Conv2d(1, 4, 3, padding=1),
        act(),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1),
        act(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 1),
    )
    return nn.Sequential(*layers).double()


def inputs(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


CASES = {"mlp": (mlp, (8, 5)), "cnn": (cnn, (6, 1, 8, 8))}


# ---------------------------------------------------------------- against the closed forms


@pytest.mark.parametrize("seed", range(10))
def test_on_a_two_layer_network_all_agree_with_the_closed_forms(seed):
    X, weights, U, features = two_layer(seed)
    network, pairs = paired_network(weights, SIN), PairFeatures(X, weights, SIN)
    delta = U.flatten()
    f_l, f_q = features.terms(delta)
    close = {"rtol": 1e-10, "atol": 1e-13}
    torch.testing.assert_close(f_l, linear_term(network, X, U), **close)
    torch.testing.assert_close(features.linear(delta), f_l, **close)
    torch.testing.assert_close(f_q, quadratic_term(network, X, U), **close)
    torch.testing.assert_close(features.cross_gram(features), 2 * pairs.cross_gram(pairs), **close)
    generic, special = TrainingProjector(features, 4), TrainingProjector(pairs, 4)
    torch.testing.assert_close(generic.eigenvalues, special.eigenvalues, rtol=1e-9, atol=1e-12)
    leak = empirical_leak(features, generic, delta)
    high = special.high_outputs(pairs.linear(to_pairs(U)[1]))
    assert float(leak) == pytest.approx(float(high.square().mean()), rel=1e-10)
    low = generic.low(delta).view_as(U)
    state = torch.stack([torch.zeros_like(to_pairs(U)[1]), special.low(to_pairs(U)[1])])
    torch.testing.assert_close(low, from_pairs(state), rtol=1e-8, atol=1e-11)


# ---------------------------------------------------------------- orders


@pytest.mark.parametrize("name", CASES)
def test_the_remainder_is_of_third_order(name):
    build, shape = CASES[name]
    features = ModuleFeatures(build(), inputs(*shape))
    direction = inputs(features.size)
    sizes = [0.02 * 2**-j for j in range(5)]
    left = [rms(features.remainder(h * direction)) for h in sizes]
    assert log_slope(sizes, left) == pytest.approx(3, abs=0.1)
    first = [
        rms(features.remainder(h * direction) + features.terms(h * direction)[1]) for h in sizes
    ]
    assert log_slope(sizes, first) == pytest.approx(2, abs=0.1)  # control: f_Q left out


def test_relu_has_kinks_that_no_second_term_sees():
    """Piecewise linear in each layer: beyond the kinks that it crosses a remainder of order 3 at
    most, but a movement that crosses some leaves first-order errors at those inputs."""
    features = ModuleFeatures(mlp(nn.ReLU), inputs(400, 5))
    direction, sizes = inputs(features.size), [0.02 * 2**-j for j in range(5)]
    left = [rms(features.remainder(h * direction)) for h in sizes]
    assert log_slope(sizes, left) < 2.2
    typical = [float(features.remainder(h * direction).abs().median()) for h in sizes]
    assert log_slope(sizes, typical) > 2.7


# ---------------------------------------------------------------- features and gradients


@pytest.mark.parametrize("name", CASES)
def test_chunks_do_not_matter_and_rows_are_gradients(name):
    build, shape = CASES[name]
    X, module = inputs(*shape), build()
    whole, pieces = ModuleFeatures(module, X), ModuleFeatures(module, X, chunk=2)
    J = whole.jacobian()
    rows = []
    for x in X:
        module.zero_grad()
        module(x[None]).squeeze().backward()
        rows.append(torch.cat([p.grad.flatten() for p in module.parameters()]))
    torch.testing.assert_close(J, torch.stack(rows))
    torch.testing.assert_close(pieces.jacobian(), J)
    torch.testing.assert_close(pieces.cross_gram(pieces), J @ J.T)
    other = pieces.at(X.flip(0))
    torch.testing.assert_close(pieces.cross_gram(other), J @ J.flip(0).T)
    delta, c = inputs(whole.size), inputs(len(X))
    torch.testing.assert_close(pieces.linear(delta), J @ delta)
    torch.testing.assert_close(pieces.linear_pullback(c), J.T @ c)
    torch.testing.assert_close(pieces.terms(delta), whole.terms(delta))
    kept = ModuleFeatures(module, X, keep=True)
    torch.testing.assert_close(kept.linear(delta), J @ delta)
    torch.testing.assert_close(kept.linear_pullback(c), J.T @ c)
    torch.testing.assert_close(kept.at(X.flip(0)).linear(delta), (J @ delta).flip(0))


def test_the_leak_and_the_terms_can_be_differentiated():
    features = ModuleFeatures(mlp(), inputs(12, 5))
    projector, J = TrainingProjector(features, 3), features.jacobian()
    delta = inputs(features.size).requires_grad_()
    leak = 3 * empirical_leak(features, projector, delta)
    (gradient,) = torch.autograd.grad(leak, delta)
    again = delta.detach().requires_grad_()
    f = J @ again
    (wanted,) = torch.autograd.grad(3 * projector.high_outputs(f).square().mean(), again)
    torch.testing.assert_close(gradient, wanted)
    (slope,) = torch.autograd.grad(sum(features.terms(delta)).sum(), delta)
    h = 1e-5 * inputs(features.size, seed=5)
    with torch.no_grad():
        change = [float(sum(features.terms(delta + s * h)).sum()) for s in (1, -1)]
    assert (change[0] - change[1]) / 2 == pytest.approx(float(slope @ h), rel=1e-6)


def test_the_start_is_a_copy_and_the_movement_is_what_has_changed():
    module = mlp()
    features = ModuleFeatures(module, inputs(6, 5))
    before = features.value(torch.zeros(features.size, dtype=F64))
    with torch.no_grad():
        for p in module.parameters():
            p += 0.1
    torch.testing.assert_close(
        features.movement().detach(), torch.full((features.size,), 0.1, dtype=F64)
    )
    torch.testing.assert_close(features.value(torch.zeros(features.size, dtype=F64)), before)
    torch.testing.assert_close(features.value(features.movement()), module(features.X)[:, 0])
    round_trip = features.join(features.split(features.movement()))
    torch.testing.assert_close(round_trip, features.movement())


def test_frozen_parameters_do_not_move():
    module = mlp()
    module[0].requires_grad_(False)
    features = ModuleFeatures(module, inputs(6, 5))
    assert features.size == sum(p.numel() for p in module.parameters() if p.requires_grad)
    assert not any(name.startswith("0.") for name in features.start)


def test_one_of_several_outputs_is_that_column():
    torch.manual_seed(0)
    module = nn.Linear(5, 3).double()
    features = ModuleFeatures(module, inputs(4, 5), output=2)
    J = features.jacobian().view(4, -1)
    weight = J[:, :15].view(4, 3, 5)
    torch.testing.assert_close(weight[:, 2], inputs(4, 5))
    assert float(weight[:, :2].abs().max()) == 0


class Slope(nn.Module):
    """x ↦ a x on numbers."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x):
        return self.a * x


def test_inputs_may_be_numbers():
    X = inputs(5, 1)[:, 0]
    linear, quadratic = ModuleFeatures(Slope(), X).terms(torch.tensor([2.0], dtype=X.dtype))
    torch.testing.assert_close(linear, 2 * X)
    torch.testing.assert_close(quadratic, 0 * X)


@pytest.mark.parametrize("keep", [False, True])
def test_the_jacobian_is_kept_when_asked_for(keep):
    features = ModuleFeatures(mlp(), inputs(6, 5), **({"keep": True} if keep else {}))
    held = [v for v in vars(features).values() if isinstance(v, torch.Tensor)]
    assert any(v.numel() == 6 * features.size for v in held) == keep


# ---------------------------------------------------------------- refusals


def test_what_has_no_taylor_expansion_is_refused():
    X = inputs(4, 5)
    drop = nn.Sequential(nn.Linear(5, 3), nn.Dropout(0.5), nn.Linear(3, 1)).double()
    norm = nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)).double()
    for module, name in ((drop, "Dropout"), (norm, "BatchNorm1d")):
        with pytest.raises(InputError, match=f"{name} '1' in training mode.*eval"):
            ModuleFeatures(module, X)
        features = ModuleFeatures(module.eval(), X)
        before = features.terms(inputs(features.size))
        module.train()
        again = features.at(X).terms(inputs(features.size))
        torch.testing.assert_close(before, again, rtol=0, atol=0)


def test_bad_inputs_are_refused():
    module, X = mlp(), inputs(4, 5)
    with pytest.raises(InputError, match=r"floating-point inputs.*int64"):
        ModuleFeatures(module, torch.ones(4, 5, dtype=torch.int64))
    for wrong in (X[:0], X[0, 0]):
        with pytest.raises(InputError, match="n ≥ 1"):
            ModuleFeatures(module, wrong)
    with pytest.raises(NonFiniteError, match="1 NaN"):
        ModuleFeatures(module, _with_nan(X))
    with pytest.raises(ShapeError, match=r"float32.*module.to"):
        ModuleFeatures(mlp().float(), X)
    with pytest.raises(InputError, match="requires_grad"):
        ModuleFeatures(mlp().requires_grad_(False), X)
    for outputs in (2, 3):
        with pytest.raises(InputError, match=rf"one output a row.*got {outputs}"):
            ModuleFeatures(nn.Linear(5, outputs).double(), X)
    with pytest.raises(InputError, match="output < 3"):
        ModuleFeatures(nn.Linear(5, 3).double(), X, output=3)
    with pytest.raises(InputError, match="chunk"):
        ModuleFeatures(module, X, chunk=0)
    features = ModuleFeatures(module, X)
    with pytest.raises(ShapeError, match="one entry a parameter"):
        features.terms(inputs(3))
    for wrong in (torch.ones(3, dtype=X.dtype), torch.ones(4)):
        with pytest.raises(ShapeError, match="expected c"):
            features.linear_pullback(wrong)
    other = ModuleFeatures(module, X)
    with pytest.raises(InputError, match="built from these features"):
        empirical_leak(features, TrainingProjector(other, 2), inputs(features.size))


def _with_nan(X):
    X = X.clone()
    X[0, 0] = math.nan
    return X
