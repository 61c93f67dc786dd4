"""Time and memory of f_L, f_Q, the good directions and a step with the penalty R_2.

Each measurement runs in a process of its own, so that its peak of memory is its own.  Prints a
table: seconds on the clock and of the processors, the latter as a ratio to one plain training step,
which is timed in the same process, in turns; and MiB above what the model, its data and PyTorch
hold.  On a busy machine the processors' seconds are the ones to read.

    python benchmarks/good_directions.py [--n 10000] [--n-k 20] [--batch 128] [--threads 1]
        [--networks mlp …] [--things directions …]

All is written beside this file, as JSON with its sizes and machine, each measurement as soon as it
is there; those of the same sizes and machine that were there before stay.  The page *Use it on your
own network* shows it.

"Penalty on half": the mean over the first half of the batch, an unbiased estimate as well.

The rows of torch.func hold the package against the same derivative, written by hand.
"""

import argparse
import json
import math
import os
import statistics
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
from timing import (
    REPEATS,
    count,
    in_own_process,
    in_turns,
    machine,
    peak,
    store,
    stored,
    takes_record,
    timed,
)
from torch import Tensor, nn
from torch.func import functional_call, jvp, vjp
from torch.nn.attention import SDPBackend, sdpa_kernel

import escape_ntk as en

FALL = 1.0
"""Standard deviations of the inputs' coordinates fall like j^−FALL, as those of images do."""


# ---------------------------------------------------------------- networks, three of 10⁶ parameters


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


def small() -> nn.Module:
    layers = (nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    return nn.Sequential(*layers)


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
    "small": (small, (64,)),
    "cnn": (cnn, (1, 8, 8)),
    "transformer": (transformer, (8, 8)),
}


# ---------------------------------------------------------------- one measurement


def seconds(call: Callable[[], object], plain: Callable[[], object]) -> dict[str, float]:
    """Medians of ``call``; ``steps``: over ``plain``, which is timed in turns with it."""
    return dict(zip(("seconds", "processors", "steps"), in_turns(call, plain), strict=True))


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
        made: list[en.GoodDirections] = []
        clock, own = timed(lambda: made.append(en.GoodDirections(model, X, n_k, keep=False)))
        taken, over = {"seconds": clock, "processors": own}, peak() - before
        print(made[0], file=sys.stderr)
        steps = own / statistics.median(timed(step)[1] for _ in range(REPEATS))
        residual = float(made[0].directions.residuals.max())
        return {**taken, "steps": steps, "MiB": over, "P": size, "residual": residual}
    if what in ("plain step", "penalty step", "penalty on half", "penalty alone"):
        penalty = None if what == "plain step" else few_directions(model, X, n_k)
        before = peak()
        call = {
            "plain step": step,
            "penalty step": lambda: step(penalty),
            "penalty on half": lambda: step(lambda x: penalty(x[: batch // 2])),
            "penalty alone": lambda: penalty(X[rows]).backward(),
        }[what]
        return {**seconds(call, step), "MiB": peak() - before, "P": size}
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
    return {**seconds(call, step), "MiB": peak() - before, "P": size}


def few_directions(model: nn.Module, X: Tensor, n_k: int) -> en.GoodDirections:
    """A penalty with as many directions, of few rows: a step costs the same."""
    return en.GoodDirections(model, X[: 2 * max(n_k, 64)], n_k, keep=False, progress=False)


THINGS = (
    "plain step", "penalty step", "penalty on half", "penalty alone", "f_L", "torch.func.jvp",
    "f_L and f_Q", "Jacobian, pulled back", "torch.func.vjp", "Jacobian", "directions",
)  # fmt: skip


# ---------------------------------------------------------------- all of them


def main() -> None:
    """Measure all, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--n", type=count, default=10_000)
    parser.add_argument("--n-k", type=count, default=20)
    parser.add_argument("--batch", type=count, default=128)
    parser.add_argument("--threads", type=count, default=1)
    takes_record(parser, RECORD)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--things", nargs="+", choices=THINGS, default=list(THINGS))
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    sizes = {"n_k": asked.n_k, "batch": asked.batch}
    if asked.one:
        found = measure(*asked.one, asked.n, *sizes.values(), asked.threads)
        print(json.dumps(found | {"n": asked.n}))
        return
    conditions = {"sizes": sizes, "machine": machine(asked.threads, torch=torch.__version__)}
    kept = stored(asked.record, conditions, asked.replace)
    for name in asked.networks:
        for thing in asked.things:
            command = ["--one", name, thing]
            for option, value in (*sizes.items(), ("n", asked.n), ("threads", asked.threads)):
                command += [f"--{option.replace('_', '-')}", str(value)]
            row = in_own_process(__file__, *command) | {"load": os.getloadavg()[0]}
            rows = {**kept.get(name, {}), thing: row}
            kept[name] = {what: rows[what] for what in THINGS if what in rows}
            kept = {known: kept[known] for known in NETWORKS if known in kept}
            store(asked.record, conditions, kept)
        show(name, kept[name])


RECORD = Path(__file__).with_suffix(".json")


def show(name: str, found: dict[str, dict[str, float]]) -> None:
    """The table of one network."""
    size = next(iter(found.values()))["P"]
    print(f"\n{name}, P = {size:,}\n{'':24}{'clock':>10}{'processors':>12}{'steps':>8}{'MiB':>8}")
    for thing, row in found.items():
        times = f"{row['seconds']:>10.4f}{row['processors']:>12.4f}"
        print(f"{thing:24}{times}{row['steps']:>8.2f}{row['MiB']:>8.0f}", flush=True)


if __name__ == "__main__":
    main()
