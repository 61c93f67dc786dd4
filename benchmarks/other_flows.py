"""Ways to follow a gradient flow that were tried beside the book's, and lost: see fewer_gradients.

Each is the integrator of `escape_ntk.training.flow` with another step or another control.
"""

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import linprog
from torch import Tensor

from escape_ntk.numerics import rkc
from escape_ntk.risk.problem import Problem
from escape_ntk.risk.regularizer import RegularizedRisk
from escape_ntk.training.flow import _Flow

MOST = 11
"""Stages of a step of third order: beyond, some of its weights would have to exceed 2."""


class Way(_Flow):
    """The present one, told what it follows; ``between``: the state at t + θh, if not by cubics."""

    problem: Problem
    risk: RegularizedRisk
    between: Callable[[float], Tensor] | None = None


class Fitted(Way):
    """The estimate of the error with the constant that s stages really have: ⅙ for 2, not ⅟₁₅."""

    def try_step(self):
        new, f_new, error = super().try_step()
        return new, f_new, error * constant(self.stages())


def constant(s: int) -> float:
    """Of h³y''' in the error of a linear problem, over ⅟₁₅."""
    return 15 * (1 / 6 - (s * s - 4) / (10 * (s * s - 1)))


class Eager(Way):
    """Steps at nine tenths of the tolerance, and half as many estimates of the radius."""

    def accept(self, new: Tensor, f_new: Tensor, error: float) -> None:
        super().accept(new, f_new, error * (0.8 / 0.9) ** 3)
        if self.steps % 20 == 9:
            self.since_radius = -10


class Higher(Way):
    """y + hΣb_jF_j on Chebyshev's stages, b by a linear programme; Kutta's four where they do.

    Third order.  For the fourth the weights are beyond 10⁵: on these stages Ac² is c³/5 but for
    little, and the conditions b·c³ = ¼ and b·Ac² = ¹⁄₁₂ all but exclude each other.
    """

    def try_step(self):
        self.h = min(self.h, 0.999 * weights(MOST)[0] / self.rho)
        z = self.h * self.rho
        if z <= 2.7:
            return self._classical()
        s = next(s for s in range(4, MOST + 1) if weights(s)[0] >= z)
        mu, nu, mu_t, gamma_t, _ = rkc.coefficients(s)
        _, b, e = weights(s)
        before, now = self.y, torch.add(self.y, self.f, alpha=self.h * mu_t[0])
        new, error = torch.add(self.y, self.f, alpha=self.h * b[0]), self.f * (self.h * e[0])
        for j in range(1, s + 1):
            f = self.call(now)
            new.add_(f, alpha=self.h * b[j])
            error.add_(f, alpha=self.h * e[j])
            if j < s:
                f.mul_(self.h * mu_t[j]).add_(now, alpha=mu[j]).add_(before, alpha=nu[j])
                f.add_(self.y, alpha=1 - mu[j] - nu[j]).add_(self.f, alpha=self.h * gamma_t[j])
                before, now = now, f
        return new, self.call(new), self._size(new, error)

    def _classical(self):
        """The method of Kutta, and its difference to one of third order."""
        h, y = self.h, self.y
        f2 = self.call(torch.add(y, self.f, alpha=h / 2))
        f3 = self.call(torch.add(y, f2, alpha=h / 2))
        f4 = self.call(torch.add(y, f3, alpha=h))
        new = y + h / 6 * (self.f + 2 * f2 + 2 * f3 + f4)
        f_new = self.call(new)
        return new, f_new, self._size(new, f4.sub_(f_new).mul_(h / 6)) ** 0.75  # of fourth order

    def _size(self, new: Tensor, error: Tensor) -> float:
        size = torch.maximum(rkc.block_rms(self.y), rkc.block_rms(new))
        return float((rkc.block_rms(error) / (self.atol + self.rtol * size)).max())


