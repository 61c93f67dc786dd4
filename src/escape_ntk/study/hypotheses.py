"""Hypotheses of statements, checked where their claims were measured: not the conclusions.

A :class:`Hypothesis` has words, a check, and a control: the same setting with that hypothesis
broken, on which the check must say *not met*.  A check reads the configurations of records and what
their classes draw, and computes what follows from them; it never reads a verdict.
"""

import enum
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from escape_ntk.checks import EscapeNTKError
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import (
    Activation,
    TwoLayerNetwork,
    activation,
    draw_weights,
    paired_network,
)
from escape_ntk.numerics.polynomials import gauss_gegenbauer, gauss_hermite
from escape_ntk.records.store import Record
from escape_ntk.study.point import from_configuration

Run = Mapping[str, Any]
"""A record's configuration without its seed, with ``experiment`` and what it draws."""


class Outcome(enum.StrEnum):
    """What a check says of one hypothesis."""

    MET = "met"
    NOT_MET = "not_met"
    LIMIT = "limit"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True)
class Answer:
    """An outcome and, in a few words, the numbers or the reason behind it."""

    outcome: Outcome
    detail: str


@dataclass(frozen=True)
class Setting:
    """Where a statement's claims were measured: its records, and each configuration once."""

    runs: tuple[Run, ...]
    records: tuple[Record, ...] = ()


Check = Callable[[Setting], Answer]
Change = Callable[[Setting], Setting]


@dataclass(frozen=True)
class Hypothesis:
    """One hypothesis in words, its check, and the change under which it must fail.

    ``mended`` is for one that is not met as it stands: the change under which it would be.
    """

    words: str
    check: Check
    control: Change | None = None
    mended: Change | None = None


def changed(**values: object) -> Change:
    """Every run with these values in the place of its own."""
    return lambda setting: replace(setting, runs=tuple({**run, **values} for run in setting.runs))


def sizes(runs: Sequence[Run], *names: str) -> list[float]:
    """All values of a size over the runs, whether a run has one or a list of them."""
    found: set[float] = set()
    for run in runs:
        for name in names:
            value = run.get(name, ())
            found |= {*value} if isinstance(value, (list, tuple)) else {value}
    return sorted(found)


def answer(met: bool | np.bool_, detail: str) -> Answer:
    """Met or not met, with its detail."""
    return Answer(Outcome.MET if met else Outcome.NOT_MET, detail)


def below(error: float, bar: float, words: str) -> Answer:
    """Met where ``error`` is below ``bar``; its digits are rounding then, and not told.

    They differ from machine to machine, and a page says the same on all.
    """
    met = error < bar
    return answer(met, f"{words} {f'within {bar:.0e}' if met else f'to {error:.0e}'}")


# ---------------------------------------------------------------- what a run draws


