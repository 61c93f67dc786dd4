"""The published numbers against our runs: panels, comparisons, residuals under a hypothesis."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from escape_ntk.chapters.published_figure import digitised as published
from escape_ntk.chapters.published_figure import runs as e
from escape_ntk.numerics.stats import welch
from escape_ntk.records.store import Record
from escape_ntk.study.claims import Predicted, Runs

SEEDS = e.SEEDS
"""Seeds of the figure itself."""
R1_SEEDS = SEEDS[:3]
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

    def parts(self, runs: Runs, hypothesis: e.Hypothesis, seeds: Sequence[int]) -> np.ndarray:
        """(λ, seeds): final values of our runs at each λ that it needs."""
        return np.array(
            [
                panel_values(
                    self.panel,
                    runs(e.figure_points(seeds, hypothesis, (lam,))),
                    _curve(self.panel, lam).times[-1:],
                )[:, 0]
                for lam in self.lambdas
            ]
        )

    def of(self, parts: np.ndarray) -> np.ndarray:
        """The number itself, seed by seed, from its :meth:`parts`."""
        return parts[0] if self.minus is None else parts[0] - parts[1]


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
    """A published number against its prediction under one hypothesis."""

    hypothesis: e.Hypothesis
    comparison: Comparison
    predicted: Predicted


def residual(runs: Runs, hypothesis: e.Hypothesis, comparison: Comparison) -> Residual:
    """Compare one published number with ``hypothesis``.

    One that is run on all N = 10 seeds: error² = s²(1/3 + 1/N).  One that is run on n of them takes
    ρ, the ratio of its mean to the first hypothesis' there, and with it all N values of the first
    to its own (with two λ: each by its ρ, then the difference); what they miss of its n runs has
    the spread s_e: error² = s²(1/3 + 1/N) + s_e²(1/3 + 1/n).  A ratio leaves a sum of squares
    positive; an interval for one ends at 0 at the lowest.
    """
    n, share = hypothesis.n_seeds, 1 / published.N_SEEDS
    run = comparison.parts(runs, hypothesis, SEEDS[:n])
    own, missed = comparison.of(run), None
    if n < len(SEEDS):
        first = comparison.parts(runs, e.SUM_NO_R1, SEEDS)
        own = comparison.of(first * (run.mean(1) / first[:, :n].mean(1))[:, None])
        missed = comparison.of(run) - own[:n]
    terms = [
        (values.var(ddof=1) * (share + 1 / len(values)), len(values) - 1)
        for values in (own, missed)
        if values is not None
    ]
    estimate, shown = welch(float(own.mean()), terms), comparison.published()
    interval = estimate.interval()
    if comparison.minus is None:
        interval = replace(interval, low=max(interval.low, 0.0))
    predicted = Predicted(
        comparison.label,
        shown,
        interval,
        estimate.error,
        estimate.p(shown),
        counted=comparison.minus is None,
    )
    return Residual(hypothesis, comparison, predicted)


def residuals(
    runs: Runs, hypothesis: e.Hypothesis, comparisons: Sequence[Comparison] = COMPARISONS
) -> list[Residual]:
    """Those of the comparisons whose λ were run under ``hypothesis``."""
    return [
        residual(runs, hypothesis, c) for c in comparisons if {*c.lambdas} <= {*hypothesis.lambdas}
    ]
