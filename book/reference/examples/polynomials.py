"""Orthogonality and Parseval's identity, in the book's normalisation."""

import numpy as np
import torch

from escape_ntk.numerics import polynomials as p

d = 5
assert [p.multiplicity(d, degree) for degree in range(3)] == [
    1,
    d,
    d * (d + 1) // 2 - 1,
]
assert p.cumulative_multiplicity(d, 2) == 1 + d + 14

# Quadratures are exact for polynomials: E Z⁴ = 3, E E³ = 3!, E τ² = 1/d on the
# sphere, and 1/3 for uniform τ.
z, weights = p.gauss_hermite(20)
assert np.isclose(weights @ z**4, 3)
e, own = p.gauss_laguerre(20)
assert np.isclose(own @ e**3, 6)
tau, on_sphere = p.gauss_gegenbauer(d, 20)
assert np.isclose(on_sphere @ tau**2, 1 / d)
nodes, uniform = p.gauss_jacobi(20, 0.0, 0.0)
assert np.isclose(uniform @ nodes**2, 1 / 3)

# Polynomials of the projection β·x have mean square 1 under either law.
for law, points, w in zip(
    p.LAWS, (z, np.sqrt(d) * tau), (weights, on_sphere), strict=True
):
    two, three = (
        p.zonal(torch.from_numpy(points), degree, d, law).numpy()
        for degree in (2, 3)
    )
    assert np.isclose(w @ two**2, 1) and np.isclose(w @ (two * three), 0)
    one = torch.ones(1, dtype=torch.float64)
    assert np.isclose(float(p.zonal_overlap(one, 3, d, law)), 1)  # at β = β'

# He_2(z)/√2 = (z² − 1)/√2, and P_2(τ) = (dτ² − 1)/(d − 1); sums in one sweep.
t = torch.linspace(-1, 1, 5, dtype=torch.float64)
assert torch.allclose(p.normalized_hermite(t, 2), (t**2 - 1) / 2**0.5)
assert torch.allclose(p.gegenbauer(t, 2, d), (d * t**2 - 1) / (d - 1))
assert torch.allclose(
    p.gegenbauer_sum(t, [1.0, 0.0, 2.0], d), 1 + 2 * p.gegenbauer(t, 2, d)
)

# Parseval: the squared coefficients of sin sum to E sin².
mine = p.hermite_coefficients(torch.sin, 30)
assert np.isclose(mine @ mine, weights @ np.sin(z) ** 2)
mine = p.gegenbauer_coefficients(torch.sin, 30, d)
assert np.isclose(mine @ mine, on_sphere @ np.sin(np.sqrt(d) * tau) ** 2)
