"""The Taylor terms of any torch.nn.Module in its parameters, and its tangent features.

f(x; θ₀ + Δ) = f(x; θ₀) + f_L(x; Δ) + f_Q(x; Δ) + O(‖Δ‖³), for a module with one output,
f_L = ∇_θ f(x; θ₀)·Δ,   f_Q = ½ Δᵀ∇²_θ f(x; θ₀)Δ,   Δ a flat vector of all P trainable parameters.
f_L comes from one forward-mode derivative, f_Q from two, one inside the other; tangent features
from reverse mode.  No Jacobian is kept unless :meth:`ModuleFeatures.jacobian` is asked for it.
With :class:`escape_ntk.risk.projectors.TrainingProjector` on these features P_{≤k}, P_{>k} and R_2
are those of the module.  Source: [D].
"""

from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vjp, vmap

from escape_ntk import checks
from escape_ntk.checks import InputError, ShapeError, message

RANDOM = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)
"""Layers whose training mode makes f(x) random, or a function of the other rows of the batch."""


class ModuleFeatures:
    """f_L and f_Q of ``module`` at fixed inputs X, as functions of the movement Δ (P,).

    X (n, …) are n inputs; the module returns (n,), (n, 1), or (n, C) with the column ``output``.
    θ₀ is what the parameters are now, copied: training the module afterwards does not change it.
    Parameters with requires_grad = False stay where they are and are not in Δ.  ``chunk`` rows at a
    time: an evaluation holds the activations of ``chunk`` rows two or four times, a Gram matrix
    2·chunk·P numbers.  With ``keep`` the Jacobian, n·P numbers, is computed once and kept: then f_L
    and its pullback are one matrix–vector product each.  Raises
    :class:`~escape_ntk.checks.InputError` for dropout or batch norm in training mode, inputs that
    are not floating point, several outputs without ``output``, and a module without trainable
    parameters; :class:`~escape_ntk.checks.NonFiniteError` for NaN among the inputs, and
    :class:`~escape_ntk.checks.ShapeError` for parameters of another dtype or device.
    """

    kernel_factor = 1.0
    """K over the Gram matrix of these features."""

    def __init__(
        self,
        module: nn.Module,
        X: Tensor,
        *,
        output: int | None = None,
        chunk: int = 256,
        keep: bool = False,
    ):
        self.X, self.module = _checked_inputs(module, X), module
        self.chunk = checks.integer("chunk", chunk, least=1)
        trainable = {k: p for k, p in module.named_parameters() if p.requires_grad}
        _check_parameters(trainable, self.X)
        self.start = {name: p.detach().clone() for name, p in trainable.items()}
        fixed = {k: p for k, p in module.named_parameters() if not p.requires_grad}
        kept = {**fixed, **dict(module.named_buffers())}
        self._kept = {name: value.detach().clone() for name, value in kept.items()}
        self._column = _column(self._outputs(self.start, self.X[:1]), output)
        self._kept_rows = self.jacobian() if keep else None

    def __len__(self) -> int:
        return len(self.X)

    @property
    def size(self) -> int:
        """P, the number of trainable parameters."""
        return sum(p.numel() for p in self.start.values())

    def at(self, X: Tensor) -> "ModuleFeatures":
        """The same module at the same θ₀ and other inputs."""
        other = object.__new__(type(self))
        changed = {"X": _checked_inputs(self.module, X), "_kept_rows": None}
        other.__dict__ = self.__dict__ | changed
        return other

    # ------------------------------------------------------------ movements

    def split(self, movement: Float[Tensor, " P"]) -> dict[str, Tensor]:
        """Δ by parameter name, each in its parameter's shape.

        :class:`~escape_ntk.checks.ShapeError` when Δ has another length than P.
        """
        if movement.shape != (self.size,):
            raise ShapeError(
                message(
                    expected=f"a movement of shape ({self.size},), one entry a parameter",
                    got=f"shape {tuple(movement.shape)}",
                    remedy="ModuleFeatures.join puts a dict of parameters into this form",
                )
            )
        pieces = movement.split([p.numel() for p in self.start.values()])
        return {k: v.view_as(self.start[k]) for k, v in zip(self.start, pieces, strict=True)}

    def join(self, pieces: Mapping[str, Tensor]) -> Float[Tensor, " P"]:
        """The inverse of :meth:`split`."""
        return torch.cat([pieces[name].reshape(-1) for name in self.start])

    def movement(self) -> Float[Tensor, " P"]:
        """Δ = θ − θ₀ of the module as it is now; carries its gradient."""
        now = dict(self.module.named_parameters())
        return self.join({name: now[name] - value for name, value in self.start.items()})

    # ------------------------------------------------------------ values

    def value(self, movement: Float[Tensor, " P"]) -> Float[Tensor, " n"]:
        """f(x_i; θ₀ + Δ)."""
        delta = self.split(movement)
        moved = {name: p + delta[name] for name, p in self.start.items()}
        return torch.cat([self._output(moved, x) for x in self.X.split(self.chunk)])

    def linear(self, movement: Float[Tensor, " P"]) -> Float[Tensor, " n"]:
        """f_L(x_i; Δ): one Jacobian-vector product."""
        delta = self.split(movement)
        if self._kept_rows is not None:
            return self._kept_rows @ movement
        return torch.cat(
            [
                jvp(lambda p, x=x: self._output(p, x), (self.start,), (delta,))[1]
                for x in self.X.split(self.chunk)
            ]
        )

    def terms(self, movement: Float[Tensor, " P"]) -> tuple[Tensor, Tensor]:
        """(f_L, f_Q), each (n,): forward over forward.  Differentiable in Δ."""
        delta, rows = self.split(movement), []
        for x in self.X.split(self.chunk):

            def slope(p, x=x):
                return jvp(lambda q: self._output(q, x), (p,), (delta,))[1]

            rows.append(jvp(slope, (self.start,), (delta,)))
        linear, curved = (torch.cat(column) for column in zip(*rows, strict=True))
        return linear, curved / 2

    def remainder(self, movement: Float[Tensor, " P"]) -> Float[Tensor, " n"]:
        """f(θ₀ + Δ) − f(θ₀) − f_L − f_Q = O(‖Δ‖³) for smooth activations; use float64."""
        taylor = sum(self.terms(movement))
        return self.value(movement) - self.value(torch.zeros_like(movement)) - taylor

    # ------------------------------------------------------------ tangent features

    def linear_pullback(self, c: Float[Tensor, " n"]) -> Float[Tensor, " P"]:
        """Φᵀc = Σ_i c_i ∇_θ f(x_i; θ₀): one vector-Jacobian product."""
        checks.array("c", c, (len(self),), like=self.X)
        if self._kept_rows is not None:
            return self._kept_rows.T @ c
        total = torch.zeros(self.size, dtype=self.X.dtype, device=self.X.device)
        for x, weight in zip(self.X.split(self.chunk), c.split(self.chunk), strict=True):
            back = vjp(lambda p, x=x: self._output(p, x), self.start)[1]
            total += self.join(back(weight)[0])
        return total

    def jacobian(self) -> Float[Tensor, "n P"]:
        """Φ: the tangent features, row by row.  n·P numbers."""
        return torch.cat(list(self._rows()))

    def cross_gram(self, other: "ModuleFeatures") -> Float[Tensor, "n n2"]:
        """The empirical tangent kernel K(x, y) = ∇f(x)·∇f(y), in blocks of ``chunk`` rows."""
        if other is self:
            return self._own_gram()
        return torch.cat([torch.cat([a @ b.T for b in other._rows()], dim=1) for a in self._rows()])

    def _own_gram(self) -> Tensor:
        """K of these inputs; each pair of blocks once."""
        n, blocks = len(self), self.X.split(self.chunk)
        gram = self.X.new_empty(n, n)
        for i, x in enumerate(blocks):
            a, rows = self._jacobian_of(x), slice(i * self.chunk, i * self.chunk + len(x))
            gram[rows, rows] = a @ a.T
            for j, y in enumerate(blocks[:i]):
                columns = slice(j * self.chunk, j * self.chunk + len(y))
                gram[rows, columns] = a @ self._jacobian_of(y).T
                gram[columns, rows] = gram[rows, columns].T
        return gram

    def _rows(self) -> Iterator[Tensor]:
        return (self._jacobian_of(x) for x in self.X.split(self.chunk))

    def _jacobian_of(self, X: Tensor) -> Float[Tensor, "b P"]:
        def one(p, x):
            return self._output(p, x[None])[0]

        pieces = vmap(grad(one), in_dims=(None, 0))(self.start, X)
        return torch.cat([pieces[name].flatten(1) for name in self.start], dim=1)

    def _outputs(self, parameters: Mapping[str, Tensor], X: Tensor) -> Tensor:
        return functional_call(self.module, {**self._kept, **parameters}, (X,))

    def _output(self, parameters: Mapping[str, Tensor], X: Tensor) -> Tensor:
        out = self._outputs(parameters, X)
        return out if out.ndim == 1 else out[:, self._column]


