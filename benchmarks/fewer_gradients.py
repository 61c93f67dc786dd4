"""Could the flow take fewer gradients?  What was tried beside its second-order method.

Every way follows the same eight flows of the book's kind, in float64, at its tolerance, three times
it and a third of it.  Errors are against the flow at rtol 10⁻⁶: of the end state, and of the worst
of the curves test, train and R_2 over time (relative, above a hundredth of the largest value).  A
line in logs through a way's three (error, gradients) is read at the error that the present method
has at the book's tolerance; third order is more exact at all three, there the line is continued.
**A win**, as set before any was measured: a quarter fewer gradients
for most of the problems, in both errors, and for none a tenth more.

    python benchmarks/fewer_gradients.py [--ways exponential …] [--problems …]

With no way named, only what several λ side by side take is timed: gradients in common products.

Products beyond a gradient's four are counted as the part of a gradient that they are.
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from other_flows import WAYS, Way
from timing import dated, in_turns, machine, store, stored, takes_record
from torch import Tensor

import escape_ntk
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import draw_weights
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.numerics import rkc
from escape_ntk.risk.problem import Problem
from escape_ntk.risk.regularizer import Penalties, RegularizedRisk
from escape_ntk.study import dense_plus_sparse
from escape_ntk.study.curve import Curve, draw_problem
from escape_ntk.training.trajectory import log_times

RECORD = Path(__file__).with_suffix(".json")
LADDER = (3.0, 1.0, 1 / 3)
CURVE: dict[str, Any] = {"d": 40, "n": 400, "m": 1000, "n_k": 40, "n_test": 500, "dtype": "float64"}
SPHERE: dict[str, Any] = {"k": 1, "d": 20, "n": 400, "m": 1000, "n_validation": 500, "n_test": 500}


# ---------------------------------------------------------------- the same flows


@dataclass(frozen=True)
class OnSphere(dense_plus_sparse.Wide):
    """A dense and a sparse harmonic, on the sphere."""

    m: int = 1000


def problems() -> dict[str, tuple]:
    """Name → (how to draw it, λ_2, rtol, t_end)."""
    found = {f"curve, λ₂ = {x:g}": (curve, x, 1.5e-3, 2e4) for x in (0, 4e-3, 0.4, 4, 40)}
    return found | {f"sphere, λ₂ = {x:g}": (sphere, x, 1e-2, 1e4) for x in (0, 1, 10)}


def curve(weight: float) -> Problem:
    return draw_problem(Curve(1, weight, **CURVE))


def sphere(weight: float) -> Problem:
    return dense_plus_sparse.draw_problem(OnSphere(1, **SPHERE))[0]


def follow(kind: type[Way], problem: Problem, weight: float, rtol: float, t_end: float) -> dict:
    """Gradients, the curves at the recorded times and the end state."""
    risk = problem.risk(Penalties(empirical=weight))
    flow = kind(
        lambda y: risk.value_and_gradient(y)[1].mul_(-2), problem.zero_state(), rtol, rtol / 100
    )
    flow.problem, flow.risk = problem, risk
    flow.start(t_end)
    times, seen = log_times(t_end, 33)[1:], []
    while flow.t < t_end and flow.calls < 20_000:
        flow.h = min(flow.h, t_end - flow.t)
        new, f_new, error = flow.try_step()
        if not error <= 1:
            flow.reject(error)
            continue
        while len(seen) < len(times) and times[len(seen)] <= (flow.t + flow.h) * (1 + 1e-12):
            at = min(1.0, (times[len(seen)] - flow.t) / flow.h)
            plain = (flow.y, flow.f, new, f_new, flow.h, at)
            state = flow.between(at) if flow.between else rkc.hermite_interpolant(*plain)
            f_l, f_q = problem.features.terms(state)
            fresh = sum(problem.test.terms(state)) - problem.target(problem.fresh)
            high = problem.projector.high_outputs(f_l)
            seen.append([float(x.square().mean()) for x in (fresh, f_l + f_q - risk.y, high)])
        flow.accept(new, f_new, error)
    return {"gradients": flow.calls, "curves": np.array(seen), "end": flow.y, "steps": flow.steps}


def errors(found: dict, exact: dict) -> list[float]:
    """Of the end state, and of the worst curve."""
    size = np.maximum(np.abs(exact["curves"]), np.abs(exact["curves"]).max(0) / 100)
    worst = float((np.abs(found["curves"] - exact["curves"]) / size).max())
    return [float((found["end"] - exact["end"]).norm() / exact["end"].norm()), worst]


def ratios(rows: list, present: list) -> list[float]:
    """Gradients over those of the present method, at its error at the book's tolerance."""

    def at(table: np.ndarray, column: int) -> float:
        power, level = np.polyfit(table[:, column], table[:, 0], 1)
        return power * goal[column] + level

    own, other = np.log(np.array(rows)), np.log(np.array(present))
    goal = other[1]
    return [math.exp(at(own, k) - at(other, k)) for k in (1, 2)]


