"""GoodDirections and its scan: each misuse is refused with expected, got and remedy."""

import math

import pytest
import torch
from refusals import SENTENCE, refused, table
from torch import nn

import escape_ntk as en
from escape_ntk.checks import (
    CutoffWarning,
    EscapeNTKError,
    InputError,
    NonFiniteError,
    RankError,
    ShapeError,
    UnknownNameError,
)
from escape_ntk.models.modules import ModuleFeatures
from escape_ntk.numerics.lanczos import NoConvergenceError
from escape_ntk.risk.top_directions import top_directions


def inputs(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def net(width=8, act=nn.Tanh) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, width), act(), nn.Linear(width, 1))


class Times(nn.Module):
    def __init__(self, scale: float, inner: nn.Module | None = None):
        super().__init__()
        self.inner, self.scale = inner or net(), scale

    def forward(self, x):
        return self.inner(x) * self.scale


X = inputs(20, 4)


def good(n_k=3, model=None, X=X, **asked) -> en.GoodDirections:
    return en.GoodDirections(net() if model is None else model, X, n_k, progress=False, **asked)


def overflowing():
    """Norms of gradients whose squares, 3.2e38, float32 can hold, but not twenty of them."""
    return good(1, Times(8e18, nn.Linear(4, 1)), X=torch.ones(20, 4), route="krylov")


def mapped(penalty):
    return torch.func.vmap(lambda x: penalty(x[None]))(X)


def with_nan():
    batch = X[:3].clone()
    batch[0, 0] = math.nan
    return batch


BUILDING = table(
    ("n_k 0", InputError, lambda: good(0)),
    ("n_k 2.0", InputError, lambda: good(2.0)),
    ("n_k True", InputError, lambda: good(True)),
    ("n_k a word", UnknownNameError, lambda: good("elbow")),
    ("n_k > n", RankError, lambda: good(21)),
    ("n_k > rank", RankError, lambda: good(6, nn.Linear(4, 1))),
    ("n_k > rank, krylov", RankError, lambda: good(5, nn.Linear(4, 1, bias=False), route="krylov")),
    ("route", UnknownNameError, lambda: good(route="svd")),
    ("tolerance 0", InputError, lambda: good(tolerance=0.0)),
    ("chunk 0", InputError, lambda: good(chunk=0)),
    ("no tensor", InputError, lambda: good(X=[[1.0] * 4])),
    ("no gap", RankError, lambda: good("gap", nn.Linear(1, 1, bias=False), X=torch.ones(1, 1))),
    ("several inputs", InputError, lambda: good(X=(X, X))),
    ("inputs by name", InputError, lambda: good(X={"a": X})),
    ("token ids", InputError, lambda: good(X=X.long())),
    ("dtype", ShapeError, lambda: good(X=X.double())),
    ("several outputs", InputError, lambda: good(model=nn.Linear(4, 3))),
    ("frozen", InputError, lambda: good(model=net().requires_grad_(False))),
    ("K overflows", NonFiniteError, lambda: good(model=Times(1e19))),
    ("K overflows, krylov", NonFiniteError, lambda: good(model=Times(1e19), route="krylov")),
    ("K overflows alone", NonFiniteError, lambda: overflowing()),
    ("constant", RankError, lambda: good(model=Times(0.0))),
    ("constant, krylov", RankError, lambda: good(model=Times(0.0), route="krylov")),
    ("constant, gap", RankError, lambda: good("gap", Times(0.0))),
    ("first of more", RankError, lambda: good().first(4)),
    ("first of none", InputError, lambda: good().first(0)),
)
CALLS = table(
    ("augmented", InputError, lambda: good()(X[:5] + 1e-3)),
    ("one other row", InputError, lambda: good()(torch.cat([X[:5], inputs(1, 4, seed=7)]))),
    ("NaN row", InputError, lambda: good()(with_nan())),
    ("another width", ShapeError, lambda: good()(inputs(5, 3))),
    ("one row flat", ShapeError, lambda: good()(X[0])),
    ("no rows", ShapeError, lambda: good()(X[:0])),
    ("one number", ShapeError, lambda: good()(X[0, 0])),
    ("another width, fresh", ShapeError, lambda: good()(inputs(5, 3), fresh=True)),
    ("float64 rows", ShapeError, lambda: good()(X[:5].double())),
    ("half rows", ShapeError, lambda: good()(X[:5].bfloat16())),
    ("indices", ShapeError, lambda: good()(torch.arange(5))),
    ("NaN fresh", NonFiniteError, lambda: good()(with_nan(), fresh=True)),
    ("vmap", InputError, lambda: mapped(good())),
    ("short movement", ShapeError, lambda: good()(movement=torch.zeros(3))),
)


@BUILDING
def test_bad_arguments_are_refused(error, call):
    refused(call, error)


@CALLS
def test_bad_batches_are_refused(error, call):
    refused(call, error)


def test_a_row_that_is_not_in_X_is_told_with_its_remedy():
    batch = torch.cat([X[:5], inputs(2, 4, seed=7)])
    said = refused(lambda: good()(batch), InputError)
    assert "2 of 7 others, the first at place 5" in said and "fresh=True" in said
    assert float(good()(batch, fresh=True)) == 0.0  # the control


def test_what_a_batch_or_inputs_should_be_is_told():
    assert "X[[i]]" in refused(lambda: good()(X[0]), ShapeError)
    assert "X[rows]" in refused(lambda: good()(inputs(5, 3)), ShapeError)
    assert "(·, 4), one or more" in refused(lambda: good()(X[:0]), ShapeError)
    assert "forward splits them" in refused(lambda: good(X=[X, X]), InputError)
    assert "as_tensor" in refused(lambda: good(X=[[1.0]]), InputError)
    assert "net(x.long())" in refused(lambda: good(X=X.long()), InputError)


