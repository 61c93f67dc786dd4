"""Training, measuring and kernels of the two-layer model, against their bare matrix products.

Each time is a ratio to the products that the formula cannot do without, of the same shapes on the
same threads, timed in turns in one process; whole curves are timed in processes of their own, so
that their peak of memory is theirs.

    python benchmarks/training.py [--threads 1] [--things gradient …] [--record FILE]

The ratios are stored beside this file as JSON, with the machine, each as soon as it is there.  The
page *Speed* draws them.  ``--label before`` stores them as those of another version of the package,
which PYTHONPATH names.  A record of another machine is never overwritten unasked.
"""

import argparse
import json
import math
import random
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from timing import (
    REPEATS,
    count,
    dated,
    in_own_process,
    in_turns,
    machine,
    paired,
    peak,
    store,
    stored,
    takes_record,
    timed,
)
from torch import Tensor
from torch.func import jvp

import escape_ntk
from escape_ntk import chapters
from escape_ntk.kernels.ntk import infinite_ntk
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import activation, draw_weights, paired_network
from escape_ntk.models.pairs import NetworkFeatures, PairFeatures
from escape_ntk.models.taylor import linear_term, quadratic_term
from escape_ntk.numerics.stats import censored_slope, log_slope
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.risk.regularizer import Penalties, RegularizedRisk
from escape_ntk.study.curve import Curve, Observer, draw_problem

RECORD = Path(__file__).with_suffix(".json")
PUBLISHED = (1000, 100, 10_000)
"""n, d and m of the published figure."""
THREE = ((300, 30, 2000), PUBLISHED, (3200, 40, 4000))
"""Where peers are timed."""
SIGMOID = "sigmoid(z-1)"
MOST_PROJECTED = 3000
"""Beyond so many inputs the projector of R_2 takes minutes to make."""
GROWTH = tuple(2 ** (j / 2) for j in range(7))
GROWING = ("gradient", "with R_2", "kernel")
"""What is followed as n, d and m grow eightfold."""


# ---------------------------------------------------------------- what is timed


