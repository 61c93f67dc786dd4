"""Φv, Φᵀc and f_Q with all their derivatives."""

import torch
from torch import nn

from escape_ntk.models.derivatives import Derivatives
from escape_ntk.models.linear_maps import curvature, pulled, pushed
from escape_ntk.models.private_copy import PrivateCopy

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
X = torch.randn(5, 3, dtype=torch.float64)
maps = Derivatives(PrivateCopy(net), column=0, outputs=1, chunk=2)
v, c = torch.randn(21).double(), torch.randn(5).double()
assert torch.allclose(pushed(maps, X, v) @ c, pulled(maps, X, c) @ v)


def total(movement):
    return curvature(maps, X, movement)[1].sum()


# Σ_i f_Q(x_i; v) = ½vᵀHv, and H is its Hessian, backwards or forwards.
H = torch.autograd.functional.hessian(total, v)
assert torch.allclose(total(v), v @ H @ v / 2)
assert torch.allclose(torch.func.hessian(total)(v), H)
