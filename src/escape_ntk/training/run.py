"""A run that may be interrupted: where it leaves its state, and how it takes it up again.

One :class:`Run` goes through everything that a long computation calls.  Training functions save
under a name of their own, given by the order of their calls; :meth:`Run.once` and
:meth:`Run.tabulate` keep pieces that are finished.  A computation that is deterministic between
its draws ends with the same numbers, bit for bit, however often it was killed.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from escape_ntk import checks

Value = np.ndarray | float | int | str
"""What can be kept: an array, or a number or text, which is kept as an array without axes."""
_SECONDS = "seconds_before"
_DRAWS = "#generator"


@runtime_checkable
class Saves(Protocol):
    """Where a long run leaves its state, such as :class:`escape_ntk.records.store.Checkpoint`."""

    def load(self) -> Mapping[str, np.ndarray] | None:
        """The last saved state, or None."""
        ...

    def save(self, state: Mapping[str, Value]) -> None:
        """Replace the saved state in one step."""
        ...


class _Notebook:
    """All that one run has kept, by full name, and when it was last written down."""

    def __init__(self, saves: Saves, every: float):
        self.saves, self.every = saves, every
        self.started = self.written = time.monotonic()
        self.state: dict[str, Value] = dict(saves.load() or {})
        self.before = float(self.state.pop(_SECONDS, 0.0))

    def seconds(self) -> float:
        return self.before + time.monotonic() - self.started

    def due(self) -> bool:
        return time.monotonic() - self.written >= self.every

    def write(self) -> None:
        self.saves.save({**self.state, _SECONDS: self.seconds()})
        self.written = time.monotonic()


class Run:
    """What a point hands on to whatever computes for it: progress, and a place to save.

    ``saves``: where the state goes, at most once in ``every`` seconds; None: nowhere.
    ``progress``: the words beside the progress bars; None: no bars.  Negative seconds raise
    :class:`~escape_ntk.checks.InputError`.
    """

    def __init__(
        self, saves: Saves | None = None, *, every: float = 20.0, progress: str | None = None
    ):
        checks.number("every", every, least=0)
        self.progress = progress
        self._notebook = None if saves is None else _Notebook(saves, every)
        self._place: str = ""
        self._unnamed: int = 0
        self._names: set[str] = set()

    def part(self, name: str | None = None) -> "Run":
        """A run within this one, with a place of its own; numbered where there is no ``name``.

        A name that was given before, or that holds one of ``/=#``, raises
        :class:`~escape_ntk.checks.InputError`: two pieces in one place would be taken for one.
        """
        if self._notebook is None:
            return self
        if name is None:
            place, self._unnamed = f"#{self._unnamed}", self._unnamed + 1
        else:
            place = self._claimed(name)
        return self._inner(f"{place}/")

    def _claimed(self, name: str) -> str:
        """``name``, from now on taken."""
        if not name or set(name) & set("/=#") or name in self._names:
            raise checks.InputError(
                checks.message(
                    expected="a name of its own for each piece of a run, without / = and #",
                    got=f"{name!r}, and before it {sorted(self._names)}",
                    remedy='another name, or a part of its own: run.part("second").tabulate(…)',
                )
            )
        self._names.add(name)
        return name

    def _inner(self, place: str) -> "Run":
        inner = object.__new__(Run)
        inner.progress, inner._notebook = self.progress, self._notebook
        inner._place, inner._unnamed, inner._names = f"{self._place}{place}", 0, set()
        return inner

    @property
    def seconds(self) -> float:
        """Seconds spent, those of earlier attempts included up to their last save."""
        return math.nan if self._notebook is None else self._notebook.seconds()

    # ------------------------------------------------------------ for training functions

    def due(self) -> bool:
        """Whether it is time to save."""
        return self._notebook is not None and self._notebook.due()

    def load(self) -> dict[str, np.ndarray] | None:
        """What was kept here last; None when nothing was."""
        if self._notebook is None:
            return None
        start, state = len(self._place), self._notebook.state
        found = {k[start:]: np.asarray(v) for k, v in state.items() if k.startswith(self._place)}
        return found or None

    def keep(self, state: Mapping[str, Value]) -> None:
        """Keep ``state`` in place of what was kept here; written down with the next :meth:`save`.

        Arrays are kept as they are: hand over copies of what will change.
        """
        if self._notebook is not None:
            self._drop()
            self._notebook.state |= {f"{self._place}{name}": v for name, v in state.items()}

    def save(self, state: Mapping[str, Value]) -> None:
        """Keep ``state``, and write down all that the run has kept."""
        if self._notebook is not None:
            self.keep(state)
            self._notebook.write()

    def _drop(self) -> None:
        state = self._notebook.state if self._notebook else {}
        for name in [name for name in state if name.startswith(self._place)]:
            del state[name]

    # ------------------------------------------------------------ for points

    def once(
        self,
        name: str,
        compute: Callable[["Run"], Mapping[str, Value]],
        generator: torch.Generator | None = None,
    ) -> dict[str, Value]:
        """The numbers and arrays of ``compute(part)``, computed once however often the run dies.

        A ``generator`` that ``compute`` draws from is put where it stood afterwards.
        """
        if self._notebook is None:
            place = inner = self
        else:
            self._claimed(name)
            place, inner = self._inner(f"{name}=/"), self._inner(f"{name}/")
        kept = place.load()
        if kept is None:
            kept = {key: np.array(value) for key, value in compute(inner).items()}
            if self._notebook is not None:
                inner._drop()
                draws = {} if generator is None else {_DRAWS: generator.get_state().numpy()}
                (place.save if self.due() else place.keep)(kept | draws)
        elif generator is not None:
            generator.set_state(torch.from_numpy(np.array(kept[_DRAWS])))
        return {k: v.copy() if v.ndim else v.item() for k, v in kept.items() if k != _DRAWS}

    def tabulate(
        self,
        over: Iterable,
        row: Callable[..., Mapping[str, Value]],
        generator: torch.Generator | None = None,
    ) -> dict[str, np.ndarray]:
        """``row(item, part)`` for each item, each once: one array for each name, stacked.

        Rows with different names raise :class:`~escape_ntk.checks.InputError`.
        """
        rows = [
            self.once(str(i), lambda part, item=item: row(item, part), generator)
            for i, item in enumerate(over)
        ]
        names = rows[0].keys() if rows else ()
        if any(r.keys() != rows[0].keys() for r in rows):
            raise checks.InputError(
                checks.message(
                    expected="rows with the same names",
                    got=" and ".join(map(str, dict.fromkeys(map(tuple, rows)))),
                    remedy="give NaN where there is no value",
                )
            )
        return {name: np.array([r[name] for r in rows]) for name in names}


UNSAVED = Run()
"""A run that nobody watches, and that leaves nothing behind."""
