"""Real images of two classes: handwritten digits, and CIFAR-10 from its binary archive.

Labels y are −1 for the first class asked for and +1 for the second.  Each channel is centred and
scaled: of digits by its mean and standard deviation over the training images, of CIFAR-10 by the
constants of the authors' notebook, which are those of all ten classes.  Nothing is downloaded,
unpacked to disk, or unpickled.
"""

import hashlib
import io
import math
import os
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from escape_ntk import checks
from escape_ntk.checks import DataFileError, InputError, message

DIGIT_LEVELS = 16.0
"""Largest pixel value of scikit-learn's digits.  [their description in load_digits]"""
CIFAR_MEAN = (125.30691805, 122.95039414, 113.86538318)
"""Of the channels R, G, B, in bytes, over the training images of all ten classes.  [C]"""
CIFAR_DEVIATION = (62.99321928, 62.08870764, 66.70489964)
"""Their standard deviations there.  [C]"""


@dataclass(frozen=True)
class Images:
    """X (n, C, H, W) float32 and y (n,) ±1; other labels raise ``InputError``."""

    X: Tensor
    y: Tensor

    def __post_init__(self):
        checks.array("X", self.X, (None,) * 4)
        checks.array("y", self.y, (len(self.X),), like=self.X)
        if bool((self.y.abs() != 1).any()):
            raise InputError(
                message(
                    expected="labels y = ±1",
                    got=f"values {self.y.unique().tolist()[:6]}",
                    remedy="choose two classes, −1 for one and +1 for the other",
                )
            )

    def __len__(self) -> int:
        return len(self.X)

    def rows(self, index: Tensor) -> "Images":
        """The images of these rows, in this order."""
        return Images(self.X[index], self.y[index])


@dataclass(frozen=True)
class Split:
    """Images to train on, and held-out images to judge by."""

    train: Images
    test: Images

    def balanced(self, n_train: int, n_test: int, generator: torch.Generator) -> "Split":
        """``n_train`` and ``n_test`` of these images, drawn, half of each from either class."""
        (train,) = balanced_rows(self.train.y, (n_train,), generator)
        (test,) = balanced_rows(self.test.y, (n_test,), generator)
        return Split(self.train.rows(train), self.test.rows(test))


