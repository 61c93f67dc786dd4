"""Projectors on learnable directions, and the movement that only memorises."""

import warnings

import torch

from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.risk import projectors as directions
from escape_ntk.risk.leaks import SphereLeak

g = torch.Generator().manual_seed(0)
p, d, n, act = 40, 3, 14, activation("sin(z+pi/4)")
w = draw_weights(2 * p, d, g, dtype=torch.float64)
features = PairFeatures(
    draw_inputs(n, d, "sphere", g, dtype=torch.float64), w, act
)
n_k = cumulative_multiplicity(d, 1)  # degrees 0 and 1: 1 + d
projector = directions.TrainingProjector(features, n_k)
assert isinstance(projector, directions.Projector) and directions.RCOND == 1e-6

# A projector: P_{≤k} + P_{>k} = I, P_{≤k}² = P_{≤k}; on outputs it is U_kU_kᵀ.
t = torch.randn(p, d, generator=g, dtype=torch.float64)
low = projector.low(t)
assert torch.allclose(low + projector.high(t), t) and torch.allclose(
    projector.low(low), low
)
f = features.linear(t)
assert torch.allclose(features.linear(low), projector.low_outputs(f))
assert torch.allclose(projector.low_outputs(f) + projector.high_outputs(f), f)
assert torch.allclose(
    features.linear_pullback(projector.dual_coefficients(f)), low
)
v = projector.eigenvectors().flatten(1)
assert torch.allclose(v @ v.T, torch.eye(n_k, dtype=torch.float64))

# Memorising: outside the learnable directions, and yet the labels are hit.
y = torch.randn(n, generator=g, dtype=torch.float64)
learned_by_heart = projector.memorize(y)
assert float(projector.low(learned_by_heart).abs().max()) < 1e-8
seen = features.linear(learned_by_heart) - projector.high_outputs(y)
assert float(seen.abs().max()) < 1e-8

# The population's projector leaks least: what is left is its next eigenvalue.
leak = SphereLeak(w, act)
population = directions.PopulationProjector(leak, (p, d), n_k)
assert torch.allclose(population.low(t) + population.high(t), t)
least, direction = directions.worst_leak(leak, population, (p, d))
assert abs(least / float(population.eigenvalues[n_k]) - 1) < 1e-4
assert directions.worst_leak(leak, projector, (p, d))[0] > least
assert abs(float(direction.norm()) - 1) < 1e-8

# Where a spectrum falls by half or more: after 1 + 3 values of this one.
made = torch.tensor([9.0, 4.0, 4.0, 4.0, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5])
assert directions.spectral_steps(made, 2.0) == [1, 4]

# The last of them is the number to keep; a cut between equal ones is warned of.
assert directions.last_step(made) == 4 and directions.STEP_RATIO == 1.5
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    directions.warn_of_ties(made, 2)
assert len(told) == 1