def test_an_overflow_and_a_lost_gradient_say_what_they_are():
    assert "double()" in refused(overflowing, NonFiniteError)
    assert "detach" in refused(lambda: good(model=Times(0.0)), RankError)


def test_a_model_that_has_moved_is_told():
    model = net()
    penalty = good(model=model)
    model.double()
    said = refused(penalty, ShapeError)
    assert "float64" in said and "penalty.to(device)" in said
    model.float()
    assert float(penalty()) == 0.0


def test_gradients_that_are_not_finite_are_told_with_their_row():
    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 3, bias=False)

        def forward(self, x):
            return self.inner(x).square().sum(1).sqrt()

    rows = X.clone()
    rows[6] = 0
    for route in ("gram", "krylov"):
        said = refused(lambda r=route: good(model=Norm(), X=rows, route=r), NonFiniteError)
        assert "at row 6 of X" in said


def test_what_does_not_converge_is_told():
    features = ModuleFeatures(net(40), inputs(200, 4))
    for asked in ({"tolerance": 1e-15}, {"tolerance": 1e-6, "max_passes": 1}):
        with pytest.raises(NoConvergenceError, match=SENTENCE):
            top_directions(features, 3, route="krylov", **asked)


def test_a_cut_between_equal_eigenvalues_is_told():
    model = nn.Linear(4, 1, bias=False)
    with pytest.warns(CutoffWarning, match="eigenvalues 2 and 3"):
        good(2, model, X=torch.eye(4))


# ---------------------------------------------------------------- states


def state():
    return good().state_dict()


STATES = table(
    ("another width", InputError, lambda: restored(net(9))),
    ("another activation", InputError, lambda: restored(net(act=nn.ReLU))),
    ("frozen layer", InputError, lambda: restored(frozen())),
    ("other inputs", InputError, lambda: restored(X=X + 1)),
    ("other order", InputError, lambda: restored(X=X.flip(0))),
    ("fewer inputs", InputError, lambda: restored(X=X[:19])),
    ("a model's state", InputError, lambda: restored(state=net().state_dict())),
    ("nothing", InputError, lambda: restored(state={})),
    ("a path", InputError, lambda: restored(state="p.pt")),
    ("no tensors", InputError, lambda: restored(state={"V": 1})),
    ("None in place", InputError, lambda: good().load_state_dict(None)),
    (
        "without V",
        InputError,
        lambda: restored(state={k: v for k, v in state().items() if k != "V"}),
    ),
    ("in place", InputError, lambda: good(X=X + 1).load_state_dict(state())),
)


def restored(model=None, X=X, state=None):
    own = good().state_dict() if state is None else state
    return en.GoodDirections.restore(net() if model is None else model, X, own)


def frozen():
    model = net()
    model[0].requires_grad_(False)
    return model


@STATES
def test_strange_states_are_refused(error, call):
    refused(call, error)


def test_a_refused_state_leaves_all_as_it_was():
    model = net(act=nn.ReLU)
    before = [p.detach().clone() for p in model.parameters()]
    penalty = good(model=model)
    V = penalty.directions.V
    nn.init.normal_(model[0].weight)
    moved = model[0].weight.detach().clone()
    refused(lambda: penalty.load_state_dict(state()), InputError)
    assert torch.equal(model[0].weight, moved) and penalty.directions.V is V
    assert torch.equal(penalty.features.start["0.weight"], before[0])


def test_control_the_right_state_passes():
    assert restored().n_k == 3


# ---------------------------------------------------------------- the scan


@pytest.mark.parametrize(
    "asked",
    [
        {"n_k": ()},
        {"n_k": 5},
        {"n_k": "gap"},
        {"n_k": (0, 1)},
        {"n_k": (1, 50)},
        {"strengths": ()},
        {"strengths": (0.0,)},
        {"strengths": (math.nan,)},
        {"train": None},
        {"train": lambda *_: None},
        {"train": lambda *_: torch.ones(2)},
        {"train": None, "y": X[:, 0]},
    ],
)
def test_a_scan_refuses_what_it_cannot_use(asked):
    with pytest.raises(EscapeNTKError, match=SENTENCE):
        en.scan_good_directions(net(), X, **{"train": lambda *_: 1.0, "progress": False, **asked})


@pytest.mark.parametrize("y", [torch.zeros(20).long(), torch.zeros(20, 2), torch.zeros(20, 4)])
def test_a_scan_by_mean_squares_takes_labels_like_the_outputs(y):
    """Classes to outputs that are logits; the control: labels that fit."""
    model = nn.Linear(4, 4)
    asked = {"validation": (X, y), "n_k": (1,), "strengths": (1.0,), "steps": 2, "progress": False}

    def scan():
        return en.scan_good_directions(model, X, y=y, output="all", **asked)

    if y.shape == (20, 4):
        assert scan().losses.shape == (1, 1)
    else:
        assert "cross_entropy" in refused(scan, ShapeError)


# ---------------------------------------------------------------- as users run the package


@pytest.mark.parametrize("keep", [False, True])
def test_a_compiled_step_may_call_it(keep):
    """Here, where shapes are unchecked: torch cannot compile the checks."""
    model, X = net(), inputs(24, 4)
    penalty = en.GoodDirections(model, X, 3, keep=keep, progress=False)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1)

    def step(x):
        (model(x).square().mean() + 3 * penalty(x)).backward()
        gradients = [p.grad.clone() for p in model.parameters()]
        model.zero_grad()
        return gradients

    compiled = torch.compile(step, backend="eager")(X[:8])
    for ours, wanted in zip(compiled, step(X[:8]), strict=True):
        torch.testing.assert_close(ours, wanted)
