"""Activations with their derivatives, and the two-layer network f(x; W).

f(x; W) = m^{−1/2} Σ_r a_r σ((w_r + u_r)·x): w_r frozen at initialisation, u_r the movement,
a_r = ±1 fixed.  Paired initialisation: neurons r and r + m/2 share w_r and have a = +1 and −1, so
f(x; 0) = 0 exactly.  Source: [C] for the network, [L] for the pairing.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from escape_ntk import checks
from escape_ntk.numerics.polynomials import gauss_hermite

WEIGHT_LAWS = ("sphere", "gaussian")
"""Laws of a frozen weight w_r: uniform on the unit sphere, and N(0, I/d)."""
ACTIVATIONS: dict[str, "Activation"] = {}
"""The activations of the book, by name."""


_GRID = 41
"""Points of [−4, 4] at which an activation is looked at when it is made."""
_LARGEST, _LEAST = 1e12, 1e-12
"""Between these σ' and σ'' may lie: squares of larger ones leave float32, of smaller ones too."""


@dataclass(frozen=True, repr=False)
class Activation:
    """σ with σ' and σ'', each acting entrywise on a tensor.  [L]

    :func:`activation` makes one from a name or a function.  At birth each is looked at (float64,
    41 points of [−4, 4], random numbers left as they stand): entry by entry, the same alone and in
    company, finite, σ' and σ'' the derivatives by automatic differentiation and by differences.

    Arguments:

    * ``name``: what it is called; the names of the book's activations are taken;
    * ``value``, ``first``, ``second``: σ, σ' and σ'', each a function of a tensor.

    It can be pickled where its functions can: those of a module, not a ``lambda``.

    Errors: :class:`~escape_ntk.checks.InputError` names the function that is none of a tensor,
    entry by entry, and the derivative that disagrees; it refuses a σ' that is zero throughout, with
    which f_L would be.  :class:`~escape_ntk.checks.NonFiniteError` names the point.

    Example:

    >>> square = Activation("z²", torch.square, lambda z: 2 * z, lambda z: 2 + 0 * z)
    >>> square, square.first(torch.ones(2)).tolist()
    (Activation: z², [2.0, 2.0])
    """

    name: str
    value: Callable[[Tensor], Tensor]
    first: Callable[[Tensor], Tensor]
    second: Callable[[Tensor], Tensor]

    def __post_init__(self):
        checks.instance("name", self.name, str, 'a name such as "tanh"')
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.random.fork_rng(devices=()),
            warnings.catch_warnings(),
        ):
            warnings.filterwarnings("ignore", r"`torch\.jit", DeprecationWarning)  # by jvp's import
            self._check()

    def _check(self) -> None:
        z = _grid().requires_grad_()
        how = " (σ differentiated)" if self._differentiated else ""
        named = (("σ", self.value, ""), ("σ'", self.first, how), ("σ''", self.second, how))
        sigma, first, second = (
            _entrywise(f"{label} of activation {self.name!r}{how}", function, z, bool(how))
            for label, function, how in named
        )
        self._check_name(sigma)
        for lower, upper, label, function in (
            (sigma, first, "σ'", self.value),
            (first, second, "σ''", self.first),
        ):
            for slope, route in (
                (_slope(lower, z), "automatic differentiation"),
                (_by_differences(function, z.detach(), upper.detach()), "differences"),
            ):
                self._check_derivative(label, upper.detach(), slope, route)
        largest = float(first.detach().abs().max())
        if largest < _LEAST:
            raise checks.InputError(
                checks.message(
                    expected=f"σ' of activation {self.name!r} not zero on [−4, 4]",
                    got=f"|σ'| ≤ {largest:.2g}: f_L would be the zero function",
                    remedy="a σ with a slope, such as torch.tanh",
                )
            )

    @property
    def _differentiated(self) -> bool:
        """Whether σ' comes from σ alone."""
        return isinstance(self.first, partial) and self.first.func is _forwards

    def _check_derivative(self, label: str, given: Tensor, slope: Tensor, route: str) -> None:
        gap = (given - slope).abs()
        exact = 1e-8 if route != "differences" else 1e-3
        if float(gap.max()) <= exact * (1 + float(slope.abs().max())):
            return
        at = int(gap.argmax())
        remedy = f"correct {label}, or build it with Activation.from_function"
        if self._differentiated:
            remedy = "σ in torch's own operations, without .detach() or custom derivatives"
        raise checks.InputError(
            checks.message(
                expected=f"{label} of activation {self.name!r} to match its derivative by {route}",
                got=f"{float(given[at]):.4g} at z = {float(_grid()[at]):.3g}, not "
                f"{float(slope[at]):.4g}: a gap of {float(gap[at]):.2g}",
                remedy=remedy,
            )
        )

    def _check_name(self, sigma: Tensor) -> None:
        """Refuse another σ under a name of the book's: closed forms are found by name."""
        own = ACTIVATIONS.get(self.name)
        if own is not None and not torch.allclose(sigma.detach(), own.value(_grid()), atol=1e-8):
            raise checks.InputError(
                checks.message(
                    expected=f"a name of its own for a σ that is not the book's {self.name!r}",
                    got=f"{self.name!r}",
                    remedy=f'Activation.from_function("my {self.name}", …)',
                )
            )

    def __repr__(self) -> str:
        return f"Activation: {self.name}"

    @staticmethod
    def from_function(name: str, value: Callable[[Tensor], Tensor]) -> "Activation":
        """An activation from σ alone; derivatives by forward-mode differentiation.

        What is no function of a tensor raises :class:`~escape_ntk.checks.InputError`.
        """
        checks.function("σ", value, "pass a function of a tensor, such as torch.tanh")
        first = partial(_forwards, value)
        return Activation(name, value, first, partial(_forwards, first))


