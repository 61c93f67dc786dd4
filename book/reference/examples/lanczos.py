"""The two largest eigenpairs of a 2 × 6 operator that is never formed."""

import torch

from escape_ntk.numerics.lanczos import NoConvergenceError, extreme_eigenpairs

size = torch.arange(1.0, 13.0, dtype=torch.float64).view(2, 6)
values, vectors = extreme_eigenpairs(
    lambda v: size * v, size, count=2, largest=True, tolerance=1e-10
)
assert torch.allclose(values, torch.tensor([12.0, 11.0], dtype=torch.float64))
assert vectors.shape == (2, 2, 6)
assert torch.allclose(vectors.abs()[0], (size == 12).double(), atol=1e-6)

# A dense spectrum in one short pass: refused, not guessed at.
many = torch.linspace(0, 1, 2000, dtype=torch.float64)
try:
    extreme_eigenpairs(
        lambda v: many * v,
        many,
        count=1,
        largest=True,
        tolerance=1e-14,
        max_restarts=1,
    )
except NoConvergenceError as error:
    assert "max_restarts" in str(error)
else:
    raise AssertionError("it converged")
