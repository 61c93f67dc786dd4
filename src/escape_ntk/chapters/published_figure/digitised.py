"""The published curves, digitised: ``figure1.json``, with its attribution in ``meta``.  [C]

Read off the one PNG (three panels) stored in ``plotting.ipynb`` of the authors' public repository
eshnich/escape_NTK; test loss, penalty and training loss, means of three seeds.
"""

import functools
import json
import math
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

import numpy as np

from escape_ntk import checks

PANELS = ("test", "penalty", "train")
"""The panels; in that of the training loss λ = 0 is hidden by the other lines."""
N_SEEDS = 3
"""Each published curve is the mean of this many runs.  [C]"""
DIMENSION = 100
"""d of the published figure: the base of its logarithmic time axis.  [C]"""
PIXEL = MappingProxyType({"test": 0.004, "penalty": 1.5, "train": 0.0038})
"""Height of one pixel of the digitised image."""
TIME_PIXEL = 0.0084
"""Width of one, in log_d(t + 1)."""


@dataclass(frozen=True)
class DigitizedCurve:
    """One published curve: ``times`` t in descent steps (from log_d(t+1)) and ``values``."""

    lam: float
    times: np.ndarray
    values: np.ndarray

    @property
    def final(self) -> float:
        """The last value that could be read."""
        return float(self.values[-1])

    def at(self, times: np.ndarray) -> np.ndarray:
        """Values at ``times`` by interpolation in log(t+1); NaN outside what could be read."""
        x, own = np.log1p(np.asarray(times, dtype=float)), np.log1p(self.times)
        return np.interp(x, own, self.values, left=np.nan, right=np.nan)


@functools.cache
def _document() -> dict:
    return json.loads(
        resources.files("escape_ntk.chapters.published_figure")
        .joinpath("figure1.json")
        .read_text("utf-8")
    )


def attribution() -> str:
    """Where the curves come from."""
    return _document()["meta"]["source"]


@functools.cache
def curves(panel: str) -> tuple[DigitizedCurve, ...]:
    """The curves of one of :data:`PANELS`, by increasing λ."""
    checks.one_of("panel", panel, PANELS)
    out = []
    for label, points in _document()[panel].items():
        x, y = np.array(points, dtype=float).T
        times = np.maximum(np.exp(x * math.log(DIMENSION)) - 1, 0.0)
        out.append(DigitizedCurve(float(label), times, y))
    return tuple(sorted(out, key=lambda curve: curve.lam))


SMOOTHING = 100
"""The published penalty is a mean over the last 100 steps, and 0 before there are as many.  [C]"""


def penalty(own_times: np.ndarray, sums: np.ndarray, times: np.ndarray) -> np.ndarray:
    """What the published panel plots, from own sums Σ_i f_L(x_i; P_{>k}W)² at ``own_times``.

    The mean over steps t − 99, …, t; 0 for t < 99.  Between own times: linear in log(t + 1).
    """
    out = np.zeros(len(times))
    for j, t in enumerate(np.asarray(times, dtype=float)):
        if t >= SMOOTHING - 1:
            steps = np.arange(t - SMOOTHING + 1, t + 1)
            out[j] = np.interp(np.log1p(steps), np.log1p(own_times), sums).mean()
    return out
