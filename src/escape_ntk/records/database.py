"""One SQLite file: opened only if it is ours, written in transactions, believed only if verified.

Two tables, which any SQLite program can read:

* ``records``: ``key``; as JSON text ``config``, ``summary`` and ``provenance``; and ``sha256``,
  over these four and all arrays;
* ``arrays``: ``key``, ``name``, ``dtype`` (NumPy's, such as ``<f8``), ``shape`` (JSON), ``data``
  (the bytes in C order).

SQLite's transactions make a kill leave the old state or the new one, and let processes take turns.
A damaged row keeps its content under the key ``….damaged-N``, a damaged file under a name like it.
"""

import errno
import itertools
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from escape_ntk.checks import RecordError, message
from escape_ntk.records import encoding

SUFFIX = ".sqlite"
APPLICATION = 0x4E544B32  # "NTK2", in the header of every file of ours
FORMAT = 1  # of the tables; a newer one is refused, not guessed at
LOCK_SECONDS = 30.0
"""Patience with another process that holds a file."""
ROOT_VARIABLE = "ESCAPE_NTK_RECORDS"
TABLES = """
CREATE TABLE records (
    key TEXT PRIMARY KEY NOT NULL,
    config TEXT NOT NULL,
    summary TEXT NOT NULL,
    provenance TEXT NOT NULL,
    sha256 TEXT NOT NULL
);
CREATE TABLE arrays (
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    dtype TEXT NOT NULL,
    shape TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (key, name)
);
"""
OTHER = f"choose another folder (--records, or {ROOT_VARIABLE})"
FULL = f"free some space, or {OTHER}"
CLOSED = f"give yourself access to it, or {OTHER}"
REMEDIES = {
    "ENOSPC": FULL,
    "EDQUOT": FULL,
    "EFBIG": f"raise the limit on the size of files (ulimit -f), or {OTHER}",
    "ENOTDIR": OTHER,
    "EROFS": CLOSED,
    "EACCES": CLOSED,
    "EPERM": CLOSED,
    "SQLITE_FULL": FULL,
    "SQLITE_READONLY": f"{CLOSED}; where you have access its header is damaged: move it away",
    "SQLITE_CANTOPEN": f"{CLOSED}; if it is no file (a folder, a link to nothing): move it away",
    "SQLITE_PERM": CLOSED,
    "SQLITE_AUTH": CLOSED,
    "SQLITE_BUSY": f"wait for, or end, the program that holds it ({LOCK_SECONDS:g} s were waited)",
}
DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class DamagedFileError(encoding.BadFileError):
    """The file is damaged, not one record alone."""


class Row(NamedTuple):
    """What the table ``records`` says of one record: text, as it is stored."""

    key: str
    config: str
    summary: str
    provenance: str

    def seal(self, arrays: Mapping[str, np.ndarray]) -> str:
        """SHA-256 (hex) over the text and every array: name, dtype, shape and bytes."""
        listing = [
            [name, a.dtype.str, list(a.shape), encoding.sha256(a.tobytes())]
            for name, a in sorted(arrays.items())
        ]
        return encoding.sha256(encoding.canonical([*self, listing]))


def code_of(error: OSError | sqlite3.Error) -> str:
    """``"ENOSPC"``, ``"SQLITE_BUSY"``, …: the primary name of what went wrong."""
    if isinstance(error, OSError):
        return errno.errorcode.get(error.errno or 0, "OSError")
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return "_".join(name.split("_")[:2])


@contextmanager
def disk(act: str, path: Path, **carried: Any) -> Iterator[None]:
    """Make :class:`RecordError` of a failing disk; hang ``carried`` on it, as on any other error.

    Damage is no failure of the disk: it becomes :class:`~escape_ntk.records.encoding.BadFileError`.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        code = code_of(error)
        if code in DAMAGE:
            raise DamagedFileError("a sound SQLite database", f"{code}: {error}") from error
        remedy = REMEDIES.get(code, f"check the disk, or {OTHER}")
        said = getattr(error, "strerror", None) or error
        text = message(expected=f"to {act} {path}", got=f"{code}: {said}", remedy=remedy)
        failure = RecordError(text)
        vars(failure).update(carried)
        raise failure from error
    except UnicodeDecodeError as error:  # in the names of tables
        raise DamagedFileError("a sound SQLite database", str(error)) from error
    except Exception as error:
        vars(error).update(carried)
        raise


def exists(path: Path) -> bool:
    """Whether something is there; OSError where that cannot be told."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode={mode}"
    there = sqlite3.connect(address, uri=True, timeout=LOCK_SECONDS, isolation_level=None)
    there.text_factory = lambda raw: raw.decode("utf-8", "replace")  # what is damaged has no seal
    return there


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return connection.execute(f"PRAGMA {pragma}").fetchone()[0]


