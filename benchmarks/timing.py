"""What the benchmarks share: seconds in turns with a measure, peaks of memory, and the machine.

Seconds are those of the processor, which a busy machine disturbs least; what is stored are ratios
to something timed in turns with it in the same process.
"""

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


def peak() -> float:
    """MiB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


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
    """Its name, as far as the system tells it."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text("utf-8").splitlines() if about.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def stored(record: Path, conditions: dict[str, Any]) -> dict[str, Any]:
    """What ``record`` holds of the same conditions."""
    told = json.loads(record.read_text("utf-8")) if record.exists() else {}
    same = all(told.get(name) == value for name, value in conditions.items())
    return told["found"] if same else {}


def store(record: Path, conditions: dict[str, Any], found: dict[str, Any]) -> None:
    """Write both into ``record``."""
    record.write_text(json.dumps({**conditions, "found": found}, indent=1) + "\n", "utf-8")
