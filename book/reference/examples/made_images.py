"""An archive of made images: written, read back, never taken for CIFAR-10."""

import tempfile
from pathlib import Path

from escape_ntk.models import made_images

with tempfile.TemporaryDirectory() as folder:
    layout = made_images.write_archive(folder)
    assert (Path(folder) / layout.archive).stat().st_size == layout.n_bytes
    split = made_images.made_images(folder, (3, 7))
assert split.train.X.shape == (100, 3, 32, 32)
assert (
    layout.records == made_images.LAYOUT.records == 100
    and len(layout.md5) == 32
)
labels = made_images.records(0)[:, 0]
assert labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
assert made_images.WAVELENGTH == 8 and made_images.NOISE == 40
