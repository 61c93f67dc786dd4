"""Points for the tests of sweeps: one that kills its worker, one that is quick."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from escape_ntk.study.point import Point
from escape_ntk.training.run import UNSAVED


@dataclass(frozen=True)
class Quick(Point):
    """A hundred normal numbers from the seed, and the threads they were drawn with."""

    experiment: ClassVar[str] = "quick"

    seed: int

    def compute(self, run=UNSAVED):
        """(summary, arrays)."""
        draws = torch.randn(100, generator=torch.Generator().manual_seed(self.seed))
        return {"threads": torch.get_num_threads()}, {"draws": draws.numpy()}


@dataclass(frozen=True)
class Fragile(Quick):
    """Kills its process as long as ``deaths`` files in ``folder`` are not there."""

    experiment: ClassVar[str] = "fragile"

    folder: str = ""
    deaths: int = 1

    def compute(self, run=UNSAVED):
        """Die, or (summary, arrays)."""
        before = len(list(Path(self.folder).glob("death-*")))
        if before < self.deaths:
            (Path(self.folder) / f"death-{before}").touch()
            os._exit(1)
        return super().compute()


@dataclass(frozen=True)
class Slow(Quick):
    """Takes ``seconds``."""

    experiment: ClassVar[str] = "slow"

    seconds: float = 1.0

    def compute(self, run=UNSAVED):
        """(summary, arrays), later."""
        time.sleep(self.seconds)
        return super().compute()


@dataclass(frozen=True)
class Failing(Quick):
    """Fails at once, or as soon as there is a file ``after``."""

    experiment: ClassVar[str] = "failing"

    after: str = ""

    def compute(self, run=UNSAVED):
        """Nothing."""
        while self.after and not Path(self.after).exists():
            time.sleep(0.05)
        raise ZeroDivisionError(f"of seed {self.seed}")
