"""A place to save that dies: what the tests of resuming share."""

import numpy as np

from escape_ntk.training.run import Run


class KilledError(Exception):
    """Stands for a kill."""


class Memory:
    """Keeps the state of a run in memory, and kills the run at save number ``die_at``."""

    def __init__(self, die_at: int | None = None):
        self.state, self.saves, self.die_at = None, 0, die_at

    def load(self):
        """The last state that was saved, or None."""
        return self.state

    def save(self, state):
        """Save, then perhaps die."""
        self.state = {name: np.array(value, copy=True) for name, value in state.items()}
        self.saves += 1
        if self.saves == self.die_at:
            raise KilledError

    def run(self) -> Run:
        """One more attempt, which saves whenever it may."""
        return Run(self, every=0.0)


def killed_again_and_again(attempt, saves: int):
    """Kill ``attempt(run)`` after each ``saves`` saves until it ends: (result, kills)."""
    memory = Memory()
    for kills in range(1000):
        memory.die_at = memory.saves + saves
        try:
            return attempt(memory.run()), kills
        except KilledError:
            pass
    raise AssertionError("no progress")
