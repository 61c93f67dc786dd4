"""Experiment behind the chapter *A standard network*: samples that a ReLU MLP needs, over d.

f* = dense quadratic + He_3(β·x)/√6 on Gaussian inputs, a network of one hidden layer of ReLUs, both
layers trained by gradient descent on all samples; n climbs through multiples of d² until the test
loss at the end of training is below a level.  Size, step, initialisation and rule are those of the
authors' notebook [C]; three ways to scale the dense part stand side by side.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from escape_ntk import checks
from escape_ntk.chapters.mlp import chapter
from escape_ntk.models.data import draw_inputs, random_direction
from escape_ntk.numerics.polynomials import normalized_hermite
from escape_ntk.study.point import Draws, Point, Result
from escape_ntk.training.run import UNSAVED, Run
from escape_ntk.training.trajectory import Recorder, integer_times, log_times

DENSE = ("published", "normalized", "constant")
"""How the dense part q = Σ_{i > d/2} x_i² enters f*: see :class:`NetworkTarget`."""
PUBLISHED_SCALE = 675.0
"""q/√675 in the notebook; 675 = 25² + 2·25 is the second moment of a sum of 25 squares.  [C]"""


def dense_entries(d: int) -> int:
    """How many i in 0, …, d − 1 exceed d/2: the entries 1 of the notebook's A.  [C]"""
    return d - 1 - checks.integer("d", d, least=4) // 2


def published_moments(d: int) -> tuple[float, float]:
    """(mean, variance) of q/√675 for Gaussian x: s/√675 and 2s/675, s = dense_entries(d).  [D]"""
    s = dense_entries(d)
    return s / math.sqrt(PUBLISHED_SCALE), 2 * s / PUBLISHED_SCALE


def representable(d: int, width: int) -> float:
    """About what ``width`` ReLUs miss of the normalised dense part: ρ/(1 + ρ), ρ = (π − 3)q/N.

    A ReLU's part of degree 2 has power 1/(4π), its parts of degree ≥ 4 have (π − 3)/(4π) together.
    N of them, spread evenly over the q directions with equal weights, add the former coherently, to
    N²/q, the latter like noise, to N; cross terms are left out.  [D]
    """
    share = (math.pi - 3) * dense_entries(d) / checks.integer("width", width, least=1)
    return share / (1 + share)


@dataclass(frozen=True)
class NetworkTarget:
    """f*(x) = mean + dense(x) + He_3(β·x)/√6 for x ~ N(0, I_d).

    With q the sum of the last s squares, E q = s, Var q = 2s: ``dense`` is (q − s)/√675
    ("published", and mean = s/√675), (q − s)/√(2s) ("normalized", mean 0), or 0 ("constant": the
    published mean without the published dense part).  The sparse part has variance 1.
    """

    beta: Tensor
    dense: str

    def __post_init__(self):
        checks.array("beta", self.beta, (None,))
        checks.one_of("dense", self.dense, DENSE)

    @property
    def mean(self) -> float:
        """E f*."""
        return 0.0 if self.dense == "normalized" else published_moments(len(self.beta))[0]

    @property
    def dense_deviation(self) -> float:
        """Standard deviation of the dense part."""
        fixed = {"normalized": 1.0, "constant": 0.0}
        return fixed.get(self.dense, math.sqrt(published_moments(len(self.beta))[1]))

    def unit_parts(self, X: Tensor) -> Tensor:
        """(3, n): 1, the dense and the sparse part, the latter two with mean 0 and variance 1."""
        s = dense_entries(X.shape[1])
        dense = (X[:, -s:].square().sum(1) - s) / math.sqrt(2 * s)
        sparse = normalized_hermite(X @ self.beta, 3)
        return torch.stack([torch.ones_like(dense), dense, sparse])

    def coefficients(self, like: Tensor) -> Tensor:
        """(3,): f* in terms of :meth:`unit_parts`."""
        return like.new_tensor([self.mean, self.dense_deviation, 1.0])

    def __call__(self, X: Tensor) -> Tensor:
        """f*(x_i), (n,)."""
        return self.coefficients(X) @ self.unit_parts(X)


