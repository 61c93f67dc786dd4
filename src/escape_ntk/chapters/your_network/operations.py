"""Small float64 networks around common functions and parametrisations, as those around layers."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from escape_ntk.chapters.your_network.layers import SHAPES, Around, Build

OPERATIONS: dict[str, tuple[Build, tuple[int, ...]]] = {}
"""Name → (builder, shape of one input)."""


def _add(name: str, build: Build) -> None:
    OPERATIONS[name] = build, SHAPES["row"]


def _add_between(name: str, between: Callable[[Tensor], Tensor], width: int) -> None:
    """Enter a function between two linear layers."""
    _add(name, lambda: Around(nn.Linear(5, 8), between, width))


class _Square(torch.autograd.Function):
    """x² with a backward that can be differentiated, and none of the newer interface."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, *grads):
        (x,) = ctx.saved_tensors
        return 2 * x * grads[0]


class _Once(torch.autograd.Function):
    """… with one that cannot."""

    forward = _Square.forward  # type: ignore
    backward = staticmethod(  # type: ignore
        torch.autograd.function.once_differentiable(_Square.backward)
    )


class _Kept(torch.autograd.Function):
    """exp, whose backward has it as a constant."""

    @staticmethod
    def forward(ctx, x):
        ctx.kept = x.exp().detach()
        return x.exp()

    @staticmethod
    def backward(ctx, *grads):
        return grads[0] * ctx.kept


def _square(h: Tensor) -> Tensor:
    """(n, 2, 2), near 3I."""
    return torch.tanh(h[:, :4]).view(-1, 2, 2) + 3 * torch.eye(2, dtype=h.dtype)


def _spd(h: Tensor) -> Tensor:
    return _square(h) @ _square(h).mT


_PLACES = torch.tensor([0, 2, 4, 4, 4, 1, 1, 0])
for _name, _between, _width in (
    ("gelu, tanh", lambda h: F.gelu(h, approximate="tanh"), 8),
    ("relu in place", lambda h: F.relu(h, inplace=True), 8),
    ("normalize", lambda h: F.normalize(h, dim=-1), 8),
    ("layer_norm", lambda h: F.layer_norm(h, (8,)), 8),
    ("group_norm", lambda h: F.group_norm(h, 2), 8),
    ("norm", lambda h: h.norm(dim=-1, keepdim=True), 1),
    ("vector_norm, 3", lambda h: torch.linalg.vector_norm(h, 3, -1, keepdim=True), 1),
    ("matrix_norm, nuclear", lambda h: torch.linalg.matrix_norm(_square(h), "nuc")[:, None], 1),
    ("cdist", lambda h: torch.cdist(h, h.new_full((3, 8), 0.3)), 3),
    ("cdist, 1", lambda h: torch.cdist(h, h.new_full((3, 8), 0.3), 1), 3),
    ("cdist, 3", lambda h: torch.cdist(h, h.new_full((3, 8), 0.3), 3), 3),
    ("cdist, 1.5", lambda h: torch.cdist(h, h.new_full((3, 8), 0.3), 1.5), 3),
    ("pdist", lambda h: torch.stack([F.pdist(row.view(4, 2)) for row in h]), 6),
    ("hardsigmoid in place", lambda h: F.hardsigmoid(h * 3, inplace=True), 8),
    ("logsumexp", lambda h: h.logsumexp(-1, keepdim=True), 1),
    ("sort", lambda h: torch.tanh(h).sort(-1).values, 8),
    ("topk", lambda h: torch.tanh(h).topk(3, -1).values, 3),
    ("amax", lambda h: torch.tanh(h).amax(-1, keepdim=True), 1),
    ("median", lambda h: torch.tanh(h).median(-1, keepdim=True).values, 1),
    ("cumsum", lambda h: torch.tanh(h).cumsum(-1), 8),
    ("cumprod", lambda h: torch.tanh(h).cumprod(-1), 8),
    ("prod", lambda h: torch.tanh(h).prod(-1, keepdim=True), 1),
    ("std", lambda h: h.std(-1, keepdim=True), 1),
    ("var", lambda h: h.var(-1, keepdim=True), 1),
    ("sinc", torch.sinc, 8),
    ("erf", torch.erf, 8),
    ("atan2", lambda h: torch.atan2(h, h.roll(1, -1) + 0.1), 8),
    ("pow", lambda h: F.softplus(h) ** torch.tanh(h), 8),
    ("hypot", lambda h: torch.hypot(h, h.roll(1, -1)), 8),
    ("logaddexp", lambda h: torch.logaddexp(h, h.roll(1, -1)), 8),
    ("lgamma", lambda h: torch.lgamma(F.softplus(h) + 1), 8),
    ("logcumsumexp", lambda h: torch.logcumsumexp(h, -1), 8),
    ("maximum", lambda h: torch.maximum(torch.sin(h), torch.cos(h)), 8),
    ("clamp", lambda h: torch.sin(h).mul(2).clamp(-1, 1), 8),
    ("where", lambda h: torch.where(h > 0, h**2, torch.sin(h)), 8),
    ("gather", lambda h: torch.tanh(h).gather(1, _PLACES[:3].expand(len(h), 3)), 3),
    (
        "scatter_add",
        lambda h: torch.zeros_like(h).scatter_add(1, _PLACES.expand(len(h), 8), h.tanh()),
        8,
    ),
    ("index_add", lambda h: torch.zeros_like(h).index_add(1, _PLACES, torch.tanh(h)), 8),
    ("masked_fill", lambda h: torch.tanh(h).masked_fill(torch.arange(8) > 4, 0.0), 8),
    ("boolean mask", lambda h: h * (h > 0), 8),
    ("einsum", lambda h: torch.einsum("ni,nj->nij", torch.tanh(h), torch.sin(h)), 64),
    ("bmm", lambda h: torch.bmm(_square(h), _square(h)), 4),
    ("cross", lambda h: torch.linalg.cross(h[:, :3], torch.tanh(h)[:, 3:6]), 3),
    ("matrix_exp", lambda h: torch.linalg.matrix_exp(_square(h)), 4),
    ("inv", lambda h: torch.linalg.inv(_square(h)), 4),
    ("pinv", lambda h: torch.linalg.pinv(_square(h)), 4),
    ("det", lambda h: torch.linalg.det(_square(h))[:, None], 1),
    ("slogdet", lambda h: torch.linalg.slogdet(_square(h))[1][:, None], 1),
    ("solve", lambda h: torch.linalg.solve(_square(h), h[:, 4:6, None]), 2),
    (
        "solve_triangular",
        lambda h: torch.linalg.solve_triangular(_square(h).tril(), h[:, 4:6, None], upper=False),
        2,
    ),
    ("cholesky", lambda h: torch.linalg.cholesky(_spd(h)), 4),
    ("cholesky, one triangle", lambda h: torch.linalg.cholesky(_square(h)), 4),
    ("eigvalsh, one triangle", lambda h: torch.linalg.eigvalsh(_square(h), UPLO="U"), 2),
    ("cholesky_inverse, one triangle", lambda h: torch.cholesky_inverse(_square(h)), 4),
    ("cholesky_inverse", lambda h: torch.cholesky_inverse(torch.linalg.cholesky(_spd(h))), 4),
    (
        "cholesky_solve",
        lambda h: torch.cholesky_solve(h[:, 4:6, None], torch.linalg.cholesky(_spd(h))),
        2,
    ),
    ("qr", lambda h: torch.linalg.qr(_square(h))[0], 4),
    ("svdvals", lambda h: torch.linalg.svdvals(_square(h)), 2),
    ("eigvalsh", lambda h: torch.linalg.eigvalsh(_spd(h)), 2),
    ("fft", lambda h: torch.fft.rfft(h).abs(), 5),
    ("complex inside", lambda h: torch.exp(torch.complex(torch.tanh(h), h)).imag, 8),
    (
        "grid_sample",
        lambda h: F.grid_sample(
            h.view(-1, 2, 2, 2), torch.tanh(h).view(-1, 2, 2, 2), align_corners=False
        ),
        8,
    ),
    (
        "scaled_dot_product_attention",
        lambda h: F.scaled_dot_product_attention(*[h.view(-1, 1, 4, 2)] * 3),
        8,
    ),
    ("fake_quantize", lambda h: torch.fake_quantize_per_tensor_affine(h, 0.1, 0, -128, 127), 8),
    ("detach", lambda h: torch.tanh(h).detach() + torch.tanh(h) ** 2, 8),
    ("dropout in eval", lambda h: F.dropout(h, 0.5, training=False), 8),
    ("dropout always", lambda h: F.dropout(h, 0.5), 8),
    ("checkpoint", lambda h: checkpoint(torch.tanh, h, use_reentrant=False), 8),
    ("checkpoint, reentrant", lambda h: checkpoint(torch.tanh, h, use_reentrant=True), 8),
    ("autograd.Function", _Square.apply, 8),
    ("once_differentiable", _Once.apply, 8),
    ("a constant in a backward", _Kept.apply, 8),
    ("straight through", lambda h: h + (h.round() - h).detach(), 8),
    ("mean over the rows", lambda h: h - h.mean(0), 8),
    ("softmax over the rows", lambda h: torch.softmax(h, 0), 8),
):
    _add_between(_name, _between, _width)


