"""Φv, Φᵀc and f_Q as operations that can be differentiated to all orders, in every mode.

Each derivative of one is another of four: Φv (N,), Φᵀc (P,), uᵀ∇²f v (N,) and Σ_i c_i ∇²f_i v (P,),
all at the fixed θ₀.  So gradients, Jacobian-vector products, Hessians and vmap over functions of Δ
hold whatever route computes the values.  Source: [D].
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from escape_ntk.models.derivatives import Derivatives


def pushed(maps: Derivatives, X: Tensor, v: Tensor) -> Tensor:
    """Φv, (N,)."""
    return _Push.apply(maps, X, v)  # type: ignore


def pulled(maps: Derivatives, X: Tensor, c: Tensor) -> Tensor:
    """Φᵀc, (P,)."""
    return _Pull.apply(maps, X, c)  # type: ignore


def curvature(maps: Derivatives, X: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """(Φv, ½vᵀ∇²f v), each (N,)."""
    return _Terms.apply(maps, X, v)  # type: ignore


class _Operation(Function):
    """Of fixed derivatives and inputs, and one or two vectors; batches of vectors one by one."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        ctx.fixed = inputs[:2]
        ctx.save_for_backward(*inputs[2:])
        ctx.save_for_forward(*inputs[2:])

    @classmethod
    def _of_batch(cls, info: Any, in_dims: tuple, maps: Derivatives, X: Tensor, *vectors: Tensor):
        rows = [
            [v if d is None else v.select(d, i) for v, d in zip(vectors, in_dims[2:], strict=True)]
            for i in range(info.batch_size)
        ]
        found = [cls.apply(maps, X, *row) for row in rows]
        if isinstance(found[0], tuple):
            return tuple(torch.stack(part) for part in zip(*found, strict=True)), (0, 0)
        return torch.stack(found), 0


class _Push(_Operation):
    @staticmethod
    def forward(maps, X, v):
        return maps.push(X, v)

    @staticmethod
    def backward(ctx, *grads):
        return None, None, _Pull.apply(*ctx.fixed, grads[0])

    @staticmethod
    def jvp(ctx, *tangents):
        return _Push.apply(*ctx.fixed, tangents[2])

    @staticmethod
    def vmap(info, in_dims, *args):
        return _Push._of_batch(info, in_dims, *args)


class _Pull(_Operation):
    @staticmethod
    def forward(maps, X, c):
        return maps.pull(X, c)

    @staticmethod
    def backward(ctx, *grads):
        return None, None, _Push.apply(*ctx.fixed, grads[0])

    @staticmethod
    def jvp(ctx, *tangents):
        return _Pull.apply(*ctx.fixed, tangents[2])

    @staticmethod
    def vmap(info, in_dims, *args):
        return _Pull._of_batch(info, in_dims, *args)


class _Terms(_Operation):
    @staticmethod
    def forward(maps, X, v):
        return maps.terms(X, v)

    @staticmethod
    def backward(ctx, *grads):
        (v,) = ctx.saved_tensors
        return None, None, _Pull.apply(*ctx.fixed, grads[0]) + _Curve.apply(*ctx.fixed, grads[1], v)

    @staticmethod
    def jvp(ctx, *tangents):
        (v,), dv = ctx.saved_tensors, tangents[2]
        return _Push.apply(*ctx.fixed, dv), _Mixed.apply(*ctx.fixed, v, dv)

    @staticmethod
    def vmap(info, in_dims, *args):
        return _Terms._of_batch(info, in_dims, *args)


class _Mixed(_Operation):
    @staticmethod
    def forward(maps, X, u, v):
        return maps.mixed(X, u, v)

    @staticmethod
    def backward(ctx, *grads):
        u, v = ctx.saved_tensors
        c, fixed = grads[0], ctx.fixed
        return None, None, _Curve.apply(*fixed, c, v), _Curve.apply(*fixed, c, u)

    @staticmethod
    def jvp(ctx, *tangents):
        u, v = ctx.saved_tensors
        return _sum(_Mixed, ctx.fixed, (tangents[2], v), (u, tangents[3]))

    @staticmethod
    def vmap(info, in_dims, *args):
        return _Mixed._of_batch(info, in_dims, *args)


class _Curve(_Operation):
    @staticmethod
    def forward(maps, X, c, v):
        return maps.curve(X, c, v)

    @staticmethod
    def backward(ctx, *grads):
        c, v = ctx.saved_tensors
        w, fixed = grads[0], ctx.fixed
        return None, None, _Mixed.apply(*fixed, w, v), _Curve.apply(*fixed, c, w)

    @staticmethod
    def jvp(ctx, *tangents):
        c, v = ctx.saved_tensors
        return _sum(_Curve, ctx.fixed, (tangents[2], v), (c, tangents[3]))

    @staticmethod
    def vmap(info, in_dims, *args):
        return _Curve._of_batch(info, in_dims, *args)


def _sum(kind: type[_Operation], fixed: tuple, *pairs: tuple) -> Tensor:
    """Σ of a bilinear operation over pairs; a tangent that is None is zero."""
    return sum(kind.apply(*fixed, *pair) for pair in pairs if None not in pair)  # type: ignore
