"""Records as tables: what a database holds in a few lines of text, and all of it as CSV or Parquet.

One row a record, sorted by configuration; a column for each entry of config and summary, lists as
JSON, then what the provenance says.  Arrays stay in the database.
"""

import csv
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from escape_ntk import checks
from escape_ntk.records.store import Record, RecordStore

FACTS = (
    "wall_seconds",
    "written_utc",
    "commit",
    "dirty",
    "accelerator",
    "cpu",
    "threads",
    "torch",
)
"""Of the provenance, the columns of a table."""
SHOWN = 6
"""Values of a field that a line of text spells out."""


def rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """One flat dict a record: key, ``config.…``, ``summary.…`` and :data:`FACTS`."""
    return [
        {
            "key": record.key,
            **{f"config.{name}": _cell(value) for name, value in record.config.items()},
            **{f"summary.{name}": _cell(value) for name, value in record.summary.items()},
            **{name: record.provenance.get(name) for name in FACTS},
        }
        for record in records
    ]


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def columns(table: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """The same by column, in the order of first appearance; None where a row has no such entry."""
    names = dict.fromkeys(name for row in table for name in row)
    return {name: [row.get(name) for row in table] for name in names}


def found(store: RecordStore, experiment: str) -> list[Record]:
    """All records of a database; an unknown name raises
    :class:`~escape_ntk.checks.UnknownNameError`."""
    known = tuple(store.experiments())
    if not known:
        _refuse("a folder with records", f"none in {store.root}", "--records FOLDER, or run one")
    checks.one_of("database of records", experiment, known)
    return store.find(experiment)


# ---------------------------------------------------------------- text


def overview(store: RecordStore) -> list[str]:
    """One line a database: name, number of records, size."""
    lines = [
        f"{name:34} {len(store.keys(name)):5} records {_size(store.path(name)) / 1e6:6.2f} MB"
        for name in store.experiments()
    ]
    return lines or [f"nothing is recorded below {store.root}"]


def _size(path: Path) -> int:
    """Bytes of a file; 0 where it is gone, or a link to nothing."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def count(records: Sequence[Record]) -> str:
    """``"1 record"``, ``"6 records"``."""
    return f"{len(records)} record{'' if len(records) == 1 else 's'}"


def description(records: Sequence[Record]) -> list[str]:
    """What the records of a database vary in, what came out, and which arrays they hold."""
    lines = [count(records)]
    for name, values in columns(rows(records)).items():
        if name != "key":
            lines.append(f"  {name:34} {_range(values)}")
    shapes: dict[str, set[str]] = {}
    for record in records:
        for name, array in record.arrays.items():
            shapes.setdefault(name, set()).add(f"{array.dtype} {array.shape}")
    return lines + [f"  {f'array {name}':34} {_range(sorted(s))}" for name, s in shapes.items()]


def _range(values: Sequence[Any]) -> str:
    """Few values spelt out; of many numbers the least and the largest."""
    several = list(dict.fromkeys(values))
    if len(several) <= SHOWN:
        return ", ".join(map(str, several))
    numbers = [v for v in several if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if len(numbers) >= len(several) - 1:  # None among them: censored
        rest = "" if len(numbers) == len(several) else ", or None"
        return f"{min(numbers):.6g} … {max(numbers):.6g}{rest} ({len(several)} values)"
    return f"{', '.join(map(str, several[:3]))}, … ({len(several)} values)"


# ---------------------------------------------------------------- files


def as_csv(records: Sequence[Record]) -> bytes:
    """RFC 4180 in UTF-8; numbers as Python writes them, so that they read back exactly."""
    if not records:
        _refuse("records to make a table of", "none", "`escape-ntk records` lists what is there")
    table, stream = rows(records), io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(columns(table)), restval="")
    writer.writeheader()
    writer.writerows(table)
    return stream.getvalue().encode()


def as_parquet(records: Sequence[Record]) -> bytes:
    """Apache Parquet, for pandas, polars or DuckDB; needs the package pyarrow."""
    try:
        import pyarrow  # pyright: ignore[reportMissingImports]
        from pyarrow import parquet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise checks.InputError(
            checks.message(
                expected="the package pyarrow, for --parquet",
                got="none installed",
                remedy="pip install 'escape-ntk[parquet]', or --csv",
            )
        ) from error
    if not records:
        _refuse("records to make a table of", "none", "`escape-ntk records` lists what is there")
    stream = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table(columns(rows(records))), stream)
    return stream.getvalue().to_pybytes()


FORMATS: dict[str, Callable[[Sequence[Record]], bytes]] = {"csv": as_csv, "parquet": as_parquet}


def write_new(path: Path, content: bytes) -> None:
    """Write a file that was not there before, whole or not at all.

    :class:`~escape_ntk.checks.InputError` for a name that is taken or a folder that is not there.
    """
    if os.path.lexists(path):
        kind = "a folder" if path.is_dir() else "a file that is already there"
        _refuse("the name of a new file", f"{path}, {kind}", "choose another name")
    handle = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".tmp-", delete=False) as handle:
            handle.write(content)
        os.chmod(handle.name, 0o666 & ~_umask())
        os.replace(handle.name, path)
    except OSError as error:
        if handle is not None:
            Path(handle.name).unlink(missing_ok=True)
        said = error.strerror or str(error)
        _refuse(f"to write {path}", said, "name a file in a folder that can be written")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _refuse(expected: str, got: str, remedy: str) -> NoReturn:
    raise checks.InputError(checks.message(expected=expected, got=got, remedy=remedy))