@functools.cache
def weights(s: int) -> tuple[float, np.ndarray, np.ndarray]:
    """(largest hρ, b, b − b̂): third order, and the smallest sup |R| on [−hρ, 0]."""
    mu, nu, mu_t, gamma_t, _ = rkc.coefficients(s)

    def through(g: np.ndarray, start: float = 0.0, z: float | np.ndarray = 1.0) -> list:
        """Stages of y' = z·g, where g is given, or y itself."""
        own = [start + 0 * z]
        for j in range(s):
            last = own[-1] if start else g[j]
            first = own[0] if start else g[0]
            two = own[j - 1] if j else own[0]
            m, v = (mu[j], nu[j]) if j else (0.0, 0.0)
            own.append((1 - m - v) * own[0] + m * own[-1] + v * two
                       + z * (mu_t[j] * last + (gamma_t[j] * first if j else 0.0)))  # fmt: skip
        return own

    one, first = np.ones(s + 1), np.eye(s + 1)[1]
    c = np.array(through(one))
    rows = np.array([one, c, c**2, first])  # from stage 2 on Ac = c²/2: the other condition follows
    order, most = np.array([1, 1 / 2, 1 / 3, 0]), 2

    def least(limit: float, right: np.ndarray, plus: float):
        """Smallest r with |plus + zΣb_jP_j(z)| ≤ r on (−limit, 0), r + (1 − r)e^z for plus = 1."""
        z = -limit * (1 - np.cos(np.linspace(0, np.pi, 8 * s + 1))[1:]) / 2
        R = np.array([z * p for p in through(one, 1.0, z)]).T
        free = plus * np.exp(z)
        r = (free - 1)[:, None]
        return linprog(
            [0.0] * (s + 1) + [1.0],
            A_ub=np.vstack([np.hstack([R, r]), np.hstack([-R, r])]),
            b_ub=np.concatenate([free - plus, free + plus]),
            A_eq=np.hstack([rows, np.zeros((4, 1))]),
            b_eq=right,
            bounds=[(-most, most)] * (s + 1) + [(0, None)],
        )

    low, high, b = 0.05 * s * s, 0.6 * s * s, None
    for _ in range(7):  # the longest interval on which R is damped
        tried = least((low + high) / 2, order, 1.0)
        if tried.success and tried.x[-1] <= 0.95:
            low, b = (low + high) / 2, tried.x[:-1]
        else:
            high = (low + high) / 2
    if b is None:
        return 0.0, one, one
    missed = order * [0, 0, 1 / 4, 0]  # b̂ misses a quarter of the third derivative
    return low, b, least(low, missed, 0.0).x[:-1]


