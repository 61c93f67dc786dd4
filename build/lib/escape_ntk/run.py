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

Value = np.ndarray | float | int
SECONDS = "seconds_before"
DRAWS = "generator"


@runtime_checkable
class Saves(Protocol):
    """Where a long run leaves its state: for example :class:`escape_ntk.records.Checkpoint`."""

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
        self.before = float(self.state.pop(SECONDS, 0.0))

    def seconds(self) -> float:
        return self.before + time.monotonic() - self.started

    def due(self) -> bool:
        return time.monotonic() - self.written >= self.every

    def write(self) -> None:
        self.saves.save({**self.state, SECONDS: self.seconds()})
        self.written = time.monotonic()


class Run:
    """What a point hands on to whatever computes for it: progress, and a place to save.

    ``saves``: where the state goes, at most once in ``every`` seconds; None: nowhere.
    ``progress``: the words beside the progress bars; None: no bars.
    """

    def __init__(
        self, saves: Saves | None = None, *, every: float = 20.0, progress: str | None = None
    ):
        checks.number("every", every, least=0)
        self.progress = progress
        self._notebook = None if saves is None else _Notebook(saves, every)
        self._place, self._parts = "", 0

    def part(self, name: str | None = None) -> "Run":
        """A run within this one, with a place of its own; numbered where there is no ``name``."""
        if self._notebook is None:
            return self
        inner = object.__new__(Run)
        inner.progress, inner._notebook = self.progress, self._notebook
        inner._place, inner._parts = f"{self._place}{self._parts if name is None else name}/", 0
        self._parts += name is None
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
        place = self.part(f"{name}=")
        kept = place.load()
        if kept is None:
            inner = self.part(name)
            kept = {key: np.asarray(value) for key, value in compute(inner).items()}
            if self._notebook is not None:
                inner._drop()
                draws = {} if generator is None else {DRAWS: generator.get_state().numpy()}
                (place.save if self.due() else place.keep)(kept | draws)
        elif generator is not None:
            generator.set_state(torch.from_numpy(np.array(kept[DRAWS])))
        return {k: v if v.ndim else v.item() for k, v in kept.items() if k != DRAWS}

    def tabulate(
        self,
        over: Iterable,
        row: Callable[..., Mapping[str, Value]],
        generator: torch.Generator | None = None,
    ) -> dict[str, np.ndarray]:
        """``row(item, part)`` for each item, each once: one array for each name, stacked."""
        rows = [
            self.once(str(i), lambda part, item=item: row(item, part), generator)
            for i, item in enumerate(over)
        ]
        return {name: np.array([r[name] for r in rows]) for name in (rows[0] if rows else {})}


UNSAVED = Run()
"""A run that nobody watches, and that leaves nothing behind."""
