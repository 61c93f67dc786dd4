"""Wrong objects at the front door: each is refused with expected, got and remedy."""

import pytest
import torch
from refusals import SENTENCE

import escape_ntk as en
from escape_ntk.checks import EscapeNTKError

W = en.draw_weights(8, 4, torch.Generator().manual_seed(0))
X = en.draw_inputs(6, 4, "sphere", torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def problem() -> en.Problem:
    return en.dense_plus_sparse_problem(d=5, n=30, m=40, n_fresh=50)


@pytest.mark.parametrize(
    "call",
    [
        lambda p: en.PairFeatures(X, W, 3),
        lambda p: en.PairFeatures(X, W, "tanh"),
        lambda p: en.infinite_ntk(X, X, None),
        lambda p: en.RegularizedRisk(p.features, p.y, penalties={"empirical": 1.0}),
        lambda p: en.train(p, {"empirical": 1.0}),
        lambda p: en.draw_inputs(6, 4, "sphere", 0),
        lambda p: en.draw_weights(8, 4, 0),
        lambda p: en.dense_plus_sparse_problem(d=5, n=30, m=41),
        lambda p: en.dense_plus_sparse_problem(d=5, n=30, m=40, seed=-1),
        lambda p: en.dense_plus_sparse_problem(d=5, n=0, m=40),
        lambda p: en.train(p, method="leapfrog"),
        lambda p: en.train(p, t_end=-1.0),
        lambda p: en.train("problem"),
    ],
)
def test_wrong_objects_are_refused_in_the_houses_words(problem, call):
    with pytest.raises(EscapeNTKError, match=SENTENCE):
        call(problem)


def test_control_the_right_objects_pass(problem):
    assert en.train(problem, en.Penalties(empirical=1.0), t_end=5.0, n_times=3).times[-1] == 5.0
