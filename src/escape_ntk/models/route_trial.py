"""Which routes to f_L, f_Q and Φ are exact for a module?  Tried on two rows.

Each is held against plain gradients of single rows, in float64 where the module runs in it, and the
first that agrees to rounding, and runs in the module's own precision, is kept.
Plain gradients are themselves held against differences:

* Gradients against differences of the values.  Where they differ, f_L is declared by the module not
  to be the derivative (detach, a straight-through estimate, a backward of its own): a warning.  f_Q
  is then what its backward passes declare, and nothing can contradict it.  A warning too where the
  values jump at θ₀, and have no derivative.
* Else second derivatives against differences of the gradients.  Where they differ, nothing declares
  it: constants in a backward, ``once_differentiable``, a rule of torch that is wrong.  f_Q would be
  a wrong number: refused.

Source: [D].
"""

import sys
import warnings
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from escape_ntk import checks
from escape_ntk.checks import InputError, NonFiniteError, message
from escape_ntk.models.derivatives import JACOBIAN, LINEAR, QUADRATIC, Derivatives, Routes
from escape_ntk.models.private_copy import plainly
from escape_ntk.models.random_states import as_it_was
from escape_ntk.models.row_function import close, in_words

_APPLY = torch.autograd.Function.apply.__func__.__code__  # type: ignore
_ROUNDING = {torch.float64: 1e-8, torch.float32: 3e-5}
"""How far, relatively, two exact routes may be apart; a stricter one costs only speed."""
_STEPS = {torch.float64: (1e-3, 1e-4, 1e-5), torch.float32: (3e-2, 1e-2, 3e-3)}
"""Steps of differences relative to ‖θ₀‖."""
_GAP = {torch.float64: 1e-5, torch.float32: 1e-2}
"""The relative gap between differences and derivative from which on they differ."""
_TINY, _JUMP = 1e-9, 1e-5
"""A step in which values that change by _JUMP, relatively, are said to jump."""


