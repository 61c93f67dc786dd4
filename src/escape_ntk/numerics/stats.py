"""Slopes with intervals, means with intervals, and prediction intervals: one place for all."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from escape_ntk import checks

Numbers = Sequence[float] | np.ndarray
"""Values, such as those of several seeds."""
LEVEL = 0.95
"""Coverage of every interval in the book."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its two-sided interval."""

    value: float
    low: float
    high: float

    def __contains__(self, x: float) -> bool:
        return self.low <= x <= self.high

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


@functools.cache
def t_quantile(level: float, freedom: float) -> float:
    """The q for which |t| ≤ q with chance ``level``, t Student's with ``freedom`` degrees."""
    from scipy.stats import t  # half a second to import

    return float(t.ppf((1 + level) / 2, freedom))


def rms(f: Tensor) -> float:
    """(mean f²)^{1/2} over all entries."""
    return float(f.square().mean().sqrt())


def log_slope(x: Numbers, y: Numbers) -> float:
    """Least-squares slope of log y on log x.

    :class:`~escape_ntk.checks.InputError` for fewer than two pairs, or numbers ≤ 0.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(x) < 2 or x.shape != y.shape or not ((x > 0).all() and (y > 0).all()):
        raise checks.InputError(
            checks.message(
                expected="two or more pairs of positive numbers",
                got=f"shapes {x.shape} and {y.shape}, least {min(x.min(), y.min()):.3g}",
                remedy="drop zeros, or use more points",
            )
        )
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def median_slope(
    x: Numbers, samples: Sequence[Numbers], resamples: int = 4000, level: float = LEVEL
) -> Interval:
    """Least-squares slope of log median(y) on log x, with its bootstrap interval.

    ``samples``: the positive values y of the seeds at each x, as many as there are; those of each x
    are drawn anew, with replacement, and the interval is that of the percentiles.  [L]  A value of
    which only a lower bound is known may stand for that bound: while fewer than half are such the
    median does not feel it.  :class:`~escape_ntk.checks.InputError` as in :func:`log_slope`.
    """
    draw = np.random.default_rng(0)
    columns = []
    for y in samples:
        y = np.asarray(y, dtype=float)
        columns.append(np.median(y[draw.integers(len(y), size=(resamples, len(y)))], axis=1))
    value = log_slope(x, [float(np.median(y)) for y in samples])
    slopes = np.polyfit(np.log(np.asarray(x, dtype=float)), np.log(columns), 1)[0]
    low, high = np.quantile(slopes, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def first_crossing(x: Numbers, y: Numbers, level: float) -> float:
    """Where y, over increasing x > 0, first falls to ``level``: linear between logarithms.

    NaN when it never does on this grid, or lies at or below ``level`` from the start: censored.
    :class:`~escape_ntk.checks.InputError` for x that do not increase, and numbers ≤ 0.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.shape != y.shape or not ((x > 0).all() and (y > 0).all() and (np.diff(x) > 0).all()):
        raise checks.InputError(
            checks.message(
                expected="increasing positive x and as many positive y",
                got=f"x {str(x)[:60]}, y {str(y)[:60]}",
                remedy="sort by x, and drop values that were not measured",
            )
        )
    checks.number("level", level, least=0, strict=True)
    below = np.flatnonzero(y <= level)
    if not len(below) or below[0] == 0:
        return math.nan
    i = below[0]
    high, low = np.log(y[i - 1] / level), np.log(y[i] / level)
    return float(x[i - 1] * (x[i] / x[i - 1]) ** (high / (high - low)))


def mean_interval(values: Numbers, level: float = LEVEL) -> Interval:
    """Mean of independent values with its t-interval: x̄ ± t s/√N.

    :class:`~escape_ntk.checks.InputError` for fewer than two values, or NaN among them.
    """
    return _spread(values, level, lambda n: 1 / n)


def prediction_interval(values: Numbers, n_mean: int, level: float = LEVEL) -> Interval:
    """Where the mean of ``n_mean`` further values falls: x̄ ± t s √(1/n_mean + 1/N).

    :class:`~escape_ntk.checks.InputError` for fewer than two values, or NaN among them.
    """
    checks.integer("n_mean", n_mean, least=1)
    return _spread(values, level, lambda n: 1 / n_mean + 1 / n)


@dataclass(frozen=True)
class Estimate:
    """An estimate with its standard error and the degrees of freedom of that."""

    value: float
    error: float
    freedom: float

    def interval(self, level: float = LEVEL) -> Interval:
        """value ± t·error."""
        half = t_quantile(level, self.freedom) * self.error
        return Interval(self.value, self.value - half, self.value + half)

    def p(self, x: float) -> float:
        """Chance that a further value lies as far off as ``x``, on either side, if all is right."""
        from scipy.stats import t  # half a second to import

        return float(2 * t.sf(abs(x - self.value) / self.error, self.freedom))


def welch(value: float, terms: Sequence[tuple[float, int]]) -> Estimate:
    """An estimate whose variance is a sum of estimated ``terms``, (variance, degrees of freedom).

    Together they have (Σ v)²/Σ(v²/ν) degrees, by Welch and Satterthwaite.  [L]
    """
    variances, dof = (np.array(column, dtype=float) for column in zip(*terms, strict=True))
    total = variances.sum()
    together = total**2 / (variances**2 / dof).sum() if total > 0 else dof.min()
    return Estimate(value, math.sqrt(total), float(together))


def _spread(values: Numbers, level: float, variance_factor) -> Interval:
    v = np.asarray(values, dtype=float)
    if v.ndim != 1 or len(v) < 2 or not np.isfinite(v).all():
        raise checks.InputError(
            checks.message(
                expected="two or more finite values",
                got=str(v)[:80],
                remedy="run more seeds",
            )
        )
    half = t_quantile(level, len(v) - 1) * v.std(ddof=1)
    half *= math.sqrt(variance_factor(len(v)))
    return Interval(float(v.mean()), float(v.mean() - half), float(v.mean() + half))