def drawn(experiment: str, config: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """What a run of this configuration draws by its class: laws of inputs, of weights, tools."""
    draws = from_configuration(experiment, config).draws
    inputs = {draws.inputs, draws.beside} - {""}
    return {
        "inputs": tuple(sorted(inputs)),
        "weights": (draws.weights,) if draws.weights else (),
        "tools": draws.tools,
    }


def act_of(run: Run) -> Activation:
    """The run's activation; a control may put in one of its own."""
    own = run["activation"]
    return own if isinstance(own, Activation) else activation(str(own))


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


# ---------------------------------------------------------------- laws and layout


def inputs_from(law: str, *, beside: Sequence[str] = ()) -> Check:
    """The runs draw inputs of this law and no other; on the sphere, a draw has |x|² = d.

    ``beside``: laws drawn for a claim's control or comparison only.
    """

    def check(setting: Setting) -> Answer:
        laws = {name for run in setting.runs for name in run["inputs"]} - {*beside}
        X = [_drawn_inputs(run) for run in setting.runs if run["inputs"]]
        off = max((float((x.square().sum(1) / x.shape[1] - 1).abs().max()) for x in X), default=1.0)
        right = off < 1e-9 if law == "sphere" else off > 1e-2
        return answer(laws == {law} and right, f"drawn: {', '.join(sorted(laws)) or 'nothing'}")

    def _drawn_inputs(run: Run) -> torch.Tensor:
        kept = [name for name in run["inputs"] if name not in beside] or [law]
        d = int(min(sizes([run], "d", "dims")))
        return draw_inputs(200, d, kept[0], _generator(), dtype=torch.float64)

    return check


def unit_weights(setting: Setting) -> Answer:
    """The runs draw unit weights and no others; in a draw |w| = 1."""
    laws = {name for run in setting.runs for name in run["weights"]}
    off = 0.0
    for run in setting.runs:
        for law in run["weights"]:
            d = int(min(sizes([run], "d", "dims")))
            w = draw_weights(200, d, _generator(), law=law, dtype=torch.float64)
            off = max(off, float((w.norm(dim=1) - 1).abs().max()))
    if laws != {"sphere"}:
        return answer(False, f"||w| − 1| at most {off:.0e}")
    return below(off, 1e-9, "||w| − 1|")


def paired(setting: Setting) -> Answer:
    """Every width is even, and neurons r and r + m/2 share w_r with opposite signs."""
    widths = sizes(setting.runs, "m", "widths")
    ok = all(_pairs(run) for run in setting.runs)
    return answer(ok, f"m = {_numbers(widths)}")


def _pairs(run: Run) -> bool:
    if not {"paired_network", "PairFeatures", "represent_power"} & {*run["tools"]}:
        return False
    m, d = min(sizes([run], "m", "widths")), int(min(sizes([run], "d", "dims")))
    if any(width % 2 for width in sizes([run], "m", "widths")):
        return False
    w = draw_weights(int(m), d, _generator())
    net = paired_network(w, act_of(run))
    if run.get("pairing") == "independent":  # a control's
        free = draw_weights(2 * int(m), d, _generator())
        net = TwoLayerNetwork(free, net.signs, net.activation)
    half = int(m) // 2
    same = bool((net.weights[:half] == net.weights[half:]).all())
    return same and bool((net.signs[:half] == -net.signs[half:]).all())


# ---------------------------------------------------------------- the activation


def derivative(act: Activation, order: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """σ^{(order)}; above the second by forward-mode differentiation."""
    if order <= 2:
        return (act.value, act.first, act.second)[order]
    lower = derivative(act, order - 1)
    return lambda z: torch.func.jvp(lower, (z,), (torch.ones_like(z),))[1]


WINDOWS = ((10.0, 1e-2), (10.0, 1e-3), (100.0, 1e-2))
"""(half-width, step) of the grids on which a bound is looked for; then finer, then wider."""
SLACK = 1.05
"""A largest difference quotient that grows by more from one grid to the next has no bound."""


def largest(act: Activation, order: int) -> float:
    """sup|σ^{(order)}| from difference quotients of σ^{(order−1)}; inf if it has none.

    It has none when the largest quotient grows on a wider grid, or, here or at a lower order, on a
    finer one: there a derivative jumps.
    """
    coarse, fine, wide = (_quotient(act, order, *window) for window in WINDOWS)
    for lower in range(2, order):
        once, twice, _ = (_quotient(act, lower, *window) for window in WINDOWS)
        fine = math.inf if twice > SLACK * once + 1e-9 else fine
    return max(fine, wide) if max(fine, wide) <= SLACK * coarse + 1e-9 else math.inf


@functools.cache
def _quotient(act: Activation, order: int, half: float, step: float) -> float:
    values = derivative(act, order - 1)(torch.arange(-half, half, step, dtype=torch.float64))
    return float(values.diff().abs().max()) / step


def bounded(*orders: int, by: float = math.inf) -> Check:
    """The derivatives of these orders are bounded, at most ``by``."""

    def check(setting: Setting) -> Answer:
        acts = {str(run["activation"]): act_of(run) for run in setting.runs}
        top = {name: max(largest(act, j) for j in orders) for name, act in acts.items()}
        detail = ", ".join(f"at most {value:.2g} for {name}" for name, value in top.items())
        ok = all(value < math.inf and value <= by * (1 + 1e-6) for value in top.values())
        return answer(ok, detail if ok else "a derivative exceeds the bound")

    return check


def continuous(order: int) -> Check:
    """σ, …, σ^{(order)} are continuous: their largest steps shrink with the grid's."""

    def check(setting: Setting) -> Answer:
        acts = {str(run["activation"]): act_of(run) for run in setting.runs}
        ratio = max(_steps(act, j) for act in acts.values() for j in range(1, order + 1))
        return answer(ratio < 0.2, f"steps shrink to {ratio:.2f} on a grid ten times as fine")

    return check


def _steps(act: Activation, order: int) -> float:
    coarse, fine = (_quotient(act, order + 1, 10.0, step) * step for step in (1e-2, 1e-3))
    return fine / coarse if coarse else 0.0


def mean_over_sphere(act: Activation, order: int, d: int, power: int = 1, nodes: int = 200):
    """E_w σ^{(order)}(w·x)^power for unit w and |x| = √d, by quadrature."""
    tau, weight = gauss_gegenbauer(d, nodes)
    values = derivative(act, order)(torch.from_numpy(math.sqrt(d) * tau)).numpy()
    return float(weight @ values**power)


def nonzero_mean(*orders: int) -> Check:
    """E_w σ^{(order)}(w·x) ≠ 0: at least 1e-3 of its root mean square, at every d."""

    def check(setting: Setting) -> Answer:
        values = [
            abs(mean_over_sphere(act_of(run), j, int(d)))
            / (math.sqrt(mean_over_sphere(act_of(run), j, int(d), 2)) or math.inf)
            for run in setting.runs
            for d in sizes([run], "d", "dims")
            for j in orders
        ]
        return answer(min(values) > 1e-3, f"at least {min(values):.2g} of its rms")

    return check


def finite_mean(power: int, law: str = "sphere", order: int = 1) -> Check:
    """E|σ^{(order)}|^power < ∞: the quadrature settles as its nodes double, twice."""

    def check(setting: Setting) -> Answer:
        worst = 0.0
        for run in setting.runs:
            d = int(max(sizes([run], "d", "dims")))
            values = [_moment(act_of(run), order, power, law, d, n) for n in (100, 200, 400)]
            worst = max(worst, *(abs(v / values[0] - 1) for v in values[1:]))
        return below(worst, 1e-6, "settled")

    return check


def _moment(act: Activation, order: int, power: int, law: str, d: int, nodes: int) -> float:
    if law == "sphere":
        return mean_over_sphere(act, order, d, power, nodes)
    z, weight = gauss_hermite(nodes)
    return float(weight @ derivative(act, order)(torch.from_numpy(z)).numpy() ** power)


# ---------------------------------------------------------------- sizes and limits


def least_size(name: str, least: float) -> Check:
    """Every value of a size is at least ``least``."""

    def check(setting: Setting) -> Answer:
        values = sizes(setting.runs, *name.split())
        symbol = name.split()[0] if len(name.split()[0]) == 1 else "λ"
        return answer(bool(values) and min(values) >= least, f"{symbol} = {_numbers(values)}")

    return check


def zero_size(*names: str) -> Check:
    """These entries of the configurations, where there are any, are 0."""

    def check(setting: Setting) -> Answer:
        values = [value for value in sizes(setting.runs, *names) if value]
        return answer(not values, f"λ = {_numbers(values) if values else 0}")

    return check


def limit(symbol: str, *names: str) -> Check:
    """A limit is never met: how far the records go, each experiment that varies it."""

    def check(setting: Setting) -> Answer:
        ends = {}
        for folder in dict.fromkeys(str(run["experiment"]) for run in setting.runs):
            values = sizes([run for run in setting.runs if run["experiment"] == folder], *names)
            if len(values) > 2:  # two may be the sizes of two cases
                ends[folder] = _number(max(values))
        if not ends:
            alone = sizes(setting.runs, *names)
            words = " and ".join(map(_number, alone)) or "nowhere"
            return Answer(Outcome.LIMIT, f"{symbol} = {words}, not varied")
        if len(set(ends.values())) == 1:
            return Answer(Outcome.LIMIT, f"{symbol} up to {next(iter(ends.values()))}")
        parts = (f"{top} in {folder}" for folder, top in ends.items())
        return Answer(Outcome.LIMIT, f"{symbol} up to {', '.join(parts)}")

    return check


def small_limit(symbol: str, name: str) -> Check:
    """A limit to 0: how far down the records go."""

    def check(setting: Setting) -> Answer:
        return Answer(Outcome.LIMIT, f"{symbol} down to {min(sizes(setting.runs, name)):.0e}")

    return check


def unchecked(reason: str) -> Check:
    """Not checked, and why."""
    return lambda setting: Answer(Outcome.NOT_CHECKED, reason)


def refuses(check: Check) -> Check:
    """The same check, where a setting that the package refuses counts as not met."""

    def safe(setting: Setting) -> Answer:
        try:
            return check(setting)
        except EscapeNTKError as error:
            return Answer(Outcome.NOT_MET, str(error).splitlines()[0])

    return safe


def _number(value: float) -> str:
    return (
        f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}") if value >= 1000 else f"{value:g}"
    )


def _numbers(values: Sequence[float]) -> str:
    ends = [_number(value) for value in dict.fromkeys((min(values), max(values)))]
    return " to ".join(ends) if values else "none"
