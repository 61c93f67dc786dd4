"""Pair coordinates: the Taylor model and the network on half the neurons, and their evaluation.

For a pair with movements u (a = +1) and v (a = −1) put s = u + v and t = u − v.  Then
f_L = m^{−1/2} Σ_{r ≤ m/2} σ'(w_r·x)(t_r·x),
f_Q = (2√m)^{−1} Σ_{r ≤ m/2} σ''(w_r·x)(s_r·x)(t_r·x).
Gradient descent with step η on all weights is exactly gradient descent with step 2η in (s, t):
f_L moves t; t then drives s through f_Q; at W = 0 f_Q alone has zero gradient.  Source: [D].
The network itself: f = m^{−1/2} Σ_{r ≤ m/2} [σ(w_r·x + u_r·x) − σ(w_r·x + v_r·x)].
"""

import math
from collections.abc import Callable
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from escape_ntk import checks
from escape_ntk.models.network import Activation, ActivationLike
from escape_ntk.models.network import activation as as_activation

_Pullback = Callable[[Tensor, Tensor], Tensor]
STEP_FACTOR = 2.0
"""Gradient descent with step η in (u, v) is gradient descent with step 2η in (s, t).  [D]"""
_BLOCK = 2**18
"""Numbers in an array of one block of rows: on a processor a few of them stay in its caches."""
_PULLED = 2**17
"""The same where the block is pulled back at once, which takes two of them."""
_BLOCK_ELSEWHERE = 2**25
"""On other devices, which are kept busy by much at a time."""
_LEAST_ROWS, _MOST_ROWS = 32, 512
"""Rows in a block on a processor, 2d at least: a product with fewer reads more of the movement,
and reads and writes more of the gradient, than of its own numbers.  Beyond the most they gain
nothing."""


def to_pairs(U: Float[Tensor, "m d"]) -> Float[Tensor, "2 m//2 d"]:
    """(s, t) = (u + v, u − v) stacked, from the movement of all m neurons.

    Arguments:

    * ``U``: movement (m, d), m even, neurons with a = +1 first.

    Returns a tensor (2, m/2, d).

    Errors: :class:`~escape_ntk.checks.InputError` for an odd m,
    :class:`~escape_ntk.checks.ShapeError` for what is no finite tensor (m, d).

    Example:

    >>> to_pairs(torch.tensor([[1.0], [3.0]])).tolist()
    [[[4.0]], [[-2.0]]]
    """
    checks.array("U", U, (None, None))
    checks.even_width(len(U))
    u, v = U.chunk(2)
    return torch.stack([u + v, u - v])


def from_pairs(state: Float[Tensor, "2 p d"]) -> Float[Tensor, "2*p d"]:
    """U = (u; v) with u = (s + t)/2, v = (s − t)/2: the inverse of :func:`to_pairs`.

    Arguments:

    * ``state``: (s, t), a tensor (2, p, d), such as ``state`` of a trajectory.

    Returns a tensor (2p, d): the movement of all neurons, those with a = +1 first.

    Errors: :class:`~escape_ntk.checks.ShapeError` for what is no finite tensor (2, p, d).

    Example:

    >>> from_pairs(torch.tensor([[[4.0]], [[-2.0]]])).tolist()
    [[1.0], [3.0]]
    """
    s, t = checks.array("state", state, (2, None, None))
    return torch.cat([(s + t) / 2, (s - t) / 2])


def _same_slope(one: Activation, other: Activation) -> bool:
    """Whether σ' is the same function, also where each was differentiated on its own."""
    z = torch.linspace(-8, 8, 65, dtype=torch.float64)
    return one is other or torch.equal(one.first(z), other.first(z))


