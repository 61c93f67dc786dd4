"""What a training run hands back: measurements at declared times, the end state, the outcome."""

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from escape_ntk import checks

Observe = Callable[[Any], Mapping[str, float]]
"""Maps a state, whatever is trained, to named measurements."""


@runtime_checkable
class ObservesMany(Protocol):
    """An :data:`Observe` that measures several states more cheaply together, with equal numbers."""

    at_once: int
    """How many states are worth keeping until they are measured."""

    def __call__(self, state: Any) -> Mapping[str, float]:
        """One state."""
        ...

    def many(self, states: Sequence[Any]) -> Sequence[Mapping[str, float]]:
        """One row for each."""
        ...


class Outcome(enum.StrEnum):
    """How a run ended: data, not an exception."""

    REACHED_END = "reached_end"
    DIVERGED = "diverged"
    MAX_GRADIENTS = "max_gradients"
    STEP_UNDERFLOW = "step_underflow"


_ENDS = {
    Outcome.DIVERGED: "a smaller step or start, or other penalties",
    Outcome.MAX_GRADIENTS: "gradient_flow(…, max_gradients=…) allows more",
    Outcome.STEP_UNDERFLOW: "gradient_flow(…, rtol=…, atol=…), or float64",
}
"""What helps where a run ended early."""


@dataclass(frozen=True, repr=False, eq=False)
class Trajectory:
    """What a training run hands back: measurements over time, end state, and outcome.  [D]

    Outcomes: ``reached_end``; ``diverged``, numbers grew past the largest; ``max_gradients``, the
    work allowed was done; ``step_underflow``, no step was short enough for the tolerances.  After
    the last three, measurements beyond ``ended`` are NaN; ``state`` is that of ``ended``, finite.

    Go on from its end with ``train(problem, start=run.state)``.  Save it with numpy,
    ``np.savez("run.npz", times=run.times, state=run.state, **run.values)``, and read it again with
    ``saved = np.load("run.npz")``, ``start=torch.from_numpy(saved["state"])``.

    Arguments, which training functions fill in:

    * ``times``: when it was measured, (n,);
    * ``values``: measurements by name, each (n,); NaN after an early end;
    * ``state``: (s, t) at ``ended``, (2, p, d);
    * ``outcome``: an :class:`Outcome`, or its text;
    * ``n_gradients``, ``n_steps``, ``n_rejected``: how much work it was;
    * ``kept``: states by name that were asked for, see :class:`Recorder`;
    * ``ended``: the time that was reached; NaN: the last of ``times``.

    Errors: :class:`~escape_ntk.checks.InputError` for what does not fit.

    Example:

    >>> end, values = torch.zeros(2, 3, 4), {"test": np.array([1.0, 0.5])}
    >>> Trajectory(np.array([0.0, 1.0]), values, end, Outcome.REACHED_END, 9, 3)
    Trajectory: reached_end at t = 1; test 0.5
    """

    times: np.ndarray
    values: Mapping[str, np.ndarray]
    state: Tensor
    outcome: Outcome
    n_gradients: int
    n_steps: int
    n_rejected: int = 0
    kept: Mapping[str, Tensor] = field(default_factory=dict)
    """States that were asked for: :class:`Recorder`."""
    ended: float = math.nan

    def __post_init__(self):
        checks.instance("state", self.state, Tensor, "the end state (2, p, d)")
        for name in ("n_gradients", "n_steps", "n_rejected"):
            checks.integer(name, getattr(self, name), least=0)
        for name, table in (("values", self.values), ("kept", self.kept)):
            checks.instance(name, table, Mapping, "a dictionary by name")
        ended = checks.one_of("outcome", self.outcome, tuple(str(outcome) for outcome in Outcome))
        object.__setattr__(self, "outcome", Outcome(ended))
        times = _numbers("times", self.times)
        columns = [_numbers(name, column) for name, column in self.values.items()]
        if times.ndim != 1 or not len(times) or any(c.shape != times.shape for c in columns):
            raise checks.InputError(
                checks.message(
                    expected="times (n,), n ≥ 1, and for each name values (n,)",
                    got=f"times {times.shape}, values {[c.shape for c in columns]}",
                    remedy="one number a time",
                )
            )
        if isinstance(self.ended, float) and math.isnan(self.ended):
            object.__setattr__(self, "ended", float(times[-1]))
        object.__setattr__(self, "ended", checks.number("ended", self.ended, least=0))

    def plot(self, *names: str):
        """Draw measurements over time, all of them or those of ``names``: a matplotlib figure.

        ``run.plot("test").savefig("test.png")`` keeps it; an unknown name raises
        :class:`~escape_ntk.checks.UnknownNameError`.
        """
        from escape_ntk.display.style import measurements  # matplotlib comes with it

        for name in names:
            checks.one_of("measurement", name, tuple(self.values))
        chosen = {name: self.values[name] for name in names or self.values}
        return measurements(self.times, chosen)

    def __repr__(self) -> str:
        ended = f"Trajectory: {self.outcome} at t = {self.ended:g}"
        if self.outcome in _ENDS:
            ended += f", before {self.times[-1]:g} ({_ENDS[self.outcome]})"
        last = max(0, int(np.searchsorted(self.times, self.ended, side="right")) - 1)
        when = "" if self.times[last] == self.ended else f"at t = {self.times[last]:g} "
        found = ", ".join(f"{name} {values[last]:.3g}" for name, values in self.values.items())
        return f"{ended}; {when}{found}"


