"""Two classes of digits; and a made archive in the layout of CIFAR-10."""

import dataclasses
import hashlib
import io
import tarfile
import tempfile
from pathlib import Path

import torch

from escape_ntk.models import images

g = torch.Generator().manual_seed(0)
split = images.digits(g, (3, 8), n_train=40, n_test=20)
assert isinstance(split, images.Split) and split.train.X.shape == (40, 1, 8, 8)
for half in (split.train, split.test):
    assert isinstance(half, images.Images) and float(half.y.sum()) == 0
assert abs(float(split.train.X.mean())) < 1e-5  # each channel is standardised
assert images.DIGIT_LEVELS == 16
few = split.balanced(10, 4, g)
assert len(few.train) == 10 and len(few.test) == 4
(rows,) = images.balanced_rows(split.train.y, (6,), g)
assert len(split.train.rows(rows)) == 6

# CIFAR-10 is read from its archive as it comes. Here: six records a file,
# 2 × 2 pixels.
assert images.CIFAR10.record_bytes == 3073 and len(images.CIFAR10.members) == 6
small = images.CifarFormat(records=6, n_classes=2, shape=(3, 2, 2))
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / small.archive
    with tarfile.open(path, "w:gz") as archive:
        for number, name in enumerate(small.members):
            pixels = bytes(range(number, number + 12))
            records = (b"\0" + pixels + b"\1" + pixels[::-1]) * 3
            entry = tarfile.TarInfo(name)
            entry.size = len(records)
            archive.addfile(entry, io.BytesIO(records))
    blob = path.read_bytes()
    md5 = hashlib.md5(blob).hexdigest()
    sealed = dataclasses.replace(small, n_bytes=len(blob), md5=md5)
    made = images.cifar10(folder, (0, 1), sealed)
assert made.train.X.shape == (30, 3, 2, 2)
assert made.test.y.tolist() == [-1, 1] * 3
mean, deviation = images.CIFAR_MEAN, images.CIFAR_DEVIATION  # in bytes
red = float(made.train.X[0, 0, 0, 0]) * deviation[0] + mean[0]
assert round(red) == 0
