"""One stabilised step far beyond the reach of Euler's method, and its order."""

import torch

from escape_ntk.numerics import rkc
from escape_ntk.numerics.stats import log_slope

rates = torch.tensor([[1.0, 10.0, 1000.0]], dtype=torch.float64)


def decay(y: torch.Tensor) -> torch.Tensor:
    return -rates * y


velocity: rkc.Velocity = decay
y = torch.ones(1, 3, dtype=torch.float64)
f = velocity(y)
rho, _, calls = rkc.spectral_radius(velocity, y, f, torch.ones_like(y))
assert abs(rho / 1000 - 1) < 0.02 and calls < 50

# Stable at hρ = 100, where 1 − hρ = −99; the cost grows like √(hρ).
h = 0.1
s = rkc.stages_for(h, rho)
new = rkc.rkc_step(velocity, y, f, h, s)
assert s < 20 and float(new.abs().max()) < 1
mu, nu, mu_t, gamma_t, nodes = rkc.coefficients(s)
assert len(mu) == len(nu) == len(mu_t) == len(gamma_t) == len(nodes) == s
assert abs(nodes[-1] - 1) < 1e-12 and 0 < rkc.DAMPING < 1

# Second order: the error of one step is O(h³), and so is that in between.
slow = y[:, :1]
sizes, ends, middles, estimates = [0.2, 0.1, 0.05], [], [], []
for h in sizes:
    f = -slow
    end = rkc.rkc_step(torch.neg, slow, f, h, 3)
    ends.append(abs(float(end - torch.exp(torch.tensor(-h)))))
    half = rkc.hermite_interpolant(slow, f, end, -end, h, 0.5)
    middles.append(abs(float(half - torch.exp(torch.tensor(-h / 2)))))
    estimates.append(
        rkc.error_norm(slow, f, end, -end, h, rtol=1e-3, atol=1e-5)
    )
for errors in (ends, middles, estimates):
    assert abs(log_slope(sizes, errors) - 3) < 0.3
assert rkc.block_rms(torch.tensor([[3.0, -3.0]])).tolist() == [3.0]
