"""Curvature without a Hessian, its lowest value, and a saddle that is left."""

import torch

from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import STEP_FACTOR, PairFeatures
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.risk.regularizer import Penalties, RegularizedRisk
from escape_ntk.training import curvature as ls

g = torch.Generator().manual_seed(0)
p, d, n = 4, 3, 12
w = draw_weights(2 * p, d, g, dtype=torch.float64)
X = draw_inputs(n, d, "sphere", g, dtype=torch.float64)
y = X[:, 0] * X[:, 1]
features = PairFeatures(X, w, activation("sin(z+pi/4)"))
state, v = 0.3 * torch.randn(2, 2, p, d, generator=g, dtype=torch.float64)

# A product with the Hessian of f_L + f_Q is the derivative of the gradient.
risk = RegularizedRisk(features, y)
h = 1e-6
ahead, behind = (risk.value_and_gradient(state + e * v)[1] for e in (h, -h))
product = ls.hessian_vector(risk, state, v)
assert torch.allclose(product, (ahead - behind) / (2 * h), atol=1e-7)

# Its lowest eigenvalue (in all weights: twice that in (s, t)); a bound below.
lowest = ls.lowest_curvature(risk, state, tolerance=1e-8)
assert isinstance(lowest, ls.Curvature) and lowest.residual < 1e-6
u = lowest.direction
ritz = float((u * ls.hessian_vector(risk, state, u)).sum())
assert abs(STEP_FACTOR * ritz - lowest.eigenvalue) < 1e-8
assert ls.curvature_floor(risk, state) <= lowest.eigenvalue
assert ls.FLOOR_BLOCK > n * d  # numbers held at a time

# W = 0 is a saddle of QuadNTK: no gradient, and a way down, which perturbed
# descent takes.
alone = RegularizedRisk(features, y, model="quadratic")
zero = features.zero_state()
assert ls.gradient_norm(alone, zero) == 0
assert ls.lowest_curvature(alone, zero).eigenvalue < -0.1
size = {"radius": 0.1, "round_time": 50.0}
tolerances = {"gradient_tolerance": 1e-3, "curvature_tolerance": 0.05}
end = ls.perturbed_descent(alone, zero, **size, **tolerances)
assert isinstance(end, ls.StationaryPoint)
assert end.reached and end.perturbations >= 1
assert end.value < 0.5 * float(y.square().mean())

# The random-sign identity: L_λ(W) from its parts, one of them by products too.
penalties = Penalties(empirical=0.5, low_degree=0.1)
projector = TrainingProjector(features, 4)
penalized = RegularizedRisk(
    features, y, penalties=penalties, projector=projector
)
w_q = torch.rand(1, p, 1, generator=g, dtype=torch.float64).expand(2, p, d)
parts = ls.random_sign_balance(penalized, state, v[1], w_q)
assert isinstance(parts, ls.RandomSignBalance)
total = parts.comparison + parts.first_order + parts.coupling + parts.cross
assert abs(total - parts.curvature - parts.distance - parts.value) < 1e-9
# The conditions of a stationary point, added up: R_3 twice, R_4 four times.
sum_of = ls.stationary_balance(penalized, state, v[1], w_q)
assert isinstance(sum_of, ls.StationaryBalance)
found = sum_of.missed + sum_of.mean_penalty + sum_of.inner + sum_of.leak
found += sum_of.first_order + sum_of.coupling + sum_of.cross
found += sum_of.norm_curvature + sum_of.norm_slope
assert abs(found - sum_of.curvature - sum_of.distance - sum_of.value) < 1e-9
by_products = ls.mean_curvature(penalized, state, w_q)
assert abs(by_products - parts.curvature) < 1e-9
low = min(ls.lowest_curvature(penalized, state).eigenvalue, 0.0)
assert parts.bound(low, float(w_q.square().sum()) / 2) >= parts.value
