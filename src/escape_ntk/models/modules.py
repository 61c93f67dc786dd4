"""The Taylor terms of any torch.nn.Module in its parameters, and its tangent features.

f(x; θ₀ + Δ) = f(x; θ₀) + f_L(x; Δ) + f_Q(x; Δ) + O(‖Δ‖³), for each output of a module,
f_L = ∇_θ f(x; θ₀)·Δ,   f_Q = ½ Δᵀ∇²_θ f(x; θ₀)Δ,   Δ a flat vector of all P trainable parameters.
No Jacobian is kept unless :meth:`ModuleFeatures.jacobian` is asked for it.  With
:class:`escape_ntk.risk.projectors.TrainingProjector` on these features P_{≤k}, P_{>k} and R_2 are
those of the module.  Source: [D].
"""

from collections.abc import Mapping
from typing import SupportsIndex

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from escape_ntk import checks
from escape_ntk.checks import InputError, NonFiniteError, ShapeError, message
from escape_ntk.models.derivatives import Derivatives
from escape_ntk.models.linear_maps import curvature, pulled, pushed
from escape_ntk.models.private_copy import PrivateCopy
from escape_ntk.models.route_trial import exact_routes, settle_linear
from escape_ntk.models.row_function import function_of_rows

KEPT = 2**24
"""Numbers of a Jacobian that is kept unless said otherwise: 64 MiB in float32."""


