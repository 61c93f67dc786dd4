"""f_L and f_Q on half the neurons, with their gradient; the network itself."""

import torch

from escape_ntk.models import pairs
from escape_ntk.models.network import activation, draw_weights, paired_network
from escape_ntk.models.taylor import linear_term, quadratic_term

g = torch.Generator().manual_seed(0)
p, d, n = 5, 3, 7
act, w = (
    activation("sin(z+pi/4)"),
    draw_weights(2 * p, d, g, dtype=torch.float64),
)
X = torch.randn(n, d, generator=g, dtype=torch.float64)
U = torch.randn(
    2 * p, d, generator=g, dtype=torch.float64
)  # all m = 2p neurons

state = pairs.to_pairs(U)  # (s, t)
assert torch.allclose(pairs.from_pairs(state), U)

features = pairs.PairFeatures(X, w, act)
f_l, f_q = features.terms(features.check_state(state))
f = paired_network(w, act)
assert torch.allclose(f_l, linear_term(f, X, U)) and torch.allclose(
    f_q, quadratic_term(f, X, U)
)
assert torch.allclose(f_l, features.linear(state[1]))  # s does not enter f_L
assert not features.terms(features.zero_state())[0].any()

# The pullback is the gradient: here of Σ_i f_L(x_i), which is linear in t.
_, _, pullback = features.terms_and_pullback(state)
gradient = pullback(torch.ones_like(f_l), torch.zeros_like(f_q))
assert torch.allclose(
    gradient[1], features.linear_pullback(torch.ones_like(f_l))
)
assert torch.allclose((gradient[1] * state[1]).sum(), f_l.sum())

# Least squares, in one pass over the inputs.
y = torch.zeros(n, dtype=torch.float64)
residual, gradient = features.least_squares(state, y)
_, _, pullback = features.terms_and_pullback(state)
slope = 2 / n * residual
assert torch.allclose(residual, f_l + f_q)
assert torch.allclose(gradient, pullback(slope, slope))

# Half the tangent kernel: a step η on (u, v) is a step 2η on (s, t).
slopes = act.first(X @ w.T)
kernel = (X @ X.T) * (slopes @ slopes.T) / p
assert torch.allclose(pairs.STEP_FACTOR * features.cross_gram(features), kernel)

full = pairs.NetworkFeatures(X, w, act)  # f itself, as f_L and f − f_L
assert torch.allclose(sum(full.terms(state)), f(X, U))
