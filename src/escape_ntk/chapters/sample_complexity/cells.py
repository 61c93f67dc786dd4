"""Records of the sample-complexity experiment → cells: means over seeds, by method, d and n."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from escape_ntk import checks
from escape_ntk.chapters.sample_complexity.figures import METHODS
from escape_ntk.chapters.sample_complexity.runs import TAYLOR_FACTORS
from escape_ntk.checks import InputError, message
from escape_ntk.display.style import Run
from escape_ntk.study.dense_plus_sparse import PARTS, samples

FIRST = (24, 3.0)
"""d and n/n_k of the cell to start with."""


class Cell(NamedTuple):
    """One method at one (d, n): means over seeds, and the range of the test error."""

    dense: float
    sparse: float
    rest: float
    error: float
    low: float
    high: float
    seeds: int


@dataclass(frozen=True)
class Grid:
    """All cells that were run, by (method, d, n/n_k); a cell that is not here was not run."""

    k: int
    cells: Mapping[tuple[str, int, float], Cell]

    @property
    def dims(self) -> list[int]:
        """Dimensions with a cell, of any method."""
        return sorted({d for _, d, _ in self.cells})

    @property
    def factors(self) -> list[float]:
        """Multiples n/n_k with a cell, of any method and dimension."""
        return sorted({factor for *_, factor in self.cells})

    def n(self, d: int, factor: float) -> int:
        """Number of training inputs."""
        return samples(factor, d, self.k)

    def at(self, d: int, factor: float) -> dict[str, Cell | None]:
        """The cells of one place by method; None where a method was not run."""
        return {method: self.cells.get((method, d, factor)) for method in METHODS}

    def first(self) -> tuple[int, float]:
        """(d, n/n_k) nearest to :data:`FIRST` on log scales, where most methods were run."""

        def order(place: tuple[int, float]) -> tuple[int, float]:
            missing = sum(cell is None for cell in self.at(*place).values())
            pairs = zip(place, FIRST, strict=True)
            return missing, sum(abs(math.log(here / there)) for here, there in pairs)

        return min(sorted({(d, factor) for _, d, factor in self.cells}), key=order)


def cells_of(runs: Mapping[str, Sequence[Run]]) -> Grid:
    """Cells of ``runs``, records by method; a method may have none, but not all of them.

    Left out are sizes n off the grid n/n_k of ``TAYLOR_FACTORS``: the kernel has some.  Raises
    InputError for another set of methods, no records, two values of k, a seed twice in one cell;
    NonFiniteError for NaN or infinity.
    """
    if set(runs) != set(METHODS):
        got = ", ".join(sorted(runs)) or "nothing"
        remedy = "pass a list of records for each of them, an empty one where none was run"
        raise InputError(message(expected=f"runs of {', '.join(METHODS)}", got=got, remedy=remedy))
    k = _degree([r for records in runs.values() for r in records])
    found: dict[tuple[str, int, float], dict[int, list[float]]] = {}
    for method, records in runs.items():
        for r in records:
            d, n, seed = (_setting(r, name) for name in ("d", "n", "seed"))
            factor = next((f for f in TAYLOR_FACTORS[k] if samples(f, d, k) == n), None)
            if factor is None:
                continue
            seeds = found.setdefault((method, d, factor), {})
            if seed in seeds:
                expected = f"one record of {method} for each seed at d = {d}, n = {n}"
                got, remedy = f"two of seed {seed}", "pass every record once"
                raise InputError(message(expected=expected, got=got, remedy=remedy))
            seeds[seed] = _values(r, f"{method}, d = {d}, n = {n}, seed {seed}")
    if not found:
        wanted = ", ".join(f"{f:g}" for f in TAYLOR_FACTORS[k])
        remedy = "pass the records of map_points"
        raise InputError(message(expected=f"n/n_{k} of {wanted}", got="none", remedy=remedy))
    return Grid(k, {place: _cell(list(seeds.values())) for place, seeds in found.items()})


def _degree(records: Sequence[Run]) -> int:
    """The one k of all records, if the experiment has it."""
    if not records:
        remedy = "run the experiment sample-complexity first"
        raise InputError(message(expected="records", got="none", remedy=remedy))
    degrees = sorted({_setting(r, "k") for r in records})
    if len(degrees) > 1 or degrees[0] not in TAYLOR_FACTORS:
        expected = f"records of one k among {', '.join(map(str, TAYLOR_FACTORS))}"
        got, remedy = f"k = {', '.join(map(str, degrees))}", "show one k in a figure"
        raise InputError(message(expected=expected, got=got, remedy=remedy))
    return degrees[0]


def _setting(run: Run, name: str) -> int:
    """One integer of a record's configuration."""
    remedy = "pass records of the experiment sample-complexity"
    least = 0 if name == "seed" else 1
    return checks.integer(name, run.config.get(name), least=least, remedy=remedy)


def _values(run: Run, where: str) -> list[float]:
    """The parts of one record's test error, then the error itself."""
    names = (*PARTS, "error")
    if missing := [name for name in names if name not in run.summary]:
        expected, got = f"{', '.join(names)} in a summary", f"no {', '.join(missing)} at {where}"
        remedy = "pass records of the experiment sample-complexity"
        raise InputError(message(expected=expected, got=got, remedy=remedy))
    return [checks.number(f"{name} at {where}", run.summary[name]) for name in names]


def _cell(rows: Sequence[Sequence[float]]) -> Cell:
    """Means over seeds and the range of the error, to three decimals, as they are printed."""
    values = np.array(rows)
    errors = values[:, -1]
    numbers = (*values.mean(0), errors.min(), errors.max())
    # + 0.0: a tiny negative mean is 0, not −0.
    return Cell(*(float(f"{v:.3f}") + 0.0 for v in numbers), seeds=len(rows))
