"""Records: what is refused, what is damaged, and disks that do not write.

Every refusal says expected, got and remedy; a damaged record is kept aside and computed again; a
disk that fails loses nothing computed and nothing stored.  A control takes each guard away.
"""

import os
import pickle
import re
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from refusals import SENTENCE

from escape_ntk.checks import InputError, NonFiniteError, RecordError, RecordWarning
from escape_ntk.records import database
from escape_ntk.records import store as records
from escape_ntk.records.store import RecordStore, record_key

CONFIG, OTHER = {"seed": 0}, {"seed": 1}


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path / "records")


def save(store: RecordStore, config: dict, value: float = 1.0, **options):
    summary, content = {"value": value}, {"x": np.full(500, value)}
    return store.save("e", config, summary=summary, arrays=content, wall_seconds=1, **options)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../up",
        "a/b",
        ".hidden",
        "a\n",
        "a b",
        "λ",
        "x" * 101,
        "Figure",
        "a.",
        "nul",
        "com1.x",
        3,
    ],
)
def test_experiment_names_that_cannot_be_files(store, name):
    calls = [
        lambda: record_key(name, {}),
        lambda: store.load(name, {}),
        lambda: store.find(name),
        lambda: store.checkpoint(name, {}),
        lambda: store.save(name, {}, summary={}, arrays={}, wall_seconds=0),
    ]
    for call in calls:
        with pytest.raises(InputError, match=SENTENCE):
            call()
    assert not store.root.exists()


BAD_VALUES = [
    np.float32(1), np.int64(1), np.bool_(True), np.zeros(2), torch.tensor(1.0), {1, 2}, b"bytes",
    1j, object(), {1: "a"}, {None: 1}, {("a",): 1}, "\ud800", {"a": {"\ud800": 1}}, Path("x"),
    10**5000, -(10**5000),
]  # fmt: skip


@pytest.mark.parametrize("value", BAD_VALUES, ids=lambda value: type(value).__name__)
def test_values_that_json_cannot_hold(store, value):
    calls = {
        "config.a": lambda: record_key("e", {"a": value}),
        "summary.deep[1].a": lambda: save_summary(store, {"deep": [0, {"a": value}]}),
        "a": lambda: store.find("e", a=value),
    }
    for where, call in calls.items():
        with pytest.raises(InputError, match=SENTENCE) as caught:
            call()
        assert re.match(f"expected (a name in )?{re.escape(where)}", str(caught.value))


def test_a_value_that_holds_itself_is_refused_and_a_deep_one_is_stored(store):
    endless: list = [1]
    endless.append({"a": endless})
    for call in (
        lambda: record_key("e", {"x": endless}),
        lambda: save_summary(store, {"x": endless}),
    ):
        with pytest.raises(InputError, match=r"expected (config|summary)\.x.* at most 100 deep"):
            call()
    deep: list = []
    for _ in range(90):
        deep = [deep]
    assert save_summary(store, {"x": deep, "long": 10**4000}).summary["x"] == deep


@pytest.mark.parametrize("key", ["", "a" * 63, "A" * 64, "\ud800", 3, f"{'a' * 64}.damaged-1"])
def test_keys_are_sha256(store, key):
    save(store, CONFIG)
    with pytest.raises(InputError, match=SENTENCE):
        store.load_key("e", key)


@pytest.mark.parametrize("root", [None, 3, "a\0b", b"a"])
def test_roots_that_are_no_folder(root):
    with pytest.raises(InputError, match=SENTENCE):
        RecordStore(root)


def test_a_field_may_be_called_experiment(store):
    save(store, {"experiment": "a"})
    assert len(store.find("e", experiment="a")) == 1 and store.find("e", experiment="b") == []


def save_summary(store: RecordStore, summary: dict):
    return store.save("e", CONFIG, summary=summary, arrays={}, wall_seconds=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), np.float64("nan")])
