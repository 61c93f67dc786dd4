"""Composites have the values and gradients of torch's operations, and right second derivatives."""

import pytest
import torch
import torch.nn.functional as F

from escape_ntk.models.composites import COMPOSITES, Composites

F64 = torch.float64


def inputs(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


X, Y, W = inputs(4, 3, 6), inputs(4, 3, 6, seed=1), inputs(7, 4)
Y[:, 0] = X[:, 1]  # a distance that is 0
BAGS = torch.tensor([[0, 1, 2], [3, 3, 6], [6, 6, 6]])
WEIGHTS = inputs(3, 3)
EDGES = torch.arange(-32, 33, dtype=F64) / 8
SQUARE = inputs(4, 4) / 4 + 3 * torch.eye(4, dtype=F64)
L = torch.linalg


def norm(dim):
    return lambda v, g: torch._weight_norm(v, g, dim)


def bag(**options):
    return lambda w: F.embedding_bag(BAGS, w, **options)


SAME = {
    **{
        f"weight_norm, {d}": (norm(d), X, 1.3 * torch.norm_except_dim(X, 2, d))
        for d in range(-1, 3)
    },
    "weight_norm of a vector": (norm(0), X[0, 0], X[0, 0] * 1.3),
    "hardsigmoid": (F.hardsigmoid, EDGES),
    "hardsigmoid in place": (lambda x: F.hardsigmoid(x * 1, inplace=True), EDGES),
    "in place, seen later": (lambda x: in_place(x * 1), EDGES),
    **{f"cdist, {p}": (lambda a, b, p=p: torch.cdist(a, b, p), X, Y) for p in (1, 2.0, 3, 1.5)},
    "cdist, largest": (lambda a, b: torch.cdist(a, b, torch.inf), X, Y),
    "cdist of many": (torch.cdist, inputs(40, 6), inputs(30, 6, seed=1)),
    **{f"pdist, {p}": (lambda a, p=p: F.pdist(a, p), X[0]) for p in (1, 2, 2.5, 1.5)},
    **{
        f"bag, {mode}, {pad}": (bag(mode=mode, padding_idx=pad), W)
        for mode in ("sum", "mean", "max")
        for pad in (None, 6, -1, 3)
    },
    **{
        f"embedding, {pad}": (lambda w, pad=pad: F.embedding(BAGS, w, pad), W)
        for pad in (None, 6, -1, 3)
    },
    "embedding, as often": (lambda w: F.embedding(BAGS, w, 6, scale_grad_by_freq=True), W),
    **{
        f"logcumsumexp, {dim}": (lambda x, dim=dim: torch.logcumsumexp(30 * x, dim), X)
        for dim in (0, -1)
    },
    "logcumsumexp, a method": (lambda x: x.logcumsumexp(dim=1), X),
    "bag, weighted": (
        lambda w, s: F.embedding_bag(BAGS, w, mode="sum", per_sample_weights=s),
        W,
        WEIGHTS,
    ),
    "bag, offsets": (
        lambda w: F.embedding_bag(BAGS.flatten(), w, torch.tensor([0, 2, 6]), mode="sum"),
        W,
    ),
}


def in_place(x):
    F.hardsigmoid(x, inplace=True)
    return x


def gradients(function, tensors):
    leaves = [t.clone().requires_grad_() for t in tensors]
    out = function(*leaves)
    return out, torch.autograd.grad(torch.sin(out).sum(), leaves)


@pytest.mark.parametrize("name", SAME)
def test_values_and_gradients_are_torchs(name):
    function, *tensors = SAME[name]
    plain = gradients(function, tensors)
    with Composites():
        torch.testing.assert_close(gradients(function, tensors), plain, rtol=1e-7, atol=1e-12)


TRIANGLES = {
    "cholesky": L.cholesky,
    "cholesky, upper": lambda a: L.cholesky(a, upper=True),
    "cholesky_ex": lambda a: L.cholesky_ex(a, check_errors=True)[0],
    "cholesky_ex, upper": lambda a: L.cholesky_ex(a, upper=True)[0],
    "eigvalsh": L.eigvalsh,
    "eigvalsh, upper": lambda a: L.eigvalsh(a, UPLO="U"),
    "eigh": lambda a: L.eigh(a)[1].square(),
    "eigh, upper": lambda a: L.eigh(a, "U")[0],
    "cholesky_solve": lambda a: torch.cholesky_solve(WEIGHTS.new_ones(4, 2), a),
    "cholesky_solve, upper": lambda a: a.new_ones(4, 2).cholesky_solve(a, upper=True),
    "cholesky_inverse": torch.cholesky_inverse,
    "cholesky_inverse, upper": lambda a: a.cholesky_inverse(upper=True),
}


@pytest.mark.parametrize("name", TRIANGLES)
def test_derivatives_in_one_triangle_are_those_of_the_values(name):
    """In any direction, symmetric or not; torch's own gradients take the matrix to be symmetric."""
    function, v = TRIANGLES[name], inputs(4, 4, seed=2)
    plain = function(SQUARE)

    def along(t, create=False):
        a = (SQUARE + t * v).requires_grad_()
        total = torch.sin(function(a)).sum()
        (slope,) = torch.autograd.grad(total, a, create_graph=create)
        return total, (slope * v).sum(), a

    with Composites():
        torch.testing.assert_close(function(SQUARE), plain)
        _, slope, a = along(0.0, create=True)
        curvature = (torch.autograd.grad(slope, a)[0] * v).sum()
        (up, slope_up, _), (down, slope_down, _) = along(1e-4), along(-1e-4)
    close = {"rtol": 1e-5, "atol": 1e-7}
    torch.testing.assert_close((up - down) / 2e-4, slope.detach(), **close)
    torch.testing.assert_close((slope_up - slope_down) / 2e-4, curvature, **close)


def test_complex_matrices_and_bags_that_change_weights_are_torchs_own():
    A = torch.complex(SQUARE, 0 * SQUARE)
    A = A @ A.mH
    plain = L.cholesky(A)
    with Composites():
        assert torch.equal(L.cholesky(A), plain)
        w = W.clone()
        F.embedding_bag(BAGS, w, max_norm=0.5)
        assert not torch.equal(w, W)
        assert torch.logcumsumexp(A, 0).is_complex()
        assert torch.logcumsumexp(A.real.sum(), 0).ndim == 0
    assert COMPOSITES[F.embedding_bag](BAGS, W, scale_grad_by_freq=True) is NotImplemented