class Small:
    """One risk of given n, d, m on random data, a state, and its four products."""

    def __init__(self, n: int, d: int, m: int, kind=PairFeatures, dtype=torch.float32):
        g = torch.Generator().manual_seed(0)
        self.weights = draw_weights(m, d, g, dtype=dtype)
        self.X = draw_inputs(n, d, "sphere", g, dtype=dtype)
        self.y = torch.randn(n, generator=g, dtype=dtype)
        self.features = kind(self.X, self.weights, SIGMOID)
        self.state = 0.01 * torch.randn(2, m // 2, d, generator=g, dtype=dtype)
        self.there, self.back = self.X.new_empty(n, m // 2), torch.empty_like(self.weights)
        self.blocks = torch.rand(3, self.features.chunk, m // 2, generator=g, dtype=dtype)

    def risk(self, **penalties: float) -> RegularizedRisk:
        """With a projector where λ_2 asks for one."""
        projector = TrainingProjector(self.features, min(self.X.shape)) if penalties else None
        parts = {"penalties": Penalties(**penalties), "projector": projector}
        return RegularizedRisk(self.features, self.y, **parts)

    def four(self) -> None:
        """The products (n, d)×(d, p), twice, and (p, n)×(n, d), twice."""
        for s in self.state:
            torch.mm(self.X, s.T, out=self.there)
        for _ in self.state:
            torch.mm(self.there.T, self.X, out=self.back)

    def passes(self) -> None:
        """What the four leave to do, on blocks that stay in a cache: C = A + B∘M, its dot products
        with N, and B∘N, for A, B = σ', σ'' and M, N the first two products."""
        features = self.features
        for rows in features._blocks():
            first, second = features.first[rows], features.second[rows]
            m, n, out = (block[: len(first)] for block in self.blocks)
            torch.addcmul(first, second, m, out=out)
            torch.linalg.vecdot(out, n)
            torch.mul(second, n, out=out)

    def least(self) -> None:
        """Both."""
        self.four()
        self.passes()

    def slopes(self) -> None:
        """Those, and σ and σ' at two points of each pair and input."""
        self.four()
        act = activation(SIGMOID)
        for function in (act.value, act.value, act.first, act.first):
            function(self.there)


def gradient() -> dict:
    """∇L_λ of f_L + f_Q with λ_2 > 0, over its four products."""
    small = Small(*PUBLISHED)
    risk = small.risk(empirical=10.0)
    return paired(lambda: risk.value_and_gradient(small.state), small.four)


def added_by_r2() -> dict:
    """A gradient with λ_2 > 0 over one without."""
    small = Small(*PUBLISHED)
    with_r2, without = small.risk(empirical=10.0), small.risk()
    both = [lambda r=r: r.value_and_gradient(small.state) for r in (with_r2, without)]
    return paired(*both)


def network_gradient() -> dict:
    """∇L of the network itself, over its products and its σ and σ'."""
    small = Small(*PUBLISHED, kind=NetworkFeatures)
    risk = small.risk()
    return paired(lambda: risk.value_and_gradient(small.state), small.slopes)


def measuring() -> dict:
    """All that a record of a curve measures, over its products: two on all inputs."""
    problem = draw_problem(Curve(1, 0.0))
    observe, state = Observer(problem), 0.01 * torch.randn(2, Curve.m // 2, Curve.d)
    states = [state] * observe.at_once
    whole, count = paired(lambda: observe.many(states), Bare(problem).record, 3), observe.at_once
    quartiles = [x / count for x in whole["quartiles"]]
    return {"ratio": whole["ratio"] / count, "quartiles": quartiles, "ms": whole["ms"] / count}


class Bare:
    """The products of a curve's gradients, records and leaks."""

    def __init__(self, problem):
        self.X, self.fresh, self.weights = problem.X, problem.fresh, problem.weights
        self.gram = torch.empty(len(self.weights), len(self.weights))
        self.back = torch.empty_like(self.weights)
        self.small = self.X.new_empty(len(self.X), len(self.weights))

    def record(self) -> None:
        """Two products on the fresh inputs, in blocks, and two on the others."""
        for _ in range(2):
            for x in self.fresh.split(250):
                torch.mm(x, self.weights.T, out=self.small[: len(x)])
            torch.mm(self.X, self.weights.T, out=self.small)

    def gradient(self) -> None:
        """Four products on the training inputs."""
        for _ in range(2):
            torch.mm(self.X, self.weights.T, out=self.small)
            torch.mm(self.small.T, self.X, out=self.back)

    def leak(self) -> None:
        """(p, d)×(d, p), and twice (p, p)×(p, d)."""
        torch.mm(self.weights, self.weights.T, out=self.gram)
        torch.mm(self.gram, self.weights, out=self.back)
        torch.mm(self.gram, self.weights, out=self.back)


def leak() -> dict:
    """A gradient of R_1 in closed form, over its three products."""
    problem = draw_problem(Curve(1, 0.0))
    form, bare = problem.leak, Bare(problem)
    return paired(lambda: form.value_and_gradient(problem.weights), bare.leak, 3)


def curve(population: float) -> dict[str, float]:
    """A whole curve of the published size, λ = 10⁻⁵: over its bare products, and its peak."""
    torch.mm(*torch.randn(2, 500, 500))  # torch's own
    wanted = Curve(1, 1000 * 1e-5, population)
    start = peak()
    results = []
    _, own = timed(lambda: results.append(wanted.compute()))
    held, summary = peak() - start, results[0][0]
    bare = Bare(draw_problem(wanted))
    each = {
        name: min(timed(getattr(bare, name))[1] for _ in range(3))
        for name in ("gradient", "record")
    }
    products = summary["gradients"] * each["gradient"] + wanted.n_times * each["record"]
    return {
        "seconds": own,
        "ratio": own / products,
        "gradients": summary["gradients"],
        "MiB": held,
    }


class Growing:
    """One size of what grows: a call to time, and the bytes that are held for it."""

    def __init__(self, kind: str, **size: int):
        small = Small(**size)
        features, X = small.features, small.X
        if kind == "kernel":
            self.call = lambda: features.cross_gram(features)
            kept = [features.first, X.new_empty(len(X), len(X))]
        else:
            risk = small.risk(**({"empirical": 10.0} if kind == "with R_2" else {}))
            self.call = lambda: risk.value_and_gradient(small.state)
            self.call()
            kept = [features.first, features.second, small.state]
            kept += features._buffers or [features._block]
            if kind == "with R_2":
                kept += [risk.projector._basis, risk.projector._vectors]
        self.bytes = sum(t.numel() * t.element_size() for t in kept)

    def seconds(self) -> float:
        """Of one call, after one that is not counted."""
        self.call()
        return timed(self.call)[1]


def growth(name: str) -> dict[str, dict]:
    """Slopes in n, d or m of seconds and bytes, in logs: [slope, low, high], and the slope alone.

    All sizes in turns, each time in another order, so that a drift of the machine meets them alike.
    The line goes through one median a size: what departs from a power law widens the interval.
    Bytes are counted, so they have none.
    """
    order, found = random.Random(0), {}
    base = dict(zip("ndm", (500, 50, 2000), strict=True))
    sizes = [2 * round(base[name] * factor / 2) for factor in GROWTH]
    for kind in GROWING:
        each = {size: Growing(kind, **(base | {name: size})) for size in sizes}
        taken = {size: [] for size in sizes}
        for _ in range(REPEATS):
            for size in order.sample(sizes, len(sizes)):
                taken[size].append(each[size].seconds())
        medians = [statistics.median(taken[size]) for size in sizes]
        slope = censored_slope(sizes, medians, [False] * len(sizes))
        found[kind] = {
            "seconds": [slope.value, slope.low, slope.high],
            "bytes": log_slope(sizes, [each[size].bytes for size in sizes]),
        }
    return found


def threads(count: int) -> dict[str, float]:
    """Seconds on the clock of a gradient with one thread, over those with ``count``."""
    small = Small(*PUBLISHED)
    risk = small.risk()
    clocks = []
    for n in (1, count):
        torch.set_num_threads(n)
        risk.value_and_gradient(small.state)
        clocks.append(min(timed(lambda: risk.value_and_gradient(small.state))[0] for _ in range(7)))
    return {"threads": count, "speedup": clocks[0] / clocks[1]}


# ---------------------------------------------------------------- what people would use instead


def autograd(n: int, d: int, m: int) -> dict[str, float]:
    """∇ of the mean square of f_L + f_Q by autograd, over the four products, and its peak."""
    small = Small(n, d, m)
    network = paired_network(small.weights, SIGMOID)
    U = (0.01 * torch.randn(m, d)).requires_grad_()
    start = peak()

    def call() -> Tensor:
        f = linear_term(network, small.X, U) + quadratic_term(network, small.X, U)
        return torch.autograd.grad((f - small.y).square().mean(), U)[0]

    return {**paired(call, small.four, 3), "MiB": peak() - start}


def torch_func(n: int, d: int, m: int) -> dict[str, float]:
    """The same, f_L and f_Q by two forward derivatives of the network, as any tutorial has it."""
    small = Small(n, d, m)
    network = paired_network(small.weights, SIGMOID)
    U = (0.01 * torch.randn(m, d)).requires_grad_()
    start, still = peak(), torch.zeros(m, d)

    def call() -> Tensor:
        def slope_along(V: Tensor) -> Tensor:
            return jvp(lambda W: network(small.X, W), (V,), (U,))[1]

        first, second = jvp(slope_along, (still,), (U,))
        return torch.autograd.grad((first + second / 2 - small.y).square().mean(), U)[0]

    return {**paired(call, small.four, 3), "MiB": peak() - start}


def ours(n: int, d: int, m: int) -> dict[str, float]:
    """In pair coordinates."""
    start = peak()
    small = Small(n, d, m)
    risk = small.risk()
    found = paired(lambda: risk.value_and_gradient(small.state), small.four)
    return {**found, "MiB": peak() - start}


def kernels(n: int, d: int, m: int) -> dict[str, float]:
    """The kernel of m neurons over (n, p)×(p, n), the infinite one over (n, d)×(d, n)."""
    small = Small(n, d, m)
    first, gram = small.features.first, small.X.new_empty(n, n)
    empirical = in_turns(
        lambda: small.features.cross_gram(small.features),
        lambda: torch.mm(first, first.T, out=gram),
    )[2]
    infinite = in_turns(
        lambda: infinite_ntk(small.X, small.X, "erf", weight_law="gaussian"),
        lambda: torch.mm(small.X, small.X.T, out=gram),
    )[2]
    return {"empirical": empirical, "infinite": infinite}


# ---------------------------------------------------------------- all of them


def sizes_of_the_book() -> list[tuple[int, int, int]]:
    """Every n, d, m that a recorded experiment trains f_L + f_Q at, by the flow."""
    found = set()
    for experiment in chapters.experiments():
        for point in experiment.points("full"):
            size = tuple(getattr(point, name, None) for name in "ndm")
            if all(isinstance(number, int) for number in size) and hasattr(point, "t_end"):
                found.add(size)
    return sorted(found)


def all_sizes() -> dict[str, list]:
    """At every size of the book, in float64 as there: [n, d, m, ratio, …].

    Over the four products: a gradient without R_2, the least it can take, and one with R_2, where n
    is not too large.
    """
    rows = []
    for size in sizes_of_the_book():
        small = Small(*size, dtype=torch.float64)
        calls = [partial(small.risk().value_and_gradient, small.state), small.least]
        if size[0] <= MOST_PROJECTED:
            risk = small.risk(empirical=10.0)
            calls.append(partial(risk.value_and_gradient, small.state))
        rows.append([*size, *(in_turns(call, small.four)[2] for call in calls)])
    return {"rows": rows}


THINGS: dict[str, Callable[[], object]] = {
    "gradient": gradient,
    "gradient with R_2": added_by_r2,
    "gradient of the network": network_gradient,
    "measuring": measuring,
    "leak": leak,
    "curve": lambda: curve(0.0),
    "curve with R_1": lambda: curve(1e-5),
    "curve with a larger R_1": lambda: curve(0.1),
    "sizes of the book": all_sizes,
    **{f"growth in {name}": lambda name=name: growth(name) for name in "ndm"},
    "threads": lambda: threads(2),
    **{
        f"{of.__name__}, {n}, {d}, {m}": lambda of=of, n=n, d=d, m=m: of(n, d, m)
        for n, d, m in THREE
        for of in (ours, autograd, torch_func, kernels)
    },
}


def main() -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", type=count, default=1, metavar="N")
    parser.add_argument("--label", default="now", choices=("before", "now"))
    takes_record(parser, RECORD)
    names = "; ".join(THINGS)
    parser.add_argument(
        "--things", nargs="+", choices=THINGS, default=list(THINGS), metavar="THING", help=names
    )
    parser.add_argument("--one", choices=THINGS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    if asked.one:
        print(json_of(THINGS[asked.one]()))
        return
    conditions = {"machine": machine(asked.threads, torch=torch.__version__)}
    kept = stored(asked.record, conditions, asked.replace)
    package = Path(escape_ntk.__file__).parent
    for thing in asked.things:
        row = in_own_process(__file__, "--one", thing, "--threads", str(asked.threads))
        print(f"{asked.label:8}{thing:36}{json_of(row)[:120]}", flush=True)
        kept.setdefault(asked.label, {})[thing] = dated(row, package)
        store(asked.record, conditions, kept)


def json_of(row: object) -> str:
    """With four digits."""

    def short(value: object) -> object:
        if isinstance(value, float):
            return float(f"{value:.4g}") if math.isfinite(value) else None
        if isinstance(value, dict):
            return {name: short(v) for name, v in value.items()}
        return [short(v) for v in value] if isinstance(value, list) else value

    return json.dumps(short(row))


if __name__ == "__main__":
    main()
