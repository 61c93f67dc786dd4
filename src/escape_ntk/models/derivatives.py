"""f_L, f_Q and tangent features of a module's private copy, by several routes.

All are derivatives of the outputs f (N,), N = n·C for C outputs a row, at θ₀.  Each can be had in
several ways; which of them are exact for a given module is found out by trial
(:mod:`escape_ntk.models.route_trial`).  In the order in which they are tried:

* f_L: "forward", one forward-mode derivative; "reverse", the derivative of Φᵀu in u; "rows".
* f_Q: "forward-forward", one forward-mode derivative inside another; "forward-reverse", of
  g(t, u) = u·φ'(t), φ(t) = f(θ₀ + tΔ), the forward derivative in t, then the gradient in u;
  "reverse", three gradients in a row; "rows".
* Φ: "vmap", gradients of all rows at once; "rows", one row after the other.

Pullbacks Φᵀc are plain gradients.  Source: [D].
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import grad, jvp, vjp, vmap

from escape_ntk.models.private_copy import PrivateCopy, plainly

LINEAR = ("forward", "reverse", "rows")
"""Routes of f_L, in the order of trial."""
QUADRATIC = ("forward-forward", "forward-reverse", "reverse", "rows")
"""Routes of f_Q."""
JACOBIAN = ("vmap", "rows")
"""Routes of Φ."""


@dataclass(frozen=True)
class Routes:
    """How f_L, f_Q and Φ are computed, and why not faster."""

    linear: str = LINEAR[0]
    quadratic: str = QUADRATIC[0]
    mixed: str = "reverse"
    jacobian: str = JACOBIAN[0]
    alone: bool = False
    """Whether each row is evaluated alone: the module looks at values to decide what to do."""
    why: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = f"f_L {self.linear}, f_Q {self.quadratic}, Φ {self.jacobian}"
        return said + ", row by row" * self.alone + "".join(f"; {reason}" for reason in self.why)


class Derivatives:
    """Outputs f (N,) and their derivatives at θ₀, ``chunk`` outputs at a time.

    ``column``: which output of a row, or None for all of them, row-major.  Vectors Δ, v (P,) are
    movements, c (N,) one number an output.
    """

    def __init__(self, copy: PrivateCopy, column: int | None, outputs: int, chunk: int):
        self.copy, self.column, self.outputs, self.chunk = copy, column, outputs, chunk
        self.start = [p.clone() for p in copy.start.values()]
        self.sizes = [p.numel() for p in self.start]
        self.device, self.recurrent = self.start[0].device, copy.recurrent
        self.routes = Routes()

    def by(self, **routes) -> "Derivatives":
        """The same, by other routes."""
        other = object.__new__(type(self))
        other.__dict__ = self.__dict__ | {"routes": replace(self.routes, **routes)}
        return other

    # ------------------------------------------------------------ whole arrays

    def value(self, X: Tensor, movement: Tensor) -> Tensor:
        """f(θ₀ + Δ), (N,)."""
        with plainly(self.device, self.recurrent):
            moved = [p + d for p, d in zip(self.start, self._pieces(movement), strict=True)]
            return torch.cat([self._f(moved, x) for x in X.split(self._rows_at_once())])

    def push(self, X: Tensor, v: Tensor) -> Tensor:
        """f_L = Φv, (N,)."""
        route = {"forward": self._jvp, "reverse": self._double_vjp, "rows": self._row_linear}
        name = "reverse" if self._inside_forward_mode("linear") else self.routes.linear
        return self._each(X, route[name], v)

    def terms(self, X: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """(Φv, ½vᵀ∇²f v), each (N,)."""
        route = {
            "forward-forward": self._jvp_of_jvp,
            "forward-reverse": self._jvp_of_gradient,
            "reverse": lambda x, pieces: self._gradients(x, pieces, pieces),
            "rows": lambda x, pieces: self._row_terms(x, pieces, pieces),
        }
        name = "reverse" if self._inside_forward_mode("quadratic") else self.routes.quadratic
        both = self._each(X, lambda x, p: torch.stack(route[name](x, p), 1), v)
        return both[:, 0].contiguous(), both[:, 1] / 2

    def mixed(self, X: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """uᵀ∇²f v, (N,)."""
        route = self._gradients if self.routes.mixed == "reverse" else self._row_terms
        left = self._pieces(_plain(u))
        return self._each(X, lambda x, pieces: route(x, left, pieces)[1], v)

    def pull(self, X: Tensor, c: Tensor) -> Tensor:
        """Φᵀc, (P,): one gradient."""
        with plainly(self.device, self.recurrent):
            total, c = c.new_zeros(sum(self.sizes)), _plain(c)
            for x, weight in self._blocks(X, c):
                leaves = self._leaves()
                self._add(total, _gradient(self._f(leaves, x), leaves, weight))
        return total

    def curve(self, X: Tensor, c: Tensor, v: Tensor) -> Tensor:
        """Σ_i c_i ∇²f_i v, (P,): a gradient of a gradient."""
        with plainly(self.device, self.recurrent):
            total, c = c.new_zeros(sum(self.sizes)), _plain(c)
            pieces = self._pieces(_plain(v))
            for x, weight in self._blocks(X, c):
                leaves = self._leaves()
                slopes = _gradient(self._f(leaves, x), leaves, weight, create=True)
                self._add(total, _gradient(_dot(slopes, pieces), leaves))
        return total

    def rows_into(self, X: Tensor, out: Tensor) -> None:
        """Φ (N, P), written into ``out``."""
        by_row = self.routes.jacobian == "rows"
        start, count = 0, 1 if by_row else max(1, self._rows_at_once() // self.outputs)
        with plainly(self.device, self.recurrent):
            for x in X.split(count):
                block = out[start : start + len(x) * self.outputs]
                (self._gradients_of_row if by_row else self._all_gradients)(x, block)
                start += len(block)

    # ------------------------------------------------------------ one block of rows

    def _f(self, parameters: Sequence[Tensor], x: Tensor) -> Tensor:
        out = self.copy(parameters, x)
        if self.column is None:
            return out.reshape(-1)
        return out if out.ndim == 1 else out[:, self.column]

    def _jvp(self, x: Tensor, pieces: list[Tensor]) -> Tensor:
        return jvp(lambda *p: self._f(p, x), tuple(self.start), tuple(pieces))[1]

    def _double_vjp(self, x: Tensor, pieces: list[Tensor]) -> Tensor:
        leaves = self._leaves()
        out = self._f(leaves, x)
        u = torch.zeros_like(out, requires_grad=True)
        return _gradient(_dot(_gradient(out, leaves, u, create=True), pieces), [u])[0]

    def _jvp_of_jvp(self, x: Tensor, pieces: list[Tensor]) -> tuple[Tensor, Tensor]:
        def slope(*p):
            return jvp(lambda *q: self._f(q, x), p, tuple(pieces))[1]

        return jvp(slope, tuple(self.start), tuple(pieces))[:2]

    def _jvp_of_gradient(self, x: Tensor, pieces: list[Tensor]) -> tuple[Tensor, Tensor]:
        def line(t):
            return self._f([p + t * d for p, d in zip(self.start, pieces, strict=True)], x)

        def slope(t, u):
            return grad(lambda s: u @ line(s))(t)

        def both(u):
            t = u.new_zeros(())
            return torch.stack(jvp(lambda s: slope(s, u), (t,), (torch.ones_like(t),)))

        pairs, back = vjp(both, x.new_ones(len(x) * self.outputs))[:2]
        first, second = torch.eye(2, dtype=pairs.dtype, device=pairs.device)
        return back(first)[0], back(second)[0]

    def _gradients(self, x: Tensor, left: list[Tensor], right: list[Tensor]) -> tuple:
        """(Φv, uᵀ∇²f v): the gradient in w of uᵀ∇⟨∇(w·f), v⟩."""
        leaves = self._leaves()
        out = self._f(leaves, x)
        w = torch.zeros_like(out, requires_grad=True)
        slope = _dot(_gradient(out, leaves, w, create=True), right)
        curved = _dot(_gradient(slope, leaves, create=True), left)
        return _gradient(slope, [w], keep=True)[0], _gradient(curved, [w])[0]

    def _row_linear(self, x: Tensor, pieces: list[Tensor]) -> Tensor:
        leaves, found = self._leaves(), []
        for row in x.split(1):
            for one in self._f(leaves, row).unbind():
                found.append(_dot(_gradient(one, leaves, keep=True), pieces))
        return torch.stack(found)

    def _row_terms(self, x: Tensor, left: list[Tensor], right: list[Tensor]) -> tuple:
        found = []
        for row in x.split(1):
            leaves = self._leaves()
            for one in self._f(leaves, row).unbind():
                slope = _dot(_gradient(one, leaves, create=True), right)
                curved = _dot(_gradient(slope, leaves, keep=True), left)
                found.append((slope.detach(), curved.detach()))
        linear, quadratic = zip(*found, strict=True)
        return torch.stack(linear), torch.stack(quadratic)

    def _all_gradients(self, x: Tensor, out: Tensor) -> None:
        def one(parameters, row):
            return self._f(parameters, row[None])

        def of_row(parameters, row):
            if self.outputs == 1:
                return grad(lambda p: one(p, row)[0])(parameters)
            values, back = vjp(lambda p: one(p, row), parameters)[:2]
            return vmap(back)(torch.eye(len(values), dtype=values.dtype, device=row.device))[0]

        pieces = vmap(of_row, in_dims=(None, 0))(self.start, x)
        for part in out.split(self.sizes, dim=1):
            part.copy_(pieces.pop(0).reshape(part.shape))

    def _gradients_of_row(self, x: Tensor, out: Tensor) -> None:
        leaves = self._leaves()
        for line, one in zip(out, self._f(leaves, x).unbind(), strict=True):
            for part, piece in zip(
                line.split(self.sizes), _gradient(one, leaves, keep=True), strict=True
            ):
                part.copy_(piece.reshape(-1))

    # ------------------------------------------------------------ pieces

    def _inside_forward_mode(self, kind: str) -> bool:
        """Whether a dual level is open in which torch allows no other, and the route needs one."""
        if forward_ad._current_level < 0 or "forward" not in getattr(self.routes, kind):
            return False
        try:
            jvp(torch.sin, (self.start[0].new_zeros(()),), (self.start[0].new_ones(()),))
        except RuntimeError:
            return True
        return False

    def _rows_at_once(self) -> int:
        return 1 if self.routes.alone else self.chunk

    def _each(self, X: Tensor, of_block: Callable, v: Tensor) -> Tensor:
        with plainly(self.device, self.recurrent):
            pieces = self._pieces(_plain(v))
            blocks = [of_block(x, pieces).detach() for x in X.split(self._rows_at_once())]
            return blocks[0] if len(blocks) == 1 else torch.cat(blocks)

    def _blocks(self, X: Tensor, c: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        rows = self._rows_at_once()
        return zip(X.split(rows), c.split(rows * self.outputs), strict=True)

    def _leaves(self) -> list[Tensor]:
        return [p.detach().requires_grad_() for p in self.start]

    def _pieces(self, v: Tensor) -> list[Tensor]:
        return [d.view_as(p) for d, p in zip(v.split(self.sizes), self.start, strict=True)]

    def _add(self, total: Tensor, pieces: Sequence[Tensor]) -> None:
        for part, piece in zip(total.split(self.sizes), pieces, strict=True):
            part += piece.detach().reshape(-1)


def _plain(v: Tensor) -> Tensor:
    """Without a graph, and no inference tensor."""
    return v.clone() if v.is_inference() else v.detach()


def _gradient(
    out: Tensor,
    inputs: Sequence[Tensor],
    weight: Tensor | None = None,
    *,
    create: bool = False,
    keep: bool = False,
) -> tuple[Tensor, ...]:
    """∇(weight·out), zero where ``out`` does not depend on an input, dense."""
    if not out.requires_grad:
        return tuple(torch.zeros_like(p) for p in inputs)
    found = torch.autograd.grad(
        out,
        inputs,
        weight,
        create_graph=create,
        retain_graph=create or keep,
        allow_unused=True,
    )
    return tuple(
        torch.zeros_like(p) if g is None else g.to_dense() if g.is_sparse else g
        for g, p in zip(found, inputs, strict=True)
    )


def _dot(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    """⟨u, v⟩ of vectors in pieces."""
    return torch.stack([(a * b).sum() for a, b in zip(left, right, strict=True)]).sum()
