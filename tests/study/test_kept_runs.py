"""Every class of run that takes long at full size is killed, goes on, and ends with the same bits.

How long they take is read off their records, so that a new long class is asked for here.
"""

import json

import numpy as np
import pytest
from golden.points import POINTS, one_thread, published_size_made_small
from mortal import KilledError, Memory

from escape_ntk.records import database
from escape_ntk.records.store import RecordStore, default_root
from escape_ntk.training.run import UNSAVED

LONG = 30.0
"""Seconds."""
UNCUT = {
    "joint-leaks": "one eigenproblem of Lanczos; what follows it takes seconds",
    "directions-noise": "one eigenproblem; seconds on a machine that is not crowded",
}
"""Long classes that keep nothing, and why."""


@pytest.fixture(autouse=True)
def _small():
    """Every run at its golden size, its sums in one order."""
    with one_thread(), published_size_made_small():
        yield


def longest() -> dict[str, float]:
    """Class → wall seconds of its longest recorded run."""
    store, out = RecordStore(default_root()), {}
    for name in store.experiments():
        with database.reading(store.path(name)) as there:
            rows = there.execute("SELECT provenance FROM records").fetchall()
        out[name] = max(json.loads(text)["wall_seconds"] for (text,) in rows)
    return out


KEPT = sorted(name for name, seconds in longest().items() if seconds > LONG and name not in UNCUT)


def same(a, b) -> bool:
    """Equal summaries, and arrays equal bit for bit."""
    (summary, arrays), (other, others) = a, b
    return (
        json.dumps(summary) == json.dumps(other)
        and arrays.keys() == others.keys()
        and all(np.array(arrays[n]).tobytes() == np.array(others[n]).tobytes() for n in arrays)
    )


def saves_of(point) -> int:
    memory = Memory()
    point.compute(memory.run())
    return memory.saves


@pytest.mark.parametrize("name", KEPT)
def test_a_killed_run_goes_on_and_ends_with_the_same_bits(name):
    """Killed after its first save, half-way and after its last, one after the other."""
    point = POINTS[name]
    whole, count = point.compute(UNSAVED), saves_of(point)
    assert count > 0, f"{name} runs for more than {LONG:g} s and saves nothing: hand `run` on"
    memory = Memory()
    for memory.die_at in sorted({1, (count + 1) // 2, count}):
        with pytest.raises(KilledError):
            point.compute(memory.run())
    assert same(point.compute(memory.run()), whole)
    assert memory.saves <= count + 3, "it began again"


def test_control_a_state_that_was_changed_changes_the_end():
    """What is kept is what is used."""
    point = POINTS["joint-gap"]
    memory = Memory(saves_of(point) // 2)
    with pytest.raises(KilledError):
        point.compute(memory.run())
    (name,) = [name for name in memory.state if name.endswith("/y")]
    memory.state[name] = memory.state[name] * 1.01
    assert not same(point.compute(memory.run()), point.compute(UNSAVED))


def test_the_long_classes_are_known():
    assert {"curves", "mlp", "quadntk-alone", "joint-gap", "complexity-joint"} <= set(KEPT)
    assert UNCUT.keys() <= longest().keys() and len(KEPT) > 15
