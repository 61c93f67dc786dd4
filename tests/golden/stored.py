"""What is stored of computed numbers, and how today's are compared with them.

``golden.json`` holds the tolerances, wide enough for other processors, and for each tiny run its
configuration, its class's defaults, its summary and its whole arrays.  ``ledger.json`` holds the
rows of the claims ledger.  Text, integers, booleans and None are compared exactly, floats relative
to the larger of themselves and a millionth of the largest in their array.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from escape_ntk import chapters
from escape_ntk.study.plans import SCALES
from escape_ntk.study.point import Point
from escape_ntk.study.sweep import LiveResult

GOLDEN = Path(__file__).with_name("golden.json")
LEDGER = Path(__file__).with_name("ledger.json")
FLOOR = 1e-6
"""No number is held to less than its tolerance times this share of the largest in its array."""


@dataclass(frozen=True)
class Allowed:
    """How far a number may be off: relative, and absolute for what is 0 but for rounding.

    Integers are exact unless ``counts``.
    """

    relative: float
    absolute: float = 0.0
    counts: bool = False


@dataclass(frozen=True)
class Tolerance:
    """The tolerances of ``golden.json``, the same on every machine: entries come from several.

    An exception is ``{"why", "names", "relative", "absolute", "counts"}``, all but the first two
    optional; the first with a pattern that fits ``label name`` holds.
    """

    relative: float
    exceptions: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, golden: Mapping[str, Any]) -> "Tolerance":
        """Those of the file."""
        stated = golden["tolerance"]
        return cls(stated["relative"], tuple(stated["exceptions"]))

    def at(self, label: str, name: str) -> Allowed:
        """What is allowed of one number."""
        for exception in self.exceptions:
            if any(fnmatchcase(f"{label} {name}", pattern) for pattern in exception["names"]):
                return Allowed(
                    exception.get("relative", self.relative),
                    exception.get("absolute", 0.0),
                    exception.get("counts", False),
                )
        return Allowed(self.relative)


ROUNDED = {
    "why": "zero but for rounding: all norms of the control are the same",
    "names": ["quadntk-several-1 negative_control.measured.*"],
    "absolute": 1e-12,
}
EVERYWHERE = Tolerance(1e-9, (ROUNDED,))
"""Of the ledger: fits and means of stored numbers, in float64, that rounding moves by 1e-12."""


@dataclass(frozen=True)
class Moved:
    """A stored value that is not today's."""

    label: str
    name: str
    old: Any
    new: Any

    @property
    def relative(self) -> float:
        """|new − old|/|old|; inf where that is no number."""
        if not all(isinstance(v, (int, float)) for v in (self.old, self.new)):
            return math.inf
        return abs(self.new - self.old) / abs(self.old) if self.old else math.inf

    def __str__(self) -> str:
        size = f" (relative {self.relative:.1e})" if math.isfinite(self.relative) else ""
        where = f"{self.label}: {self.name}" if self.name else self.label
        return f"{where}: {self.old!r} → {self.new!r}{size}"


ABSENT = "absent"


def moved(label: str, old: Any, new: Any, tolerance: Tolerance, name: str = "") -> Iterator[Moved]:
    """Where two JSON trees differ by more than is allowed."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            inner = f"{name}.{key}" if name else str(key)
            pair = old.get(key, ABSENT), new.get(key, ABSENT)
            yield from moved(label, *pair, tolerance, inner)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        scale = max((abs(v) for v in old if _finite(v)), default=0.0)
        for i, pair in enumerate(zip(old, new, strict=True)):
            inner = f"{name}[{i}]"
            if not _near(*pair, tolerance.at(label, inner), scale):
                yield from (
                    moved(label, *pair, tolerance, inner)
                    if _tree(pair)
                    else (Moved(label, inner, *pair),)
                )
    elif not _near(old, new, tolerance.at(label, name), 0.0):
        yield Moved(label, name, old, new)


def moved_rows(old: list[dict], new: list[dict], tolerance: Tolerance) -> Iterator[Moved]:
    """The same over the rows of a ledger, by their ids."""
    rows, now = ({row["id"]: row for row in ledger} for ledger in (old, new))
    for name in dict.fromkeys((*rows, *now)):
        yield from moved(name, rows.get(name, ABSENT), now.get(name, ABSENT), tolerance)


def _tree(pair: tuple[Any, Any]) -> bool:
    return all(isinstance(value, (dict, list)) for value in pair)


def _finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _near(old: Any, new: Any, allowed: Allowed, scale: float) -> bool:
    """Equal; or both floats, or counts, and within what is allowed."""
    if type(old) is type(new) and old == new:
        return True
    counts = allowed.counts and type(old) is type(new) is int
    if not (counts or (_finite(old) and _finite(new))):
        return False
    size = max(abs(old), FLOOR * scale)
    return abs(new - old) <= max(allowed.relative * size, allowed.absolute)


def entry(point: Point, result: LiveResult) -> dict[str, Any]:
    """All that is stored of a run."""
    fields = dataclasses.fields(type(point))
    defaults = {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}
    return plain(
        {
            "class": type(point).__name__,
            "config": result.config,
            "defaults": defaults,
            "summary": result.summary,
            "arrays": {name: _array(np.asarray(a)) for name, a in result.arrays.items()},
        }
    )


def _array(array: np.ndarray) -> dict[str, Any]:
    return {"kind": f"{array.dtype} {array.shape}", "values": array.ravel().tolist()}


def plain(value: Any) -> Any:
    """JSON values alone: tuples as lists, numpy's numbers as Python's, NaN and infinity as text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def plans() -> dict[str, dict[str, Any]]:
    """Experiment and scale → how many points its default seeds give, and a digest of them all."""
    found = {}
    for experiment in chapters.experiments():
        for scale in SCALES:
            points = experiment.points(scale)
            listed = [[point.experiment, plain(dataclasses.asdict(point))] for point in points]
            text = json.dumps(listed, sort_keys=True).encode()
            digest = hashlib.sha256(text).hexdigest()[:16]
            found[f"{experiment.name} {scale}"] = {"points": len(points), "digest": digest}
    return found


def load(path: Path) -> Any:
    """The stored JSON."""
    return json.loads(path.read_text("utf-8"))


def save(path: Path, value: Any) -> None:
    """Write JSON; lists of numbers stay on one line."""
    path.write_text(f"{_lines(value)}\n", "utf-8")


def _lines(value: Any, indent: str = "") -> str:
    inner = f"{indent} "
    if isinstance(value, dict) and value:
        items = (f"{json.dumps(k)}: {_lines(v, inner)}" for k, v in value.items())
    elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        items = (_lines(item, inner) for item in value)
    else:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{inner}" + f",\n{inner}".join(items) + f"\n{indent}{closing}"
