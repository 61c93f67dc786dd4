"""Modules as people write them: the terms are right, or the module is refused with a remedy."""

import copy
import pickle
import random
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from escape_ntk.chapters.your_network.layer_sweep import differences
from escape_ntk.checks import DerivativeWarning, InputError, NonFiniteError, ShapeError
from escape_ntk.models.modules import ModuleFeatures, empirical_leak
from escape_ntk.models.private_copy import PrivateCopy
from escape_ntk.numerics.stats import log_slope, rms
from escape_ntk.risk.good_directions import GoodDirections
from escape_ntk.risk.projectors import TrainingProjector

F64 = torch.float64


def inputs(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


class Of(nn.Module):
    """A function of this module and x, with two linear layers."""

    def __init__(self, function, width=8, last=8, outputs=1):
        super().__init__()
        self.a, self.b = nn.Linear(5, width), nn.Linear(last, outputs)
        self.function = function

    def forward(self, x):
        return self.function(self, x)


def of(function, **sizes) -> nn.Module:
    torch.manual_seed(0)
    return Of(function, **sizes).double().eval()


def between(function, **sizes) -> nn.Module:
    return of(lambda m, x: m.b(function(m.a(x))), **sizes)


def halving(module: nn.Module) -> nn.Module:
    module.b.register_full_backward_hook(lambda layer, into, out: tuple(g / 2 for g in into))
    return module


def exact(module, X, limit=1e-9, **options) -> ModuleFeatures:
    """Features that were held against plain gradients of single rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DerivativeWarning)
        features = ModuleFeatures(module, X, **options)
    found = differences(features, module, inputs(features.size, seed=3) / 3)
    del found["nested"]
    assert max(found.values()) < limit, found
    return features


def state(module):
    """Everything of a module that features must not touch."""
    objects = [id(v) for v in (*module.parameters(), *module.buffers(), *module.modules())]
    values = {k: v.clone() for k, v in module.state_dict().items()}
    return objects, values, [m.training for m in module.modules()]


def same(a, b):
    return (
        a[0] == b[0]
        and a[2] == b[2]
        and all(torch.equal(a[1][k], b[1][k]) for k in a[1])
        and a[1].keys() == b[1].keys()
    )


# ---------------------------------------------------------------- odd modules that are right


class Caching(nn.Module):
    """Keeps what it saw: a tensor, a list, a count."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.seen, self.calls = nn.Linear(5, 8), nn.Linear(8, 1), [], 0
        self.last = None

    def forward(self, x):
        self.last = torch.tanh(self.a(x))
        self.seen.append(self.last)
        self.calls += 1
        return self.b(self.last)


class Counting(nn.Module):
    """A buffer that counts, in place, and one that runs after the mean."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 8), nn.Linear(8, 1)
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, x):
        self.calls += 1
        h = self.a(x)
        self.mean.mul_(0.9).add_(0.1 * h.detach().mean(0))
        return self.b(torch.tanh(h))


class Numbers(nn.Module):
    """Parameters without axes, empty, unused, twice used, and in containers."""

    def __init__(self):
        super().__init__()
        self.scale, self.unused = nn.Parameter(torch.tensor(1.5)), nn.Parameter(torch.randn(3))
        self.empty = nn.Parameter(torch.empty(0, 4))
        self.list = nn.ParameterList([torch.randn(5, 5), torch.randn(5)])
        self.dict = nn.ParameterDict({"out": torch.randn(5)})
        self.frozen = nn.Parameter(torch.randn(5), requires_grad=False)
        self.listed = [self.list[0]]

    def forward(self, x):
        h = torch.tanh(x @ self.list[0] + self.list[1] * self.frozen)
        h = torch.sin(h @ self.listed[0] * self.scale)
        return (h @ self.dict["out"]) * self.scale


class Energy(nn.Module):
    """The derivative of a network in its input, taken inside."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 8), nn.Linear(8, 1)

    def forward(self, x):
        x = x.requires_grad_()
        energy = self.b(torch.tanh(self.a(x))).sum()
        return torch.autograd.grad(energy, x, create_graph=True)[0].square().sum(1)


class New(torch.autograd.Function):
    """x² with setup_context."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        return 2 * ctx.saved_tensors[0] * g


class Once(New):
    """… with a backward that cannot be differentiated."""

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return 2 * ctx.saved_tensors[0] * g


class Kept(torch.autograd.Function):
    """exp with a backward of what it kept on the side: its own derivative is lost."""

    @staticmethod
    def forward(ctx, x):
        ctx.kept = x.exp().detach()
        return x.exp()

    @staticmethod
    def backward(ctx, g):
        return g * ctx.kept


class Reversed(torch.autograd.Function):
    """x with the gradient turned round."""

    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, g):
        return -g


def hooked():
    net = between(torch.tanh)
    net.a.register_forward_hook(lambda m, args, out: 2 * out)
    net.b.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
    net.a.register_full_backward_hook(lambda *args: None)
    return net


def generating():
    net = between(torch.tanh)
    net.generator = torch.Generator().manual_seed(0)
    net.lock_free = np.random.default_rng(0)
    return net


def nonleaf():
    net = Caching().double()
    net(inputs(3, 5))
    return net


class Spread(nn.Module):
    """Attention as with einops: views, transposes, einsum, an expanded parameter."""

    def __init__(self):
        super().__init__()
        self.q, self.token = nn.Linear(6, 18), nn.Parameter(torch.randn(1, 1, 6))
        self.out = nn.Linear(6, 1)

    def forward(self, x):
        x = torch.cat([self.token.expand(len(x), 1, 6), x], 1)
        q, k, v = self.q(x).unflatten(-1, (3, 2, 3)).permute(2, 0, 3, 1, 4)
        a = torch.einsum("nhid,nhjd->nhij", q, k).softmax(-1)
        return self.out(torch.einsum("nhij,nhjd->nihd", a, v).flatten(2)[:, 0])


def with_outer_list():
    net = of(lambda m, x: m.b(torch.tanh(m.others[0](torch.tanh(m.a(x))))))
    net.others = [nn.Linear(8, 8).double()]  # not registered: stays as it is
    return net


def moving():
    net = between(torch.tanh)
    net.a = torch.compile(net.a, backend="eager")
    return net


ODD = {
    "caches": Caching,
    "a tensor kept from a call": nonleaf,
    "buffers that change": Counting,
    "all sorts of parameters": Numbers,
    "a gradient inside": Energy,
    "hooks": hooked,
    "generators": generating,
    "a function with setup_context": lambda: between(New.apply),
    "a list beside": with_outer_list,
    "a compiled layer inside": moving,
    "a view of the input": lambda: of(lambda m, x: m.b(torch.tanh(m.a(x))) + x[:, :1]),
    "an input changed in place": lambda: of(lambda m, x: m.b(torch.tanh(m.a(x.sub_(1).div_(2))))),
    "in place later": lambda: between(lambda h: F.elu(h.mul(2), inplace=True)),
    "one output (n,)": lambda: of(lambda m, x: m.b(torch.tanh(m.a(x)))[:, 0]),
    "autocast asked for, off": lambda: of(
        lambda m, x: m.b(torch.tanh(m.a(x))) * (0 if torch.is_autocast_enabled("cpu") else 1)
    ),
    "checkpoint": lambda: between(lambda h: checkpoint(torch.tanh, h, use_reentrant=False)),
    "checkpoint of parameters": lambda: of(
        lambda m, x: m.b(checkpoint(lambda t: torch.tanh(m.a(t)), x, use_reentrant=False))
    ),
    "detach": lambda: between(lambda h: h.detach().round() * 0 + torch.tanh(h)),
    "a loop": lambda: of(lambda m, x: m.b(sum(torch.tanh(m.a(x) * k) for k in range(1, 4)))),
    "an index by value": lambda: between(
        lambda h: torch.tanh(h)[:, int(torch.tensor(3)) :], last=5
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_modules_are_exact_and_untouched(name):
    torch.manual_seed(0)
    module, X = ODD[name]().double(), inputs(6, 5)
    kept, before = X.clone(), state(module)
    numbers = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    features = ModuleFeatures(module, X, chunk=4)
    v = inputs(features.size)
    features.terms(v), features.jacobian(), features.value(v)
    assert same(before, state(module)) and torch.equal(X, kept)
    assert torch.equal(torch.get_rng_state(), numbers[0]) and random.getstate() == numbers[2]
    assert np.array_equal(np.random.get_state()[1], numbers[1])
    exact(module, X, chunk=4)


def test_attention_over_a_token():
    torch.manual_seed(0)
    exact(Spread().double(), inputs(4, 3, 6))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_values_of_recurrent_layers_move_with_their_weights(kind):
    """Their weights stand in a second list."""

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.out = getattr(nn, kind)(6, 3, batch_first=True), nn.Linear(3, 1)

        def forward(self, x):
            return self.out(self.layer(x)[0][:, -1])

    torch.manual_seed(0)
    net, X = Last().double(), inputs(4, 3, 6)
    features = exact(net, X)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
    torch.testing.assert_close(features.value(features.movement()), net(X)[:, 0])


# ---------------------------------------------------------------- what happens afterwards


RECURRENT = (
    *(("RNN", {}), ("GRU", {}), ("LSTM", {}), ("LSTM", {"num_layers": 2})),
    *(("LSTM", {"bidirectional": True}), ("LSTM", {"bias": False}), ("LSTM", {"proj_size": 2})),
)


@pytest.mark.parametrize(("kind", "asked"), RECURRENT)
def test_recurrent_layers_run_in_float32(kind, asked):
    torch.manual_seed(0)

    class Summed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = getattr(nn, kind)(3, 4, batch_first=True, **asked)

        def forward(self, x):
            return self.layer(x)[0][:, -1].sum(-1)

    net, X = Summed(), inputs(6, 5, 3)
    onednn = torch.backends.mkldnn.enabled
    features, sharp = ModuleFeatures(net, X.float()), ModuleFeatures(copy.deepcopy(net).double(), X)
    v = inputs(features.size)
    for ours, wanted in zip(features.terms(v.float()), sharp.terms(v), strict=True):
        assert torch.allclose(ours.double(), wanted, atol=1e-4 * float(wanted.abs().max()))
    assert torch.backends.mkldnn.enabled == onednn


def test_a_route_that_runs_in_float64_alone_is_not_taken():
    """The kernel that oneDNN has for float32 has no forward mode."""

    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            shapes = (16, 3), (16, 4), (16,), (16,)
            self.w = nn.ParameterList([inputs(*s) / 3 for s in shapes])

        def forward(self, x):
            z = x.new_zeros(1, len(x), 4)
            return torch.lstm(x, (z, z), list(self.w), True, 1, 0.0, False, False, True)[0].sum(
                (1, 2)
            )

    net, X = Bare(), inputs(6, 5, 3)
    sharp, features = ModuleFeatures(net.double(), X), ModuleFeatures(net.float(), X.float())
    v = inputs(features.size)
    assert "f_L forward," in sharp.route
    assert torch.allclose(features.linear(v.float()).double(), sharp.linear(v), rtol=1e-3)


def test_what_happens_to_the_module_later_changes_nothing():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 1))
    net, X = net.double().eval(), inputs(6, 5)
    features = ModuleFeatures(net, X)
    v = inputs(features.size)
    before = [*features.terms(v), features.jacobian(), features.value(v)]
    net.train()
    for _ in range(3):
        net(X)
    net[0].register_forward_hook(lambda m, a, out: out * 0)
    net.load_state_dict({k: torch.ones_like(p) for k, p in net.state_dict().items()})
    X.zero_()
    after = [*features.terms(v), features.jacobian(), features.value(v)]
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    net.float()
    with pytest.raises(ShapeError, match=r"dtype of '0.weight' was torch.float64"):
        features.movement()
    net.double()[0] = nn.Linear(5, 9).double()
    with pytest.raises(ShapeError, match=r"shape of '0.weight' was \(8, 5\), is \(9, 5\)"):
        features.movement()
    net.append(nn.Linear(1, 1))
    net.pop(0)
    with pytest.raises(ShapeError, match=r"is gone|is new"):
        features.movement()


def test_a_layer_in_two_places_is_trained_as_without_features():
    def build():
        torch.manual_seed(1)
        layer = nn.Linear(5, 5)
        return nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(5, 1)).double()

    X, y = inputs(8, 5), inputs(8)

    def train(net):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.2)
        for _ in range(20):
            optimizer.zero_grad()
            (net(X)[:, 0] - y).square().mean().backward()
            optimizer.step()
        return net

    net, alone = build(), train(build())
    features = ModuleFeatures(net, X)
    train(net)
    assert all(torch.equal(a, b) for a, b in zip(alone.parameters(), net.parameters(), strict=True))
    torch.testing.assert_close(features.value(features.movement()), net(X)[:, 0])
    exact(build(), X)


def test_copies_and_pickles_of_features_work():
    net, X = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1)).double(), inputs(4, 5)
    features = ModuleFeatures(net, X)
    for twin in (copy.deepcopy(features), pickle.loads(pickle.dumps(features))):
        v = inputs(twin.size)
        torch.testing.assert_close(twin.terms(v), features.terms(v))
        torch.testing.assert_close(twin.value(v), features.value(v))


@pytest.mark.parametrize(
    "context", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu")]
)
def test_the_callers_mode_does_not_matter(context):
    net, X = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1)).double(), inputs(4, 5)
    outside = ModuleFeatures(net, X)
    v = inputs(outside.size)
    with context():
        inside = ModuleFeatures(net, X)
        got = [inside.jacobian(), *inside.terms(v), outside.jacobian(), outside.value(v)]
        got.append(empirical_leak(outside, TrainingProjector(outside, 2), v))
    want = [outside.jacobian(), *outside.terms(v), outside.jacobian(), outside.value(v)]
    want.append(empirical_leak(outside, TrainingProjector(outside, 2), v))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(inside.jacobian(), outside.jacobian())


# ---------------------------------------------------------------- all outputs


def test_all_outputs_at_once_are_row_major():
    net, X = nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.Linear(4, 3)).double(), inputs(5, 5)
    pooled = ModuleFeatures(net, X, output="all", chunk=4)
    single = [ModuleFeatures(net, X, output=c) for c in range(3)]
    v, c = inputs(pooled.size), inputs(15)
    assert len(pooled) == 15
    for name in ("linear", "value"):
        columns = torch.stack([getattr(one, name)(v) for one in single], 1)
        torch.testing.assert_close(getattr(pooled, name)(v), columns.flatten())
    columns = [torch.stack(rows, 1) for rows in zip(*(s.terms(v) for s in single), strict=True)]
    torch.testing.assert_close(pooled.terms(v), tuple(x.flatten() for x in columns))
    J = torch.stack([one.jacobian() for one in single], 1).flatten(0, 1)
    torch.testing.assert_close(pooled.jacobian(), J)
    torch.testing.assert_close(pooled.cross_gram(pooled), J @ J.T)
    torch.testing.assert_close(pooled.cross_gram(pooled.at(X[:2])), J @ J[:6].T)
    torch.testing.assert_close(pooled.linear_pullback(c), J.T @ c)
    projector = TrainingProjector(pooled, 2)
    assert float(empirical_leak(pooled, projector, projector.low(v))) < 1e-20


# ---------------------------------------------------------------- derivatives of R_2


@pytest.mark.parametrize("keep", [False, True])
def test_the_leak_has_all_its_derivatives(keep):
    net, X = nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.Linear(4, 1)).double(), inputs(6, 5)
    features = ModuleFeatures(net, X, chunk=4, keep=keep)
    projector, J = TrainingProjector(features, 2), features.jacobian()
    high = torch.stack([projector.high_outputs(e) for e in torch.eye(6, dtype=F64)])
    H = 2 / 6 * J.T @ high @ J
    v, w = inputs(features.size), inputs(features.size, seed=2)

    def leak(movement):
        return empirical_leak(features, projector, movement)

    f = torch.func
    close = {"rtol": 1e-9, "atol": 1e-12}
    torch.testing.assert_close(torch.autograd.functional.hessian(leak, v), H, **close)
    torch.testing.assert_close(f.hessian(leak)(v), H, **close)
    torch.testing.assert_close(f.jacrev(f.jacrev(leak))(v), H, **close)
    torch.testing.assert_close(f.jvp(leak, (v,), (w,))[1], v @ H @ w, **close)
    torch.testing.assert_close(f.jvp(f.grad(leak), (v,), (w,))[1], H @ w, **close)
    torch.testing.assert_close(f.vmap(leak)(torch.stack([v, w]))[1], leak(w), **close)
    with torch.autograd.forward_ad.dual_level():
        dual = leak(torch.autograd.forward_ad.make_dual(v, w))
        tangent = torch.autograd.forward_ad.unpack_dual(dual).tangent
    torch.testing.assert_close(tangent, v @ H @ w, **close)


def test_the_quadratic_term_has_all_its_derivatives():
    net, X = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.Linear(3, 1)).double(), inputs(4, 3)
    features = ModuleFeatures(net, X, chunk=4)

    def total(movement):
        return features.terms(movement)[1].sum()

    v, w = inputs(features.size), inputs(features.size, seed=2)
    H = torch.autograd.functional.hessian(total, v)
    torch.testing.assert_close(total(v), v @ H @ v / 2)
    torch.testing.assert_close(torch.func.hessian(total)(w), H)
    torch.testing.assert_close(torch.func.jacrev(torch.func.jacfwd(total))(w), H)
    torch.testing.assert_close(torch.func.grad(total)(w), H @ w)


# ---------------------------------------------------------------- refusals


@dataclass
class Answer:
    logits: torch.Tensor


def frozen_backbone(m, x):
    with torch.no_grad():
        h = torch.tanh(m.a(x))
    return m.b(h)


def closed():
    net = of(lambda m, x: m.way(x))
    net.way = lambda x: net.b(torch.tanh(net.a(x)))
    return net


def counting_calls(m, x):
    m.calls = getattr(m, "calls", 0) + 1
    return m.b(torch.tanh(m.a(x))) * m.calls


def unlocked():
    import threading

    net = between(torch.tanh)
    net.lock = threading.Lock()
    return net


def training(layer):
    return nn.Sequential(nn.Linear(5, 8), layer, nn.Linear(8, 1))


def noisy(m, x):
    return m.b(torch.tanh(m.a(x))) + 0 * torch.from_numpy(np.random.randn(len(x), 1))


def generated(m, x):
    h = torch.tanh(m.a(x))
    return m.b(h + torch.randn(h.shape, generator=m.generator, dtype=h.dtype))


def with_generator():
    net = of(generated)
    net.generator = torch.Generator().manual_seed(0)
    return net


def clamped():
    def forward(m, x):
        m.a.weight.data.clamp_(-0.1, 0.1)
        return m.b(torch.tanh(m.a(x)))

    return of(forward)


def alone(value):
    """Another output for one row."""
    return of(lambda m, x: m.b(m.a(x).tanh()) + (value if len(x) == 1 else 0))


REFUSED = {
    "dropout": (lambda: training(nn.Dropout()), "Dropout '1' in training mode.*eval"),
    "F.dropout": (lambda: between(F.dropout), "draws random.*training=self.training"),
    "RReLU": (lambda: training(nn.RReLU()), "RReLU '1' in training mode.*eval"),
    "numpy's noise": (lambda: of(noisy), "draws random"),
    "Python's noise": (lambda: between(lambda h: h * random.random()), "draws random"),
    "a generator of its own": (with_generator, "two calls that differ.*no noise"),
    "noise in training mode": (
        lambda: of(lambda m, x: m.b(m.a(x) + (torch.rand(8) if m.training else 0))).train(),
        "draws random.*eval",
    ),
    "a count that matters": (lambda: of(counting_calls), "two calls that differ"),
    "batch norm": (lambda: training(nn.BatchNorm1d(8)), "BatchNorm1d '1' in training mode.*eval"),
    "batch norm, never running": (
        lambda: training(nn.BatchNorm1d(8, track_running_stats=False)).eval(),
        "'1' without running statistics.*GroupNorm",
    ),
    "spectral norm in training": (
        lambda: nn.Sequential(
            parametrizations.spectral_norm(nn.Linear(5, 8), n_power_iterations=1),
            nn.Tanh(),
            nn.Linear(8, 1),
        ),
        "two calls that differ.*eval",
    ),
    "mean over rows": (lambda: of(lambda m, x: m.b(m.a(x - x.mean(0)))), "rows beside it"),
    "softmax over rows": (lambda: between(lambda h: h.softmax(0)), "rows beside it"),
    "by the number of rows": (lambda: of(lambda m, x: m.b(m.a(x)) / len(x)), "rows beside it"),
    "by the number of rows, beyond five": (
        lambda: of(lambda m, x: m.b(m.a(x - x.mean(0) if len(x) > 5 else x))),
        "rows beside it",
    ),
    "hidden by a zero head": (
        lambda: zero_head(between(lambda h: h - h.mean(0))),
        "rows beside it",
    ),
    "one row alone": (lambda: alone(1e-3), "rows beside it"),
    "no_grad": (lambda: of(frozen_backbone), "gradients do not see.*requires_grad_"),
    "no_grad without a forward rule": (
        lambda: of(lambda m, x: frozen_backbone(m, x) + m.b(glued(m.a(x)))),
        "gradients do not see",
    ),
    "reentrant checkpoint": (
        lambda: between(lambda h: checkpoint(torch.tanh, h, use_reentrant=True)),
        "a reentrant checkpoint.*use_reentrant=False",
    ),
    "reentrant checkpoint of parameters": (
        lambda: of(lambda m, x: m.b(checkpoint(lambda t: m.a(t).tanh(), x, use_reentrant=True))),
        "a reentrant checkpoint.*use_reentrant=False",
    ),
    "a hook that halves gradients": (
        lambda: halving(between(torch.tanh)),
        "a backward hook on Linear 'b'.*before hooks",
    ),
    "writing into a graph": (
        lambda: between(lambda h: write(torch.tanh(h))),
        "an exact Φ.*torch.where",
    ),
    "an embedding bag": (lambda: Bag(), "EmbeddingBag 'bag'"),
    "an embedding as often": (
        lambda: Words(scale_grad_by_freq=True),
        "Embedding 'net.e', over how often.*=False",
    ),
    "a backward with a constant": (lambda: between(Kept.apply), "derivatives of the gradients"),
    "a backward once differentiable": (
        lambda: between(Once.apply),
        "derivatives of the gradients.*saved_tensors",
    ),
    "a function without derivatives": (
        lambda: between(torch.special.bessel_j0),
        r"torch\.special\.bessel_j0, which has none",
    ),
    "a detached factor": (
        lambda: between(lambda h: (h - h.detach()) ** 2 + torch.tanh(h)),
        "derivatives of the gradients",
    ),
    "squeeze": (
        lambda: of(lambda m, x: m.b(torch.tanh(m.a(x)).squeeze()), outputs=3),
        r"\(1, 3\) for 1 rows.*squeeze\(-1\)",
    ),
    "squeezed outputs": (lambda: of(lambda m, x: m.b(m.a(x)).squeeze()), r"squeeze\(-1\)"),
    "scalar": (lambda: of(lambda m, x: m.b(m.a(x)).sum()), r"got \(\)"),
    "(1, n)": (lambda: of(lambda m, x: m.b(m.a(x)).T), "out.T"),
    "3-d": (lambda: of(lambda m, x: m.b(m.a(x))[..., None]), "flatten"),
    "a dict": (lambda: of(lambda m, x: {"logits": m.b(m.a(x))}), "got dict.*logits"),
    "a tuple": (lambda: of(lambda m, x: (m.b(m.a(x)), x)), "got tuple"),
    "a dataclass": (lambda: of(lambda m, x: Answer(m.b(m.a(x)))), "got Answer"),
    "None": (lambda: of(lambda m, x: None), "got NoneType"),
    "complex": (lambda: of(lambda m, x: torch.complex(m.b(m.a(x)), m.b(m.a(x)))), "complex"),
    "argmax": (lambda: of(lambda m, x: m.a(x).argmax(1)), "int64"),
    "bool": (lambda: of(lambda m, x: m.b(m.a(x)) > 0), "bool"),
    "another dtype": (lambda: of(lambda m, x: m.b(m.a(x)).float()), "float32"),
    "a closure over itself": (closed, "around it.*methods"),
    "weights clamped in forward": (clamped, "'a.weight' in place"),
    "max_norm": (lambda: Norm(), "in place.*max_norm"),
    "a lock": (unlocked, "deepcopy.*lock"),
    "a crash": (lambda: of(lambda m, x: m.b(x)), "RuntimeError"),
    "two arguments": (lambda: nn.Bilinear(5, 5, 1), "TypeError"),
    "lazy": (lambda: nn.LazyLinear(1), r"net\(X\[:2\]\)"),
    "DataParallel": (lambda: nn.DataParallel(nn.Linear(5, 1)), "net.module"),
    "inside it": (lambda: nn.Sequential(nn.DataParallel(nn.Linear(5, 1))), "DataParallel '0'"),
    "frozen": (lambda: nn.Linear(5, 1).requires_grad_(False), "none with requires_grad"),
    "no parameters": (lambda: nn.Flatten(0), "none at all.*nn.Parameter"),
    "no gradients here": (lambda: between(without_gradients), "NotImplementedError.*enable_grad"),
}


def without_gradients(h):
    """As torch's flexible attention on a CPU."""
    if h.requires_grad:
        raise NotImplementedError("no backward on CPU")
    return h


def zero_head(net):
    with torch.no_grad():
        net.b.weight.zero_()
        net.b.bias.zero_()
    return net


def glued(h):
    return torch.cdist(h[:, None], h.new_ones(1, 8))[:, 0] * 0 + F.grid_sample(
        h.view(-1, 2, 2, 2), h.new_zeros(len(h), 2, 2, 2), align_corners=False
    ).flatten(1)


def write(h):
    h[:, 0] = h[:, 1] ** 2
    return h


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(7, 4, scale_grad_by_freq=True)
        self.out = nn.Linear(4, 1)

    def forward(self, x):
        return self.out(self.bag(x.abs().long().clamp(max=6)))


class Text(nn.Module):
    """A mean over embedded tokens, of all of them or of those that are none of the padding."""

    def __init__(self, masked: bool, **options):
        super().__init__()
        self.e, self.out, self.masked = nn.Embedding(7, 4, **options), nn.Linear(4, 1), masked

    def forward(self, tokens):
        z = self.e(tokens)
        z = z * (tokens != 0).unsqueeze(-1) if self.masked else z
        return self.out(torch.tanh(z).mean(1))


class Words(nn.Module):
    """As the page says: tokens in floating point."""

    def __init__(self, masked: bool = False, **options):
        super().__init__()
        self.net = Text(masked, **options)

    def forward(self, x):
        return self.net(x.abs().long().clamp(max=6))


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.e, self.out = nn.Embedding(7, 4, max_norm=0.5), nn.Linear(20, 1)

    def forward(self, x):
        return self.out(self.e(x.abs().long().clamp(max=6)).flatten(1))


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_function_of_each_row_with_derivatives_is_refused(name):
    build, words = REFUSED[name]
    torch.manual_seed(0)
    module = build()
    if isinstance(module, nn.Module) and name != "lazy":
        module = module.double()
        before = state(module)
    numbers = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    with pytest.raises(InputError, match=f"(?s)expected.*{words}"):
        ModuleFeatures(module, inputs(6, 5))
    assert torch.equal(torch.get_rng_state(), numbers[0]) and random.getstate() == numbers[1]
    assert np.array_equal(np.random.get_state()[1], numbers[2])
    if isinstance(module, nn.Module) and name != "lazy":
        assert same(before, state(module))


@pytest.mark.parametrize("no_module", [torch.tanh, nn.Linear, None, len])
def test_what_is_no_module_is_refused(no_module):
    with pytest.raises(InputError, match="no module"):
        PrivateCopy(no_module)


def test_scripted_modules_are_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(nn.Linear(5, 1).double())
    with pytest.raises(InputError, match=r"before torch\.jit\.script"):
        ModuleFeatures(nn.Sequential(scripted), inputs(4, 5))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_sequence_first_is_refused_with_its_remedy(kind):
    class First(nn.Module):
        def __init__(self, batch_first):
            super().__init__()
            self.r, self.out = kind(6, 4, batch_first=batch_first), nn.Linear(4, 1)

        def forward(self, x):
            return self.out(self.r(x)[0][:, -1])

    X = inputs(5, 3, 6)
    with pytest.raises(InputError, match="batch_first=True"):
        ModuleFeatures(First(False).double(), X)
    exact(First(True).double(), X)


def test_parameters_of_other_kinds_are_refused():
    X = inputs(4, 5)
    for change, words in (
        (lambda m: m.a.float(), "float64"),
        (lambda m: m.a.float().requires_grad_(False), "'a.weight' like the inputs"),
        (lambda m: m.to_empty(device="meta"), "meta"),
        (lambda m: m.register_parameter("c", nn.Parameter(torch.ones(2).cfloat())), "complex64"),
    ):
        net = between(torch.tanh)
        change(net)
        with pytest.raises(ShapeError, match=words):
            ModuleFeatures(net, X)
    net = between(torch.tanh)
    net.register_parameter("s", nn.Parameter(torch.eye(2).double().to_sparse()))
    with pytest.raises(InputError, match="to_dense"):
        ModuleFeatures(net, X)
    for half in (torch.float16, torch.bfloat16):
        with pytest.raises(InputError, match=r"module.float\(\)"):
            ModuleFeatures(between(torch.tanh).to(half), X.to(half))


def test_output_is_a_column_of_those_there_are():
    X = inputs(4, 5)
    three, flat = nn.Linear(5, 3).double(), of(lambda m, x: m.b(m.a(x))[:, 0])
    for output in (np.int64(2), torch.tensor(2), 2):
        features = ModuleFeatures(three, X, output=output)
        torch.testing.assert_close(features.value(torch.zeros(18, dtype=F64)), three(X)[:, 2])
    for output in (3, -1, "every", True):
        with pytest.raises(InputError, match="expected output"):
            ModuleFeatures(three, X, output=output)
    with pytest.raises(InputError, match=r"no output= .* \(n,\)"):
        ModuleFeatures(flat, X, output=0)
    assert len(ModuleFeatures(flat, X, output="all")) == 4


def test_a_kernel_of_two_functions_is_refused():
    X, Z = inputs(6, 5), inputs(3, 5, seed=2)
    features = ModuleFeatures(between(torch.tanh), X)
    again = ModuleFeatures(between(torch.tanh), Z)
    torch.testing.assert_close(features.cross_gram(again), features.cross_gram(features.at(Z)))
    features.cross_gram(copy.deepcopy(features))
    moved = between(torch.tanh)
    with torch.no_grad():
        moved.b.bias.add_(1)
    net = nn.Linear(5, 2).double()
    for other, words in (
        (ModuleFeatures(moved, Z), "other parameters"),
        (ModuleFeatures(between(torch.sin), Z), "another module"),
        (ModuleFeatures(nn.Linear(5, 1).double(), Z), "another module"),
        (TrainingProjector(features, 2), "another kind"),
    ):
        with pytest.raises(InputError, match=f"{words}.*features.at"):
            features.cross_gram(other)
    with pytest.raises(InputError, match="another module"):
        ModuleFeatures(net, X, output=0).cross_gram(ModuleFeatures(net, X, output=1))


def test_rows_without_a_gradient_are_named():
    class Length(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(5, 4, bias=False)

        def forward(self, x):
            return self.a(x).square().sum(-1).sqrt()

    X = inputs(6, 5)
    X[2] = 0
    features = ModuleFeatures(Length().double(), X, chunk=2)
    for call in (features.jacobian, lambda: features.cross_gram(features)):
        with pytest.raises(NonFiniteError, match="row 2 of X"):
            call()
    with pytest.raises(NonFiniteError, match="first row"):
        ModuleFeatures(Length().double(), X[2:])


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda h: h + (h.round() - h).detach(), "values .* and its gradients differ"),
        (lambda h: torch.tanh(h).detach() + h, "values .* and its gradients differ"),
        (lambda h: torch.tanh(h).data + h, "values .* and its gradients differ"),
        (Reversed.apply, "values .* and its gradients differ"),
    ],
)
def test_values_that_differ_from_gradients_are_told(function, words):
    with pytest.warns(DerivativeWarning, match=words):
        features = ModuleFeatures(between(function), inputs(4, 5))
    assert torch.isfinite(features.terms(inputs(features.size))[1]).all()