def test_nan_is_refused_by_name_and_what_was_computed_is_kept(store, value):
    with pytest.raises(NonFiniteError, match=r"config\.curve\[1\]"):
        record_key("e", {"curve": [0.0, value]})
    summary, content = {"curve": [0.0, value]}, {"x": np.array([value])}
    with pytest.raises(
        NonFiniteError, match=r"expected summary\.curve\[1\] to be finite"
    ) as caught:
        store.get_or_run("e", CONFIG, lambda: (summary, content))
    assert caught.value.summary is summary and caught.value.arrays is content
    assert store.load("e", CONFIG) is None and not store.root.exists()
    summary["curve"][1] = None
    stored = store.save("e", CONFIG, summary=summary, arrays=content, wall_seconds=0)
    np.testing.assert_array_equal(stored.arrays["x"], content["x"])  # arrays may hold NaN


BAD_ARRAYS = [
    np.array([None]), np.array([{}], dtype=object), [1.0, 2.0], torch.ones(2), None, "text", 2**70,
    np.ma.array([1.0], mask=[True]), np.zeros(1, dtype=[("a", "f8")]), np.datetime64("2020-01-01"),
]  # fmt: skip


@pytest.mark.parametrize("value", BAD_ARRAYS, ids=lambda value: type(value).__name__)
def test_arrays_that_cannot_be_stored(store, value):
    for call in (
        lambda: store.save("e", CONFIG, summary={}, arrays={"x": value}, wall_seconds=0),
        lambda: store.checkpoint("e", CONFIG).save({"x": value}),
    ):
        with pytest.raises(InputError, match=SENTENCE) as caught:
            call()
        assert caught.value.arrays["x"] is value
    assert not store.root.exists()


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", 3, "x" * 201, "\ud800"])
def test_names_that_arrays_cannot_have(store, name):
    with pytest.raises(InputError, match=SENTENCE):
        store.save("e", CONFIG, summary={}, arrays={name: np.ones(1)}, wall_seconds=0)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), "soon"])
def test_wall_seconds_is_a_duration(store, seconds):
    with pytest.raises(InputError, match="expected wall_seconds"):
        store.save("e", CONFIG, summary={}, arrays={}, wall_seconds=seconds)


def test_mappings_are_asked_for(store):
    for options in (
        {"config": [1], "summary": {}, "arrays": {}},
        {"config": {}, "summary": [1], "arrays": {}},
        {"config": {}, "summary": {}, "arrays": [1]},
    ):
        with pytest.raises(InputError, match="to be a mapping; got a list; remedy"):
            store.save("e", **options, wall_seconds=0)


# ---------------------------------------------------------------- damaged records


def sql(path: Path, statement: str, *values) -> None:
    """Change a database behind the store's back."""
    with closing(sqlite3.connect(path)) as there, there:
        there.execute(statement, values)


def reseal(path: Path, key: str) -> None:
    """Make the checksum of a record agree with its content again."""
    with closing(sqlite3.connect(path)) as there, there:
        row = there.execute("SELECT key, config, summary, provenance FROM records").fetchone()
        arrays = {"x": np.ones(500)}
        seal = database.Row(*row).seal(arrays)
        there.execute("UPDATE records SET sha256 = ? WHERE key = ?", (seal, key))


def other_config(record) -> None:
    """A record in which everything agrees, but it is that of another config."""
    sql(record.path, "UPDATE records SET config = '{\"seed\":1}'")
    reseal(record.path, record.key)


def sealed_nonsense(record) -> None:
    sql(record.path, "UPDATE records SET summary = '[1]'")
    reseal(record.path, record.key)


def pickled(record) -> None:
    blob = pickle.dumps(np.array([{"a": 1}], dtype=object))
    sql(record.path, "UPDATE arrays SET dtype = '|O', shape = '[1]', data = ?", blob)


