"""Every layer of ``torch.nn`` in a small network: exact, by another route, told, or refused?

The terms of :class:`~escape_ntk.models.modules.ModuleFeatures` against plain gradients of single
rows and sharp differences of these, in float64: torch's second derivatives are no witness here.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from escape_ntk import checks
from escape_ntk.chapters.your_network.layers import F64, LAYERS
from escape_ntk.chapters.your_network.operations import OPERATIONS
from escape_ntk.models.composites import Composites
from escape_ntk.models.derivatives import Routes
from escape_ntk.models.modules import ModuleFeatures, empirical_leak
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.study.point import Draws, Point, Result
from escape_ntk.training.run import UNSAVED, Run

NETWORKS = LAYERS | OPERATIONS
"""Name → (builder, shape of one input)."""
OUTCOMES = ("exact", "another route", "told", "refused")
"""Told: the module declares derivatives that are not those of its values; a warning says so."""
EXACT = 1e-8
"""A relative difference from the reference that is rounding."""


_EIGHTH, _SIXTH = (4 / 5, -1 / 5, 4 / 105, -1 / 280), (3 / 4, -3 / 20, 1 / 60)
"""Weights of central differences."""
_STEPS, _SHARP = (2e-2, 2e-3, 2e-4, 2e-5, 2e-6), 1e-10
"""Steps; the first is taken at which two orders are within _SHARP of one another, or the best."""


def gradients(module: nn.Module, X: Tensor, v: Tensor, second: bool = False) -> tuple[Tensor, ...]:
    """(f, Φ), and with ``second`` ½vᵀ∇²f v, by plain gradients row by row.

    f is the module's own; gradients are of the composites, since that of a hard sigmoid in torch
    has 1/6 in single precision.
    """
    parameters = _trainable(module)
    pieces = _pieces(parameters, v)

    def gradient(out: Tensor, create: bool) -> list[Tensor]:
        kind: dict[str, Any] = {"create_graph": create, "allow_unused": True}
        found = torch.autograd.grad(out, parameters, **kind) if out.requires_grad else pieces
        zero = not out.requires_grad
        return [
            torch.zeros_like(p) if g is None or zero else g.to_dense()
            for g, p in zip(found, parameters, strict=True)
        ]

    def along(slopes: list[Tensor]) -> Tensor:
        return torch.stack([(a * b).sum() for a, b in zip(slopes, pieces, strict=True)]).sum()

    values, rows, curved = [], [], []
    with sdpa_kernel(SDPBackend.MATH):
        for x in X:
            values.append(module(x[None].clone()).detach().reshape(()))
            with Composites():
                slopes = gradient(module(x[None].clone()).reshape(()), second)
            if second:
                curved.append(along(gradient(along(slopes), False)).detach() / 2)
            rows.append(torch.cat([g.detach().flatten() for g in slopes]))
    found = torch.stack(values), torch.stack(rows)
    return (*found, torch.stack(curved)) if second else found


def by_differences(module: nn.Module, X: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """(f_L, f_Q): central differences of order 8, of the values and of the plain gradients.

    No second derivative of torch is behind them.  For smooth functions their error is near 1e-12.
    """
    parameters = _trainable(module)
    pieces, start = _pieces(parameters, v), [p.detach().clone() for p in parameters]

    def at(t: float) -> Tensor:
        with torch.no_grad():
            for p, q, d in zip(parameters, start, pieces, strict=True):
                p.copy_(q + t * d)
        f, J = gradients(module, X, v)
        return torch.stack([f, J @ v])

    best, least = at(0.0), float("inf")
    scale = float(best.abs().max())
    for h in _STEPS:
        odd = [(at(k * h) - at(-k * h)) / h for k in (1, 2, 3, 4)]
        eighth, sixth = (
            sum((w * d for w, d in zip(weights, odd, strict=False)), 0 * best)
            for weights in (_EIGHTH, _SIXTH)
        )
        gap = float((eighth - sixth).abs().max())
        if gap < least:
            best, least = eighth, gap
        if gap <= _SHARP * scale:
            break
    at(0.0)
    return best[0], best[1] / 2


def _trainable(module: nn.Module) -> list[Tensor]:
    return [p for p in module.parameters() if p.requires_grad]


def _pieces(parameters: list[Tensor], v: Tensor) -> list[Tensor]:
    sizes = [p.numel() for p in parameters]
    return [d.view_as(p) for d, p in zip(v.split(sizes), parameters, strict=True)]


def relative(got: Tensor, wanted: Tensor, scale: float) -> float:
    """The largest difference over the largest number, or over ``scale`` if that is larger."""
    if not bool(torch.isfinite(got).all()):
        return float("inf")
    return float((got - wanted).abs().max()) / max(float(wanted.abs().max()), scale)


def differences(
    features: ModuleFeatures, module: nn.Module, v: Tensor, declared: bool = False
) -> dict[str, float]:
    """How far f, f_L, f_Q, Φ, Φᵀc, K, R_2 and the Hessian of R_2 are from the reference.

    f and Φ: plain gradients of single rows; f_L and f_Q: :func:`by_differences`.  Where derivatives
    are ``declared``, and differences know nothing of them: plain gradients of gradients.
    ``nested``: f_Q by forward mode inside forward mode, where it runs, whether exact or not.
    """
    if declared:
        f, J, f_q = gradients(module, features.X, v, second=True)
        slope = J @ v
    else:
        f, J = gradients(module, features.X, v)
        slope, f_q = by_differences(module, features.X, v)
    n, k = len(features), 1
    c = torch.linspace(1, 2, n, dtype=F64)
    own, f_l = features.terms(v), J @ v
    projector = TrainingProjector(features, k)
    U = torch.linalg.eigh(J @ J.T)[1][:, -k:]
    high = torch.eye(n, dtype=F64) - U @ U.T
    leak = (high @ f_l).square().mean()
    product = torch.autograd.functional.hvp(
        lambda movement: empirical_leak(features, projector, movement), v, v
    )[1]
    scale = float(f.abs().max() + f_l.abs().max())
    out = {
        "f": relative(features.value(0 * v), f, 0),
        "f_L": max(relative(one, f_l, 0) for one in (features.linear(v), own[0])),
        "values": relative(own[0], slope, scale),
        "f_Q": relative(own[1], f_q, scale),
        "Φ": relative(features.jacobian(), J, 0),
        "Φᵀc": relative(features.linear_pullback(c), J.T @ c, 0),
        "K": relative(features.cross_gram(features), J @ J.T, 0),
        "R_2": relative(empirical_leak(features, projector, v), leak, 1e-6 * scale**2),
        "its Hessian": relative(
            cast(Tensor, product), 2 / n * J.T @ (high @ (high @ f_l)), 1e-6 * scale
        ),
    }
    try:
        nested = features._derivatives.by(quadratic="forward-forward").terms(features.X, v)[1]
        out["nested"] = relative(nested, f_q, scale)
    except Exception:
        out["nested"] = 0.0
    return out


@dataclass(frozen=True)
class Tried:
    """What came of one layer."""

    outcome: str
    words: str
    difference: float = 0.0
    nested: float = 0.0


def tried(name: str, seed: int = 0, n: int = 4) -> Tried:
    """One layer: its terms against the reference, or the words of its refusal."""
    build, shape = NETWORKS[name]
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.manual_seed(seed)
        module = build().double().eval()
        X = torch.randn(n, *shape, dtype=F64)
        try:
            features = ModuleFeatures(module, X, chunk=3)
        except checks.EscapeNTKError as error:
            return Tried("refused", str(error).partition("; got ")[2].partition("; remedy: ")[0])
        v = torch.randn(features.size, dtype=F64) / 3
        told = [str(w.message) for w in said if w.category is checks.DerivativeWarning]
        found = differences(features, module, v, declared=bool(told))
    nested, routes = found.pop("nested"), features._derivatives.routes
    plain = Routes(mixed=routes.mixed) == routes
    outcome = OUTCOMES[2 if told else 0 if plain else 1]
    words = "; ".join(told or routes.why)
    return Tried(outcome, words, max(found.values()), nested)


@dataclass(frozen=True)
class LayerSweep(Point):
    """All layers, or those of ``names``, on one draw of weights and inputs."""

    experiment: ClassVar[str] = "modules-sweep"
    draws: ClassVar[Draws] = Draws(tools=("TrainingProjector",))

    seed: int
    names: tuple[str, ...] = ()

    def __post_init__(self):
        for name in self.names:
            checks.one_of("layer", name, tuple(NETWORKS))

    def compute(self, run: Run = UNSAVED) -> Result:
        """Counts of outcomes; by layer its outcome, words and differences."""
        names = self.names or tuple(NETWORKS)
        found = run.tabulate(names, self._row)
        outcomes = found["outcomes"].tolist()
        counts = {outcome.replace(" ", "_"): outcomes.count(outcome) for outcome in OUTCOMES}
        wrong = int((~(found["differences"] <= EXACT)).sum())
        return {**counts, "layers": len(names), "wrong": wrong}, {
            "names": np.array(names),
            **found,
        }

    def _row(self, name: str, part: Run) -> dict[str, str | float]:
        one = tried(name, self.seed)
        return {
            "outcomes": one.outcome,
            "words": one.words,
            "differences": one.difference,
            "nested": one.nested,
        }


def sweep_points(seeds: Sequence[int] = (1,)) -> list[LayerSweep]:
    """All layers, once."""
    return [LayerSweep(seed) for seed in seeds]
