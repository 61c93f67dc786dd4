"""Derivatives of a module at θ₀ by each of the routes."""

import torch
from torch import nn

from escape_ntk.models import derivatives as d
from escape_ntk.models.private_copy import PrivateCopy

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
X = torch.randn(5, 3, dtype=torch.float64)
maps = d.Derivatives(PrivateCopy(net), column=0, outputs=1, chunk=2)
u, v = torch.randn(2, 21, dtype=torch.float64)
c = torch.randn(5, dtype=torch.float64)
assert torch.allclose(maps.value(X, 0 * v), net(X)[:, 0])

# All routes are one another's control.
phi = torch.empty(5, 21, dtype=torch.float64)
for name in d.JACOBIAN:
    maps.by(jacobian=name).rows_into(X, phi)
    assert torch.allclose(phi.T @ c, maps.pull(X, c))
for name in d.LINEAR:
    assert torch.allclose(maps.by(linear=name).push(X, v), phi @ v)
for name in d.QUADRATIC:
    f_l, f_q = maps.by(quadratic=name).terms(X, v)
    assert torch.allclose(f_l, phi @ v)
    assert torch.allclose(2 * f_q, maps.mixed(X, v, v))
assert torch.allclose(maps.mixed(X, u, v) @ c, maps.curve(X, c, v) @ u)
assert str(d.Routes()) == "f_L forward, f_Q forward-forward, Φ vmap"
