"""The leading eigenpairs by one reduction, against matrices whose eigenpairs are known."""

import pytest
import torch

from escape_ntk.checks import CutoffWarning
from escape_ntk.numerics import eigenpairs
from escape_ntk.numerics.eigenpairs import LARGEST_SHARE, LEAST_ROWS, leading_eigenpairs
from escape_ntk.risk.projectors import RCOND, warn_of_ties

F64 = torch.float64
N, COUNT = LEAST_ROWS, 40
EPS = torch.finfo(F64).eps


def orthogonal(n: int = N, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(n, n, generator=g, dtype=F64)).Q


def made(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A = QΛQᵀ and Q."""
    q = orthogonal(len(values))
    A = (q * values) @ q.T
    return (A + A.T) / 2, q


def stepped(gap: float) -> torch.Tensor:
    """COUNT eigenvalues from 1 down to ½, the others from ½ − gap down to 0."""
    low = torch.linspace(0.5 - gap, 0, N - COUNT, dtype=F64)
    return torch.cat([torch.linspace(1, 0.5, COUNT, dtype=F64), low])


def angle(U: torch.Tensor, V: torch.Tensor) -> float:
    """sin Θ between the spans of orthonormal columns."""
    return float(torch.linalg.matrix_norm(U - V @ (V.T @ U), 2))


@pytest.mark.parametrize("count", [0, 1, COUNT, N // LARGEST_SHARE, N // LARGEST_SHARE + 1, N])
def test_pairs_are_those_the_matrix_was_made_of(count):
    values = stepped(0.1)
    A, q = made(values)
    found, U = leading_eigenpairs(A, count)
    assert U.shape == (N, count if count <= N // LARGEST_SHARE else N)
    torch.testing.assert_close(found, values, rtol=0, atol=N * EPS)
    torch.testing.assert_close(U.T @ U, torch.eye(U.shape[1], dtype=F64), rtol=0, atol=1e-11)
    torch.testing.assert_close(A @ U, U * found[: U.shape[1]], rtol=0, atol=1e-11)
    if count >= COUNT:
        assert angle(q[:, :COUNT], U[:, :COUNT]) < 1e-12
        assert angle(q[:, :COUNT], U[:, 1 : COUNT + 1]) > 0.9  # control: one column off


@pytest.mark.parametrize("gap", [1e-1, 1e-4, 2 * RCOND])
def test_the_projector_is_within_davis_and_kahan(gap):
    A, q = made(stepped(gap))
    off = angle(q[:, :COUNT], leading_eigenpairs(A, COUNT)[1])
    assert off <= N * EPS / (gap - N * EPS)


def test_a_gap_below_rounding_leaves_the_projector_open_and_is_told():
    """Control: eigenpairs are as exact as ever, the projector is not, and the cut warns."""
    A, q = made(stepped(EPS / 100))
    found, U = leading_eigenpairs(A, COUNT)
    torch.testing.assert_close(A @ U, U * found[:COUNT], rtol=0, atol=1e-11)
    assert angle(q[:, :COUNT], U) > 1e-3
    with pytest.warns(CutoffWarning, match="not unique"):
        warn_of_ties(found, COUNT)


def test_single_precision_would_miss_that_bound():
    """Where the gap just escapes the warning; in double precision it holds, as above."""
    A, q = made(stepped(2 * RCOND))
    single = torch.linalg.eigh(A.float())[1].flip(1)[:, :COUNT].double()
    assert angle(q[:, :COUNT], single) > 1e3 * N * EPS / (2 * RCOND)


@pytest.mark.parametrize(
    "values",
    [
        torch.ones(N, dtype=F64),
        torch.zeros(N, dtype=F64),
        torch.cat([torch.rand(12, dtype=F64), torch.zeros(N - 12, dtype=F64)]),
        10.0 ** -torch.arange(N, dtype=F64),
        torch.linspace(1, -1, N, dtype=F64),
        1e150 * torch.linspace(1, 0, N, dtype=F64),  # beyond this way: decomposed whole
    ],
    ids=["identity", "zero", "rank 12", "geometric", "both signs", "huge"],
)
def test_spectra_that_are_hard_for_it(values):
    A, _ = made(values)
    size = max(float(values.abs().max()), 1e-300)
    found, U = leading_eigenpairs(A, N // LARGEST_SHARE)
    U, top = U[:, : N // LARGEST_SHARE], found[: N // LARGEST_SHARE] / size
    torch.testing.assert_close(A / size @ U, U * top, rtol=0, atol=1e-11)
    torch.testing.assert_close(U.T @ U, torch.eye(len(top), dtype=F64), rtol=0, atol=1e-11)


def test_it_gives_up_for_the_whole_decomposition(monkeypatch):
    """Where LAPACK does not converge; and a gradient goes that way too."""
    A, q = made(stepped(0.1))

    def fails(*_):
        raise eigenpairs.np.linalg.LinAlgError

    monkeypatch.setattr(eigenpairs, "_by_reduction", fails)
    assert leading_eigenpairs(A, COUNT)[1].shape == (N, N)
    found, _ = leading_eigenpairs(A.requires_grad_(), COUNT)
    (slope,) = torch.autograd.grad(found[0], A)
    torch.testing.assert_close(slope, torch.outer(q[:, 0], q[:, 0]), rtol=0, atol=1e-10)