# ---------------------------------------------------------------- several λ side by side


def side_by_side(n: int, d: int, m: int, count: int) -> float:
    """Seconds of ``count`` gradients at the same features in common products, over one by one."""
    g = torch.Generator().manual_seed(0)
    X, y = draw_inputs(n, d, "sphere", g), torch.randn(n, generator=g)
    features = PairFeatures(X, draw_weights(m, d, g), "sigmoid(z-1)")
    risk, p = RegularizedRisk(features, y), m // 2
    states = 0.01 * torch.randn(2, count, p, d, generator=g)
    rows = max(32, features.chunk // count)

    def together() -> Tensor:
        out = torch.zeros_like(states)
        for i in range(0, n, rows):
            x, first, second = (
                X[i : i + rows],
                features.first[i : i + rows],
                features.second[i : i + rows],
            )
            xs, xt = ((x @ half.reshape(-1, d).T).view(-1, count, p) for half in states)
            xs.mul_(second[:, None])
            f = (torch.linalg.vecdot(first[:, None], xt) + torch.linalg.vecdot(xs, xt))[..., None]
            r = f.sub_(y[i : i + rows, None, None]).mul_(2 / n)
            along_s = xt.mul_(second[:, None]).mul_(r)
            along_t = xs.add_(first[:, None]).mul_(r)
            for half, along in zip(out, (along_s, along_t), strict=True):
                half.view(-1, d).addmm_(along.view(len(x), -1).T, x)
        return out

    def alone() -> Tensor:
        return torch.stack([risk.value_and_gradient(s)[1] for s in states.transpose(0, 1)], 1)

    torch.testing.assert_close(together(), alone(), rtol=1e-3, atol=1e-6)
    return in_turns(together, alone, 5)[2]


def main() -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS))
    parser.add_argument("--problems", nargs="*", choices=problems(), default=list(problems()))
    takes_record(parser, RECORD)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    conditions = {"machine": machine(1, torch=torch.__version__)}
    kept = stored(asked.record, conditions, asked.replace)
    missing = [name for name in asked.problems if name not in kept.get("present", {})]
    if asked.ways and missing and asked.ways[0] != "present":
        parser.error(f"no present way to compare with is stored for {missing}: --ways present …")
    for name in asked.problems if asked.ways else ():
        draw, weight, rtol, t_end = problems()[name]
        problem = draw(weight)
        exact = follow(Way, problem, weight, 1e-6, t_end)
        for way in asked.ways:
            found = [follow(WAYS[way], problem, weight, rtol * x, t_end) for x in LADDER]
            rows = [[float(f["gradients"]), *errors(f, exact)] for f in found]
            table = kept.setdefault(way, {})
            table[name] = dated({"rows": rows}, Path(escape_ntk.__file__).parent)
            table[name]["ratios"] = ratios(rows, kept["present"][name]["rows"])
            print(f"{name:18}{way:14}", rows, table[name]["ratios"], flush=True)
            store(asked.record, conditions, kept)
    for size in ((400, 40, 2000), (1000, 100, 10_000), (3200, 40, 4000)):
        kept.setdefault("side by side", {})[str(size)] = {
            k: side_by_side(*size, k) for k in (2, 4, 8)
        }
    store(asked.record, conditions, kept)


if __name__ == "__main__":
    main()
