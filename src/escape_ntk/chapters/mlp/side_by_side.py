"""Climbs of the ReLU network side by side on one device: what a GPU is good at.

One network of a hundred ReLUs leaves a GPU idle; the networks of all seeds and dense parts together
do not.  They take their steps in the same matrix products, each on its own inputs and labels.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from escape_ntk.chapters.mlp.runs import DENSE, Climb, Judge, ReluNetwork, Rungs
from escape_ntk.study.point import Result
from escape_ntk.training.trajectory import Recorder

BLOCK = 1024
"""Samples of one product of the gradient: their sum over blocks fills a GPU, one product would not.
"""


class ReluNetworks:
    """s networks f_k(x) = a_k·relu(V_k x + b_k) + c_k and their gradient descent, side by side.

    ``inner`` (s, width, d + 1), ``outer`` (s, width + 1) as in
    :class:`~escape_ntk.chapters.mlp.runs.ReluNetwork`; inputs (s, n, d) and labels (s, n).
    """

    def __init__(self, networks: Sequence[ReluNetwork], X: Tensor, y: Tensor, step: float):
        s, self.n, d = X.shape
        self.inner = torch.stack([network.inner for network in networks]).to(X.device)
        self.outer = torch.stack([network.outer for network in networks]).to(X.device)
        blocks = -(-self.n // BLOCK)
        rows = blocks * BLOCK
        # The column of ones is 0 in the rows that fill up the last block: there it is the mask.
        self.X = X.new_zeros(s, rows, d + 1)
        self.X[:, : self.n, :-1], self.X[:, : self.n, -1] = X, 1
        self.y = X.new_zeros(s, rows)
        self.y[:, : self.n] = y
        self.hidden = X.new_empty(s, rows, self.inner.shape[1])
        self.weighted = torch.empty_like(self.X)
        self.by_block = s * blocks, BLOCK, -1
        self.rate = 2 * step / self.n

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, k: int) -> ReluNetwork:
        return ReluNetwork(self.inner[k], self.outer[k])

    def _residual(self) -> Tensor:
        """f_k(x_i) − y_i, (s, rows), and relu(V_k x_i + b_k) in ``hidden``."""
        torch.bmm(self.X, self.inner.transpose(1, 2), out=self.hidden).clamp_(min=0)
        f = torch.bmm(self.hidden, self.outer[:, :-1, None])[..., 0] + self.outer[:, -1:]
        return (f - self.y).mul_(self.X[..., -1])

    def losses(self) -> Tensor:
        """(1/n)Σ_i (f_k(x_i) − y_i)², (s,)."""
        return self._residual().square().sum(1) / self.n

    def descend(self) -> None:
        """One step of gradient descent on all losses, in place."""
        residual = self._residual()
        torch.mul(self.X, residual[..., None], out=self.weighted)
        active = self.hidden.sign_().view(self.by_block)
        G = torch.bmm(active.transpose(1, 2), self.weighted.view(self.by_block))
        G = G.view(len(self), -1, *G.shape[1:]).sum(1)
        outer = (self.inner * G).sum(2)  # relu(z) = relu'(z)z: needs no second pass over hidden
        self.inner.addcmul_(self.outer[:, :-1, None], G, value=-self.rate)
        self.outer[:, :-1].sub_(outer, alpha=self.rate)
        self.outer[:, -1].sub_(residual.sum(1), alpha=self.rate)


def steps_of(networks: ReluNetworks):
    """A function that takes one step: on CUDA one launch in the place of a dozen."""
    if networks.X.device.type != "cuda":
        return networks.descend
    kept = networks.inner.clone(), networks.outer.clone()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # a capture wants everything to have run once
        for _ in range(3):
            networks.descend()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        networks.descend()
    networks.inner.copy_(kept[0])
    networks.outer.copy_(kept[1])
    return graph.replay


def train(networks: ReluNetworks, recorders: Sequence[Recorder]) -> list[float]:
    """Take steps up to the recorders' last time; the training losses there, NaN where diverged.

    A network that diverged is not recorded any more.
    """
    step, done = steps_of(networks), 0
    alive = [True] * len(networks)
    for moment in recorders[0].times:
        for _ in range(int(moment) - done):
            step()
        done = int(moment)
        finite = networks.losses().isfinite().tolist()
        alive = [a and b for a, b in zip(alive, finite, strict=True)]
        for k, recorder in enumerate(recorders):
            if alive[k]:
                recorder.record(networks[k])
    ends = networks.losses().tolist()
    return [loss if a else math.nan for loss, a in zip(ends, alive, strict=True)]


def climb(
    points: Sequence[Climb], device: torch.device | str
) -> Iterator[tuple[Climb, Result, float]]:
    """Each climb with its result and its share of the seconds, as it ends.

    Climbs that differ in nothing but the seed and the dense part go side by side.  The numbers are
    those of :meth:`Climb.compute` up to rounding.
    """
    groups: dict[Climb, list[Climb]] = {}
    for point in points:
        groups.setdefault(replace(point, seed=0, dense=DENSE[0]), []).append(point)
    for group in groups.values():
        yield from _climb_side_by_side(group, torch.device(device))


def _climb_side_by_side(group: Sequence[Climb], device: torch.device):
    drawn = [point.draw() for point in group]
    judges = [Judge(*(t.to(device) for t in (j.X, j.parts, j.wanted))) for j, *_ in drawn]
    rungs = [Rungs([], [], {}) for _ in group]
    seconds = [0.0] * len(group)
    climbing = list(range(len(group)))
    for multiple in group[0].multiples:
        before, n = time.perf_counter(), group[0].n(multiple)
        X = torch.stack([drawn[k].X[:n].to(device) for k in climbing])
        y = torch.stack([drawn[k].y[:n].to(device) for k in climbing])
        networks = ReluNetworks([drawn[k].start for k in climbing], X, y, group[0].step)
        recorders = [Recorder(group[0].times(), judges[k]) for k in climbing]
        for k, recorder, loss in zip(climbing, recorders, train(networks, recorders), strict=True):
            rungs[k].add(recorder, loss)
        share = (time.perf_counter() - before) / len(climbing)
        for k in climbing:
            seconds[k] += share
        last = multiple == group[0].multiples[-1]
        ended = [k for k in climbing if last or rungs[k].rows[-1]["test"] < group[k].level]
        for k in ended:
            yield group[k], group[k].result(rungs[k], drawn[k].judge), seconds[k]
        climbing = [k for k in climbing if k not in ended]
        if not climbing:
            return
