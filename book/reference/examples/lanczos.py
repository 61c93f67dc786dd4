"""The two largest eigenpairs of a 2 × 6 operator that is never formed."""

import torch

from escape_ntk.lanczos import extreme_eigenpairs

size = torch.arange(1.0, 13.0, dtype=torch.float64).view(2, 6)
values, vectors = extreme_eigenpairs(
    lambda v: size * v, size, count=2, largest=True, tolerance=1e-10
)
assert torch.allclose(values, torch.tensor([12.0, 11.0], dtype=torch.float64))
assert vectors.shape == (2, 2, 6)
assert torch.allclose(vectors.abs()[0], (size == 12).double(), atol=1e-6)