def exact_routes(derivatives: Derivatives, X: Tensor) -> Routes:
    """The first route to each of f_L, f_Q and Φ that agrees with plain gradients of single rows.

    Warns with :class:`~escape_ntk.checks.DerivativeWarning` where the module's values and its
    gradients differ.  :class:`~escape_ntk.checks.InputError` where forward and reverse mode differ
    and the values side with neither reverse, where the gradients and the second derivatives of them
    differ, or where no route is exact;
    :class:`~escape_ntk.checks.NonFiniteError` for a row without a finite value or gradient.
    """
    with as_it_was(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        probe = X[sorted({0, len(X) - 1})]
        trial, kept = _sharpest(derivatives, probe), []
        found = _Trial(trial, probe.to(trial.start[0]), derivatives).routes(kept)
    for text in kept:
        warnings.warn(text, checks.DerivativeWarning, stacklevel=_outside())
    return found


def settle_linear(derivatives: Derivatives, wrong: Callable[[Derivatives], int | None]) -> bool:
    """Leave a route to f_L that holds on all rows of X, where the trial saw two; whether another.

    A forward derivative may be wrong at some inputs only.  ``wrong``: the place in X of a row at
    which a route is, or None.  :class:`~escape_ntk.checks.InputError` where every route is.
    """
    first, row = derivatives.routes, None
    for name in LINEAR[LINEAR.index(first.linear) :]:
        found = wrong(derivatives.by(linear=name))
        if found is None:
            if row is not None:
                why = (*first.why, f"f_L {first.linear} is not exact at row {row} of X")
                derivatives.routes = replace(first, linear=name, why=why)
            return row is not None
        row = found
    raise InputError(
        message(
            expected="f_L as the gradients of single rows have it",
            got=f"another at row {row} of X",
            remedy="look at the gradient there: a root or a norm at 0? Then drop the row",
        )
    )


def _sharpest(derivatives: Derivatives, probe: Tensor) -> Derivatives:
    """In float64, where the module runs in it and is the same function."""
    d, start = derivatives, derivatives.start[0]
    if start.dtype == torch.float64:
        return d
    try:
        sharp = Derivatives(d.copy.in_float64(), d.column, d.outputs, d.chunk)
        f = sharp.value(probe.double(), probe.new_zeros(sum(d.sizes), dtype=torch.float64))
        rough = d.value(probe, probe.new_zeros(sum(d.sizes)))
    except Exception:
        return d
    same = f.dtype == torch.float64 and close(f.to(rough), rough, exact=False)
    return sharp if same else d


class _Trial:
    """Routes held against plain gradients of single rows."""

    def __init__(self, derivatives: Derivatives, probe: Tensor, own: Derivatives):
        self.d, self.X, self.own = derivatives, probe, own
        flat = torch.cat([p.reshape(-1) for p in self.d.start])
        generator = torch.Generator().manual_seed(0)
        v = torch.randn(len(flat), generator=generator, dtype=torch.float64).to(flat)
        size = float(flat.norm()) or 1.0
        self.v = v * (size / v.norm())
        self.zero = torch.zeros_like(v)
        self.rounding = _ROUNDING[flat.dtype]

    def routes(self, kept: list[str]) -> Routes:
        """The routes; words for warnings go into ``kept``."""
        d, why = self.d, []
        alone, looks = self._looks_at_values()
        if alone:
            why.append(f"{looks}: one row at a time")
            same = self.own is d
            d = self.d = d.by(alone=True)
            self.own = d if same else self.own.by(alone=True)
        self.f = d.value(self.X, self.zero)
        self.J, self.linear = self._slopes()
        self._check_finite()
        self.scale = float(self.f.abs().max()) + float(self.linear.abs().max())
        differs = self._values_differ_from_gradients()
        forward = self._try(lambda: d.by(linear="forward").push(self.X, self.v))
        if isinstance(forward, Tensor) and not self._agrees(forward, self.linear):
            if differs:
                raise InputError(self._disagree())
        elif differs and not isinstance(forward, Tensor) and self._hides_gradients():
            raise InputError(self._disagree())
        if differs:
            kept.append(
                "the values of this module and its gradients differ (detach, padding_idx, a "
                "straight-through estimate, or a backward of its own): f_L and f_Q are those of "
                "its gradients"
            )
        elif self._jumps():
            kept.append(
                "the values of this module jump at θ₀ (a sign, rounding, or a comparison): f_L and "
                "f_Q are those of its gradients"
            )
        linear = self._first("f_L", LINEAR, self._linear_by, self.linear, why)
        self.quadratic = self._curvature()
        quadratic = self._first("f_Q", QUADRATIC, self._quadratic_by, self.quadratic, why)
        if not differs and self._gradients_differ_from_curvature():
            raise InputError(_wrong_curvature())
        mixed = self._mixed_route()
        jacobian = self._first("Φ", JACOBIAN, self._jacobian_by, self.J, why)
        return Routes(linear, quadratic, mixed, jacobian, alone, tuple(why))

    # ------------------------------------------------------------ candidates

    def _linear_by(self, name: str) -> Tensor:
        return self.d.by(linear=name).push(self.X, self.v)

    def _quadratic_by(self, name: str) -> Tensor:
        linear, quadratic = self.d.by(quadratic=name).terms(self.X, self.v)
        return quadratic if self._agrees(linear, self.linear) else linear + float("nan")

    def _jacobian_by(self, name: str) -> Tensor:
        out = torch.full_like(self.J, float("nan"))
        self.d.by(jacobian=name).rows_into(self.X, out)
        return out

    def _first(
        self, what: str, names: tuple[str, ...], by: Callable, wanted: Tensor, why: list[str]
    ) -> str:
        """The first name whose route gives ``wanted``; why the faster ones do not, into ``why``."""
        said = []
        for name in names:
            got = self._try(lambda name=name: by(name))
            if isinstance(got, Tensor) and self._agrees(got, wanted):
                got = self._in_own_precision(what, name) or got
            if isinstance(got, Tensor) and self._agrees(got, wanted):
                why += said[:1]
                return name
            fault = "is not exact here" if isinstance(got, Tensor) else f"fails, {in_words(got)}"
            said.append(f"{what} {name} {fault}")
        raise InputError(_no_route(what, said, self._layer_without(what)))

    def _mixed_route(self) -> str:
        for name in ("reverse", "rows"):
            got = self._try(lambda name=name: self.d.by(mixed=name).mixed(self.X, self.v, self.v))
            exact = isinstance(got, Tensor) and self._agrees(0.5 * got, self.quadratic)
            if exact and self._in_own_precision("mixed", name) is None:
                return name
        return "rows"

    def _in_own_precision(self, what: str, name: str) -> Exception | None:
        """What a route raises in the module's precision, in which other kernels may be chosen."""
        d = self.own
        if d is self.d:
            return None
        X, v = self.X.to(d.start[0]), self.v.to(d.start[0])
        route: dict[str, Callable[[], object]] = {
            "f_L": lambda: d.by(linear=name).push(X, v),
            "f_Q": lambda: d.by(quadratic=name).terms(X, v),
            "mixed": lambda: d.by(mixed=name).mixed(X, v, v),
            "Φ": lambda: d.by(jacobian=name).rows_into(X, X.new_empty(self.J.shape)),
        }
        try:
            route[what]()
        except Exception as error:
            return error
        return None

    def _try(self, call: Callable[[], Tensor]) -> Tensor | Exception:
        try:
            return call()
        except Exception as error:
            return error

    def _agrees(self, got: Tensor, wanted: Tensor) -> bool:
        finite = wanted[torch.isfinite(wanted)]
        scale = self.scale if wanted.ndim == 1 else 0.0
        scale += float(finite.abs().max()) if finite.numel() else 0.0
        return got.shape == wanted.shape and torch.allclose(
            got, wanted, rtol=0, atol=self.rounding * scale, equal_nan=True
        )

    # ------------------------------------------------------------ what is exact

    def _slopes(self) -> tuple[Tensor, Tensor]:
        """Φ of the probe and Φv, by plain gradients of single rows."""
        J = self.X.new_empty(len(self.f), len(self.v))
        try:
            self.d.by(jacobian="rows").rows_into(self.X, J)
        except Exception as error:
            raise InputError(
                _no_route("Φ", [f"Φ rows fails, {in_words(error)}"], self._layer_without("Φ"))
            ) from error
        return J, J @ self.v

    def _curvature(self) -> Tensor:
        """½vᵀ∇²f v by gradients of gradients of single rows, else by differences of gradients."""
        try:
            return self.d.by(quadratic="rows").terms(self.X, self.v)[1]
        except Exception as error:
            raise InputError(
                _no_route("f_Q", [f"f_Q rows fails, {in_words(error)}"], self._layer_without("f_Q"))
            ) from error

    def _check_finite(self) -> None:
        bad = ~(torch.isfinite(self.f) & torch.isfinite(self.J).all(1))
        if bool(bad.any()):
            place = int(bad.nonzero()[0, 0]) // self.d.outputs
            row = "the first row of X" if not place else "the last row of X"
            raise NonFiniteError(
                message(
                    expected="finite outputs and gradients at θ₀",
                    got=f"NaN or infinity at {row}",
                    remedy="drop that row, or mend the module there (a norm has none at 0)",
                )
            )

    # ------------------------------------------------------------ values against derivatives

    def _contradicted(self, of: Callable[[float], Tensor], told: Tensor, scale: float) -> bool:
        """Whether an entry of ``told`` is not the derivative of ``of`` at 0.

        One-sided differences of second order at several steps.  An entry is contradicted where at
        two steps both sides agree with one another, and the two steps too, but not with it; kinks
        and rounding part the sides, curvature the steps.
        """
        gap = _GAP[self.X.dtype] * scale
        middle, before = of(0.0), None
        doubtful, wrong = torch.ones_like(told) > 0, torch.ones_like(told) < 0
        for h in _STEPS[self.X.dtype]:
            right, left = ((4 * of(s) - of(2 * s) - 3 * middle) / (2 * s) for s in (h, -h))
            mean = (right + left) / 2
            off, smooth = (mean - told).abs(), (right - left).abs() <= gap / 10
            doubtful &= ~(smooth & (off <= gap))
            if not bool(doubtful.any()):
                return False
            if before is not None:
                wrong |= before[1] & smooth & (off > gap) & ((mean - before[0]).abs() < off / 10)
            before = mean, smooth
        return bool((doubtful & wrong).any())

    def _values_differ_from_gradients(self) -> bool:
        try:
            return self._contradicted(
                lambda t: self.d.value(self.X, t * self.v), self.linear, self.scale
            )
        except Exception:
            return False

    def _jumps(self) -> bool:
        """Whether values change by far more than the derivative says in a tiny step."""
        if self.X.dtype != torch.float64:
            return False
        try:
            sides = [self.d.value(self.X, s * self.v) for s in (_TINY, -_TINY)]
        except Exception:
            return False
        return any(bool(((f - self.f).abs() > _JUMP * self.scale).any()) for f in sides)

    def _gradients_differ_from_curvature(self) -> bool:
        c = torch.linspace(1, 2, len(self.f), dtype=self.f.dtype, device=self.f.device)
        start = self.d.start

        def slope(t: float) -> Tensor:
            moved = self.d.by()
            pieces = self.d._pieces(t * self.v)
            moved.start = [p + piece for p, piece in zip(start, pieces, strict=True)]
            return (moved.pull(self.X, c) @ self.v).reshape(1)

        told = (2 * c @ self.quadratic).reshape(1)
        try:
            return self._contradicted(slope, told, self.scale + float(told.abs().max()))
        except Exception:
            return False

    def _hides_gradients(self) -> bool:
        """Whether operations on the parameters run with gradients off, no Function's own."""
        found = []

        class Watch(torch.overrides.TorchFunctionMode):
            def __torch_function__(self, func, types, args=(), kwargs=None):
                out = func(*args, **(kwargs or {}))
                tensors = [a for a in args if isinstance(a, Tensor)]
                if (
                    not torch.is_grad_enabled()
                    and any(t.requires_grad for t in tensors)
                    and not _inside_function()
                ):
                    found.append(isinstance(out, Tensor) and out.is_floating_point())
                return out

        leaves = [p.detach().requires_grad_() for p in self.d.start]
        with plainly(self.X.device, self.d.recurrent), Watch():
            self.d.copy(leaves, self.X)
        return any(found)

    def _looks_at_values(self) -> tuple[bool, str]:
        """Whether the module decides by values which operations to do."""

        def whole(x: Tensor) -> Tensor:
            one = torch.func.vmap(lambda row: self.d.copy(self.d.start, row[None]))
            return one(x)

        try:
            with plainly(self.X.device, self.d.recurrent):
                whole(self.X)
        except Exception as error:
            text = str(error)
            signs = ("data-dependent", ".item()", "dynamic shape", "Tensor.tolist")
            return any(sign in text for sign in signs), "the module looks at values"
        return False, ""

    def _disagree(self) -> str:
        for name, layer in self.d.copy.module.named_modules():
            if getattr(layer, "scale_grad_by_freq", False):
                return message(
                    expected="gradients that are those of the values",
                    got=f"those of {type(layer).__name__} {name!r}, over how often an index occurs "
                    "in a batch",
                    remedy="scale_grad_by_freq=False",
                )
            if layer._backward_hooks or layer._backward_pre_hooks:
                return message(
                    expected="gradients that are those of the values",
                    got=f"others, with a backward hook on {type(layer).__name__} {name!r}",
                    remedy="build before hooks that change gradients; scale them in the optimizer",
                )
        return message(
            expected="gradients that see what the values depend on",
            got="operations on the parameters that gradients do not see (no_grad or .data in "
            "forward)",
            remedy="freeze with requires_grad_(False), or .detach() the result outside of no_grad",
        )

    def _layer_without(self, what: str) -> str:
        """The first layer without this derivative, in words."""
        entered: list[tuple[str, nn.Module, tuple]] = []
        with plainly(self.X.device, self.d.recurrent):
            self.d.copy.trace(self.X, lambda *args: entered.append(args), lambda *args: None)
            for name, layer, inputs in reversed(entered):
                if any(True for _ in layer.children()):
                    continue
                if not _has_derivatives(layer, inputs, second=what == "f_Q"):
                    return f"{type(layer).__name__} {name!r}"
        return type(self.d.copy.module).__name__


def _outside() -> int:
    """The stacklevel of the first caller that is neither of this package nor of one it calls.

    A warning is shown once a place: one that is inside would be shown for the first module alone.
    """
    frame, level = sys._getframe(1), 1
    inside = "escape_ntk.", "torch.", "jaxtyping."
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(inside):
        frame, level = frame.f_back, level + 1
    return level


def _inside_function() -> bool:
    """Whether the caller stands in the forward of a torch.autograd.Function."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not _APPLY:
        frame = frame.f_back
    return frame is not None


def _has_derivatives(layer: nn.Module, inputs: tuple, second: bool) -> bool:
    real = [x for x in inputs if isinstance(x, Tensor) and x.is_floating_point()]
    leaves = {id(x): x.detach().clone().requires_grad_() for x in real}
    given = [leaves.get(id(x), x) for x in inputs]
    wanted = [*leaves.values(), *layer.parameters()]
    try:
        out = layer(*[x.clone() if isinstance(x, Tensor) else x for x in given])
        out = out[0] if isinstance(out, tuple) else out
        total = out.square().sum() if out.requires_grad else None
        if total is None:
            return True
        slopes = torch.autograd.grad(total, wanted, create_graph=second, allow_unused=True)
        squares = [g.square().sum() for g in slopes if g is not None and g.requires_grad]
        if second and squares:
            torch.autograd.grad(torch.stack(squares).sum(), wanted, allow_unused=True)
    except Exception:
        return False
    return True


def _wrong_curvature() -> str:
    return message(
        expected="second derivatives that are the derivatives of the gradients",
        got="others (once_differentiable, a backward with constants, or detach in a product)",
        remedy="a backward written in differentiable operations of ctx.saved_tensors",
    )


def _no_route(what: str, said: list[str], layer: str) -> str:
    remedies = {
        "Φ": "a backward written in torch operations",
        "f_Q": "a backward written in differentiable operations, without once_differentiable",
    }
    written = any("modified by an inplace operation" in words for words in said)
    return message(
        expected=f"a module with an exact {what}",
        got=f"none at {layer}: {'; '.join(said)}",
        remedy="torch.where or cat in the place of writing into a tensor"
        if written
        else remedies.get(what, remedies["f_Q"]),
    )
