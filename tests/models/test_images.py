"""Images of two classes: the digits' split, and the archive's reader on a small made archive."""

import dataclasses
import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from small_archive import SMALL, files, packed, records, sealed

from escape_ntk.checks import DataFileError, InputError, ShapeError
from escape_ntk.models import images, made_images
from escape_ntk.models.images import CIFAR10, Images, cifar10, digits


def seeded(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---------------------------------------------------------------- the archive


def test_the_archive_is_read_record_by_record(tmp_path):
    members = files() | {"cifar-10-batches-bin/batches.meta.txt": b"airplane\n"}
    layout = packed(tmp_path, members)
    split = cifar10(tmp_path, (1, 3), layout)
    rows = np.concatenate([records(i) for i in range(5)])
    kept = rows[np.isin(rows[:, 0], (1, 3))]
    assert split.train.y.tolist() == [1.0 if label == 3 else -1.0 for label in kept[:, 0]]
    assert split.train.X.shape == (50, 3, 4, 4) and split.test.X.shape == (10, 3, 4, 4)
    pixels = kept[:, 1:].reshape(-1, 3, 4, 4)
    wanted = (pixels[7, 2, 1, 3] - 113.86538318) / 66.70489964  # plane B, second row, last column
    assert float(split.train.X[7, 2, 1, 3]) == pytest.approx(wanted, rel=1e-5)
    held = records(5)[np.isin(records(5)[:, 0], (1, 3))]
    wanted = (held[4, 1 + 16 + 4] - 122.95039414) / 62.08870764  # plane G, second row, first
    assert float(split.test.X[4, 1, 1, 0]) == pytest.approx(wanted, rel=1e-5)


def test_the_scale_is_the_notebooks_whatever_the_images(tmp_path):
    layout = packed(tmp_path, files())
    X = cifar10(tmp_path, (0, 1), layout).train.X
    bytes_again = X * torch.tensor(images.CIFAR_DEVIATION)[:, None, None]
    bytes_again += torch.tensor(images.CIFAR_MEAN)[:, None, None]
    torch.testing.assert_close(bytes_again, bytes_again.round(), rtol=0, atol=1e-4)
    other = files()
    other[layout.members[-1]] = bytes(np.zeros(SMALL.records * 49, dtype=np.uint8))
    with pytest.raises(DataFileError, match="both classes"):
        cifar10(tmp_path, (0, 1), packed(tmp_path, other))


def test_a_made_archive_is_written_sealed_and_read_back(tmp_path):
    split = made_images.made_images(tmp_path / "new", (3, 7))
    assert split.train.X.shape == (100, 3, 32, 32) and split.test.X.shape == (20, 3, 32, 32)
    path = tmp_path / "new" / made_images.LAYOUT.archive
    first = path.read_bytes()
    layout = made_images.write_archive(tmp_path / "new")
    assert path.read_bytes() == first and layout.md5 == hashlib.md5(first).hexdigest()
    assert layout.n_bytes == len(first) and [*path.parent.iterdir()] == [path]
    path.write_bytes(first[:-1] + b"x")
    with pytest.raises(DataFileError, match="MD5"):
        cifar10(path.parent, (3, 7), layout)
    with pytest.raises(DataFileError, match="no such file"):
        cifar10(path.parent)  # it is never taken for the real one
    with pytest.raises(DataFileError, match="--root DIR"):
        made_images.made_images(None)
    with pytest.raises(DataFileError, match="to write"):
        made_images.made_images(path)  # a file, no folder


def test_made_classes_differ_in_their_angle():
    """Along its own angle a stripe is even: there neighbours are alike."""
    rows = made_images.records(0)
    pixels = rows[:, 1:].reshape(-1, 3, 32, 32).astype(float)
    along_y = np.square(np.diff(pixels, axis=2)).mean((1, 2, 3))
    upright, lying = along_y[rows[:, 0] == 0], along_y[rows[:, 0] == 5]
    assert upright.max() < lying.min()


def test_the_real_layout_is_the_listed_one():
    assert CIFAR10.record_bytes == 3073 and CIFAR10.n_bytes == 170_052_171
    assert CIFAR10.md5 == "c32a1d4ab5d03f1284b67883e8d87530"
    assert CIFAR10.members[0] == "cifar-10-batches-bin/data_batch_1.bin"
    assert CIFAR10.members[-2:] == (
        "cifar-10-batches-bin/data_batch_5.bin",
        "cifar-10-batches-bin/test_batch.bin",
    )


def test_nothing_of_the_archive_reaches_the_disk(tmp_path):
    members = files() | {"../escaped": b"x", "/escaped-too": b"x"}
    layout = packed(tmp_path, members)
    before = sorted(tmp_path.parent.rglob("*"))
    cifar10(tmp_path, (0, 1), layout)
    assert sorted(tmp_path.parent.rglob("*")) == before
    assert not Path("/escaped-too").exists()


def test_a_missing_folder_or_archive_says_where_to_get_it(tmp_path):
    for root in (None, tmp_path / "nowhere"):
        with pytest.raises(DataFileError, match=r"University of Toronto.*--root DIR"):
            cifar10(root)
    with pytest.raises(DataFileError, match=r"no such file.*cifar-10-binary.tar.gz from the CIFAR"):
        cifar10(tmp_path)
    (tmp_path / SMALL.archive).mkdir()
    with pytest.raises(DataFileError, match="no such file"):
        cifar10(tmp_path)


def test_a_truncated_a_longer_and_a_damaged_archive_are_refused(tmp_path):
    layout = packed(tmp_path, files())
    path = tmp_path / layout.archive
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(DataFileError, match=rf"{len(whole) - 100} bytes: truncated.*again"):
        cifar10(tmp_path, (0, 1), layout)
    path.write_bytes(whole + b"0")
    with pytest.raises(DataFileError, match="bytes: another archive"):
        cifar10(tmp_path, (0, 1), layout)
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(DataFileError, match=rf"MD5 {layout.md5}.*damaged"):
        cifar10(tmp_path, (0, 1), layout)
    path.write_bytes(whole)
    assert len(cifar10(tmp_path, (0, 1), layout).train) == 50  # control: the whole one is read


def test_what_is_no_archive_is_refused_even_with_its_own_checksum(tmp_path):
    path = tmp_path / SMALL.archive
    layout = packed(tmp_path, files())
    whole = path.read_bytes()
    for blob in (b"not an archive at all", whole[: len(whole) // 2]):
        path.write_bytes(blob)
        with pytest.raises(DataFileError, match="readable gzipped tar"):
            cifar10(tmp_path, (0, 1), sealed(path, layout))


def test_another_data_set_is_refused(tmp_path):
    """Two label bytes a record, as in CIFAR-100; its own file names; an unknown label; a link."""
    two = dataclasses.replace(SMALL, shape=(1, 1, SMALL.record_bytes))
    wide = {name: records(0, two).tobytes() for name in SMALL.members}
    with pytest.raises(DataFileError, match=r"20 records of 49 bytes.*two bytes of label"):
        cifar10(tmp_path, (0, 1), packed(tmp_path, wide))
    hundred = {f"cifar-100-binary/{name}": b"x" for name in ("train.bin", "test.bin")}
    with pytest.raises(DataFileError, match=r"data_batch_1.bin.*without them.*not CIFAR-100"):
        cifar10(tmp_path, (0, 1), packed(tmp_path, hundred))
    odd = records(3)
    odd[4, 0] = SMALL.n_classes
    with pytest.raises(DataFileError, match=r"labels 0…3 in data_batch_2.bin; got a label 4"):
        cifar10(tmp_path, (0, 1), packed(tmp_path, files() | {SMALL.members[1]: odd.tobytes()}))


def test_a_link_in_the_archive_is_not_followed(tmp_path):
    members = files()
    first = SMALL.members[0]
    path = tmp_path / SMALL.archive
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo(first)
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        link.size = len(members[first])  # a header may claim anything
        archive.addfile(link)
        for name in SMALL.members[1:]:
            entry = tarfile.TarInfo(name)
            entry.size = len(members[name])
            archive.addfile(entry, io.BytesIO(members[name]))
    with pytest.raises(DataFileError, match=r"data_batch_1.bin to be a file"):
        cifar10(tmp_path, (0, 1), sealed(path))


@pytest.mark.parametrize(
    ("classes", "word"),
    [
        ((3, 3), "two different"),
        ((0, 4), "0…3"),
        ((-1, 2), "≥ 0"),
        ((True, 2), "integer"),
        ((0, 1, 2), "two different"),
    ],
)
def test_classes_are_two_known_ones(classes, word):
    with pytest.raises(InputError, match=word):
        images._check_classes(classes, SMALL.n_classes)


def test_the_readers_check_the_classes(tmp_path):
    for read in (lambda c: digits(seeded(), c), lambda c: cifar10(tmp_path, c)):
        for classes in ((3, 3), (3, 10)):
            with pytest.raises(InputError, match=r"two different|0…9"):
                read(classes)


# ---------------------------------------------------------------- digits


def test_digits_are_those_of_scikit_learn_and_the_labels_are_right():
    """One affine map for all pixels leaves correlations: each has its original, of its class."""
    from sklearn.datasets import load_digits

    everything = load_digits()
    split = digits(seeded(), (3, 8))
    X = torch.cat([split.train.X, split.test.X]).double().flatten(1)
    y = torch.cat([split.train.y, split.test.y])
    originals = {
        sign: torch.tensor(everything.images[everything.target == label]).flatten(1)
        for label, sign in ((3, -1), (8, 1))
    }
    for sign in (-1, 1):
        own = best_correlation(X[y == sign], originals[sign])
        assert float(own.min()) == pytest.approx(1, abs=1e-6)
        other = best_correlation(X[y == sign], originals[-sign])
        assert float(other.max()) < 0.9999  # control: the other class has none of them


def best_correlation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """For each row of a the largest correlation with a row of b."""
    a, b = (z - z.mean(1, keepdim=True) for z in (a, b))
    a, b = (z / z.norm(dim=1, keepdim=True) for z in (a, b))
    return (a @ b.T).max(1).values


def test_the_split_is_deterministic_balanced_and_does_not_overlap():
    first, again, other = digits(seeded(1)), digits(seeded(1)), digits(seeded(2))
    assert torch.equal(first.train.X, again.train.X) and torch.equal(first.test.X, again.test.X)
    assert not torch.equal(first.test.X, other.test.X)  # control: the generator matters
    assert len(first.train) == 240 and len(first.test) == 108
    assert float(first.train.y.sum()) == float(first.test.y.sum()) == 0
    nearest = torch.cdist(first.test.X.flatten(1), first.train.X.flatten(1)).min()
    assert float(nearest) > 0.1
    itself = torch.cdist(first.train.X.flatten(1), again.train.X.flatten(1)).min()
    assert float(itself) < 0.1  # control: an overlap would be seen
    assert float(first.train.X.mean()) == pytest.approx(0, abs=1e-6)
    assert float(first.train.X.std()) == pytest.approx(1, rel=1e-5)


def test_rows_are_disjoint_for_any_labels():
    y = torch.tensor([-1.0, 1.0] * 10)
    first, second = images.balanced_rows(y, (12, 8), seeded())
    assert sorted(torch.cat([first, second]).tolist()) == list(range(20))
    assert float(y[first].sum()) == float(y[second].sum()) == 0


def test_more_images_than_there_are_and_odd_numbers_are_refused():
    with pytest.raises(InputError, match=r"at most 174 images.*fewer"):
        digits(seeded(), n_train=250, n_test=108)
    with pytest.raises(InputError, match=r"even number.*110 or 108"):
        digits(seeded(), n_test=109)
    with pytest.raises(InputError, match="≥ 2"):
        digits(seeded(), n_train=0)


def test_a_smaller_balanced_split_is_drawn_from_a_larger_one():
    whole = digits(seeded())
    part = whole.balanced(20, 10, seeded(3))
    assert len(part.train) == 20 and float(part.train.y.sum()) == 0
    assert float(torch.cdist(part.test.X.flatten(1), whole.test.X.flatten(1)).min(1)[0].max()) < 0.1
    assert torch.equal(part.test.X, whole.balanced(20, 10, seeded(3)).test.X)


def test_images_are_checked_at_birth():
    X, y = torch.zeros(2, 1, 3, 3), torch.tensor([1.0, -1.0])
    assert len(Images(X, y)) == 2
    with pytest.raises(InputError, match=r"±1.*0\.0"):
        Images(X, torch.tensor([1.0, 0.0]))
    with pytest.raises(ShapeError):
        Images(X, y[:1])
    with pytest.raises(ShapeError):
        Images(X[0], y)


def test_an_empty_channel_is_refused():
    X, y = torch.zeros(2, 1, 3, 3), torch.tensor([1.0, -1.0])
    with pytest.raises(DataFileError, match="differ"):
        images._standardized(Images(X, y), Images(X, y))