DAMAGE = {
    "changed number": lambda r: sql(r.path, "UPDATE records SET summary = '{\"value\": 9.0}'"),
    "changed time": lambda r: sql(r.path, "UPDATE records SET provenance = '{}'"),
    "broken JSON": lambda r: sql(r.path, "UPDATE records SET summary = '{'"),
    "number for text": lambda r: sql(r.path, "UPDATE records SET summary = x'00ff'"),
    "no seal": lambda r: sql(r.path, "UPDATE records SET sha256 = ''"),
    "other config": other_config,
    "no object": sealed_nonsense,
    "array gone": lambda r: sql(r.path, "DELETE FROM arrays"),
    "array renamed": lambda r: sql(r.path, "UPDATE arrays SET name = 'y'"),
    "array cut": lambda r: sql(r.path, "UPDATE arrays SET data = substr(data, 1, 800)"),
    "array longer": lambda r: sql(r.path, "UPDATE arrays SET data = data || x'00'"),
    "another type": lambda r: sql(r.path, "UPDATE arrays SET dtype = '<i8'"),
    "no type": lambda r: sql(r.path, "UPDATE arrays SET dtype = 'nonsense'"),
    "another shape": lambda r: sql(r.path, "UPDATE arrays SET shape = '[250, 2]'"),
    "endless shape": lambda r: sql(r.path, "UPDATE arrays SET shape = '[-1]'"),
    "text for bytes": lambda r: sql(r.path, "UPDATE arrays SET data = 'abc'"),
    "pickle": pickled,
}
"""What each does to the record of CONFIG."""


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
def test_damaged_record_is_kept_aside_and_computed_again(store, damage):
    record, neighbour = save(store, CONFIG), None
    damage(record)
    with pytest.warns(RecordWarning, match=SENTENCE) as caught:
        assert store.load("e", CONFIG) is None
    assert len(caught) == 1 and "e.sqlite" in str(caught[0].message)
    neighbour = save(store, OTHER)
    content = {"x": np.ones(500)}
    with pytest.warns(RecordWarning, match="damaged-1"):
        again = store.get_or_run("e", CONFIG, lambda: ({"value": 1.0}, content))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.load("e", CONFIG).provenance == again.provenance
        assert store.load("e", OTHER).key == neighbour.key
        assert store.keys("e") == {again.key, neighbour.key}
    with database.reading(record.path) as there:  # nothing was deleted
        kept = there.execute("SELECT key FROM records WHERE key LIKE '%damaged%'").fetchall()
    assert kept == [(f"{record.key}.damaged-1",)]


def test_control_without_the_seal_the_damage_is_served(store, monkeypatch):
    DAMAGE["changed number"](save(store, CONFIG))
    seal = database.Row.seal
    with database.reading(store.path("e")) as there:
        ((stored,),) = there.execute("SELECT sha256 FROM records")
    monkeypatch.setattr(database.Row, "seal", lambda self, arrays: stored)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.load("e", CONFIG).summary == {"value": 9.0}
    assert seal is not database.Row.seal


def test_damaged_records_are_numbered_not_overwritten(store):
    for turn in (1, 2, 3):
        record = save(store, CONFIG)
        sql(record.path, "UPDATE records SET summary = ? WHERE key = ?", str(turn), record.key)
        with pytest.warns(RecordWarning, match=f"damaged-{turn}"):
            save(store, CONFIG)
    with database.reading(record.path) as there:
        rows = there.execute("SELECT summary FROM records WHERE key LIKE '%damaged-%'").fetchall()
    assert sorted(rows) == [("1",), ("2",), ("3",)]


# ---------------------------------------------------------------- damaged files


def flip(path: Path, where: float) -> None:
    """Flip one bit of the byte at this fraction of the file."""
    blob = bytearray(path.read_bytes())
    blob[int(where * (len(blob) - 1))] ^= 1
    path.write_bytes(blob)


def test_any_flipped_bit_is_noticed_or_harmless(store):
    """At 100 places: what is loaded is the truth, or nothing with a word (free bytes are free)."""
    record, noticed = save(store, CONFIG), 0
    whole = record.path.read_bytes()
    for step in range(100):
        flip(record.path, step / 99)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                loaded = store.load("e", CONFIG)
            except RecordError as refused:  # its header is no longer ours
                assert SENTENCE.fullmatch(str(refused))
                noticed += 1
            else:
                if loaded is None:
                    noticed += 1
                else:
                    assert (loaded.summary, loaded.config) == ({"value": 1.0}, CONFIG)
                    assert (loaded.arrays["x"] == 1.0).all()
                assert len(caught) <= 1
        record.path.write_bytes(whole)
    assert noticed > 0
    at = whole.index(np.ones(300).tobytes())
    for byte in range(at, at + 2400, 100):
        record.path.write_bytes(whole[:byte] + bytes([whole[byte] ^ 1]) + whole[byte + 1 :])
        with pytest.warns(RecordWarning, match=SENTENCE):
            assert store.load("e", CONFIG) is None


