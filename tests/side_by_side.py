"""Run parts of the tests side by side, and say at the end how long each took.

``python tests/side_by_side.py "test-notebooks book>test-pages" "test-unit test-input"``: each
argument is a lane.  Lanes run at the same time, the parts of a lane one after the other, each a
target of the Makefile.  ``a>b``: *b* only if *a* has passed.  What a part prints is kept together
and shown when it has ended.  A part that fails stops no other; the exit status is 1 if any failed
or was not run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

PASSED, FAILED, NOT_RUN = "passed", "FAILED", "NOT RUN"


@dataclass(frozen=True)
class Part:
    """What became of one part."""

    name: str
    result: str
    seconds: float = 0.0
    said: str = ""


def ask_make(name: str) -> Part:
    """Let make make one target."""
    start = time.perf_counter()
    command = [os.environ.get("MAKE") or "make", "--no-print-directory", name]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    result = FAILED if done.returncode else PASSED
    return Part(name, result, time.perf_counter() - start, done.stdout)


def lane(parts: str, run: Callable[[str], Part], tell: Callable[[Part], None]) -> list[Part]:
    """Run the parts of one lane in their order, and tell of each when it has ended."""
    done = []
    for chain in parts.split():
        sound = True
        for name in chain.split(">"):
            part = run(name) if sound else Part(name, NOT_RUN)
            sound = part.result == PASSED
            tell(part)
            done.append(part)
    return done


def table(parts: Sequence[Part], seconds: float) -> str:
    """How long each part took, and all of them side by side."""
    width = max(len(part.name) for part in parts)
    lines = [f"{p.name:{width}}  {p.seconds:6.0f} s  {p.result}" for p in parts]
    passed = all(part.result == PASSED for part in parts)
    return "\n".join([*lines, f"{'all':{width}}  {seconds:6.0f} s  {PASSED if passed else FAILED}"])


def main(lanes: Sequence[str], run: Callable[[str], Part] = ask_make) -> int:
    """Run all lanes; print what each part said, then the table."""
    if not any(parts.split() for parts in lanes):
        raise SystemExit(f"expected lanes of targets; got none\n\n{__doc__}")
    start, printing = time.perf_counter(), Lock()

    def tell(part: Part) -> None:
        with printing:
            print(f"== {part.name}: {part.result}, {part.seconds:.0f} s\n{part.said}", flush=True)

    with ThreadPoolExecutor(len(lanes)) as pool:
        done = list(pool.map(lambda parts: lane(parts, run, tell), lanes))
    parts = [part for some in done for part in some]
    print(table(parts, time.perf_counter() - start))
    return int(any(part.result != PASSED for part in parts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
