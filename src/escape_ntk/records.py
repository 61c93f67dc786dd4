"""Content-addressed results: key, atomic save, verified load, checkpoints.

A record is two files in ``root/<experiment>/``; key16 is the first 16 hex digits of its key:

* ``<key16>-<first 16 hex digits of the SHA-256 of its bytes>.npz``, the arrays;
* ``<key16>.json``, all the rest, with the SHA-256 of the npz file and one of its own content.

The npz is written first, the JSON last: a record exists once its JSON does.  Each file is written
under a temporary name, synced, and renamed.  An npz is named by its content, so no JSON can meet
the arrays of another run.  Writers take turns by ``flock`` on the folder, which the kernel releases
when a process dies, and readers need no lock.  Nothing is pickled, ever.
"""

import errno
import fcntl
import itertools
import json
import os
import re
import secrets
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from escape_ntk import encoding
from escape_ntk.checks import (
    InputError,
    RecordError,
    RecordWarning,
    message,
    number,
)
from escape_ntk.provenance import checkout, environment, provenance

SCHEMA_VERSION: int = 1
ROOT_VARIABLE = "ESCAPE_NTK_RECORDS"
SHORT = 16  # hex digits of a SHA-256 in a file name: 64 bits
SEAL = 64  # bytes of a SHA-256 in hex, the zip comment of a checkpoint
TEMPORARY = ".tmp-"
FIELDS = {"arrays", "config", "experiment", "key", "provenance", "schema", "summary"}
REMEDIES = {
    errno.ENOSPC: f"free some space, or set {ROOT_VARIABLE} to a folder on another disk",
    errno.EDQUOT: f"free some quota, or set {ROOT_VARIABLE} to a folder on another disk",
    errno.EROFS: f"set {ROOT_VARIABLE} to a folder that can be written",
    errno.EACCES: f"give yourself access to it, or set {ROOT_VARIABLE} to another folder",
    errno.EPERM: f"give yourself access to it, or set {ROOT_VARIABLE} to another folder",
}
T = TypeVar("T")


def default_root() -> Path:
    """Folder of the records: ``$ESCAPE_NTK_RECORDS``, else ``book/records`` of the checkout that
    holds the package, else ``escape-ntk-records`` in the working directory."""
    chosen, home = os.environ.get(ROOT_VARIABLE), checkout()
    if chosen:
        return Path(chosen)
    return Path("escape-ntk-records") if home is None else home / "book" / "records"


# ---------------------------------------------------------------- values and keys


