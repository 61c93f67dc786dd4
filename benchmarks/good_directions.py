"""Time and memory of f_L, f_Q, the good directions and a step with the penalty R_2.

Each measurement runs in a process of its own, so that its peak of memory is its own.  Prints a
table: seconds on the clock and of the processors, the latter as a ratio to one plain training step,
and MiB above what the model, its data and PyTorch hold; writes all as JSON beside this file.  On a
busy machine the processors' seconds are the ones to read.

    python benchmarks/good_directions.py [--n 10000] [--n-k 20] [--batch 128] [--threads 2]
        [--networks mlp …]

The last rows hold the package against plain torch.func: the same derivative, written by hand.
"""

import argparse
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp, vjp
from torch.nn.attention import SDPBackend, sdpa_kernel

import escape_ntk as en

REPEATS = 7
FALL = 1.0
"""Standard deviations of the inputs' coordinates fall like j^−FALL, as those of images do."""


# ---------------------------------------------------------------- three networks of 10⁶ parameters


class Block(nn.Module):
    """Two convolutions with group normalisation, and a shortcut."""

    def __init__(self, entering: int, leaving: int, stride: int):
        super().__init__()
        self.first = nn.Conv2d(entering, leaving, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(leaving, leaving, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.GroupNorm(8, leaving) for _ in range(2))
        self.shortcut = nn.Conv2d(entering, leaving, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        inner = nn.functional.gelu(self.norms[0](self.first(x)))
        return nn.functional.gelu(self.norms[1](self.second(inner)) + self.shortcut(x))


class Positions(nn.Module):
    """Adds a learned vector to each place."""

    def __init__(self, places: int, width: int):
        super().__init__()
        self.values = nn.Parameter(0.02 * torch.randn(places, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.values


class Mean(nn.Module):
    """The mean over the places."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


def mlp() -> nn.Module:
    widths, layers = (64, 900, 900, 130), []
    for entering, leaving in pairwise(widths):
        layers += [nn.Linear(entering, leaving), nn.GELU()]
    return nn.Sequential(*layers, nn.Linear(130, 1))


def cnn() -> nn.Module:
    blocks = (Block(32, 64, 2), Block(64, 120, 2), Block(120, 216, 2))
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(216, 1))
    return nn.Sequential(nn.Conv2d(1, 32, 3, 1, 1), *blocks, *head)


def transformer() -> nn.Module:
    asked = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True}
    layers = [nn.TransformerEncoderLayer(144, 4, 4 * 144, **asked) for _ in range(4)]
    return nn.Sequential(nn.Linear(8, 144), Positions(8, 144), *layers, Mean(), nn.Linear(144, 1))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (mlp, (64,)),
    "cnn": (cnn, (1, 8, 8)),
    "transformer": (transformer, (8, 8)),
}


# ---------------------------------------------------------------- one measurement


def seconds(call: Callable[[], object], repeats: int = REPEATS) -> dict[str, float]:
    """Medians, after one call that is not counted."""
    call()
    clock, processors = [], []
    for _ in range(repeats):
        start, own = time.perf_counter(), time.process_time()
        call()
        clock.append(time.perf_counter() - start)
        processors.append(time.process_time() - own)
    return {"seconds": statistics.median(clock), "processors": statistics.median(processors)}


def peak() -> float:
    """MiB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(name: str, what: str, n: int, n_k: int, batch: int, threads: int) -> dict[str, float]:
    """Seconds, and MiB above the beginning, of one thing."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    build, shape = NETWORKS[name]
    flat = torch.randn(n, math.prod(shape)) * torch.arange(1, math.prod(shape) + 1) ** -FALL
    model, X = build(), flat.view(n, *shape)
    y, rows = torch.randn(n), torch.arange(batch)
    optimizer = torch.optim.Adam(model.parameters())

    def step(penalty: Callable[[Tensor], Tensor] | None = None) -> None:
        x = X[rows]
        loss = (model(x)[:, 0] - y[rows]).square().mean()
        optimizer.zero_grad()
        (loss if penalty is None else loss + penalty(x)).backward()
        optimizer.step()

    step()  # the optimizer's state, and torch's own
    size = sum(p.numel() for p in model.parameters())
    before = peak()
    if what == "directions":
        start, own = time.perf_counter(), time.process_time()
        penalty = en.GoodDirections(model, X, n_k)
        taken = {
            "seconds": time.perf_counter() - start,
            "processors": time.process_time() - own,
        }
        print(penalty, file=sys.stderr)
        return {**taken, "MiB": peak() - before, "P": size}
    if what in ("plain step", "penalty step", "penalty alone"):
        penalty = None if what == "plain step" else few_directions(model, X, n_k)
        before = peak()
        call = {
            "plain step": step,
            "penalty step": lambda: step(penalty),
            "penalty alone": lambda: penalty(X[rows]).backward(),
        }[what]
        return {**seconds(call), "MiB": peak() - before, "P": size}
    features = en.ModuleFeatures(model, X[rows])
    delta, weights = 1e-3 * torch.randn(size), torch.randn(batch)
    start = {k: p.detach() for k, p in model.named_parameters()}

    def outputs(parameters: dict[str, Tensor]) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):  # fused attention has no forward mode
            return functional_call(model, parameters, (X[rows],))[:, 0]

    pieces = {k: v.clone() for k, v in features.split(delta).items()}
    call = {
        "f_L": lambda: features.linear(delta),
        "f_L and f_Q": lambda: features.terms(delta),
        "Jacobian, pulled back": lambda: features.linear_pullback(weights),
        "Jacobian": lambda: features.at(X[:16]).jacobian(),
        "torch.func.jvp": lambda: jvp(outputs, (start,), (pieces,)),
        "torch.func.vjp": lambda: vjp(outputs, start)[1](weights),
    }[what]
    return {**seconds(call), "MiB": peak() - before, "P": size}


def few_directions(model: nn.Module, X: Tensor, n_k: int) -> en.GoodDirections:
    """A penalty with as many directions, of few rows: a step costs the same."""
    return en.GoodDirections(model, X[: 2 * max(n_k, 64)], n_k, progress=False)


THINGS = (
    "plain step", "penalty step", "penalty alone", "f_L", "torch.func.jvp", "f_L and f_Q",
    "Jacobian, pulled back", "torch.func.vjp", "Jacobian", "directions",
)  # fmt: skip


# ---------------------------------------------------------------- all of them


def main() -> None:
    """Measure all, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--n-k", type=int, default=20)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--things", nargs="+", choices=THINGS, default=list(THINGS))
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    sizes = (asked.n, asked.n_k, asked.batch, asked.threads)
    if asked.one:
        print(json.dumps(measure(*asked.one, *sizes)))
        return
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in asked.networks:
        found[name] = {}
        for thing in asked.things:
            command = [sys.executable, __file__, "--one", name, thing]
            for option, value in zip(("n", "n-k", "batch", "threads"), sizes, strict=True):
                command += [f"--{option}", str(value)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[name][thing] = json.loads(done.stdout.splitlines()[-1])
        show(name, found[name])
    machine = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "threads": asked.threads,
        "load at the end": os.getloadavg()[0],
    }
    path = Path(__file__).with_suffix(".json")
    told = {"asked": vars(asked), "machine": machine, "found": found}
    path.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


def show(name: str, found: dict[str, dict[str, float]]) -> None:
    """The table of one network."""
    plain = found.get("plain step", {}).get("processors")
    size = next(iter(found.values()))["P"]
    print(f"\n{name}, P = {size:,}\n{'':24}{'clock':>10}{'processors':>12}{'steps':>8}{'MiB':>8}")
    for thing, row in found.items():
        ratio = f"{row['processors'] / plain:>8.2f}" if plain else f"{'':>8}"
        times = f"{row['seconds']:>10.4f}{row['processors']:>12.4f}"
        print(f"{thing:24}{times}{ratio}{row['MiB']:>8.0f}", flush=True)


if __name__ == "__main__":
    main()
