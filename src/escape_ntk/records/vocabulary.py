"""One name for each quantity: what the book's records were stored under before there was one.

The names are those that :class:`~escape_ntk.risk.problem.Problem` gives its measurements.  A record
keeps its bytes, its key and its checksum; :mod:`~escape_ntk.records.store` hands its arrays and the
entries of its summary out by these names.  A configuration keeps its fields: they are the address.
"""

from collections.abc import Mapping
from typing import TypeVar

from escape_ntk.records.encoding import BadFileError

V = TypeVar("V")

LOSSES = {"train_loss": "train", "test_loss": "test"}
LEAKS = {"population_leak": "R_1", "empirical_leak": "R_2"}
PENALTIES = {"population": "R_1", "empirical": "R_2", "low_degree": "R_3"}
CURVE = {
    **LOSSES,
    **LEAKS,
    "norm_frobenius": "norm_F",
    **{f"{term}_on_part{j}": f"{term}_{j}" for term in ("linear", "quadratic") for j in (0, 1)},
}
SMALL = {
    **LOSSES,
    **LEAKS,
    "low_degree": "R_3",
    "share_linear": "linear_0",
    "share_quadratic": "quadratic_1",
}
OLD_NAMES: Mapping[str, Mapping[str, str]] = {
    "curves": CURVE,
    "landscape-published": CURVE,
    "landscape-run": SMALL,
    "regularizer-small": SMALL,
    "regularizer-noise": SMALL,
    "quadntk-saddle": LOSSES,
    "end-to-end": {
        f"{of}{old}": f"{of}{new}"
        for of in ("", "end_", "explicit_")
        for old, new in PENALTIES.items()
    },
    "joint-leaks": {
        f"{before}{old}{after}": f"{before}{new}{after}"
        for before, after in (("", ""), ("training_", ""), ("", "_linear"))
        for old, new in PENALTIES.items()
    },
    "joint-gap": {f"R_{old}": new for old, new in PENALTIES.items()}
    | {"R_norm_fourth": "norm_fourth"},
}
"""Experiment → (a name that its records may be stored under → the one name)."""


def named(experiment: str, entries: Mapping[str, V]) -> dict[str, V]:
    """``entries`` of a record, its arrays or its summary, by the one name of each.

    Both names of one quantity: :class:`~escape_ntk.records.encoding.BadFileError`.
    """
    old = OLD_NAMES.get(experiment, {})
    for name in old.keys() & entries.keys():
        if old[name] in entries:
            raise BadFileError(f"{old[name]!r} once", f"{name!r}, its old name, beside it")
    return {old.get(name, name): value for name, value in entries.items()}
