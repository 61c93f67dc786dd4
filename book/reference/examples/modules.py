"""Taylor terms, tangent features and the empirical leak of any module."""

import torch
from torch import nn

from escape_ntk.models import modules
from escape_ntk.risk.projectors import TrainingProjector

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()
X = torch.randn(6, 3, dtype=torch.float64)
features = modules.ModuleFeatures(net, X)
assert features.size == 3 * 8 + 8 + 8 + 1

# A movement Δ is a flat vector; by name it has the shapes of the parameters.
delta = 1e-3 * torch.randn(features.size, dtype=torch.float64)
assert torch.equal(features.join(features.split(delta)), delta)
f_l, f_q = features.terms(delta)
assert torch.allclose(features.linear(delta), f_l)
assert torch.allclose(
    features.value(0 * delta) + f_l + f_q, features.value(delta), atol=1e-8
)
assert float(features.remainder(delta).abs().max()) < 1e-8

# Tangent features and their Gram matrix, here against the whole Jacobian.
phi = features.jacobian()
assert torch.allclose(phi @ delta, f_l)
kept = modules.ModuleFeatures(net, X, keep=True)  # None: up to KEPT numbers
assert torch.equal(kept.kept, phi) and phi.numel() < modules.KEPT
assert torch.allclose(phi.T @ f_l, features.linear_pullback(f_l))
assert torch.allclose(phi @ phi.T, features.cross_gram(features))
other = features.at(X[:2])  # the same θ₀, other inputs
assert torch.allclose(features.cross_gram(other), phi @ phi[:2].T)
assert torch.equal(features.derivatives.push(X[:2], delta), other.linear(delta))

# R_2 of a movement, with a gradient; P_{≤k}Δ has none of it.
projector = TrainingProjector(features, 2)
leak = modules.empirical_leak(features, projector, delta)
none = modules.empirical_leak(features, projector, projector.low(delta))
assert float(leak) > 0 and float(none) < 1e-20

# The module may be trained meanwhile: its own movement. How all this was
# computed: by routes that a trial found exact.
with torch.no_grad():
    net[2].bias += 1
assert features.movement().sum().item() == 1
assert features.route == "f_L forward, f_Q forward-forward, Φ vmap"
