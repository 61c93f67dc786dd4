"""Plain gradient descent: its stability limit, its outcomes, its measurements, its resumption."""

from functools import partial

import numpy as np
import pytest
import torch
from mortal import KilledError, Memory, killed_again_and_again

from escape_ntk.checks import InputError, SaddleWarning, StabilityError
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import activation, draw_weights, paired_network
from escape_ntk.models.pairs import STEP_FACTOR, PairFeatures, from_pairs
from escape_ntk.models.taylor import linear_term, quadratic_term
from escape_ntk.risk.problem import dense_plus_sparse_problem
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.risk.regularizer import Penalties, RegularizedRisk
from escape_ntk.training.descent import gradient_descent, stability_limit
from escape_ntk.training.flow import gradient_flow
from escape_ntk.training.train import train
from escape_ntk.training.trajectory import Outcome

N, D, P = 8, 3, 3
F64 = torch.float64
SIGMOID = activation("sigmoid(z-1)")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


WEIGHTS = draw_weights(2 * P, D, seeded(), dtype=F64)
X = draw_inputs(N, D, "gaussian", seeded(1), dtype=F64)
Y = torch.randn(N, generator=seeded(2), dtype=F64)
START = torch.randn(2, P, D, generator=seeded(3), dtype=F64)
REST = torch.zeros_like(START)


def problem(empirical: float = 0.0) -> RegularizedRisk:
    features = PairFeatures(X, WEIGHTS, SIGMOID)
    penalties = Penalties(empirical=empirical)
    return RegularizedRisk(
        features, Y, penalties=penalties, projector=TrainingProjector(features, 2)
    )


def size_of(state: torch.Tensor) -> dict[str, float]:
    return {"size": float(state.norm())}


def run(risk, start=START, step=0.1, n_steps=20, record_at=(0,), observe=size_of, **options):
    return gradient_descent(
        risk,
        start,
        step=step,
        n_steps=n_steps,
        record_at=list(record_at),
        observe=observe,
        **options,
    )


# ---------------------------------------------------------------- stability


def hessian_eigenvalues(state: torch.Tensor, empirical: float) -> torch.Tensor:
    """Of L_λ by its definition, in the movement of all m weights."""
    network = paired_network(WEIGHTS, SIGMOID)
    gram = PairFeatures(X, WEIGHTS, SIGMOID)
    top = torch.linalg.eigh(gram.cross_gram(gram))[1][:, -2:]

    def risk(U):
        linear = linear_term(network, X, U)
        high = linear - top @ (top.T @ linear)
        residual = Y - linear - quadratic_term(network, X, U)
        return residual.square().mean() + empirical * high.square().mean()

    U = from_pairs(state)
    hessian = torch.autograd.functional.hessian(risk, U)
    return torch.linalg.eigvalsh(hessian.reshape(U.numel(), U.numel()))


@pytest.mark.parametrize("state", [REST, START], ids=["rest", "start"])
@pytest.mark.parametrize("empirical", [0.0, 20.0])
def test_stability_limit_against_the_exact_hessian(state, empirical):
    """Within 1 %, the accuracy of a power iteration that stops early; control: 1/ρ is refuted."""
    exact = 2 / float(hessian_eigenvalues(state, empirical).abs().max())
    limit = stability_limit(problem(empirical), state)
    assert limit == pytest.approx(exact, rel=0.01)
    assert limit >= exact * (1 - 1e-6)  # power iteration comes from below to ρ


def test_step_beyond_the_limit_is_refused():
    risk = problem(20.0)
    limit = stability_limit(risk, START)
    assert run(risk, step=0.99 * limit, n_steps=1).outcome is Outcome.REACHED_END
    with pytest.raises(StabilityError, match=r"2/ρ = .*allow_unstable=True"):
        run(risk, step=1.01 * limit)


def test_the_limit_is_where_descent_turns_unstable():
    """With y = 0 the origin is a minimum: just below the limit descent stays by it."""
    risk = RegularizedRisk(PairFeatures(X, WEIGHTS, SIGMOID), torch.zeros_like(Y))
    limit = stability_limit(risk, REST)
    growth = []
    for factor in (0.97, 1.03):
        end = run(risk, 1e-6 * START, factor * limit, 200, [0, 200], allow_unstable=True)
        growth.append(end.values["size"][-1] / end.values["size"][0])
    assert growth[0] < 1 and growth[1] > 10


