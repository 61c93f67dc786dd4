"""Gradient descent up to its stability limit, and not beyond."""

import torch

from escape_ntk import checks
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.risk.regularizer import RegularizedRisk
from escape_ntk.training.descent import gradient_descent, stability_limit

g = torch.Generator().manual_seed(0)
w = draw_weights(40, 3, g, dtype=torch.float64)
X = draw_inputs(10, 3, "sphere", g, dtype=torch.float64)
features = PairFeatures(X, w, activation("sin(z+pi/4)"))
risk = RegularizedRisk(features, X[:, 0].clone(), model="linear")
start = features.zero_state()

# For f_L alone the limit 2/ρ is exact: ρ = 2Λ_1/n of the tangent kernel.
kernel = features.kernel_factor * features.cross_gram(features)
rho = 2 * float(torch.linalg.eigvalsh(kernel)[-1]) / len(X)
limit = stability_limit(risk, start)
assert abs(limit * rho / 2 - 1) < 0.01


def observe(state: torch.Tensor) -> dict[str, float]:
    return {"loss": risk.value_and_gradient(state)[0].loss}


settings = {"n_steps": 50, "record_at": [0, 50], "observe": observe}
run = gradient_descent(risk, start, step=0.9 * limit, **settings)
assert run.outcome == "reached_end" and run.n_steps == 50
assert run.values["loss"][1] < 0.1 * run.values["loss"][0]
try:
    gradient_descent(risk, start, step=1.1 * limit, **settings)
except checks.StabilityError as error:
    assert "gradient_flow" in str(error)  # the remedy
else:
    raise AssertionError("a step beyond 2/ρ was taken")
