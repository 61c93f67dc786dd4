"""Twelve methods that learn from the same labels and choose by the same rule."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from escape_ntk.chapters.other_ways import claims, methods, runs
from escape_ntk.chapters.other_ways.predictions import PREDICTIONS
from escape_ntk.checks import InputError, UnknownNameError
from escape_ntk.models.network import activation
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.numerics.stats import Interval
from escape_ntk.training.run import UNSAVED

SMALL = {"largest": 160, "first": 20, "m": 60, "n_test": 300, "t_end": 300.0, "n_times": 6}


def task(n: int = 80, d: int = 5, k: int = 1, seed: int = 3) -> methods.Task:
    both, test, X, weights = runs.Climb(seed, "ntk", "both", k, d, **SMALL).draw()
    kept = n - n // runs.HELD_OUT
    return methods.Task(
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
    monkeypatch.setattr(methods, "N_STEPS", 200)


@pytest.mark.parametrize("name", methods.METHODS)
def test_every_method_learns_and_is_judged_by_the_labels_it_held_out(name, few_steps):
    problem = task()
    fitted = methods.METHODS[name](problem, UNSAVED)
    goal = runs.Climb(3, "ntk", "both", 1, 5, **SMALL).draw()[0](problem.test)
    error = float((fitted.test - goal).square().mean())
    assert error < 0.9 * float(goal.square().mean())
    own = float((fitted.held_out.double() - problem.goal).square().mean())
    assert fitted.loss == pytest.approx(own, rel=1e-4)
    assert fitted.test.dtype == torch.float64 and len(fitted.test) == len(problem.test)


@pytest.mark.parametrize("name", methods.METHODS)
def test_nothing_but_its_labels_is_read(name, few_steps):
    """Other test inputs change what is predicted there, not what was chosen."""
    problem = task(40)
    other = dataclasses.replace(problem, test=problem.test.flip(0))
    other = dataclasses.replace(other, generator=torch.Generator().manual_seed(3))
    a, b = (methods.METHODS[name](p, UNSAVED) for p in (problem, other))
    assert a.loss == b.loss and (a.choice == b.choice or math.isnan(a.choice))
    assert torch.allclose(a.test.flip(0), b.test, atol=1e-5)
    moved = dataclasses.replace(
        problem, goal=-problem.goal, generator=torch.Generator().manual_seed(3)
    )
    assert methods.METHODS[name](moved, UNSAVED).loss != a.loss  # control: these labels are read


def test_who_knows_the_direction_needs_fewer_labels():
    needed = {}
    for name in ("ntk", "oracle"):
        point = runs.Climb(1, name, "sparse", 1, 8, **SMALL)
        needed[name] = point.compute()[1]["n"][-1]
    assert needed["oracle"] < needed["ntk"]


def test_methods_of_one_seed_share_everything():
    one, other = (runs.Climb(2, m, "both", 2, 6, **SMALL).draw() for m in ("ntk", "joint"))
    assert all(torch.equal(a, b) for a, b in zip(one[1:], other[1:], strict=True))
    third = runs.Climb(3, "ntk", "both", 2, 6, **SMALL).draw()
    assert not torch.equal(one[1], third[1])  # control


def test_a_climb_ends_where_the_error_is_small_or_the_labels_are_spent():
    summary, arrays = runs.Climb(1, "oracle", "dense", 1, 5, **SMALL).compute()
    assert arrays["error"][-1] <= runs.LEVELS[-1] < arrays["error"][:-1].min(initial=1)
    assert summary["rungs"] == len(arrays["n"]) < len(runs.Climb(1, "ntk", "both", 1, 5).sizes())
    never = runs.Climb(1, "ntk", "sparse", 2, 12, largest=40, first=20, n_test=300)
    summary, arrays = never.compute()
    assert list(arrays["n"]) == never.sizes() and summary["n_0.1"] is None


def test_a_power_is_expected_of_every_method():
    assert PREDICTIONS.keys() == methods.METHODS.keys()
    assert (
        PREDICTIONS["ntk"].power("sparse", 2) == 3 and PREDICTIONS["oracle"].power("sparse", 2) == 0
    )


@pytest.mark.parametrize(
    "wrong", [{"method": "magic"}, {"target": "none"}, {"k": 0}, {"first": 5}, {"largest": 9}]
)
def test_what_cannot_be_is_refused(wrong):
    right = {"seed": 1, "method": "ntk", "target": "both", "k": 1, "d": 5}
    with pytest.raises((InputError, UnknownNameError), match="expected"):
        runs.Climb(**right | wrong)


def climb_record(errors: list[float], read: float | None) -> SimpleNamespace:
    return SimpleNamespace(arrays={"error": np.array(errors)}, summary={"n_0.25": read})


def test_labels_beyond_either_end_of_a_climb_are_not_taken_for_a_number():
    assert claims.labels_of(climb_record([0.9, 0.2], 12.5), 0.25) == 12.5
    assert claims.labels_of(climb_record([0.9, 0.5], None), 0.25) == math.inf
    assert claims.labels_of(climb_record([0.1, 0.0], None), 0.25) == -math.inf
    climb = runs.Climb(1, "ntk", "both", 1, 5, largest=40)
    assert claims.within_climb([-math.inf, 12.5, math.inf], climb).tolist() == [10, 12.5, 40]


def test_growth_is_read_in_units_of_n_power_and_only_where_every_seed_says():
    n = {d: float(cumulative_multiplicity(d, 2)) for d in (8, 12, 16)}
    of_d = {d: [3 * n[d], 5 * n[d]] for d in n}
    assert claims.growth(of_d, 2) == pytest.approx([1, 1])
    assert min(claims.growth(of_d, 1)) > 1.5  # control: another power
    assert claims.growth({8: [7.0], 16: [7.0]}, 0) == pytest.approx([0])
    assert claims.growth(of_d | {12: [1.0, math.inf]}, 2) is None


def test_a_prediction_is_met_within_its_band():
    met = Interval(1.2, 0.5, 1.9)
    seen = claims.as_expected({"a": met, "b": met, "c": None}, {"a": 2, "b": 0, "c": 1})
    assert seen == {"a": True, "b": False, "c": None}
