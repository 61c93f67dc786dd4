"""Content-addressed results: key, atomic save, verified load, checkpoints.

The records of an experiment are the rows of ``root/<experiment>.sqlite``
(:mod:`escape_ntk.records.database`), each addressed by its whole configuration.  A record is
verified as it is read, once in a process as long as its file stays the same.  Nothing is pickled,
ever.
"""

import dataclasses
import errno
import os
import re
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from escape_ntk.checks import InputError, RecordWarning, message, number
from escape_ntk.records import database, encoding, vocabulary
from escape_ntk.records.database import ROOT_VARIABLE, SUFFIX, Row
from escape_ntk.records.provenance import checkout, environment, provenance

SCHEMA_VERSION: int = 1
KEY = r"[0-9a-f]{64}"
NAME = r"(?!(con|prn|aux|nul|com\d|lpt\d)(\.|$))[a-z0-9]([a-z0-9_.-]{0,98}[a-z0-9])?"


def default_root() -> Path:
    """Folder of the records: ``$ESCAPE_NTK_RECORDS``, else ``book/records`` of the checkout that
    holds the package, else ``escape-ntk-records`` in the working directory."""
    chosen, home = os.environ.get(ROOT_VARIABLE), checkout()
    if chosen:
        return Path(chosen)
    return Path("escape-ntk-records") if home is None else home / "book" / "records"


def _name(experiment: object) -> str:
    """``experiment`` if it names one file on every system; else :class:`InputError`.

    Capitals would not be told from small letters on some, and devices of Windows are no files.
    """
    if isinstance(experiment, str) and re.fullmatch(NAME, experiment):
        return experiment
    expected = "experiment in small letters and digits, with '_', '.' and '-' between them"
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


# ---------------------------------------------------------------- the store


@dataclass(frozen=True, eq=False)
class Record:
    """A verified result: what was asked (``config``) and what came (``summary``, ``arrays``).

    What came has one name for each quantity, whatever it was stored under
    (:mod:`escape_ntk.records.vocabulary`).
    Each caller has mappings of its own; the arrays in ``arrays`` are shared and read-only;
    ``provenance`` is described in :mod:`escape_ntk.records.provenance`; ``path`` is the database
    that holds it.
    """

    experiment: str
    config: dict[str, Any]
    key: str
    summary: dict[str, Any]
    arrays: dict[str, np.ndarray]
    provenance: dict[str, Any]
    path: Path


Stamp = tuple[int, int, int]
_READ: dict[str, tuple[Stamp, dict[str, Record]]] = {}
"""What this process has verified, by file: good as long as the file's stamp is the same."""


def _own(record: Record) -> Record:
    """The record with mappings that only the caller has: what was verified stays as it is."""
    config, summary, facts = map(_fresh, (record.config, record.summary, record.provenance))
    own = {"config": config, "summary": summary, "provenance": facts}
    return dataclasses.replace(record, arrays=dict(record.arrays), **own)


def _fresh(value: Any) -> Any:
    """A copy of a JSON value."""
    if isinstance(value, dict):
        return {name: _fresh(item) for name, item in value.items()}
    return [_fresh(item) for item in value] if isinstance(value, list) else value


def _remembered(path: Path) -> dict[str, Record] | None:
    """The verified records of the file as it is now, to add to; None where there is no file."""
    name = os.fspath(path)
    try:
        facts = os.stat(name)
    except FileNotFoundError:
        return None
    stamp = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
    known, records = _READ.get(name, (None, {}))
    if known != stamp:
        records = {}
        _READ[name] = stamp, records
    return records


def _warn(path: Path, key: str | None, reason: encoding.BadFileError, remedy: str) -> None:
    expected, got = reason.args
    where = path.name if key is None else f"{path.name}, record {key[:16]},"
    text = message(expected=f"{where} to hold {expected}", got=got, remedy=remedy)
    warnings.warn(text, RecordWarning, stacklevel=4)


