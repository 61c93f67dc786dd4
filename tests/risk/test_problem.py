"""A problem measures what the definitions say, on all weights, and builds what it is asked for."""

import dataclasses

import pytest
import torch

from escape_ntk.checks import InputError, NonFiniteError, RankError, ShapeError, UnknownNameError
from escape_ntk.models.data import (
    Target,
    dense_plus_sparse,
    draw_inputs,
    random_direction,
    sparse_part,
)
from escape_ntk.models.network import activation, draw_weights, paired_network
from escape_ntk.models.pairs import NetworkFeatures, from_pairs
from escape_ntk.models.taylor import linear_term, quadratic_term
from escape_ntk.risk.problem import Problem, dense_plus_sparse_problem
from escape_ntk.risk.regularizer import Penalties

D, N, M, FRESH, N_K = 4, 20, 30, 25, 5


def drawn(law: str = "sphere", **changes) -> Problem:
    kind = {"generator": torch.Generator().manual_seed(3), "dtype": torch.float64}
    parts = (sparse_part(random_direction(D, **kind), ell, law) for ell in (1, 2))
    target, weights = dense_plus_sparse(*parts), draw_weights(M, D, **kind)
    X, fresh = (draw_inputs(n, D, law, **kind) for n in (N, FRESH))
    return Problem(target, weights, activation("erf"), X, fresh, N_K, law, **changes)