class ReluNetwork:
    """f(x) = a·relu(Vx + b) + c with its exact full-batch gradient, in four matrix products.

    ``inner`` (width, d + 1) holds V and b side by side, ``outer`` (width + 1,) holds a and c.
    """

    def __init__(self, inner: Tensor, outer: Tensor):
        width = checks.array("inner", inner, (None, None)).shape[0]
        self.inner, self.outer = inner, checks.array("outer", outer, (width + 1,), like=inner)

    @classmethod
    def draw(cls, width: int, d: int, generator: torch.Generator, dtype=torch.float32):
        """Uniform weights of variance 1/(2 fan-in), biases 0, as in the notebook.  [C]"""

        def uniform(*shape: int) -> Tensor:
            bound = math.sqrt(1.5 / shape[-1])
            u = torch.rand(shape, generator=generator, dtype=torch.float64)
            weights = (2 * u - 1) * bound
            return torch.cat([weights, torch.zeros(*shape[:-1], 1)], dim=-1).to(dtype)

        return cls(uniform(width, d), uniform(width))

    def __call__(self, X: Tensor) -> Tensor:
        """f(x_i), (n,)."""
        hidden = torch.relu(X @ self.inner[:, :-1].T + self.inner[:, -1])
        return hidden @ self.outer[:-1] + self.outer[-1]

    def descend(self, X: Tensor, y: Tensor, step: float) -> Iterator[float]:
        """Gradient descent on (1/n)Σ(f(x_i) − y_i)²; yields each loss before its step is taken."""
        n, width = len(X), len(self.inner)
        extended = torch.cat([X, X.new_ones(n, 1)], dim=1)
        hidden, active = X.new_empty(2, n, width)
        weighted = torch.empty_like(extended)
        while True:
            torch.mm(extended, self.inner.T, out=hidden).clamp_(min=0)
            residual = torch.mv(hidden, self.outer[:-1]).add_(self.outer[-1]).sub_(y)
            yield float(residual.square().mean())
            residual *= 2 / n
            torch.sign(hidden, out=active)  # relu'
            torch.mul(extended, residual[:, None], out=weighted)
            inner = torch.mm(active.T, weighted) * self.outer[:-1, None]
            outer = torch.cat([torch.mv(hidden.T, residual), residual.sum()[None]])
            self.inner.sub_(inner, alpha=step)
            self.outer.sub_(outer, alpha=step)


@dataclass(frozen=True)
class Judge:
    """What is measured of a network on the test inputs."""

    X: Tensor
    parts: Tensor
    wanted: Tensor

    @classmethod
    def of(cls, target: NetworkTarget, X: Tensor) -> "Judge":
        """On these inputs."""
        return cls(X, target.unit_parts(X), target.coefficients(X))

    def loss_without_dense(self) -> float:
        """Test loss of the function with f*'s mean and sparse part exactly, and no dense part."""
        return float((self.wanted[1] * self.parts[1]).square().mean())

    def __call__(self, network: ReluNetwork) -> dict[str, float]:
        """The :meth:`errors` of a network."""
        return self.errors(network(self.X))

    def errors(self, prediction: Tensor) -> dict[str, float]:
        """Test loss of a prediction (n,), and what is missed of the dense and the sparse part.

        (w − c)² for a part that enters f* with the weight w, c from least squares of the prediction
        on the constant and the two parts.
        """
        prediction = prediction.double()
        P, wanted = self.parts.double(), self.wanted.double()
        c = torch.linalg.solve(P @ P.T, P @ prediction)
        _, dense, sparse = (wanted - c).square().tolist()
        loss = float((prediction - wanted @ P).square().mean())
        return {"test": loss, "missed_dense": dense, "missed_sparse": sparse}


