"""What a run hands back, and how a run that was cut short goes on."""

import numpy as np
import torch

from escape_ntk.training import trajectory

times = trajectory.log_times(100.0, 5)
assert times[0] == 0 and np.allclose(times[1:], np.geomspace(1, 100, 4))
steps = trajectory.integer_times(times)
assert steps.tolist() == [0, 1, 5, 22, 100]


def size(state: torch.Tensor) -> dict[str, float]:
    return {"size": float(state.norm())}


observe: trajectory.Observe = size
first = trajectory.Recorder(steps, observe)
first.record(torch.ones(2, 1, 2))
assert first.next_time == 1
# Cut short here: what was recorded is carried over, what was not reads NaN.
second = trajectory.Recorder(steps, observe)
second.restore(first.dump())
second.record(torch.zeros(2, 1, 2))
values = second.values()
assert values["size"][:2].tolist() == [2.0, 0.0]
assert np.isnan(values["size"][2:]).all()

end, outcome = torch.zeros(2, 1, 2), trajectory.Outcome.DIVERGED
run = trajectory.Trajectory(
    second.times, values, end, outcome, n_gradients=1, n_steps=1
)
assert run.outcome == "diverged" and "diverged" in repr(run)
(panel,) = run.plot("size").axes
assert panel.get_title() == "size"
# States on the way: the best one by a measurement, and those of numbered times.
third = trajectory.Recorder([0.0, 1.0, 2.0], observe, best="size", keep=[0])
for scale in (3.0, 1.0, 2.0):
    third.record(scale * torch.ones(2, 1, 2))
assert third.kept["best"][0, 0, 0] == 1.0 and third.kept["0"][0, 0, 0] == 3.0


class Together:
    """Measures four states in one pass."""

    at_once = 4

    def __call__(self, state: torch.Tensor) -> dict[str, float]:
        return self.many([state])[0]

    def many(self, states) -> list[dict[str, float]]:
        return [
            {"size": float(norm)}
            for norm in torch.stack([*states]).flatten(1).norm(dim=1)
        ]


many: trajectory.ObservesMany = Together()
fourth = trajectory.Recorder(steps, many)
for scale in (3.0, 1.0, 2.0):
    fourth.record(scale * torch.ones(2, 1, 2))
assert np.allclose(fourth.values()["size"][:3], [6.0, 2.0, 4.0])
assert len(many.many([end, end])) == 2