class PairFeatures:
    """f_L and f_Q at fixed inputs X as functions of the pair movement (s, t).

    Holds σ'(w_r·x_i)/√m and σ''(w_r·x_i)/(2√m), each (n, p), m = 2p, computed once: an evaluation
    costs two products (n, d)×(d, p), its pullback two more.  All else is done block by block, while
    the products are still in a cache.  Memory: 2np numbers, plus 2·n·p for the pullback or
    2·chunk·p for values, and for least squares.

    Arguments:

    * ``X``: inputs (n, d);
    * ``weights``: frozen weights w_r (p, d), one for each pair;
    * ``activation``: a name, a function such as ``torch.tanh``, or an Activation;
    * ``chunk``: how many rows are evaluated at a time; None: as many as the caches hold.

    Errors: :class:`~escape_ntk.checks.ShapeError` for arrays that do not fit, and for a state of
    another shape, dtype or device; NaN in a state passes, so that divergence stays an outcome.

    Example:

    >>> features = PairFeatures(torch.ones(3, 4), torch.eye(4)[:2], "erf")
    >>> linear, quadratic = features.terms(features.zero_state())
    >>> features, linear.tolist()
    (PairFeatures: 3 inputs in R^4, m = 4, erf, [0.0, 0.0, 0.0])
    """

    bilinear: ClassVar[bool] = True
    """Whether the second term is bilinear in (s, t), as exact second derivatives need."""
    kernel_factor: ClassVar[float] = STEP_FACTOR
    """K over the Gram matrix of the t-features."""

    def __init__(
        self,
        X: Float[Tensor, "n d"],
        weights: Float[Tensor, "p d"],
        activation: ActivationLike,
        *,
        chunk: int | None = None,
    ):
        self.activation = activation = as_activation(activation)
        checks.array("weights", weights, (None, None))
        self.X = checks.array("X", X, (None, weights.shape[1]), like=weights)
        self.weights = weights
        self.n_pairs, self.dim = weights.shape
        given = _rows_at_once(weights, _BLOCK) if chunk is None else chunk
        self.chunk = checks.integer("chunk", given, least=1)
        pulled = _rows_at_once(weights, _PULLED) if chunk is None else chunk
        self._rows_pulled = pulled
        m = 2 * self.n_pairs
        self.first = torch.empty(len(X), self.n_pairs, dtype=X.dtype, device=X.device)
        self.second = torch.empty_like(self.first)
        for rows in self._blocks():
            z = X[rows] @ weights.T
            self.first[rows] = activation.first(z) / math.sqrt(m)
            self.second[rows] = activation.second(z) / (2 * math.sqrt(m))
        self._buffers: tuple[Tensor, Tensor] | None = None
        self._block: Tensor | None = None
        self._evaluation = 0  # number of the evaluation whose products the buffers hold

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        size = f"{len(self)} inputs in R^{self.dim}, m = {2 * self.n_pairs}"
        return f"{type(self).__name__}: {size}, {self.activation.name}"

    def zero_state(self) -> Float[Tensor, "2 p d"]:
        """W = 0 in pair coordinates."""
        return self.X.new_zeros(2, self.n_pairs, self.dim)

    def check_state(self, state: Tensor) -> Tensor:
        """``state`` if it is a finite (2, p, d) tensor like the features, without gradient."""
        checks.array("state", state, (2, self.n_pairs, self.dim), like=self.X)
        return checks.without_gradient("state", state)

    def terms(self, state: Float[Tensor, "2 p d"]) -> tuple[Tensor, Tensor]:
        """(f_L, f_Q), each (n,), in blocks of ``chunk`` rows.

        They carry no gradient: a state or inputs that require one raise
        :class:`~escape_ntk.checks.InputError`.
        """
        self._check_layout(state)
        linear, quadratic = torch.empty_like(self.X[:, 0]), torch.empty_like(self.X[:, 0])
        size = (min(self.chunk, len(self)), self.n_pairs)
        xs, xt = self.X.new_empty(size), self.X.new_empty(size)
        for rows in self._blocks():
            k = rows.stop - rows.start
            linear[rows], quadratic[rows] = self._products(rows, state, xs[:k], xt[:k])
        return linear, quadratic

    def terms_and_pullback(self, state: Float[Tensor, "2 p d"]) -> tuple[Tensor, Tensor, _Pullback]:
        """(f_L, f_Q, pullback); pullback(g_L, g_Q) = ∇_{(s,t)} Σ_i (g_L f_L + g_Q f_Q)(x_i).

        The pullback uses the buffers of this evaluation: call it once, before the next evaluation;
        later it raises :class:`~escape_ntk.checks.InputError`.
        """
        self._check_layout(state)
        if self._buffers is None:
            self._buffers = torch.empty_like(self.first), torch.empty_like(self.first)
        xs, xt = self._buffers
        linear, quadratic = torch.empty_like(self.X[:, 0]), torch.empty_like(self.X[:, 0])
        for rows in self._blocks():
            linear[rows], quadratic[rows] = self._products(rows, state, xs[rows], xt[rows])
        self._evaluation += 1
        return linear, quadratic, partial(self._pull_back, self._evaluation, xs, xt)

    def least_squares(
        self, state: Float[Tensor, "2 p d"], y: Float[Tensor, " n"]
    ) -> tuple[Tensor, Tensor]:
        """(χ, ∇_{(s,t)} (1/n)Σ_i χ_i²) of shapes (n,) and (2, p, d), with χ = f_L + f_Q − y.

        In one pass over the inputs, since χ_i needs no other input than x_i: with
        C = σ'/√m + σ''/(2√m)∘(Xsᵀ), f_L + f_Q = Σ_r C∘(Xtᵀ) and ∇_t = Cᵀ((2/n)χ∘X).  [D]

        What requires a gradient raises :class:`~escape_ntk.checks.InputError`, arrays that do not
        fit :class:`~escape_ntk.checks.ShapeError`.
        """
        self._check_layout(state)
        self._check_gradient(state)
        checks.layout("y", y, (len(self),), like=self.X)
        residual, gradient = torch.empty_like(y), self.zero_state()
        if self._block is None:
            self._block = self.X.new_empty(min(self._rows_pulled, len(self)), 2, self.n_pairs)
        for rows in self._blocks(self._rows_pulled):
            x, second = self.X[rows], self.second[rows]
            products = self._block[: len(x)]
            torch.mm(x, state.flatten(0, 1).T, out=products.flatten(1))
            xs, xt = products.unbind(1)
            along_t = torch.addcmul(self.first[rows], second, xs, out=xs)
            residual[rows] = torch.linalg.vecdot(along_t, xt) - y[rows]
            slope = (2 / len(self) * residual[rows, None]) * x
            gradient[0].addmm_(xt.mul_(second).T, slope)
            gradient[1].addmm_(along_t.T, slope)
        return residual, gradient

    def _pull_back(
        self, evaluation: int, xs: Tensor, xt: Tensor, g_linear: Tensor, g_quadratic: Tensor
    ) -> Float[Tensor, "2 p d"]:
        self._spend(evaluation)
        gradient = self.X.new_zeros(2, self.n_pairs, self.dim)
        g_linear, g_quadratic = g_linear[:, None], g_quadratic[:, None]
        for rows in self._blocks():
            along_s = xt[rows].mul_(self.second[rows])
            along_t = xs[rows].mul_(g_quadratic[rows]).addcmul_(self.first[rows], g_linear[rows])
            gradient[0].addmm_(along_s.T, g_quadratic[rows] * self.X[rows])
            gradient[1].addmm_(along_t.T, self.X[rows])
        return gradient

    def linear(self, t: Float[Tensor, "p d"]) -> Float[Tensor, " n"]:
        """f_L(x_i; t) alone: A t, one product (n, p)×(p, d)."""
        return torch.linalg.vecdot(self.first @ t, self.X)

    def linear_pullback(self, c: Float[Tensor, " n"]) -> Float[Tensor, "p d"]:
        """Aᵀc = Σ_i c_i ∂f_L(x_i)/∂t: the movement in the span of the training features."""
        return self.first.T @ (c[:, None] * self.X)

    def cross_gram(self, other: "PairFeatures") -> Float[Tensor, "n n2"]:
        """A A'ᵀ: inner products of the t-features, half the tangent kernel K of all weights.

        (A Aᵀ)_{ij} = (x_i·x_j) Σ_{r ≤ p} σ'(w_r·x_i)σ'(w_r·x_j)/m = K(x_i, x_j)/2.
        Features at other weights, or of another σ', raise :class:`~escape_ntk.checks.InputError`.
        """
        checks.instance("other", other, PairFeatures, "PairFeatures(X, weights, activation)")
        checks.layout("other.weights", other.weights, self.weights.shape, like=self.weights)
        if other.weights is not self.weights and not torch.equal(other.weights, self.weights):
            raise checks.InputError(
                checks.message(
                    expected="features at the same frozen weights w_r",
                    got="other weights",
                    remedy="build both PairFeatures with one weights tensor",
                )
            )
        if not _same_slope(self.activation, other.activation):
            raise checks.InputError(
                checks.message(
                    expected=f"features of the same activation, {self.activation.name}",
                    got=other.activation.name,
                    remedy="build both PairFeatures with one activation",
                )
            )
        return (self.first @ other.first.T).mul_(self.X @ other.X.T)

    def _check_layout(self, state: Tensor) -> None:
        checks.layout("state", state, (2, self.n_pairs, self.dim), like=self.X)

    def _spend(self, evaluation: int) -> None:
        """Let the buffers of ``evaluation`` be overwritten, once."""
        if evaluation != self._evaluation:
            raise checks.InputError(
                checks.message(
                    expected="a pullback called once, before the next evaluation",
                    got="a pullback whose products were overwritten",
                    remedy="call terms_and_pullback again",
                )
            )
        self._evaluation += 1

    def _products(self, rows: slice, state: Tensor, xs: Tensor, xt: Tensor):
        """Fill xs = σ''/(2√m)∘(Xsᵀ), xt = Xtᵀ and contract them to f_L and f_Q."""
        self._check_gradient(state)
        s, t = state
        torch.mm(self.X[rows], s.T, out=xs).mul_(self.second[rows])
        torch.mm(self.X[rows], t.T, out=xt)
        return torch.linalg.vecdot(self.first[rows], xt), torch.linalg.vecdot(xs, xt)

    def _check_gradient(self, state: Tensor) -> None:
        """Refuse what would carry one."""
        if torch.is_grad_enabled() and (state.requires_grad or self.first.requires_grad):
            raise checks.InputError(
                checks.message(
                    expected="terms without a gradient: their buffers are used again",
                    got="a state or inputs that require one",
                    remedy="state.detach() and terms_and_pullback, or NetworkFeatures",
                )
            )

    def _blocks(self, size: int | None = None):
        n, size = len(self.X), size or self.chunk
        return [slice(i, min(i + size, n)) for i in range(0, n, size)]