def _unspeakable(path: str | os.PathLike) -> bool:
    """Whether the system has no bytes for this path."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return True
    return False


class RecordStore:
    """Records below the folder ``root``, one database for each experiment.

    Any number of processes may read and write at once.  A record is served for its configuration
    and :data:`SCHEMA_VERSION` whatever code wrote it; ``provenance`` says which code that was.
    """

    def __init__(self, root: Path | str) -> None:
        if not isinstance(root, (str, os.PathLike)) or "\0" in str(root) or _unspeakable(root):
            expected, remedy = "root to be the path of a folder", "RecordStore('records')"
            raise InputError(message(expected=expected, got=ascii(root), remedy=remedy))
        self.root = Path(root)

    def path(self, experiment: str) -> Path:
        """The database of an experiment, whether it is there or not."""
        return self.root / f"{_name(experiment)}{SUFFIX}"

    def experiments(self) -> list[str]:
        """Names of the databases below the root; none where there is no such folder.

        Raises :class:`RecordError`.
        """
        with database.disk("read", self.root):
            there = os.listdir(self.root) if database.exists(self.root) else ()
        paths = [Path(name) for name in there if name.endswith(SUFFIX)]
        return sorted(path.stem for path in paths if re.fullmatch(NAME, path.stem))

    def keys(self, experiment: str) -> set[str]:
        """Keys of all records of an experiment, not verified; damage gives a warning.

        Raises :class:`RecordError`.
        """
        path, remedy = self.path(experiment), "run the experiment: what is sound is kept"
        try:
            with database.disk("read", path), database.reading(path) as connection:
                if connection is None:
                    return set()
                found, fault = database.keys(connection)
        except encoding.BadFileError as reason:
            _warn(path, None, reason, remedy)
            return set()
        strange = [key for key in found if not isinstance(key, str)]
        if fault is None and strange:
            fault = f"{len(strange)} keys that are no text, such as {ascii(strange[0])[:40]}"
        if fault is not None:
            reason = encoding.BadFileError("a sound SQLite database", str(fault))
            _warn(path, None, reason, remedy)
        return {key for key in found if isinstance(key, str) and re.fullmatch(KEY, key)}

    def load(self, experiment: str, config: Mapping[str, Any]) -> Record | None:
        """The record of ``config``, every byte of content verified; None when there is none.

        A damaged record or file gives a :class:`RecordWarning` and None, and stays until the next
        :meth:`save` puts it aside.  Raises :class:`InputError` as :func:`record_key`,
        :class:`RecordError` when the disk cannot be read or the file is not one of ours.
        """
        return self.load_key(experiment, record_key(experiment, config))

    def load_key(self, experiment: str, key: str) -> Record | None:
        """As :meth:`load`, by the :func:`record_key` of the config."""
        if not isinstance(key, str) or not re.fullmatch(KEY, key):
            expected, remedy = "key to be 64 digits in hex", "record_key(experiment, config)"
            raise InputError(message(expected=expected, got=ascii(key), remedy=remedy))
        path = self.path(experiment)
        try:
            return self._verified(experiment, path, key)
        except encoding.BadFileError as reason:
            _warn(path, key, reason, "none needed for a run, which computes it again")
            return None

    def _verified(self, experiment: str, path: Path, key: str) -> Record | None:
        """The record of ``key``, from memory if the file is still the same."""
        with database.disk("read", path):
            known = _remembered(path)
            if known is None:
                return None
            if key not in known:
                with database.reading(path) as connection:
                    found = None if connection is None else database.get(connection, key)
                if found is None:
                    return None
                known[key] = _record(experiment, path, *found)
            return _own(known[key])

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
        :func:`escape_ntk.records.provenance.environment`.  A valid record that is already there is
        returned as it is, unless ``overwrite``: the first writer wins.  A kill at any moment leaves
        the old state or the new one.  A damaged record or file is put aside, with a warning.

        Raises :class:`InputError` for values that cannot be stored, :class:`RecordError` when the
        disk is full or cannot be written; ``.summary`` and ``.arrays`` of either error hold what
        was computed.
        """
        carried = {"summary": summary, "arrays": arrays}
        with database.disk("write below", self.root, **carried):
            key, path = record_key(experiment, config), self.path(experiment)
            if not isinstance(overwrite, bool):
                expected, remedy = "overwrite to be True or False", "leave it out"
                raise InputError(message(expected=expected, got=ascii(overwrite), remedy=remedy))
            seconds = number("wall_seconds", wall_seconds, least=0.0)
            if environment is not None:
                encoding.mapping(environment, "environment")
            facts = encoding.plain(provenance(seconds, environment), "environment")
            outcome = encoding.plain(encoding.mapping(summary, "summary"), "summary")
            address = encoding.canonical(encoding.plain(config, "config")).decode()
            row = Row(key, address, encoding.text(outcome), encoding.text(facts))
            content = {
                n: encoding.array(n, a) for n, a in encoding.mapping(arrays, "arrays").items()
            }
            _one_name_each(experiment, outcome, content)
            try:
                return self._commit(experiment, path, row, content, overwrite)
            except encoding.BadFileError as reason:
                aside, copied = database.rescue(path)
                done = "mended by another process"
                if aside is not None:
                    done = f"kept aside as {aside.name}; sound records copied: {copied}"
                _warn(path, None, reason, f"none needed: {done}")
            try:
                return self._commit(experiment, path, row, content, overwrite)
            except encoding.BadFileError as reason:
                raise OSError(errno.EIO, "expected {}; got {}".format(*reason.args)) from reason

    def _commit(
        self, experiment: str, path: Path, row: Row, arrays: dict[str, np.ndarray], overwrite: bool
    ) -> Record:
        """Write one record in one transaction, unless a valid one is there already; read it."""
        with database.disk("write", path), database.writing(path) as connection:
            try:
                stored = database.get(connection, row.key)
                sound = stored is not None and _record(experiment, path, *stored) is not None
            except database.DamagedFileError:
                raise
            except encoding.BadFileError as reason:
                if database.is_damaged(connection):  # writing into it could spoil what is sound
                    raise database.DamagedFileError(*reason.args) from reason
                aside = database.keep_aside(connection, row.key)
                _warn(path, row.key, reason, f"none needed: kept aside under the key {aside}")
                sound = False
            if overwrite or not sound:
                database.put(connection, row, arrays)
        record = self._verified(experiment, path, row.key)
        if record is None:
            raise OSError(errno.EIO, "the record is not there after it was written")
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
        if not callable(compute):
            expected, remedy = "compute to be a function", "lambda: (summary, arrays)"
            raise InputError(message(expected=expected, got=ascii(compute), remedy=remedy))
        code, start = environment(), time.perf_counter()
        result = compute()
        seconds = time.perf_counter() - start
        if not isinstance(result, tuple) or len(result) != 2:
            expected, got = "compute() to return (summary, arrays)", f"a {type(result).__name__}"
            failure = InputError(message(expected=expected, got=got, remedy="return two mappings"))
            vars(failure)["result"] = result
            raise failure
        summary, arrays = result
        return self.save(
            experiment,
            config,
            summary=summary,
            arrays=arrays,
            wall_seconds=seconds,
            environment=code,
        )

    def find(self, experiment: str, /, **filters: Any) -> list[Record]:
        """All valid records of ``experiment`` whose config has these values at top level.

        Values are compared as keys are (``1`` is not ``1.0``).  The order is that of the canonical
        JSON of the config.  Damaged records give a :class:`RecordWarning` and are left out.
        """
        wanted = {
            name: encoding.canonical(encoding.plain(value, name)) for name, value in filters.items()
        }
        path, records = self.path(experiment), []
        for key in sorted(self.keys(experiment)):
            try:
                record = self._verified(experiment, path, key)
            except encoding.BadFileError as reason:
                _warn(path, key, reason, "run the experiment again: it is kept aside")
                continue
            if record is not None and all(
                n in record.config and encoding.canonical(record.config[n]) == v
                for n, v in wanted.items()
            ):
                records.append(record)
        return sorted(records, key=lambda record: encoding.canonical(record.config))

    def checkpoint(self, experiment: str, config: Mapping[str, Any]) -> "Checkpoint":
        """Where the run of ``config`` may leave its state, and take it up again."""
        key = record_key(experiment, config)
        return Checkpoint(self.root / ".checkpoints" / f"{experiment}-{key[:16]}{SUFFIX}", key)


