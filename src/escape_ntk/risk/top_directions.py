"""The top eigenpairs of the tangent kernel K = ΦΦᵀ and their directions, also without K.

``"gram"`` forms K, one number for each pair of outputs.  ``"krylov"`` needs products K C with
blocks C alone, each two passes over the tangent features: block Lanczos with full
reorthogonalisation, its basis in float64 on the CPU.  Source: [L] for the method, [D] for the rest.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from escape_ntk import checks
from escape_ntk.models.modules import ModuleFeatures
from escape_ntk.numerics.lanczos import NoConvergenceError
from escape_ntk.risk.projectors import RCOND, last_step, warn_of_ties

ROUTES = ("auto", "gram", "krylov")
"""How the eigenpairs are found.

``"auto"``: by the Gram matrix for at most GRAM_OUTPUTS outputs whose Jacobian can be kept.
"""
GRAM_OUTPUTS = 1000
"""Below this the kernel costs less than the passes over the features that Lanczos makes."""
BLOCK_NUMBERS = 2**25
"""Numbers in one block of the Jacobian, which has at least one row of X."""
KEPT_BLOCKS = 8
"""A Jacobian of at most so many blocks is computed once."""
PIECES = 4
"""A block is filled in so many pieces: their memory is used again, where larger ones are new."""
LOOK = 64
"""Leading eigenvalues among which ``n_k="gap"`` looks for steps."""
SPARE = 10
"""Columns of a Krylov block beyond those asked for: they hasten the last of these."""


@dataclass(frozen=True)
class TopDirections:
    """V (n_k, P), orthonormal rows, and what f_L makes of them: ``outputs`` = ΦVᵀ (n·C, n_k).

    ``eigenvalues``, descending: all that were found, at least one beyond n_k where there is one.
    ``residuals`` (n_k,): ‖K u_j − Λ_j u_j‖/Λ_1, as achieved.  ``route``: how.  [D]
    """

    V: Float[Tensor, "k P"]
    outputs: Float[Tensor, "N k"]
    eigenvalues: Float[Tensor, " found"]
    residuals: Float[Tensor, " k"]
    route: str

    @property
    def n_k(self) -> int:
        """How many directions."""
        return len(self.V)

    def first(self, n_k: int) -> "TopDirections":
        """The first ``n_k`` of them; :class:`~escape_ntk.checks.RankError` for more."""
        checks.integer("n_k", n_k, least=1)
        _check_rank(n_k, self.n_k, "directions found before", "build them anew")
        parts = self.V[:n_k], self.outputs[:, :n_k], self.eigenvalues, self.residuals[:n_k]
        return TopDirections(*parts, self.route)


def top_directions(
    features: ModuleFeatures,
    n_k: int | str,
    *,
    route: str = "auto",
    tolerance: float = 1e-4,
    max_passes: int = 100,
    progress: bool = False,
) -> TopDirections:
    """The top ``n_k`` eigenpairs (Λ_j, u_j) of K = ΦΦᵀ as v_j = Φᵀu_j/√Λ_j.  [L][D]

    Arguments:

    * ``features``: ModuleFeatures of n inputs with N = n or n·C outputs;
    * ``n_k``: how many; or ``"gap"``: up to the :func:`~escape_ntk.risk.projectors.last_step`, for
      which ``"krylov"`` looks at LOOK eigenvalues;
    * ``route``: one of ROUTES.  ``"gram"``: N² numbers and, for a moment, two Jacobian blocks.
      ``"krylov"``: blocks of b = n_k + SPARE columns, 3·b·P numbers, and N·b float64 for each
      pass; one block of the Jacobian and two pieces of one, or KEPT_BLOCKS of them.  A ``"gram"``
      that was asked for beyond that: a few times ``features.chunk``·P;
    * ``tolerance``: largest residual ‖K u_j − Λ_j u_j‖/Λ_1, of the n_k and of the next one.  Sums
      of P = 10⁶ numbers in float32 are good to some 10⁻⁵;
    * ``max_passes``: products of K with a block, before it is given up;
    * ``progress``: a bar on stderr.

    Returns :class:`TopDirections`.

    Errors: :class:`~escape_ntk.checks.RankError` for more directions than K has eigenvalues above
    RCOND·Λ_1, and for ``"gap"`` where there is no step; beyond the tolerance
    :class:`~escape_ntk.numerics.lanczos.NoConvergenceError`;
    :class:`~escape_ntk.checks.NonFiniteError` where a gradient of the module, or K, is not finite.
    Warns
    with :class:`~escape_ntk.checks.CutoffWarning` when the cut falls between near-equal ones.
    """
    if isinstance(n_k, str):
        checks.one_of("n_k", n_k, ("gap",), "a number of directions, or n_k='gap'")
    wanted = LOOK if isinstance(n_k, str) else checks.integer("n_k", n_k, least=1)
    checks.one_of("route", route, ROUTES)
    checks.number("tolerance", tolerance, least=0, strict=True)
    checks.integer("max_passes", max_passes, least=1)
    kernel = _Kernel(features, checks.flag("progress", progress))
    if route == "auto":
        route = "gram" if kernel.keeps and kernel.N <= GRAM_OUTPUTS else "krylov"
    if not isinstance(n_k, str):
        _check_rank(wanted, min(kernel.N, features.size), "outputs or parameters of these features")
    count = min(wanted + 1, kernel.N)
    with kernel.bar:
        if route == "gram":
            values, vectors = _by_gram(kernel)
        else:
            values, vectors = _by_krylov(kernel, count, tolerance, max_passes)
        _check_eigenvalues(values)
        rank = int((values > RCOND * values[0]).sum())
        chosen = last_step(values, kernel.N) if isinstance(n_k, str) else wanted
        _check_rank(chosen, rank, "the numerical rank of the tangent features")
        warn_of_ties(values, chosen)
        values, vectors = values[: max(count, rank)], vectors[:, :chosen]
        V, outputs, residuals = _directions(kernel, values[:chosen], vectors)
    if float(residuals.max()) > tolerance:
        raise NoConvergenceError(
            checks.message(
                expected=f"residuals ‖Ku − Λu‖ ≤ {tolerance:g}·Λ_1",
                got=f"{float(residuals.max()):.1e}, the largest of {chosen}",
                remedy=f"float64 inputs and module, or tolerance={2 * float(residuals.max()):.0e}",
            )
        )
    return TopDirections(V, outputs, values, residuals, route)


class _Kernel:
    """Products with K, by blocks of rows of the Jacobian."""

    def __init__(self, features: ModuleFeatures, progress: bool):
        self.features, self.N, self.P = features, len(features), features.size
        self.outputs = len(features) // len(features.X)
        self.rows = max(1, BLOCK_NUMBERS // (self.P * self.outputs))
        known = features.kept
        self.keeps = known is not None or self.N * self.P <= KEPT_BLOCKS * BLOCK_NUMBERS
        self._kept: list[Tensor] | None = [] if self.keeps else None
        if known is not None:
            self._kept = [known[place] for place in self._places()]
        self.bar = tqdm(
            desc="good directions", unit=" passes", disable=not progress, delay=2, leave=False
        )

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Rows of Φ, block by block, with their place among the N."""
        if self._kept:
            yield from zip(self._places(), self._kept, strict=True)
            return
        X, room = self.features.X, None
        for place, x in zip(self._places(), X.split(self.rows), strict=True):
            if room is None or self._kept is not None:
                room = x.new_empty(len(x) * self.outputs, self.P)
            block = room[: len(x) * self.outputs]
            self._fill(block, x)
            _check_rows(torch.linalg.vector_norm(block, dim=1), place.start, self.outputs)
            if self._kept is not None:
                self._kept.append(block)
            yield place, block

    def _fill(self, block: Tensor, X: Tensor) -> None:
        step = -(-self.rows // PIECES)
        for x, part in zip(X.split(step), block.split(step * self.outputs), strict=True):
            self.features.derivatives.rows_into(x, part)

    def _places(self) -> Iterator[slice]:
        step = self.rows * self.outputs
        return (slice(start, min(start + step, self.N)) for start in range(0, self.N, step))

    def pull(self, C: Tensor) -> Tensor:
        """CᵀΦ (b, P)."""
        C = C.to(self.features.X)
        out = C.new_zeros(C.shape[1], self.P)
        for place, block in self.blocks():
            out.addmm_(C[place].T, block)
        return out

    def push(self, Y: Tensor) -> Tensor:
        """ΦYᵀ (N, b) for Y (b, P)."""
        return torch.cat([Y @ block.T for _, block in self.blocks()], dim=1).T

    def product(self, C: Tensor) -> Tensor:
        """K C, float64 on the CPU."""
        out = _check_kernel(_double(self.push(self.pull(C))))
        self.bar.update()
        return out


def _double(tensor: Tensor) -> Tensor:
    """In float64 on the CPU: some devices have no float64."""
    return tensor.cpu().double()


def _check_rows(norms: Tensor, first: int, outputs: int) -> None:
    """Refuse rows of Φ whose norm is not finite; ``first``: the number of the first of them."""
    if bool(torch.isfinite(norms).all()):
        return
    bad = (first + (~torch.isfinite(norms)).nonzero().flatten()) // outputs
    raise checks.NonFiniteError(
        checks.message(
            expected="finite gradients of the module at θ₀",
            got=f"NaN or infinity at row {int(bad[0])} of X",
            remedy="look at the gradient there: a root or a norm at 0? its square beyond "
            "the precision? then float64, or outputs in other units",
        )
    )


def _check_eigenvalues(values: Tensor) -> None:
    """Refuse a kernel without a positive eigenvalue."""
    if not float(values[0]) > 0:
        raise checks.RankError(
            checks.message(
                expected="outputs with a gradient in the parameters, at some row of X",
                got="gradients that are all zero",
                remedy="a forward in operations of torch on the parameters, without detach, "
                "no_grad or NumPy; a start θ₀ that is no stationary point of the outputs",
            )
        )


def _check_kernel(product: Tensor) -> Tensor:
    """Refuse inner products of finite gradients that are not finite."""
    if not bool(torch.isfinite(product).all()):
        raise checks.NonFiniteError(
            checks.message(
                expected="a finite tangent kernel",
                got="inner products of gradients beyond the range of their precision",
                remedy="module.double() and X.double(), or outputs in other units",
            )
        )
    return product


def _by_gram(kernel: _Kernel) -> tuple[Tensor, Tensor]:
    if kernel.keeps:
        rows = [block for _, block in kernel.blocks()]
        gram = _double(torch.cat([kernel.push(block) for block in rows], dim=1))
    else:
        gram = _double(kernel.features.cross_gram(kernel.features))
    values, vectors = torch.linalg.eigh(_check_kernel(gram + gram.T) / 2)
    kernel.bar.update()
    return values.flip(0), vectors.flip(1)


def _by_krylov(
    kernel: _Kernel, count: int, tolerance: float, max_passes: int
) -> tuple[Tensor, Tensor]:
    """Ritz pairs of K: at least ``count``, all within ``tolerance``."""
    width = min(count + SPARE, kernel.N)
    start = torch.randn(
        kernel.N, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    good = torch.zeros(count, dtype=torch.bool)
    for values, vectors, residuals in _block_lanczos(kernel.product, start, max_passes):
        worst = float(residuals[:count].max() / values[0])
        kernel.bar.set_postfix_str(f"residual {worst:.1e}", refresh=False)
        good = residuals <= tolerance / 2 * values[0]  # half: what comes out is tested once more
        if bool(good[:count].all()):
            found = int(good.cumprod(0).sum())
            return values[:found], vectors()[:, :found]
    raise NoConvergenceError(
        checks.message(
            expected=f"{count} eigenvalues to {tolerance:g}·Λ_1 within {max_passes} passes",
            got=f"{int(good[:count].sum())} of them",
            remedy="raise max_passes or tolerance",
        )
    )


def _block_lanczos(
    product: Callable[[Tensor], Tensor], start: Tensor, max_passes: int
) -> Iterator[tuple[Tensor, Callable[[], Tensor], Tensor]]:
    """After each pass: Ritz values (descending), a maker of Ritz vectors, residual norms."""
    size = len(start)
    basis, new = start.new_empty(size, 0), torch.linalg.qr(start).Q
    projected = start.new_empty(0, 0)
    for _ in range(max_passes):
        basis, image = torch.cat([basis, new], dim=1), product(new)
        column, rest = basis.T @ image, image
        for _ in range(2):
            rest = rest - basis @ (basis.T @ rest)
        old, m = projected, basis.shape[1]
        projected = start.new_empty(m, m)
        projected[: len(old), : len(old)] = old
        projected[:, len(old) :], projected[len(old) :] = column, column.T
        values, Y = torch.linalg.eigh((projected + projected.T) / 2)
        values, Y = values.flip(0), Y.flip(1)
        new, R = torch.linalg.qr(rest)
        yield values, lambda b=basis, Y=Y: b @ Y, (R @ Y[len(old) :]).norm(dim=0)
        new = new[:, : size - m]
        if not new.shape[1]:
            return
        new = torch.linalg.qr(new - basis @ (basis.T @ new)).Q  # where the rest had lower rank


def _directions(kernel: _Kernel, values: Tensor, U: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """V, ΦVᵀ and the residuals.

    Kᵤu_j = √Λ_jΦv_j; the rows Φᵀu_j/√Λ_j are orthonormal to the error of K in the
    features' precision only: two Cholesky steps make them so.
    """
    V = kernel.pull(U / values.sqrt())
    image = _double(kernel.push(V)) * values.sqrt()
    residuals = (image - U * values).norm(dim=0) / values[0]
    for _ in range(2):
        inverse = torch.linalg.inv(torch.linalg.cholesky(_double(V @ V.T)))
        V = inverse.to(V) @ V
    kernel.bar.update()
    return V, kernel.push(V), residuals


def _check_rank(asked: int, there: int, what: str, remedy: str = "lower n_k") -> None:
    if asked > there:
        raise checks.RankError(
            checks.message(expected=f"n_k ≤ {there}, {what}", got=asked, remedy=remedy)
        )
