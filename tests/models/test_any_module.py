"""The checks of the generic Taylor terms, as points: what they measure, and what they refuse."""

import pytest
import torch

from escape_ntk.chapters.your_network import modules as m
from escape_ntk.checks import UnknownNameError


def test_closed_forms_agree_and_a_lost_half_is_seen():
    summary, _ = m.ClosedForm(3).compute()
    assert max(summary[name] for name in ("linear", "quadratic", "kernel", "leak")) < 1e-12
    assert summary["unhalved"] == pytest.approx(1)


@pytest.mark.parametrize("network", m.SHAPES)
def test_slopes_of_smooth_networks(network):
    summary, arrays = m.Remainder(2, network, "tanh", n=30).compute()
    assert summary["slope_remainder"] == pytest.approx(3, abs=0.1)
    assert summary["slope_without_quadratic"] == pytest.approx(2, abs=0.15)
    assert arrays["sizes"].tolist() == [0.02 * 2.0**-j for j in range(5)]


def test_relu_is_slower():
    assert m.Remainder(2, "mlp", "relu", n=500).compute()[0]["slope_remainder"] < 2.2


def test_a_module_is_drawn_from_its_generator_alone():
    state = torch.get_rng_state()
    one, two, other = (
        m.default_module(lambda: m.deep_module("mlp", "tanh"), torch.Generator().manual_seed(s))
        for s in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one[0].weight, two[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)


@pytest.mark.parametrize("names", [("rnn", "tanh"), ("mlp", "sine")])
def test_unknown_names_are_refused(names):
    with pytest.raises(UnknownNameError):
        m.Remainder(1, *names)