def test_an_unstable_run_that_is_allowed_diverges():
    risk = problem(20.0)
    step = 10 * stability_limit(risk, START)
    end = run(risk, step=step, n_steps=2000, record_at=[0, 1, 2000], allow_unstable=True)
    assert end.outcome is Outcome.DIVERGED
    assert end.n_steps < 2000
    assert np.isfinite(end.values["size"][:2]).all() and np.isnan(end.values["size"][2])


def test_a_last_step_out_of_the_finite_numbers_diverges():
    features = PairFeatures(X.float(), WEIGHTS.float(), SIGMOID)
    risk = RegularizedRisk(features, Y.float())
    end = run(risk, START.float(), step=1e38, n_steps=1, record_at=[0], allow_unstable=True)
    assert end.outcome is Outcome.DIVERGED


# ---------------------------------------------------------------- steps


def test_steps_and_measurements_are_the_plain_loop():
    risk, state, sizes = problem(2.0), START.clone(), []
    for k in range(8):
        if k in (0, 3, 7):
            sizes.append(float(state.norm()))
        if k < 7:
            state = state - STEP_FACTOR * 0.05 * risk.value_and_gradient(state)[1]
    end = run(risk, step=0.05, n_steps=7, record_at=[0, 3, 7])
    torch.testing.assert_close(end.state, state, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(end.values["size"], sizes, rtol=1e-14)
    assert (end.n_steps, end.n_gradients) == (7, 7)


def test_the_start_is_not_written_to():
    before = START.clone()
    run(problem())
    assert torch.equal(START, before)


def test_step_sizes_compose():
    """Control of the step factor: two steps of η differ from one of 2η at second order only."""
    risk, gaps = problem(), []
    for step in (0.1, 0.05):
        two = run(risk, step=step, n_steps=2).state
        gaps.append(float((two - run(risk, step=2 * step, n_steps=1).state).norm()))
    assert gaps[0] / gaps[1] == pytest.approx(4, rel=0.1)


# ---------------------------------------------------------------- resuming


@pytest.mark.parametrize("saves", [1, 4])
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_killed_run_resumes_bit_for_bit(saves, dtype):
    features = PairFeatures(X.to(dtype), WEIGHTS.to(dtype), SIGMOID)
    risk, times = RegularizedRisk(features, Y.to(dtype)), [0, 1, 6, 17, 20]
    whole = run(risk, START.to(dtype), record_at=times)
    attempt = partial(run, risk, START.to(dtype), record_at=times)
    end, kills = killed_again_and_again(lambda saving: attempt(run=saving), saves)
    assert kills >= 4
    assert torch.equal(end.state, whole.state)
    assert np.array_equal(end.values["size"], whole.values["size"])
    assert end.n_steps == whole.n_steps


def test_control_without_its_checkpoint_a_run_starts_again():
    """What the resumed run does is less than the whole: it measures only what was missing."""
    memory, seen = Memory(die_at=10), []

    def observe(state):
        seen.append(1)
        return size_of(state)

    with pytest.raises(KilledError):
        run(problem(), record_at=range(21), observe=observe, run=memory.run())
    first = len(seen)
    run(problem(), record_at=range(21), observe=observe, run=memory.run())
    assert first == 11 and len(seen) == 21  # a save holds what was measured at its step
    run(problem(), record_at=range(21), observe=observe)
    assert len(seen) == 42


# ---------------------------------------------------------------- what a measurement may do


def flow(risk, observe, **options):
    return gradient_flow(
        risk, START, t_end=2.0, record_at=[0.0, 1.0, 2.0], observe=observe, **options
    )


def descend(risk, observe):
    return run(risk, step=0.1, n_steps=20, record_at=[0, 10, 20], observe=observe)


@pytest.mark.parametrize("method", [flow, descend])
def test_a_measurement_that_writes_changes_neither_run_nor_record(method):
    def writing(state):
        seen = size_of(state)
        state.fill_(7.0)
        return seen

    quiet, loud = method(problem(), size_of), method(problem(), writing)
    assert torch.equal(loud.state, quiet.state)
    assert np.array_equal(loud.values["size"], quiet.values["size"])
    assert len(set(loud.values["size"])) == 3


@pytest.mark.parametrize("method", [flow, descend])
def test_a_measurement_names_the_same_things_each_time(method):
    def changing(state, seen=[]):  # noqa: B006
        seen.append(1)
        return {f"size {len(seen)}": 1.0}

    with pytest.raises(InputError, match=r"expected .*the names size 1 again; got size 2; remedy"):
        method(problem(), changing)


@pytest.mark.parametrize("keep", [(7,), (0, 3), (-1,)])
def test_a_place_that_is_none_of_the_times_is_refused(keep):
    with pytest.raises(InputError, match=r"3 record times, from 0 to 2; got .*; remedy"):
        flow(problem(), size_of, keep=keep)


def test_control_places_among_the_times_are_kept():
    assert flow(problem(), size_of, keep=(0, 2)).kept.keys() == {"0", "2"}


# ---------------------------------------------------------------- runs that end early


def test_a_diverged_run_says_when_and_hands_back_its_last_finite_state():
    seen = []

    def observe(state):
        seen.append(state.clone())
        return size_of(state)

    end = run(problem(), step=1e6, n_steps=400, record_at=range(401), observe=observe,
              allow_unstable=True)  # fmt: skip
    assert end.outcome == Outcome.DIVERGED and 0 < end.ended < 400
    last = int(end.ended)
    assert torch.equal(end.state, seen[last]) and bool(torch.isfinite(end.state).all())
    assert np.isfinite(problem().value_and_gradient(seen[last])[0].loss)
    assert not np.isfinite(problem().value_and_gradient(seen[last + 1])[0].loss)  # the control
    assert repr(end).startswith(f"Trajectory: diverged at t = {last}, before 400 (a smaller step")
    assert end.n_steps == last + 1


def test_a_run_out_of_gradients_says_when_and_what_allows_more():
    end = gradient_flow(
        problem(), START, t_end=1e4, record_at=[0, 1e-6, 1e4], observe=size_of, max_gradients=60
    )
    assert end.outcome == Outcome.MAX_GRADIENTS and 1e-6 < end.ended < 1e4
    said = repr(end)
    assert f"max_gradients at t = {end.ended:g}, before 10000" in said
    assert "max_gradients=…) allows more); at t = 1e-06 size" in said and "nan" not in said


def test_control_a_run_that_ends_says_no_more_than_that():
    end = flow(problem(), size_of)
    assert end.ended == 2.0
    assert repr(end) == f"Trajectory: reached_end at t = 2; size {end.values['size'][-1]:.3g}"


# ---------------------------------------------------------------- train


@pytest.fixture(scope="module")
def drawn():
    return dense_plus_sparse_problem(d=5, n=30, m=40, n_fresh=50)


def test_training_scales_the_end_like_the_times(drawn):
    end = train(drawn, method="descent", step=0.5, t_end=4.0, n_times=3)
    assert end.times.tolist() == [0.0, 1.0, 4.0] and end.ended == 4.0 and end.n_steps == 8


def test_a_start_at_a_saddle_is_said(drawn):
    with pytest.warns(SaddleWarning, match=r"'quadratic'.*start=") as said:
        end = train(drawn, model="quadratic", t_end=2.0, n_times=3)
    assert said[0].filename == __file__ and not end.state.any()


@pytest.mark.filterwarnings("error")
def test_control_other_starts_warn_of_nothing(drawn):
    train(drawn, t_end=2.0, n_times=3)
    end = train(drawn, model="quadratic", start=drawn.zero_state() + 0.1, t_end=2.0, n_times=3)
    assert end.state.any()


def test_a_saved_run_goes_on_as_help_says(drawn, tmp_path):
    first = train(drawn, t_end=10.0, n_times=3)
    np.savez(tmp_path / "run.npz", times=first.times, state=first.state, **first.values)
    saved = np.load(tmp_path / "run.npz")
    again = train(drawn, t_end=10.0, n_times=3, start=torch.from_numpy(saved["state"]))
    assert again.values["train"][0] == first.values["train"][-1] == saved["train"][-1]
