"""A computation of three pieces, killed in the third: it goes on there."""

import torch

from escape_ntk.training.run import UNSAVED, Run, Saves, Value


class Memory:
    """A place to save that lives as long as the program."""

    state: dict[str, Value] | None = None

    def load(self):
        return self.state

    def save(self, state):
        self.state = dict(state)


place: Saves = Memory()
assert isinstance(place, Saves)
done: list[int] = []


def total(run: Run, fail: bool) -> float:
    """The sum of three normal numbers, each "computed" for long."""
    generator = torch.Generator().manual_seed(0)

    def row(i: int, part: Run) -> dict[str, float]:
        if fail and i == 2:
            raise KeyboardInterrupt
        done.append(i)
        return {"x": float(torch.randn(1, generator=generator))}

    return float(run.tabulate(range(3), row, generator)["x"].sum())


try:
    total(Run(place, every=0.0), fail=True)
except KeyboardInterrupt:
    pass
second = Run(place, every=0.0, progress="the second attempt")
assert total(second, fail=False) == total(UNSAVED, fail=False)
assert done == [0, 1, 2, 0, 1, 2] and second.seconds > 0

# What training functions do: a place of their own, and the state kept there.
flow = second.part()
assert flow.load() is None
if flow.due():
    flow.save({"t": 1.5})
assert flow.load()["t"] == 1.5
flow.keep({"t": 2.0})  # goes to the place with the next save
assert flow.load()["t"] == 2.0
# One piece, finished once.
assert second.once("norm", lambda part: {"norm": 3.0}) == {"norm": 3.0}
third = Run(place, every=0.0)
assert third.once("norm", lambda part: {"norm": 1 / 0}) == {"norm": 3.0}
