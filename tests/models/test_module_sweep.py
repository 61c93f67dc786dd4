"""Every layer of ``torch.nn``, and the common functions and parametrisations: exact or refused."""

import numpy as np
import pytest
import torch
from torch import nn

from escape_ntk.chapters.your_network import layer_sweep
from escape_ntk.chapters.your_network.layer_sweep import EXACT, NETWORKS, LayerSweep, tried
from escape_ntk.chapters.your_network.layers import LAYERS, LEFT_OUT
from escape_ntk.checks import UnknownNameError
from escape_ntk.models import modules
from escape_ntk.models.derivatives import Derivatives

REFUSED = {
    *("FractionalMaxPool2d", "FractionalMaxPool3d", "dropout always", "checkpoint, reentrant"),
    *("mean over the rows", "softmax over the rows"),
    *("once_differentiable", "a constant in a backward", "cdist, 1.5"),
}
"""Random, no function of each row, or without a right second derivative."""
TOLD = {"detach", "fake_quantize", "straight through", "orthogonal, Householder"}
"""Values that the derivatives do not see; Householder's take the signs of a diagonal that it reads
as whole numbers."""


def test_all_of_torch_is_tried_or_left_out_for_a_reason():
    every = {
        name
        for name, kind in vars(nn).items()
        if isinstance(kind, type) and issubclass(kind, nn.Module)
    }
    tried_here = {name for name in LAYERS if name in every}
    assert not every - tried_here - {*LEFT_OUT}
    assert not {*LEFT_OUT} - every
    assert not tried_here & {*LEFT_OUT}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_layer_is_exact_or_refused(name):
    found = tried(name, seed=2)
    assert found.difference < EXACT
    assert (found.outcome == "refused") == (name in REFUSED)
    assert (found.outcome == "told") == (name in TOLD)
    assert bool(found.words) == (found.outcome != "exact")


def test_control_forward_mode_twice_is_wrong_and_seen():
    assert min(tried(name).nested for name in ("LayerNorm", "InstanceNorm2d", "det")) > 1e-3
    assert tried("GroupNorm").nested < EXACT


@pytest.mark.parametrize("wrong", ["terms", "push", "pull", "curve"])
def test_control_a_wrong_factor_is_seen(wrong, monkeypatch):
    """f_Q without its 1/2, and others: of the sweep, not of the trial that chooses routes."""
    own = getattr(Derivatives, wrong)

    def doubled(self, *args):
        out = own(self, *args)
        return (out[0], 2 * out[1]) if isinstance(out, tuple) else 2 * out

    monkeypatch.setattr(modules, "exact_routes", lambda derivatives, X: derivatives.routes)
    monkeypatch.setattr(Derivatives, wrong, doubled)
    if wrong == "curve":  # behind the gradient of f_Q alone
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
        features = modules.ModuleFeatures(net, torch.randn(5, 3).double())
        v = torch.randn(features.size).double().requires_grad_()
        f_q = features.terms(v)[1].sum()
        (slope,) = torch.autograd.grad(f_q, v)
        assert float(slope @ v) == pytest.approx(4 * float(f_q))  # not 2: it is homogeneous
    else:
        assert tried("Linear").difference > 0.1


def test_the_point_counts_what_it_tried():
    names = ("Linear", "LayerNorm", "detach", "cdist, 1.5")
    summary, arrays = LayerSweep(1, names).compute()
    assert summary == {
        **{"exact": 1, "another_route": 1, "told": 1, "refused": 1},
        **{"layers": 4, "wrong": 0},
    }
    assert arrays["names"].tolist() == list(names)
    assert arrays["outcomes"].tolist() == list(layer_sweep.OUTCOMES)
    assert np.all(arrays["differences"] < EXACT) and arrays["nested"][1] > 1e-3
    with pytest.raises(UnknownNameError):
        LayerSweep(1, ("Lineer",))
