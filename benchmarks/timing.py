"""What the benchmarks share: seconds in turns with a measure, peaks of memory, and the machine.

Seconds are those of the processor.  What is stored are ratios to something timed in turns with it
in the same process: a slow machine cancels out, a busy one does not altogether, since others use
its caches too.  So each ratio carries its quartiles, its milliseconds, the day, and the state of
the code that was timed.
"""

import argparse
import datetime
import hashlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPEATS = 7
TIMED = ("kernels", "models", "numerics", "risk", "study/curve.py", "training")
"""What of the package the benchmarks run."""


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and of the processors."""
    start, own = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start, time.process_time() - own


def in_turns(
    call: Callable[[], object], plain: Callable[[], object], repeats: int = REPEATS
) -> tuple[float, float, float]:
    """Medians of the clock and of the processors for ``call``, and of the latter over ``plain``.

    After one of each that is not counted.
    """
    call()
    plain()
    taken = [(*timed(call), timed(plain)[1]) for _ in range(repeats)]
    clock, own, other = (statistics.median(column) for column in zip(*taken, strict=True))
    return clock, own, own / other


def paired(
    call: Callable[[], object], plain: Callable[[], object], repeats: int = REPEATS
) -> dict[str, Any]:
    """``call`` over ``plain``, in turns: median and quartiles of the ratios, median milliseconds.

    After one of each that is not counted.
    """
    call()
    plain()
    taken = [(timed(call)[1], timed(plain)[1]) for _ in range(repeats)]
    low, middle, high = statistics.quantiles([own / other for own, other in taken], n=4)
    own = statistics.median(own for own, _ in taken)
    return {"ratio": middle, "quartiles": [low, high], "ms": 1e3 * own}


def peak() -> float:
    """MiB that this process has held at most, of its own (not of the one that started it)."""
    about = Path("/proc/self/status")
    if about.exists():
        (line,) = [x for x in about.read_text("utf-8").splitlines() if x.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    bytes_each = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * bytes_each / 2**20


def state_of(package: Path) -> str:
    """Twelve digits of a hash of the sources that are timed."""
    told = hashlib.sha256()
    for part in TIMED:
        place = package / part
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            told.update(path.read_bytes())
    return told.hexdigest()[:12]


def dated(row: dict[str, Any], package: Path | None) -> dict[str, Any]:
    """``row`` with the day and, where it is the package that was timed, the state of its code."""
    code = {"code": state_of(package)} if package else {}
    return {**row, "day": datetime.date.today().isoformat(), **code}


def in_own_process(script: str, *asked: str) -> Any:
    """What ``script`` prints last, as JSON, called with these arguments: its peak is its own."""
    command = [sys.executable, script, *asked]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def machine(threads: int, **versions: str) -> dict[str, object]:
    """What the seconds depend on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        **versions,
        "python": platform.python_version(),
    }


def _processor() -> str:
    """Its name, family and model, as far as the system tells: one name may stand for several."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text("utf-8").splitlines() if about.exists() else []
    told = {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in lines)}
    if "model name" not in told:
        return platform.processor() or platform.machine()
    which = "/".join(told[key] for key in ("cpu family", "model") if key in told)
    return f"{told['model name']} {which}".strip()


def count(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1; got {text!r}")
    return int(text)


def takes_record(parser: argparse.ArgumentParser, record: Path) -> None:
    """Let ``parser`` take where to store, and whether to begin anew there."""
    parser.add_argument("--record", type=Path, default=record, metavar="FILE")
    parser.add_argument("--replace", action="store_true", help="begin the record anew")


def stored(record: Path, conditions: dict[str, Any], replace: bool = False) -> dict[str, Any]:
    """What ``record`` holds of the same conditions; nothing if it is to be replaced.

    A record of other conditions ends the program: two machines do not go into one table, and what
    one has measured is not lost for another's.  Call it before anything is measured.
    """
    if replace or not record.exists():
        return {}
    told = json.loads(record.read_text("utf-8"))
    other = {name: told.get(name) for name in conditions if told.get(name) != conditions[name]}
    if other:
        sys.exit(
            f"{record} holds what was measured under other conditions:\n  there: {other}\n  here:  "
            f"{ {name: conditions[name] for name in other} }\nremedy: --record OTHER.json writes "
            "elsewhere; --replace begins this file anew"
        )
    return told["found"]


def store(record: Path, conditions: dict[str, Any], found: dict[str, Any]) -> None:
    """Write both into ``record``, whole or not at all."""
    beside = record.with_suffix(".new")
    beside.write_text(json.dumps({**conditions, "found": found}, indent=1) + "\n", "utf-8")
    beside.replace(record)
