"""Records: what is refused, what is damaged, and disks that do not write.

Every refusal says expected, got and remedy; a damaged record is kept aside and computed again; a
disk that fails loses nothing computed and nothing stored.  A control takes each guard away.
"""

import errno
import json
import os
import pickle
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from refusals import SENTENCE

from escape_ntk import encoding, records
from escape_ntk.checks import InputError, NonFiniteError, RecordError, RecordWarning
from escape_ntk.records import RecordStore, record_key

CONFIG, OTHER = {"seed": 0}, {"seed": 1}


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path / "records")


def save(store: RecordStore, config: dict, value: float = 1.0, **options):
    summary, content = {"value": value}, {"x": np.full(500, value)}
    return store.save("e", config, summary=summary, arrays=content, wall_seconds=1, **options)


def npz_of(record) -> Path:
    (path,) = record.path.parent.glob(f"{record.path.stem}-*.npz")
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a\n", "a b", "λ", "x" * 101])
def test_experiment_names_that_cannot_be_folders(store, name):
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
def test_arrays_that_npz_cannot_hold(store, value):
    for call in (
        lambda: store.save("e", CONFIG, summary={}, arrays={"x": value}, wall_seconds=0),
        lambda: store.checkpoint("e", CONFIG).save({"x": value}),
    ):
        with pytest.raises(InputError, match=SENTENCE) as caught:
            call()
        assert caught.value.arrays["x"] is value
    assert not store.root.exists()


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", 3, "x" * 201, "\ud800"])
def test_array_names_that_npz_cannot_hold(store, name):
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


# ---------------------------------------------------------------- damage


def edit(path: Path, change: Callable[[dict], object]) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def flip(path: Path, where: float) -> None:
    """Flip one bit of the byte at this fraction of the file."""
    blob = bytearray(path.read_bytes())
    blob[int(where * (len(blob) - 1))] ^= 1
    path.write_bytes(blob)


