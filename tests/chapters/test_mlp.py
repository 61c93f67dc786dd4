"""The ReLU network on a dense quadratic plus a sparse cubic: gradient, moments, climbs."""

import math
from itertools import combinations_with_replacement, islice
from pathlib import Path

import numpy as np
import pytest
import torch
from mortal import KilledError, Memory

from escape_ntk import chapters
from escape_ntk.chapters.mlp import claims as ledger
from escape_ntk.chapters.mlp import page
from escape_ntk.chapters.mlp import runs as mlp
from escape_ntk.chapters.mlp.runs import Climb, Judge, NetworkTarget, ReluNetwork
from escape_ntk.checks import InputError, UnknownNameError
from escape_ntk.models.data import draw_inputs, random_direction
from escape_ntk.numerics.stats import log_slope
from escape_ntk.records.store import Record
from escape_ntk.training.trajectory import Recorder

F64 = torch.float64
SMALL = {"multiples": (1.0, 2.0, 3.0), "steps": 40, "n_test": 200, "n_times": 4, "width": 9}


def seeded(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network_and_data(n=30, d=6, width=7):
    network = ReluNetwork.draw(width, d, seeded(1), F64)
    network.inner.add_(0.1)  # biases away from 0
    X = draw_inputs(n, d, "gaussian", seeded(), dtype=F64)
    return network, X, torch.randn(n, generator=seeded(2), dtype=F64)


def test_descent_is_descent_on_the_loss_of_a_torch_module():
    network, X, y = network_and_data()
    module = torch.nn.Sequential(torch.nn.Linear(6, 7), torch.nn.ReLU(), torch.nn.Linear(7, 1))
    module = module.double()
    with torch.no_grad():
        values = network.inner[:, :-1], network.inner[:, -1], network.outer[None, :-1]
        for p, value in zip(module.parameters(), (*values, network.outer[-1:]), strict=True):
            p.copy_(value)
    torch.testing.assert_close(network(X), module(X)[:, 0].detach())
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
    losses = list(islice(network.descend(X, y, 0.05), 21))  # the 21st comes after 20 steps
    for k in range(20):
        optimizer.zero_grad()
        loss = (module(X)[:, 0] - y).square().mean()
        assert losses[k] == pytest.approx(float(loss.detach()), rel=1e-10)
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(network(X), module(X)[:, 0].detach(), rtol=1e-9, atol=1e-12)
    assert losses[20] < 0.9 * losses[0]


def test_the_initialisation_has_the_notebooks_variance():
    network = ReluNetwork.draw(400, 50, seeded())
    assert float(network.inner[:, :-1].var()) == pytest.approx(1 / 100, rel=0.03)
    assert float(network.outer[:-1].var()) == pytest.approx(1 / 800, rel=0.15)
    assert not network.inner[:, -1].any() and not network.outer[-1].any()
    assert float(network.inner[:, :-1].var()) != pytest.approx(1 / 150, rel=0.2)  # torch's own


@pytest.mark.parametrize("d", [10, 11, 50])
@pytest.mark.parametrize("dense", mlp.DENSE)
def test_moments_of_the_target(d, dense):
    problem = NetworkTarget(random_direction(d, seeded(), dtype=F64), dense)
    X = draw_inputs(200_000, d, "gaussian", seeded(1), dtype=F64)
    P = problem.unit_parts(X)
    torch.testing.assert_close(P @ P.T / len(X), torch.eye(3, dtype=F64), rtol=0, atol=0.1)
    y = problem(X)
    assert float(y.mean()) == pytest.approx(problem.mean, abs=0.02)
    assert float(y.var()) == pytest.approx(1 + problem.dense_deviation**2, rel=0.1)


@pytest.mark.parametrize("d", [10, 11, 50])
def test_the_published_target_is_the_formula_of_the_notebook(d):
    beta = random_direction(d, seeded(), dtype=F64)
    X = draw_inputs(20, d, "gaussian", seeded(1), dtype=F64)
    A = torch.diag(torch.tensor([float(i > d / 2) for i in range(d)], dtype=F64))
    z = X @ beta
    formula = ((X @ A) * X).sum(1) / math.sqrt(675) + (z**3 - 3 * z) / math.sqrt(6)
    torch.testing.assert_close(NetworkTarget(beta, "published")(X), formula)
    assert not torch.allclose(NetworkTarget(beta, "normalized")(X), formula)
    assert mlp.dense_entries(d) == int(A.trace())


def test_675_is_the_second_moment_of_25_squares_and_the_notebook_has_24():
    mean, variance = mlp.published_moments(52)  # 25 entries
    assert mean**2 + variance == pytest.approx(1)
    mean, variance = mlp.published_moments(50)
    assert mean**2 + variance == pytest.approx((24**2 + 48) / 675)


@pytest.mark.parametrize("bases", [1, 2, 4])
def test_what_relus_must_miss_of_the_dense_part_by_drawing_them(bases):
    """Unit ReLUs along random orthonormal bases, equal weights; linear terms are fitted away."""
    d = 50
    s = mlp.dense_entries(d)
    turns = [torch.linalg.qr(torch.randn(s, s, generator=seeded(k)))[0] for k in range(bases)]
    X = torch.randn(40_000, s, generator=seeded(9))
    f = torch.relu(X @ torch.cat(turns, dim=1)).sum(1, keepdim=True)
    q = (X.square().sum(1, keepdim=True) - s) / math.sqrt(2 * s)
    columns = torch.cat([f, X, torch.ones(len(X), 1)], dim=1).double()
    missed = q.double() - columns @ torch.linalg.lstsq(columns, q.double()).solution
    r = (math.pi - 3) / bases
    assert mlp.representable(d, bases * s) == pytest.approx(r / (1 + r))
    r += (
        (bases - 1) / bases / (4 * (s + 2))
    )  # the cross terms of degree 4 that the count leaves out
    assert float(missed.square().mean()) == pytest.approx(r / (1 + r), rel=0.1)


def test_the_judge_reads_what_is_missed():
    problem = NetworkTarget(random_direction(8, seeded(), dtype=F64), "normalized")
    X = draw_inputs(5000, 8, "gaussian", seeded(1), dtype=F64)
    judge = Judge.of(problem, X)
    parts = problem.unit_parts(X)
    got = judge.errors(0.3 * parts[1] + parts[2])
    assert got["missed_dense"] == pytest.approx(0.49) and got["missed_sparse"] < 1e-20
    assert got["test"] == pytest.approx(float((0.7 * parts[1]).square().mean()))
    assert judge.loss_without_dense() == pytest.approx(float(parts[1].square().mean()))
    assert Judge.of(NetworkTarget(problem.beta, "constant"), X).loss_without_dense() == 0


def test_a_climb_stops_at_its_first_success_or_is_censored():
    loose = Climb(1, 6, "published", level=1e3, **SMALL).compute()
    assert loose[0]["first_below"] == 36 and loose[0]["n_run"] == 1
    tight = Climb(1, 6, "published", level=1e-9, **SMALL).compute()
    assert tight[0]["first_below"] is None and tight[0]["n_run"] == 3
    assert tight[1]["curves"].shape == (3, len(tight[1]["times"]))
    np.testing.assert_array_equal(tight[1]["curves"][:, -1], tight[1]["test"])
    assert (tight[1]["curves"][0] == loose[1]["curves"][0]).all()


def test_the_end_decides_and_a_touch_on_the_way_is_noted():
    ends, curves = [0.2, 0.15, 0.05], [[0.9, 0.3, 0.2], [0.9, 0.08, 0.15], [0.9, 0.2, 0.05]]
    rows = [{"train": 0.0, "test": v, "missed_dense": 0.0, "missed_sparse": 0.0} for v in ends]
    rungs = mlp.Rungs(rows, [np.array(c) for c in curves], {})
    problem = NetworkTarget(random_direction(6, seeded()), "published")
    judge = Judge.of(problem, draw_inputs(50, 6, "gaussian", seeded(1)))
    summary, _ = Climb(1, 6, "published", **SMALL).result(rungs, judge)
    assert (summary["first_below"], summary["first_touch"]) == (108, 72)


def test_training_sets_are_nested_and_the_start_is_one():
    alone = Climb(1, 6, "published", level=1e-9, **SMALL | {"multiples": (2.0, 3.0)}).compute()[1]
    together = Climb(1, 6, "published", level=1e-9, **SMALL).compute()[1]
    np.testing.assert_array_equal(alone["curves"], together["curves"][1:])
    assert len(set(together["curves"][:, 0])) == 1 and len(set(together["test"])) == 3
    other = Climb(2, 6, "published", level=1e-9, **SMALL).compute()[1]
    assert other["test"][0] != together["test"][0]


@pytest.mark.parametrize("die_at", [5, 55, 111])
def test_a_killed_climb_goes_on_where_it_stood(die_at):
    point = Climb(3, 6, "normalized", level=1e-9, **SMALL)
    memory = Memory(die_at)
    with pytest.raises(KilledError):
        point.compute(memory.run())
    done = len(memory.state.get("rung/test", ()))
    assert done == (die_at - 1) // 40  # 40 saves a rung
    again, whole = point.compute(memory.run()), point.compute()
    assert memory.saves == 3 * 40 + 1  # only the save that it died at comes twice
    assert again[0] == whole[0]
    for name, values in whole[1].items():
        np.testing.assert_array_equal(again[1][name], values)


def test_divergence_is_an_outcome():
    summary, arrays = Climb(1, 6, "published", **SMALL | {"step": 1e6}).compute()
    assert summary["first_below"] is None and np.isnan(arrays["train"]).all()
    assert np.isnan(arrays["test"]).all() and np.isfinite(arrays["curves"][:, 0]).all()


def test_a_recorder_sees_the_declared_steps_only():
    network, X, y = network_and_data()
    seen = []
    recorder = Recorder([0, 3, 7], lambda net: {"loss": seen.append(1) or 0.0})
    mlp.descend(network, X, y, 0.01, recorder)
    assert len(seen) == 3 and np.isfinite(recorder.values()["loss"]).all()


@pytest.mark.parametrize("multiples", [(), (2.0, 1.0), (1.0, 1.0), (0.0, 1.0)])
def test_a_grid_that_does_not_climb_is_refused(multiples):
    with pytest.raises(InputError, match="increasing multiples"):
        Climb(1, 6, "published", multiples)


def test_unknown_dense_part():
    with pytest.raises(UnknownNameError, match="published"):
        Climb(1, 6, "normalised", (1.0,))


def test_the_erratum_in_closed_form():
    """Without the dense part the published target's loss is below .1 up to d = 68, not beyond."""
    small = [d for d in range(4, 200, 2) if mlp.published_moments(d)[1] < 0.1]
    assert small == list(range(4, 70, 2))
    assert log_slope([10, 20], [mlp.published_moments(d)[1] for d in (12, 22)]) == pytest.approx(1)


# ---------------------------------------------------------------- what the chapter reads


def made(d: int, seed: int, n, test, dense="published"):
    """A record as the chapter sees it."""
    below = next((int(a) for a, v in zip(n, test, strict=True) if v < 0.1), None)
    config = {"d": d, "seed": seed, "dense": dense, "level": 0.1}
    arrays = {"n": np.array(n), "test": np.array(test)}
    return Record("mlp", config, "key", {"first_below": below}, arrays, {}, Path())


def test_thresholds_are_read_between_grid_points_and_censored_ones_count_as_bounds():
    assert ledger.crossing(made(10, 1, [100, 400], [0.4, 0.025])) == pytest.approx(200)
    rows = [made(10, s, [100, 400], [0.4, 0.2 if s == 2 else 0.025]) for s in (1, 2, 3)]
    rows += [made(d, s, [d**2, 4 * d**2], [0.4, 0.025]) for d in (20, 40) for s in (1, 2, 3)]
    rows += [made(50, s, [2500], [0.4]) for s in (1, 2)]
    assert math.isnan(ledger.by_dimension(rows)[10][2])
    assert page.last_of_censored(rows) == {10: 400.0, 50: 2500.0}
    found = ledger.bounds(rows)
    assert list(found) == [10, 20, 40] and found[10][2] == 400.0
    assert found[10][1] == pytest.approx(200)
    got = chapters.claim("mlp-exponent-published").judge(
        {d: list(row.values()) for d, row in found.items()}
    )
    assert got.measured["slope"] == pytest.approx(2.0)  # one bound of three: not felt
    assert page.multiple(rows[:3], 10) == "2.0 (2.0 to over 4.0), 1 of 3 censored"
    assert page.multiple(rows[3:6], 20) == "2.0 (2.0–2.0)"
    assert page.multiple(rows[9:], 50) == "over 1.0, 2 of 2 censored"
    assert page.multiple([], 10) == "not run"


def test_what_fewer_steps_would_have_asked_for_is_read_off_the_curves():
    record = made(10, 1, [100, 400, 1600], [0.4, 0.1, 0.025])
    early = [0.4, 0.2, 0.05]  # a factor 4 in n from .2 to .05: .1 lies in the middle
    record.arrays.update(
        times=np.array([0, 10, 20]), curves=np.array([[1, 1, 1], early, [9, 9, 9]]).T
    )
    assert ledger.at_step(record, 10).tolist() == early
    assert ledger.share_after_all(record, 10) == pytest.approx(400 / 800)
    assert ledger.share_after_all(record, 20) == 0  # censored then
    record.arrays["curves"][:, 2] = record.arrays["test"]
    assert ledger.share_after_all(record, 20) == pytest.approx(1)


def test_cubics_are_counted():
    d = 5
    count = sum(1 for a in range(4) for _ in combinations_with_replacement(range(d), a))
    assert ledger.cubics(d) == count


def test_the_erratum_table_is_what_sampling_gives():
    row = page.moments_at(50)
    X = draw_inputs(100_000, 50, "gaussian", seeded())
    q = X[:, 26:].square().sum(1) / math.sqrt(675)
    values = [float(q.mean()), float(q.var()), float(q.square().mean())]
    assert [float(x) for x in row[2:5]] == pytest.approx(values, abs=0.01)
    assert row[1] == "24" and row[5] == "yes" and page.moments_at(70)[5] == "no"
