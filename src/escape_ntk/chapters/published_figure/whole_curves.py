"""The published curves against our runs over the whole time, and the coefficient that fits them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from escape_ntk.chapters.published_figure import digitised as published
from escape_ntk.chapters.published_figure import runs as e
from escape_ntk.chapters.published_figure.comparisons import (
    SEEDS,
    panel_values,
    short,
)
from escape_ntk.numerics.stats import LEVEL, Distance, Interval, curve_distance
from escape_ntk.study.claims import Apart, Runs


@dataclass(frozen=True)
class WholeCurve:
    """A published curve, or with ``minus`` the difference of two of one panel, while both last."""

    panel: str
    lam: float
    minus: float | None = None

    @property
    def label(self) -> str:
        """For example ``train 1e-1``."""
        tail = "" if self.minus is None else f" − {short(self.minus)}"
        return f"{self.panel} {short(self.lam)}{tail}"

    @property
    def lambdas(self) -> tuple[float, ...]:
        """The λ whose runs it needs."""
        return (self.lam,) if self.minus is None else (self.lam, self.minus)

    @property
    def pixel(self) -> float:
        """Reading error in height: a pixel for each curve that was read."""
        return len(self.lambdas) * published.PIXEL[self.panel]

    def published(self) -> tuple[np.ndarray, np.ndarray]:
        """(times, values)."""
        one, *others = [_read(self.panel, lam) for lam in self.lambdas]
        values = one.values - sum(other.at(one.times) for other in others)
        seen = np.isfinite(values)
        return one.times[seen], values[seen]


def _read(panel: str, lam: float) -> published.DigitizedCurve:
    return next(curve for curve in published.curves(panel) if curve.lam == lam)


CURVES = tuple(
    WholeCurve(panel, curve.lam)
    for panel in published.PANELS
    for curve in published.curves(panel)
    if curve.values.max() > 2 * published.PIXEL[panel]
)
"""Every published curve that rises above two pixels."""
COST = WholeCurve("test", 1e-1, minus=1e-2)
"""What the largest λ costs over the next, while both curves last."""


def predicted(
    runs: Runs, hypothesis: e.Hypothesis, panel: str, lam: float, times: np.ndarray
) -> np.ndarray:
    """(seeds, times): one curve for each of the ten seeds under ``hypothesis``.

    Where it is run on fewer, they are those of the first hypothesis times ρ(t), the ratio of the
    means on the seeds that it was run on, whose own error is left out.
    """
    n = hypothesis.n_seeds
    own = panel_values(panel, runs(e.figure_points(SEEDS[:n], hypothesis, (lam,))), times)
    if n == len(SEEDS):
        return own
    first = panel_values(panel, runs(e.figure_points(SEEDS, lambdas=(lam,))), times)
    base = first[:n].mean(0)
    return first * np.divide(own.mean(0), base, out=np.ones_like(base), where=base > 0)


def shifted(times: np.ndarray, pixels: int) -> np.ndarray:
    """Times so many pixels of the picture later."""
    return np.expm1(np.log1p(times) + pixels * published.TIME_PIXEL * np.log(published.DIMENSION))


def gap(values: np.ndarray, beside: Sequence[np.ndarray], pixel: float) -> np.ndarray:
    """How far published ``values`` lie from the nearest of own curves, beyond a ``pixel``.

    ``beside``: one curve read at the published times, a pixel earlier and a pixel later.
    """
    low, high = np.min(beside, axis=0) - pixel, np.max(beside, axis=0) + pixel
    return np.maximum(0.0, np.maximum(values - high, low - values))


def apart(runs: Runs, hypothesis: e.Hypothesis, curve: WholeCurve) -> Apart:
    """The distance of a published curve from ``hypothesis``; the error of reading does not count.

    That is a pixel in each direction, by which a curve may be moved towards the other.
    """
    times, values = curve.published()

    def own(pixels: int) -> np.ndarray:
        one, *others = [
            predicted(runs, hypothesis, curve.panel, lam, shifted(times, pixels))
            for lam in curve.lambdas
        ]
        return one - sum(others)

    beside = [own(pixels) for pixels in (0, -1, 1)]
    off = gap(values, [rows.mean(0) for rows in beside], curve.pixel)
    distance = curve_distance(off, beside[0], published.N_SEEDS)
    return Apart(curve.label, distance, counted=curve.minus is None)


def all_apart(
    runs: Runs, hypothesis: e.Hypothesis, curves: Sequence[WholeCurve] = (*CURVES, COST)
) -> list[Apart]:
    """Those of the curves whose λ were run under ``hypothesis``."""
    return [apart(runs, hypothesis, c) for c in curves if {*c.lambdas} <= {*hypothesis.lambdas}]


# ---------------------------------------------------------------- λ_2 = c·nλ

FITTED = (1e-4, 1e-3, 1e-2)
"""λ whose neighbours in the figure were run too: there c may lie a decade off on either side."""
COEFFICIENTS = np.geomspace(0.1, 10.0, 81)


@dataclass(frozen=True)
class Fit:
    """The c of λ_2 = c·nλ nearest to some published curves, and all that none of them excludes.

    The value of ``interval`` has the least sum of z²; its ends are those of the c at which
    Bonferroni's correction excuses the worst p, NaN if there are none.  ``rms_z``: the root of the
    mean z² at the value.
    """

    lambdas: tuple[float, ...]
    curves: int
    interval: Interval
    rms_z: float


def between(runs: Runs, curve: WholeCurve, times: np.ndarray) -> PchipInterpolator:
    """log10 λ ↦ (seeds, times) under the first hypothesis, between the λ of the figure.

    Of log(value + a pixel), which is smooth where a penalty falls by orders of magnitude.
    """
    nodes = [lam for lam in e.LAMBDAS if lam > 0]
    rows = [predicted(runs, e.SUM_NO_R1, curve.panel, lam, times) for lam in nodes]
    return PchipInterpolator(np.log10(nodes), np.log(np.array(rows) + curve.pixel))


def scan(runs: Runs, curve: WholeCurve, factor: float = 1.0) -> list[Distance]:
    """The distance of a published curve from λ_2 = c·nλ: c = ``factor``·:data:`COEFFICIENTS`."""
    times, values = curve.published()
    paths = [between(runs, curve, shifted(times, pixels)) for pixels in (0, -1, 1)]
    found = []
    for place in np.log10(curve.lam * factor * COEFFICIENTS):
        beside = [np.exp(path(place)) - curve.pixel for path in paths]
        off = gap(values, [rows.mean(0) for rows in beside], curve.pixel)
        found.append(curve_distance(off, beside[0], published.N_SEEDS))
    return found


def fits(runs: Runs, factor: float = 1.0) -> list[Fit]:
    """c from the curves of each λ that is :data:`FITTED`, and, last, from all of them.

    With a ``factor`` the own runs have λ that many times larger than the published.
    """
    curves = [c for c in CURVES if c.lam in FITTED]
    scans = {c: scan(runs, c, factor) for c in curves}
    groups = [*((lam,) for lam in FITTED), FITTED]
    return [_fit(lambdas, [scans[c] for c in curves if c.lam in lambdas]) for lambdas in groups]


def _fit(lambdas: tuple[float, ...], scans: Sequence[Sequence[Distance]]) -> Fit:
    squares = np.mean([[d.z**2 for d in row] for row in scans], axis=0)
    excused = len(scans) * np.min([[d.p for d in row] for row in scans], axis=0) >= 1 - LEVEL
    kept, best = COEFFICIENTS[excused], int(squares.argmin())
    low, high = (float(kept[0]), float(kept[-1])) if len(kept) else (np.nan, np.nan)
    own = Interval(float(COEFFICIENTS[best]), low, high)
    return Fit(lambdas, len(scans), own, float(np.sqrt(squares[best])))