@pytest.mark.parametrize("masked", [True, False])
def test_padding_stays_where_it_is(masked):
    """No gradient reaches its embedding, and so neither f_L nor f_Q; told where values see it."""
    torch.manual_seed(0)
    model, X = Words(masked, padding_idx=0).double(), 2 * inputs(9, 5)
    X[3:6, 2:] = 0
    assert bool((X.abs() < 1)[[0, -1]].any())  # the rows of the trial have padding too
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", DerivativeWarning)
        features = ModuleFeatures(model, X)
    assert [w.category for w in said] == [DerivativeWarning] * (not masked)
    assert masked or "padding_idx" in str(said[0].message)
    assert features.route.startswith("f_L forward, f_Q forward-forward, Φ vmap")
    rows = [torch.autograd.grad(model(x[None])[0, 0], [*model.parameters()]) for x in X]
    J = torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])
    delta = inputs(features.size)
    torch.testing.assert_close(features.linear(delta), J @ delta)
    torch.testing.assert_close(features.jacobian(), J)
    padding = features.join({k: torch.zeros_like(v) for k, v in features.start.items()})
    padding[:4] = 1.0
    assert next(iter(features.start)) == "net.e.weight"
    for term in features.terms(padding):
        assert not term.any()
    still = torch.where(padding > 0, 0.0, 1e-4 * delta)
    assert float(features.remainder(still).norm()) < 1e-3 * float(features.terms(still)[1].norm())


