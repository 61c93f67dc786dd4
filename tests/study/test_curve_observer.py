"""What a curve measures, several states together, and what of the fresh inputs it holds."""

import numpy as np
import pytest
import torch

from escape_ntk.models.pairs import PairFeatures
from escape_ntk.study import curve as curves
from escape_ntk.training.trajectory import ObservesMany, Recorder

SIZE = {"d": 8, "n": 40, "m": 60, "n_k": 8, "n_test": 700, "t_end": 300, "n_times": 30}
CURVE = curves.Curve(3, 4.0, 0.1, dtype="float64", **SIZE)


@pytest.fixture(scope="module")
def problem():
    return curves.draw_problem(CURVE)


@pytest.fixture(scope="module")
def states(problem):
    g = torch.Generator().manual_seed(1)
    return list(0.1 * torch.randn(5, *problem.zero_state().shape, generator=g, dtype=torch.float64))


def test_together_and_one_by_one_are_the_same_numbers(problem, states):
    observe = curves.Observer(problem)
    assert isinstance(observe, ObservesMany)
    assert observe.many(states) == [observe(state) for state in states]
    assert observe(states[0]) != observe(states[1])


def test_blocks_give_what_all_fresh_inputs_give_at_once(problem, states):
    """Against the problem's own measurements, whose features are held as a whole."""
    seen, state = curves.Observer(problem)(states[0]), states[0]
    known = problem.measure(state)
    assert all(seen[name] == pytest.approx(known[name], rel=1e-12) for name in ("test", "R_2"))
    linear, _ = problem.test.terms(state)
    low = problem.test.linear(problem.projector.low(state[1]))
    assert seen["R_1"] == pytest.approx(float((linear - low).square().mean()), rel=1e-9)
    assert seen["R_1"] != pytest.approx(seen["test_linear"], rel=1e-3)  # P keeps something


def test_no_more_than_a_block_of_fresh_features_is_held(monkeypatch):
    held = []
    plain = PairFeatures.__init__

    def noted(self, X, *rest, **named):
        held.append(len(X))
        plain(self, X, *rest, **named)

    monkeypatch.setattr(PairFeatures, "__init__", noted)
    CURVE.compute()
    assert max(held) < SIZE["n_test"]
    assert curves.draw_problem(CURVE).test and max(held) == SIZE["n_test"]  # the control


class Counted:
    """Measures the first entry of a state, and counts how many come together."""

    at_once = 3

    def __init__(self):
        self.groups = []

    def __call__(self, state):
        return self.many([state])[0]

    def many(self, states):
        self.groups.append(len(states))
        return [{"entry": float(state[0])} for state in states]


def recorded(observe, *, upto=8, **asked) -> Recorder:
    recorder = Recorder(range(8), observe, **asked)
    for time in range(upto):
        recorder.record(torch.tensor([(time - 4.0) ** 2]))
    return recorder


def test_states_wait_until_there_are_enough_and_none_is_left():
    observe = Counted()
    recorder = recorded(observe)
    assert observe.groups == [3, 3] and recorder.next_time == np.inf
    plain = recorded(lambda state: {"entry": float(state[0])}).values()
    assert recorder.values()["entry"].tolist() == plain["entry"].tolist()
    assert observe.groups == [3, 3, 2]


def test_states_that_wait_are_measured_before_a_run_is_saved():
    whole = recorded(Counted())
    early = recorded(Counted(), upto=4)
    later = Recorder(range(8), Counted())
    later.restore(early.dump())
    assert later.next_time == 4
    for time in range(4, 8):
        later.record(torch.tensor([(time - 4.0) ** 2]))
    assert later.values()["entry"].tolist() == whole.values()["entry"].tolist()


def test_where_the_best_is_asked_for_nothing_waits():
    observe = Counted()
    recorder = recorded(observe, best="entry", keep=(6,))
    assert observe.groups == [1] * 8
    assert recorder.kept["best"].item() == 0.0 and recorder.kept["6"].item() == 4.0


def test_a_state_that_waits_is_a_copy():
    recorder, state = Recorder([0, 1], Counted()), torch.tensor([1.0])
    recorder.record(state)
    state.zero_()
    assert recorder.values()["entry"][0] == 1.0