def _numbers(name: object, value: object) -> np.ndarray:
    """``value`` as an array of float64; else :class:`~escape_ntk.checks.InputError`."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        raise checks.InputError(
            checks.message(
                expected=f"{name} to be an array of numbers",
                got=checks.shown(value),
                remedy="np.array([0.0, 1.0, 10.0])",
            )
        ) from None


class Recorder:
    """Collects measurements at declared times; its contents can be saved and restored.

    ``best`` names a measurement, for example the validation error: the state where it is least, of
    equals the first, is ``kept["best"]``.  ``keep`` numbers times whose states are ``kept["0"]``….
    A tensor is handed to ``observe`` as a copy: what it writes there changes nothing.  An
    :class:`ObservesMany` gets several, a while after they were recorded, unless ``best`` asks.
    Times that are not ≥ 0, finite and increasing, a place in ``keep`` that is none, and other names
    than at the first time raise :class:`~escape_ntk.checks.InputError`.
    """

    def __init__(
        self,
        times: Sequence[float] | np.ndarray,
        observe: Observe,
        *,
        best: str | None = None,
        keep: Sequence[int] = (),
    ):
        self.times = _numbers("record times", times)
        ordered = self.times.ndim == 1 and len(self.times) and (np.diff(self.times) > 0).all()
        if not ordered or self.times[0] < 0 or not np.isfinite(self.times).all():
            raise checks.InputError(
                checks.message(
                    expected="record times ≥ 0, finite, strictly increasing",
                    got=str(self.times)[:80],
                    remedy="np.unique(times)",
                )
            )
        remedy = "a function of the state that returns named numbers"
        self.observe = checks.function("observe", observe, remedy)
        self.rows: list[dict[str, float]] = []
        self._waiting: list[Any] = []  # copies of the states after those of the rows
        self.best = None if best is None else checks.instance("best", best, str, 'best="test"')
        places = "keep=(0, 5): places among the times"
        self.keep = frozenset(checks.items("keep", keep, int, places))
        count = len(self.times)
        if strange := sorted(self.keep - set(range(count))):
            expected = f"keep to number the {count} record times, from 0 to {count - 1}"
            raise checks.InputError(
                checks.message(expected=expected, got=strange, remedy=f"keep=({count - 1},)")
            )
        self.kept: dict[str, Tensor] = {}

    @property
    def next_time(self) -> float:
        """The next declared time, or infinity when all are recorded."""
        k = self._count
        return float(self.times[k]) if k < len(self.times) else np.inf

    @property
    def _count(self) -> int:
        """How many times are recorded, measured or not."""
        return len(self.rows) + len(self._waiting)

    def record(self, state: Any) -> None:
        """Measure ``state`` as the next declared time, now or together with later ones."""
        if self._count in self.keep:
            self.kept[str(self._count)] = state.clone()
        self._waiting.append(state.clone() if isinstance(state, Tensor) else state)
        copied = isinstance(state, Tensor) and self.best is None
        many = self.observe.at_once if isinstance(self.observe, ObservesMany) and copied else 1
        if len(self._waiting) >= many:
            self._measure()
        if self.best is not None:
            before = (r[self.best] for r in self.rows[:-1] if not np.isnan(r[self.best]))
            if self.rows[-1][self.best] < min(before, default=np.inf):
                self.kept["best"] = state.clone()

    def _measure(self) -> None:
        """Measure whatever waits."""
        waiting, self._waiting = self._waiting, []
        if len(waiting) > 1 and isinstance(self.observe, ObservesMany):
            seen = self.observe.many(waiting)
        else:
            seen = map(self.observe, waiting)
        for row in seen:
            self.rows.append(self._row(row))

    def _row(self, seen: Any) -> dict[str, float]:
        """What ``observe`` said of a state, if it is named numbers."""
        try:
            row = {str(name): float(value) for name, value in seen.items()}
        except (AttributeError, TypeError, ValueError, RuntimeError):
            raise checks.InputError(
                checks.message(
                    expected="a measurement to return a dictionary of numbers by name",
                    got=checks.shown(seen),
                    remedy='lambda state: {"size": float(state.norm())}',
                )
            ) from None
        if self.best is not None:
            checks.one_of("best", self.best, tuple(row))
        if self.rows and row.keys() != self.rows[0].keys():
            raise checks.InputError(
                checks.message(
                    expected=f"a measurement to return the names {', '.join(self.rows[0])} again",
                    got=", ".join(row) or "none",
                    remedy='the same names at every time; float("nan") where there is no number',
                )
            )
        return row

    def values(self) -> dict[str, np.ndarray]:
        """One array per measurement, NaN where the run ended before."""
        self._measure()
        names = self.rows[0] if self.rows else {}
        out = {name: np.full(len(self.times), np.nan) for name in names}
        for i, row in enumerate(self.rows):
            for name, value in row.items():
                out[name][i] = value
        return out

    def dump(self) -> dict[str, np.ndarray]:
        """Arrays from which :meth:`restore` continues."""
        columns, k = self.values(), len(self.rows)
        kept = {f"kept/{name}": state.cpu().numpy().copy() for name, state in self.kept.items()}
        return kept | {f"recorded/{name}": column[:k] for name, column in columns.items()}

    def restore(self, saved: Mapping[str, np.ndarray], device: torch.device | str = "cpu") -> None:
        """Continue from the arrays of :meth:`dump`; kept states go to ``device``."""
        columns, kept = (
            {k.removeprefix(what): v for k, v in saved.items() if k.startswith(what)}
            for what in ("recorded/", "kept/")
        )
        self.kept = {name: torch.from_numpy(np.array(v)).to(device) for name, v in kept.items()}
        count = len(next(iter(columns.values()))) if columns else 0
        self.rows = [{name: float(v[i]) for name, v in columns.items()} for i in range(count)]
        self._waiting = []


def log_times(t_end: float, n_times: int, *, start: float = 1.0) -> np.ndarray:
    """0, and times equally spaced in log t from ``start`` to ``t_end``.  [D]

    Arguments:

    * ``t_end``: the last time, > ``start``;
    * ``n_times``: how many there are, that at 0 included, ≥ 3;
    * ``start``: the first time after 0.

    Returns an array (n_times,).

    Errors: :class:`~escape_ntk.checks.InputError` for numbers that cannot be.

    Example:

    >>> log_times(100.0, 4).tolist()
    [0.0, 1.0, 10.0, 100.0]
    """
    n_times = checks.integer("n_times", n_times, least=3)
    start = checks.number("start", start, least=0, strict=True)
    t_end = checks.number("t_end", t_end, least=start, strict=True)
    return np.concatenate([[0.0], np.geomspace(start, t_end, n_times - 1)])


def integer_times(times: np.ndarray) -> np.ndarray:
    """The distinct whole numbers nearest to ``times``: step counts for gradient descent."""
    return np.unique(np.rint(times))