class _QuadraticForm(torch.autograd.Function):
    """A number whose gradient was computed beside it."""

    @staticmethod
    def forward(ctx, movement, value, gradient):
        ctx.save_for_backward(gradient)
        return value

    @staticmethod
    def backward(ctx, *grad_outputs):
        return grad_outputs[0] * ctx.saved_tensors[0], None, None


def empirical_leak(features: ModuleFeatures, projector, movement: Float[Tensor, " P"]):
    """R_2 = (1/n) Σ_i f_L(x_i; P_{>k}Δ)²; its gradient (2/n)Φᵀ(I − U_kU_kᵀ)f_L in ``backward``.

    ``projector``: a TrainingProjector of the same ``features``.  One Jacobian-vector product and,
    where the movement needs a gradient, one vector-Jacobian product.  A projector of other features
    raises :class:`~escape_ntk.checks.InputError`.  [A][C]
    """
    if projector.features is not features:
        raise InputError(
            message(
                expected="a projector built from these features",
                got=f"one built from {len(projector.features)} other inputs",
                remedy="TrainingProjector(features, n_k) with the same features object",
            )
        )
    fixed = movement.detach()
    high = projector.high_outputs(features.linear(fixed))
    value = high.square().mean()
    if not movement.requires_grad:
        return value
    gradient = features.linear_pullback(2 / len(features) * high)
    return _QuadraticForm.apply(movement, value, gradient)


