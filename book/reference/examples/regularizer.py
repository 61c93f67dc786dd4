"""The regularised risk: its parts, and its gradient against differences."""

import torch

from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import PairFeatures, from_pairs
from escape_ntk.risk import regularizer as r
from escape_ntk.risk.leaks import SphereLeak
from escape_ntk.risk.projectors import TrainingProjector

g = torch.Generator().manual_seed(0)
p, d, n, act = 5, 4, 12, activation("sin(z+pi/4)")
w = draw_weights(2 * p, d, g, dtype=torch.float64)
X = draw_inputs(n, d, "sphere", g, dtype=torch.float64)
y = torch.randn(n, generator=g, dtype=torch.float64)
features = PairFeatures(X, w, act)
projector = TrainingProjector(features, 4)
sizes = {"population": 0.5, "empirical": 1.0, "low_degree": 0.1, "norm": 0.01}
penalties = r.Penalties(**sizes)
given = {"projector": projector, "population": SphereLeak(w, act)}
risk = r.RegularizedRisk(features, y, penalties=penalties, **given)
assert given == {"projector": risk.projector, "population": risk.population}
state, v = torch.randn(2, 2, p, d, generator=g, dtype=torch.float64)

value, gradient = risk.value_and_gradient(state)
assert isinstance(value, r.RiskValue)
h = 1e-6
ahead, behind = (
    risk.value_and_gradient(state + s * v)[0].total(penalties) for s in (h, -h)
)
assert abs((ahead - behind) / (2 * h) / float((gradient * v).sum()) - 1) < 1e-6

# Each part by its definition.
f_l, f_q = features.terms(state)
high = projector.high_outputs(f_l)
assert abs(value.loss - float((f_l + f_q - y).square().mean())) < 1e-12
assert abs(value.empirical - float(high.square().mean())) < 1e-12
size, slope = r.low_degree_size(projector, state[1])
assert abs(value.low_degree - float(size)) < 1e-12
assert torch.allclose(projector.low(slope), slope)
fourth, _ = r.norm_2_4_to_the_4(state)
assert torch.isclose(fourth, from_pairs(state).norm(dim=1).pow(4).sum())
assert abs(value.norm / float(fourth) ** 2 - 1) < 1e-12

assert r.as_penalties(None) == r.Penalties()
assert r.as_penalties(penalties) is penalties

# The NTK model and QuadNTK alone are the same risk with another prediction.
predictions = {"joint": f_l + f_q, "linear": f_l, "quadratic": f_q}
assert tuple(predictions) == r.MODELS
for model, expected in predictions.items():
    other = r.RegularizedRisk(features, y, model=model)
    assert torch.equal(other.prediction(f_l, f_q), expected)

# R_1 apart: with it a gradient costs several of those without.
value, gradient = risk.value_and_gradient(state)
rest, without = risk.without_population().value_and_gradient(state)
size, slope = risk.population_leak(state[1])
assert abs(value.population / float(size) - 1) < 1e-12
assert rest.loss == value.loss and rest.population == 0
difference = gradient[1] - without[1]
assert torch.allclose(difference, sizes["population"] * slope)