@pytest.fixture
def state() -> torch.Tensor:
    noise = torch.randn(2, M // 2, D, generator=torch.Generator().manual_seed(4))
    return 0.3 * noise.double()


def terms(problem: Problem, inputs: torch.Tensor, state: torch.Tensor):
    """(f_L, f_Q) of all m neurons, by automatic differentiation."""
    network, U = paired_network(problem.weights, problem.activation), from_pairs(state)
    return linear_term(network, inputs, U), quadratic_term(network, inputs, U)


def test_losses_and_shares_are_those_of_all_neurons(state):
    problem = drawn()
    losses, shares = problem.losses(state), problem.shares(state, ("line", "square"))
    for name, inputs in (("train", problem.X), ("test", problem.fresh)):
        off = sum(terms(problem, inputs, state)) - problem.target(inputs)
        assert losses[name] == pytest.approx(float(off.square().mean()))
    linear, quadratic = terms(problem, problem.fresh, state)
    line, square = problem.target.part_values(problem.fresh)
    assert shares["linear_line"] == pytest.approx(float(linear @ line / (line @ line)))
    assert shares["quadratic_square"] == pytest.approx(
        float(quadratic @ square / (square @ square))
    )
    assert shares.keys() == {
        f"{t}_{p}" for t in ("linear", "quadratic") for p in ("line", "square")
    }
    assert problem.shares(state)["linear_0"] == shares["linear_line"]


@pytest.mark.parametrize("law", ["sphere", "gaussian"])
def test_sizes_are_the_penalties_that_the_risk_adds(law, state):
    problem = drawn(law)
    value, _ = problem.risk(Penalties(1.0, 1.0, 1.0, 1.0)).value_and_gradient(state)
    sizes = problem.sizes(state)
    assert sizes["R_1"] == pytest.approx(value.population)
    assert sizes["R_2"] == pytest.approx(value.empirical)
    assert sizes["R_3"] == pytest.approx(value.low_degree)
    assert sizes["norm_2_4"] ** 8 == pytest.approx(value.norm)
    assert sizes["norm_F"] == pytest.approx(float(from_pairs(state).norm()))
    other = drawn("sphere" if law == "gaussian" else "gaussian")
    wrong, _ = other.leak.value_and_gradient(problem.projector.high(state[1]))
    assert float(wrong) != pytest.approx(sizes["R_1"], rel=1e-3)  # the control: the other law


def test_labels_and_the_network_itself():
    noisy = drawn(labels=torch.ones(N, dtype=torch.float64))
    assert float(noisy.risk().y.mean()) == 1.0 and float(drawn().y.mean()) != 1.0
    zero = noisy.zero_state()
    assert noisy.losses(zero) == drawn().losses(zero)  # against f*, whatever is fitted
    network = drawn(kind=NetworkFeatures)
    assert type(network.features) is type(network.test) is NetworkFeatures
    state = network.zero_state() + 0.1
    assert network.losses(state) != drawn().losses(state)


def test_what_is_not_needed_is_not_built():
    problem = drawn()
    problem.risk(Penalties(norm=1.0))
    built = vars(problem).keys()
    assert "features" in built and not {"projector", "leak", "test"} & built
    problem.risk(Penalties(empirical=1.0))
    assert "projector" in vars(problem) and "leak" not in vars(problem)


def test_each_term_is_measured_once(state, monkeypatch):
    problem = drawn()
    whole = problem.measure(state)
    apart = problem.losses(state) | problem.shares(state)
    sizes = {name: problem.sizes(state)[name] for name in ("R_2", "norm_2_4")}
    assert whole == apart | sizes  # to the last bit
    seen, own = [], type(problem.test).terms
    monkeypatch.setattr(
        type(problem.test), "terms", lambda self, s: (seen.append(len(self)), own(self, s))[1]
    )
    problem.measure(state)
    assert sorted(seen) == [N, FRESH]


def test_an_activation_is_one_whatever_it_was_made_from():
    named, made = drawn(), dataclasses.replace(drawn(), activation=torch.tanh)
    assert named.activation is activation("erf") and made.activation.name == "tanh"


def test_noise_is_drawn_in_the_dtype_asked_for():
    asked = {"d": D, "n": N, "m": M, "n_fresh": 5, "label_noise": 1.0}
    plain, exact = (
        dense_plus_sparse_problem(**asked, dtype=dtype) for dtype in (torch.float32, torch.float64)
    )
    noise = exact.y - exact.target(exact.X)
    assert not torch.equal(noise, noise.float().double())  # more digits than float32 has
    assert plain.y.dtype == torch.float32 and exact.y.dtype == torch.float64


EXACT = {"dtype": torch.float64}
PIECES = {
    "X of another d": ({"X": torch.ones(N, D + 1, **EXACT)}, ShapeError),
    "fresh of another d": ({"fresh": torch.ones(N, D + 1, **EXACT)}, ShapeError),
    "weights of another d": ({"weights": torch.ones(3, D + 1, **EXACT)}, ShapeError),
    "target of another d": (
        {"target": Target((sparse_part(torch.eye(D + 1, **EXACT)[0], 1, "sphere"),))},
        ShapeError,
    ),
    "X in float32": ({"X": torch.ones(N, D)}, ShapeError),
    "fresh in float32": ({"fresh": torch.ones(N, D)}, ShapeError),
    "weights in float32": ({"weights": torch.ones(3, D)}, ShapeError),
    "target in float32": (
        {"target": Target((sparse_part(torch.eye(D)[0], 1, "sphere"),))},
        ShapeError,
    ),
    "labels in float32": ({"labels": torch.ones(N)}, ShapeError),
    "labels too few": ({"labels": torch.ones(N - 1, **EXACT)}, ShapeError),
    "labels in a column": ({"labels": torch.ones(N, 1, **EXACT)}, ShapeError),
    "NaN among the labels": ({"labels": torch.full((N,), torch.nan, **EXACT)}, NonFiniteError),
    "NaN among the inputs": ({"X": torch.full((N, D), torch.nan, **EXACT)}, NonFiniteError),
    "more directions than inputs": ({"n_k": N + 1}, RankError),
    "a negative n_k": ({"n_k": -1}, InputError),
    "no target": ({"target": None}, InputError),
    "a function as target": ({"target": lambda X: X[:, 0]}, InputError),
    "an unknown activation": ({"activation": "tanh"}, UnknownNameError),
    "features already built": ({"kind": drawn().features}, InputError),
    "no chunk": ({"chunk": 0}, InputError),
}


@pytest.mark.parametrize("changes, error", PIECES.values(), ids=PIECES)
def test_pieces_that_do_not_fit_are_refused_at_construction(changes, error):
    with pytest.raises(error, match=r"expected .+; got .+; remedy: .+") as caught:
        dataclasses.replace(drawn(), **changes)
    assert type(caught.value) is error


def test_what_does_not_fit_is_refused(state):
    with pytest.raises(InputError, match="each of the 2 parts"):
        drawn().shares(state, ("line",))
    with pytest.raises(UnknownNameError, match=r"law .*gaussian, sphere"):
        dataclasses.replace(drawn(), law="cube")