def balanced_rows(y: Tensor, sizes: Sequence[int], generator: torch.Generator) -> list[Tensor]:
    """Disjoint random sets of rows, one of each size, half y = −1 and half y = +1.

    An odd size, or more than there are, raises :class:`~escape_ntk.checks.InputError`.
    """
    for size in sizes:
        checks.integer("number of images", size, least=2)
        if size % 2:
            raise InputError(
                message(
                    expected="an even number of images, half from each class",
                    got=size,
                    remedy=f"use {size + 1} or {size - 1}",
                )
            )
    halves = [size // 2 for size in sizes]
    chosen = []
    for label in (-1, 1):
        own = torch.nonzero(y == label).flatten()
        if len(own) < sum(halves):
            raise InputError(
                message(
                    expected=f"at most {len(own)} images of the class y = {label:+d}",
                    got=f"{sum(halves)} asked for",
                    remedy="ask for fewer training or test images",
                )
            )
        order = own[torch.randperm(len(own), generator=generator)]
        chosen.append(order[: sum(halves)].split(halves))
    return [torch.cat(pair) for pair in zip(*chosen, strict=True)]


def digits(
    generator: torch.Generator,
    classes: tuple[int, int] = (3, 8),
    *,
    n_train: int = 240,
    n_test: int = 108,
) -> Split:
    """Handwritten digits, 8×8, that ship with scikit-learn; which are held out is drawn.

    Both sets are half and half.  Source: UCI, Optical Recognition of Handwritten Digits (E.
    Alpaydin, C. Kaynak); here its 1797 test images.  Raises
    :class:`~escape_ntk.checks.InputError` for the classes and the numbers, and
    :class:`~escape_ntk.checks.DataFileError` for images that are all alike.
    """
    from sklearn.datasets import load_digits  # a second to import, and only here

    _check_classes(classes, 10)
    rows, labels = load_digits(return_X_y=True)
    X = np.reshape(rows, (-1, 1, 8, 8)) / DIGIT_LEVELS
    both = _two_classes(X, labels, classes)
    train, test = balanced_rows(both.y, (n_train, n_test), generator)
    return _standardized(both.rows(train), both.rows(test))


# ---------------------------------------------------------------- CIFAR-10


@dataclass(frozen=True)
class CifarFormat:
    """The binary version of CIFAR-10, as its page describes it.

    https://www.cs.toronto.edu/~kriz/cifar.html (A. Krizhevsky) lists the MD5 and the layout: files
    of ``records`` records, each 1 byte of label and the planes R, G, B, row by row.
    """

    archive: str = "cifar-10-binary.tar.gz"
    n_bytes: int = 170_052_171
    md5: str = "c32a1d4ab5d03f1284b67883e8d87530"
    folder: str = "cifar-10-batches-bin"
    train: tuple[str, ...] = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
    test: tuple[str, ...] = ("test_batch.bin",)
    records: int = 10_000
    n_classes: int = 10
    shape: tuple[int, int, int] = (3, 32, 32)

    @property
    def record_bytes(self) -> int:
        """Bytes of one label and its image: 3073."""
        return 1 + math.prod(self.shape)

    @property
    def members(self) -> tuple[str, ...]:
        """Names inside the archive of the files that are read."""
        return tuple(f"{self.folder}/{name}" for name in (*self.train, *self.test))


CIFAR10 = CifarFormat()
"""The format of the archive as it is published."""


def cifar10(
    root: Path | str | None, classes: tuple[int, int] = (3, 7), layout: CifarFormat = CIFAR10
) -> Split:
    """Two classes of CIFAR-10 (3 cat, 7 horse) from the archive in the folder ``root``.

    Training and test images are those of the archive, 5000 and 1000 a class, each channel less
    :data:`CIFAR_MEAN`, over :data:`CIFAR_DEVIATION`.  Its size and MD5 are checked before it is
    read, then the size and the labels of each file in it.  Raises
    :class:`~escape_ntk.checks.DataFileError`, and :class:`~escape_ntk.checks.InputError` for the
    classes.
    """
    _check_classes(classes, layout.n_classes)
    path = _find(root, layout)
    try:
        with path.open("rb") as stream:
            _check_archive(stream, layout)
            files = _read_members(stream, layout)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise DataFileError(
            message(
                expected=f"{path} to be a readable gzipped tar archive",
                got=f"{type(error).__name__}: {error}",
                remedy="look at its permissions and at the disk, or fetch it again",
            )
        ) from error
    parts = []
    for names in (layout.train, layout.test):
        rows = np.concatenate([_records(name, files, layout) for name in names])
        both = _two_classes(rows[:, 1:].reshape(-1, *layout.shape), rows[:, 0], classes)
        mean, deviation = (
            both.X.new_tensor(c)[:, None, None] for c in (CIFAR_MEAN, CIFAR_DEVIATION)
        )
        parts.append(Images((both.X - mean) / deviation, both.y))
    return Split(*parts)


def _find(root: Path | str | None, layout: CifarFormat) -> Path:
    """The archive in ``root``; what to do about it where there is none."""
    source = f"get {layout.archive} from the CIFAR page of the University of Toronto"
    if root is None or not Path(root).is_dir():
        raise DataFileError(
            message(
                expected=f"a folder that holds {layout.archive}",
                got="none" if root is None else f"{root}, which is no folder",
                remedy=f"{source}, and name its folder: --root DIR",
            )
        )
    path = Path(root) / layout.archive
    if not path.is_file():
        raise DataFileError(
            message(
                expected=f"the file {layout.archive} in {root}",
                got="no such file",
                remedy=f"{source}, and leave it packed",
            )
        )
    return path


def _check_archive(stream: io.BufferedReader, layout: CifarFormat) -> None:
    """Size and MD5; the stream is at its beginning again."""
    size = os.fstat(stream.fileno()).st_size
    again = f"fetch {layout.archive} again: the binary version, not that for Python or Matlab"
    if size != layout.n_bytes:
        kind = "truncated, or another archive" if size < layout.n_bytes else "another archive"
        raise DataFileError(
            message(
                expected=f"{layout.archive} of {layout.n_bytes} bytes",
                got=f"{size} bytes: {kind}",
                remedy=again,
            )
        )
    digest = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if digest != layout.md5:
        raise DataFileError(
            message(
                expected=f"{layout.archive} of MD5 {layout.md5}",
                got=f"{digest}: damaged, or another archive",
                remedy=again,
            )
        )
    stream.seek(0)


def _read_members(stream: io.BufferedReader, layout: CifarFormat) -> dict[str, bytes]:
    """The bytes of the wanted files by their names, in one pass, in memory."""
    wanted, files = set(layout.members), {}
    n_bytes = layout.records * layout.record_bytes
    with tarfile.open(fileobj=stream, mode="r:gz") as archive:
        for member in archive:
            if member.name not in wanted:
                continue
            content = archive.extractfile(member) if member.isreg() else None
            if content is None or member.size != n_bytes:
                raise DataFileError(
                    message(
                        expected=f"{member.name} to be a file of {layout.records} records of "
                        f"{layout.record_bytes} bytes, {n_bytes} in all",
                        got=f"{member.size} bytes",
                        remedy="use CIFAR-10: records of CIFAR-100 have two bytes of label",
                    )
                )
            files[Path(member.name).name] = content.read()
    missing = sorted(name for name in wanted if Path(name).name not in files)
    if missing:
        raise DataFileError(
            message(
                expected=f"the files {', '.join(missing)} in the archive",
                got="an archive without them",
                remedy="use the binary version of CIFAR-10, not CIFAR-100 (train.bin, test.bin)",
            )
        )
    return files


def _records(name: str, files: Mapping[str, bytes], layout: CifarFormat) -> np.ndarray:
    """The (records, record_bytes) bytes of a file whose labels are all known."""
    rows = np.frombuffer(files[name], dtype=np.uint8).reshape(layout.records, layout.record_bytes)
    highest = int(rows[:, 0].max())
    if highest >= layout.n_classes:
        raise DataFileError(
            message(
                expected=f"labels 0…{layout.n_classes - 1} in {name}",
                got=f"a label {highest}",
                remedy="use the binary version of CIFAR-10, as fetched",
            )
        )
    return rows


# ---------------------------------------------------------------- both


def _check_classes(classes: Sequence[int], count: int) -> None:
    """Two different classes among 0…count − 1."""
    if len(classes) != 2 or len(set(classes)) != 2:
        raise InputError(
            message(
                expected="two different classes",
                got=str(tuple(classes)),
                remedy="such as (3, 7)",
            )
        )
    for one in classes:
        if checks.integer("class", one, least=0) >= count:
            raise InputError(
                message(
                    expected=f"a class among 0…{count - 1}", got=one, remedy="classes count from 0"
                )
            )


def _two_classes(X: np.ndarray, labels: np.ndarray, classes: Sequence[int]) -> Images:
    """X and ±1 for the rows of these two classes."""
    kept = np.isin(labels, classes)
    if not all((labels == one).any() for one in classes):
        raise DataFileError(
            message(
                expected=f"images of both classes {tuple(classes)}",
                got=f"labels {np.unique(labels).tolist()}",
                remedy="choose classes that the data hold",
            )
        )
    y = np.where(labels[kept] == classes[1], 1.0, -1.0)
    pixels = torch.from_numpy(X[kept].astype(np.float32))
    return Images(pixels, torch.from_numpy(y.astype(np.float32)))


def _standardized(train: Images, test: Images) -> Split:
    """Each channel minus its training mean, over its training standard deviation."""
    axes = (0, 2, 3)
    mean = train.X.double().mean(axes, keepdim=True)
    deviation = train.X.double().std(axes, keepdim=True)
    if bool((deviation == 0).any()):
        raise DataFileError(
            message(
                expected="pixels that differ, in every channel",
                got="a channel that is the same in all training images",
                remedy="look at the images: this is not the data set it claims to be",
            )
        )
    scaled = (Images(((s.X - mean) / deviation).float(), s.y) for s in (train, test))
    return Split(*scaled)