class ModuleFeatures:
    """f_L and f_Q of ``module`` at fixed inputs X, as functions of the movement Δ (P,).

    X (n, …) are n inputs; the module returns (n,), (n, 1), or (n, C) with the column ``output``, or
    with ``output="all"`` for all N = n·C outputs, in the order of out.flatten(); else N = n.
    θ₀, buffers and modes are what they are now, in a private copy: whatever happens to the module
    later changes nothing but :meth:`movement`.  Parameters with requires_grad = False stay where
    they are and are not in Δ.

    A trial on two or three rows finds for f_L, f_Q and Φ the fastest way that is exact:
    ``route`` says which, and why.  Of f_L that is looked at on all rows of X, when it is first
    asked for there; of f_Q and Φ it is known for the rows of the trial.  ``chunk`` rows at a time:
    an evaluation holds the activations of ``chunk`` rows a few times, a Gram matrix 3·chunk·P
    numbers, 2·chunk·P where it is one block, :meth:`jacobian` (N + chunk)·P; the trial twenty
    vectors of P numbers in float64.
    With ``keep`` the Jacobian, N·P numbers, is computed once and kept: then f_L and its pullback
    are one matrix–vector product each.  None: where these are at most 2²⁴.

    Raises :class:`~escape_ntk.checks.InputError` for a module whose outputs are random, depend on
    the other rows or on earlier calls, or are not one real number a row; that has no exact
    derivatives, or second derivatives that are not those of its gradients; that cannot be copied;
    or without trainable parameters; and for inputs that are not floating point.
    :class:`~escape_ntk.checks.NonFiniteError` for NaN among the inputs or in the gradient of a row,
    and :class:`~escape_ntk.checks.ShapeError` for parameters of another dtype or device.  Warns
    with :class:`~escape_ntk.checks.DerivativeWarning` where the module's values and gradients
    differ, as with detach, padding_idx or a straight-through estimate, or jump: f_L and f_Q are
    then what its backward passes declare.
    """

    kernel_factor = 1.0
    """K over the Gram matrix of these features."""

    @torch.inference_mode(False)
    def __init__(
        self,
        module: nn.Module,
        X: Tensor,
        *,
        output: SupportsIndex | str | None = None,
        chunk: SupportsIndex = 256,
        keep: bool | None = False,
    ):
        self.chunk = checks.integer("chunk", chunk, least=1)
        self.X, self.module = _checked_inputs(X), module
        copy = PrivateCopy(module)
        _check_parameters(module, self.X)
        self._output = output
        column, outputs = function_of_rows(copy, self.X, output, self.chunk)
        self._derivatives = Derivatives(copy, column, outputs, self.chunk)
        self._derivatives.routes = exact_routes(self._derivatives, self.X)
        self.start = dict(zip(copy.start, self._derivatives.start, strict=True))
        self._layout = _layout(dict(module.named_parameters()))
        self._kept_rows, self._settled = None, False
        small = len(self) * self.size <= KEPT
        kept = small if keep is None else checks.flag("keep", keep)
        self._kept_rows = self.jacobian() if kept else None

    def __len__(self) -> int:
        return len(self.X) * self._derivatives.outputs

    def __repr__(self) -> str:
        return f"ModuleFeatures({len(self)} outputs, {self.size} parameters: {self.route})"

    @property
    def kept(self) -> Tensor | None:
        """The Jacobian Φ (N, P) if it is kept."""
        return self._kept_rows

    @property
    def size(self) -> int:
        """P, the number of trainable parameters."""
        return sum(self._derivatives.sizes)

    @property
    def route(self) -> str:
        """How f_L, f_Q and Φ are computed, and why not faster."""
        return str(self._derivatives.routes)

    @property
    def derivatives(self) -> Derivatives:
        """Φv, Φᵀc and more at inputs of any kind that :meth:`at` takes, without its trial.  [D]"""
        return self._derivatives

    @torch.inference_mode(False)
    def at(self, X: Tensor) -> "ModuleFeatures":
        """The same module at the same θ₀ and other inputs; refused as in the constructor."""
        X = _checked_inputs(X)
        if X.dtype != self.X.dtype or X.device != self.X.device:
            raise ShapeError(
                message(
                    expected=f"inputs like the first, {self.X.dtype} on {self.X.device}",
                    got=f"{X.dtype} on {X.device}",
                    remedy="X.to(features.X)",
                )
            )
        function_of_rows(self._derivatives.copy, X, self._output, self.chunk)
        other = object.__new__(type(self))
        other.__dict__ = self.__dict__ | {"X": X, "_kept_rows": None, "_settled": False}
        return other

    # ------------------------------------------------------------ movements

    def split(self, movement: Float[Tensor, " P"]) -> dict[str, Tensor]:
        """Δ by parameter name, each in its parameter's shape.

        :class:`~escape_ntk.checks.ShapeError` when Δ has another length than P, or another dtype or
        device than the parameters.
        """
        pieces = self._checked(movement).split(self._derivatives.sizes)
        return {k: v.view_as(self.start[k]) for k, v in zip(self.start, pieces, strict=True)}

    def join(self, pieces: Mapping[str, Tensor]) -> Float[Tensor, " P"]:
        """The inverse of :meth:`split`."""
        return torch.cat([pieces[name].reshape(-1) for name in self.start])

    def movement(self) -> Float[Tensor, " P"]:
        """Δ = θ − θ₀ of the module as it is now; carries its gradient.

        :class:`~escape_ntk.checks.ShapeError` when it has other parameters than at first.
        """
        now = dict(self.module.named_parameters())
        _check_layout(self._layout, _layout(now))
        return self.join({name: now[name] - value for name, value in self.start.items()})

    def _checked(self, movement: Tensor) -> Tensor:
        fits = movement.shape == (self.size,)
        if not fits or movement.dtype != self.X.dtype or movement.device != self.X.device:
            raise ShapeError(
                message(
                    expected=f"a movement of shape ({self.size},), one entry a parameter, "
                    f"{self.X.dtype} on {self.X.device}",
                    got=f"shape {tuple(movement.shape)}, {movement.dtype} on {movement.device}",
                    remedy="ModuleFeatures.join puts a dict of parameters into this form",
                )
            )
        return movement.clone() if movement.is_inference() else movement

    # ------------------------------------------------------------ values

    def value(self, movement: Float[Tensor, " P"]) -> Float[Tensor, " N"]:
        """f(x_i; θ₀ + Δ)."""
        with torch.inference_mode(False):
            out = self._derivatives.value(self.X, self._checked(movement))
        return out if torch.is_grad_enabled() else out.detach()

    def linear(self, movement: Float[Tensor, " P"]) -> Float[Tensor, " N"]:
        """f_L(x_i; Δ): one Jacobian-vector product.  Differentiable in Δ, to all orders.

        The first call at these inputs costs one more and a gradient: the route was tried on two
        rows or three, and where it is wrong on others it is given up for a slower one.  Then
        ``route`` says so; :class:`~escape_ntk.checks.InputError` where none is right.
        """
        movement = self._checked(movement)
        if self._kept_rows is not None:
            return self._kept_rows @ movement
        self._settle()
        return pushed(self._derivatives, self.X, movement)

    def _settle(self) -> None:
        """Once: cᵀΦv by the route of f_L is (Φᵀc)ᵀv by gradients, block by block, c and v random.

        A row that is wrong by its size moves that of a block by some 1/√chunk of its length.
        """
        maps = self._derivatives
        if self._settled or maps._inside_forward_mode("linear"):
            return
        generator = np.random.default_rng(3)  # NumPy's, which stays as it is within torch.func.vmap
        v = torch.from_numpy(generator.standard_normal(self.size)).to(self.X)
        signs = torch.from_numpy(generator.choice([-1.0, 1.0], len(self))).to(self.X)
        bound = 1e-3 if self.X.dtype == torch.float32 else 1e-6

        def apart(by: Derivatives, x: Tensor, c: Tensor) -> bool:
            f_L = pushed(by, x, v)
            if by.routes.linear == "rows":  # these are the gradients
                return not bool(torch.isfinite(f_L).all())
            return not float((c @ f_L - pulled(by, x, c) @ v).abs()) <= bound * float(f_L.norm())

        def wrong(by: Derivatives) -> int | None:
            for rows, x in self._blocks():
                if apart(by, x, signs[rows]):
                    single = zip(x.split(1), signs[rows].split(by.outputs), strict=True)
                    alone = (i for i, (row, c) in enumerate(single) if apart(by, row, c))
                    return rows.start // by.outputs + next(alone, 0)
            return None

        with torch.inference_mode(False), torch.autocast(self.X.device.type, enabled=False):
            settle_linear(maps, wrong)
        self._settled = True

    def terms(self, movement: Float[Tensor, " P"]) -> tuple[Tensor, Tensor]:
        """(f_L, f_Q), each (N,).  Differentiable in Δ, to all orders."""
        return curvature(self._derivatives, self.X, self._checked(movement))

    def remainder(self, movement: Float[Tensor, " P"]) -> Float[Tensor, " N"]:
        """f(θ₀ + Δ) − f(θ₀) − f_L − f_Q = O(‖Δ‖³) for smooth activations; use float64."""
        taylor = sum(self.terms(movement))
        return self.value(movement) - self.value(torch.zeros_like(movement)) - taylor

    # ------------------------------------------------------------ tangent features

    def linear_pullback(self, c: Float[Tensor, " N"]) -> Float[Tensor, " P"]:
        """Φᵀc = Σ_i c_i ∇_θ f(x_i; θ₀): one vector-Jacobian product."""
        checks.array("c", c, (len(self),), like=self.X)
        if self._kept_rows is not None:
            return self._kept_rows.T @ c
        return pulled(self._derivatives, self.X, c)

    @torch.inference_mode(False)
    def jacobian(self) -> Float[Tensor, "N P"]:
        """Φ: the tangent features, row by row.  N·P numbers.

        :class:`~escape_ntk.checks.NonFiniteError` names the first row that has NaN or infinity.
        """
        if self._kept_rows is not None:
            return self._kept_rows.clone()
        out = self.X.new_empty(len(self), self.size)
        for rows, x in self._blocks():
            self._derivatives.rows_into(x, out[rows])
            _check_rows(out[rows], rows.start, self._derivatives.outputs)
        return out

    @torch.inference_mode(False)
    def cross_gram(self, other: "ModuleFeatures") -> Float[Tensor, "N N2"]:
        """The empirical tangent kernel K(x, y) = ∇f(x)·∇f(y), in blocks of ``chunk`` rows.

        :class:`~escape_ntk.checks.InputError` when ``other`` is of another module or θ₀.
        :class:`~escape_ntk.checks.NonFiniteError` names the first row that has NaN or infinity.
        """
        self._check_same_function(other)
        own, there = list(self._blocks()), list(other._blocks())
        gram = self.X.new_empty(len(self), len(other))
        for i, (rows, x) in enumerate(own):
            a = self._jacobian_of(x, rows.start)
            if other is self:
                gram[rows, rows] = a @ a.T
            for columns, y in there[:i] if other is self else there:
                b = other._jacobian_of(y, columns.start)
                gram[rows, columns] = a @ b.T
                del b
                if other is self:
                    gram[columns, rows] = gram[rows, columns].T
        return gram

    def _check_same_function(self, other: object) -> None:
        """Refuse features of another f or θ₀."""
        got = "features of another kind"
        if isinstance(other, ModuleFeatures):
            one, two = self._derivatives, other._derivatives
            if one.copy is two.copy and one.column == two.column:
                return
            got = "those of another module"
            if _same_tensors(self.start, other.start):
                x, still = other.X[:2], other.X.new_zeros(other.size)
                try:
                    got *= not torch.equal(one.value(x, still), two.value(x, still))
                except Exception:
                    got = "those of a module of other inputs"
            elif {k: v.shape for k, v in self.start.items()} == {
                k: v.shape for k, v in other.start.items()
            }:
                got = "those of other parameters θ₀"
        if got:
            raise InputError(
                message(
                    expected="features of the same module at the same θ₀",
                    got=got,
                    remedy="features.at(X) for other inputs",
                )
            )

    def _blocks(self):
        """(places among the outputs, inputs) of at most ``chunk`` outputs."""
        outputs = self._derivatives.outputs
        count, start = max(1, self.chunk // outputs), 0
        for x in self.X.split(count):
            yield slice(start, start + len(x) * outputs), x
            start += len(x) * outputs

    def _jacobian_of(self, X: Tensor, first: int) -> Float[Tensor, "b P"]:
        out = X.new_empty(len(X) * self._derivatives.outputs, self.size)
        self._derivatives.rows_into(X, out)
        _check_rows(out, first, self._derivatives.outputs)
        return out


def empirical_leak(features: ModuleFeatures, projector, movement: Float[Tensor, " P"]):
    """R_2 = (1/n) Σ_i f_L(x_i; P_{>k}Δ)², a quadratic form in Δ with all its derivatives.

    ``projector``: a TrainingProjector of the same ``features``.  One Jacobian-vector product, and
    for its gradient (2/n)Φᵀ(I − U_kU_kᵀ)f_L one vector-Jacobian product.  A projector of other
    features raises :class:`~escape_ntk.checks.InputError`.  [A][C]
    """
    if projector.features is not features:
        raise InputError(
            message(
                expected="a projector built from these features",
                got=f"one built from {len(projector.features)} other inputs",
                remedy="TrainingProjector(features, n_k) with the same features object",
            )
        )
    return projector.high_outputs(features.linear(movement)).square().mean()


def _same_tensors(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    alike = a.keys() == b.keys() and all(a[k].dtype == b[k].dtype for k in a)
    return alike and all(torch.equal(a[k], b[k]) for k in a)


def _checked_inputs(X: Tensor) -> Tensor:
    """A copy of X if it is a non-empty finite floating tensor."""
    whole = isinstance(X, Tensor) and X.layout == torch.strided and X.ndim >= 1 and len(X) > 0
    if not whole or X.dtype not in (torch.float32, torch.float64):
        got = f"{X.dtype} of shape {tuple(X.shape)}" if isinstance(X, Tensor) else type(X).__name__
        half = isinstance(X, Tensor) and X.dtype in (torch.float16, torch.bfloat16)
        raise InputError(
            message(
                expected="floating-point inputs X (n, …), n ≥ 1, in float32 or float64",
                got=got,
                remedy="module.float() and X.float()"
                if half
                else "X.float(); for indices, with a module whose forward calls net(x.long())",
            )
        )
    if not bool(torch.isfinite(X).all()):
        bad = int((~torch.isfinite(X)).sum())
        raise NonFiniteError(
            message(
                expected="X to be finite",
                got=f"{bad} NaN or infinite entries",
                remedy="drop those rows",
            )
        )
    with torch.inference_mode(False):
        return X.detach().clone()


def _check_parameters(module: nn.Module, X: Tensor) -> None:
    if not any(p.requires_grad and p.numel() for p in module.parameters()):
        some = any(p.numel() for p in module.parameters())
        raise InputError(
            message(
                expected="a module with trainable parameters",
                got="none with requires_grad" if some else "none at all",
                remedy="module.requires_grad_(True)"
                if some
                else "nn.Parameter in its attributes; of a quantised module the one before",
            )
        )
    for name, p in module.named_parameters():
        real = p.requires_grad or p.is_floating_point()
        dense = p.layout == torch.strided
        if not dense or p.device != X.device or (real and p.dtype != X.dtype):
            sort = "" if dense else f"{p.layout}, "
            like = (
                "torch.complex(a, b) of two real parameters" if p.is_complex() else "module.to(X)"
            )
            raise ShapeError(
                message(
                    expected=f"parameter {name!r} like the inputs, {X.dtype} on {X.device}",
                    got=f"{sort}{p.dtype} on {p.device}",
                    remedy=like if dense else "a dense parameter: p.to_dense()",
                )
            )


def _layout(parameters: Mapping[str, Tensor]) -> dict[str, tuple]:
    """Name → what may not change of a parameter."""
    return {
        name: (tuple(p.shape), p.dtype, p.device, p.requires_grad) for name, p in parameters.items()
    }


def _check_layout(then: Mapping[str, tuple], now: Mapping[str, tuple]) -> None:
    if now == then:
        return
    words = ("shape", "dtype", "device")
    changed = [f"{name!r} is gone" for name in then if name not in now]
    changed += [f"{name!r} is new" for name in now if name not in then]
    for name in (name for name in then if name in now):
        for word, before, after in zip(words, then[name], now[name], strict=False):
            if before != after:
                changed.append(f"{word} of {name!r} was {before}, is {after}")
        if now[name][3] and not then[name][3]:
            changed.append(f"{name!r} was frozen, is trainable")
    if changed:
        raise ShapeError(
            message(
                expected="the module with the parameters it had when the features were made",
                got="; ".join(changed[:3]),
                remedy="build it anew after such changes",
            )
        )


def _check_rows(rows: Tensor, first: int, outputs: int) -> None:
    """Refuse NaN or infinity in rows of the Jacobian."""
    sums = rows.sum(1)
    if not bool(torch.isfinite(sums).all()):
        bad = (~torch.isfinite(rows).all(1)).nonzero()
        if len(bad):
            place = first + int(bad[0, 0])
            raise NonFiniteError(
                message(
                    expected="finite gradients at θ₀",
                    got=f"NaN or infinity at row {place // outputs} of X",
                    remedy="drop that row, or mend the module there (a norm has none at 0)",
                )
            )
