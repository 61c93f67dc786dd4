"""Where a stored number comes from: the code, the versions, the hardware and the time.

Nothing here names a host, a user or a folder: a record may be published.
"""

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

PACKAGE = Path(__file__).resolve().parents[1]
CODE = ("src", "pyproject.toml", "requirements.txt")  # what must be committed for a clean record
GIT_SECONDS = 10.0  # patience with a slow repository


def checkout() -> Path | None:
    """The checkout that holds this package (``pyproject.toml`` beside ``book/``), or None."""
    for folder in PACKAGE.parents:
        if (folder / "pyproject.toml").is_file() and (folder / "book").is_dir():
            return folder
    return None


@cache
def source_digest() -> str:
    """SHA-256 over the package's ``*.py`` files: relative name, size and bytes, sorted by name."""
    digest = hashlib.sha256()
    for name in sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")):
        source = (PACKAGE / name).read_bytes()
        digest.update(f"{name}\0{len(source)}\0".encode() + source)
    return digest.hexdigest()


def _git(root: Path, *arguments: str) -> str | None:
    """Output of one git command in ``root``; None where git, or the repository, is missing."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    try:
        done = subprocess.run(
            command, env=own, capture_output=True, text=True, timeout=GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@cache
def revision() -> tuple[str | None, bool | None]:
    """Commit of the checkout and whether its code differs from it; ``(None, None)`` outside one.

    Only :data:`CODE` counts as code: writing a record must not make the next one dirty.
    """
    root = checkout()
    if root is None or (commit := _git(root, "rev-parse", "--verify", "HEAD")) is None:
        return None, None
    changes = _git(root, "status", "--porcelain", "--", *CODE)
    return commit, None if changes is None else bool(changes)


@cache
def _cpu_model() -> str:
    """Name of the processor, as the operating system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def environment(device: torch.device | str = "cpu") -> dict[str, Any]:
    """What numbers computed on ``device`` may depend on beside their configuration.

    Keys: ``commit``, ``dirty``, ``source_sha256``, ``python``, ``numpy``, ``torch``,
    ``platform``, ``cpu``, ``cores``, ``threads`` (of torch), and ``accelerator``, the name of a
    CUDA ``device``.  Facts that cannot be had are None.
    """
    cuda = torch.device(device).type == "cuda"
    commit, dirty = revision()
    system = (platform.system(), platform.machine(), *platform.libc_ver())
    return {
        "commit": commit,
        "dirty": dirty,
        "source_sha256": source_digest(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": str(torch.__version__),
        "platform": " ".join(part for part in system if part),
        "cpu": _cpu_model(),
        "cores": _cores(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name(device) if cuda else None,
    }


def provenance(wall_seconds: float, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """:func:`environment`, overlaid with ``extra``, with wall seconds and UTC time of writing."""
    written = datetime.now(UTC).isoformat(timespec="seconds")
    stamps = {"wall_seconds": wall_seconds, "written_utc": written}
    return {**environment(), **(extra or {}), **stamps}