# ---------------------------------------------------------------- parametrisations


def _with(change: Callable[[nn.Module], nn.Module], first: Callable[[], nn.Module]) -> nn.Module:
    return nn.Sequential(change(first()), nn.Tanh(), nn.Linear(5, 1))


for _name, _change in {
    "parametrizations.weight_norm": parametrizations.weight_norm,
    "parametrizations.spectral_norm": parametrizations.spectral_norm,
    "parametrizations.orthogonal": parametrizations.orthogonal,
    "orthogonal, Cayley": lambda m: parametrizations.orthogonal(m, orthogonal_map="cayley"),
    "orthogonal, Householder": lambda m: parametrizations.orthogonal(
        m, orthogonal_map="householder"
    ),
    "parametrizations.weight_norm, of columns": lambda m: parametrizations.weight_norm(m, dim=1),
    "utils.weight_norm": lambda m: nn.utils.weight_norm(m),
    "utils.weight_norm, of all": lambda m: nn.utils.weight_norm(m, dim=None),  # type: ignore
    "utils.spectral_norm": lambda m: nn.utils.spectral_norm(m),
}.items():
    _add(_name, lambda change=_change: _with(change, lambda: nn.Linear(5, 5)))


def _tied() -> nn.Module:
    a, b = nn.Linear(5, 5), nn.Linear(5, 5)
    b.weight = a.weight
    return nn.Sequential(a, nn.Tanh(), b, nn.Tanh(), nn.Linear(5, 1))


def _shared() -> nn.Module:
    layer = nn.Linear(5, 5)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(5, 1))


def _hooked() -> nn.Module:
    net = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))
    net[0].register_full_backward_hook(_ignore)
    return net


def _ignore(*args):
    return None


_add("one weight of two layers", _tied)
_add("one layer in two places", _shared)
_add("a backward hook", _hooked)
