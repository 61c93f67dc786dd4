"""R_2 as a term of a loss: the same number as the n × n route gives, unbiased by batches, resumed.

Oracles: the dense Jacobian by plain autograd and its SVD; ``empirical_leak``; central statements
about means over a partition, which hold to rounding.
"""

import copy
import io
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

import escape_ntk as en
from escape_ntk.checks import InputError
from escape_ntk.display.style import COLOURS
from escape_ntk.models.modules import ModuleFeatures, empirical_leak
from escape_ntk.numerics.lanczos import NoConvergenceError
from escape_ntk.risk.good_directions import GoodDirections, _Rows
from escape_ntk.risk.projectors import TrainingProjector, spectral_steps
from escape_ntk.risk.top_directions import top_directions

F64 = torch.float64


def inputs(*shape, seed=1, dtype=F64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def mlp(outputs=1):
    return nn.Sequential(
        nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, 9), nn.Tanh(), nn.Linear(9, outputs)
    )


def normalised():
    return nn.Sequential(nn.Linear(5, 12), nn.LayerNorm(12), nn.GELU(), nn.Linear(12, 1))


def cnn():
    layers = (nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.SiLU(), nn.Conv2d(4, 6, 3), nn.Tanh())
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 1))


def batch_norm():
    net = nn.Sequential(nn.Linear(5, 12), nn.BatchNorm1d(12), nn.Tanh(), nn.Linear(12, 1))
    net(inputs(50, 5, seed=8, dtype=torch.float32))
    net[0].bias.requires_grad_(False)
    return net.eval()


class Last(nn.Module):
    """A recurrent layer: no tangent of several rows at once, no forward mode."""

    def __init__(self):
        super().__init__()
        self.inner, self.head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.inner(x)[0][:, -1])


def attention():
    layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True)
    return nn.Sequential(nn.Linear(3, 8), layer, nn.Flatten(), nn.Linear(32, 1)).eval()


class Cubed(torch.autograd.Function):
    """x³ with a right tangent that has no derivative of its own."""

    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, *grads):
        return 3 * ctx.saved_tensors[0] ** 2 * grads[0]

    @staticmethod
    def jvp(ctx, *tangents):
        return (3 * ctx.saved_tensors[0] ** 2 * tangents[0]).detach()

    @staticmethod
    def vmap(info, in_dims, x):
        return Cubed.apply(x), in_dims[0]


class Partly(torch.autograd.Function):
    """x² with a tangent that is wrong above 1."""

    @staticmethod
    def forward(x):
        return x**2

    setup_context = Cubed.setup_context

    @staticmethod
    def backward(ctx, *grads):
        return 2 * ctx.saved_tensors[0] * grads[0]

    @staticmethod
    def jvp(ctx, *tangents):
        x = ctx.saved_tensors[0]
        return torch.where(x > 1, 5 * x, 2 * x) * tangents[0]

    @staticmethod
    def vmap(info, in_dims, x):
        return Partly.apply(x), in_dims[0]


class Odd(nn.Module):
    def __init__(self, function=Cubed):
        super().__init__()
        self.inner, self.head, self.function = nn.Linear(5, 7), nn.Linear(7, 1), function

    def forward(self, x):
        return self.head(self.function.apply(self.inner(x)))


NETS = {
    "mlp": (mlp, (24, 5)),
    "normalised": (normalised, (24, 5)),
    "cnn": (cnn, (24, 1, 7, 7)),
    "batch norm": (batch_norm, (24, 5)),
    "lstm": (Last, (24, 4, 3)),
    "attention": (attention, (24, 4, 3)),
    "odd": (Odd, (24, 5)),
}


def made(name, n_k=4, dtype=F64, **asked):
    build, shape = NETS[name]
    torch.manual_seed(0)
    model, X = build().to(dtype), inputs(*shape, dtype=dtype)
    return model, X, GoodDirections(model, X, n_k, progress=False, **asked)