def wrong_schema(store: RecordStore, record) -> None:
    """A whole record of another schema under the name of this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "SCHEMA_VERSION", 2)
        save(store, CONFIG, 2.0).path.rename(record.path)


def reseal(path: Path) -> None:
    """Make the checksum of the JSON agree with its content again."""
    edit(path, lambda document: document.pop("payload_sha256"))
    document = json.loads(path.read_text(encoding="utf-8"))
    seal = encoding.sha256(encoding.canonical(document))
    edit(path, lambda document: document.update(payload_sha256=seal))


def sealed_without_summary(store: RecordStore, record) -> None:
    """A record of another make."""
    edit(record.path, lambda document: document.pop("summary"))
    reseal(record.path)


def sealed_pickle(store: RecordStore, record) -> None:
    """A record in which everything agrees, but the array is a pickle."""
    array, file = np.array([{"a": 1}], dtype=object), npz_of(record)
    np.savez(file, x=array, allow_pickle=True)
    digest = encoding.sha256(file.read_bytes())
    file.rename(records._arrays_path(record.path, digest))
    edit(record.path, lambda document: document["arrays"].update(sha256=digest))
    reseal(record.path)


# What each does to the record of CONFIG, and whether only a checksum or comparison can notice:
# then the control, with these taken away, serves the damaged record without a word.
DAMAGE = {
    "empty JSON": (lambda s, r: r.path.write_bytes(b""), False),
    "truncated JSON": (lambda s, r: os.truncate(r.path, 700), False),
    "JSON of zeros": (lambda s, r: r.path.write_bytes(bytes(900)), False),
    "JSON list": (lambda s, r: r.path.write_text("[1]"), False),
    "JSON without seal": (lambda s, r: edit(r.path, lambda d: d.pop("payload_sha256")), False),
    "NaN in JSON": (lambda s, r: edit(r.path, lambda d: d.update(summary=float("nan"))), False),
    "changed number": (lambda s, r: edit(r.path, lambda d: d["summary"].update(value=9.0)), True),
    "changed time": (lambda s, r: edit(r.path, lambda d: d["provenance"].clear()), True),
    "wrong schema": (wrong_schema, False),
    "other field": (lambda s, r: edit(r.path, lambda d: d.update(schema=0)), True),
    "missing field": (sealed_without_summary, False),
    "renamed file": (lambda s, r: save(s, OTHER).path.rename(r.path), False),
    "swapped npz": (lambda s, r: os.replace(npz_of(save(s, OTHER, 7.0)), npz_of(r)), True),
    "missing npz": (lambda s, r: npz_of(r).unlink(), False),
    "empty npz": (lambda s, r: npz_of(r).write_bytes(b""), False),
    "truncated npz": (lambda s, r: os.truncate(npz_of(r), 2000), False),
    "extended npz": (lambda s, r: npz_of(r).write_bytes(b"\n" + npz_of(r).read_bytes()), True),
    "flipped bit in npz": (lambda s, r: flip(npz_of(r), 0.5), False),
    "pickle in npz": (sealed_pickle, False),
}


@pytest.mark.parametrize("damage", [damage for damage, _ in DAMAGE.values()], ids=list(DAMAGE))
def test_damaged_record_is_kept_aside_and_computed_again(store, damage):
    record = save(store, CONFIG)
    damage(store, record)
    before = files(store.root / "e")
    with pytest.warns(RecordWarning, match=SENTENCE) as caught:
        assert store.load("e", CONFIG) is None
    assert len(caught) == 1 and record.path.name in str(caught[0].message)
    assert sorted(files(store.root / "e").values()) == sorted(before.values())  # nothing deleted
    assert f"{record.path.name}.corrupt-1" in files(store.root / "e")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        content = {"x": np.ones(500)}
        again = store.get_or_run("e", CONFIG, lambda: ({"value": 1.0}, content))
        assert store.load("e", CONFIG).provenance == again.provenance
    np.testing.assert_array_equal(again.arrays["x"], content["x"])


@pytest.mark.parametrize("name", [name for name, (_, checked) in DAMAGE.items() if checked])
def test_control_without_checks_the_damage_is_served(store, monkeypatch, name):
    record = save(store, CONFIG)
    DAMAGE[name][0](store, record)
    monkeypatch.setattr(records, "_check", lambda *arguments: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.load("e", CONFIG) is not None


@pytest.mark.parametrize("part", ["json", "npz", "checkpoint"])
def test_any_flipped_bit_is_noticed_or_harmless(store, part):
    """At 100 places: what is loaded is the truth or nothing (white space in JSON is free)."""
    record, checkpoint = save(store, CONFIG), store.checkpoint("e", CONFIG)
    checkpoint.save({"x": np.ones(500)})
    path = {"json": record.path, "npz": npz_of(record), "checkpoint": checkpoint.path}[part]
    whole, noticed = files(store.root), 0
    for step in range(100):
        flip(path, step / 99)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            loaded, state = store.load("e", CONFIG), checkpoint.load()
        noticed += (loaded is None) or (state is None)
        assert len(caught) == (loaded is None) + (state is None)
        assert loaded is None or (loaded.summary, loaded.config) == ({"value": 1.0}, CONFIG)
        assert loaded is None or (loaded.arrays["x"] == 1.0).all()
        for name, blob in whole.items():
            (store.root / name).write_bytes(blob)
    assert noticed == 100 if part != "json" else 50 < noticed


def test_wrong_schema_is_called_so(store):
    wrong_schema(store, save(store, CONFIG))
    with pytest.warns(RecordWarning, match="expected .* schema 1; got schema 2"):
        store.load("e", CONFIG)


def test_bad_files_are_numbered_not_overwritten(store):
    for turn in (1, 2, 3):
        record = save(store, CONFIG)
        record.path.write_text(f"broken {turn}")
        with pytest.warns(RecordWarning, match=f"corrupt-{turn}"):
            save(store, CONFIG)  # a writer meets it too
        kept = record.path.with_name(f"{record.path.name}.corrupt-{turn}")
        assert kept.read_text() == f"broken {turn}"


def test_damaged_record_does_not_touch_its_neighbours(store):
    neighbour, record = save(store, OTHER), save(store, CONFIG)
    record.path.write_bytes(neighbour.path.read_bytes())  # the neighbour's JSON under this name
    with pytest.warns(RecordWarning, match="the record of key"):
        assert store.load("e", CONFIG) is None
    assert store.load("e", OTHER).key == neighbour.key


CHECKPOINT_DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "short": lambda path: path.write_bytes(b"x" * 10),
    "truncated": lambda path: os.truncate(path, 500),
    "extended": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "without seal": lambda path: path.write_bytes(encoding.pack({"x": np.ones(3)})),
    "pickle": lambda path: path.write_bytes(pickle.dumps({"x": 1})),
}


@pytest.mark.parametrize("damage", CHECKPOINT_DAMAGE.values(), ids=list(CHECKPOINT_DAMAGE))
def test_damaged_checkpoint_is_kept_aside(store, damage):
    checkpoint = store.checkpoint("e", CONFIG)
    checkpoint.save({"x": np.ones(500)})
    damage(checkpoint.path)
    blob = checkpoint.path.read_bytes()
    with pytest.warns(RecordWarning, match=SENTENCE):
        assert checkpoint.load() is None
    assert checkpoint.path.with_name(f"{checkpoint.path.name}.corrupt-1").read_bytes() == blob
    checkpoint.save({"x": np.zeros(2)})
    assert checkpoint.load()["x"].shape == (2,)


def test_checkpoint_of_another_run_is_refused(store, monkeypatch):
    mine, other = store.checkpoint("e", CONFIG), store.checkpoint("e", OTHER)
    other.save({"x": 7.0})
    os.replace(other.path, mine.path)
    with pytest.warns(RecordWarning, match="another seal"):
        assert mine.load() is None
    other.save({"x": 7.0})
    os.replace(other.path, mine.path)
    monkeypatch.setattr(records, "_check", lambda *arguments: None)
    assert mine.load()["x"] == 7.0  # control: without the seal a run resumes from another


# ---------------------------------------------------------------- disks that do not write

CODES = [errno.EROFS, errno.ENOSPC, errno.EACCES, errno.EIO]


def refuse_from(patch, owner: object, name: str, code: int, call: int = 0) -> None:
    """Let ``owner.name`` fail with ``code`` from its ``call``-th call on."""
    original, count = getattr(owner, name), iter(range(10**6))

    def refuse(*arguments, **options):
        if next(count) >= call:
            raise OSError(code, os.strerror(code))
        return original(*arguments, **options)

    patch.setattr(owner, name, refuse)


PLACES = [
    (os, "replace", 0),
    (os, "replace", 1),
    (os, "fsync", 0),
    (os, "open", 0),
    (os, "mkdir", 0),
]


@pytest.mark.parametrize("code", CODES, ids=lambda code: errno.errorcode[code])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[1]}-{place[2]}")
def test_disk_that_refuses_loses_nothing(store, monkeypatch, code, place):
    if place[1] != "mkdir":
        save(store, OTHER)
        save(store, CONFIG)
    before = files(store.root)
    summary, content = {"value": 2.0}, {"x": np.full(500, 2.0)}
    with monkeypatch.context() as patch:
        refuse_from(patch, *place[:2], code, place[2])
        with pytest.raises(RecordError, match=errno.errorcode[code]) as caught:
            store.save("e", CONFIG, summary=summary, arrays=content, wall_seconds=0, overwrite=True)
    assert SENTENCE.fullmatch(str(caught.value))
    assert caught.value.summary is summary and caught.value.arrays is content
    assert isinstance(caught.value.__cause__, OSError) and caught.value.__cause__.errno == code
    assert files(store.root) == before  # the old record, and no temporary file
    stored = store.save(
        "e", CONFIG, summary=summary, arrays=content, wall_seconds=0, overwrite=True
    )
    assert stored.summary == summary


def test_control_without_clearing_up_temporary_files_stay(store, monkeypatch):
    refuse_from(monkeypatch, os, "replace", errno.ENOSPC)
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: None)
    with pytest.raises(RecordError):
        save(store, CONFIG)
    assert any(records.TEMPORARY in name for name in files(store.root))


def test_get_or_run_hands_back_what_it_could_not_store(store, monkeypatch):
    refuse_from(monkeypatch, os, "replace", errno.EROFS)
    content = {"x": np.ones(3)}
    with pytest.raises(RecordError, match=records.ROOT_VARIABLE) as caught:
        store.get_or_run("e", CONFIG, lambda: ({"hours": 3}, content))
    assert caught.value.summary == {"hours": 3} and caught.value.arrays is content


@pytest.mark.parametrize("code", CODES, ids=lambda code: errno.errorcode[code])
def test_checkpoint_on_a_disk_that_refuses_keeps_the_last_one(store, monkeypatch, code):
    checkpoint, state = store.checkpoint("e", CONFIG), {"step": 2}
    checkpoint.save({"step": 1})
    with monkeypatch.context() as patch:
        refuse_from(patch, os, "replace", code)
        with pytest.raises(RecordError, match=SENTENCE) as caught:
            checkpoint.save(state)
        refuse_from(patch, os, "unlink", code)
        with pytest.raises(RecordError, match="expected to delete"):
            checkpoint.clear()
    assert caught.value.arrays is state and checkpoint.load()["step"] == 1


def test_valid_records_are_read_from_a_read_only_disk(store, monkeypatch):
    save(store, CONFIG)
    for name in ("replace", "rename", "unlink", "fsync"):
        refuse_from(monkeypatch, os, name, errno.EROFS)
    assert store.load("e", CONFIG).summary == save(store, CONFIG, 2.0).summary == {"value": 1.0}


def test_bad_record_on_a_read_only_disk_stays_and_is_named(store, monkeypatch):
    record = save(store, CONFIG)
    record.path.write_text("broken")
    refuse_from(monkeypatch, os, "rename", errno.EROFS)
    with pytest.warns(RecordWarning, match="by hand"):
        assert store.load("e", CONFIG) is None
    assert record.path.read_text() == "broken"


def test_moving_aside_cut_short_is_finished_by_the_next_reader(store, monkeypatch):
    record = save(store, CONFIG)
    edit(record.path, lambda document: document["summary"].update(value=9.0))
    before = files(store.root)
    with monkeypatch.context() as patch:
        refuse_from(patch, os, "rename", errno.EIO, 1)
        with pytest.warns(RecordWarning, match="by hand"):
            store.load("e", CONFIG)
    with pytest.warns(RecordWarning, match="kept aside"):
        store.load("e", CONFIG)
    after = files(store.root)
    assert sorted(after.values()) == sorted(before.values())
    assert all("corrupt-1" in name for name in after)


def test_failed_overwrite_by_the_same_arrays_keeps_them(store, monkeypatch):
    save(store, CONFIG)
    with monkeypatch.context() as patch:
        refuse_from(patch, os, "replace", errno.ENOSPC, 1)
        with pytest.raises(RecordError):
            save(store, CONFIG, overwrite=True)
    assert store.load("e", CONFIG).summary == {"value": 1.0}


def test_record_that_cannot_be_read_is_not_called_absent(store, monkeypatch):
    save(store, CONFIG)
    refuse_from(monkeypatch, Path, "read_bytes", errno.EACCES)
    with pytest.raises(RecordError, match=r"expected to read .*EACCES.*remedy"):
        store.load("e", CONFIG)


def test_root_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    store = RecordStore(tmp_path / "file")
    with pytest.raises(RecordError, match=SENTENCE):
        save(store, CONFIG)
    with pytest.raises(RecordError, match=SENTENCE):
        store.load("e", CONFIG)
