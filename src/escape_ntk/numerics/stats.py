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


def censored_slope(
    x: Numbers, y: Numbers, bound: Sequence[bool] | np.ndarray, level: float = LEVEL
) -> Interval:
    """Slope of log y on log x where of some y only a lower ``bound`` is known.  [L]

    Censored (Tobit) regression: log y is normal about a line with one spread, and a bound counts
    with the chance to lie above it.  The slope is that of maximum likelihood; the interval holds
    the slopes whose profile deviance is at most N log(1 + t²/(N − 2)), which without bounds is
    Student's of least squares, exactly.  :class:`~escape_ntk.checks.InputError` as in
    :func:`log_slope`, and for fewer than two x, or fewer than three y, that are no bounds.
    """
    from scipy.optimize import minimize, root_scalar  # a second to import
    from scipy.special import log_ndtr

    log_slope(x, y)
    u, v, open_ = np.log(np.asarray(x, float)), np.log(np.asarray(y, float)), np.asarray(bound)
    if open_.shape != u.shape or len(np.unique(u[~open_])) < 2 or (~open_).sum() < 3:
        raise checks.InputError(
            checks.message(
                expected="for each y whether it is a bound; three that are none, at two x",
                got=f"{int((~open_).sum())} that are none at {len(np.unique(u[~open_]))} x",
                remedy="drop the x at which all are bounds, or run longer",
            )
        )
    u = u - u.mean()

    def negative(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """−log likelihood of (slope, centre, log spread), and its gradient."""
        slope, centre, log_spread = parameters
        z = (v - slope * u - centre) * math.exp(-log_spread)
        above = log_ndtr(-z[open_])
        by_z = z.copy()  # of a bound: φ(z) / Φ(−z)
        by_z[open_] = np.exp(-(z[open_] ** 2) / 2 - above) / math.sqrt(2 * math.pi)
        value = (z[~open_] ** 2 / 2 + log_spread).sum() - above.sum()
        by_line = -math.exp(-log_spread) * by_z
        by_spread = (~open_).sum() - by_z @ z
        return float(value), np.array([by_line @ u, by_line.sum(), by_spread])

    start, _ = np.polyfit(u, v, 1)
    rest = v - start * u
    if rest.std() < 1e-12:
        return Interval(float(start), float(start), float(start))
    begin = np.array([start, rest.mean(), math.log(rest.std())])

    best = minimize(negative, begin, jac=True, tol=1e-8)
    value, least = float(best.x[0]), 2 * float(best.fun)

    @functools.cache
    def deviance(slope: float) -> float:
        def profile(rest: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = negative(np.append(slope, rest))
            return value, gradient[1:]

        return 2 * float(minimize(profile, best.x[1:], jac=True, tol=1e-8).fun)

    quantile = t_quantile(level, len(v) - 2)
    allowed = least + len(v) * math.log1p(quantile**2 / (len(v) - 2))
    reach = quantile * rest.std() / (u.std() * math.sqrt(len(v)))

    ends = []
    for side in (-1, 1):
        far = reach
        while deviance(value + side * far) < allowed:
            far *= 2
        ends.append(
            root_scalar(
                lambda b: deviance(b) - allowed, bracket=(value, value + side * far), xtol=1e-8
            )
        )
    return Interval(value, *(float(end.root) for end in ends))


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


@dataclass(frozen=True)
class Distance:
    """How far a curve lies from the mean of others: see :func:`curve_distance`.

    ``rms`` in units of the curve, ``z`` in standard errors, ``p`` the chance of one as far;
    ``outside``: the share of times at which the gap is beyond the 95 % interval of that time.
    """

    rms: float
    z: float
    p: float
    outside: float


def curve_distance(gap: Numbers, curves: np.ndarray, n_mean: int) -> Distance:
    """Whole curves compared: the ``gap`` of a mean of ``n_mean`` from the mean of N ``curves``.

    z² = mean_t gap² / ((1/n_mean + 1/N) mean_t s²), s² the variance over the rows of ``curves``
    (N, T).  Were all drawn alike it would be about F(ν, N − 1), with ν = (tr Σ)²/tr Σ² independent
    pieces of the curves' covariance Σ (Box), both traces estimated without bias; a p below .05 is
    then rather rarer than that.  At one time ν = 1, and z and p are those of
    :func:`prediction_interval`.  [L]  :class:`~escape_ntk.checks.InputError` for shapes that do not
    fit, and fewer than three curves.
    """
    from scipy.stats import f  # half a second to import

    gap, curves = np.asarray(gap, dtype=float), np.asarray(curves, dtype=float)
    if curves.ndim != 2 or len(curves) < 3 or gap.shape != curves.shape[1:]:
        raise checks.InputError(
            checks.message(
                expected="a gap (T,) and three or more curves (N, T)",
                got=f"shapes {gap.shape} and {curves.shape}",
                remedy="read all curves at the same times",
            )
        )
    count, centred = len(curves), curves - curves.mean(0)
    freedom = count - 1
    inner = centred @ centred.T / freedom  # the nonzero spectrum of the sample covariance S
    once, squared = float(np.trace(inner)), float((inner**2).sum())
    of_trace = (freedom + 1) * (once**2 - 2 * squared / (freedom + 1))
    of_square = freedom * (squared - once**2 / freedom)
    pieces = float(np.clip(of_trace / of_square, 1.0, len(gap)))
    factor = 1 / n_mean + 1 / count
    ratio = float((gap**2).sum()) / (once * factor)
    bound = t_quantile(LEVEL, freedom) * math.sqrt(factor) * curves.std(0, ddof=1)
    return Distance(
        float(np.sqrt((gap**2).mean())),
        math.sqrt(ratio),
        float(f.sf(ratio, pieces, freedom)),
        float((np.abs(gap) > bound).mean()),
    )


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
