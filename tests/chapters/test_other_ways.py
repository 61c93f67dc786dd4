"""Twelve methods that learn from the same labels and choose by the same rule."""

import dataclasses
import math

import pytest
import torch

from escape_ntk.chapters.sample_complexity import climbs, rivals
from escape_ntk.chapters.sample_complexity.predictions import PREDICTIONS
from escape_ntk.checks import InputError, UnknownNameError
from escape_ntk.models.network import activation
from escape_ntk.training.run import UNSAVED

SMALL = {"largest": 160, "first": 20, "m": 60, "n_test": 300, "t_end": 300.0, "n_times": 6}


def task(n: int = 80, d: int = 5, k: int = 1, seed: int = 3) -> rivals.Task:
    both, test, X, weights = climbs.Climb(seed, "ntk", "both", k, d, **SMALL).draw()
    kept = n - n // climbs.HELD_OUT
    return rivals.Task(
        X=X[:kept],
        y=both(X)[:kept],
        held_out=X[kept:n],
        goal=both(X)[kept:n],
        test=test,
        k=k,
        activation=activation("sin(z+pi/4)"),
        weights=weights,
        direction=both.parts[1].directions[0],
        generator=torch.Generator().manual_seed(seed),
        t_end=300.0,
        n_times=6,
    )


@pytest.fixture
def few_steps(monkeypatch):
    monkeypatch.setattr(rivals, "N_STEPS", 200)


@pytest.mark.parametrize("name", rivals.METHODS)
def test_every_method_learns_and_is_judged_by_the_labels_it_held_out(name, few_steps):
    problem = task()
    fitted = rivals.METHODS[name](problem, UNSAVED)
    goal = climbs.Climb(3, "ntk", "both", 1, 5, **SMALL).draw()[0](problem.test)
    error = float((fitted.test - goal).square().mean())
    assert error < 0.9 * float(goal.square().mean())
    own = float((fitted.held_out.double() - problem.goal).square().mean())
    assert fitted.loss == pytest.approx(own, rel=1e-4)
    assert fitted.test.dtype == torch.float64 and len(fitted.test) == len(problem.test)


@pytest.mark.parametrize("name", rivals.METHODS)
def test_nothing_but_its_labels_is_read(name, few_steps):
    """Other test inputs change what is predicted there, not what was chosen."""
    problem = task(40)
    other = dataclasses.replace(problem, test=problem.test.flip(0))
    other = dataclasses.replace(other, generator=torch.Generator().manual_seed(3))
    a, b = (rivals.METHODS[name](p, UNSAVED) for p in (problem, other))
    assert a.loss == b.loss and (a.choice == b.choice or math.isnan(a.choice))
    assert torch.allclose(a.test.flip(0), b.test, atol=1e-5)
    moved = dataclasses.replace(
        problem, goal=-problem.goal, generator=torch.Generator().manual_seed(3)
    )
    assert rivals.METHODS[name](moved, UNSAVED).loss != a.loss  # control: these labels are read


def test_who_knows_the_direction_needs_fewer_labels():
    needed = {}
    for name in ("ntk", "oracle"):
        point = climbs.Climb(1, name, "sparse", 1, 8, **SMALL)
        needed[name] = point.compute()[1]["n"][-1]
    assert needed["oracle"] < needed["ntk"]


def test_methods_of_one_seed_share_everything():
    one, other = (climbs.Climb(2, m, "both", 2, 6, **SMALL).draw() for m in ("ntk", "joint"))
    assert all(torch.equal(a, b) for a, b in zip(one[1:], other[1:], strict=True))
    third = climbs.Climb(3, "ntk", "both", 2, 6, **SMALL).draw()
    assert not torch.equal(one[1], third[1])  # control


def test_a_climb_ends_where_the_error_is_small_or_the_labels_are_spent():
    summary, arrays = climbs.Climb(1, "oracle", "dense", 1, 5, **SMALL).compute()
    assert arrays["error"][-1] <= climbs.LEVELS[-1] < arrays["error"][:-1].min(initial=1)
    assert summary["rungs"] == len(arrays["n"]) < len(climbs.Climb(1, "ntk", "both", 1, 5).sizes())
    never = climbs.Climb(1, "ntk", "sparse", 2, 12, largest=40, first=20, n_test=300)
    summary, arrays = never.compute()
    assert list(arrays["n"]) == never.sizes() and summary["n_0.1"] is None


def test_a_power_is_expected_of_every_method():
    assert PREDICTIONS.keys() == rivals.METHODS.keys()
    assert (
        PREDICTIONS["ntk"].power("sparse", 2) == 3 and PREDICTIONS["oracle"].power("sparse", 2) == 0
    )


@pytest.mark.parametrize(
    "wrong", [{"method": "magic"}, {"target": "none"}, {"k": 0}, {"first": 5}, {"largest": 9}]
)
def test_what_cannot_be_is_refused(wrong):
    right = {"seed": 1, "method": "ntk", "target": "both", "k": 1, "d": 5}
    with pytest.raises((InputError, UnknownNameError), match="expected"):
        climbs.Climb(**right | wrong)