def _rows_at_once(weights: Tensor, block: int) -> int:
    """Rows of a block where arrays (rows, p) of so many numbers are worked on."""
    p, d = weights.shape
    if weights.device.type == "cpu":
        return min(_MOST_ROWS, max(2 * d, _LEAST_ROWS, block // p))
    return max(1, _BLOCK_ELSEWHERE // p)


class NetworkFeatures(PairFeatures):
    """The network f(x; W) in the place of its Taylor model: the terms are f_L and f − f_L.

    A risk over these features trains f itself, with R_2 on its linear term, by the same descent and
    flow.  An evaluation costs two products (n, d)×(d, p) and σ at two points a pair, the pullback
    σ' at both and two products.  Memory: about 7np numbers.  Second derivatives are refused.

    Arguments: ``X`` (n, d), ``weights`` (p, d), ``activation`` and ``chunk``, as of
    :class:`PairFeatures`.

    Errors: as of :class:`PairFeatures`.

    Example, a movement of all weights that changes f:

    >>> features = NetworkFeatures(torch.ones(3, 4), torch.eye(4)[:2], torch.tanh)
    >>> linear, rest = features.terms(features.zero_state() + 0.1)
    >>> features, bool((linear + rest > 0).all())
    (NetworkFeatures: 3 inputs in R^4, m = 4, tanh, True)
    """

    bilinear = False

    def terms(self, state: Float[Tensor, "2 p d"]) -> tuple[Tensor, Tensor]:
        """(f_L, f − f_L), each (n,), in blocks of ``chunk`` rows."""
        self._check_layout(state)
        linear, rest = torch.empty_like(self.X[:, 0]), torch.empty_like(self.X[:, 0])
        for rows in self._blocks():
            linear[rows], rest[rows] = self._values(rows, *self._moved(rows, state))
        return linear, rest

    def terms_and_pullback(self, state: Float[Tensor, "2 p d"]) -> tuple[Tensor, Tensor, _Pullback]:
        """(f_L, f − f_L, pullback); pullback(g_L, g) = ∇_{(s,t)} Σ_i (g_L f_L + g (f − f_L))."""
        self._check_layout(state)
        linear, rest = torch.empty_like(self.X[:, 0]), torch.empty_like(self.X[:, 0])
        kept = []
        for rows in self._blocks():
            moved = self._moved(rows, state)
            linear[rows], rest[rows] = self._values(rows, *moved)
            kept.append(moved[:2])
        return linear, rest, partial(self._pull_back_moved, kept)

    def least_squares(
        self, state: Float[Tensor, "2 p d"], y: Float[Tensor, " n"]
    ) -> tuple[Tensor, Tensor]:
        """(χ, ∇_{(s,t)} (1/n)Σ_i χ_i²) of shapes (n,) and (2, p, d), with χ = f − y."""
        linear, rest, pullback = self.terms_and_pullback(state)
        residual = linear + rest - y
        slope = 2 / len(self) * residual
        return residual, pullback(slope, slope)

    def _pull_back_moved(
        self, moved: list[tuple[Tensor, Tensor]], g_linear: Tensor, g_rest: Tensor
    ) -> Float[Tensor, "2 p d"]:
        gradient, slope = self.zero_state(), self.activation.first
        half = g_rest[:, None] / (2 * math.sqrt(2 * self.n_pairs))
        frozen = (g_linear - g_rest)[:, None]
        for rows, (up, down) in zip(self._blocks(), moved, strict=True):
            up, down, x = slope(up), slope(down), self.X[rows]
            gradient[0].addmm_((up - down).T, half[rows] * x)
            along_t = (up + down).mul_(half[rows]).addcmul_(self.first[rows], frozen[rows])
            gradient[1].addmm_(along_t.T, x)
        return gradient

    def _moved(self, rows: slice, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(w + u)·x, (w + v)·x and t·x, each (rows, p)."""
        s, t = state
        x = self.X[rows]
        xt = x @ t.T
        middle = x @ (self.weights + s / 2).T
        return middle + xt / 2, middle - xt / 2, xt

    def _values(self, rows: slice, up: Tensor, down: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        sigma = self.activation.value
        linear = torch.linalg.vecdot(self.first[rows], xt)
        return linear, (sigma(up) - sigma(down)).sum(1) / math.sqrt(2 * self.n_pairs) - linear
