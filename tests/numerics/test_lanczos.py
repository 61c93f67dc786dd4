"""Extreme eigenpairs from products, against dense matrices."""

import pytest
import torch

from escape_ntk.numerics.lanczos import NoConvergenceError, extreme_eigenpairs


@pytest.fixture
def matrix() -> torch.Tensor:
    root = torch.randn(24, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return root + root.T


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_pairs_are_those_of_the_dense_matrix(matrix, largest, dtype):
    """Products see tensors of the asked shape and dtype; both ends, in descending order."""
    like = torch.zeros(2, 3, 4, dtype=dtype)

    def product(v):
        assert v.shape == like.shape and v.dtype == dtype
        return (matrix.to(dtype) @ v.flatten()).view_as(like)

    values, vectors = extreme_eigenpairs(product, like, count=3, largest=largest, tolerance=1e-9)
    exact = torch.linalg.eigvalsh(matrix).flip(0)
    exact = exact[:3] if largest else exact[-3:]
    close = 1e-8 if dtype == torch.float64 else 1e-4
    assert torch.allclose(values, exact, atol=close)
    assert vectors.shape == (3, 2, 3, 4) and vectors.dtype == torch.float64
    flat = vectors.flatten(1)
    assert torch.allclose(flat @ flat.T, torch.eye(3, dtype=torch.float64), atol=close)
    assert torch.allclose(flat @ matrix, values[:, None] * flat, atol=20 * close)


def test_the_other_end_is_another_value(matrix):
    """Control: the lowest pair is not the highest."""
    like = torch.zeros(24, dtype=torch.float64)
    ends = [
        float(extreme_eigenpairs(lambda v: matrix @ v, like, count=1, largest=b, tolerance=1e-9)[0])
        for b in (True, False)
    ]
    assert ends[0] > 0 > ends[1]


def test_too_few_restarts_are_told(matrix):
    like = torch.zeros(24, dtype=torch.float64)
    with pytest.raises(NoConvergenceError, match="remedy"):
        extreme_eigenpairs(
            lambda v: matrix @ v,
            like,
            count=1,
            largest=True,
            tolerance=1e-14,
            basis=3,
            max_restarts=1,
        )
