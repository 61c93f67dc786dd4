"""Learnable directions: the projectors P_{≤k} and P_{>k}, of a training set, of the population.

With the t-features A (n, pd), A Aᵀ = UΛUᵀ (descending) and U_k, Λ_k its first n_k pairs,
P_{≤k} t = Aᵀ U_k Λ_k^{−1} U_kᵀ A t and f_L(X; P_{>k}W) = (I − U_kU_kᵀ) f_L(X; W).
The population has Σ = E φφᵀ in place of AᵀA/n; its eigenvectors come from products Σt, by Lanczos.
No md × md matrix is ever formed.  P acts on t alone (s does not enter f_L).  Source: [C][D].
"""

import warnings
from typing import Literal, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from escape_ntk import checks
from escape_ntk.models.modules import ModuleFeatures
from escape_ntk.models.pairs import STEP_FACTOR, PairFeatures
from escape_ntk.numerics.eigenpairs import leading_eigenpairs
from escape_ntk.numerics.lanczos import extreme_eigenpairs
from escape_ntk.risk.leaks import PopulationLeak

_Features = TypeVar("_Features", PairFeatures, ModuleFeatures)
RCOND = 1e-6
"""Gram eigenvalues below RCOND·λ_max count as zero (float32 features carry no more)."""
STEP_RATIO = 1.5
"""What counts as a step of a spectrum: Λ_j ≥ STEP_RATIO·Λ_{j+1}.  [D]"""


@runtime_checkable
class Projector(Protocol):
    """P_{≤k} and P_{>k} on movements t.  [C]"""

    def low(self, t: Tensor) -> Tensor:
        """P_{≤k} t."""
        ...

    def high(self, t: Tensor) -> Tensor:
        """P_{>k} t."""
        ...