def zeros(path: Path, start: int, count: int) -> None:
    blob = bytearray(path.read_bytes())
    blob[start : start + count] = bytes(count)
    path.write_bytes(blob)


FILE_DAMAGE = {
    "no database": lambda path: path.write_bytes(b"x" * 20_000),
    "short": lambda path: path.write_bytes(b"x"),
    "header": lambda path: zeros(path, 0, 16),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "zeroed page": lambda path: zeros(path, 4096, 4096),
    "pickle": lambda path: path.write_bytes(pickle.dumps({"x": 1})),
}


@pytest.mark.parametrize("damage", FILE_DAMAGE.values(), ids=list(FILE_DAMAGE))
def test_damaged_file_is_kept_aside_and_written_anew(store, damage):
    for seed in range(20):
        save(store, {"seed": seed})
    path = store.path("e")
    damage(path)
    blob = path.read_bytes()
    with pytest.warns(RecordWarning, match=SENTENCE):
        save(store, {"seed": 99})
    assert path.with_name("e.sqlite.damaged-1").read_bytes() == blob
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.load("e", {"seed": 99}) is not None
        assert store.experiments() == ["e"]
        for seed in range(20):  # what is still there is what was stored
            record = store.load("e", {"seed": seed})
            assert record is None or (record.arrays["x"] == 1.0).all()


def test_sound_records_of_a_damaged_file_are_rescued(store):
    """A zeroed page of one record's arrays costs that record, and no other."""
    keys = {save(store, {"seed": seed}).key for seed in range(30)}
    path = store.path("e")
    at = path.read_bytes().rindex(np.full(500, 1.0).tobytes()[:2000])
    zeros(path, at // 4096 * 4096, 4096)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordWarning)
        save(store, {"seed": 99})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordWarning)
        sound = {record.key for record in store.find("e")}
    assert len(sound & keys) >= 28


def damaged_page(store: RecordStore) -> Path:
    """Twenty records; one page of their table is zeroed, which costs a few of them."""
    for seed in range(20):
        save(store, {"seed": seed})
    path = store.path("e")
    at = path.read_bytes().rindex(b'{"seed":7}')
    zeros(path, at // 4096 * 4096, 4096)
    return path


def sound(store: RecordStore) -> set[int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordWarning)
        records._READ.clear()
        return {record.config["seed"] for record in store.find("e")}


def test_find_leaves_out_only_what_is_damaged(store):
    damaged_page(store)
    assert 10 <= len(sound(store)) < 20


@pytest.mark.parametrize("step", ["put", "copyfile", "replace"])
def test_a_rescue_that_dies_loses_nothing(store, monkeypatch, step):
    path = damaged_page(store)
    before, blob = sound(store), path.read_bytes()
    owner = {"put": database, "copyfile": database.shutil, "replace": os}[step]
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordWarning)
        original, calls = getattr(owner, step), iter(range(10**6))

        def fatal(*arguments):
            if next(calls) == 1:
                raise KeyboardInterrupt  # stands for a kill, at the second call
            return original(*arguments)

        patch.setattr(owner, step, fatal)
        with pytest.raises(KeyboardInterrupt):
            save(store, {"seed": 7})
            database.rescue(path)
    assert path.read_bytes() == blob or sound(store) >= before
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordWarning)
        save(store, {"seed": 7})
    assert sound(store) >= before | {7}


def test_a_disk_that_is_full_at_a_rescue_loses_nothing(store):
    path = damaged_page(store)
    before, blob = sound(store), path.read_bytes()
    with refusing("SQLITE_FULL"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordWarning)
        with pytest.raises(RecordError, match=SENTENCE):
            save(store, {"seed": 7})
    assert path.read_bytes() == blob and sound(store) == before


def test_a_file_that_was_cut_keeps_the_records_before_the_cut(store):
    for seed in range(20):
        save(store, {"seed": seed})
    path = store.path("e")
    os.truncate(path, path.stat().st_size - 4096)
    with pytest.warns(RecordWarning, match="damaged-1"):
        save(store, {"seed": 99})
    assert len(sound(store) & set(range(20))) >= 18


