"""A module as a function that nothing outside can change."""

import torch
from torch import nn

from escape_ntk.models.private_copy import PrivateCopy, plainly

net = nn.Sequential(nn.Linear(3, 1), nn.BatchNorm1d(1)).double()
X = torch.randn(5, 3, dtype=torch.float64)
own = PrivateCopy(net)
own.watch(X)  # finds the running statistics, which a call changes
start = [p.clone() for p in own.start.values()]
before = own(start, X)
net[0].weight.data.zero_()
net.eval()
one, two = own.calls(start, X, 2)
assert torch.equal(before, one) and torch.equal(one, two)
assert own.changes_buffers and not own.recurrent and own.module is not net
assert own.in_float64().start["0.weight"].dtype == torch.float64
seen = []
own.trace(X, lambda name, *rest: seen.append(name), lambda *rest: None)
assert seen == ["", "0", "1"]
with torch.no_grad(), plainly(X.device, recurrent=False):
    assert torch.is_grad_enabled()
