"""The numbers that derivatives of a module hold at once, as their docstring states them."""

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from escape_ntk.models.modules import ModuleFeatures

N, CHUNK, P = 40, 8, 20_201


def peak(call) -> float:
    """The most numbers in float64 that ``call`` holds at once, its result with them, over P."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        call()
    events = seen.profiler.kineto_results.events()
    now = most = 0
    for _, count in sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"):
        now += count
        most = max(most, now)
    return most / 8 / P


@pytest.fixture(scope="module")
def made():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(200, 100), nn.Tanh(), nn.Linear(100, 1)).double()
    X = torch.randn(N, 200, dtype=torch.float64)
    return net, X, ModuleFeatures(net, X, chunk=CHUNK)


def test_the_count_sees_what_is_held():
    assert peak(lambda: torch.zeros(5 * P, dtype=torch.float64).exp()) == pytest.approx(10, abs=0.1)


def test_a_gram_matrix_holds_three_blocks_of_rows(made):
    features, there = made[2], made[2].at(made[1])
    assert peak(lambda: features.cross_gram(features)) == pytest.approx(3 * CHUNK, abs=0.5)
    assert peak(lambda: features.cross_gram(there)) < 3 * CHUNK + 0.5
    few = features.at(made[1][:CHUNK])
    assert peak(lambda: few.cross_gram(few)) == pytest.approx(2 * CHUNK, abs=0.5)


def test_the_jacobian_holds_itself_and_a_block(made):
    assert peak(made[2].jacobian) == pytest.approx(N + CHUNK, abs=0.5)


def test_products_hold_a_few_vectors(made):
    features = made[2]
    v, c = torch.ones(P, dtype=torch.float64), torch.ones(N, dtype=torch.float64)
    for call in (
        lambda: features.linear(v),
        lambda: features.terms(v),
        lambda: features.linear_pullback(c),
    ):
        assert peak(call) < 5


def test_the_trial_holds_twenty_vectors(made):
    net, X, _ = made
    assert peak(lambda: ModuleFeatures(net, X, chunk=CHUNK)) < 20
    assert peak(lambda: ModuleFeatures(net, X.repeat(4, 1), chunk=4 * CHUNK)) < 25