def test_a_jump_at_the_start_is_told():
    net = of(lambda m, x: m.b(torch.tanh(m.a(x)) + torch.sign(m.a.bias)))
    ModuleFeatures(net, inputs(4, 5))
    nn.init.zeros_(net.a.bias)
    with pytest.warns(DerivativeWarning, match="values .* jump at θ₀"):
        ModuleFeatures(net, inputs(4, 5))


def straight_through(h):
    return h + (h.round() - h).detach()


def test_each_place_is_told():
    """Python shows a warning once a place: that of the caller, not one inside."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        ModuleFeatures(between(straight_through), inputs(4, 5))
        GoodDirections(between(straight_through), inputs(4, 5), 1, progress=False)
    lines = [(w.filename, w.lineno) for w in said if w.category is DerivativeWarning]
    assert {name for name, _ in lines} == {__file__} and len(set(lines)) == 2


@pytest.mark.parametrize("shape", [(5, 8), (8, 5)])
def test_the_orthogonal_of_no_square_is_told(shape):
    """Householder's map reads signs as whole numbers: 0 beside ±1."""
    net = nn.Sequential(parametrizations.orthogonal(nn.Linear(*shape)), nn.Linear(shape[1], 1))
    with pytest.warns(DerivativeWarning, match="jump"):
        ModuleFeatures(net, torch.randn(4, shape[0]))


