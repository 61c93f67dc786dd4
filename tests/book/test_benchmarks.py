"""What the benchmarks share: no record is lost or mixed, and what is told of each is true."""

import argparse
import importlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = {"machine": {"processor": "a", "threads": 1}}
THERE = {"machine": {"processor": "b", "threads": 1}}


@pytest.fixture
def timing(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("timing")


def test_a_record_of_another_machine_is_neither_lost_nor_mixed(timing, tmp_path):
    record = tmp_path / "r.json"
    assert timing.stored(record, HERE) == {}
    timing.store(record, HERE, {"x": {"ratio": 1.0}})
    assert timing.stored(record, HERE) == {"x": {"ratio": 1.0}}  # control
    before = record.read_bytes()
    with pytest.raises(SystemExit, match="--replace begins this file anew"):
        timing.stored(record, THERE)
    assert record.read_bytes() == before and timing.stored(record, THERE, replace=True) == {}
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]  # nothing half-written


def test_ratios_are_those_of_the_turns(timing, monkeypatch):
    """Of made seconds: the machine is three times slower in the later turns."""
    slow = iter([1, 1, 1, 3, 3, 3, 3])
    now = {}

    def timed(call):
        if call == "call":
            now["factor"] = next(slow)
        return 0.0, now["factor"] * (0.2 if call == "call" else 0.1)

    class Named(str):
        def __call__(self):
            pass

    monkeypatch.setattr(timing, "timed", timed)
    found = timing.paired(Named("call"), Named("plain"))
    assert found["ratio"] == pytest.approx(2) and found["ms"] == pytest.approx(600)
    assert found["quartiles"] == pytest.approx([2, 2])


def test_the_peak_is_that_of_the_process_itself():
    """A small process that a large one has started says what it holds, not what that held."""
    small = "import timing; print(timing.peak())"
    large = (
        "import subprocess, sys; held = b'x' * (400 * 2**20)"
        f"; subprocess.run([sys.executable, '-c', {small!r}], check=True)"
    )
    environment = {"PYTHONPATH": str(ROOT / "benchmarks"), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", large], capture_output=True, text=True, check=True, env=environment
    )
    if Path("/proc/self/status").exists():
        assert 5 < float(done.stdout) < 200


def test_the_state_of_the_code_changes_with_what_is_timed(timing, tmp_path):
    for part in timing.TIMED:
        place = tmp_path / part
        file = place if place.suffix else place / "x.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("a = 1\n", "utf-8")
    states = [timing.state_of(tmp_path)]
    (tmp_path / "other.py").write_text("untimed", "utf-8")
    assert timing.state_of(tmp_path) == states[0]  # control
    (tmp_path / "study/curve.py").write_text("a = 2\n", "utf-8")
    states.append(timing.state_of(tmp_path))
    (tmp_path / "models/x.py").write_text("a = 2\n", "utf-8")
    assert len({*states, timing.state_of(tmp_path)}) == 3
    today = time.strftime("%Y-%m-%d")
    assert timing.dated({"ratio": 1.0}, tmp_path)["day"] in (today, time.strftime("%Y-%m-%d"))


def test_what_was_timed_before_a_change_is_said_to_be(extensions, timing, monkeypatch, tmp_path):
    timings = importlib.import_module("timings")
    machine = {"processor": "p", "cores": 2, "threads": 1, "torch": "2"}
    monkeypatch.setattr(timings, "BENCHMARKS", tmp_path)
    now = timing.state_of(timings.PACKAGE)
    for code, late in (({"code": now}, False), ({"code": "0" * 12}, True), ({}, False)):
        rows = {"gradient": {"ratio": 1.0, "day": "2026-01-02", **code}}
        told = {"machine": machine, "found": {"now": rows}}
        (tmp_path / "training.json").write_text(json.dumps(told), "utf-8")
        said = timings.conditions("products")
        assert "2026-01-02" in said and ("in part before the last change" in said) == late
        assert "1 thread of 2 cores (p), PyTorch 2" in said


def test_a_command_takes_where_to_store_and_refuses_bad_counts(timing, tmp_path, capsys):
    """Each of the benchmarks takes what the refusal names as its remedy."""
    folder = ROOT / "benchmarks"
    storing = [p for p in folder.glob("*.py") if "stored(" in p.read_text("utf-8")]
    assert len(storing) > 6
    for path in storing:
        own = path.name == "timing.py" or "takes_record(parser, " in path.read_text("utf-8")
        assert own, path.name
    parser = argparse.ArgumentParser()
    timing.takes_record(parser, tmp_path)
    parser.add_argument("--n", type=timing.count)
    asked = parser.parse_args(["--record", "x.json", "--replace", "--n", "3"])
    assert (asked.record, asked.replace, asked.n) == (Path("x.json"), True, 3)
    for bad in ("0", "-1", "2.5", "x"):
        with pytest.raises(SystemExit):
            parser.parse_args(["--n", bad])
        assert "a whole number of at least 1" in capsys.readouterr().err


def test_each_record_tells_its_own_machine(extensions, timing, monkeypatch, tmp_path):
    timings = importlib.import_module("timings")
    monkeypatch.setattr(timings, "BENCHMARKS", tmp_path)
    for name in ("training", "peers", "fewer_gradients"):
        machine = {"processor": f"that of {name}", "cores": 2, "threads": 1}
        told = {"machine": machine, "found": {}}
        (tmp_path / f"{name}.json").write_text(json.dumps(told), "utf-8")
    assert "that of fewer_gradients" in timings.conditions("tried")
    assert all(f"that of {name}" in timings.conditions("peers") for name in ("training", "peers"))
    assert "peers" not in timings.conditions("growth")  # control


def test_an_aim_that_is_missed_says_so(extensions):
    timings = importlib.import_module("timings")
    assert timings.met(1.2, "1.25") == "1.25" and timings.met(319.0, "300 MiB") == "300 MiB, missed"