@dataclass(frozen=True)
class Climb(Point):
    """Train on n = multiple·d² samples, multiple after multiple, until the test loss < ``level``.

    As in the notebook the loss at the end of training decides.  The training sets of one seed are
    nested, the first n of one sequence, and start from the same network: only n changes.
    """

    experiment: ClassVar[str] = "mlp"
    draws: ClassVar[Draws] = Draws("gaussian")

    seed: int
    d: int
    dense: str
    multiples: tuple[float, ...]
    level: float = 0.1
    width: int = 100
    step: float = 0.05
    steps: int = 30_000
    n_test: int = 10_000
    n_times: int = 25

    def __post_init__(self):
        checks.one_of("dense", self.dense, DENSE)
        checks.number("level", self.level, least=0, strict=True)
        checks.number("step", self.step, least=0, strict=True)
        grid = [self.n(multiple) for multiple in self.multiples]
        if not grid or sorted(set(grid)) != grid or grid[0] < 1:
            raise checks.InputError(
                checks.message(
                    expected="increasing multiples of d², the least with n ≥ 1",
                    got=self.multiples,
                    remedy="for example (1, 2, 4, 8)",
                )
            )

    def n(self, multiple: float) -> int:
        """multiple·d², rounded."""
        return round(multiple * self.d**2)

    def draw(self) -> "Drawn":
        """From the seed, in this order: β, the test inputs, the weights, the training inputs."""
        generator = torch.Generator().manual_seed(self.seed)
        target = NetworkTarget(random_direction(self.d, generator), self.dense)
        judge = Judge.of(target, draw_inputs(self.n_test, self.d, self.draws.inputs, generator))
        start = ReluNetwork.draw(self.width, self.d, generator)
        X = draw_inputs(self.n(self.multiples[-1]), self.d, self.draws.inputs, generator)
        return Drawn(judge, start, X, target(X))

    def compute(self, run: Run = UNSAVED) -> Result:
        """(the first n below the level, or None when the grid ends before; all n that were run).

        ``first_below`` counts the ends; ``first_touch`` any recorded moment of training.
        """
        judge, start, X, y = self.draw()
        rungs = Rungs.load(run)
        for multiple in self.multiples[len(rungs.rows) :]:
            n = self.n(multiple)
            recorder = Recorder(self.times(), judge)
            network, done = rungs.resume(recorder, start)
            train = descend(
                network,
                X[:n],
                y[:n],
                self.step,
                recorder,
                done,
                rungs.saver(run, network),
                run.progress and f"n = {n}",
            )
            rungs.add(recorder, train)
            if rungs.rows[-1]["test"] < self.level:
                break
        return self.result(rungs, judge)

    def times(self) -> np.ndarray:
        """The steps after which the test loss is taken: 0, then even in their logarithm."""
        return integer_times(log_times(float(self.steps), self.n_times, start=10.0))

    def result(self, rungs: "Rungs", judge: Judge) -> Result:
        """Summary and arrays of a climb that is done."""
        n = [self.n(multiple) for multiple in self.multiples[: len(rungs.rows)]]
        arrays = rungs.arrays()

        def first(losses) -> int | None:
            return next((a for a, v in zip(n, losses, strict=True) if v < self.level), None)

        return {
            "first_below": first(arrays["test"]),
            "first_touch": first(np.nanmin(arrays["curves"], axis=1)),
            "n_run": len(n),
            "without_dense": judge.loss_without_dense(),
        }, {"n": np.array(n), "times": self.times(), **arrays}


class Drawn(NamedTuple):
    """What a climb draws: the judge, the network at its start, the largest training set."""

    judge: Judge
    start: ReluNetwork
    X: Tensor
    y: Tensor


@dataclass
class Rungs:
    """The n that a climb has done, and where it stands on the next; saved and restored."""

    rows: list[dict[str, float]]
    curves: list[np.ndarray]
    under_way: Mapping[str, np.ndarray]

    @classmethod
    def load(cls, run: Run) -> "Rungs":
        """What an earlier attempt left, or nothing."""
        saved = run.load() or {}
        columns = {k.split("/", 1)[1]: v for k, v in saved.items() if k.startswith("rung/")}
        curves = list(columns.pop("curves", []))
        rows = [{k: float(v[i]) for k, v in columns.items()} for i in range(len(curves))]
        return cls(rows, curves, saved)

    def resume(self, recorder: Recorder, start: ReluNetwork) -> tuple[ReluNetwork, int]:
        """(network, steps done) to go on from: the saved ones once, then the start."""
        saved, self.under_way = self.under_way, {}
        if not saved:
            return ReluNetwork(start.inner.clone(), start.outer.clone()), 0
        recorder.restore(saved)
        tensors = (torch.from_numpy(np.array(saved[name])) for name in ("inner", "outer"))
        return ReluNetwork(*tensors), int(saved["done"])

    def saver(self, run: Run, network: ReluNetwork):
        """A function (recorder, steps done) that saves, not more often than the run asks."""

        def save(recorder: Recorder, done: int) -> None:
            if not run.due():
                return
            rungs = {f"rung/{name}": column for name, column in self.arrays().items()}
            state = {"inner": network.inner.numpy(), "outer": network.outer.numpy(), "done": done}
            run.save(rungs | state | recorder.dump())

        return save

    def add(self, recorder: Recorder, train: float) -> None:
        """One more n is done; NaN where it diverged."""
        values = recorder.values()
        self.rows.append({"train": train} | {name: float(v[-1]) for name, v in values.items()})
        self.curves.append(values["test"])

    def arrays(self) -> dict[str, np.ndarray]:
        """One entry a rung: losses at the end, and the curve of the test loss."""
        if not self.rows:
            return {}
        ends = {name: np.array([row[name] for row in self.rows]) for name in self.rows[0]}
        return ends | {"curves": np.array(self.curves)}


