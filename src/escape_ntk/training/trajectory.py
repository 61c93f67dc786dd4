"""What a training run hands back: measurements at declared times, the end state, the outcome."""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from escape_ntk import checks

Observe = Callable[[Any], Mapping[str, float]]
"""Maps a state, whatever is trained, to named measurements."""


class Outcome(enum.StrEnum):
    """How a run ended: data, not an exception."""

    REACHED_END = "reached_end"
    DIVERGED = "diverged"
    MAX_GRADIENTS = "max_gradients"
    STEP_UNDERFLOW = "step_underflow"


@dataclass(frozen=True, repr=False)
class Trajectory:
    """Measurements (one array of len(times) per name; NaN after an early end) and the end state."""

    times: np.ndarray
    values: Mapping[str, np.ndarray]
    state: Tensor
    outcome: Outcome
    n_gradients: int
    n_steps: int
    n_rejected: int = 0
    kept: Mapping[str, Tensor] = field(default_factory=dict)
    """States that were asked for: :class:`Recorder`."""

    def plot(self, *names: str):
        """Draw measurements over time, all of them or those of ``names``: a matplotlib figure."""
        from escape_ntk.display.style import measurements  # matplotlib comes with it

        for name in names:
            checks.one_of("measurement", name, tuple(self.values))
        chosen = {name: self.values[name] for name in names or self.values}
        return measurements(self.times, chosen)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.3g}" for name, values in self.values.items())
        return f"Trajectory: {self.outcome} at t = {self.times[-1]:g}; {last}"


class Recorder:
    """Collects measurements at declared times; its contents can be saved and restored.

    ``best`` names a measurement, for example the validation error: the state where it is least, of
    equals the first, is ``kept["best"]``.  ``keep`` numbers times whose states are ``kept["0"]``….
    Times that are not ≥ 0, finite and increasing raise :class:`~escape_ntk.checks.InputError`.
    """

    def __init__(
        self,
        times: Sequence[float] | np.ndarray,
        observe: Observe,
        *,
        best: str | None = None,
        keep: Sequence[int] = (),
    ):
        self.times = np.asarray(times, dtype=np.float64)
        ordered = self.times.ndim == 1 and len(self.times) and (np.diff(self.times) > 0).all()
        if not ordered or self.times[0] < 0 or not np.isfinite(self.times).all():
            raise checks.InputError(
                checks.message(
                    expected="record times ≥ 0, finite, strictly increasing",
                    got=str(self.times)[:80],
                    remedy="np.unique(times)",
                )
            )
        self.observe = observe
        self.rows: list[dict[str, float]] = []
        self.best, self.keep = best, frozenset(keep)
        self.kept: dict[str, Tensor] = {}

    @property
    def next_time(self) -> float:
        """The next declared time, or infinity when all are recorded."""
        k = len(self.rows)
        return float(self.times[k]) if k < len(self.times) else np.inf

    def record(self, state: Any) -> None:
        """Measure ``state`` as the next declared time."""
        row = {name: float(v) for name, v in self.observe(state).items()}
        if len(self.rows) in self.keep:
            self.kept[str(len(self.rows))] = state.clone()
        if self.best is not None:
            least = min(
                (r[self.best] for r in self.rows if not np.isnan(r[self.best])), default=np.inf
            )
            if row[self.best] < least:
                self.kept["best"] = state.clone()
        self.rows.append(row)

    def values(self) -> dict[str, np.ndarray]:
        """One array per measurement, NaN where the run ended before."""
        names = self.rows[0] if self.rows else {}
        out = {name: np.full(len(self.times), np.nan) for name in names}
        for i, row in enumerate(self.rows):
            for name, value in row.items():
                out[name][i] = value
        return out

    def dump(self) -> dict[str, np.ndarray]:
        """Arrays from which :meth:`restore` continues."""
        k = len(self.rows)
        kept = {f"kept/{name}": state.cpu().numpy().copy() for name, state in self.kept.items()}
        return kept | {f"recorded/{name}": column[:k] for name, column in self.values().items()}

    def restore(self, saved: Mapping[str, np.ndarray], device: torch.device | str = "cpu") -> None:
        """Continue from the arrays of :meth:`dump`; kept states go to ``device``."""
        columns, kept = (
            {k.removeprefix(what): v for k, v in saved.items() if k.startswith(what)}
            for what in ("recorded/", "kept/")
        )
        self.kept = {name: torch.from_numpy(np.array(v)).to(device) for name, v in kept.items()}
        count = len(next(iter(columns.values()))) if columns else 0
        self.rows = [{name: float(v[i]) for name, v in columns.items()} for i in range(count)]


def log_times(t_end: float, n_times: int, *, start: float = 1.0) -> np.ndarray:
    """0 and ``n_times`` − 1 times, equally spaced in log t from ``start`` to ``t_end``."""
    checks.integer("n_times", n_times, least=3)
    checks.number("t_end", t_end, least=start, strict=True)
    return np.concatenate([[0.0], np.geomspace(start, t_end, n_times - 1)])


def integer_times(times: np.ndarray) -> np.ndarray:
    """The distinct whole numbers nearest to ``times``: step counts for gradient descent."""
    return np.unique(np.rint(times))
