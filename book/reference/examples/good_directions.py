"""R_2 as a term of a training loss, by minibatches; saved and restored."""

import torch
from torch import nn

from escape_ntk.risk.good_directions import GoodDirections

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(5, 30), nn.Tanh(), nn.Linear(30, 1)).double()
X = torch.randn(60, 5, dtype=torch.float64)
y = X[:, 0] * X[:, 1]

# A penalty is built at the start of training; then it is a term of the loss.
penalty = GoodDirections(model, X, n_k=6, progress=False)
assert penalty.n_k == 6 and float(penalty().detach()) == 0
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for rows in torch.randperm(60).split(20):
    risk = (model(X[rows])[:, 0] - y[rows]).square().mean()
    optimizer.zero_grad()
    (risk + 3.0 * penalty(X[rows])).backward()
    optimizer.step()

# The mean over the batches of a partition is R_2: each is an unbiased estimate.
with torch.no_grad():
    whole, parts = penalty(), [penalty(x) for x in X.split(15)]
assert torch.allclose(torch.stack(parts).mean(), whole) and float(whole) > 0
measured = penalty.measure()
delta = penalty.movement().detach()
assert measured["movement"] == float(delta.norm()) and measured["share"] < 1

# New inputs: the same square, another mean. Learnable directions cost nothing.
there = torch.randn(500, 5, dtype=torch.float64)
assert float(penalty(there, fresh=True).detach()) > 0
good = penalty.directions.V[0]
assert float(penalty(movement=good)) < 1e-20
assert float(penalty(movement=good + delta)) > 0

# A small Jacobian is kept; without it the penalty is the same.
assert penalty.features.kept is not None
other = GoodDirections.restore(model, X, penalty.state_dict(), keep=False)
assert torch.allclose(other(movement=delta), penalty(movement=delta))

# Fewer directions leave more to punish; nothing is computed again.
assert float(penalty.first(2)(movement=delta)) > float(whole)
(ax,) = penalty.plot().axes
assert ax.get_xlabel() == "j"

# θ₀ and the directions are saved beside the model: it may go on from there.
state = penalty.state_dict()
again = GoodDirections.restore(model, X, state)
assert torch.equal(again(movement=delta), penalty(movement=delta))
penalty.load_state_dict(state)
assert torch.equal(penalty.to("cpu").movement(), again.movement())
