"""`make wheel`: the package as a stranger gets it, built, installed and run outside the checkout.

    python tests/packaging/try_wheel.py

A wheel is built into ``_build/wheel`` and installed into an empty environment with the pins of
requirements.txt, torch first, so that an index named in ``TORCH_INDEX`` can give its CPU build.
There, in an empty folder, it is imported, lists its experiments, none of them recorded, and runs
one of them.  Not part of ``make test``: it installs torch anew.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
WHEELS = HERE / "_build" / "wheel"
PINS = HERE / "requirements.txt"
LIVE = ("run", "quadntk", "--scale", "live", "--seeds", "1")
"""A run of some seconds."""


def call(*command: str | Path, cwd: Path) -> str:
    """What the command prints; its own words and a stop if it fails."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "ESCAPE_NTK_RECORDS")}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True)
    if done.returncode:
        shown = " ".join(map(str, command))
        sys.exit(
            f"{done.stdout}{done.stderr}\nwheel: expected success; got {shown} = {done.returncode}"
        )
    return done.stdout


def expect(condition: bool, expected: str, got: object) -> None:
    """Stop unless the condition holds."""
    if not condition:
        sys.exit(f"wheel: expected {expected}; got {got}")


def build() -> Path:
    """The one wheel of this checkout, made anew."""
    for old in WHEELS.glob("*.whl"):
        old.unlink()
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    call(*pip, "wheel", "-q", "--no-deps", "--wheel-dir", WHEELS, HERE, cwd=HERE)
    (wheel,) = WHEELS.glob("*.whl")
    return wheel


def install(wheel: Path, home: Path) -> Path:
    """The folder of the commands of an environment that holds the wheel and what it needs."""
    venv.create(home, with_pip=True)
    commands = home / ("Scripts" if os.name == "nt" else "bin")
    pip = (commands / "python", "-m", "pip", "--disable-pip-version-check", "install", "-q")
    pip = (*pip, "--constraint", PINS)
    if index := os.environ.get("TORCH_INDEX"):
        pip = (*pip, "--extra-index-url", index)
    call(*pip, "torch", cwd=home)
    call(*pip, wheel, cwd=home)
    return commands


def try_out(commands: Path, version: str, folder: Path) -> None:
    """Import, list and run in ``folder``."""
    code = "import escape_ntk; print(escape_ntk.__version__); print(escape_ntk.__file__)"
    own, place = call(commands / "python", "-c", code, cwd=folder).splitlines()
    expect(own == version, f"version {version}", own)
    expect(HERE not in Path(place).parents, "the installed package", place)
    expect(Path(place).with_name("py.typed").is_file(), "py.typed beside the package", place)
    command = commands / "escape-ntk"
    listed = call(command, "list", cwd=folder)
    done = [line.split()[2].split("/")[0] for line in listed.splitlines()]
    expect(len(done) > 20 and set(done) == {"0"}, "many experiments, none recorded", listed)
    ran = call(command, *LIVE, cwd=folder)
    expect("5 runs of quadntk (live) recorded" in ran, "five runs recorded", ran)
    again = call(command, "list", cwd=folder)
    expect(again != listed, "the run in the list", again)


def main() -> None:
    """Build, install, try."""
    wheel = build()
    print(f"wheel: {wheel.name}, {wheel.stat().st_size} bytes", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        commands = install(wheel, Path(folder, "environment"))
        work = Path(folder, "elsewhere")
        work.mkdir()
        try_out(commands, wheel.name.split("-")[1], work)
    print("wheel: installed in an empty environment, imported, listed, one live run")


if __name__ == "__main__":
    main()