def test_a_record_that_the_index_forgot_is_damage_not_absence(store):
    """A letter of a key is changed in the index alone."""
    keys = [save(store, {"seed": seed}).key for seed in range(6)]
    path = store.path("e")
    blob = path.read_bytes()
    with closing(sqlite3.connect(path)) as there:
        ((page,),) = there.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_records_1'"
        )
    at = blob.index(keys[3].encode(), (page - 1) * 4096)
    path.write_bytes(blob[: at + 9] + b"z" + blob[at + 10 :])
    with pytest.warns(RecordWarning, match="index"):
        assert store.load("e", {"seed": 3}) is None
    with pytest.warns(RecordWarning, match="damaged-1"):
        save(store, {"seed": 3}, 9.0)
    assert sound(store) == set(range(6))
    assert store.load("e", {"seed": 3}).summary == {"value": 1.0}  # rescued, not written twice


def test_a_broken_letter_in_the_schema_is_damage(store):
    path = save(store, CONFIG).path
    blob = path.read_bytes()
    at = blob.index(b"CREATE TABLE records") + 8
    path.write_bytes(blob[:at] + b"\xff" + blob[at + 1 :])
    with pytest.warns(RecordWarning, match=SENTENCE):
        assert store.load("e", CONFIG) is None


def test_a_damaged_file_stays_where_it_is_for_a_reader(store):
    save(store, CONFIG).path.write_text("broken")
    for look in (lambda: store.load("e", CONFIG), lambda: store.find("e"), lambda: store.keys("e")):
        with pytest.warns(RecordWarning, match=SENTENCE):
            assert not look()
    assert files(store.root) == {"e.sqlite": b"broken"}


CHECKPOINT_DAMAGE = {
    "short": lambda path: path.write_bytes(b"x" * 10),
    "changed": lambda path: sql(path, "UPDATE arrays SET data = zeroblob(4000)"),
    "pickle": lambda path: path.write_bytes(pickle.dumps({"x": 1})),
}


@pytest.mark.parametrize("damage", CHECKPOINT_DAMAGE.values(), ids=list(CHECKPOINT_DAMAGE))
def test_damaged_checkpoint_is_not_taken_up(store, damage):
    checkpoint = store.checkpoint("e", CONFIG)
    checkpoint.save({"x": np.ones(500)})
    damage(checkpoint.path)
    with pytest.warns(RecordWarning, match=SENTENCE):
        assert checkpoint.load() is None
    checkpoint.save({"x": np.zeros(2)})
    assert checkpoint.load()["x"].shape == (2,)


def test_checkpoint_of_another_run_is_not_taken_up(store):
    mine, other = store.checkpoint("e", CONFIG), store.checkpoint("e", OTHER)
    other.save({"x": 7.0})
    assert other.load()["x"] == 7.0  # control
    os.replace(other.path, mine.path)
    assert mine.load() is None


# ---------------------------------------------------------------- files that are not ours


@pytest.mark.parametrize("statement", ["CREATE TABLE books (title)", "PRAGMA application_id = 7"])
def test_database_of_another_program_is_refused_and_left_alone(store, statement):
    store.root.mkdir()
    sql(store.path("e"), statement)
    before = files(store.root)
    for call in (lambda: store.load("e", CONFIG), lambda: store.find("e"), lambda: save(store, {})):
        with pytest.raises(RecordError, match=r"expected .* to hold records of escape-ntk; got"):
            call()
    assert files(store.root) == before


def test_newer_format_is_refused_and_left_alone(store):
    record = save(store, CONFIG)
    sql(record.path, f"PRAGMA user_version = {database.FORMAT + 1}")
    before = files(store.root)
    for call in (lambda: store.load("e", CONFIG), lambda: save(store, OTHER)):
        with pytest.raises(RecordError, match=f"in format 1; got format {database.FORMAT + 1}"):
            call()
    assert files(store.root) == before


