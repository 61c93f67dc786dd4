"""An archive in CIFAR-10's layout, small and made here: its files, packed and sealed."""

import dataclasses
import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np

from escape_ntk.models.images import CifarFormat

SMALL = CifarFormat(records=20, n_classes=4, shape=(3, 4, 4))
"""The same layout with 20 records a file, four classes and 4×4 pixels."""


def records(seed: int, layout=SMALL) -> np.ndarray:
    """One file: labels 0, 1, 2, … in turn, random pixels."""
    drawn = np.random.default_rng(seed)
    rows = drawn.integers(0, 256, (layout.records, layout.record_bytes), dtype=np.uint8)
    rows[:, 0] = np.arange(layout.records) % layout.n_classes
    return rows


def files(layout=SMALL) -> dict[str, bytes]:
    """All six, by their names in the archive."""
    return {name: records(i, layout).tobytes() for i, name in enumerate(layout.members)}


def packed(folder: Path, members: dict[str, bytes], layout=SMALL) -> CifarFormat:
    """Write the archive into ``folder``; the layout with its size and MD5."""
    path = folder / layout.archive
    with tarfile.open(path, "w:gz") as archive:
        for name, blob in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(blob)
            archive.addfile(entry, io.BytesIO(blob))
    return sealed(path, layout)


def sealed(path: Path, layout=SMALL) -> CifarFormat:
    blob = path.read_bytes()
    return dataclasses.replace(layout, n_bytes=len(blob), md5=hashlib.md5(blob).hexdigest())