def _checked_inputs(module: nn.Module, X: Tensor) -> Tensor:
    """X if it is a non-empty finite floating tensor and f is a function of each row alone."""
    for name, layer in module.named_modules():
        if isinstance(layer, RANDOM) and layer.training:
            raise InputError(
                message(
                    expected="a module whose output at x depends on x and the parameters alone",
                    got=f"{type(layer).__name__} {name!r} in training mode",
                    remedy="call module.eval() first",
                )
            )
    if not isinstance(X, Tensor) or not X.is_floating_point() or X.ndim < 1 or not len(X):
        got = f"{X.dtype} of shape {tuple(X.shape)}" if isinstance(X, Tensor) else type(X).__name__
        raise InputError(
            message(
                expected="floating-point inputs X (n, …), n ≥ 1",
                got=got,
                remedy="X.float(); for indices, the output of the embedding",
            )
        )
    if not bool(torch.isfinite(X).all()):
        bad = int((~torch.isfinite(X)).sum())
        raise checks.NonFiniteError(
            message(
                expected="X to be finite",
                got=f"{bad} NaN or infinite entries",
                remedy="drop those rows",
            )
        )
    return X


def _check_parameters(trainable: Mapping[str, Tensor], X: Tensor) -> None:
    if not trainable:
        raise InputError(
            message(
                expected="a module with trainable parameters",
                got="none with requires_grad",
                remedy="module.requires_grad_(True)",
            )
        )
    for name, p in trainable.items():
        if p.dtype != X.dtype or p.device != X.device:
            raise ShapeError(
                message(
                    expected=f"parameter {name!r} like the inputs, {X.dtype} on {X.device}",
                    got=f"{p.dtype} on {p.device}",
                    remedy="module.to(X)",
                )
            )


def _column(out: Tensor, output: int | None) -> int:
    """The output column; refuses several without a choice."""
    if out.ndim == 1:
        return 0
    if out.ndim != 2 or (out.shape[1] > 1 and output is None):
        raise InputError(
            message(
                expected="one output a row: (n,) or (n, 1)",
                got=f"{tuple(out.shape)} for one row",
                remedy="choose a column with output=…, or add a head with one output",
            )
        )
    column = 0 if output is None else checks.integer("output", output, least=0)
    if column >= out.shape[1]:
        raise InputError(
            message(
                expected=f"output < {out.shape[1]}, the module's outputs",
                got=output,
                remedy="count from 0",
            )
        )
    return column