def _record(experiment: str, path: Path, row: Row, arrays: dict[str, np.ndarray]) -> Record:
    """The record that a verified row tells of; its key must be that of its config."""
    config, summary, facts = (encoding.parse(text) for text in row[1:])
    own = record_key(experiment, config)
    if own != row.key:
        raise encoding.BadFileError(f"the config of key {row.key}", own)
    summary, arrays = (vocabulary.named(experiment, part) for part in (summary, arrays))
    return Record(experiment, config, row.key, summary, arrays, facts, path)


def _one_name_each(experiment: str, *parts: Mapping[str, Any]) -> None:
    """Refuse what could be stored and then not be handed out: two names of one quantity."""
    try:
        for part in parts:
            vocabulary.named(experiment, part)
    except encoding.BadFileError as reason:
        expected, got = reason.args
        raise InputError(message(expected=expected, got=got, remedy="leave it out")) from None


@dataclass(frozen=True)
class Checkpoint:
    """One database in ``root/.checkpoints``: the state of an unfinished run, as one record.

    It outlasts a kill; a power cut may damage it, which is noticed, and the run starts anew.
    """

    path: Path
    key: str

    def load(self) -> dict[str, np.ndarray] | None:
        """The last saved state (numbers come back as 0-d arrays); None when there is none.

        A damaged one gives a :class:`RecordWarning` and None, and is kept aside by the next
        :meth:`save`.  Raises :class:`RecordError` when the disk cannot be read or the file is not
        one of ours.
        """
        try:
            with database.disk("read", self.path), database.reading(self.path) as connection:
                found = None if connection is None else database.get(connection, self.key)
        except encoding.BadFileError as reason:
            _warn(self.path, None, reason, "none needed: the run starts anew")
            return None
        return None if found is None else dict(found[1])

    def save(self, state: Mapping[str, np.ndarray | float | int | str]) -> None:
        """Replace the saved state in one step: a kill leaves the old one or the new one.

        Raises :class:`InputError` for what cannot be stored, :class:`RecordError` when the disk is
        full or cannot be written; ``.arrays`` of either error is ``state``.
        """
        with database.disk("write", self.path, arrays=state):
            content = {n: encoding.array(n, a) for n, a in encoding.mapping(state, "state").items()}
            row = Row(self.key, "{}", "{}", "{}")
            try:
                self._replace(row, content)
            except encoding.BadFileError:
                database.rescue(self.path)
                self._replace(row, content)

    def _replace(self, row: Row, content: dict[str, np.ndarray]) -> None:
        with (
            database.disk("write", self.path),
            database.writing(self.path, synced=False) as connection,
        ):
            database.put(connection, row, content)

    def clear(self) -> None:
        """Delete the saved state, if there is one.  Raises :class:`RecordError`."""
        with database.disk("delete", self.path):
            for path in (self.path, Path(f"{self.path}-journal")):
                path.unlink(missing_ok=True)
