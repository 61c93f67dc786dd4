"""The first exact route: not forward mode twice, with LayerNorm."""

import torch
from torch import nn

from escape_ntk.models.derivatives import Derivatives
from escape_ntk.models.private_copy import PrivateCopy
from escape_ntk.models.route_trial import exact_routes, settle_linear

torch.manual_seed(0)
X = torch.randn(5, 3)
for layer, route in (
    (nn.Tanh(), "forward-forward"),
    (nn.LayerNorm(4), "forward-reverse"),
):
    net = nn.Sequential(nn.Linear(3, 4), layer, nn.Linear(4, 1))
    maps = Derivatives(PrivateCopy(net), column=0, outputs=1, chunk=2)
    assert exact_routes(maps, X).quadratic == route

assert maps.routes.linear == "forward"
assert not settle_linear(maps, wrong=lambda by: None)
assert settle_linear(
    maps, wrong=lambda by: 3 if by.routes.linear == "forward" else None
)
assert "f_L reverse" in str(maps.routes) and "not exact at row 3 of X" in str(
    maps.routes
)
