"""Top eigenpairs of the tangent kernel, with its matrix and without."""

import torch
from torch import nn

from escape_ntk.models.modules import ModuleFeatures
from escape_ntk.risk import top_directions as top

torch.manual_seed(0)
model = nn.Linear(6, 1, bias=False).double()  # f(x; θ) = θ·x: Φ is X itself
X = torch.randn(200, 6, dtype=torch.float64)
X = X * torch.tensor([9.0, 8.5, 8.0, 0.3, 0.29, 0.28], dtype=torch.float64)
features = ModuleFeatures(model, X)

# Both ways lead to the singular values of X and to its right singular vectors.
values, V = (torch.linalg.svd(X, full_matrices=False)[i] for i in (1, 2))
assert top.ROUTES == ("auto", "gram", "krylov")
for route in ("gram", "krylov"):
    found = top.top_directions(features, 3, route=route, tolerance=1e-9)
    assert isinstance(found, top.TopDirections) and found.n_k == 3
    assert torch.allclose(found.eigenvalues[:4], values[:4] ** 2)
    assert torch.allclose(found.V.T @ found.V, V[:3].T @ V[:3])
    assert torch.allclose(found.outputs, X @ found.V.T)
    assert float(found.residuals.max()) < 1e-9
assert torch.equal(found.first(2).V, found.V[:2])

# The last step of the spectrum: Λ_3 stands far above Λ_4.
alone = ModuleFeatures(model, X[:6])  # among the first half of all, here 3
assert top.top_directions(alone, "gap").n_k == 3

# What sets time and memory.
assert len(X) <= top.GRAM_OUTPUTS == 1000  # so "auto" takes the matrix
assert top.KEPT_BLOCKS * top.BLOCK_NUMBERS == 2**28 and top.PIECES == 8
assert (top.LOOK, top.SPARE, top.KRYLOV_BLOCKS) == (64, 10, 3)