@pytest.mark.parametrize("header", ["application_id = 7", "user_version = 5"])
def test_a_damaged_header_is_mended_as_the_remedy_says(store, header):
    """The file is refused as another's or a newer one; its tables say that it was ours."""
    record = save(store, CONFIG)
    sql(record.path, f"PRAGMA {header}")
    with pytest.raises(RecordError) as caught:
        store.load("e", CONFIG)
    sql(record.path, re.search(r"sqlite3 \S+ '(PRAGMA [^']+)'", str(caught.value))[1])
    assert store.load("e", CONFIG).summary == record.summary
    sql(record.path, f"PRAGMA {header}")
    sql(record.path, "CREATE TABLE more (x)")
    with pytest.raises(RecordError, match="remedy") as caught:
        store.load("e", CONFIG)
    assert "PRAGMA" not in str(caught.value)


def test_an_empty_file_is_no_damage(store):
    """What a kill leaves before the first transaction."""
    store.root.mkdir()
    store.path("e").touch()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.load("e", CONFIG) is None and store.find("e") == []
        assert save(store, CONFIG).summary == {"value": 1.0}


# ---------------------------------------------------------------- disks that do not write


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another program that holds the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as there:
        there.execute("BEGIN EXCLUSIVE")
        yield


REFUSALS = {
    "SQLITE_FULL": "PRAGMA max_page_count = 1",
    "SQLITE_READONLY": "PRAGMA query_only = 1",
}


@contextmanager
def refusing(code: str) -> Iterator[None]:
    """SQLite's own refusal, asked for on every new connection."""
    connect = database._connect

    def hindered(path, mode):
        there = connect(path, mode)
        there.execute(REFUSALS[code])
        return there

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_connect", hindered)
        yield


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("first", [True, False], ids=["new file", "old file"])
def test_disk_that_refuses_loses_nothing(store, code, first):
    if not first:
        save(store, OTHER)
        save(store, CONFIG)
    before = {
        key: save(store, config).summary for key, config in (() if first else (("a", CONFIG),))
    }
    summary, content = {"value": 2.0}, {"x": np.full(50_000, 2.0)}
    options = {"summary": summary, "arrays": content, "wall_seconds": 0, "overwrite": True}
    with refusing(code), pytest.raises(RecordError, match=code) as caught:
        store.save("e", CONFIG, **options)
    assert SENTENCE.fullmatch(str(caught.value))
    assert caught.value.summary is summary and caught.value.arrays is content
    assert isinstance(caught.value.__cause__, sqlite3.Error)
    if before:
        assert store.load("e", CONFIG).summary == before["a"] and store.load("e", OTHER)
    assert store.save("e", CONFIG, **options).summary == summary


def test_a_file_locked_for_long_loses_nothing(store, monkeypatch):
    record = save(store, CONFIG)
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.05)
    content = {"x": np.ones(3)}
    with held(record.path):
        with pytest.raises(RecordError, match="SQLITE_BUSY") as caught:
            store.save("e", OTHER, summary={"a": 1}, arrays=content, wall_seconds=0)
        with pytest.raises(RecordError, match="SQLITE_BUSY"):
            store.keys("e")
    assert caught.value.arrays is content and caught.value.summary == {"a": 1}
    assert save(store, OTHER).summary == {"value": 1.0}  # control: it is free again


def test_get_or_run_hands_back_what_it_could_not_store(store):
    content = {"x": np.ones(3)}
    with refusing("SQLITE_READONLY"), pytest.raises(RecordError, match=database.ROOT_VARIABLE) as e:
        store.get_or_run("e", CONFIG, lambda: ({"hours": 3}, content))
    assert e.value.summary == {"hours": 3} and e.value.arrays is content


@pytest.mark.parametrize("code", REFUSALS)
def test_checkpoint_on_a_disk_that_refuses_keeps_the_last_one(store, code):
    checkpoint, state = store.checkpoint("e", CONFIG), {"step": np.arange(50_000)}
    checkpoint.save({"step": 1})
    with refusing(code), pytest.raises(RecordError, match=SENTENCE) as caught:
        checkpoint.save(state)
    assert caught.value.arrays is state and checkpoint.load()["step"] == 1


