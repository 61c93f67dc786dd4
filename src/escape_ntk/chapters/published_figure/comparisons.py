"""The published numbers against our runs: panels, comparisons, residuals under a hypothesis."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from escape_ntk.chapters.published_figure import digitised as published
from escape_ntk.chapters.published_figure import runs as e
from escape_ntk.numerics.stats import Interval, welch_interval
from escape_ntk.records.store import Record
from escape_ntk.study.claims import Runs

SEEDS = e.SEEDS
"""Seeds of the figure itself."""
R1_SEEDS = SEEDS[:3]
PAIRED_SEEDS = SEEDS[:3]
"""Seeds on which another hypothesis is compared with the first one, pair by pair."""
PENALTY_VISIBLE = (0.0, 1e-5, 1e-4)
"""λ whose published penalty ends well above zero; the others end within two pixels of it."""


def panel_values(panel: str, records: Sequence[Record], times: np.ndarray) -> np.ndarray:
    """Own values of a panel at ``times``, (records, times), interpolated in log(t+1).

    ``penalty`` is the published quantity: see :func:`.digitised.penalty`.
    """
    rows = []
    for record in records:
        own, a = record.arrays["times"], record.arrays
        if panel == "penalty":
            rows.append(published.penalty(own, record.config["n"] * a["R_2"], times))
        else:
            rows.append(np.interp(np.log1p(times), np.log1p(own), a[panel]))
    return np.array(rows)


@dataclass(frozen=True)
class Comparison:
    """A published number: a final value, or with ``minus`` the difference of two of one panel."""

    panel: str
    lam: float
    minus: float | None = None

    @property
    def lambdas(self) -> tuple[float, ...]:
        """The λ whose runs it needs."""
        return (self.lam,) if self.minus is None else (self.lam, self.minus)

    @property
    def label(self) -> str:
        """For example ``test 1e-1`` or ``test 1e-1 − 1e-2``."""
        tail = "" if self.minus is None else f" − {short(self.minus)}"
        return f"{self.panel} {short(self.lam)}{tail}"

    def published(self) -> float:
        """The digitised number."""
        finals = [_curve(self.panel, lam).final for lam in self.lambdas]
        return finals[0] if self.minus is None else finals[0] - finals[1]

    def own(self, runs: Runs, hypothesis: e.Hypothesis, seeds: Sequence[int]) -> np.ndarray:
        """Our number, seed by seed."""
        values = [
            panel_values(
                self.panel,
                runs(e.figure_points(seeds, hypothesis, (lam,))),
                _curve(self.panel, lam).times[-1:],
            )[:, 0]
            for lam in self.lambdas
        ]
        return values[0] if self.minus is None else values[0] - values[1]


def short(lam: float) -> str:
    """0, 1e-5, …, 1e-1."""
    return "0" if lam == 0 else f"{lam:.0e}".replace("e-0", "e-")


def _curve(panel: str, lam: float) -> published.DigitizedCurve:
    return next(c for c in published.curves(panel) if c.lam == lam)


FINALS = (
    *(Comparison("test", lam) for lam in e.LAMBDAS),
    *(Comparison("penalty", lam) for lam in PENALTY_VISIBLE),
)
"""Every final value that could be digitised well above zero."""
LARGEST = Comparison("test", 1e-1, minus=1e-2)
"""What the largest λ costs; on one seed both runs see the same data, so it varies little."""
COMPARISONS = (*FINALS, LARGEST)


@dataclass(frozen=True)
class Residual:
    """A published number against its prediction under one hypothesis.

    ``error`` is the standard error of published − own; ``interval`` the 95 % prediction interval
    of a three-seed mean.
    """

    hypothesis: e.Hypothesis
    comparison: Comparison
    published: float
    own: float
    error: float
    n_seeds: int
    interval: Interval

    @property
    def in_errors(self) -> float:
        """(published − own)/error."""
        return (self.published - self.own) / self.error

    @property
    def inside(self) -> bool:
        """Whether the published value lies in the interval."""
        return self.published in self.interval


def residual(runs: Runs, hypothesis: e.Hypothesis, comparison: Comparison) -> Residual:
    """Compare one published number with ``hypothesis``.

    The first hypothesis (sum, no R_1) has N = 10 seeds of its own: error² = s²(1/3 + 1/N).  Any
    other is run on n of the same seeds, and its mean is estimated as the first one's plus the mean
    paired difference: error² = s²(1/3 + 1/N) + s_Δ²/n, its spread over seeds taken as that of the
    first; degrees of freedom by Welch and Satterthwaite.
    """
    first = comparison.own(runs, e.SUM_NO_R1, SEEDS)
    own, n = float(first.mean()), len(first)
    terms = [(first.var(ddof=1) * (1 / published.N_SEEDS + 1 / n), n - 1)]
    if hypothesis != e.SUM_NO_R1:
        values = comparison.own(runs, hypothesis, PAIRED_SEEDS)
        shift = values - first[[SEEDS.index(seed) for seed in PAIRED_SEEDS]]
        own, n = own + float(shift.mean()), len(shift)
        terms.append((shift.var(ddof=1) / n, n - 1))
    error, interval = welch_interval(own, terms)
    return Residual(hypothesis, comparison, comparison.published(), own, error, n, interval)


def residuals(
    runs: Runs, hypothesis: e.Hypothesis, comparisons: Sequence[Comparison] = COMPARISONS
) -> list[Residual]:
    """Those of the comparisons whose λ were run under ``hypothesis``."""
    return [
        residual(runs, hypothesis, c) for c in comparisons if {*c.lambdas} <= {*hypothesis.lambdas}
    ]


def shifted_mean_curve(runs: Runs, hypothesis: e.Hypothesis, lam: float):
    """(times, test loss): the first hypothesis' mean over its seeds plus the mean paired shift."""
    first = runs(e.figure_points(SEEDS, lambdas=(lam,)))
    mean = np.mean([r.arrays["test"] for r in first], axis=0)
    if hypothesis != e.SUM_NO_R1:
        other = runs(e.figure_points(PAIRED_SEEDS, hypothesis, (lam,)))
        base = {r.config["seed"]: r.arrays["test"] for r in first}
        shifts = [r.arrays["test"] - base[r.config["seed"]] for r in other]
        mean = mean + np.mean(shifts, axis=0)
    return first[0].arrays["times"], mean
