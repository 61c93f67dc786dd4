"""Parts of the tests run side by side: no failure is lost, and what each says stays together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import Barrier

import pytest
import side_by_side
from side_by_side import FAILED, NOT_RUN, PASSED, Part

SCRIPT = Path(side_by_side.__file__)
MAKEFILE = """\
.PHONY: good bad
good:
	@echo "first line"; echo "second line" >&2
bad:
	@echo "why it failed"; exit 3
"""


def results(lanes: list[str], *failing: str, **options) -> dict[str, str]:
    """What became of each part when those named fail."""
    told: dict[str, str] = {}

    def run(name: str) -> Part:
        return Part(name, FAILED if name in failing else PASSED)

    for parts in lanes:
        side_by_side.lane(parts, run, lambda part: told.update({part.name: part.result}))
    return told


def test_a_failure_stops_only_what_needs_the_part():
    lanes = ["a b>c>d e", "f"]
    assert set(results(lanes).values()) == {PASSED}
    assert results(lanes, "a") == dict.fromkeys("bcdef", PASSED) | {"a": FAILED}
    wrong = {"b": FAILED, "c": NOT_RUN, "d": NOT_RUN}
    assert results(lanes, "b") == dict.fromkeys("aef", PASSED) | wrong


@pytest.mark.parametrize("failing", ["", *"abcd"])
def test_one_failure_is_the_failure_of_all(capsys, failing):
    def run(name: str) -> Part:
        return Part(name, FAILED if name == failing else PASSED, 61.4, f"{name} said\n")

    assert side_by_side.main(["a b>c", "d"], run) == bool(failing)
    said = capsys.readouterr().out
    assert ("all" in said.splitlines()[-1]) and said.rstrip().endswith(
        FAILED if failing else PASSED
    )
    assert all(f"{name} said" in said for name in "abcd" if (failing, name) != ("b", "c"))
    assert said.count("61 s") == 2 * (4 - (failing == "b"))


def test_lanes_run_at_the_same_time():
    """Each part waits for one of the other lane."""
    meeting = Barrier(2, timeout=60)

    def run(name: str) -> Part:
        meeting.wait()
        return Part(name, PASSED)

    assert side_by_side.main(["a b", "c d"], run) == 0


@pytest.mark.parametrize(("parts", "status"), [("good", 0), ("good bad", 1)])
def test_targets_of_a_makefile(tmp_path, parts, status):
    (tmp_path / "Makefile").write_text(MAKEFILE, "utf-8")
    command = [sys.executable, str(SCRIPT), parts]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert "== good: passed, 0 s\nfirst line\nsecond line\n" in done.stdout
    assert ("why it failed" in done.stdout) == ("bad" in parts)
    assert done.stdout.splitlines()[-1].split() == ["all", "0", "s", FAILED if status else PASSED]


def test_nothing_to_run_is_no_success():
    with pytest.raises(SystemExit, match="expected lanes"):
        side_by_side.main([])
