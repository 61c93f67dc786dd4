"""The tangent kernel at finite and infinite width; ridge regression with it."""

import torch

from escape_ntk.kernels import ntk as kernel
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.numerics.stats import rms

g = torch.Generator().manual_seed(0)
d, act = 4, activation("sin(z+pi/4)")
X = draw_inputs(6, d, "sphere", g, dtype=torch.float64)

# One limit, three routes to it.
K = kernel.infinite_ntk(X, X, act)
assert kernel.ROUTES == ("auto", "closed", "series", "quadrature")
for route in kernel.ROUTES[1:]:
    assert torch.allclose(
        kernel.infinite_ntk(X, X, act, route=route), K, atol=1e-8
    )
cosine = (X @ X.T / d).clamp(-1, 1)
assert torch.allclose(kernel.dual_on_sphere(cosine, act, d) * (X @ X.T), K)
assert (act.name, "sphere") in kernel.CLOSED_FORMS
assert kernel.SERIES_DEGREE > 10 and kernel.SERIES_TOLERANCE < 1e-6

# Finite width is off by O(m^{−1/2}): 100 times the width, a tenth of the gap.
gaps = [
    rms(
        kernel.empirical_ntk(
            X, X, draw_weights(m, d, g, dtype=torch.float64), act
        )
        - K
    )
    for m in (400, 40_000)
]
assert gaps[1] < gaps[0] / 3 and gaps[1] < 0.05

# Two ways to α = (K + ridge·I)^{−1} y; with ridge 0 the labels are fitted.
y, ridge = X[:, 0].clone(), 0.1
fit = kernel.KernelRidge(K)
factor = kernel.ridge_factor(K.clone(), ridge)
assert torch.allclose(
    torch.cholesky_solve(y[:, None], factor)[:, 0], fit.dual(y, ridge)
)
assert torch.allclose(K @ fit.dual(y, 0.0), y) and kernel.RCOND == 1e-12
single = kernel.KernelRidge(K.float())  # its rounding is cut, not inverted
assert single.rcond == kernel.RCOND_SINGLE and fit.rcond == kernel.RCOND
