"""Inputs and targets f* with their population norms.

A target is a sum of *ridge sums*: Σ_j a_j p_ℓ(β_j·x), with p_ℓ the degree-ℓ zonal polynomial of
mean square 1.  Few directions make a sparse part, d of them a dense one; every harmonic of degree ℓ
is of this form.  Different degrees are orthogonal in population, so norms add up exactly.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from escape_ntk import checks
from escape_ntk.numerics.polynomials import LAWS, multiplicity, zonal, zonal_overlap

SPHERE_TOLERANCE = {torch.float64: 1e-7, torch.float32: 1e-6}
"""How far |x|/√d may be from 1 on the sphere: a series there then errs by about as much."""


def draw_inputs(
    n: int,
    d: int,
    law: str,
    generator: torch.Generator,
    *,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "n d"]:
    """n inputs in R^d, normal or on the sphere, with E|x|² = d for both laws.  [L]

    Drawn in float64 and then rounded, so that both precisions see the same points.

    Arguments:

    * ``n``, ``d``: how many inputs, and their dimension;
    * ``law``: ``"gaussian"``, N(0, I_d); or ``"sphere"``, uniform on S^{d−1}(√d);
    * ``generator``: a torch.Generator; the inputs are on its device;
    * ``dtype``: of the inputs.

    Returns a tensor (n, d).

    Errors: :class:`~escape_ntk.checks.InputError` for sizes below 1 and other objects,
    :class:`~escape_ntk.checks.UnknownNameError` for another law.

    Example:

    >>> X = draw_inputs(3, 5, "sphere", torch.Generator().manual_seed(0))
    >>> X.shape, bool(torch.allclose(X.square().sum(1), torch.tensor(5.0)))
    (torch.Size([3, 5]), True)
    """
    n, d = checks.integer("n", n, least=1), checks.integer("d", d, least=1)
    checks.one_of("law", law, LAWS)
    checks.generator(generator)
    checks.floating("dtype", dtype)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64, device=generator.device)
    return inputs_of_law(x, law).to(dtype)


def inputs_of_law(normal: Float[Tensor, "n d"], law: str) -> Float[Tensor, "n d"]:
    """Inputs of this law from rows of N(0, I_d)."""
    if law == "gaussian":
        return normal
    return normal * (math.sqrt(normal.shape[1]) / normal.norm(dim=1, keepdim=True))


@dataclass(frozen=True, repr=False, eq=False)
class RidgeSum:
    """Σ_j a_j p_ℓ(β_j·x), |β_j| = 1, with E[p_ℓ(β·x)²] = 1 under ``law``: a part of a target.

    Norm² = Σ_{ij} a_i a_j P_ℓ(β_i·β_j) (sphere) or Σ a_i a_j (β_i·β_j)^ℓ (Gaussian).  Source: [L],
    addition theorem.

    Arguments:

    * ``directions``: β_j, of length 1, (q, d);
    * ``coefficients``: a_j, (q,);
    * ``degree``: ℓ;
    * ``law``: of the inputs, ``"gaussian"`` or ``"sphere"``.

    Errors: :class:`~escape_ntk.checks.InputError` for directions of another length, or a gradient,
    :class:`~escape_ntk.checks.ShapeError` for shapes that do not fit.

    Example:

    >>> part = RidgeSum(torch.eye(5)[:1], torch.ones(1), 2, "gaussian")
    >>> part, part(torch.ones(3, 5)).tolist()  # (1² − 1)/√2
    (RidgeSum: degree 2, 1 direction in R^5, gaussian, [0.0, 0.0, 0.0])
    """

    directions: Tensor
    coefficients: Tensor
    degree: int
    law: str

    def __post_init__(self):
        b = checks.array("directions", self.directions, (None, None))
        checks.array("coefficients", self.coefficients, (len(b),), like=b)
        for name in ("directions", "coefficients"):
            checks.without_gradient(name, getattr(self, name))
        checks.integer("degree", self.degree, least=0)
        checks.one_of("law", self.law, LAWS)
        off = float((b.norm(dim=1) - 1).abs().max())
        if off > 1e-4:
            raise checks.InputError(
                checks.message(
                    expected="unit directions β_j",
                    got=f"norms off by up to {off:.2g}",
                    remedy="divide each row by its norm",
                )
            )

    def __call__(self, X: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Values at the rows of X, shape (n,)."""
        checks.array("X", X, (None, self.directions.shape[1]), like=self.directions)
        d = X.shape[1]
        return zonal(X @ self.directions.T, self.degree, d, self.law) @ self.coefficients

    def __repr__(self) -> str:
        count, d = self.directions.shape
        return f"RidgeSum: degree {self.degree}, {_directions(count)} in R^{d}, {self.law}"

    @property
    def norm(self) -> float:
        """(E f²)^{1/2} over the population, in closed form."""
        b, a = self.directions.double(), self.coefficients.double()
        overlap = zonal_overlap((b @ b.T).clamp(-1, 1), self.degree, b.shape[1], self.law)
        return math.sqrt(max(float(a @ overlap @ a), 0.0))

    def scaled_to(self, norm: float) -> "RidgeSum":
        """The same part with population norm ``norm``.

        A part that is zero raises :class:`~escape_ntk.checks.InputError`.
        """
        checks.number("norm", norm, least=0)
        own = self.norm
        if own == 0:
            raise checks.InputError(
                checks.message(
                    expected="a part with positive population norm",
                    got="the zero function",
                    remedy="pass coefficients that do not cancel (a quadratic form: not c·I)",
                )
            )
        scale = norm / own
        return RidgeSum(self.directions, self.coefficients * scale, self.degree, self.law)