def _is_empty(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether nothing was ever written; refuses the file of another program or a newer format."""
    application, version = (_number(connection, p) for p in ("application_id", "user_version"))
    tables = _number(connection, "schema_version")
    if application == version == tables == 0:
        size = path.stat().st_size
        if size:
            raise DamagedFileError("a sound SQLite database", f"{size} bytes without a table")
        return True
    if application == APPLICATION and version == FORMAT:
        return False
    expected, remedy = "to hold records of escape-ntk", "move it away, or choose another root"
    got, header = f"application {application:#x}", f"application_id = {APPLICATION}"
    if application == APPLICATION:
        expected, remedy = f"in format {FORMAT}", "install the version of escape-ntk that wrote it"
        got, header = f"format {version}", f"user_version = {FORMAT}"
    if _has_our_tables(connection):
        remedy += f"; if its header is damaged: sqlite3 {path} 'PRAGMA {header}'"
    raise RecordError(message(expected=f"{path} {expected}", got=got, remedy=remedy))


def _has_our_tables(connection: sqlite3.Connection) -> bool:
    created = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master") if sql]
    return created == [part.strip() for part in TABLES.split(";") if part.strip()]


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A connection that sees one state of the file; None where there is no file, or an empty one.

    What a killed writer left half done is rolled back first, by SQLite.
    """
    if not exists(path):
        yield None
        return
    with closing(_connect(path, "rw")) as connection:
        connection.execute("BEGIN")
        yield None if _is_empty(connection, path) else connection


@contextmanager
def writing(path: Path, *, synced: bool = True) -> Iterator[sqlite3.Connection]:
    """A transaction that nobody else writes beside; the file is made if missing.

    Committed at the end, rolled back when an error passes; not ``synced``, it outlasts a kill, but
    perhaps not a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(_connect(path, "rwc")) as connection:
        connection.execute(f"PRAGMA synchronous = {'EXTRA' if synced else 'OFF'}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _is_empty(connection, path):
                for statement in TABLES.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
                connection.execute(f"PRAGMA user_version = {FORMAT}")
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise


# ---------------------------------------------------------------- rows


def put(connection: sqlite3.Connection, row: Row, arrays: Mapping[str, np.ndarray]) -> None:
    """Insert a record, in place of one of the same key."""
    delete(connection, row.key)
    connection.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?)", (*row, row.seal(arrays)))
    connection.executemany(
        "INSERT INTO arrays VALUES (?, ?, ?, ?, ?)",
        [
            (row.key, name, a.dtype.str, json.dumps(a.shape), a.tobytes())
            for name, a in sorted(arrays.items())
        ],
    )


def get(
    connection: sqlite3.Connection, key: str, *, indexed: bool = True
) -> tuple[Row, dict[str, np.ndarray]] | None:
    """The record of ``key``, verified, its arrays read-only; None where there is none.

    Not ``indexed``: by a walk through the tables, for a file whose index is damaged.
    :class:`~escape_ntk.records.encoding.BadFileError` says what is damaged.
    """
    how = "" if indexed else "NOT INDEXED"
    rows = connection.execute(f"SELECT * FROM records {how} WHERE key = ?", (key,)).fetchall()
    if not rows:
        if connection.execute("SELECT 1 FROM records NOT INDEXED WHERE key = ?", (key,)).fetchone():
            raise DamagedFileError("a sound index", f"one that does not know {key[:16]}")
        return None
    *texts, seal = rows[0]
    listing = connection.execute(f"SELECT * FROM arrays {how} WHERE key = ?", (key,)).fetchall()
    try:
        row = Row(*texts)
        arrays = {name: _array(*facts) for _, name, *facts in listing}
        actual = row.seal(arrays)
    except (TypeError, ValueError, AttributeError) as error:
        raise encoding.BadFileError("a whole record", f"{type(error).__name__}: {error}") from None
    if actual != seal:
        raise encoding.BadFileError(f"content of SHA-256 {seal}", actual)
    return row, arrays


def _array(dtype: str, shape: str, data: bytes) -> np.ndarray:
    kind = np.dtype(dtype)
    if kind.kind not in encoding.ARRAY_KINDS or not isinstance(data, bytes):
        raise ValueError(f"an array of dtype {dtype} from {type(data).__name__}")
    array = np.ndarray(tuple(json.loads(shape)), kind, buffer=data)
    if array.nbytes != len(data) or json.dumps(array.shape) != shape:
        raise ValueError(f"{len(data)} bytes for an array {shape} of {dtype}")
    return array


def delete(connection: sqlite3.Connection, key: str) -> None:
    """Remove a record and its arrays."""
    for table in ("records", "arrays"):
        connection.execute(f"DELETE FROM {table} WHERE key = ?", (key,))


def keep_aside(connection: sqlite3.Connection, key: str) -> str:
    """Give a damaged record another key, under which nobody looks for it; that key."""
    names = (f"{key}.damaged-{i}" for i in itertools.count(1))
    taken = "SELECT 1 FROM records WHERE key = ?"
    aside = next(name for name in names if not connection.execute(taken, (name,)).fetchone())
    for table in ("records", "arrays"):
        connection.execute(f"UPDATE {table} SET key = ? WHERE key = ?", (aside, key))
    return aside


def keys(connection: sqlite3.Connection) -> tuple[list[str], Exception | None]:
    """Every key that can be read, from the table and from its index, and what was in the way."""
    found: dict[str, None] = {}
    fault: Exception | None = None
    for route in ("NOT INDEXED", "INDEXED BY sqlite_autoindex_records_1"):
        try:
            for (key,) in connection.execute(f"SELECT key FROM records {route}"):
                found[key] = None
        except sqlite3.Error as error:
            if code_of(error) not in DAMAGE:
                raise
            fault = error
    return list(found), fault


# ---------------------------------------------------------------- files


def rescue(path: Path) -> tuple[Path | None, int]:
    """Replace a damaged file by one of its sound records: (where the old one is kept, how many).

    (None, 0) where another process has mended it already.  The new file is whole before it takes
    the place of the old one: a kill, or a full disk, leaves the damaged file where it was.
    """
    folder, mended = path.parent, path.with_name(f".mended-{path.name}")
    scratch = path.with_name(f".scratch-{path.name}")
    with writing(folder / f".rescue{SUFFIX}"):  # held to the end: one rescuer at a time
        try:
            with disk("read", path), reading(path) as connection:
                if connection is None or not is_damaged(connection):
                    return None, 0
        except encoding.BadFileError:
            pass
        try:
            _forget(mended, scratch)
            shutil.copyfile(path, scratch)
            _pad(scratch)
            copied = _copy_sound_records(scratch, mended)
            names = (path.with_name(f"{path.name}.damaged-{i}") for i in itertools.count(1))
            aside = next(name for name in names if not name.exists())
            shutil.copyfile(path, scratch)
            os.replace(scratch, aside)
            with suppress(FileNotFoundError):  # SQLite would roll it back into the new file
                os.replace(f"{path}-journal", f"{aside}-journal")
            os.replace(mended, path)
        finally:
            _forget(mended, scratch)
        return aside, copied


def _forget(*paths: Path) -> None:
    for path in paths:
        for file in (path, Path(f"{path}-journal")):
            file.unlink(missing_ok=True)


def _pad(path: Path) -> None:
    """Give a file that was cut the length that its header tells: SQLite reads no shorter one."""
    head = path.read_bytes()[:32]
    if head[:15] == b"SQLite format 3" and len(head) == 32:
        page = int.from_bytes(head[16:18], "big")
        told = (65536 if page == 1 else page) * int.from_bytes(head[28:32], "big")
        if path.stat().st_size < told < 2**34:
            os.truncate(path, told)


def is_damaged(connection: sqlite3.Connection) -> bool:
    """Whether SQLite finds a fault in the file's structure, its index included."""
    return connection.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok"


def _copy_sound_records(source: Path, target: Path) -> int:
    """Every record of a damaged file that can still be verified, and those kept aside before."""
    found = []
    with suppress(encoding.BadFileError, RecordError):  # nothing of it can be read
        with disk("read", source), reading(source) as old:
            if old is not None:
                found += filter(None, (_first_sound(source, old, key) for key in keys(old)[0]))
    with writing(target) as new:
        for record in found:
            put(new, *record)
    return len(found)


def _first_sound(source: Path, connection: sqlite3.Connection, key: str):
    """A record by the index or, where that is damaged, by reading every row."""
    for indexed in (True, False):
        with suppress(encoding.BadFileError), disk("read", source):
            return get(connection, key, indexed=indexed)
    return None
