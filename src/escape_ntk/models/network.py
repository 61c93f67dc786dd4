"""Activations with their derivatives, and the two-layer network f(x; W).

f(x; W) = m^{−1/2} Σ_r a_r σ((w_r + u_r)·x): w_r frozen at initialisation, u_r the movement,
a_r = ±1 fixed.  Paired initialisation: neurons r and r + m/2 share w_r and have a = +1 and −1, so
f(x; 0) = 0 exactly.  Source: [C] for the network, [L] for the pairing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from escape_ntk import checks
from escape_ntk.numerics.polynomials import gauss_hermite

WEIGHT_LAWS = ("sphere", "gaussian")
"""Laws of a frozen weight w_r: uniform on the unit sphere, and N(0, I/d)."""
ACTIVATIONS: dict[str, "Activation"] = {}
"""The activations of the book, by name."""


@dataclass(frozen=True, repr=False)
class Activation:
    """σ with σ' and σ'', each acting entrywise on a tensor.  [L]

    :func:`activation` makes one from a name or a function.  Derivatives given by hand are compared
    with automatic differentiation at birth (float64, 41 points of [−4, 4]).

    Arguments:

    * ``name``: what it is called; the names of the book's activations are taken;
    * ``value``, ``first``, ``second``: σ, σ' and σ'', each a function of a tensor.

    Errors: :class:`~escape_ntk.checks.InputError` names the function that is none of a tensor,
    entry by entry, and the derivative that disagrees.

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
        with torch.inference_mode(False), torch.enable_grad():
            self._check()

    def _check(self) -> None:
        z = torch.linspace(-4, 4, 41, dtype=torch.float64, requires_grad=True)
        sigma, first, second = (
            _entrywise(f"{label} of activation {self.name!r}", function, z)
            for label, function in (("σ", self.value), ("σ'", self.first), ("σ''", self.second))
        )
        self._check_name(sigma)
        for lower, upper, label in ((sigma, first, "σ'"), (first, second, "σ''")):
            slope = _slope(lower, z)
            gap = float((upper - slope).detach().abs().max())
            if not gap <= 1e-8 * (1 + float(slope.abs().max())):
                raise checks.InputError(
                    checks.message(
                        expected=f"{label} of activation {self.name!r} to match its derivative",
                        got=f"a gap of {gap:.2g}",
                        remedy=f"correct {label}, or build it with Activation.from_function",
                    )
                )

    def _check_name(self, sigma: Tensor) -> None:
        """Refuse another σ under a name of the book's: closed forms are found by name."""
        own = ACTIVATIONS.get(self.name)
        z = torch.linspace(-4, 4, 41, dtype=torch.float64)
        if own is not None and not torch.allclose(sigma.detach(), own.value(z), atol=1e-8):
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

        def slope(f):
            return lambda z: torch.func.jvp(f, (z,), (torch.ones_like(z),))[1]

        return Activation(name, value, slope(value), slope(slope(value)))


def _entrywise(name: str, function: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """``function(z)`` if it is a tensor like z."""
    remedy = "pass a function of a tensor that acts on each entry, such as torch.tanh"
    checks.function(name, function, remedy)
    try:
        values = function(z)
        got = checks.shown(values)
    except Exception as error:  # whatever a stranger's function raises
        values, got = None, f"{type(error).__name__}: {error}"
    if not isinstance(values, Tensor) or values.shape != z.shape or values.dtype != z.dtype:
        raise checks.InputError(
            checks.message(
                expected=f"{name} to map a tensor of shape (41,), torch.float64 to another",
                got=got,
                remedy=remedy,
            )
        )
    return values


def _slope(values: Tensor, z: Tensor) -> Tensor:
    """dσ(z_i)/dz_i by reverse mode; 0 where σ does not depend on z."""
    if not values.requires_grad:
        return torch.zeros_like(z)
    return torch.autograd.grad(values.sum(), z)[0]


def _shifted_sigmoid() -> Activation:
    def value(z):
        return torch.sigmoid(z - 1)

    def first(z):
        p = value(z)
        return p * (1 - p)

    def second(z):
        p = value(z)
        return p * (1 - p) * (1 - 2 * p)

    return Activation("sigmoid(z-1)", value, first, second)


def _sine() -> Activation:
    shift = math.pi / 4
    return Activation(
        "sin(z+pi/4)",
        lambda z: torch.sin(z + shift),
        lambda z: torch.cos(z + shift),
        lambda z: -torch.sin(z + shift),
    )


def _erf() -> Activation:
    scale = 2 / math.sqrt(math.pi)
    return Activation(
        "erf",
        torch.erf,
        lambda z: scale * torch.exp(-z.square()),
        lambda z: -2 * scale * z * torch.exp(-z.square()),
    )


def _relu() -> Activation:
    """σ'' = 0 almost everywhere: f_Q of this network is the zero function."""
    return Activation("relu", torch.relu, lambda z: (z > 0).to(z), torch.zeros_like)


ACTIVATIONS |= {a.name: a for a in (_shifted_sigmoid(), _sine(), _erf(), _relu())}


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


@dataclass(frozen=True)
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
