"""Features, projector and risk put together the wrong way."""

from functools import partial

import pytest
import torch

from escape_ntk import checks
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.risk.regularizer import Penalties, RegularizedRisk


@pytest.fixture
def made():
    generator = torch.Generator().manual_seed(0)
    weights = draw_weights(12, 4, generator)
    act = activation("sigmoid(z-1)")
    X, Z = (draw_inputs(n, 4, "gaussian", generator) for n in (9, 7))
    return weights, act, PairFeatures(X, weights, act), PairFeatures(Z, weights, act)


def says_all(error) -> bool:
    return all(word in str(error.value) for word in ("expected", "got", "remedy"))


def test_projector_of_other_inputs_is_refused(made):
    _, _, features, other = made
    y, penalties = torch.zeros(9), Penalties(empirical=1.0)
    with pytest.raises(checks.InputError, match="other inputs") as error:
        RegularizedRisk(features, y, penalties=penalties, projector=TrainingProjector(other, 2))
    assert says_all(error)
    own = TrainingProjector(features, 2)  # control: the right one is taken
    assert RegularizedRisk(features, y, penalties=penalties, projector=own).projector is own


@pytest.mark.parametrize("bad", [(2, 6, 5), (2, 5, 4), (6, 4)])
def test_state_of_another_shape_is_refused(made, bad):
    features = made[2]
    least_squares = partial(features.least_squares, y=torch.zeros(9))
    for evaluate in (features.terms, features.terms_and_pullback, least_squares):
        with pytest.raises(checks.ShapeError) as error:
            evaluate(torch.zeros(bad))
        assert says_all(error)
    with pytest.raises(checks.ShapeError, match="y"):
        features.least_squares(features.zero_state(), torch.zeros(8))


def test_state_of_another_dtype_is_refused(made):
    for take in (made[2].terms, made[2].check_state):
        with pytest.raises(checks.ShapeError, match="dtype"):
            take(made[2].zero_state().double())


def test_state_with_nan_is_an_outcome_not_an_error(made):
    linear, _ = made[2].terms(made[2].zero_state() + torch.nan)
    assert linear.isnan().all()


def test_pullback_is_good_for_one_call(made):
    features = made[2]
    state, g = features.zero_state() + 0.1, torch.ones(9)
    _, _, pullback = features.terms_and_pullback(state)
    pullback(g, g)
    with pytest.raises(checks.InputError, match="overwritten") as error:
        pullback(g, g)
    assert says_all(error)
    _, _, stale = features.terms_and_pullback(state)
    features.terms_and_pullback(state)
    with pytest.raises(checks.InputError, match="overwritten"):
        stale(g, g)


def test_gram_across_different_weights_is_refused(made):
    weights, act, features, other = made
    moved = PairFeatures(other.X, weights + 0.1, act)
    with pytest.raises(checks.InputError, match="frozen weights") as error:
        features.cross_gram(moved)
    assert says_all(error)
    same = PairFeatures(other.X, weights.clone(), act)
    assert torch.equal(features.cross_gram(same), features.cross_gram(other))
