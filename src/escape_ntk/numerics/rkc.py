"""Second-order stabilised Runge–Kutta–Chebyshev steps for y' = F(y) with real negative spectrum.

An s-stage step is stable for hρ up to about 0.65(s² − 1): cost grows like √(hρ), where an ordinary
explicit method pays hρ.  Formulas: Sommeijer, Shampine & Verwer (1998), damping ε = 2/13.  [L]
"""

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

DAMPING = 2 / 13
"""ε of Sommeijer, Shampine & Verwer: how far inside its limits the method is stable.  [L]"""
Velocity = Callable[[Tensor], Tensor]
"""F of y' = F(y): a tensor to a tensor of the same shape."""


def stages_for(h: float, rho: float) -> int:
    """Fewest stages s ≥ 2 with hρ ≤ ⅔(s² − 1)(1 − 2ε/15).  [L]"""
    return max(2, math.ceil(math.sqrt(1 + h * rho * 1.5 / (1 - 2 * DAMPING / 15))))


@functools.lru_cache(maxsize=512)
def coefficients(s: int) -> tuple[tuple[float, ...], ...]:
    """(μ_j, ν_j, μ̃_j, γ̃_j) for j = 1…s, and ``nodes`` c_j last: five tuples.  [L]"""
    w0 = 1 + DAMPING / s**2
    t, dt, ddt = _chebyshev(s, w0)
    w1 = dt[s] / ddt[s]
    b = [0.0, 0.0] + [ddt[j] / dt[j] ** 2 for j in range(2, s + 1)]
    b[0] = b[1] = b[2]
    a = [1 - b[j] * t[j] for j in range(s + 1)]
    mu, nu, mu_t, gamma_t = [0.0], [0.0], [b[1] * w1], [0.0]
    for j in range(2, s + 1):
        mu.append(2 * b[j] * w0 / b[j - 1])
        nu.append(-b[j] / b[j - 2])
        mu_t.append(2 * b[j] * w1 / b[j - 1])
        gamma_t.append(-a[j - 1] * mu_t[-1])
    nodes = [w1 * ddt[j] / dt[j] for j in range(2, s + 1)]
    nodes = [nodes[0] / dt[2], *nodes]
    return tuple(mu), tuple(nu), tuple(mu_t), tuple(gamma_t), tuple(nodes)


def _chebyshev(s: int, x: float) -> tuple[list[float], list[float], list[float]]:
    """T_j(x), T_j'(x), T_j''(x) for j = 0…s."""
    t, dt, ddt = [1.0, x], [0.0, 1.0], [0.0, 0.0]
    for _ in range(2, s + 1):
        ddt.append(4 * dt[-1] + 2 * x * ddt[-1] - ddt[-2])
        dt.append(2 * t[-1] + 2 * x * dt[-1] - dt[-2])
        t.append(2 * x * t[-1] - t[-2])
    return t, dt, ddt


def rkc_step(velocity: Velocity, y: Tensor, f: Tensor, h: float, s: int) -> Tensor:
    """y(t + h) from y(t) and f = F(y(t)) with s stages; calls ``velocity`` s − 1 times.

    Here and in :func:`spectral_radius` what ``velocity`` returns is overwritten: it must be fresh.
    """
    mu, nu, mu_t, gamma_t, _ = coefficients(s)
    before, now = y, torch.add(y, f, alpha=h * mu_t[0])
    for j in range(1, s):
        following = velocity(now).mul_(h * mu_t[j])
        following.add_(now, alpha=mu[j]).add_(before, alpha=nu[j])
        following.add_(y, alpha=1 - mu[j] - nu[j]).add_(f, alpha=h * gamma_t[j])
        before, now = now, following
    return now


def error_norm(
    y: Tensor, f: Tensor, new: Tensor, f_new: Tensor, h: float, rtol: float, atol: float
) -> float:
    """max over the blocks y[0], y[1], … of rms(e)/(atol + rtol max(rms y, rms y')): ≤ 1 accepts.

    e = 0.8(y − y') + 0.4h(f + f') [L].  The rms of a block, not of each entry, is compared: a
    rotation of the inputs then changes no step.
    """
    e = (y - new).mul_(0.8).add_(f, alpha=0.4 * h).add_(f_new, alpha=0.4 * h)
    size = torch.maximum(block_rms(y), block_rms(new))
    return float((block_rms(e) / (atol + rtol * size)).max())


def block_rms(y: Tensor) -> Tensor:
    """Root mean square of each y[i]."""
    return y.flatten(1).square().mean(1).sqrt()


def hermite_interpolant(y: Tensor, f: Tensor, new: Tensor, f_new: Tensor, h: float, theta: float):
    """Cubic Hermite interpolation at t + θh, 0 ≤ θ ≤ 1: third order, no further F.  [L]"""
    a, b = theta * theta * (3 - 2 * theta), theta * (1 - theta)
    out = torch.lerp(y, new, a)
    return out.add_(f, alpha=h * b * (1 - theta)).add_(f_new, alpha=-h * b * theta)


def spectral_radius(
    velocity: Velocity,
    y: Tensor,
    f: Tensor,
    direction: Tensor,
    *,
    most: int = 50,
    rtol: float = 0.01,
) -> tuple[float, Tensor, int]:
    """ρ = max |eigenvalue| of F'(y), by power iteration on differences of F.

    Returns (ρ, direction, calls of F).

    ``direction`` is the warm start; stops when ρ moves by less than ``rtol``, or after ``most``
    calls.
    """
    eps = torch.finfo(y.dtype).eps
    size = math.sqrt(eps) * max(float(y.norm()), 1.0)
    rho, v, calls = 0.0, direction / direction.norm(), 0
    for calls in range(1, most + 1):
        w = velocity(torch.add(y, v, alpha=size)).sub_(f).div_(size)
        last, rho = rho, float(w.norm())
        if not rho > 0 or not math.isfinite(rho):
            return rho, v, calls
        v = w.div_(rho)
        if abs(rho - last) <= rtol * rho:
            break
    return rho, v, calls