def _forwards(function: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """The derivative of ``function`` at each entry, by forward mode."""
    return torch.func.jvp(function, (z,), (torch.ones_like(z),))[1]


def _grid() -> Tensor:
    return torch.linspace(-4, 4, _GRID, dtype=torch.float64)


def _entrywise(
    name: str, function: Callable[[Tensor], Tensor], z: Tensor, differentiated: bool
) -> Tensor:
    """``function(z)`` if it is a finite tensor like z, each entry a function of its own alone."""
    remedy = "pass a function of a tensor that acts on each entry, such as torch.tanh"
    if differentiated:
        remedy = "σ in torch operations that can be differentiated, or Activation(name, σ, σ', σ'')"
    checks.function(name, function, remedy)
    values = _like(name, function, z, remedy)
    if not bool(torch.isfinite(values).all()):
        at = int((~torch.isfinite(values)).nonzero()[0])
        raise checks.NonFiniteError(
            checks.message(
                expected=f"{name} finite on [−4, 4]",
                got=f"{float(values.detach()[at])} at z = {float(z.detach()[at]):.3g}",
                remedy="a function that is defined on the whole line, or Activation.from_function",
            )
        )
    if float(values.detach().abs().max()) > _LARGEST:
        raise checks.InputError(
            checks.message(
                expected=f"{name} below {_LARGEST:g} on [−4, 4]: squares must fit in float32",
                got=f"{float(values.detach().abs().max()):.3g}",
                remedy="divide σ by its size",
            )
        )
    exact = values.detach()
    rest = z.detach()
    size = 1e-9 * (1 + float(exact.abs().max()))
    for company, order in _COMPANIES.items():
        again = torch.cat([_like(name, function, part, remedy).flatten() for part in order(rest)])
        wanted = torch.cat([part.flatten() for part in order(exact)])
        gap = float((again.detach() - wanted).abs().max())
        if not gap <= size:
            raise checks.InputError(
                checks.message(
                    expected=f"{name} to act on each entry alone, the same at each call",
                    got=f"values that differ by up to {gap:.2g} when it is called {company}",
                    remedy=remedy,
                )
            )
    return values


_COMPANIES: dict[str, Callable[[Tensor], list[Tensor]]] = {
    "again": lambda z: [z],
    "with the entries in another order": lambda z: [z.flip(0)],
    "with a part of the entries": lambda z: [*z.split(7)],
    "with one entry": lambda z: [z[:1], z[-1:]],
    "with entries in rows": lambda z: [z[:40].view(8, 5), z[1:].view(5, 8)],
}
"""The same numbers in other company, and in the two axes (inputs, neurons) that features have."""


def _like(name: str, function: Callable[[Tensor], Tensor], z: Tensor, remedy: str) -> Tensor:
    """``function(z)`` if it is a tensor like z."""
    try:
        values = function(z)
        got = checks.shown(values)
    except Exception as error:  # whatever a stranger's function raises
        values, got = None, f"{type(error).__name__}: {error}"
    if not isinstance(values, Tensor) or values.shape != z.shape or values.dtype != z.dtype:
        raise checks.InputError(
            checks.message(
                expected=f"{name} to map a tensor of shape {tuple(z.shape)}, {z.dtype} to another",
                got=got[:200],
                remedy=remedy,
            )
        )
    return values


def _slope(values: Tensor, z: Tensor) -> Tensor:
    """dσ(z_i)/dz_i by reverse mode; 0 where σ does not depend on z."""
    if not values.requires_grad:
        return torch.zeros_like(z)
    return torch.autograd.grad(values.sum(), z)[0]


def _by_differences(
    function: Callable[[Tensor], Tensor], z: Tensor, given: Tensor, h: float = 1e-5
) -> Tensor:
    """dσ(z_i)/dz_i by differences; what is ``given`` where the two sides disagree: a kink."""
    before, here, after = (function(z + shift).detach() for shift in (-h, 0.0, h))
    left, right = (here - before) / h, (after - here) / h
    smooth = (right - left).abs() <= 1e-3 * (1 + right.abs().max())
    return torch.where(smooth, (left + right) / 2, given)


def _sigmoid(z: Tensor) -> Tensor:
    return torch.sigmoid(z - 1)


def _sigmoid_first(z: Tensor) -> Tensor:
    p = _sigmoid(z)
    return p * (1 - p)


def _sigmoid_second(z: Tensor) -> Tensor:
    p = _sigmoid(z)
    return p * (1 - p) * (1 - 2 * p)


_SHIFT = math.pi / 4


def _sine(z: Tensor) -> Tensor:
    return torch.sin(z + _SHIFT)


def _sine_first(z: Tensor) -> Tensor:
    return torch.cos(z + _SHIFT)


def _sine_second(z: Tensor) -> Tensor:
    return -torch.sin(z + _SHIFT)


_ERF_SLOPE = 2 / math.sqrt(math.pi)


def _erf_first(z: Tensor) -> Tensor:
    return _ERF_SLOPE * torch.exp(-z.square())


def _erf_second(z: Tensor) -> Tensor:
    return -2 * _ERF_SLOPE * z * torch.exp(-z.square())


def _relu_first(z: Tensor) -> Tensor:
    return (z > 0).to(z)


ACTIVATIONS |= {
    a.name: a
    for a in (
        Activation("sigmoid(z-1)", _sigmoid, _sigmoid_first, _sigmoid_second),
        Activation("sin(z+pi/4)", _sine, _sine_first, _sine_second),
        Activation("erf", torch.erf, _erf_first, _erf_second),
        # σ'' = 0 almost everywhere: f_Q of this network is the zero function
        Activation("relu", torch.relu, _relu_first, torch.zeros_like),
    )
}


ActivationLike = Activation | str | Callable[[Tensor], Tensor]
"""What is taken wherever a σ is asked for: see :func:`activation`."""


def activation(sigma: ActivationLike) -> Activation:
    """σ with its derivatives, from a name, a function or an :class:`Activation`.

    Arguments:

    * ``sigma``: a name: ``"sigmoid(z-1)"`` (published figure), ``"sin(z+pi/4)"`` (the book's
      laboratory: every Hermite coefficient is nonzero), ``"erf"`` or ``"relu"``; a function of a
      tensor, such as ``torch.tanh``, which is differentiated forwards; or an :class:`Activation`.

    Returns an :class:`Activation`.

    Errors: :class:`~escape_ntk.checks.UnknownNameError` for an unknown name,
    :class:`~escape_ntk.checks.InputError` for what is no function of a tensor.

    Example:

    >>> activation("erf"), activation(torch.tanh)
    (Activation: erf, Activation: tanh)
    """
    own = "choose one of these, or pass a function such as torch.tanh"
    if isinstance(sigma, str):
        return ACTIVATIONS[checks.one_of("activation", sigma, tuple(ACTIVATIONS), own)]
    if isinstance(sigma, Activation):
        return sigma
    if callable(sigma):
        return Activation.from_function(getattr(sigma, "__name__", repr(sigma)), sigma)
    expected = "an activation: a name, a function of a tensor, or an Activation"
    raise checks.InputError(checks.message(expected=expected, got=checks.shown(sigma), remedy=own))


def gaussian_mean_square(function: Callable[[Tensor], Tensor]) -> float:
    """E[g(Z)²], Z ~ N(0,1), by Gauss–Hermite quadrature.  [L]"""
    z, w = gauss_hermite()
    return float((torch.from_numpy(w) * function(torch.from_numpy(z)) ** 2).sum())


@dataclass(frozen=True, eq=False)
class TwoLayerNetwork:
    """f(x; U) = m^{−1/2} Σ_r a_r σ((w_r + u_r)·x) as a function of the movement U.  [C]

    Shapes: ``weights`` (m, d), ``signs`` (m,) with entries ±1; others raise
    :class:`~escape_ntk.checks.InputError`.
    """

    weights: Tensor
    signs: Tensor
    activation: Activation

    def __post_init__(self):
        w = checks.array("weights", self.weights, (None, None))
        checks.array("signs", self.signs, (len(w),), like=w)
        object.__setattr__(self, "activation", activation(self.activation))
        if not bool((self.signs.abs() == 1).all()):
            raise checks.InputError(
                checks.message(
                    expected="signs a_r = ±1", got="other values", remedy="use torch.sign"
                )
            )

    @property
    def width(self) -> int:
        """m, the number of neurons."""
        return len(self.weights)

    def __call__(
        self, X: Float[Tensor, "n d"], U: Float[Tensor, "m d"] | None = None
    ) -> Float[Tensor, " n"]:
        """f(x_i; U), shape (n,); U = None means no movement."""
        moved = self.weights if U is None else self.weights + self.check_movement(U)
        z = self.check_inputs(X) @ moved.T  # (n, m)
        return self.activation.value(z) @ self.signs / math.sqrt(self.width)

    def check_inputs(self, X: Tensor) -> Tensor:
        """X if it is a finite (n, d) tensor of the network's dtype and device."""
        return checks.array("X", X, (None, self.weights.shape[1]), like=self.weights)

    def check_movement(self, U: Tensor) -> Tensor:
        """U if it is a finite (m, d) tensor of the network's dtype and device."""
        return checks.array("U", U, tuple(self.weights.shape), like=self.weights)


def paired_network(weights: Float[Tensor, "p d"], act: ActivationLike) -> TwoLayerNetwork:
    """The network of width m = 2p whose neurons r and r + p share w_r, with a = +1 and −1.  [L]"""
    checks.array("weights", weights, (None, None))
    ones = torch.ones_like(weights[:, 0])
    signs = torch.cat([ones, -ones])
    return TwoLayerNetwork(torch.cat([weights, weights]), signs, activation(act))


def draw_weights(
    m: int,
    d: int,
    generator: torch.Generator,
    *,
    law: str = "sphere",
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "{m//2} d"]:
    """The m/2 frozen weights of m paired neurons, drawn in float64 and then rounded.  [L]

    Arguments:

    * ``m``: the neurons, even: two share each weight;
    * ``d``: dimension of the inputs;
    * ``generator``: a torch.Generator; the weights are on its device;
    * ``law``: ``"sphere"``, of length 1; or ``"gaussian"``, N(0, I/d);
    * ``dtype``: of the weights.

    Returns a tensor (m/2, d).

    Errors: :class:`~escape_ntk.checks.InputError` for an odd m and sizes that cannot be,
    :class:`~escape_ntk.checks.UnknownNameError` for another law.

    Example:

    >>> draw_weights(10, 3, torch.Generator().manual_seed(0)).shape
    torch.Size([5, 3])
    """
    m, d = checks.even_width(m), checks.integer("d", d, least=1)
    checks.one_of("law", law, WEIGHT_LAWS)
    checks.generator(generator)
    checks.floating("dtype", dtype)
    w = torch.randn(m // 2, d, generator=generator, dtype=torch.float64, device=generator.device)
    return weights_of_law(w, law).to(dtype)


def weights_of_law(normal: Float[Tensor, "p d"], law: str) -> Float[Tensor, "p d"]:
    """Frozen weights of this law from rows of N(0, I_d)."""
    if law == "gaussian":
        return normal / math.sqrt(normal.shape[1])
    return normal / normal.norm(dim=1, keepdim=True)