class TrainingProjector:
    """P_{≤k} and P_{>k} = I − P_{≤k} for the top ``n_k`` eigenvectors of the training Gram matrix.

    That is, for the top right singular vectors of the training features.  [C][D]  ``low`` and
    ``high`` project a movement; ``eigenvalues`` (n,) are those of the tangent kernel K of all
    weights (twice those of A Aᵀ in pair coordinates).

    Arguments:

    * ``features``: PairFeatures, with movements t (p, d); or ModuleFeatures, with Δ (P,);
    * ``n_k``: directions that are kept, ≤ n; or ``"gap"`` for the last of :func:`spectral_steps`;
    * ``rcond``: eigenvalues below rcond·λ_max count as zero.

    Errors: :class:`~escape_ntk.checks.RankError` when n_k exceeds the numerical rank
    or the spectrum has no step, :class:`~escape_ntk.checks.NonFiniteError` that names the row,
    :class:`~escape_ntk.checks.InputError` for other objects; a
    :class:`~escape_ntk.checks.CutoffWarning` when the cut falls between near-equal eigenvalues.

    Example:

    >>> X = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    >>> projector = TrainingProjector(PairFeatures(X, torch.eye(4), "erf"), 3)
    >>> t = torch.ones(4, 4)
    >>> projector, bool(torch.allclose(projector.low(t) + projector.high(t), t))
    (TrainingProjector: n_k = 3 of rank 8, 8 inputs in R^4, True)
    """

    features: PairFeatures | ModuleFeatures

    def __init__(self, features: _Features, n_k: int | Literal["gap"], *, rcond: float = RCOND):
        if not isinstance(features, PairFeatures | ModuleFeatures):
            raise checks.InputError(
                checks.message(
                    expected="features to be PairFeatures or ModuleFeatures",
                    got=checks.shown(features),
                    remedy="PairFeatures(X, weights, activation)",
                )
            )
        asked = None
        if not (isinstance(n_k, str) and n_k == "gap"):
            asked = checks.integer("n_k", n_k, least=0, remedy='pass n_k=0 or more, or n_k="gap"')
        rcond = checks.number("rcond", rcond, least=0)
        checks.layout("features.X", features.X, tuple(features.X.shape))
        n = len(features)
        self.features = features
        values, vectors = leading_eigenpairs(self._gram(), n if asked is None else min(asked, n))
        self.eigenvalues = features.kernel_factor * values
        self.n_k = kept = last_step(values) if asked is None else asked
        self.rank = int((values > rcond * values[0]).sum())
        if kept > self.rank:
            raise checks.RankError(
                checks.message(
                    expected=f"n_k ≤ {self.rank}, the numerical rank of the training features",
                    got=kept,
                    remedy="lower n_k (or k), or use more training points",
                )
            )
        warn_of_ties(values, kept, rcond)
        self._values, self._vectors = values, vectors  # (n,), and (n, n_k) or more columns
        self._basis = vectors[:, :kept].to(gram_dtype := features.X.dtype).contiguous()  # (n, n_k)
        self._inverse = (1 / values[:kept]).to(gram_dtype)  # (n_k,)

    def __repr__(self) -> str:
        n, *shape = self.features.X.shape
        inputs = f"{n} inputs in R^{'×'.join(map(str, shape))}"
        return f"TrainingProjector: n_k = {self.n_k} of rank {self.rank}, {inputs}"

    def low_outputs(self, f: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """U_kU_kᵀ f: what f_L(X; P_{≤k}W) is when f = f_L(X; W)."""
        checks.layout("f", f, (len(self.features),), like=self._basis)
        return self._basis @ (self._basis.T @ f)

    def high_outputs(self, f: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """(I − U_kU_kᵀ) f: what f_L(X; P_{>k}W) is when f = f_L(X; W)."""
        return f - self.low_outputs(f)

    def dual_coefficients(self, f: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """c = U_kΛ_k^{−1}U_kᵀ f, so that P_{≤k} t = Aᵀc for f = A t."""
        checks.layout("f", f, (len(self.features),), like=self._inverse)
        return self._basis @ (self._inverse * (self._basis.T @ f))

    def low(self, t: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """P_{≤k} t = Aᵀ U_kΛ_k^{−1}U_kᵀ A t."""
        return self.features.linear_pullback(self.dual_coefficients(self.features.linear(t)))

    def high(self, t: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """P_{>k} t = t − P_{≤k} t."""
        return t - self.low(t)

    def eigenvectors(self, count: int | None = None) -> Float[Tensor, "count *shape"]:
        """v_j = Aᵀu_j/√Λ_j, j = 1…count (n_k by default): unit movements t, by eigenvalue."""
        top = checks.integer("count", self.n_k if count is None else count, least=1)
        if top > self.rank:
            raise checks.RankError(
                checks.message(
                    expected=f"count ≤ {self.rank}, the numerical rank of the training features",
                    got=top,
                    remedy="lower count, or use more training points",
                )
            )
        columns = (self._gram_vectors(top) / self._values[:top].sqrt()).to(self._basis)
        return torch.stack([self.features.linear_pullback(c) for c in columns.T])

    def memorize(self, y: Float[Tensor, " n"]) -> Float[Tensor, "*shape"]:
        """The shortest t with f_L(X; t) = P_{>k}-part of y: Aᵀ(AAᵀ)^{−1}(I − U_kU_kᵀ)y.

        It lies in P_{>k} ∩ span of the training features: the *memorising* directions.
        """
        checks.array("y", y, (len(self.features),), like=self.features.X)
        outside = self._gram_vectors(self.rank)[:, self.n_k :]
        rotated = outside.T @ y.double()
        alpha = outside @ (rotated / self._values[self.n_k : self.rank])
        return self.features.linear_pullback(alpha.to(y))

    def _gram(self) -> Tensor:
        """A Aᵀ, symmetric to the last digit, in float64."""
        features, n = self.features, len(self.features)
        gram = features.cross_gram(features)  # pyright: ignore[reportArgumentType]
        gram = checks.array("the Gram matrix of the features", gram, (n, n)).double()
        return (gram + gram.T) / 2

    def _gram_vectors(self, count: int) -> Tensor:
        """u_1 … u_count as columns; those beyond what the projector needs are found now."""
        if count > self._vectors.shape[1]:
            _, self._vectors = leading_eigenpairs(self._gram(), count)
        return self._vectors[:, :count]


class PopulationProjector:
    """P_{≤k} and P_{>k} for the top ``n_k`` eigenvectors of the population covariance Σ = E φφᵀ.

    ``eigenvalues`` (n_k + 1,) are those of E φφᵀ over all weights (twice those of Σ in t), with the
    first one outside P_{≤k}: E_x f_L(x; W)² ≤ eigenvalues[n_k]‖W‖² on the range of P_{>k}.
    Lanczos (ARPACK) in float64; memory (n_k + 1)·p·d.  [D]

    Arguments:

    * ``leak``: a leak at float64 weights, such as :class:`~escape_ntk.risk.leaks.SphereLeak`; it
      gives Σ through its gradient 2Σt;
    * ``shape``: (p, d), that of the weights and of t;
    * ``n_k``: directions that are kept, < pd − 1;
    * ``tolerance``: of the eigenvalues, relative;
    * ``seed``: of the vector that Lanczos starts from.

    Errors: :class:`~escape_ntk.checks.RankError` when t has no more than n_k + 1 coordinates,
    :class:`~escape_ntk.checks.ShapeError` for a leak of other weights,
    :class:`~escape_ntk.checks.InputError` for other objects; a
    :class:`~escape_ntk.checks.CutoffWarning` when the cut falls between near-equal eigenvalues.

    Example:

    >>> from escape_ntk.risk.leaks import SphereLeak
    >>> weights = torch.nn.functional.normalize(torch.arange(1.0, 10).view(3, 3) % 4).double()
    >>> projector = PopulationProjector(SphereLeak(weights, "erf"), (3, 3), 2)
    >>> projector, projector.low(torch.ones(3, 3).double()).shape
    (PopulationProjector: n_k = 2 of 3×3 coordinates, torch.Size([3, 3]))
    """

    def __init__(
        self,
        leak: PopulationLeak,
        shape: tuple[int, int],
        n_k: int,
        *,
        tolerance: float = 1e-10,
        seed: int = 0,
    ):
        remedy = "SphereLeak(weights, activation), or GaussianLeak"
        checks.instance("leak", leak, PopulationLeak, remedy)
        rows, columns = _two(shape)
        like, size = torch.zeros(rows, columns, dtype=torch.float64), rows * columns
        own = getattr(leak, "weights", getattr(getattr(leak, "features", None), "weights", like))
        if isinstance(own, Tensor) and own.dtype != like.dtype:
            raise checks.ShapeError(
                checks.message(
                    expected="a leak at float64 weights",
                    got=f"one at {own.dtype} weights",
                    remedy="SphereLeak(weights.double(), activation)",
                )
            )
        checks.array("weights of the leak", own, (rows, columns), like=like)
        checks.number("tolerance", tolerance, least=0)
        checks.seed(seed)
        self.n_k = n_k = checks.integer("n_k", n_k, least=1)
        if n_k + 1 >= size:
            raise checks.RankError(
                checks.message(
                    expected=f"n_k < {size - 1}, below the p·d coordinates of t",
                    got=n_k,
                    remedy="lower n_k (or k), or use more neurons",
                )
            )
        values, vectors = extreme_eigenpairs(
            lambda t: leak.value_and_gradient(t)[1] / 2,
            like,
            count=n_k + 1,
            largest=True,
            tolerance=tolerance,
            seed=seed,
        )
        self.eigenvalues = STEP_FACTOR * values
        warn_of_ties(self.eigenvalues, n_k)
        self.basis = vectors[:n_k]

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.basis.shape[1:]))
        return f"PopulationProjector: n_k = {self.n_k} of {shape} coordinates"

    def low(self, t: Float[Tensor, "p d"]) -> Float[Tensor, "p d"]:
        """P_{≤k} t."""
        flat = self.basis.flatten(1).to(t)
        return (flat.T @ (flat @ t.flatten())).view_as(t)

    def high(self, t: Float[Tensor, "p d"]) -> Float[Tensor, "p d"]:
        """P_{>k} t = t − P_{≤k} t."""
        return t - self.low(t)


def worst_leak(
    leak: PopulationLeak,
    projector: Projector,
    shape: tuple[int, int],
    *,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> tuple[float, Float[Tensor, "p d"]]:
    """(max E_x f_L(x; W)²/‖W‖² over the range of P_{>k}, the unit t that attains it).

    The largest eigenvalue of P_{>k}ΣP_{>k}, by Lanczos.  For the population projector it is
    ζ_{(n_k+1)}; for the projector of a training set it is larger.
    """

    def product(t: Tensor) -> Tensor:
        return projector.high(leak.value_and_gradient(projector.high(t))[1]) / 2

    values, vectors = extreme_eigenpairs(
        product,
        torch.zeros(shape, dtype=torch.float64),
        count=1,
        largest=True,
        tolerance=tolerance,
        seed=seed,
        basis=20,
    )
    return STEP_FACTOR * float(values[0]), vectors[0]


def spectral_steps(
    eigenvalues: Tensor, ratio: float = STEP_RATIO, *, n: int | None = None
) -> list[int]:
    """The ranks j ≤ n/2 at which a Gram spectrum falls by ``ratio`` or more: Λ_j ≥ ratio·Λ_{j+1}.

    The steps that n inputs can see end at n_0, n_1, …; the last of them is the n_k to keep when k
    is unknown: ``TrainingProjector(features, "gap")``.  Only a Λ_j > RCOND·Λ_1 can stand before a
    step: what lies below is rounding.  [D][M]

    Arguments:

    * ``eigenvalues``: a tensor (n,) in descending order, such as that of a
      :class:`TrainingProjector`;
    * ``ratio``: the least fall that counts, > 1;
    * ``n``: of how many eigenvalues these are the leading ones; None: they are all.

    Returns a list of ranks.

    Errors: :class:`~escape_ntk.checks.InputError` for fewer than two, or another order.

    Example:

    >>> spectral_steps(torch.tensor([9.0, 1.0, 0.9, 0.85, 0.8, 0.7]))
    [1]
    """
    checks.number("ratio", ratio, least=1, strict=True)
    values = checks.array("eigenvalues", eigenvalues, (None,))
    if len(values) < 2 or bool((values[1:] > values[:-1]).any()):
        raise checks.InputError(
            checks.message(
                expected="two or more eigenvalues in descending order",
                got=checks.shown(values.tolist()),
                remedy="sort them: eigenvalues.sort(descending=True).values",
            )
        )
    n = len(values) if n is None else checks.integer("n", n, least=len(values))
    half = values[: n // 2 + 1]
    falls = (half[:-1] >= ratio * half[1:]) & (half[:-1] > RCOND * half[0])
    return (1 + torch.nonzero(falls).flatten()).tolist()


def last_step(eigenvalues: Tensor, n: int | None = None) -> int:
    """The n_k to keep when k is unknown, ``n_k="gap"``: the last of :func:`spectral_steps`.  [D]

    :class:`~escape_ntk.checks.RankError` where there is none.
    """
    steps = spectral_steps(eigenvalues, n=n) if len(eigenvalues) > 1 else []
    if not steps:
        raise checks.RankError(
            checks.message(
                expected='a spectrum with a step for n_k="gap": '
                f"Λ_j ≥ {STEP_RATIO:g}·Λ_{{j+1}}, j ≤ n/2",
                got=f"none among the first {len(eigenvalues)} eigenvalues",
                remedy="pass n_k as an integer: look at TrainingProjector(features, 0)"
                ".eigenvalues, or let en.scan_good_directions choose one by validation",
            )
        )
    return steps[-1]


def _two(shape: tuple[int, int]) -> tuple[int, int]:
    """(p, d) of a movement t."""
    if not isinstance(shape, tuple | list) or len(shape) != 2:
        remedy = "tuple(weights.shape)"
        expected = "shape to be (p, d), two integers"
        raise checks.InputError(
            checks.message(expected=expected, got=checks.shown(shape), remedy=remedy)
        )
    p, d = (checks.integer("an entry of shape", side, least=1) for side in shape)
    return p, d


def warn_of_ties(values: Tensor, n_k: int, rcond: float = RCOND) -> None:
    """Warn when the cut falls between eigenvalues that agree to rcond·λ_max.

    With :class:`~escape_ntk.checks.CutoffWarning`: P_≤k is not unique there.  [D]
    """
    inside = 0 < n_k < len(values)
    if inside and float(values[n_k - 1] - values[n_k]) < rcond * float(values[0]):
        warnings.warn(
            f"eigenvalues {n_k} and {n_k + 1} agree to {rcond:g}: P_≤k is not unique",
            checks.CutoffWarning,
            stacklevel=3,
        )
