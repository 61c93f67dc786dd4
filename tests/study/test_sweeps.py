"""One code path for every executor: the same records, and a dead worker costs its point only."""

import os
import subprocess
import sys
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from fragile import Failing, Fragile, Quick, Slow

from escape_ntk.__main__ import main
from escape_ntk.records.store import RecordStore
from escape_ntk.study import sweep


def arrays(records) -> list[bytes]:
    return [r.arrays["draws"].tobytes() for r in records]


@pytest.fixture
def points() -> list[Quick]:
    return [Quick(seed) for seed in range(6)]


def test_any_executor_gives_the_same_records(tmp_path, points):
    alone = sweep.run_points(points, RecordStore(tmp_path / "one"), progress=False)
    with ThreadPoolExecutor(2) as executor:
        there = sweep.run_points(
            points, RecordStore(tmp_path / "two"), executor=executor, progress=False
        )
    assert arrays(there) == arrays(alone)
    assert [r.key for r in there] == [r.key for r in alone]
    assert arrays(alone) != arrays(alone[::-1])  # control: the seeds differ


def test_a_worker_that_dies_costs_its_point_only(tmp_path, points):
    (tmp_path / "deaths").mkdir()
    store, fragile = RecordStore(tmp_path / "records"), Fragile(9, str(tmp_path / "deaths"), 2)
    records = sweep.run_points([*points, fragile], store, workers=2, progress=False)
    assert len(list((tmp_path / "deaths").iterdir())) == 2
    assert arrays(records)[:-1] == arrays(
        sweep.run_points(points, RecordStore(tmp_path / "calm"), progress=False)
    )
    assert records[-1].experiment == "fragile"


def test_a_point_that_always_kills_is_named_and_the_others_are_kept(tmp_path, points):
    (tmp_path / "deaths").mkdir()
    store, fragile = RecordStore(tmp_path / "records"), Fragile(9, str(tmp_path / "deaths"), 99)
    with pytest.raises(sweep.WorkersDiedError, match="Fragile"):
        sweep.run_points([fragile, *points], store, workers=2, progress=False)
    found = [sweep.lookup(point, store) for point in points]
    assert all(record is not None for record in found)


class Refusing(Executor):
    """Fails every job with an error of its own."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_exception(ZeroDivisionError("of the point"))
        return future


def test_an_error_of_a_point_is_not_retried(tmp_path, points):
    with pytest.raises(ZeroDivisionError):
        sweep.run_points(points, RecordStore(tmp_path), executor=Refusing(), progress=False)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_names_its_point_and_the_points_behind_it_are_not_begun(tmp_path, workers):
    points, store = [Quick(1), Failing(5), *(Slow(seed, 3600.0) for seed in range(9))], tmp_path
    with pytest.raises(ZeroDivisionError) as caught:
        sweep.run_points(points, RecordStore(store), workers=workers, progress=False)
    assert caught.value.__notes__ == [f"at the point {Failing(5)}"]
    assert RecordStore(store).experiments() == ["quick"]


# ---------------------------------------------------------------- cut short


def test_an_error_is_raised_at_once_and_what_is_finished_is_kept(tmp_path, points):
    """The point that fails is the first; behind it stand points that would take hours."""
    store = RecordStore(tmp_path)
    slow = [Slow(seed, 3600.0) for seed in range(4)]
    failing = Failing(1, after=str(store.root / "quick.sqlite"))
    with pytest.raises(ZeroDivisionError):
        sweep.run_points([points[0], failing, *slow], store, workers=2, progress=False)
    assert sweep.lookup(points[0], store) is not None


INTERRUPTED = """
import os, sys, threading, time, signal
sys.path.insert(0, sys.argv[1])
from fragile import Quick, Slow
from escape_ntk.study import sweep
from escape_ntk.records.store import RecordStore

if __name__ == "__main__":
    store = RecordStore(sys.argv[2])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored

    def interrupt():
        while not store.keys("quick"):
            time.sleep(0.05)
        group = sys.argv[3] == "group"
        (os.killpg if group else os.kill)(os.getpgid(0) if group else os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    points = [Quick(1), *(Slow(seed, 3600.0) for seed in range(3))]
    try:
        sweep.run_points(points, store, workers=2, progress=False)
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("whom", ["process", "group"])
def test_ctrl_c_ends_a_sweep_with_workers(tmp_path, whom):
    """Behind a finished point stand hours of others: they are not waited for, and leave nothing."""
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED)
    here = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, str(script), here, str(tmp_path / "records"), whom],
        capture_output=True, text=True, timeout=200, start_new_session=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")
    assert len(RecordStore(tmp_path / "records").keys("quick")) == 1


# ---------------------------------------------------------------- Dask


@pytest.fixture(scope="module")
def dask_cluster():
    distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield cluster


def test_a_dask_cluster_gives_the_records_of_the_local_pool(tmp_path, points, dask_cluster):
    from distributed import Client

    here = sweep.run_points(points, RecordStore(tmp_path / "here"), workers=2, progress=False)
    with Client(dask_cluster) as client:
        with client.get_executor(pure=False) as executor:
            there = sweep.run_points(
                points, RecordStore(tmp_path / "there"), executor=executor, progress=False
            )
    assert [(r.key, r.summary) for r in there] == [(r.key, r.summary) for r in here]
    assert arrays(there) == arrays(here)


def test_dask_workers_need_no_folder_in_common(tmp_path, points, dask_cluster):
    """They work in another folder, where the records never appear."""
    from distributed import Client

    def move(folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        os.chdir(folder)
        os.environ["ESCAPE_NTK_RECORDS"] = os.path.join(folder, "own")

    store = RecordStore(tmp_path / "here" / "records")
    with Client(dask_cluster) as client:
        client.run(move, str(tmp_path / "there"))
        with client.get_executor(pure=False) as executor:
            records = sweep.run_points(points, store, executor=executor, progress=False)
    alone = sweep.run_points(points, RecordStore(tmp_path / "alone"), progress=False)
    assert arrays(records) == arrays(alone) and store.experiments() == ["quick"]
    assert not list((tmp_path / "there").rglob("quick.sqlite"))


def test_a_dask_worker_that_dies_loses_nothing(tmp_path, points, dask_cluster):
    from distributed import Client

    (tmp_path / "deaths").mkdir()
    fragile = Fragile(9, str(tmp_path / "deaths"), 1)
    with Client(dask_cluster) as client:
        with client.get_executor(pure=False) as executor:
            records = sweep.run_points(
                [fragile, *points], RecordStore(tmp_path / "r"), executor=executor, progress=False
            )
    assert len(records) == 7 and len(list((tmp_path / "deaths").iterdir())) == 1


def test_an_address_without_a_scheduler_is_refused(tmp_path, capsys):
    pytest.importorskip("distributed")
    command = ["--records", str(tmp_path), "run", "setup", "--seeds", "1"]
    assert main([*command, "--scheduler", "nowhere"]) == 2
    assert "tcp://host:8786" in capsys.readouterr().err


def test_without_distributed_the_remedy_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    command = ["--records", str(tmp_path), "run", "setup", "--seeds", "1"]
    assert main([*command, "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "escape-ntk[cluster]" in capsys.readouterr().err
