"""Gradient flow of f_L alone against its closed form, on descent's clock."""

import torch

from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.risk.regularizer import RegularizedRisk
from escape_ntk.training import flow

g = torch.Generator().manual_seed(0)
w = draw_weights(40, 3, g, dtype=torch.float64)
X = draw_inputs(8, 3, "sphere", g, dtype=torch.float64)
features = PairFeatures(X, w, activation("sin(z+pi/4)"))
y = X[:, 0].clone()
risk = RegularizedRisk(features, y, model="linear")


def observe(state: torch.Tensor) -> dict[str, float]:
    return {"loss": risk.value_and_gradient(state)[0].loss}


times = [0.0, 1.0, 10.0]
run = flow.gradient_flow(
    risk,
    features.zero_state(),
    t_end=10.0,
    record_at=times,
    observe=observe,
    rtol=1e-6,
    atol=1e-8,
)
assert run.outcome == "reached_end"

# The residual of f_L is e^{−2Kt/n} y with the tangent kernel K, from W = 0.
kernel = features.kernel_factor * features.cross_gram(features)
values, vectors = torch.linalg.eigh(kernel)
for t, loss in zip(times, run.values["loss"], strict=True):
    residual = torch.exp(-2 * values * t / len(X)) * (vectors.T @ y)
    assert abs(loss / float(residual.square().mean()) - 1) < 1e-3

# How carefully the integrator watches its spectral radius ρ.
assert flow.RADIUS_EVERY >= 1 and flow.POWER_CALLS >= 1
assert flow.RADIUS_SAFETY > 1
assert 0 < flow.LAG < 1  # how far R_1's pull may change in a step
