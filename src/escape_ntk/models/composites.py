"""Operations whose derivatives torch lacks, or has wrong, as composites of exact ones.

``_weight_norm`` is differentiated twice by torch as if the norms were constants.  Factorizations
read one triangle of a matrix, while torch's gradients of them take it to be symmetric, or reach the
other triangle.  ``logcumsumexp`` has a wrong forward-mode derivative where its entries are some 10
apart.  The row at ``padding_idx`` is a constant to gradients, and not to forward mode.  The others
have no second derivative.  Values are torch's, and so are first
derivatives at a kink: that of a distance at 0 is 0, and that of a hard sigmoid at ±3.  What a
composite does not know stays torch's own, and :mod:`escape_ntk.models.route_trial` judges it.
Source: [D].
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from escape_ntk.checks import InputError, message

_KINDS = ("airy", "bessel", "modified", "scaled", "spherical", "chebyshev", "shifted")
_KINDS += ("hermite", "laguerre", "legendre")
_WITHOUT = {f for name, f in vars(torch.special).items() if name.startswith(_KINDS)}
"""Functions whose results torch returns as constants."""


class Composites(TorchFunctionMode):
    """Within it, the operations of ``COMPOSITES`` are computed as composites.

    :class:`~escape_ntk.checks.InputError` for the functions of ``torch.special`` that torch takes
    to be constants, of anything that needs a gradient.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        composite = COMPOSITES.get(func)
        if func in _WITHOUT and any(isinstance(t, Tensor) and t.requires_grad for t in args):
            raise InputError(
                message(
                    expected="operations with derivatives",
                    got=f"torch.special.{func.__name__.removeprefix('special_')}, which has none",
                    remedy="apply it to inputs alone, or write it in other operations",
                )
            )
        if composite is None:
            return func(*args, **kwargs)
        out = composite(*args, **kwargs)
        return func(*args, **kwargs) if out is NotImplemented else out


def _weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """v·g/‖v‖, the norm over all dimensions but ``dim``; over all for dim = −1."""
    others = [d for d in range(v.ndim) if dim == -1 or d != dim]
    squares = v.square()
    norms = (squares.sum(others, keepdim=True) if others else squares).sqrt()
    return v * (g / (norms.reshape(()) if dim == -1 else norms))


def _hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """x/6 + 1/2 between −3 and 3, 0 below and 1 above."""
    inside = (input > -3) & (input < 3)
    out = torch.where(inside, input / 6 + 0.5, (input >= 3).to(input))
    return input.copy_(out) if inplace else out


def _cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = None) -> Any:
    """‖x_i − y_j‖_p, p one of 1, ∞ and those from 2 on."""
    return _norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p)


def _pdist(input: Tensor, p: float = 2.0) -> Any:
    """‖x_i − x_j‖_p for i < j."""
    i, j = torch.triu_indices(len(input), len(input), 1, device=input.device)
    return _norm(input[i] - input[j], p)


def _logcumsumexp(input: Tensor, dim: Any) -> Any:
    """log Σ_{s≤t} exp(x_s) along ``dim``, of T entries by T² numbers."""
    if input.is_complex() or not input.ndim:
        return NotImplemented
    x = input.movedim(dim, -1)
    later = torch.ones(x.shape[-1], x.shape[-1], dtype=torch.bool, device=x.device).triu(1)
    return x.unsqueeze(-2).masked_fill(later, -torch.inf).logsumexp(-1).movedim(-1, dim)


def _norm(x: Tensor, p: float) -> Any:
    """‖x‖_p over the last dimension, with derivative 0 at 0."""
    if not (p == 1 or p >= 2) or not x.is_floating_point():
        return NotImplemented
    if p in (1, float("inf")):
        return x.abs().sum(-1) if p == 1 else x.abs().amax(-1)
    total = (x.square() if p == 2 else x.abs().pow(p)).sum(-1)
    zero = total == 0
    safe = torch.where(zero, 1.0, total)
    return torch.where(zero, 0.0, safe.sqrt() if p == 2 else safe.pow(1 / p))


def _embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """Rows of ``weight``, that at ``padding_idx`` a constant."""
    if padding_idx is None or max_norm is not None or scale_grad_by_freq:
        return NotImplemented
    found = F.embedding(input, weight)
    padding = (input == padding_idx % len(weight)).unsqueeze(-1)
    return torch.where(padding, found.detach(), found)


def _embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """Sum, mean or maximum of the embeddings of each bag (n, L); bags of no entry are 0."""
    if input.ndim != 2 or max_norm is not None or scale_grad_by_freq:
        return NotImplemented
    found = F.embedding(input, weight)
    kept = torch.ones_like(input, dtype=torch.bool)
    if padding_idx is not None:
        kept = input != padding_idx % len(weight)
    if mode == "max":
        out = found.masked_fill(~kept.unsqueeze(-1), -torch.inf).max(1).values
        return torch.where(kept.any(1, keepdim=True), out, 0.0)
    share = kept.to(found)
    if per_sample_weights is not None:
        share = share * per_sample_weights
    if mode == "mean":
        share = share / kept.sum(1, keepdim=True).clamp(min=1)
    return (found * share.unsqueeze(-1)).sum(1)


def _of_one_triangle(factorize: Callable) -> Callable:
    """``factorize`` of the symmetric matrix that the triangle it reads stands for."""

    def composite(A: Tensor, *args: Any, **kwargs: Any) -> Any:
        if A.is_complex():
            return NotImplemented
        side = args[0] if args else kwargs.get("upper", kwargs.get("UPLO", False))
        upper = side is True or side in ("U", "u")
        return factorize(_symmetric(A, upper), *args, **kwargs)

    return composite


def _symmetric(A: Tensor, upper: bool) -> Tensor:
    return A.triu() + A.triu(1).mT if upper else A.tril() + A.tril(-1).mT


def _triangle(A: Tensor, upper: bool) -> Tensor:
    return A.triu() if upper else A.tril()


def _cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """(LLᵀ)⁻¹B of the triangle L."""
    return torch.cholesky_solve(B, _triangle(L, upper), upper=upper)


def _cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """(LLᵀ)⁻¹ of the triangle L."""
    return torch.cholesky_inverse(_triangle(L, upper), upper=upper)


COMPOSITES: dict[Any, Callable[..., Any]] = {
    torch._weight_norm: _weight_norm,  # pyright: ignore[reportPrivateImportUsage]
    F.hardsigmoid: _hardsigmoid,
    torch.cdist: _cdist,
    torch.pdist: _pdist,
    **dict.fromkeys((torch.logcumsumexp, Tensor.logcumsumexp), _logcumsumexp),
    F.embedding: _embedding,
    F.embedding_bag: _embedding_bag,
    **dict.fromkeys((torch.cholesky_solve, Tensor.cholesky_solve), _cholesky_solve),
    **dict.fromkeys((torch.cholesky_inverse, Tensor.cholesky_inverse), _cholesky_inverse),
    **{
        own: _of_one_triangle(own)
        for own in (
            *(torch.linalg.cholesky, torch.linalg.cholesky_ex, torch.cholesky, Tensor.cholesky),
            *(torch.linalg.eigh, torch.linalg.eigvalsh),
        )
    },
}
"""Function of torch → composite of the same arguments, or one that is NotImplemented for some."""
