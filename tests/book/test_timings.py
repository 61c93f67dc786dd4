"""The tables of the page *Speed*, from what is stored and from made records."""

import importlib
import json

import pytest

LIMITS = {"seconds": 600, "GiB": 8}
DECLARED = {"n": 500, "d": 50, "m": 5000, "seconds": [60.0, 50.0, 70.0], "MiB": 900.0}
ENDED = {"outcome": "out of time", "seconds": None}
SOLVED = {"seconds": 61.0, "MiB": 800.0, "gradients": 310, "test": 0.25}


@pytest.fixture
def timings(extensions):
    return importlib.import_module("timings")


def test_every_table_is_drawn_from_what_is_stored(timings):
    for name, table in timings.TABLES.items():
        header, rows = table()
        assert {len(row) for row in rows} == {len(header)} or (name, rows) == ("largest", [])
        assert not rows or "PyTorch" in timings.conditions(name)


@pytest.mark.parametrize(
    ("measured", "seconds"), [(SOLVED, "61"), (ENDED, "out of time")], ids=["solved", "ended"]
)
def test_the_largest_problem_is_told_whether_it_fits_or_not(
    timings, monkeypatch, tmp_path, measured, seconds
):
    monkeypatch.setattr(timings, "BENCHMARKS", tmp_path)
    assert timings.largest()[1] == []  # before it was run
    found = {"declared": {**DECLARED, "gradients": 307}, "measured": measured}
    told = {"limits": LIMITS, "found": found}
    (tmp_path / "largest.json").write_text(json.dumps(told))
    header, (said, got) = timings.largest()
    assert said[header.index("seconds")] == "60 [50, 70]"
    assert got[header.index("seconds")] == seconds and said[1] == got[1] == "500, 50, 5000"


def test_control_a_measurement_that_is_missing_is_no_empty_cell(timings, monkeypatch, tmp_path):
    told = timings.found("training")
    del told["found"]["now"]["growth in d"]
    (tmp_path / "training.json").write_text(json.dumps(told))
    monkeypatch.setattr(timings, "BENCHMARKS", tmp_path)
    with pytest.raises(KeyError, match="growth in d"):
        timings.growth()
