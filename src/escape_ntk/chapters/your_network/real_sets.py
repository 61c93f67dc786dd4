"""Seven small sets of real data that ship with what the book installs: nothing is downloaded.

Images, tables and a map; two classes, several, and regression.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from escape_ntk import checks

Table = tuple[np.ndarray, np.ndarray]
"""Inputs (N, d) and targets (N,): numbers, or classes 0, 1, …"""


def _digits(*classes: int) -> Table:
    from sklearn.datasets import load_digits  # a second to import, and only here

    X, y = load_digits(return_X_y=True)
    kept = np.isin(y, classes)
    return X[kept], np.searchsorted(classes, y[kept])


def _shipped(name: str) -> Table:
    from sklearn import datasets

    return getattr(datasets, f"load_{name}")(return_X_y=True)


def _elevation() -> Table:
    """Row and column of each point of a map, and its height: sample data of matplotlib."""
    from matplotlib.cbook import get_sample_data

    path = get_sample_data("jacksboro_fault_dem.npz", asfileobj=False)
    heights = np.asarray(np.load(path)["elevation"], dtype=float)
    return np.argwhere(np.isfinite(heights)).astype(float), heights.ravel()


@dataclass(frozen=True)
class RealSet:
    """``rows`` of ``width`` numbers; ``classes`` 0: a number to predict.

    ``pixels``: inputs of one kind, scaled by one number for all; else each column by its own.
    """

    words: str
    load: Callable[[], Table]
    rows: int
    width: int
    classes: int
    pixels: bool = False

    @property
    def outputs(self) -> int:
        """C: one for two classes and for a number, else one for each class."""
        return max(1, self.classes) if self.classes != 2 else 1


SETS = {
    "digits-38": RealSet("digits, 3 or 8", lambda: _digits(3, 8), 357, 64, 2, pixels=True),
    "digits": RealSet("digits, all ten", lambda: _digits(*range(10)), 1797, 64, 10, pixels=True),
    "cancer": RealSet("breast cancer", lambda: _shipped("breast_cancer"), 569, 30, 2),
    "wine": RealSet("wine", lambda: _shipped("wine"), 178, 13, 3),
    "iris": RealSet("iris", lambda: _shipped("iris"), 150, 4, 3),
    "diabetes": RealSet("diabetes", lambda: _shipped("diabetes"), 442, 10, 0),
    "elevation": RealSet("a map's heights", _elevation, 344 * 403, 2, 0),
}
"""Six of scikit-learn, and the elevation model of the Jacksboro fault that matplotlib ships."""


@dataclass(frozen=True)
class Part:
    """X (n, d) and targets Y (n, C); ``labels`` (n,), the classes, or None."""

    X: Tensor
    Y: Tensor
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.X)


@dataclass(frozen=True)
class Parts:
    """To train on, to choose by, and to judge by."""

    train: Part
    validation: Part
    test: Part


def divide(name: str, n: int, most_test: int, generator: torch.Generator) -> Parts:
    """n rows to train on, n others to choose by, and of the rest at most ``most_test`` to judge by.

    Targets are ±1 for two classes and one-hot for several.  Inputs and targets are centred by the
    training rows; inputs are scaled to unit variance there and targets to unit mean square, so that
    who predicts the training mean has a loss of about 1.
    Raises :class:`~escape_ntk.checks.InputError` for an unknown set, and when fewer than two rows
    are left.
    """
    kind = SETS[checks.one_of("set", name, tuple(SETS))]
    checks.integer("n", n, least=2)
    if kind.rows < 2 * n + 2:
        raise checks.InputError(
            checks.message(
                expected=f"n ≤ {kind.rows // 2 - 1}, so that rows are left to judge by",
                got=n,
                remedy=f"{name} has {kind.rows} rows",
            )
        )
    rows, y = kind.load()
    order = torch.randperm(len(rows), generator=generator)[: 2 * n + most_test].numpy()
    X, y = rows[order], y[order]
    labels = torch.from_numpy(y) if kind.classes else None
    Y = _targets(y, kind)
    spread = X[:n].std() if kind.pixels else X[:n].std(0)
    X = (X - X[:n].mean(0)) / np.where(spread == 0, 1.0, spread)
    Y = Y - Y[:n].mean(0)
    Y /= np.sqrt(np.square(Y[:n]).mean())
    return Parts(
        *(
            Part(
                torch.from_numpy(X[rows]).float(),
                torch.from_numpy(Y[rows]).float(),
                None if labels is None else labels[rows],
            )
            for rows in (slice(0, n), slice(n, 2 * n), slice(2 * n, None))
        )
    )


def _targets(y: np.ndarray, kind: RealSet) -> np.ndarray:
    """(n, C)."""
    if kind.classes > 2:
        return np.eye(kind.classes)[y]
    return (2.0 * y - 1 if kind.classes else y.astype(float))[:, None]


def classes_of(outputs: Tensor) -> Tensor:
    """The class that outputs (…, n, C) name: of one output its sign, of several the largest."""
    if outputs.shape[-1] == 1:
        return (outputs[..., 0] > 0).long()
    return outputs.argmax(-1)