class Exponential(Way):
    """Stiff eigenvectors V of the linear term exactly, with a forcing linear in time; the rest RKC.

    a = Vt: a' = −μa + n.  V: those with μ > ρ of F without the linear term.  The forcing at a stage
    goes through its value at the stage before; at the first, with the slope of the last step.  The
    best of nine variants, chosen on three of the curves: if anything this flatters it.
    """

    def start(self, t_end: float) -> None:
        self.V, self.slope = self.y.new_zeros(0, self.y[1].numel()), None
        super().start(t_end)

    def estimate_radius(self, most: int = 4) -> None:
        risk, n = self.risk, len(self.risk.features)
        parts = self.problem.projector
        values, vectors = (x.to(self.y) for x in parts._gram_pairs)
        kappa = torch.ones_like(values)
        kappa[parts.n_k :] += risk.penalties.empirical
        rates = 4 / n * kappa * values.clamp_min(0)

        def rest(y: Tensor) -> Tensor:
            f_l, f_q, pullback = risk.features.terms_and_pullback(y)
            return pullback((f_q - risk.y) * (-4 / n), (f_l + f_q - risk.y) * (-4 / n))

        rho, self.direction, calls = rkc.spectral_radius(
            rest, self.y, rest(self.y), self.direction, most=most if most > 4 else 3
        )
        stiff = int((rates > 1.1 * rho).sum())
        self.calls, self.since_radius = self.calls + calls + 1, 0
        if stiff != len(self.V):
            top = rates.argsort(descending=True)[:stiff]
            columns = (vectors[:, top] / values[top].sqrt()).T
            V = [risk.features.linear_pullback(c).flatten() for c in columns]
            self.V, self.slope = torch.stack(V) if V else self.V[:0], None
            self.rates = rates[top]
        slower = rates.sort(descending=True).values[stiff : stiff + 1]
        self.rho = 1.1 * rho + float(slower.sum())

    def down(self, t: Tensor) -> Tensor:
        """V t; like `up` at most a quarter of a gradient, through A and the Gram matrix."""
        self.calls += min(len(self.V) / len(self.risk.features), 1) / 4
        return self.V @ t.flatten()

    def up(self, a: Tensor) -> Tensor:
        self.calls += min(len(self.V) / len(self.risk.features), 1) / 4
        return (a @ self.V).view_as(self.y[1])

    def try_step(self):
        self.between = None
        if not len(self.V):
            return super().try_step()
        s, h, m = self.stages(), self.h, self.rates
        mu, nu, mu_t, gamma_t, c = rkc.coefficients(s)
        a0, w = self.down(self.y[1]), self.down(self.f[1])
        n0, rest = w + m * a0, self.f.clone()
        rest[1].sub_(self.up(w))

        def exact(at: float, d: Tensor | float, q: Tensor | float = 0.0) -> Tensor:
            """a(at·h) under n0 + d·θ + q·θ²."""
            p1, p2, p3 = phi(at * h * m)
            return torch.exp(-at * h * m) * a0 + at * h * (
                p1 * n0 + at * p2 * d + 2 * at**2 * p3 * q
            )

        trend = 0.0 if self.slope is None else self.slope * h
        a, a_before, seen = exact(c[0], trend), a0, []
        before, now = self.y, torch.add(self.y, rest, alpha=h * mu_t[0])
        now[1].add_(self.up(a - a0))
        for j in range(1, s):
            f = self.call(now)
            w = self.down(f[1])
            seen.append((c[j - 1], w + m * a - n0))
            a_next = exact(c[j], seen[-1][1] / c[j - 1])
            moved = a_next - mu[j] * a - nu[j] * a_before - (1 - mu[j] - nu[j]) * a0
            f[1].add_(self.up(moved / (h * mu_t[j]) - w))
            f.mul_(h * mu_t[j]).add_(now, alpha=mu[j]).add_(before, alpha=nu[j])
            f.add_(self.y, alpha=1 - mu[j] - nu[j]).add_(rest, alpha=h * gamma_t[j])
            before, now, a_before, a = now, f, a, a_next
        f_new = self.call(now)
        w, lifted = self.down(f_new[1]), self.up(a - a0)
        middle, d1 = min(seen, key=lambda x: abs(x[0] - 0.5))
        d2 = w + m * a - n0
        q = (d2 - d1 / middle) / (1 - middle)
        rest_new, e = f_new.clone(), self.y - now
        rest_new[1].sub_(self.up(w))
        e[1].add_(lifted)
        e.mul_(0.8).add_(rest, alpha=0.4 * h).add_(rest_new, alpha=0.4 * h).mul_(constant(s))
        e_a = 2.5 * (exact(1.0, d2 - q, q) - exact(1.0, d2))
        self.trend = (d2 + q) / h

        def between(theta: float) -> Tensor:
            end = now.clone()
            end[1].sub_(lifted)
            out = rkc.hermite_interpolant(self.y, rest, end, rest_new, h, theta)
            out[1].add_(self.up(exact(theta, d2 - q, q) - a0))
            return out

        self.between = between
        both = rkc.block_rms(e).square()
        both[1] += e_a.square().sum() / self.y[1].numel()
        size = torch.maximum(rkc.block_rms(self.y), rkc.block_rms(now))
        return now, f_new, float((both.sqrt() / (self.atol + self.rtol * size)).max())

    def accept(self, new: Tensor, f_new: Tensor, error: float) -> None:
        self.slope, self.between = self.trend, None
        super().accept(new, f_new, error)


def phi(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """∫₀¹ e^{−(1−u)z}u^k/k! du for k = 0, 1, 2."""
    x = z.clamp_min(0.05)
    p1 = -torch.expm1(-x) / x
    p2 = (1 - p1) / x

    def near(k: int, far: Tensor) -> Tensor:
        series = [(-z) ** j / math.factorial(j + k) for j in range(9)]
        return torch.where(z < 0.05, torch.stack(series).sum(0), far)

    return near(1, p1), near(2, p2), near(3, (0.5 - p2) / x)


WAYS: dict[str, type[Way]] = {
    "present": Way,
    "constant": Fitted,
    "eager": Eager,
    "higher": Higher,
    "exponential": Exponential,
}
