"""An archive of made images in the layout of CIFAR-10's: to try the whole path without the data.

Ten classes of stripes, each class at an angle of its own, under noise.  The archive is written and
read back as the published one is: packed, sized, sealed by its MD5.
"""

import dataclasses
import gzip
import hashlib
import io
import math
import os
import tarfile
from pathlib import Path

import numpy as np

from escape_ntk.checks import DataFileError, message
from escape_ntk.models.images import CifarFormat, Split, cifar10

LAYOUT = CifarFormat(archive="made-images-binary.tar.gz", n_bytes=0, md5="", records=100)
"""The layout of CIFAR-10 with 100 records a file; size and MD5 are known once it is written."""
WAVELENGTH = 8.0
"""Pixels from stripe to stripe."""
NOISE = 40.0
"""Standard deviation of the noise, where a stripe goes from 64 to 192."""


def write_archive(folder: Path | str, layout: CifarFormat = LAYOUT) -> CifarFormat:
    """Write the archive into ``folder``, which is made if need be; the layout with size and MD5.

    The same bytes on the same machine, whatever was there before.  A folder that cannot be written
    raises :class:`~escape_ntk.checks.DataFileError`.
    """
    blob = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=blob, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for number, name in enumerate(layout.members):
            content = records(number, layout).tobytes()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    path = Path(folder) / layout.archive
    beside = path.with_suffix(f".{os.getpid()}")
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        beside.write_bytes(blob.getvalue())
        beside.replace(path)
    except OSError as error:
        raise DataFileError(
            message(
                expected=f"to write {path}",
                got=f"{type(error).__name__}: {error}",
                remedy="name another folder: --root DIR",
            )
        ) from error
    md5 = hashlib.md5(blob.getvalue(), usedforsecurity=False).hexdigest()
    return dataclasses.replace(layout, n_bytes=len(blob.getvalue()), md5=md5)


def records(number: int, layout: CifarFormat = LAYOUT) -> np.ndarray:
    """(records, record_bytes) bytes of the file ``number``: labels 0, 1, 2, … in turn.

    A pixel is 128 + 64 cos(2π(x cos a + y sin a)/8 + phase) + noise, a = π·label/10; phase and
    noise are drawn from the number of the file.  [D]
    """
    draw = np.random.default_rng(number)
    planes, height, width = layout.shape
    labels = np.arange(layout.records) % layout.n_classes
    angles = (math.pi * labels / layout.n_classes)[:, None, None]
    y, x = np.mgrid[:height, :width]
    phases = draw.uniform(0, 2 * math.pi, (layout.records, 1, 1))
    waves = 2 * math.pi * (x * np.cos(angles) + y * np.sin(angles)) / WAVELENGTH + phases
    noise = draw.normal(0, NOISE, (layout.records, planes, height, width))
    pixels = np.clip(128 + 64 * np.cos(waves)[:, None] + noise, 0, 255).astype(np.uint8)
    return np.concatenate([labels[:, None].astype(np.uint8), pixels.reshape(len(labels), -1)], 1)


def made_images(root: Path | str | None, classes: tuple[int, int] = (3, 7)) -> Split:
    """Two classes of an archive that is written into the folder ``root`` and read from there.

    50 and 10 images a class.  Raises :class:`~escape_ntk.checks.DataFileError` where there is no
    folder to write into, and :class:`~escape_ntk.checks.InputError` for the classes.
    """
    if root is None:
        raise DataFileError(
            message(
                expected=f"a folder into which {LAYOUT.archive} may be written",
                got="none",
                remedy="name one: --root DIR",
            )
        )
    return cifar10(root, classes, write_archive(root))
