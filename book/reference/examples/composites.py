"""A hard sigmoid with the second derivative that torch has no rule for."""

import torch
import torch.nn.functional as F

from escape_ntk.models.composites import COMPOSITES, Composites

assert F.hardsigmoid in COMPOSITES and F.relu not in COMPOSITES
x = torch.tensor([-4.0, 1.0, 5.0], requires_grad=True)
plain = F.hardsigmoid(x)
with Composites():
    composite = F.hardsigmoid(x)
assert torch.allclose(composite, plain) and torch.allclose(
    composite[1], torch.tensor(2 / 3)
)
(slope,) = torch.autograd.grad(composite.square().sum(), x, create_graph=True)
(curvature,) = torch.autograd.grad(slope.sum(), x)
assert torch.allclose(curvature, torch.tensor([0.0, 2 / 36, 0.0]))