def test_the_remainder_of_weight_norm_is_of_third_order():
    """Torch's second derivative takes the norms as constants, and leaves one of second order."""
    torch.manual_seed(0)
    net = nn.Sequential(parametrizations.weight_norm(nn.Linear(5, 8)), nn.Tanh(), nn.Linear(8, 1))
    features = exact(net.double(), inputs(6, 5))
    sizes = [0.02 * 2**-j for j in range(4)]
    left = [rms(features.remainder(h * inputs(features.size))) for h in sizes]
    assert log_slope(sizes, left) == pytest.approx(3, abs=0.1)


def test_steep_modules_are_not_refused():
    """Differences of sin(100 h) are far from its derivative, at a step that is not far smaller."""
    exact(between(lambda h: torch.sin(100 * h)), inputs(4, 5), limit=1e-7)


def test_kinks_are_not_told():
    net = between(torch.relu)
    with torch.no_grad():
        net.a.bias.zero_()
    X = inputs(4, 5)
    X[0] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ModuleFeatures(net, X)


def test_routes_say_why():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    assert ModuleFeatures(plain, inputs(4, 5)).route == "f_L forward, f_Q forward-forward, Φ vmap"
    norm = nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.Linear(4, 1)).double()
    features = ModuleFeatures(norm, inputs(4, 5))
    assert "f_Q forward-reverse" in features.route and "not exact" in repr(features)


