"""The remainder is of third order; f_L is odd in the movement, f_Q even."""

import torch

from escape_ntk.models import taylor
from escape_ntk.models.network import activation, draw_weights, paired_network
from escape_ntk.numerics.stats import log_slope, rms

g = torch.Generator().manual_seed(0)
f = paired_network(
    draw_weights(10, 4, g, dtype=torch.float64), activation("sigmoid(z-1)")
)
X = torch.randn(6, 4, generator=g, dtype=torch.float64)
U = torch.randn(10, 4, generator=g, dtype=torch.float64)

assert torch.allclose(
    taylor.linear_term(f, X, -U), -taylor.linear_term(f, X, U)
)
assert torch.allclose(
    taylor.quadratic_term(f, X, -U), taylor.quadratic_term(f, X, U)
)

sizes = [1e-1, 1e-2, 1e-3]
left = [rms(taylor.remainder(f, X, size * U)) for size in sizes]
assert abs(log_slope(sizes, left) - 3) < 0.1
