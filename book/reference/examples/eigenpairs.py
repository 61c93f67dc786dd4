"""All eigenvalues of a kernel matrix of rank 20, and its first eigenvectors."""

import torch

from escape_ntk.numerics import eigenpairs

g = torch.Generator().manual_seed(0)
n = 2 * eigenpairs.LEAST_ROWS
features = torch.randn(n, 20, generator=g, dtype=torch.float64)
K = features @ features.T
values, U = eigenpairs.leading_eigenpairs(K, 20)
assert values.shape == (n,) and U.shape == (n, 20)
assert torch.allclose(K @ U, values[:20] * U)
assert torch.allclose(U @ (U.T @ features), features)
assert (values[20:].abs() < 1e-12 * values[0]).all()

# More than a quarter of them: all are found at once.
count = n // eigenpairs.LARGEST_SHARE + 1
assert eigenpairs.leading_eigenpairs(K, count)[1].shape == (n, n)