def test_checkpoint_that_cannot_be_deleted(store, monkeypatch):
    checkpoint = store.checkpoint("e", CONFIG)
    checkpoint.save({"step": 1})

    def refuse(path, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(RecordError, match=r"expected to delete .*EACCES"):
        checkpoint.clear()


def test_valid_records_are_read_from_a_read_only_disk(store):
    save(store, CONFIG)
    records._READ.clear()
    with refusing("SQLITE_READONLY"):
        assert store.load("e", CONFIG).summary == {"value": 1.0}


def test_a_folder_in_the_place_of_a_database(store):
    store.path("e").mkdir(parents=True)
    for call in (lambda: store.load("e", CONFIG), lambda: save(store, CONFIG)):
        with pytest.raises(RecordError, match=SENTENCE):
            call()


def test_root_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    store = RecordStore(tmp_path / "file")
    with pytest.raises(RecordError, match=SENTENCE):
        save(store, CONFIG)
    with pytest.raises(RecordError, match=SENTENCE):
        store.load("e", CONFIG)


# ---------------------------------------------------------------- what a caller can spoil


def test_a_record_that_a_caller_changes_stays_what_was_verified(store):
    first = save(store, {"a": [1, {"b": 2}]})
    first.summary["value"] = 999.0
    first.config["a"][1]["b"] = 3
    first.arrays["x"] = np.zeros(1)
    first.provenance.clear()
    again = store.load("e", {"a": [1, {"b": 2}]})
    assert again.summary == {"value": 1.0} and again.config == {"a": [1, {"b": 2}]}
    assert again.arrays["x"].shape == (500,) and again.provenance
    assert [r.key for r in store.find("e", a=[1, {"b": 2}])] == [again.key]
    with pytest.raises(ValueError, match="read-only"):
        again.arrays["x"][0] = 0.0


@pytest.mark.parametrize("looks", [True, False])
def test_saving_into_a_file_with_a_damaged_index_spoils_no_sound_record(store, monkeypatch, looks):
    """The arrays of one record are filed under another: only a walk through the table finds them.

    Control: without a look at the file's structure nothing is kept aside before it is written.
    """
    if not looks:
        monkeypatch.setattr(database, "is_damaged", lambda connection: False)
    for seed in range(6):
        save(store, {"seed": seed}, float(seed))
    path = store.path("e")
    with closing(sqlite3.connect(path, isolation_level=None)) as there:
        there.execute("UPDATE records SET summary = '{}' WHERE config = '{\"seed\":5}'")
    _unfile(path)
    save(RecordStore(store.root), {"seed": 5}, 5.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordWarning)
        found = {seed: store.load("e", {"seed": seed}) for seed in range(6)}
    whole = all(r is not None and r.summary["value"] == s for s, r in found.items())
    assert path.with_name("e.sqlite.damaged-1").exists() == whole == looks


def _unfile(path: Path) -> None:
    """Damage the index of the arrays: it names one row under the key of another."""
    with closing(sqlite3.connect(path, isolation_level=None)) as there:
        page = there.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_arrays_1'"
        ).fetchone()[0]
        size = there.execute("PRAGMA page_size").fetchone()[0]
        keys = [key for (key,) in there.execute("SELECT key FROM records ORDER BY key")]
    content = bytearray(path.read_bytes())
    start = (page - 1) * size
    at = content.index(keys[2].encode(), start, start + size)
    content[at : at + 64] = keys[1].encode()
    path.write_bytes(content)


@pytest.mark.parametrize(
    "call",
    [
        lambda s: save(s, {}, environment=[1]),
        lambda s: save(s, {}, overwrite="no"),
        lambda s: s.save("e", {}, summary={}, arrays={}, wall_seconds=10**400),
        lambda s: s.save("e", {}, summary={}, arrays={}, wall_seconds="1"),
        lambda s: s.get_or_run("e", {}, None),
        lambda s: s.get_or_run("e", {}, lambda: 5),
        lambda s: RecordStore("/tmp/\ud800x"),
    ],
)
def test_wrong_objects_are_refused(store, call):
    with pytest.raises(InputError, match=SENTENCE):
        call(store)
    assert not store.root.exists()


def test_what_was_computed_is_on_the_error_when_it_is_no_pair(store):
    with pytest.raises(InputError) as caught:
        store.get_or_run("e", {}, lambda: (1, 2, 3))
    assert caught.value.result == (1, 2, 3)