def _name(experiment: object) -> str:
    """``experiment`` if it can name a folder; else :class:`InputError`."""
    if isinstance(experiment, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", experiment):
        return experiment
    expected = "experiment to begin with a letter or digit, then letters, digits, '_', '.' and '-'"
    remedy = "use a short name such as 'figure-1'"
    raise InputError(message(expected=expected, got=ascii(experiment), remedy=remedy))


def record_key(experiment: str, config: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the canonical JSON of ``{"config", "experiment", "schema"}``.

    ``config`` holds None, booleans, integers, finite floats, text, lists and dicts with text keys;
    a tuple counts as the list it is written as.  The order of keys does not matter.  Values are
    told apart as JSON writes them: ``1``, ``1.0`` and ``True`` give three keys, so do ``0.0`` and
    ``-0.0``; convert to the type that is meant before asking.

    Raises :class:`InputError` for other values and names, :class:`NonFiniteError` for NaN or ±∞.
    """
    address = {
        "config": encoding.plain(encoding.mapping(config, "config"), "config"),
        "experiment": _name(experiment),
        "schema": SCHEMA_VERSION,
    }
    return encoding.sha256(encoding.canonical(address))


# ---------------------------------------------------------------- the disk


def _check(sound: bool, expected: str, got: object) -> None:
    if not sound:
        raise encoding.BadFileError(expected, got)


@contextmanager
def _disk(act: str, path: Path, **carried: Any) -> Iterator[None]:
    """Make :class:`RecordError` of an OSError; hang ``carried`` on it, as on any other error."""
    try:
        yield
    except OSError as error:
        remedy = REMEDIES.get(error.errno, f"check the disk, or set {ROOT_VARIABLE} elsewhere")
        got = f"{errno.errorcode.get(error.errno, 'OSError')}: {error.strerror or error}"
        failure = RecordError(message(expected=f"to {act} {path}", got=got, remedy=remedy))
        vars(failure).update(carried)
        raise failure from error
    except Exception as error:
        vars(error).update(carried)
        raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other writers; made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:  # closing alone would not do while a forked child shares the handle
            fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


def _write(path: Path, blob: bytes) -> None:
    """Put ``blob`` at ``path`` whole or not at all; the folder must be locked."""
    for stale in path.parent.glob(f"{TEMPORARY}*"):  # of a writer that died holding the lock
        stale.unlink(missing_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as stream:
            stream.write(blob)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename outlast a power cut, on file systems that can sync a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def _set_aside(path: Path, files: Iterable[Path], reason: encoding.BadFileError) -> None:
    """Rename bad ``files`` to ``….corrupt-N``, never delete them, and warn about ``path``."""
    moved = []
    remedy = "none needed for a run, which computes it again; delete the file to be rid of this"
    try:
        for file in files:
            names = (f"{file.name}.corrupt-{i}" for i in itertools.count(1))
            free = next(name for name in names if not file.with_name(name).exists())
            os.rename(file, file.with_name(free))
            moved.append(free)
        if moved:
            remedy = f"none needed: it is computed again; kept aside as {', '.join(moved)}"
    except OSError as error:
        remedy = f"remove it by hand, it could not be moved aside ({error.strerror or error})"
    expected, got = reason.args
    text = message(expected=f"{path.name} to hold {expected}", got=got, remedy=remedy)
    warnings.warn(text, RecordWarning, stacklevel=5)


def _settled(read: Callable[[], T], path: Path, files: Callable[[], list[Path]]) -> T | None:
    """``read()``; None if absent, or bad: then ``files()`` go aside.  Call it with the lock."""
    try:
        return read()
    except FileNotFoundError:
        return None
    except encoding.BadFileError as reason:
        _set_aside(path, files(), reason)
        return None


def _verified(read: Callable[[], T], path: Path, files: Callable[[], list[Path]]) -> T | None:
    """As :func:`_settled`, without the lock as long as all is well."""
    with _disk("read", path):
        try:
            return read()
        except FileNotFoundError:
            return None
        except encoding.BadFileError:  # or met halfway through an overwrite: look again
            with _locked(path.parent):
                return _settled(read, path, files)


# ---------------------------------------------------------------- the store


@dataclass(frozen=True, eq=False)
class Record:
    """A verified result: what was asked (``config``) and what came (``summary``, ``arrays``).

    ``arrays`` are read-only; ``provenance`` is described in :mod:`escape_ntk.provenance`; ``path``
    is the JSON file.
    """

    experiment: str
    config: dict[str, Any]
    key: str
    summary: dict[str, Any]
    arrays: dict[str, np.ndarray]
    provenance: dict[str, Any]
    path: Path


def _read_document(path: Path, key: str | None) -> dict[str, Any]:
    """The verified content of a JSON file, of key ``key`` unless None."""
    text = path.read_bytes()
    try:
        document = json.loads(text)
        seal = document.pop("payload_sha256")
        actual = encoding.sha256(encoding.canonical(document))
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        got = f"{len(text)} bytes ({type(error).__name__}: {error})"
        raise encoding.BadFileError("a whole JSON record", got) from None
    schema = document.get("schema")
    _check(schema == SCHEMA_VERSION, f"a record of schema {SCHEMA_VERSION}", f"schema {schema!r}")
    _check(seal == actual, f"content of SHA-256 {seal}", actual)
    _check(set(document) == FIELDS, f"the fields {sorted(FIELDS)}", sorted(document))
    own = record_key(document["experiment"], document["config"])
    place = (document["experiment"], f"{own[:SHORT]}.json")
    _check(document["key"] == own == (key or own), f"the record of key {key or own}", own)
    _check(path.parts[-2:] == place, f"the record of its place {path.parts[-2:]}", place)
    return document


def _arrays_path(path: Path, digest: str) -> Path:
    return path.with_name(f"{path.stem}-{digest[:SHORT]}.npz")


def _read_arrays(path: Path, digest: str) -> dict[str, np.ndarray]:
    """The verified read-only arrays that belong to the JSON file ``path``."""
    file = _arrays_path(path, digest)
    try:
        blob = file.read_bytes()
    except FileNotFoundError:
        raise encoding.BadFileError(
            f"a record with its arrays in {file.name}", "no such file"
        ) from None
    actual = encoding.sha256(blob)
    _check(actual == digest, f"arrays of SHA-256 {digest} in {file.name}", actual)
    arrays = encoding.unpack(blob)
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


def _read_record(path: Path, key: str | None, wanted: Mapping[str, bytes]) -> Record | None:
    """The verified record at ``path``; None if its config lacks a wanted canonical value."""
    document = _read_document(path, key)
    config = document["config"]
    if any(n not in config or encoding.canonical(config[n]) != v for n, v in wanted.items()):
        return None
    return Record(
        experiment=document["experiment"],
        config=config,
        key=document["key"],
        summary=document["summary"],
        arrays=_read_arrays(path, document["arrays"]["sha256"]),
        provenance=document["provenance"],
        path=path,
    )


class RecordStore:
    """Records below the folder ``root``, one folder for each experiment.

    Any number of processes may read and write at once.  A record is served for its configuration
    and :data:`SCHEMA_VERSION` whatever code wrote it; ``provenance`` says which code that was.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def _path(self, experiment: str, key: str) -> Path:
        return self.root / experiment / f"{key[:SHORT]}.json"

    def load(self, experiment: str, config: Mapping[str, Any]) -> Record | None:
        """The record of ``config``, every byte of content verified; None when there is none.

        A corrupted, truncated or foreign record gives a :class:`RecordWarning` and None, and its
        files are renamed to ``….corrupt-N``.  Raises :class:`InputError` as :func:`record_key`,
        :class:`RecordError` when the disk cannot be read.
        """
        key = record_key(experiment, config)
        path = self._path(experiment, key)
        return _verified(lambda: _read_record(path, key, {}), path, lambda: _files(path))

    def save(
        self,
        experiment: str,
        config: Mapping[str, Any],
        *,
        summary: Mapping[str, Any],
        arrays: Mapping[str, Any],
        wall_seconds: float | int,
        environment: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> Record:
        """Store a result and return the record as read back from the disk.

        ``summary`` holds finite JSON values, ``arrays`` NumPy arrays of numbers (NaN allowed),
        booleans or text; ``environment`` adds to, or replaces, facts of
        :func:`escape_ntk.provenance.environment`.  A valid record that is already there is
        returned as it is, unless ``overwrite``: the first writer wins.  A kill at any moment leaves
        the old state or the new one.

        Raises :class:`InputError` for values that cannot be stored, :class:`RecordError` when the
        disk is full or cannot be written; ``.summary`` and ``.arrays`` of either error hold what
        was computed.
        """
        carried = {"summary": summary, "arrays": arrays}
        with _disk("write below", self.root, **carried):
            key = record_key(experiment, config)
            seconds = number("wall_seconds", wall_seconds, least=0.0)
            blob = encoding.pack(arrays)
            document = {
                "arrays": _listing(arrays, encoding.sha256(blob)),
                "config": encoding.plain(config, "config"),
                "experiment": experiment,
                "key": key,
                "provenance": encoding.plain(provenance(seconds, environment), "environment"),
                "schema": SCHEMA_VERSION,
                "summary": encoding.plain(encoding.mapping(summary, "summary"), "summary"),
            }
            return self._commit(document, blob, overwrite)

    def _commit(self, document: dict[str, Any], blob: bytes, overwrite: bool) -> Record:
        """Write the arrays, then the JSON, which makes them a record, and read both back."""
        path, key = self._path(document["experiment"], document["key"]), document["key"]
        sealed = {**document, "payload_sha256": encoding.sha256(encoding.canonical(document))}
        text = json.dumps(sealed, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)

        def read() -> Record | None:
            return _read_record(path, key, {})

        with _locked(path.parent):
            stored = _settled(read, path, lambda: _files(path))
            if stored is not None and not overwrite:
                return stored
            _replace_pair(_arrays_path(path, document["arrays"]["sha256"]), blob, path, text)
            record = _settled(read, path, lambda: _files(path))
        if record is None:
            raise OSError(errno.EIO, "the bytes read back are not the bytes written")
        return record

    def get_or_run(
        self,
        experiment: str,
        config: Mapping[str, Any],
        compute: Callable[[], tuple[Mapping[str, Any], Mapping[str, Any]]],
    ) -> Record:
        """The stored record of ``config``, else that of ``summary, arrays = compute()``, timed.

        Raises as :meth:`load`, and as :meth:`save` with what was computed on the error.
        """
        stored = self.load(experiment, config)
        if stored is not None:
            return stored
        code, start = environment(), time.perf_counter()
        summary, arrays = compute()
        seconds = time.perf_counter() - start
        return self.save(
            experiment,
            config,
            summary=summary,
            arrays=arrays,
            wall_seconds=seconds,
            environment=code,
        )

    def find(self, experiment: str, **filters: Any) -> list[Record]:
        """All valid records of ``experiment`` whose config has these values at top level.

        Values are compared as keys are (``1`` is not ``1.0``).  The order is that of the canonical
        JSON of the config.  Bad records give a :class:`RecordWarning` and stay where they are.
        """
        wanted = {
            name: encoding.canonical(encoding.plain(value, name)) for name, value in filters.items()
        }
        records = []
        for path in (self.root / _name(experiment)).glob("*.json"):
            if re.fullmatch(f"[0-9a-f]{{{SHORT}}}", path.stem):
                found = _verified(lambda p=path: _read_record(p, None, wanted), path, list)
                records += [] if found is None else [found]
        return sorted(records, key=lambda record: encoding.canonical(record.config))

    def checkpoint(self, experiment: str, config: Mapping[str, Any]) -> "Checkpoint":
        """Where the run of ``config`` may leave its state, and take it up again."""
        key = record_key(experiment, config)
        folder = self.root / ".checkpoints" / experiment
        return Checkpoint(path=folder / f"{key[:SHORT]}.npz", key=key)


def _files(path: Path) -> list[Path]:
    """The files of the record at ``path``: arrays first, the JSON last."""
    return [*sorted(path.parent.glob(f"{path.stem}-*.npz")), path]


def _replace_pair(file: Path, blob: bytes, path: Path, text: str) -> None:
    """Write the arrays ``file``, then the JSON ``path``; drop the arrays no JSON speaks of."""
    fresh = not file.exists()
    _write(file, blob)
    try:
        _write(path, f"{text}\n".encode())
    except BaseException:
        with suppress(OSError):
            if fresh:
                file.unlink()
        raise
    for superseded in set(_files(path)) - {file, path}:
        superseded.unlink()


def _listing(arrays: Mapping[str, Any], digest: str) -> dict[str, Any]:
    """What the JSON says of the arrays: digest of the file, dtype and shape of each."""
    checked = {name: encoding.array(name, value) for name, value in arrays.items()}
    return {
        "sha256": digest,
        "members": {name: f"{array.dtype} {array.shape}" for name, array in checked.items()},
    }


@dataclass(frozen=True)
class Checkpoint:
    """One npz file in ``root/.checkpoints/<experiment>/``: the state of an unfinished run.

    The zip comment is the SHA-256 (hex) of the record key followed by all bytes before the comment.
    """

    path: Path
    key: str

    def _seal(self, body: bytes) -> bytes:
        return encoding.sha256(self.key.encode(), body).encode()

    def _read(self) -> dict[str, np.ndarray]:
        blob = self.path.read_bytes()
        body, seal = blob[:-SEAL], blob[-SEAL:]
        got = f"{len(blob)} bytes under another seal"
        _check(seal == self._seal(body), "a whole checkpoint of this run", got)
        return encoding.unpack(blob)

    def load(self) -> dict[str, np.ndarray] | None:
        """The last saved state (numbers come back as 0-d arrays); None when there is none.

        A bad file gives a :class:`RecordWarning` and None and is renamed to ``….corrupt-N``.
        Raises :class:`RecordError` when the disk cannot be read.
        """
        return _verified(self._read, self.path, lambda: [self.path])

    def save(self, state: Mapping[str, np.ndarray | float | int]) -> None:
        """Replace the saved state in one step: a kill leaves the old one or the new one.

        Raises :class:`InputError` for what npz cannot hold, :class:`RecordError` when the disk is
        full or cannot be written; ``.arrays`` of either error is ``state``.
        """
        with _disk("write", self.path, arrays=state):
            blob = encoding.pack(state, comment=b"0" * SEAL)
            body = blob[:-SEAL]
            with _locked(self.path.parent):
                _write(self.path, body + self._seal(body))

    def clear(self) -> None:
        """Delete the saved state, if there is one.  Raises :class:`RecordError`."""
        with _disk("delete", self.path):
            self.path.unlink(missing_ok=True)