@dataclass(frozen=True, repr=False)
class Target:
    """f* = Σ_parts; parts of different degree are orthogonal in population.  [L]

    Call it with inputs (n, d) for its values (n,).

    Arguments:

    * ``parts``: one or more :class:`RidgeSum` of one dimension, law, dtype and device.

    Any other function is fitted through the ``labels`` of a
    :class:`~escape_ntk.risk.problem.Problem`; errors are then still measured against the target.

    Errors: :class:`~escape_ntk.checks.InputError` for other parts.

    Example, f*(x) = √5·x_1 + p_2(x_2) on the sphere:

    >>> e, one = torch.eye(5), torch.ones(1)
    >>> linear = RidgeSum(e[:1], one, 1, "sphere").scaled_to(5**0.5)
    >>> target = Target((linear, RidgeSum(e[1:2], one, 2, "sphere")))
    >>> target, [round(norm, 3) for norm in target.norms]
    (Target: degree 1 (1 direction) + degree 2 (1 direction) in R^5, sphere, [2.236, 1.0])
    """

    parts: tuple[RidgeSum, ...]

    def __post_init__(self):
        remedy = "Target((RidgeSum(directions, coefficients, degree, law), …))"
        object.__setattr__(self, "parts", checks.items("parts", self.parts, RidgeSum, remedy))
        kinds = {
            (b.shape[1], part.law, str(b.dtype), str(b.device))
            for part in self.parts
            for b in (part.directions,)
        }
        if len(kinds) != 1:
            raise checks.InputError(
                checks.message(
                    expected="one or more parts of one dimension d, law, dtype and device",
                    got=" and ".join(map(str, sorted(kinds))) or "none",
                    remedy="build all parts for the same inputs",
                )
            )

    @property
    def dim(self) -> int:
        """d, the dimension of its inputs."""
        return self.parts[0].directions.shape[1]

    def __call__(self, X: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """f*(x_i), shape (n,)."""
        return self.part_values(X).sum(0)

    def part_values(self, X: Float[Tensor, "n d"]) -> Float[Tensor, "parts n"]:
        """Each part at the rows of X."""
        return torch.stack([part(X) for part in self.parts])

    @property
    def norms(self) -> tuple[float, ...]:
        """Population norm of each part."""
        return tuple(part.norm for part in self.parts)

    def __repr__(self) -> str:
        return f"Target: {self.summary} in R^{self.dim}, {self.parts[0].law}"

    @property
    def summary(self) -> str:
        """Degree and number of directions of each part, in words."""
        return " + ".join(
            f"degree {part.degree} ({_directions(len(part.directions))})" for part in self.parts
        )


def _directions(count: int) -> str:
    return f"{count} direction" + "s" * (count != 1)


def random_direction(
    d: int, generator: torch.Generator, *, dtype: torch.dtype = torch.float32
) -> Float[Tensor, " d"]:
    """β uniform on the unit sphere of R^d."""
    checks.floating("dtype", dtype)
    b = torch.randn(d, generator=generator, dtype=torch.float64, device=generator.device)
    return (b / b.norm()).to(dtype)


def random_signs(n: int, generator: torch.Generator) -> Float[Tensor, " n"]:
    """n independent fair signs ±1 (float64)."""
    checks.integer("n", n, least=1)
    return torch.randint(0, 2, (n,), generator=generator).double() * 2 - 1


def sparse_part(beta: Float[Tensor, " d"], degree: int, law: str) -> RidgeSum:
    """The one-direction polynomial p_ℓ(β·x) with population norm 1."""
    checks.array("beta", beta, (None,))
    return RidgeSum(beta[None], torch.ones_like(beta[:1]), degree, law)


def dense_part(
    d: int,
    degree: int,
    law: str,
    generator: torch.Generator,
    *,
    n_directions: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> RidgeSum:
    """Σ_j a_j p_ℓ(β_j·x) with random β_j and normal a_j, norm 1: no few directions carry it.

    ``n_directions`` is d by default; every harmonic of degree ℓ is of this form with enough.
    """
    checks.floating("dtype", dtype)
    q = d if n_directions is None else checks.integer("n_directions", n_directions, least=1)
    betas = torch.stack([random_direction(d, generator, dtype=torch.float64) for _ in range(q)])
    a = torch.randn(q, generator=generator, dtype=torch.float64, device=generator.device)
    return RidgeSum(betas.to(dtype), a.to(dtype), degree, law).scaled_to(1.0)


def dense_quadratic(A: Float[Tensor, "d d"], law: str) -> RidgeSum:
    """xᵀAx for the symmetric traceless part of A, scaled to population norm 1.

    With A = Σ α_j v_j v_jᵀ it is a ridge sum over its d eigenvectors.  Source: [D].
    """
    checks.array("A", A, (None, None))
    checks.array("A", A, (len(A), len(A)))
    sym = (A + A.T) / 2
    sym = sym - torch.eye(len(sym), dtype=A.dtype, device=A.device) * sym.diagonal().mean()
    eigenvalues, vectors = torch.linalg.eigh(sym.double())
    part = RidgeSum(vectors.T.contiguous().to(A.dtype), eigenvalues.to(A.dtype), 2, law)
    return part.scaled_to(1.0)


def dense_plus_sparse(dense: RidgeSum, sparse: RidgeSum) -> Target:
    """f* = (dense + sparse)/√2 with both parts scaled to norm 1, so that E f*² = 1.  [D]"""
    half = math.sqrt(0.5)
    return Target((dense.scaled_to(half), sparse.scaled_to(half)))


def draw_target(
    k: int, d: int, generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> Target:
    """f* = (dense harmonic of degree k + one-direction harmonic of degree k + 1)/√2 on the sphere.

    At k = 2 the dense part is a random quadratic form, at other k a ridge sum of B(d, k) random
    directions, as many as there are harmonics.  E f*² = 1.  [D]

    Arguments:

    * ``k``: degree of the dense part, ≥ 1;
    * ``d``: dimension, ≥ 3;
    * ``generator``: a torch.Generator;
    * ``dtype``: of the target, and so of the inputs that it takes.

    Returns a :class:`Target` of two parts, the dense one first.

    Errors: :class:`~escape_ntk.checks.InputError` for degrees and dimensions that cannot be.

    Example:

    >>> target = draw_target(1, 5, torch.Generator().manual_seed(0))
    >>> target
    Target: degree 1 (5 directions) + degree 2 (1 direction) in R^5, sphere
    >>> round(sum(norm**2 for norm in target.norms), 4)
    1.0
    """
    k, d = checks.integer("k", k, least=1), checks.integer("d", d, least=3)
    checks.floating("dtype", dtype)
    kind = {"generator": checks.generator(generator), "dtype": dtype}
    if k == 2:
        square = torch.randn(d, d, generator=generator, dtype=torch.float64)
        dense = dense_quadratic(square.to(dtype), "sphere")
    else:
        every = multiplicity(d, k)  # so many directions as there are harmonics
        dense = dense_part(d, k, "sphere", n_directions=every, **kind)
    return dense_plus_sparse(dense, sparse_part(random_direction(d, **kind), k + 1, "sphere"))


def published_target(beta: Float[Tensor, " d"], law: str = "gaussian") -> Target:
    """f* = ((β·x)² − 1 + β·x)/√3, the target of the published figure; E f*² = 1.  [C]

    For Gaussian inputs the parts are β·x/√3 and √(2/3)·He_2(β·x)/√2.

    Arguments:

    * ``beta``: β, of length 1, (d,);
    * ``law``: of the inputs, ``"gaussian"`` or ``"sphere"``.

    Returns a :class:`Target` of two parts, of degree 1 and 2.

    Errors: :class:`~escape_ntk.checks.InputError` for a β of another length.

    Example:

    >>> target = published_target(torch.eye(5)[0])
    >>> round(float(target(torch.ones(1, 5))), 4)  # 1/√3
    0.5774
    """
    linear, quadratic = sparse_part(beta, 1, law), sparse_part(beta, 2, law)
    return Target((linear.scaled_to(math.sqrt(1 / 3)), quadratic.scaled_to(math.sqrt(2 / 3))))