def test_branches_by_value_take_one_row_at_a_time():
    """f is what the module says of each row alone, whatever stands beside it."""
    net = of(lambda m, x: m.b(torch.tanh(m.a(x)) * (2 if m.a(x).sum() > 1e3 else 1)))
    features = exact(net, inputs(6, 5), chunk=4)
    assert "row by row" in features.route


def test_float32_is_as_exact_as_float32():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 1))
    X = inputs(6, 5)
    v = inputs(73)
    single = ModuleFeatures(net, X.float())
    double = ModuleFeatures(copy.deepcopy(net).double(), X)
    assert "forward-reverse" in single.route and single.size == 73
    for got, want in zip(single.terms(v.float()), double.terms(v), strict=True):
        torch.testing.assert_close(got.double(), want, rtol=1e-4, atol=1e-4)


def test_float32_inside_is_no_reason_to_refuse():
    exact(between(lambda h: torch.tanh(h.float()).double()), inputs(4, 5), limit=1e-5)


def test_complex_parameters_stand_beside_trained_ones_if_frozen():
    torch.manual_seed(0)
    net = of(lambda m, x: m.b((m.a(x).to(m.w.dtype) @ m.w).abs()))
    net.w = nn.Parameter(torch.randn(8, 8, dtype=torch.complex128))
    with pytest.raises(ShapeError, match=r"'w'.*remedy: torch.complex\(a, b\)"):
        ModuleFeatures(net, inputs(4, 5))
    net.w.requires_grad_(False)
    exact(net, inputs(4, 5))


def test_a_scan_of_decays_is_exact_in_every_row():
    """torch's own forward derivative of logcumsumexp is wrong where entries are far apart."""
    torch.manual_seed(0)
    net = of(lambda m, x: m.b(torch.logcumsumexp(40 * m.a(x), 1).tanh() + m.a(x).logcumsumexp(1)))
    X = inputs(12, 5)
    features = exact(net, X)
    v = inputs(features.size, seed=2)
    torch.testing.assert_close(features.linear(v), features.jacobian() @ v)
    apart = 40 * inputs(12, 8)
    got = torch.func.jvp(lambda z: z.logcumsumexp(1), (apart,), (inputs(12, 8, seed=2),))[1]
    slope = torch.autograd.functional.jacobian(lambda z: z.logcumsumexp(1), apart)
    want = torch.einsum("itjs,js->it", slope, inputs(12, 8, seed=2))
    assert float((got - want).abs().max()) > 1e-2  # the control: torch's own
