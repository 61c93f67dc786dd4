"""A dense plus sparse target whose population norms are known exactly."""

import math

import torch

from escape_ntk.models import data

exact = {"generator": torch.Generator().manual_seed(0), "dtype": torch.float64}
d = 6
X = data.draw_inputs(20_000, d, "sphere", **exact)
assert torch.allclose(
    X.square().sum(1), torch.full((20_000,), float(d), dtype=torch.float64)
)
off = (X.norm(dim=1) / math.sqrt(d) - 1).abs().max()
assert off <= data.SPHERE_TOLERANCE[X.dtype]

beta = data.random_direction(d, **exact)
sparse = data.sparse_part(beta, 3, "sphere")
dense = data.dense_part(d, 2, "sphere", **exact)
assert isinstance(dense, data.RidgeSum)
assert math.isclose(dense.norm, 1) and math.isclose(
    dense.scaled_to(3.0).norm, 3
)

f_star = data.dense_plus_sparse(dense, sparse)
assert isinstance(f_star, data.Target)
assert all(math.isclose(norm, math.sqrt(0.5)) for norm in f_star.norms)
# The mean over many inputs agrees: E f*² = 1, and the two parts are orthogonal.
parts = f_star.part_values(X)
assert torch.allclose(parts.sum(0), f_star(X))
assert torch.allclose(
    parts @ parts.T / len(X), torch.eye(2).double() / 2, atol=0.03
)

drawn = data.draw_target(2, d, **exact)
assert [part.degree for part in drawn.parts] == [2, 3] and drawn.dim == d
assert drawn.summary.endswith("degree 3 (1 direction)")
assert math.isclose(sum(norm**2 for norm in drawn.norms), 1)

# A quadratic form, without its trace, as a ridge sum over its eigenvectors.
A = torch.diag(
    torch.tensor([1.0, 1.0, 1.0, -1.0, -1.0, -1.0], dtype=torch.float64)
)
form = data.dense_quadratic(A, "sphere")
values = (X @ A * X).sum(1)
assert torch.allclose(form(X) * values[0], values * form(X)[0])

# The target of the published figure, for Gaussian inputs.
Z = data.draw_inputs(9, d, "gaussian", **exact)
z = Z @ beta
assert torch.allclose(
    data.published_target(beta)(Z), (z**2 - 1 + z) / math.sqrt(3)
)
assert set(data.random_signs(50, exact["generator"]).tolist()) == {-1.0, 1.0}
# The same law from normal numbers of one's own: rows of length √d.
own = data.inputs_of_law(Z, "sphere")
assert torch.allclose(own.norm(dim=1), torch.full((9,), math.sqrt(d)).to(own))
