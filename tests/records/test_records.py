"""Records: round trips, keys, bytes, finding, checkpoints, killed and concurrent writers.

Each check of a guard comes with a control in which the guard is taken away and the check fails.
"""

import hashlib
import json
import multiprocessing
import os
import random
import resource
import signal
import sqlite3
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escape_ntk.checks import InputError, RecordError, RecordWarning
from escape_ntk.records import database, encoding, provenance, vocabulary
from escape_ntk.records import store as records
from escape_ntk.records.store import RecordStore, record_key

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
CONFIG = {"d": 100, "m": 10_000, "lam": 1e-5, "seeds": [0, 1]}
WIDE = ["<f4", "<f8", "<i8", "<u2", "|b1", "<c16", "<U3", ">f8"]

names = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
objects = st.dictionaries(st.text(), values, max_size=4)
arrays = hnp.arrays(
    st.sampled_from(WIDE).map(np.dtype), hnp.array_shapes(min_dims=0, min_side=0, max_side=4)
)


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path / "records")


def save(store: RecordStore, config: dict, value: float = 1.0, **options):
    """A small record whose summary and arrays tell the same ``value``."""
    summary, content = {"value": value}, {"x": np.full((4, 3), value)}
    return store.save("e", config, summary=summary, arrays=content, wall_seconds=1.5, **options)


