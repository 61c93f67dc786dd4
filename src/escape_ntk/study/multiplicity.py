"""Many claims at once: how many intervals would miss by chance, and p corrected for their number.

Works on the rows of the ledger, so that a page has both from the ledger it shows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from escape_ntk.numerics.stats import LEVEL


def _places(measured: Mapping, key: str) -> Iterator[Mapping]:
    """Every mapping inside ``measured``, itself among them, that has ``key``."""
    if key in measured:
        yield measured
    for value in measured.values():
        if isinstance(value, Mapping):
            yield from _places(value, key)


def intervals(ledger: Sequence[Mapping]) -> int:
    """How many 95 % intervals the rows of the ledger state."""
    return sum(1 for row in ledger for _ in _places(row["measured"], "low"))


def expected_misses(count: int) -> float:
    """Of so many intervals, this many miss on average though all is right: count·(1 − level)."""
    return count * (1 - LEVEL)


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """p by Holm: the j-th smallest of m times m − j + 1, never below one that is smaller.  [L]

    The chance that any of those below a level is false is at most that level, however they depend.
    """
    values = np.asarray(p, dtype=float)
    order, m = np.argsort(values), len(values)
    raised = np.maximum.accumulate(values[order] * (m - np.arange(m)))
    out = np.empty(m)
    out[order] = np.minimum(1.0, raised)
    return out


@dataclass(frozen=True)
class Corrected:
    """The worst miss of one claim: p as it stands, and corrected for all p of the ledger."""

    id: str
    verdict: str
    farthest: str
    z: float
    p: float
    within: float
    """Bonferroni among the numbers of the claim itself."""
    holm: float
    """By Holm, among all numbers of the ledger that have a p."""
    false_share: float
    """By Benjamini and Hochberg, among the same."""
    after: bool
    """Whether something was set after looking."""


def corrected(ledger: Sequence[Mapping]) -> list[Corrected]:
    """One entry for each claim that compares with published values, in the order of the ledger."""
    from scipy.stats import false_discovery_control  # half a second to import

    compared = [row for row in ledger if "farthest" in row["measured"]]
    values = [
        (row["id"], label, number["p"])
        for row in compared
        for label, number in row["measured"].items()
        if isinstance(number, Mapping) and "p" in number
    ]
    if not values:
        return []
    p = np.array([value for *_, value in values])
    all_holm, shares = holm(p), false_discovery_control(p)
    places = {(name, label): i for i, (name, label, _) in enumerate(values)}
    out = []
    for row in compared:
        measured = row["measured"]
        i = places[row["id"], measured["farthest"]]
        out.append(
            Corrected(
                row["id"],
                row["verdict"],
                measured["farthest"],
                measured["z"],
                float(p[i]),
                measured["p_corrected"],
                float(all_holm[i]),
                float(shares[i]),
                bool(row["after"]),
            )
        )
    return out


def compared(ledger: Sequence[Mapping]) -> int:
    """How many numbers and curves of the ledger are compared with published ones."""
    rows = [row["measured"] for row in ledger if "farthest" in row["measured"]]
    return sum(1 for measured in rows for _ in _places(measured, "p"))
