"""The scripts of the book: what `make lint` finds in them, and that it can find anything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAULTY = "(() => { const unused = 1; let fixed = gone == 2; var old = fixed; use(old); })();"
RULES = {"eqeqeq", "no-undef", "no-unused-vars", "no-var", "prefer-const"}


def found_in(folder: Path) -> tuple[int, set[str]]:
    """Exit status of oxlint as `make lint` calls it, and the rules that are broken."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [shutil.which("oxlint", path=path), "--config", ".oxlintrc.json", "--format", "unix"]
    done = subprocess.run([*command, folder], cwd=ROOT, capture_output=True, text=True)
    return done.returncode, {*re.findall(r"\[Error/eslint\(([a-z-]+)\)\]", done.stdout)}


def test_no_script_has_a_fault():
    assert found_in(ROOT / "book/_static") == (0, set())


def test_a_faulty_script_is_found(tmp_path):
    (tmp_path / "faulty.js").write_text(FAULTY, "utf-8")
    assert found_in(tmp_path) == (1, RULES)
