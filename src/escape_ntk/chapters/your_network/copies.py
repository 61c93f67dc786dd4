"""Many copies of one dense network, trained side by side: each has its own weights and penalty.

All start at the same θ₀.  Their f_L has a recursion of its own over the layers,
dz_l = ΔW_l a_{l−1} + Δb_l + W_l da_{l−1},  da_l = φ'(z_l) dz_l  at θ₀,  so that for several outputs
no Jacobian takes part in a step.  Source: [D].
"""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}
Weights = list[Tensor]
"""W_1, b_1, W_2, b_2, …: (out, in) and (out,); of S copies (S, out, in) and (S, out)."""


def dense(sizes: Sequence[int], activation: str) -> nn.Sequential:
    """Layers of these sizes, with the activation between them; torch's default initialisation."""
    layers: list[nn.Module] = []
    for i, (wide, next_wide) in enumerate(itertools.pairwise(sizes)):
        layers += [ACTIVATIONS[activation]()] if i else []
        layers.append(nn.Linear(wide, next_wide))
    return nn.Sequential(*layers)


@dataclass(frozen=True)
class AtStart:
    """At θ₀ and some inputs: each layer's inputs, the slopes φ' before it, and z of the first."""

    inputs: list[Tensor]
    slopes: list[Tensor]
    first: Tensor


@dataclass(frozen=True)
class Copies:
    """``module``, from :func:`dense`, at θ₀."""

    module: nn.Module
    activation: str

    @functools.cached_property
    def start(self) -> Weights:
        """θ₀."""
        return [p.detach() for p in self.module.parameters()]

    def repeated(self, count: int) -> Weights:
        """``count`` copies of θ₀."""
        return [p.repeat(count, *[1] * p.ndim) for p in self.start]

    def outputs(self, weights: Weights, X: Float[Tensor, "n d"]) -> Float[Tensor, "S n C"]:
        """f(x_i) of each copy."""
        return self._forward(weights, X)[-1].transpose(-1, -2)

    def linear(self, weights: Weights, X: Float[Tensor, "n d"]) -> Float[Tensor, "S n C"]:
        """f_L(x_i; Δ) of each copy, Δ = its weights − θ₀."""
        there = self.at_start(X)
        first = _product(weights[0], X.T) + weights[1][..., None]
        return self._linear(weights, there, first).transpose(-1, -2)

    def at_start(self, X: Float[Tensor, "n d"]) -> "AtStart":
        """What f_L needs of θ₀ at these inputs."""
        z = first = a = X.T
        inputs, slopes = [], []
        for layer in range(0, len(self.start), 2):
            if layer:
                slopes.append(self._slope(z, a := self._act(z)))
            inputs.append(a if layer else z)
            z = self.start[layer] @ inputs[-1] + self.start[layer + 1][:, None]
            if not layer:
                first = z
        return AtStart(inputs, slopes, first)

    def gradients(
        self, weights: Weights, X: Float[Tensor, "n d"], there: "AtStart", errors
    ) -> Weights:
        """Σ over outputs of g ∂f/∂θ + h ∂f_L/∂θ, copy by copy.

        ``errors(f, linear)``: g (S, C, n) of the outputs f, and h of the first copies, whose f_L is
        ``linear(count)``; each (·, C, n).
        """
        z = self._forward(weights, X)
        g, h = errors(z[-1], lambda count: self._linear([w[:count] for w in weights], there, z[0]))
        count, out = len(h), []
        for layer in range(len(weights) - 2, -1, -2):
            if layer:
                a = self._act(z[layer // 2 - 1])
                change = g @ a.transpose(-1, -2)
                change[:count] += (h.flatten(0, 1) @ there.inputs[layer // 2].T).view_as(
                    change[:count]
                )
                out += [_summed(g, h), change]
                g = (weights[layer].transpose(-1, -2) @ g) * self._slope(z[layer // 2 - 1], a)
                h = (self.start[layer].T @ h) * there.slopes[layer // 2 - 1]
            else:
                g[:count] += h
                out += [g.sum(-1), (g.flatten(0, 1) @ X).view_as(weights[0])]
        return out[::-1]

    def _forward(self, weights: Weights, X: Tensor) -> list[Tensor]:
        """z_l (S, out, n) of each layer; the last is f."""
        a, rows = X.T, []
        for layer in range(0, len(weights), 2):
            z = _product(weights[layer], self._act(rows[-1]) if layer else a)
            rows.append(z.add_(weights[layer + 1][..., None]))
        return rows

    def _linear(self, weights: Weights, there: "AtStart", first: Tensor) -> Tensor:
        """f_L (S, C, n); ``first``: z_1 of these and perhaps more copies."""
        change = first[: len(weights[0])] - there.first
        for layer in range(2, len(weights), 2):
            W, b = self.start[layer : layer + 2]
            moved = there.slopes[layer // 2 - 1] * change
            change = _product(weights[layer] - W, there.inputs[layer // 2]).add_(W @ moved)
            change += (weights[layer + 1] - b)[..., None]
        return change

    def _act(self, z: Tensor) -> Tensor:
        return z.tanh() if self.activation == "tanh" else z.relu()

    def _slope(self, z: Tensor, a: Tensor) -> Tensor:
        """φ'(z) for a = φ(z)."""
        return 1 - a * a if self.activation == "tanh" else (z > 0).to(z)

    def jacobian(self, X: Float[Tensor, "n d"]) -> Float[Tensor, "m P"]:
        """Φ at θ₀, all rows of the first output, then of the next."""
        start = {name: p.detach() for name, p in self.module.named_parameters()}
        rows = []
        for column in range(len(self.start[-1])):

            def one(p, x, column=column):
                return functional_call(self.module, p, (x[None],))[0, column]

            pieces = vmap(grad(one), in_dims=(None, 0))(start, X)
            rows.append(torch.cat([pieces[name].flatten(1) for name in start], dim=1))
        return torch.cat(rows)

    def moved(self, movements: Float[Tensor, "S P"]) -> Weights:
        """θ₀ + Δ of each row."""
        sizes = [p.numel() for p in self.start]
        pieces = movements.split(sizes, dim=1)
        return [p + d.view(-1, *p.shape) for p, d in zip(self.start, pieces, strict=True)]


def _product(W: Tensor, a: Tensor) -> Tensor:
    """W a for W (S, out, in): one product of matrices where a (in, n) is common to all copies."""
    return (W.flatten(0, 1) @ a).view(*W.shape[:2], -1) if a.ndim == 2 else W @ a


def _summed(g: Tensor, h: Tensor) -> Tensor:
    """Σ_i g + h, h of the first copies."""
    total = g.sum(-1)
    total[: len(h)] += h.sum(-1)
    return total


def pooled(f: Float[Tensor, "*S n C"]) -> Float[Tensor, "*S m"]:
    """Outputs in the order of :meth:`Copies.jacobian`."""
    return f.transpose(-1, -2).flatten(-2)