def same_array(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal shape, kind and bits (after byte order), NaN included."""
    little = a.astype(a.dtype.newbyteorder("<"))
    return little.dtype == b.dtype and a.shape == b.shape and little.tobytes() == b.tobytes()


# ---------------------------------------------------------------- round trip


@settings(max_examples=40)
@given(config=objects, summary=objects, content=st.dictionaries(names, arrays, max_size=3))
def test_round_trip(config, summary, content):
    with tempfile.TemporaryDirectory() as root:
        store = RecordStore(root)
        saved = store.save("e", config, summary=summary, arrays=content, wall_seconds=0)
        loaded = store.load("e", config)
        for record in (saved, loaded):
            assert encoding.canonical(record.config) == encoding.canonical(config)
            assert encoding.canonical(record.summary) == encoding.canonical(summary)
            assert record.arrays.keys() == content.keys()
            assert all(same_array(content[name], record.arrays[name]) for name in content)


def test_names_of_arrays_are_kept_apart(store):
    content = {"a": np.zeros(1), "a.npy": np.ones(1), "b/c": np.full(1, 2.0)}
    record = store.save("e", {}, summary={}, arrays=content, wall_seconds=0)
    found = {name: array.item() for name, array in record.arrays.items()}
    assert found == {"a": 0.0, "a.npy": 1.0, "b/c": 2.0}


def test_record_is_frozen(store):
    record = save(store, CONFIG)
    with pytest.raises(ValueError, match="read-only"):
        record.arrays["x"][0, 0] = 2.0
    with pytest.raises(AttributeError):
        record.key = "other"
    assert record.path == store.root / "e.sqlite"


def test_anyone_can_read_a_record_with_sqlite_and_numpy_alone(store):
    record = save(store, CONFIG, 3.0)
    with closing(sqlite3.connect(record.path)) as there:
        ((config, summary),) = there.execute("SELECT config, summary FROM records")
        ((dtype, shape, data),) = there.execute("SELECT dtype, shape, data FROM arrays")
        ((deep,),) = there.execute("SELECT json_extract(summary, '$.value') FROM records")
    assert json.loads(config) == CONFIG and json.loads(summary) == {"value": 3.0} and deep == 3.0
    x = np.frombuffer(data, dtype).reshape(json.loads(shape))
    np.testing.assert_array_equal(x, record.arrays["x"])


def test_old_names_are_read_as_the_one_name_and_stay_on_the_disk(store):
    """A record stored under the old names is handed out as one under the new ones is."""
    old = {"test_loss": np.ones(2), "linear_on_part0": np.zeros(2), "times": np.arange(2)}
    new = {"test": np.ones(2), "linear_0": np.zeros(2), "times": np.arange(2)}
    store.save("curves", {"seed": 1}, summary={}, arrays=old, wall_seconds=1)
    store.save("curves", {"seed": 2}, summary={}, arrays=new, wall_seconds=1)
    store.save("end-to-end", CONFIG, summary={"end_population": 0.5}, arrays={}, wall_seconds=1)
    first, second = (r.arrays for r in store.find("curves"))
    assert first.keys() == second.keys() == new.keys()
    assert all(same_array(first[name], new[name]) for name in new)
    assert store.load("end-to-end", CONFIG).summary == {"end_R_1": 0.5}
    with closing(sqlite3.connect(store.path("curves"))) as plain:
        stored = {name for (name,) in plain.execute("SELECT name FROM arrays")}
    assert stored == {*old, *new}


def test_control_names_of_other_experiments_and_of_configurations_stay(store):
    config = {"empirical_leak": 1, "test_loss": 2}
    store.save("curves", config, summary={}, arrays={}, wall_seconds=1)
    assert store.load("curves", config).config == config
    mine = store.save("mine", config, summary={"test_loss": 1}, arrays={}, wall_seconds=1)
    assert mine.summary == {"test_loss": 1}


@pytest.mark.parametrize("part", ["summary", "arrays"])
def test_both_names_of_one_quantity_are_refused(store, monkeypatch, part):
    """As they are saved; and as they are read, were they stored all the same."""
    both = {"empirical_leak": np.float64(1), "R_2": np.float64(1)}
    content = {"summary": {}, "arrays": {}, part: both}
    with pytest.raises(InputError, match=r"'R_2' once.*'empirical_leak'"):
        store.save("curves", CONFIG, **content, wall_seconds=1)
    assert not store.path("curves").exists()
    with monkeypatch.context() as unaware:
        unaware.setattr(vocabulary, "OLD_NAMES", {})
        unaware.setattr(records, "_READ", {})
        store.save("curves", CONFIG, **content, wall_seconds=1)
        assert len(getattr(store.load("curves", CONFIG), part)) == 2
    with pytest.warns(RecordWarning, match="'R_2' once"):
        assert store.load("curves", CONFIG) is None


def test_no_two_old_names_of_an_experiment_become_one():
    for experiment, table in vocabulary.OLD_NAMES.items():
        assert len({*table.values()}) == len(table), experiment
        assert not table.keys() & {*table.values()}, experiment


def test_provenance_says_code_versions_hardware_and_time(store):
    facts = save(store, CONFIG, environment={"accelerator": "declared"}).provenance
    expected = {"commit", "dirty", "source_sha256", "python", "numpy", "torch", "platform", "cpu"}
    expected |= {"cores", "threads", "accelerator", "wall_seconds", "written_utc"}
    assert set(facts) == expected
    assert facts["accelerator"] == "declared" and facts["wall_seconds"] == 1.5
    assert facts["numpy"] == np.__version__ and facts["written_utc"].endswith("+00:00")
    own_paths = {str(Path.home()), str(Path.cwd()), os.uname().nodename}
    assert not any(path in json.dumps(facts) for path in own_paths if len(path) > 1)


def test_source_digest_follows_the_source(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    digests = []
    for name, text in [("a.py", "x = 1"), ("a.py", "x = 2"), ("b.py", ""), ("c.txt", "no source")]:
        (tmp_path / name).write_text(text)
        provenance.source_digest.cache_clear()
        digests.append(provenance.source_digest())
    provenance.source_digest.cache_clear()
    assert len(set(digests)) == 3 and digests[2] == digests[3]


# ---------------------------------------------------------------- keys and bytes


def test_key_is_pinned():
    """A change of this value makes every stored record unfindable: raise SCHEMA_VERSION instead."""
    text = b'{"config":{"lam":1e-05,"n":2},"experiment":"figure-1","schema":1}'
    assert record_key("figure-1", {"n": 2, "lam": 1e-5}) == hashlib.sha256(text).hexdigest()


@given(a=objects, b=objects)
def test_key_ignores_order_and_nothing_else(a, b):
    shuffled = dict(reversed(list(a.items())))
    assert record_key("e", a) == record_key("e", shuffled)
    assert (record_key("e", a) == record_key("e", b)) == (
        encoding.canonical(a) == encoding.canonical(b)
    )


def distinct_keys() -> int:
    alike = [1, 1.0, True, "1", [1], {"1": 1}, None, 0.0, -0.0, 0, False, "", [], {}, [[]]]
    return len({record_key("e", {"x": value}) for value in alike}) - len(alike)


def test_key_tells_alike_values_apart(monkeypatch):
    assert distinct_keys() == 0
    assert record_key("e", {"x": (1, 2)}) == record_key("e", {"x": [1, 2]})  # documented
    assert record_key("e", {}) != record_key("f", {})
    monkeypatch.setattr(encoding, "canonical", lambda value: str(hash(str(value == 1))).encode())
    assert distinct_keys() < 0  # control: a key made of Python's == confuses them


def test_key_depends_on_the_schema(monkeypatch):
    before = record_key("e", CONFIG)
    monkeypatch.setattr(records, "SCHEMA_VERSION", 2)
    assert record_key("e", CONFIG) != before


def seal(content: dict) -> str:
    return database.Row("k", "{}", "{}", "{}").seal(
        {name: encoding.array(name, value) for name, value in content.items()}
    )


def test_seal_depends_on_names_and_values_alone():
    x, y = np.arange(6.0).reshape(2, 3), np.float32(2)
    first = seal({"x": x, "y": y})
    for variant in (np.asfortranarray(x), x.astype(">f8"), np.repeat(x, 2, axis=1)[:, ::2]):
        assert seal({"y": y, "x": variant}) == first
    others = [{"x": x + 1e-16 * (x == 0), "y": y}, {"x": x.T, "y": y}, {"x": x, "z": y}]
    others += [{"x": x.view("i8"), "y": y}, {"x": x}]
    assert len({first, *map(seal, others)}) == 6


# ---------------------------------------------------------------- store


def test_get_or_run_computes_once_and_times_it(store):
    calls = []

    def compute():
        calls.append(1)
        time.sleep(0.02)
        return {"value": 1.0}, {"x": np.ones(3)}

    first, second = (store.get_or_run("e", CONFIG, compute) for _ in range(2))
    assert len(calls) == 1 and first.summary == second.summary
    assert 0.02 <= first.provenance["wall_seconds"] < 5.0
    assert store.load("e", {**CONFIG, "m": 2}) is None


def test_first_writer_wins_unless_told_otherwise(store):
    save(store, CONFIG, 1.0)
    assert save(store, CONFIG, 2.0).summary == {"value": 1.0}
    assert save(store, CONFIG, 2.0, overwrite=True).arrays["x"][0, 0] == 2.0
    with database.reading(store.path("e")) as there:  # and the superseded arrays are gone
        assert there.execute("SELECT count(*) FROM arrays").fetchone() == (1,)


def test_find_filters_strictly_and_sorts(store):
    for lam in (1e-3, 0.0, 1e-5):
        for seed in (1, 0):
            save(store, {"lam": lam, "seed": seed}, lam)
    assert [r.config["seed"] for r in store.find("e", lam=1e-5)] == [0, 1]
    assert len(store.find("e")) == 6 and store.find("other") == []
    assert store.find("e", lam=0) == [] and len(store.find("e", lam=0.0)) == 2
    assert store.find("e", width=3) == []
    assert [r.key for r in store.find("e")] == [r.key for r in store.find("e")]


def test_find_leaves_out_what_is_damaged_and_moves_nothing(store):
    good, bad = (save(store, {"seed": seed}) for seed in range(2))
    change(good.path, "UPDATE records SET summary = '{}' WHERE key = ?", bad.key)
    before = good.path.read_bytes()
    with pytest.warns(RecordWarning, match="expected") as caught:
        assert [r.key for r in store.find("e")] == [good.key]
    assert len(caught) == 1 and good.path.read_bytes() == before
    assert store.keys("e") == {good.key, bad.key}


def test_find_refuses_records_copied_from_another_experiment(store):
    path = save(store, CONFIG).path
    path.rename(store.path("f"))
    with pytest.warns(RecordWarning, match="the config of key"):
        assert store.find("f") == []
    store.path("f").rename(path)
    assert store.find("e")[0].experiment == "e"  # control


def change(path: Path, statement: str, *values) -> None:
    """Change a database behind the store's back."""
    with closing(sqlite3.connect(path)) as there, there:
        there.execute(statement, values)


def count_reads(monkeypatch) -> list[str]:
    """Keys of records as they are read from a file."""
    read, seen = database.get, []
    monkeypatch.setattr(database, "get", lambda there, key: seen.append(key) or read(there, key))
    return seen


def test_each_record_is_read_once_by_a_process(store, monkeypatch):
    keys = [save(store, {"seed": seed}).key for seed in range(3)]
    RecordStore(store.root).find("e")
    seen = count_reads(monkeypatch)
    for again in (store, RecordStore(store.root)):
        assert len(again.find("e")) == 3
        assert again.load("e", {"seed": 1}).key == keys[1]
    assert seen == []


def test_control_a_file_that_changed_is_read_again(store, monkeypatch):
    record = save(store, CONFIG)
    seen = count_reads(monkeypatch)
    os.utime(record.path, ns=(0, 0))
    store.load("e", CONFIG)
    store.load("e", CONFIG)
    assert seen == [record.key]


def test_names_and_keys_are_listed_without_reading_records(store, monkeypatch):
    key = save(store, CONFIG).key
    store.checkpoint("e", CONFIG).save({"x": 1})
    seen = count_reads(monkeypatch)
    assert store.experiments() == ["e"] and store.keys("e") == {key}
    assert store.keys("other") == set() and seen == []


def test_default_root(monkeypatch, tmp_path):
    monkeypatch.setenv(records.ROOT_VARIABLE, str(tmp_path))
    assert records.default_root() == tmp_path
    monkeypatch.delenv(records.ROOT_VARIABLE)
    monkeypatch.setattr(records, "checkout", lambda: tmp_path / "clone")
    assert records.default_root() == tmp_path / "clone" / "book" / "records"
    monkeypatch.setattr(records, "checkout", lambda: None)
    assert records.default_root() == Path("escape-ntk-records")


def test_checkout_is_the_folder_with_pyproject_and_book(monkeypatch, tmp_path):
    package = tmp_path / "clone" / "src" / "p"
    monkeypatch.setattr(provenance, "PACKAGE", package)
    assert provenance.checkout() is None
    (tmp_path / "clone" / "book").mkdir(parents=True)
    (tmp_path / "clone" / "pyproject.toml").touch()
    assert provenance.checkout() == tmp_path / "clone"


# ---------------------------------------------------------------- checkpoints


@settings(max_examples=20)
@given(state=st.dictionaries(names, arrays | st.floats() | st.integers(-9, 9), max_size=3))
def test_checkpoint_round_trip(state):
    with tempfile.TemporaryDirectory() as root:
        checkpoint = RecordStore(root).checkpoint("e", CONFIG)
        assert checkpoint.load() is None
        checkpoint.save(state)
        loaded = RecordStore(root).checkpoint("e", CONFIG).load()
        assert loaded.keys() == state.keys()
        assert all(same_array(np.asarray(state[name]), loaded[name]) for name in state)
        checkpoint.clear()
        checkpoint.clear()
        assert checkpoint.load() is None


def test_checkpoint_is_replaced(store):
    checkpoint = store.checkpoint("e", CONFIG)
    for step in range(3):
        checkpoint.save({"step": step, "w": np.full(5, float(step))})
    assert checkpoint.load()["step"] == 2
    assert [path.name for path in checkpoint.path.parent.iterdir()] == [checkpoint.path.name]


# ---------------------------------------------------------------- killed and concurrent writers


def forked(work: Callable[[], object]) -> int:
    """Process id of a child that does ``work`` and exits with 0 if nothing was raised."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def exit_status(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def endless_writes(store: RecordStore) -> None:
    """Overwrite one record and one checkpoint for ever; every state tells one number throughout."""
    for turn in range(10**9):
        value = turn + 0.1
        summary, content = {"values": [value] * 2000}, {"x": np.full(4000, value)}
        store.save("e", {}, summary=summary, arrays=content, wall_seconds=0, overwrite=True)
        store.checkpoint("e", {}).save({"turn": turn, "x": np.full(8000, turn)})


def is_whole(store: RecordStore) -> bool:
    """Whether record and checkpoint are each absent, or valid and of one piece."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        record, state = store.load("e", {}), store.checkpoint("e", {}).load()
    whole = not any(issubclass(warning.category, RecordWarning) for warning in caught)
    if record is not None:
        whole &= set(record.summary["values"]) == set(record.arrays["x"].tolist())
    if state is not None:
        whole &= bool((state["x"] == state["turn"]).all())
    return whole


def kill_at_random(store: RecordStore, moments: int = 20) -> list[bool]:
    """Whether the store was whole after each of ``moments`` kills of a writer."""
    chance, outcomes = random.Random(1), []
    provenance.environment()  # found once, here, not in every child
    for _ in range(moments):
        child = forked(lambda: endless_writes(store))
        time.sleep(chance.uniform(0.0, 0.12))
        os.kill(child, signal.SIGKILL)
        assert exit_status(child) == -signal.SIGKILL
        outcomes.append(is_whole(store))
    return outcomes


def test_killed_writer_leaves_valid_or_absent_records(store):
    assert all(kill_at_random(store))
    assert store.load("e", {}) is not None  # and some were written
    save(store, {}, overwrite=True)
    store.checkpoint("e", {}).save({"x": 0})
    left = [path.name for path in store.root.rglob("*") if path.is_file()]
    assert len(left) == 2  # what the dead left behind is cleared


def test_control_without_a_journal_a_kill_is_not_survived(store, monkeypatch):
    connect = database._connect

    def careless(path, mode):
        there = connect(path, mode)
        there.execute("PRAGMA journal_mode = OFF")
        there.execute("PRAGMA cache_size = 2")
        return there

    save(store, {})
    with monkeypatch.context() as patch:
        patch.setattr(database, "_connect", careless)
        assert exit_status(forked(lambda: die_before(store, "COMMIT"))) == -signal.SIGKILL
    assert not is_whole(store)


def die_before(store: RecordStore, statement: str) -> None:
    """Overwrite the record of {} by a large one; die before the statement that begins so."""
    connect = database._connect

    def fatal(path, mode):
        there = connect(path, mode)
        there.set_trace_callback(
            lambda text: text.startswith(statement) and os.kill(os.getpid(), signal.SIGKILL)
        )
        return there

    database._connect = fatal
    content = {"x": np.full(400_000, 2.0)}
    summary = {"values": [2.0]}
    store.save("e", {}, summary=summary, arrays=content, wall_seconds=0, overwrite=True)


@pytest.mark.parametrize("statement", ["BEGIN IMM", "DELETE", "INSERT INTO r", "INSERT INTO a"])
def test_death_before_any_statement_keeps_the_old_record(store, statement):
    save(store, {})
    assert exit_status(forked(lambda: die_before(store, statement))) == -signal.SIGKILL
    assert store.load("e", {}).summary == {"value": 1.0}


def test_a_transaction_half_on_the_disk_is_rolled_back(store):
    """Killed with pages of the new record in the file already: SQLite's journal undoes them."""
    save(store, {})
    assert exit_status(forked(lambda: die_before(store, "COMMIT"))) == -signal.SIGKILL
    journal = Path(f"{store.path('e')}-journal")
    assert journal.stat().st_size > 0 and store.path("e").stat().st_size > 1_000_000
    assert store.load("e", {}).summary == {"value": 1.0}
    assert not journal.exists() or journal.stat().st_size == 0


def race(store: RecordStore, rounds: int = 25) -> list[int]:
    """Exit statuses of two writers that save unlike results under the same keys at once.

    A writer exits with 0 if each time the record it was given is the one that stayed.
    """
    barrier = multiprocessing.get_context("fork").Barrier(2, timeout=20)
    provenance.environment()
    put = database.put

    def slow_put(*arguments):
        time.sleep(0.002)
        put(*arguments)

    def write(value: float) -> None:
        database.put = slow_put
        warnings.simplefilter("error", RecordWarning)
        try:
            for turn in range(rounds):
                barrier.wait()
                mine = save(store, {"turn": turn}, value)
                barrier.wait()
                stored = store.load("e", {"turn": turn})
                assert stored.summary == mine.summary and stored.provenance == mine.provenance
                assert (stored.arrays["x"] == stored.summary["value"]).all()
        except BaseException:
            barrier.abort()  # so that the other does not wait
            raise

    return [exit_status(child) for child in [forked(lambda v=v: write(v)) for v in (1.0, 2.0)]]


def test_two_processes_writing_one_record_agree(store):
    assert race(store) == [0, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RecordWarning)
        assert len(store.find("e")) == 25


def test_control_without_first_writer_wins_they_do_not(store, monkeypatch, capfd):
    commit = RecordStore._commit
    monkeypatch.setattr(
        RecordStore, "_commit", lambda self, *arguments: commit(self, *arguments[:-1], True)
    )
    assert race(store) != [0, 0]
    capfd.readouterr()  # the traceback of the failed writer is the point, not news


def test_reader_beside_an_overwriting_writer_sees_only_whole_records(store):
    endless = forked(lambda: endless_writes(store))
    end = time.monotonic() + 0.5
    try:
        outcomes = []
        while time.monotonic() < end:
            outcomes.append(is_whole(store))
    finally:
        os.kill(endless, signal.SIGKILL)
        exit_status(endless)
    assert len(outcomes) > 3 and all(outcomes) and store.load("e", {}) is not None


def test_a_file_too_large_for_the_disk_loses_nothing(store):
    """A real refusal by the kernel, halfway through the write."""
    save(store, CONFIG)

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        big = np.arange(100_000.0)
        with pytest.raises(RecordError, match=r"SQLITE_(FULL|IOERR)") as caught:
            store.save("e", {}, summary={"a": 1}, arrays={"big": big}, wall_seconds=0)
        assert caught.value.arrays["big"] is big and caught.value.summary == {"a": 1}
        assert isinstance(caught.value.__cause__, sqlite3.Error)

    assert exit_status(forked(fill)) == 0
    assert store.load("e", CONFIG) is not None and store.keys("e") == {record_key("e", CONFIG)}
