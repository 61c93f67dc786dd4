"""The largest problem of the published shape that two cores and 8 GiB solve in ten minutes.

n = 10d, m = 100d, n_k = d, as in the published figure, and its λ = 10⁻⁵ on the sum.  The largest d
whose forecast fits, with the upper end of its interval, is **declared**: written down before it is
run.  It is then run once, in a process that may hold no more and is ended when the time is up, and
what came out is written beside the forecast, whether it fits or not.

The forecast: a gradient with R_2 and a record are timed at d = 100 on the same two threads, and
taken to grow as gradients do by ``training.json``, on one; the number of gradients is taken to be
that of the published size; features and projector grow like d³.

    python benchmarks/largest.py [--seconds 600] [--record largest.json]
"""

import argparse
import json
import math
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from timing import dated, machine, peak, store, stored, takes_record, timed

import escape_ntk
from escape_ntk.risk.regularizer import Penalties
from escape_ntk.study.curve import AT_ONCE, Curve, Observer, draw_problem

HERE = Path(__file__).parent
THREADS, GIB = 2, 8
STEP = 10
"""d is a multiple of this."""
STATES = 10
"""Movements (2, p, d) that a step of the flow holds, beside those that wait for their record."""


def curve(d: int) -> Curve:
    """The published curve at another d, on as many fresh inputs."""
    n = 10 * d
    return Curve(1, n * 1e-5, d=d, n=n, m=100 * d, n_k=d)


# ---------------------------------------------------------------- what should fit


@dataclass(frozen=True)
class Pace:
    """Seconds at the published size: a gradient, a record, all before the first of them."""

    gradient: float
    record: float
    before: float

    @classmethod
    def taken(cls) -> "Pace":
        """On the clock, with THREADS threads."""
        ready = []

        def prepare() -> None:
            problem = draw_problem(curve(100))
            ready.extend((problem.risk(Penalties(empirical=1.0)), Observer(problem)))

        before = timed(prepare)[0]
        risk, observe = ready
        state = 0.01 * torch.randn_like(risk.features.zero_state())
        risk.value_and_gradient(state)
        gradient = min(timed(lambda: risk.value_and_gradient(state))[0] for _ in range(7))
        record = min(timed(lambda: observe.many([state] * AT_ONCE))[0] for _ in range(2))
        return cls(gradient, record / AT_ONCE, before)


def growth() -> tuple[dict[str, float], float]:
    """Slopes of a gradient's seconds in n, d and m, and half the interval of their sum."""
    found = json.loads((HERE / "training.json").read_text("utf-8"))["found"]["now"]
    rows = {name: found[f"growth in {name}"]["with R_2"]["seconds"] for name in "ndm"}
    half = math.hypot(*((high - low) / 2 for _, low, high in rows.values()))
    return {name: row[0] for name, row in rows.items()}, half


def gradients() -> int:
    """Of the curve of the published size."""
    found = json.loads((HERE / "training.json").read_text("utf-8"))["found"]["now"]
    return found["curve"]["gradients"]


def seconds(pace: Pace, d: int, off: float) -> float:
    """Of a whole curve, its slopes ``off`` by so much in sum."""
    size, one, (slope, _) = d / 100, curve(100), growth()
    grown = size ** (sum(slope.values()) + off)
    wider = size ** (slope["d"] + slope["m"] + off)
    inputs = (curve(d).n_test + curve(d).n) / (one.n_test + one.n)
    taken = gradients() * pace.gradient * grown + one.n_times * pace.record * inputs * wider
    return taken + pace.before * size**3


def interval(pace: Pace, d: int) -> list[float]:
    """Those, at the slopes and at the ends of their interval: [value, low, high]."""
    _, half = growth()
    value, *ends = (seconds(pace, d, off) for off in (0.0, -half, half))
    return [value, min(ends), max(ends)]


def mebibytes(d: int) -> float:
    """Counted, beyond what PyTorch takes: features and buffers, movements, kernels."""
    c = curve(d)
    single = 4 * c.n * c.m / 2 + (AT_ONCE + STATES) * c.m * c.d + c.n_test * c.n
    return (4 * single + 3 * 8 * c.n**2) / 2**20


def declared(limit: float) -> dict[str, object]:
    """The largest d that should fit, with the forecast."""
    own, pace, d = peak(), Pace.taken(), STEP
    if interval(pace, d)[2] > limit or own + mebibytes(d) > GIB * 1024:
        sys.exit(f"not even d = {STEP} fits {limit:g} s and {GIB} GiB; remedy: more --seconds")
    while interval(pace, d + STEP)[2] <= limit and own + mebibytes(d + STEP) <= GIB * 1024:
        d += STEP
    c = curve(d)
    return {
        **{name: getattr(c, name) for name in ("n", "d", "m", "n_k", "n_test")},
        "seconds": interval(pace, d),
        "MiB": own + mebibytes(d),
        "gradients": gradients(),
    }


# ---------------------------------------------------------------- the run


def run(d: int, limit: float) -> dict[str, object]:
    """In this process, which may hold GIB and no more, and is ended when the time is up."""
    resource.setrlimit(resource.RLIMIT_AS, (GIB * 2**30, GIB * 2**30))
    signal.setitimer(signal.ITIMER_REAL, limit)
    start = time.perf_counter()
    try:
        summary, arrays = curve(d).compute()
    except (MemoryError, RuntimeError) as error:  # PyTorch's has no name of its own on processors
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        return {"outcome": "out of memory", "seconds": None}
    ends = {name: float(arrays[name][-1]) for name in ("test", "train", "R_2")}
    told = {"outcome": summary["outcome"], "gradients": summary["gradients"], **ends}
    return {"seconds": time.perf_counter() - start, "MiB": peak(), **told}


def measured(d: int, limit: float) -> dict[str, object]:
    """What the run came to; ``seconds`` is None where it was ended for want of time or memory."""
    command = [sys.executable, __file__, "--seconds", str(limit), "--one", str(d)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == -signal.SIGALRM:
        return {"outcome": "out of time", "seconds": None}
    done.check_returncode()  # any other error is no outcome
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Declare, write, run, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    takes_record(parser, Path(__file__).with_suffix(".json"))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(THREADS)
    if asked.one:
        print(json.dumps(run(asked.one, asked.seconds)))
        return
    limits = {"seconds": asked.seconds, "GiB": GIB}
    conditions = {"machine": machine(THREADS, torch=torch.__version__), "limits": limits}
    if stored(asked.record, conditions, asked.replace):
        sys.exit(f"{asked.record} holds a run under these conditions; remedy: --replace")
    package = Path(escape_ntk.__file__).parent
    said = dated(declared(asked.seconds), package)
    print(json.dumps(said), flush=True)
    store(asked.record, conditions, {"declared": said})
    got = dated(measured(said["d"], asked.seconds), package)
    print(json.dumps(got), flush=True)
    store(asked.record, conditions, {"declared": said, "measured": got})


if __name__ == "__main__":
    main()
