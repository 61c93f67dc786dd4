"""Movements written by hand: f_Q makes a power, f_L a harmonic, W* both."""

import torch

from escape_ntk.models import data
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import PairFeatures, to_pairs
from escape_ntk.numerics.stats import rms
from escape_ntk.risk import constructions as c

exact = {"generator": torch.Generator().manual_seed(0), "dtype": torch.float64}
d, m, act = 5, 20_000, activation("sin(z+pi/4)")
w = draw_weights(m, d, **exact)
X = data.draw_inputs(50, d, "sphere", **exact)
beta = data.random_direction(d, **exact)
features = PairFeatures(X, w, act)

# (β·x)² by f_Q alone, whatever the signs.
power = c.represent_power(w, act, beta, 2)
assert isinstance(power, c.RankOneMovement)
f_l, f_q, mean_leak = power.terms(X)
assert rms(f_q - (X @ beta) ** 2) < 0.1
signs = data.random_signs(m // 2, exact["generator"])
same = features.terms(to_pairs(power.movement(signs)))
assert torch.allclose(same[1], f_q)
assert rms(same[0]) < rms(f_l) / 5  # with random signs f_L hardly sees it
assert 0.3 < float(same[0].square().mean() / mean_leak.mean()) < 3
# Its size does not depend on the width, and f_Q is of degree 2 in the lengths.
by_hand = float(power.lengths.pow(4).sum())
assert abs(power.norm_2_4_to_the_4 / by_hand - 1) < 1e-9
# Other movements, on wide networks, are not much shorter.
least = c.least_norm_to_the_4(act, d, 2)
assert least < power.norm_2_4_to_the_4 < 1.5 * least
assert torch.allclose(power.scaled(0.5).terms(X)[1], f_q / 2)
assert c.LEAST_COEFFICIENT < 1e-6

# Several directions in one movement: shorter than sharing out the neurons.
betas = torch.linalg.qr(torch.randn(d, 3, **exact))[0].T.contiguous()
c_j = torch.tensor([1.0, 0.5, -0.5], dtype=torch.float64)
sum_of_powers = c.represent_powers(w, act, betas, c_j, 2)
assert isinstance(sum_of_powers, c.PairMovement) and 0 < c.GOLDEN < 1
assert rms(sum_of_powers.terms(X)[1] - (X @ betas.T) ** 2 @ c_j) < 0.2
s_x, t_x = sum_of_powers.pair_projections(X, torch.arange(m // 2))
by_pairs = (act.second(X @ w.T) * s_x * t_x).sum(1) / (2 * m**0.5)
assert torch.allclose(by_pairs, sum_of_powers.terms(X)[1])
shared_out = float(c_j.abs().sum()) ** 2 * power.norm_2_4_to_the_4
least_of_all = c.least_norm_of_powers(w[:200], act, betas, c_j, 2)
assert least_of_all < sum_of_powers.norm_2_4_to_the_4 < 0.7 * shared_out

# A harmonic of degree 1 by f_L alone, with the shortest movement.
dense = data.dense_part(d, 1, "sphere", **exact)
t_linear = c.represent_harmonic(w, act, dense)
assert rms(features.linear(t_linear) - dense(X)) < 0.1

# Dense plus sparse: W* = W_L + S W_Q.
f_star = data.dense_plus_sparse(dense, data.sparse_part(beta, 2, "sphere"))
best = c.represent_target(w, act, f_star.parts[:1], f_star.parts[1])
assert isinstance(best, c.JointMovement)
prediction = sum(features.terms(best.state(signs)))
assert rms(prediction - f_star(X)) < 0.3
mean, variance, _ = best.moments(X)  # over all signs
assert rms(mean - f_star(X)) < 0.1
assert rms((prediction - mean) / variance.sqrt()) < 2