def dense(model, X) -> torch.Tensor:
    """Φ by plain gradients, output by output."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    rows = [torch.autograd.grad(out, trainable, retain_graph=True) for out in model(X).flatten()]
    return torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])


def of_partition(penalty, delta, size, seed=3):
    """Values and gradients of all batches of a partition of X in random order."""
    X = penalty.features.X
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(seed))
    found = []
    for rows in order.split(size):
        moving = delta.clone().requires_grad_()
        value = penalty(X[rows], movement=moving)
        found.append((value.detach(), torch.autograd.grad(value, moving)[0]))
    return [torch.stack(column) for column in zip(*found, strict=True)]


# ---------------------------------------------------------------- the value


@pytest.mark.parametrize("route", ["gram", "krylov"])
@pytest.mark.parametrize("name", NETS)
def test_value_and_gradients_are_those_of_the_dense_jacobian(name, route):
    model, X, penalty = made(name, route=route, tolerance=1e-12, chunk=7)
    J = dense(model, X)
    V = torch.linalg.svd(J, full_matrices=False).Vh[:4]
    H = 2 / len(X) * (J - J @ V.T @ V).T @ (J - J @ V.T @ V)
    delta = inputs(J.shape[1], seed=2).requires_grad_()
    value = penalty(movement=delta)
    (gradient,) = torch.autograd.grad(value, delta, create_graph=True)
    torch.testing.assert_close(value, (delta @ H @ delta / 2))
    torch.testing.assert_close(gradient, H @ delta, rtol=1e-7, atol=1e-8)
    h = inputs(J.shape[1], seed=4)
    (second,) = torch.autograd.grad(gradient @ h, delta, create_graph=True)
    torch.testing.assert_close(second, H @ h, rtol=1e-7, atol=1e-8)
    assert penalty(movement=delta.detach()).grad_fn is None


@pytest.mark.parametrize("name", NETS)
def test_on_the_whole_it_is_the_empirical_leak(name):
    model, X, penalty = made(name)
    features = ModuleFeatures(model, X)
    delta = inputs(features.size, seed=2).requires_grad_()
    wanted = empirical_leak(features, TrainingProjector(features, 4), delta)
    (slope,) = torch.autograd.grad(wanted, delta)
    for found in (penalty(movement=delta), penalty(X, movement=delta)):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=0)
        torch.testing.assert_close(torch.autograd.grad(found, delta)[0], slope)


@pytest.mark.parametrize("size", [1, 3, 8])
@pytest.mark.parametrize("name", NETS)
def test_batches_are_unbiased(name, size):
    """The mean over the batches of any partition is the whole, so the expectation is R_2."""
    penalty = made(name)[2]
    delta = inputs(penalty.features.size, seed=2)
    whole = delta.clone().requires_grad_()
    value = penalty(movement=whole)
    (slope,) = torch.autograd.grad(value, whole)
    values, slopes = of_partition(penalty, delta, size)
    torch.testing.assert_close(values.mean(0), value.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(slopes.mean(0), slope, rtol=1e-11, atol=1e-12)
    assert float(values.std() / values.mean()) > 1e-3  # the control: batches differ


def test_directions_of_the_batch_itself_would_be_biased():
    """The control: a batch that keeps the top directions of its own kernel knows less of X."""
    model, X, penalty = made("mlp", n_k=2)
    delta, values = inputs(penalty.features.size, seed=2), []
    for x in X.split(6):
        features = ModuleFeatures(model, x)
        values.append(empirical_leak(features, TrainingProjector(features, 2), delta))
    assert abs(float(torch.stack(values).mean() / penalty(movement=delta)) - 1) > 0.01


def test_it_moves_the_parameters_of_the_model():
    model, X, penalty = made("mlp")
    assert float(penalty()) == 0 and penalty.measure() == {"movement": 0.0, "share": 0.0}
    J = dense(model, X)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.1 * inputs(*p.shape, seed=6)
    value = penalty(X[:8])
    value.backward()
    delta = penalty.movement().detach()
    V = torch.linalg.svd(J, full_matrices=False).Vh[:4]
    high = delta - V.T @ (V @ delta)
    torch.testing.assert_close(value.detach(), (J[:8] @ high).square().mean())
    slope = torch.cat([p.grad.flatten() for p in model.parameters()])
    wanted = 2 / 8 * (J[:8].T @ (J[:8] @ high))
    torch.testing.assert_close(slope, wanted - V.T @ (V @ wanted))
    measured = penalty.measure()
    assert measured["movement"] == pytest.approx(float(delta.norm()))
    assert measured["share"] == pytest.approx(float((V @ delta).norm() / delta.norm()) ** 2)


def test_one_pass_is_taken_where_it_is_exact():
    assert made("mlp")[2]._once and made("normalised")[2]._once and made("cnn")[2]._once
    assert not made("odd")[2]._once  # its gradient is held against the Jacobian above


@pytest.mark.parametrize("name", ["mlp", "batch norm"])
def test_the_module_may_be_trained_in_between(name):
    """θ₀, modes, buffers and f_L stay those of the start."""
    model, X, penalty = made(name)
    model.train()
    model(X)
    delta = inputs(penalty.features.size, seed=2)
    before = penalty(X[:5], movement=delta)
    torch.nn.init.normal_(model[0].weight)
    assert torch.equal(penalty(X[:5], movement=delta), before)


@pytest.mark.parametrize("route", ["gram", "krylov"])
def test_a_forward_derivative_that_is_wrong_at_some_rows_is_not_taken(route):
    """The trial sees the first and the last row; here it is wrong at the others alone."""
    torch.manual_seed(0)
    model, X = Odd(Partly).double(), inputs(24, 5)
    X[[0, -1]] *= 1e-3
    features = ModuleFeatures(model, X)
    delta = inputs(features.size, seed=2)
    J = dense(model, X)
    assert features.route.startswith("f_L forward")  # the control: the trial takes it
    assert float((features.derivatives.push(X, delta) - J @ delta).norm()) > 1e-2
    asked = {"route": route, "tolerance": 1e-11, "progress": False, "keep": False}
    penalty = GoodDirections(model, X, 4, **asked)
    assert "f_L reverse" in penalty.features.route and "is not exact at row" in repr(
        penalty.features
    )
    V = torch.linalg.svd(J, full_matrices=False).Vh[:4]
    wanted = (J @ (delta - V.T @ (V @ delta))).square().mean()
    again = GoodDirections.restore(model, X, penalty.state_dict(), keep=False)
    for found in (penalty, again):
        moving = delta.clone().requires_grad_()
        value = found(movement=moving)
        torch.testing.assert_close(value.detach(), wanted)
        slope = torch.autograd.grad(value, moving)[0]
        assert float(slope @ delta) == pytest.approx(2 * float(wanted))


@pytest.mark.parametrize("within", ["alone", "vmap", "jvp", "dual"])
def test_f_L_alone_is_held_against_gradients_on_all_rows(within):
    """One row of forty where the tangent is wrong, in the second of three blocks."""
    torch.manual_seed(0)
    model, X = Odd(Partly).double(), 1e-3 * inputs(40, 5)
    X[21] = 3.0
    features = ModuleFeatures(model, X[:1], chunk=16).at(X)
    delta, J = inputs(features.size, seed=2), dense(model, X)
    wrong = (features.derivatives.push(X, delta) - J @ delta).abs()
    assert (wrong > 1e-3).nonzero().flatten().tolist() == [21]  # the control
    if within == "vmap":
        found = torch.func.vmap(features.linear)(torch.stack([delta, delta]))[1]
    elif within == "jvp":
        found = torch.func.jvp(features.linear, (delta,), (delta,))[1]
    elif within == "dual":
        with forward_ad.dual_level():
            found = forward_ad.unpack_dual(
                features.linear(forward_ad.make_dual(delta, delta))
            ).tangent
        assert "row 21" not in features.route  # inside it f_L goes another way, which is exact
        torch.testing.assert_close(features.linear(delta), found)
    else:
        found = features.linear(delta)
    torch.testing.assert_close(found, J @ delta)
    assert features.route.startswith("f_L reverse")
    assert "f_L forward is not exact at row 21 of X" in features.route


def test_f_L_that_no_route_has_is_refused():
    """A norm at 0: its gradient is NaN there, in the middle of X."""

    class Length(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(3, 4, bias=False)

        def forward(self, x):
            return self.inner(x).square().sum(1).sqrt()

    torch.manual_seed(0)
    X = inputs(9, 3)
    X[5] = 0
    features = ModuleFeatures(Length().double(), X)
    with pytest.raises(InputError, match="another at row 5 of X"):
        features.linear(inputs(features.size))
    X[5] = 1
    assert bool(features.at(X).linear(inputs(features.size)).isfinite().all())


def test_f_L_is_held_against_gradients_once():
    model, X, _ = made("mlp")
    features, calls = ModuleFeatures(model, X, chunk=8), []
    model_of = features.derivatives.copy.module[0]
    model_of.register_forward_hook(lambda *_: calls.append(1))
    features.derivatives.copy._learn()
    delta = inputs(features.size)
    counts = []
    for there in (features, features, features.at(X[:8])):
        calls.clear()
        there.linear(delta)
        counts.append(len(calls))
    assert counts == [9, 3, 3]  # three blocks: f_L, gradient, f_L; then f_L; one block of others
    kept = ModuleFeatures(model, X, keep=True)
    assert not kept._settled and kept.linear(delta).shape == (24,) and not kept._settled


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_rows_are_told_apart_that_differ_in_single_bits(dtype):
    """All patterns of 16 bits: a hash of fewer than 64 would take one for another."""
    patterns = (torch.arange(2**16)[:, None] >> torch.arange(16) & 1).to(dtype)
    order = torch.randperm(len(patterns), generator=torch.Generator().manual_seed(0))
    assert torch.equal(_Rows(patterns).places(patterns[order]), order)


def test_the_worst_residual_is_held_against_the_tolerance():
    """A tolerance that some of the directions meet, and not all."""
    residuals = made("mlp", dtype=torch.float32, route="gram")[2].directions.residuals
    assert float(residuals.min()) < float(residuals.max())
    between = float(residuals.min() + residuals.max()) / 2
    with pytest.raises(NoConvergenceError, match="the largest of 4"):
        made("mlp", dtype=torch.float32, route="gram", tolerance=between)


def test_a_direction_of_one_row_is_found_without_the_matrix(monkeypatch):
    """An outlier whose gradient is orthogonal to all others; and more blocks than are held."""
    model = nn.Linear(40, 1, bias=False).double()
    X = torch.zeros(300, 40, dtype=F64)
    X[:, :39] = inputs(300, 39) * torch.linspace(2, 1, 39, dtype=F64)
    X[77] = 0
    X[77, 39] = 300.0
    features = ModuleFeatures(model, X)
    values, V = (torch.linalg.svd(X, full_matrices=False)[i] for i in (1, 2))
    found = top_directions(features, 3, route="krylov", tolerance=1e-10)
    assert float(found.V[0, 39].abs()) == pytest.approx(1)
    torch.testing.assert_close(found.eigenvalues[:4], values[:4] ** 2)
    torch.testing.assert_close(found.V.T @ found.V, V[:3].T @ V[:3], rtol=0, atol=1e-8)
    monkeypatch.setattr("escape_ntk.risk.top_directions.SPARE", 1)  # so it starts anew
    slow = top_directions(features, 3, route="krylov", tolerance=1e-10)
    torch.testing.assert_close(slow.V.T @ slow.V, V[:3].T @ V[:3], rtol=0, atol=1e-8)
    torch.testing.assert_close(slow.outputs, X @ slow.V.T, rtol=0, atol=1e-9)


def test_all_of_fewer_parameters_than_rows_are_found():
    torch.manual_seed(0)
    model, X = nn.Linear(3, 1, bias=False).double(), inputs(50, 3)
    found = top_directions(ModuleFeatures(model, X), 3, route="krylov", tolerance=1e-10)
    torch.testing.assert_close(found.eigenvalues[:3], torch.linalg.svdvals(X) ** 2)
    assert float(found.eigenvalues[3]) == 0 and len(found.eigenvalues) == 4


def test_a_residual_that_the_recurrence_forgets_is_told():
    """In float32 the recurrence falls below rounding; a gradient does not."""
    torch.manual_seed(0)
    model, X = mlp(), inputs(120, 5, dtype=torch.float32)
    found = top_directions(ModuleFeatures(model, X), 3, route="krylov", tolerance=1e-4)
    J = dense(model, X).double()
    gap = (J.T @ (J @ found.V.double().T)).T - found.eigenvalues[:3, None] * found.V.double()
    told = float(found.residuals.square().sum().sqrt())
    assert float(gap.norm() / found.eigenvalues[0]) < 3 * told
    with pytest.raises(NoConvergenceError, match="tolerance"):
        top_directions(ModuleFeatures(model, X), 3, route="krylov", tolerance=1e-9)


def test_fresh_rows_have_the_same_square():
    model, X, penalty = made("mlp")
    there, delta = inputs(9, 5, seed=11), inputs(penalty.features.size, seed=2).requires_grad_()
    J, Jx = dense(model, there), dense(model, X)
    V = torch.linalg.svd(Jx, full_matrices=False).Vh[:4]
    high = delta - V.T @ (V @ delta)
    wanted, found = (J @ high).square().mean(), penalty(there, fresh=True, movement=delta)
    torch.testing.assert_close(found, wanted)
    slopes = [torch.autograd.grad(value, delta)[0] for value in (found, wanted)]
    torch.testing.assert_close(*slopes)
    torch.testing.assert_close(penalty(X, fresh=True, movement=delta), penalty(movement=delta))


def test_rows_are_found_by_their_bits():
    torch.manual_seed(0)
    model, X = mlp().double(), inputs(24, 5)
    X[3], X[7, 0], X[9] = X[4], 0.0, X[9].round()  # a pair of equal rows; zeros
    penalty = GoodDirections(model, X, 4, progress=False)
    delta = inputs(penalty.features.size, seed=2)
    rows = torch.tensor([7, 3, 4, 4, 9, 23])
    batch = X[rows]
    batch[batch == 0] = -0.0
    outside = penalty.first(4)._rows.places(batch)
    assert torch.equal(X[outside], X[rows])
    every = torch.stack([penalty(X[i : i + 1], movement=delta) for i in rows])
    torch.testing.assert_close(penalty(batch, movement=delta), every.mean())


def test_inputs_may_be_numbers():
    class Curve(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Parameter(torch.ones(3, dtype=F64))

        def forward(self, x):
            return self.a[0] * x + self.a[1] * x**2 + self.a[2] ** 2

    X = inputs(10)
    penalty = GoodDirections(Curve(), X, 1, progress=False)
    delta = inputs(3, seed=2)
    values, _ = of_partition(penalty, delta, 5)
    torch.testing.assert_close(values.mean(), penalty(movement=delta))


# ---------------------------------------------------------------- the directions


@pytest.mark.parametrize("dtype, close", [(F64, 1e-9), (torch.float32, 1e-4)])
@pytest.mark.parametrize("name", NETS)
def test_without_the_matrix_the_directions_are_the_same(name, dtype, close):
    model, X, _ = made(name, dtype=dtype)
    features = ModuleFeatures(model, X)
    asked = {"tolerance": 1e-10 if dtype == F64 else 1e-5}
    gram, krylov = (top_directions(features, 3, route=r, **asked) for r in ("gram", "krylov"))
    count = len(krylov.eigenvalues)
    assert count >= 4
    scale = float(gram.eigenvalues[0])
    torch.testing.assert_close(
        krylov.eigenvalues, gram.eigenvalues[:count], rtol=0, atol=close * scale
    )
    gap = float(gram.eigenvalues[2] - gram.eigenvalues[3]) / scale
    assert float((gram.V.T @ gram.V - krylov.V.T @ krylov.V).norm()) < close / gap
    for found in (gram, krylov):
        torch.testing.assert_close(
            found.V @ found.V.T, torch.eye(3, dtype=dtype), rtol=0, atol=1e-6
        )
        assert float(found.residuals.max()) <= asked["tolerance"]


@pytest.mark.parametrize("kept", [0, 8, 100])
@pytest.mark.parametrize("route", ["gram", "krylov"])
def test_blocks_of_the_jacobian_do_not_matter(route, kept, monkeypatch):
    """Kept or not, of seven rows each, the last of fewer."""
    model, X, whole = made("mlp", route="gram")
    monkeypatch.setattr("escape_ntk.risk.top_directions.BLOCK_NUMBERS", 7 * whole.features.size)
    monkeypatch.setattr("escape_ntk.risk.top_directions.KEPT_BLOCKS", kept)
    found = top_directions(ModuleFeatures(model, X), 4, route=route, tolerance=1e-10).V
    V = whole.directions.V
    torch.testing.assert_close(found.T @ found, V.T @ V, rtol=0, atol=1e-8)


def test_the_residual_is_that_of_the_kernel():
    """A loose tolerance leaves a residual, and it is the one that is told."""
    model = made("mlp")[0]
    wide = inputs(120, 5)
    features = ModuleFeatures(model, wide)
    found = top_directions(features, 3, route="krylov", tolerance=1e-2)
    J = dense(model, wide)
    U = found.outputs / found.outputs.norm(dim=0)
    values = found.eigenvalues[:3]
    residual = ((J @ J.T) @ U - U * values).norm(dim=0) / values[0]
    assert 1e-9 < float(found.residuals.max()) <= 1e-2
    assert float(residual.max()) < 3 * float(found.residuals.max())


@pytest.mark.parametrize("route", ["gram", "krylov"])
def test_the_last_step_is_the_number_to_keep(route):
    torch.manual_seed(0)
    model, X = nn.Linear(6, 1, bias=False).double(), inputs(40, 6)
    X = X * torch.tensor([9.0, 8.5, 8.0, 1.0, 0.97, 0.93], dtype=F64)
    features = ModuleFeatures(model, X)
    found = top_directions(features, "gap", route=route)
    steps = [j for j in spectral_steps(TrainingProjector(features, 1).eigenvalues) if j <= 6]
    assert 3 in steps and found.n_k == steps[-1] == 6


def test_the_first_of_many_are_those_of_few():
    many = made("cnn", n_k=8)[2]
    few, delta = made("cnn", n_k=3)[2], inputs(many.features.size, seed=2)
    assert many.first(3).n_k == 3
    torch.testing.assert_close(many.first(3)(movement=delta), few(movement=delta))


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_memory_is_bounded_by_blocks(name, monkeypatch):
    """No tensor of N·P numbers, and none of N², is made on the way without the matrix."""
    build, shape = NETS[name]
    model, X = build().double(), inputs(200, *shape[1:])
    sizes: list[int] = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            sizes.extend(
                t.numel() for t in torch.utils._pytree.tree_leaves(out) if torch.is_tensor(t)
            )
            return out

    features = ModuleFeatures(model, X)
    monkeypatch.setattr("escape_ntk.risk.top_directions.BLOCK_NUMBERS", 10 * features.size)
    with Watch():
        found = top_directions(features, 3, route="krylov")
    assert found.n_k == 3 and len(sizes) > 100
    assert max(sizes) < min(200**2, 200 * features.size) / 1.2


# ---------------------------------------------------------------- in a training loop


def descend(model, penalty, steps, X, optimizer, generator):
    for _ in range(steps):
        rows = torch.randperm(len(X), generator=generator)[:8]
        optimizer.zero_grad()
        risk = (model(X[rows])[:, 0] - X[rows, 0]).square().mean()
        (risk + 2.0 * penalty(X[rows])).backward()
        optimizer.step()


def saved(thing) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(thing, file)
    file.seek(0)
    return file


@pytest.mark.parametrize("name", ["mlp", "batch norm"])
@pytest.mark.parametrize("in_place", [False, True])
def test_a_run_that_is_killed_goes_on_bit_for_bit(name, in_place):
    build, _ = NETS[name]

    def begin():
        torch.manual_seed(0)
        model = build()
        return model, torch.optim.Adam([p for p in model.parameters() if p.requires_grad])

    X = inputs(24, 5, dtype=torch.float32)
    model, optimizer = begin()
    penalty = GoodDirections(model, X, 3, progress=False)
    generator = torch.Generator().manual_seed(5)
    descend(model, penalty, 7, X, optimizer, generator)
    files = [saved(part.state_dict()) for part in (model, optimizer, penalty)]
    random = generator.get_state()
    descend(model, penalty, 7, X, optimizer, generator)

    again, other = begin()
    nn.init.normal_(again[0].weight)
    built = GoodDirections(again, X, 3, progress=False) if in_place else None
    states = [torch.load(file, weights_only=True) for file in files]
    again.load_state_dict(states[0])
    other.load_state_dict(states[1])
    if built is None:
        built = GoodDirections.restore(again, X, states[2])
    else:
        built.load_state_dict(states[2])
    assert all(torch.equal(value, states[0][k]) for k, value in again.state_dict().items())
    descend(again, built, 7, X, other, torch.Generator().set_state(random))
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(built(), penalty()) and float(penalty()) > 0


def test_copies_watch_the_same_model_unless_it_is_copied_too():
    model, X, penalty = made("mlp")
    alone = copy.deepcopy(penalty)
    twin, together = copy.deepcopy((model, penalty))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1)
    assert alone.model is model and together.model is twin is not model
    assert float(penalty().detach()) > 0 and torch.equal(alone(X[:5]), penalty(X[:5]))
    assert float(together().detach()) == 0
    pickled = pickle.loads(pickle.dumps(penalty))
    assert torch.equal(pickled(), penalty()) and pickled.model is not model


def test_parameters_may_live_outside_of_the_model():
    """Training by torch.func: the movement is that of a dict."""
    model, X, penalty = made("mlp")
    F = penalty.features
    moved = {k: p.detach() + 0.1 for k, p in model.named_parameters()}

    def loss(parameters):
        there = F.join({k: parameters[k] - F.start[k] for k in F.start})
        return penalty(X[:8], movement=there)

    found, value = torch.func.grad_and_value(loss)(moved)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(moved[name])
    wanted = penalty(X[:8])
    wanted.backward()
    torch.testing.assert_close(value, wanted.detach())
    for name, p in model.named_parameters():
        torch.testing.assert_close(found[name], p.grad)


def test_it_can_be_built_in_inference_mode():
    with torch.inference_mode():
        model, X = mlp(), inputs(24, 5, dtype=torch.float32)
        for route in ("gram", "krylov"):
            penalty = GoodDirections(model, X, 3, route=route, progress=False)
            again = GoodDirections.restore(model, X, penalty.state_dict())
            for p in model.parameters():
                p.add_(0.1)
            assert float(penalty()) > 0 and torch.equal(again(X[:5]), penalty(X[:5]))


def test_the_lines_of_the_readme_run():
    root = Path(__file__).parents[2]
    readme, page = (
        (root / name).read_text("utf-8") for name in ("README.md", "book/your-network.md")
    )
    (lines,) = re.findall(r"```python\n(penalty = .+?)```", readme, re.DOTALL)
    assert lines in page
    torch.manual_seed(0)
    model, X = mlp(3), inputs(90, 5, dtype=torch.float32)
    names = {
        "en": en,
        "torch": torch,
        "model": model,
        "X": X,
        "y": X[:, :3].argmax(1),
        "loss": nn.functional.cross_entropy,
        "optimizer": torch.optim.SGD(model.parameters(), 0.1),
    }
    exec(lines.replace("n_k=5", 'n_k=5, output="all", progress=False'), names)
    assert names["penalty"].n_k == 5 and float(names["penalty"]().detach()) > 0


def test_a_module_that_owns_it_has_neither_its_tensors_nor_the_model_twice():
    model, _, penalty = made("mlp")
    owner = nn.Module()
    owner.model, owner.penalty = model, penalty
    assert len(list(owner.parameters())) == len(list(model.parameters()))
    assert [name for name in owner.state_dict() if not name.startswith("model.")] == []


def test_autocast_does_not_reach_it():
    model, X, penalty = made("mlp", dtype=torch.float32)
    delta = inputs(penalty.features.size, seed=2, dtype=torch.float32)

    def both():
        moving = delta.clone().requires_grad_()
        value = penalty(X[:8], movement=moving)
        return value.detach(), torch.autograd.grad(value, moving)[0]

    plain = both()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(X).dtype == torch.bfloat16  # the control: it is on
        inside, built = both(), GoodDirections(model, X, 4, progress=False)
    assert all(torch.equal(a, b) for a, b in zip(plain, inside, strict=True))
    assert torch.equal(built.directions.V, penalty.directions.V)


def test_any_loss_and_a_penalty_for_each_output():
    torch.manual_seed(0)
    model, X = mlp(3).double(), inputs(24, 5)
    labels = X[:, :3].argmax(1)
    penalties = [GoodDirections(model, X, 2, output=c, progress=False) for c in range(3)]
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def run(strength):
        for _ in range(60):
            optimizer.zero_grad()
            risk = nn.functional.cross_entropy(model(X), labels)
            (risk + strength * sum(p(X) for p in penalties)).backward()
            optimizer.step()
        with torch.no_grad():
            return float(sum(p() for p in penalties)), float(risk)

    start = {k: v.clone() for k, v in model.state_dict().items()}
    free = run(0.0)
    model.load_state_dict(start)
    kept = run(10.0)
    assert kept[0] < free[0] / 5 and free[1] < kept[1] < 1.09


def test_several_outputs_share_one_kernel():
    torch.manual_seed(0)
    model, X = mlp(3).double(), inputs(24, 5)
    J = dense(model, X)
    V = torch.linalg.svd(J, full_matrices=False).Vh[:5]
    delta = inputs(J.shape[1], seed=2)
    wanted = (J @ (delta - V.T @ (V @ delta))).square().mean()
    for route in ("gram", "krylov"):
        asked = {"route": route, "tolerance": 1e-11, "progress": False, "chunk": 5}
        penalty = GoodDirections(model, X, 5, output="all", **asked)
        torch.testing.assert_close(penalty(movement=delta), wanted)
        values, _ = of_partition(penalty, delta, 4)
        torch.testing.assert_close(values.mean(), wanted)
        assert torch.equal(penalty.to("cpu")(movement=delta), penalty(movement=delta))
    assert repr(penalty).startswith("GoodDirections: n_k = 5")


# ---------------------------------------------------------------- what it shows


def test_the_plot_marks_the_cut_and_the_steps():
    _, _, penalty = made("mlp", n_k=3)
    (ax,) = penalty.plot().axes
    values = penalty.directions.eigenvalues
    by_label = {line.get_label(): line for line in ax.lines}
    good = by_label["good"]
    assert good.get_color() == COLOURS["linear"] and len(good.get_xdata()) == 3
    np.testing.assert_allclose(good.get_ydata(), values[:3] / values[0])
    assert list(by_label["n_k = 3"].get_xdata()) == [3.5, 3.5]
    steps = next(line for label, line in by_label.items() if label.startswith("before a step"))
    shown = values[:30]
    falls = 1 + torch.nonzero(shown[:-1] >= 1.5 * shown[1:]).flatten()
    assert steps.get_xdata().tolist() == falls.tolist() and len(falls)


def test_it_says_what_it_is():
    _, _, penalty = made("mlp")
    assert "n_k = 4" in repr(penalty) and "; gram, residual" in repr(penalty)
    for thing in (en.GoodDirections, en.scan_good_directions):
        said = thing.__doc__
        assert all(word in said for word in ("Arguments", "Errors", "Example", ">>>"))


def test_the_bar_can_be_silent(capsys):
    made("mlp", route="krylov")
    assert capsys.readouterr().err == ""


# ---------------------------------------------------------------- the scan


def scanned(losses, plain=1.0):
    """A scan whose validation loss of (n_k, λ) is in a table."""
    model, X = mlp().double(), inputs(24, 5)
    start = [p.detach().clone() for p in model.parameters()]
    draws = []

    def train(penalty, strength):
        now = [p.detach().clone() for p in model.parameters()]
        assert all(torch.equal(a, b) for a, b in zip(start, now, strict=True))
        draws.append(float(torch.rand(())))
        nn.init.normal_(model[0].weight)
        return plain if penalty is None else losses[penalty.n_k, strength]

    found = en.scan_good_directions(
        model, X, train, n_k=(2, 5, 9), strengths=(1.0, 3.0, 10.0), progress=False
    )
    assert len(draws) == 10 and len({*draws}) == 1
    assert all(torch.equal(a, b) for a, b in zip(start, model.parameters(), strict=True))
    return found


GRID = [(k, s) for k in (2, 5, 9) for s in (1.0, 3.0, 10.0)]


@pytest.mark.parametrize(
    "best, edges",
    [
        ((5, 3.0), ()),
        ((2, 3.0), ("n_k = 2 is the least",)),
        ((9, 3.0), ("n_k = 9 is the greatest",)),
        ((9, 1.0), ("n_k = 9 is the greatest", "λ = 1 is the least")),
        ((5, 10.0), ("λ = 10 is the greatest",)),
    ],
)
def test_a_scan_finds_the_best_and_says_if_it_lies_at_an_edge(best, edges):
    found = scanned({pair: 0.5 if pair == best else 0.9 for pair in GRID})
    assert found.best == (*best, 0.5)
    assert [text.split(" of its")[0] for text in found.edges] == list(edges)
    assert repr(found).count("widen it") == len(edges) and "no penalty is" not in repr(found)


def test_a_scan_survives_divergence_and_says_when_nothing_helps():
    found = scanned({pair: float("inf") if pair == (5, 3.0) else 0.9 for pair in GRID}, 0.4)
    assert np.isnan(found.losses[1, 1]) and found.best[2] == 0.9
    assert "no penalty is at least as good" in repr(found)


@pytest.mark.parametrize("plain", [0.4, float("nan")])
def test_a_scan_in_which_all_diverge_says_so(plain):
    found = scanned({pair: float("nan") for pair in GRID}, plain)
    assert np.isnan(found.best[2]) and found.edges == ()
    last = "no penalty: 0.4\n" if plain == 0.4 else "no penalty: diverged\n"
    assert f"every training with a penalty diverged; {last}" in repr(found)


def test_the_loop_that_is_built_in_trains():
    torch.manual_seed(0)
    model, X = mlp(), inputs(60, 5, dtype=torch.float32)
    y = X[:, 0] * X[:, 1]
    V = inputs(60, 5, seed=9, dtype=torch.float32)
    found = en.scan_good_directions(
        model,
        X,
        n_k=(5,),
        strengths=(1e4,),
        y=y,
        validation=(V, V[:, 0] * V[:, 1]),
        steps=150,
        rate=1e-2,
        progress=False,
    )
    still = float((V[:, 0] * V[:, 1]).square().mean())
    assert np.isfinite(found.losses).all() and abs(found.plain - found.losses[0, 0]) > 1e-3
    assert found.losses[0, 0] < 1.5 * still


@pytest.mark.parametrize("output", [None, "all"])
def test_a_kept_jacobian_changes_no_number(output):
    """Value, gradient, and product with the Hessian, of all rows and of some."""
    torch.manual_seed(0)
    outputs = 1 if output is None else 3
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, outputs)).double()
    X = torch.randn(20, 4, dtype=torch.float64)
    kept, sought = (
        en.GoodDirections(net, X, 3, output=output, keep=keep, progress=False)
        for keep in (True, False)
    )
    assert kept.features.kept is not None and sought.features.kept is None
    delta = torch.randn(kept.features.size, dtype=torch.float64, requires_grad=True)
    v = torch.randn_like(delta)
    for rows in (None, X, X[[3, 7, 3]]):
        numbers = []
        for penalty in (kept, sought):
            value = penalty(rows, movement=delta)
            (slope,) = torch.autograd.grad(value, delta, create_graph=True)
            (product,) = torch.autograd.grad(slope @ v, delta)
            numbers.append(torch.cat([value.detach()[None], slope.detach(), product]))
            numbers[-1] = torch.cat([numbers[-1], penalty(rows, movement=delta.detach())[None]])
        torch.testing.assert_close(*numbers, rtol=1e-9, atol=1e-12)
        assert float(numbers[0].abs().max()) > 1e-3
    assert en.GoodDirections(net, X, 3, output=output, progress=False).features.kept is not None
