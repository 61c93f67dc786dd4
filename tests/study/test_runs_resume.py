"""Killed at any moment, ``escape-ntk run`` goes on and ends with the same arrays, bit for bit."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from mortal import KilledError, Memory

from escape_ntk.checks import InputError
from escape_ntk.records.store import RecordStore
from escape_ntk.study import curve as curves
from escape_ntk.study import sweep
from escape_ntk.study.point import configuration

SIZE = dict(d=8, n=40, m=60, n_k=8, n_test=50, t_end=600, n_times=12)

HARNESS = """
import os, random, signal, sys, time
import torch
torch.set_num_threads(1)
from escape_ntk import __main__ as cli
from escape_ntk.chapters.published_figure import runs as figure
figure.LIVE_SIZE = dict(d=12, n=60, m=200, n_k=12, n_test=100, t_end=8_000)

def run(folder, every):
    return cli.main(["--records", folder, "run", "published-figure", "--scale", "live",
                     "--seeds", "1,2", "--checkpoint-seconds", every])

folder, whole = sys.argv[1:]
pick, killed = random.Random(int(time.time())), 0
for _ in range(20):
    child = os.fork()
    if child == 0:
        os._exit(run(folder, "0.01"))
    time.sleep(pick.uniform(0.02, 0.35))
    os.kill(child, signal.SIGKILL)
    killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
print("killed", killed)
sys.exit(100 if killed < 10 else run(folder, "0.01") or run(whole, "1e9"))
"""


def stored(folder) -> dict[str, np.ndarray]:
    return {
        f"{record.key}/{name}": array
        for record in RecordStore(folder).find("curves")
        for name, array in record.arrays.items()
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_twenty_kills_change_no_bit(tmp_path):
    killed, whole = str(tmp_path / "killed"), str(tmp_path / "whole")
    done = subprocess.run(
        [sys.executable, "-c", HARNESS, killed, whole],
        capture_output=True, text=True, timeout=300, env={**os.environ, "SHAPES": "0"},
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout[-200:], done.stderr[-2000:])
    ours, theirs = stored(killed), stored(whole)
    assert ours.keys() == theirs.keys() and len(ours) > 50
    assert all(ours[name].tobytes() == theirs[name].tobytes() for name in ours)
    assert not list((tmp_path / "killed" / ".checkpoints").rglob("*.sqlite"))


@pytest.mark.parametrize("method", ["flow", "descent"])
def test_resumed_curve_is_the_same_and_a_restart_from_a_wrong_state_is_not(method):
    point, memory = curves.Curve(3, 4.0, method=method, **SIZE), Memory(die_at=2)
    _, whole = point.compute()
    with pytest.raises(KilledError):
        point.compute(memory.run())
    kept = dict(memory.state)
    _, resumed = point.compute(memory.run())
    assert all(np.array_equal(resumed[name], whole[name]) for name in whole)
    moving = "#0/state" if method == "descent" else "#0/y"
    memory.state = {**kept, moving: kept[moving] + 0.01}
    _, wrong = point.compute(memory.run())
    assert not np.array_equal(wrong["test"], whole["test"])


def test_results_do_not_depend_on_the_executor(tmp_path):
    points = [curves.Curve(seed, 1.0, **SIZE) for seed in (1, 2)]
    one = sweep.run_points(points, RecordStore(tmp_path / "one"), progress=False)
    two = sweep.run_points(points, RecordStore(tmp_path / "two"), workers=2, progress=False)
    for a, b in zip(one, two, strict=True):
        assert a.config == b.config
        for name in a.arrays:
            assert np.allclose(a.arrays[name], b.arrays[name], rtol=1e-4, atol=1e-6)


def test_finished_points_are_not_computed_again(tmp_path, monkeypatch):
    point, store = curves.Curve(1, 1.0, **SIZE), RecordStore(tmp_path)
    first = sweep.run_point(point, store)
    monkeypatch.setattr(curves.Curve, "compute", lambda *args: pytest.fail("computed again"))
    assert sweep.run_points([point], store, progress=False)[0].key == first.key


def test_time_of_earlier_attempts_is_counted():
    memory = Memory()
    memory.state = {"seconds_before": np.array(100.0)}
    first = memory.run()
    assert first.seconds >= 100.0 and first.load() is None
    first.part().save({"y": np.ones(2)})
    assert memory.state["seconds_before"] >= 100.0
    assert Memory().run().seconds < 50.0


def test_a_point_that_stands_twice_is_computed_once(tmp_path, monkeypatch):
    calls, compute = [], curves.Curve.compute
    monkeypatch.setattr(
        curves.Curve, "compute", lambda self, *a: calls.append(self) or compute(self, *a)
    )
    point = curves.Curve(1, 1.0, **SIZE)
    records = sweep.run_points([point, point], RecordStore(tmp_path), progress=False)
    assert len(records) == 2 and len(calls) == 1


# ---------------------------------------------------------------- places


def piece(value: float):
    return lambda part: {"x": value}


@pytest.mark.parametrize(
    "twice",
    [
        lambda run: [run.once("a", piece(1.0)), run.once("a", piece(2.0))],
        lambda run: [run.tabulate([1], lambda i, part: {"x": 1.0}) for _ in range(2)],
        lambda run: [run.part("a"), run.part("a")],
        lambda run: run.part("a/b"),
        lambda run: run.once("a=", piece(1.0)),
        lambda run: run.part(""),
    ],
)
def test_two_pieces_in_one_place_are_refused(twice):
    with pytest.raises(InputError, match=r"expected a name of its own .* remedy"):
        twice(Memory().run())


def test_pieces_with_names_numbers_and_rows_do_not_meet():
    def go(run) -> list[float]:
        flow = run.part()
        flow.keep({"x": 1.0})
        rows = run.tabulate([5.0, 6.0], lambda x, part: {"x": x})["x"]
        named = run.part("again").tabulate([7.0], lambda x, part: {"x": x})["x"]
        return [float(flow.load()["x"]), *rows, *named, run.once("last", piece(8.0))["x"]]

    memory = Memory()
    assert go(memory.run()) == go(memory.run()) == [1.0, 5.0, 6.0, 7.0, 8.0]


def test_a_generator_stands_where_it_stood_after_a_piece_that_was_kept():
    memory, numbers = Memory(), []
    for _ in range(2):
        generator = torch.Generator().manual_seed(3)
        run = memory.run()
        run.once(
            "draw", lambda part, g=generator: {"x": float(torch.rand(1, generator=g))}, generator
        )
        numbers.append(float(torch.rand(1, generator=generator)))
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_state_left_by_a_kill_just_after_the_record_goes_with_the_next_run(tmp_path, workers):
    points, store = [curves.Curve(seed, 1.0, **SIZE) for seed in (1, 2)], RecordStore(tmp_path)
    sweep.run_point(points[0], store)
    checkpoint = store.checkpoint("curves", configuration(points[0]))
    checkpoint.save({"y": 1.0})
    assert checkpoint.path.exists()
    sweep.run_points(points[:workers], store, workers=workers, progress=False)
    assert not checkpoint.path.exists()
