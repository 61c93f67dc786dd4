"""How many learnable directions and how strong a penalty, by validation."""

import torch
from torch import nn

from escape_ntk.training import scan

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 20), nn.Tanh(), nn.Linear(20, 1))
X, there = torch.randn(40, 4), torch.randn(200, 4)


def labels(x):
    return x[:, 0] * x[:, 1]


# With the loop that is built in.
found = scan.scan_good_directions(
    model,
    X,
    n_k=(2, 5),
    strengths=(0.1, 1e3),
    y=labels(X),
    validation=(there, labels(there)),
    steps=200,
    rate=1e-2,
    progress=False,
)
assert isinstance(found, scan.Scan) and found.losses.shape == (2, 2)
assert abs(found.losses[0, 1] / found.plain - 1) > 0.01  # 1000 is felt
n_k, strength, loss = found.best
assert loss == found.losses.min() and f"best: n_k = {n_k}" in repr(found)
assert found.edges and "widen it" in repr(found)  # two values: both are edges


# With one of your own: (penalty or None, λ) ↦ validation loss.
def train(penalty, strength):
    return 1.0 if penalty is None else abs(strength - 3) + abs(penalty.n_k - 4)


wide = {"n_k": (2, 4, 6), "strengths": (1, 3, 9), "progress": False}
found = scan.scan_good_directions(model, X, train, **wide)
assert found.best == (4, 3, 0) and found.edges == ()
method: scan.Train = train
