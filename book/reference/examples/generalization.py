"""The bound on the gap, term by term, and how it falls with the samples."""

import math

import torch

from escape_ntk.models.network import activation, draw_weights
from escape_ntk.numerics.stats import log_slope
from escape_ntk.risk import generalization as bound

# Radii come from a grid fixed in advance: the next one above the norm.
grid = 2 ** (1 / bound.GRID)
assert 1.5 <= bound.radius(1.5) < 1.5 * grid
assert bound.radius(0.0) == 2.0**-bound.OCTAVES and bound.CONFIDENCE == 0.95

g = torch.Generator().manual_seed(0)
w = draw_weights(20, 3, g, dtype=torch.float64)
act, sizes = activation("sin(z+pi/4)"), [100, 400, 1600]
complexities = [
    bound.quadratic_complexity(w, act, n, g, draws=20) for n in sizes
]
assert abs(log_slope(sizes, complexities) + 0.5) < 0.15  # like n^{−1/2}
# On one sample the exact complexity is below the bound by the largest neuron.
sample = [torch.Generator().manual_seed(1) for _ in range(2)]
exact = bound.attained_complexity(w, act, 100, sample[0])
assert exact < bound.quadratic_complexity(w, act, 100, sample[1])

norms = {
    "population": 1e-4,
    "empirical": 1e-4,
    "low_degree": 2.0,
    "norm_fourth": 1.0,
}
gaps = [
    bound.gap_bound(n=n, mean_kernel=1.5, complexity=c, **norms)
    for n, c in zip(sizes, complexities, strict=True)
]
assert all(isinstance(gap, bound.GapBound) for gap in gaps)
assert gaps[0].total > gaps[1].total > gaps[2].total
# One term for each penalty: with R_3 = 0 nothing else changes.
without = bound.gap_bound(
    n=100,
    mean_kernel=1.5,
    complexity=complexities[0],
    **(norms | {"low_degree": 0.0}),
)
assert math.isclose(
    gaps[0].total - gaps[0].linear, without.total - without.linear
)
assert without.linear < gaps[0].linear / 100