def descend(
    network: ReluNetwork,
    X: Tensor,
    y: Tensor,
    step: float,
    recorder: Recorder,
    done: int = 0,
    save: Callable[[Recorder, int], None] = lambda recorder, done: None,
    progress: str | None = None,
) -> float:
    """Train in place up to the recorder's last time; the training loss there, NaN if diverged."""
    end = int(recorder.times[-1])
    with tqdm(total=end, initial=done, desc=progress, disable=progress is None, delay=2) as bar:
        for loss in network.descend(X, y, step):
            if not math.isfinite(loss):
                return math.nan
            if recorder.next_time == done:
                recorder.record(network)
            if done == end:
                return loss
            save(recorder, done)
            done += 1
            bar.update()
    raise AssertionError("descend() never ends by itself")


# ---------------------------------------------------------------- side by side on one device

BLOCK = 1024
"""Samples of one product of the gradient: their sum over blocks fills a GPU, one product would not.
"""


class ReluNetworks:
    """s networks f_k(x) = a_k·relu(V_k x + b_k) + c_k and their gradient descent, side by side.

    ``inner`` (s, width, d + 1), ``outer`` (s, width + 1) as in
    :class:`ReluNetwork`; inputs (s, n, d) and labels (s, n).
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


# ---------------------------------------------------------------- what is run

SEEDS = tuple(range(1, 11))
FULL_GRID = tuple(float(k) for k in range(1, 21))
"""n = d², …, 20d²: the notebook's.  [C]"""
GEOMETRIC_GRID = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
GRIDS = {10: FULL_GRID, 20: FULL_GRID, 30: FULL_GRID} | dict.fromkeys((40, 50, 100), GEOMETRIC_GRID)
"""Multiples of d² by d, the notebook's dimensions."""
MOST_SEEDS = {10: 5, 100: 5}
"""Where fewer seeds were run."""
CONSTANT_DIMS = (10, 20, 30)
"""Where f* without its dense part was run as well."""


WIDER = 400


def wider_points(seeds: Sequence[int]) -> list[Climb]:
    """d = 30, the dense part normalised, four times as many neurons: three seeds."""
    multiples = (3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
    return [Climb(seed, 30, "normalized", multiples, width=WIDER) for seed in seeds[:3]]


def climb_points(seeds: Sequence[int]) -> list[Climb]:
    """The climbs over the dimension, the longest last."""
    return [
        Climb(seed, d, dense, grid)
        for d, grid in GRIDS.items()
        for dense in DENSE
        if dense != "constant" or d in CONSTANT_DIMS
        for seed in seeds[: MOST_SEEDS.get(d)]
    ]


def full_points(seeds: Sequence[int]) -> list[Point]:
    """Everything that the chapter rests on."""
    return [*climb_points(seeds), *wider_points(seeds)]


OTHER_STEPS = (10_000, 100_000)


def other_steps(seeds: Sequence[int], steps: int) -> list[Climb]:
    """d = 30, the first three seeds, by another number of steps on the same draws."""
    return [
        Climb(seed, 30, dense, GRIDS[30], steps=steps) for dense in DENSE[:2] for seed in seeds[:3]
    ]


def middle_points(seeds: Sequence[int]) -> list[Climb]:
    """d = 30, the dense part normalised, twice as many neurons: three seeds."""
    multiples = (4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0)
    return [Climb(seed, 30, "normalized", multiples, width=200) for seed in seeds[:3]]


def longer_points(seeds: Sequence[int]) -> list[Point]:
    """Other numbers of steps and neurons at d = 30, the longest last.

    About an hour on one core of its own.  A hundred thousand steps with the dense part normalised
    would take it another hour a seed at d = 50, and sixteen at d = 100, by the times of the usual
    climbs.
    """
    short, long = OTHER_STEPS
    return [*other_steps(seeds, short), *middle_points(seeds), *other_steps(seeds, long)]


def live_points(seeds: Sequence[int]) -> list[Point]:
    """d = 10 at four n, and a tenth of the steps."""
    return [
        Climb(seed, 10, dense, (2.0, 5.0, 10.0, 20.0), steps=3000)
        for dense in DENSE[:2]
        for seed in seeds
    ]


chapter.experiment(
    "mlp",
    "Samples that a ReLU network needs on a dense quadratic plus a sparse cubic, over d",
    SEEDS,
    live_points,
    full_points,
    together=climb,
)
chapter.experiment(
    "mlp-steps",
    "The same thresholds at d = 30 for other numbers of steps and neurons",
    SEEDS,
    live_points,
    longer_points,
    together=climb,
)
