"""The top eigenpairs of the tangent kernel K = ΦΦᵀ and their directions, also without K.

``"gram"`` forms K, one number for each pair of outputs.  ``"krylov"`` finds the v_j themselves, as
eigenvectors of ΦᵀΦ, by block Lanczos with full reorthogonalisation and thick restarts: a product
ΦᵀΦZ makes each row of Φ once.  It begins with Φᵀc for random signs c on disjoint parts of the
outputs, which costs one gradient of all rows.  Source: [L] for the method, [D] for the rest.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from escape_ntk import checks
from escape_ntk.models.modules import ModuleFeatures
from escape_ntk.numerics.eigenpairs import leading_eigenpairs
from escape_ntk.numerics.lanczos import NoConvergenceError
from escape_ntk.risk.projectors import RCOND, last_step, warn_of_ties

ROUTES = ("auto", "gram", "krylov")
"""How the eigenpairs are found.

``"auto"``: by the Gram matrix for at most GRAM_OUTPUTS outputs whose Jacobian can be kept.
"""
GRAM_OUTPUTS = 1000
"""Below this the kernel costs less than the passes over the features that Lanczos makes."""
BLOCK_NUMBERS = 2**26
"""Numbers in one block of the Jacobian, which has at least one row of X."""
KRYLOV_BLOCKS = 3
"""Blocks of directions that Lanczos holds: then it goes on from the best of them."""
KEPT_BLOCKS = 4
"""A Jacobian of at most so many blocks is computed once."""
PIECES = 8
"""A block is filled in so many pieces: their memory is used again, where larger ones are new."""
LOOK = 64
"""Leading eigenvalues among which ``n_k="gap"`` looks for steps."""
SPARE = 10
"""Columns of a Krylov block beyond those asked for: they hasten the last of these."""


@dataclass(frozen=True)
class TopDirections:
    """V (n_k, P), orthonormal rows, and what f_L makes of them: ``outputs`` = ΦVᵀ (n·C, n_k).

    ``eigenvalues``, descending: all that were found, at least one beyond n_k where there is one.
    ``residuals`` (n_k,), as achieved: ‖K u_j − Λ_j u_j‖/Λ_1 by ``"gram"``, of ΦᵀΦ and v_j in the
    place of K and u_j by ``"krylov"``; no less than what one gradient of a random combination
    of them says.  ``route``: how.  [D]
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
      ``"krylov"``: b = n_k + 1 + SPARE vectors in a block, (KRYLOV_BLOCKS + 3)·b·(P + N) numbers;
      one block of the Jacobian and two pieces of one, or KEPT_BLOCKS of them.  A ``"gram"`` that
      was asked for beyond that: a few times ``features.chunk``·P;
    * ``tolerance``: largest residual, relative to Λ_1, of the n_k and of the next one; what stays
      inaccurate is f_L of ‖v_j‖ = 1 by some tolerance·√Λ_1.  Sums of P = 10⁶ numbers in float32 are
      good to some 10⁻⁵;
    * ``max_passes``: products of ΦᵀΦ with a block, before it is given up;
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
    count = min(wanted + 1, kernel.N, kernel.P)
    with kernel.bar:
        values, directions = (
            _by_gram(kernel, kernel.N if isinstance(n_k, str) else wanted)
            if route == "gram"
            else _by_krylov(kernel, count, tolerance, max_passes)
        )
        _check_eigenvalues(values)
        rank = int((values > RCOND * values[0]).sum())
        chosen = last_step(values, kernel.N) if isinstance(n_k, str) else wanted
        _check_rank(chosen, rank, "the numerical rank of the tangent features")
        warn_of_ties(values, chosen)
        V, outputs, residuals = directions(chosen)
        V, outputs = _orthonormal(V, outputs)
        values = values[: max(chosen + 1, count, rank)]
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
            desc="learnable directions", unit=" passes", disable=not progress, delay=2, leave=False
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

    def square(self, Z: Tensor) -> tuple[Tensor, Tensor]:
        """(ΦZᵀ (N, b), ZΦᵀΦ (b, P)) for Z (b, P), in one pass over the rows of Φ."""
        pushed, out = [], torch.zeros_like(Z)
        for _, block in self.blocks():
            pushed.append(block @ Z.T)
            out.addmm_(pushed[-1].T, block)
        self.bar.update()
        return torch.cat(pushed), _check_kernel(out)

    def sketch(self, width: int) -> Tensor:
        """SᵀΦ (width, P): each output has a random sign in one column of S, drawn at random."""
        generator = torch.Generator().manual_seed(0)
        order = torch.randperm(self.N, generator=generator)
        signs = torch.randint(0, 2, (self.N,), generator=generator).to(self.features.X) * 2 - 1
        out = self.features.X.new_empty(width, self.P)
        for j in range(width):
            mine = order[j::width].sort().values.to(signs.device)
            rows, place = (mine // self.outputs).unique(return_inverse=True)
            c = signs.new_zeros(len(rows), self.outputs)
            c[place, mine % self.outputs] = signs[mine]
            out[j] = self.features.derivatives.pull(self.features.X[rows], c.flatten())
        return out


_Maker = Callable[[int], tuple[Tensor, Tensor, Tensor]]
"""How many → V, ΦVᵀ and the residuals."""


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


def _by_gram(kernel: _Kernel, most: int) -> tuple[Tensor, "_Maker"]:
    """All eigenvalues of K, and a maker of the first directions, ``most`` or fewer."""
    if kernel.keeps:
        rows = [block for _, block in kernel.blocks()]
        gram = _double(torch.cat([kernel.push(block) for block in rows], dim=1))
    else:
        gram = _double(kernel.features.cross_gram(kernel.features))
    values, vectors = leading_eigenpairs(_check_kernel(gram + gram.T) / 2, most)
    kernel.bar.update()

    def directions(count: int) -> tuple[Tensor, Tensor, Tensor]:
        U, roots = vectors[:, :count], values[:count].sqrt()
        V = kernel.pull(U / roots)
        outputs = kernel.push(V)
        residuals = (_double(outputs) * roots - U * values[:count]).norm(dim=0) / values[0]
        return V, outputs, residuals

    return values, directions


def _by_krylov(
    kernel: _Kernel, count: int, tolerance: float, max_passes: int
) -> tuple[Tensor, "_Maker"]:
    """Ritz values: at least ``count``, all within ``tolerance``; and a maker of directions."""
    width = min(count + SPARE, kernel.N, kernel.P)
    good = torch.zeros(count, dtype=torch.bool)
    for values, directions, residuals in _block_lanczos(kernel, width, max_passes):
        worst = float(residuals[:count].max() / values[0])
        kernel.bar.set_postfix_str(f"residual {worst:.1e}", refresh=False)
        good = residuals <= tolerance / 2 * values[0]  # half: what comes out is tested once more
        if bool(good[:count].all()):
            found = values[: int(good.cumprod(0).sum())]
            if len(found) == kernel.P < kernel.N:
                found = torch.cat([found, found.new_zeros(1)])  # K has no more
            return found, partial(_tested, kernel, values, residuals, directions)
    raise NoConvergenceError(
        checks.message(
            expected=f"{count} eigenvalues to {tolerance:g}·Λ_1 within {max_passes} passes",
            got=f"{int(good[:count].sum())} of them",
            remedy="raise max_passes or tolerance",
        )
    )


def _block_lanczos(
    kernel: _Kernel, width: int, max_passes: int
) -> Iterator[tuple[Tensor, Callable[[int], tuple[Tensor, Tensor]], Tensor]]:
    """After each pass: Ritz values of ΦᵀΦ (descending), a maker of (V, ΦVᵀ), residual norms.

    ``basis``: orthonormal blocks Z (b, P); ``pushed``: their ΦZᵀ (N, b); ``projected``: ZΦᵀΦZᵀ of
    all of them, in float64 on the CPU.
    """
    new = torch.linalg.qr(kernel.sketch(width).T).Q.T
    basis, pushed, projected = [], [], torch.zeros(0, 0, dtype=torch.float64)
    values = Y = projected
    for _ in range(max_passes):
        if len(basis) == KRYLOV_BLOCKS:
            best = Y[:, :width]
            basis, pushed = [_combined(best, basis)], [_combined(best, [b.T for b in pushed]).T]
            projected = torch.diag(values[:width])
        outputs, rest = kernel.square(new)
        basis.append(new)
        pushed.append(outputs)
        column = torch.cat([_double(b @ rest.T) for b in basis])
        _without(rest, basis)
        old, m = projected, len(column)
        projected = column.new_empty(m, m)
        projected[: len(old), : len(old)] = old
        projected[:, len(old) :], projected[len(old) :] = column, column.T
        values, Y = torch.linalg.eigh((projected + projected.T) / 2)
        values, Y = values.flip(0), Y.flip(1)
        new, R = torch.linalg.qr(rest.T)
        new, rest = new.T, rest.new_empty(0)

        def directions(k: int, basis=basis, pushed=pushed, Y=Y) -> tuple[Tensor, Tensor]:
            return _combined(Y[:, :k], basis), _combined(Y[:, :k], [b.T for b in pushed]).T

        yield values, directions, (_double(R) @ Y[len(old) :]).norm(dim=0)
        new = new[: kernel.P - m]
        if not len(new):
            return
        new = torch.linalg.qr(_without(new, basis).T).Q.T  # where the rest had lower rank


def _combined(Y: Tensor, blocks: list[Tensor]) -> Tensor:
    """YᵀZ (k, …) of the rows of all blocks."""
    out = blocks[0].new_zeros(Y.shape[1], blocks[0].shape[1])
    for part, block in zip(Y.split([len(block) for block in blocks]), blocks, strict=True):
        out.addmm_(part.T.to(block), block)
    return out


def _without(rest: Tensor, basis: list[Tensor]) -> Tensor:
    """``rest`` itself, without what of its rows is in the orthonormal rows of ``basis``."""
    for block in (*basis, *basis):
        rest.addmm_(rest @ block.T, block, alpha=-1)
    return rest


def _tested(
    kernel: _Kernel,
    values: Tensor,
    residuals: Tensor,
    directions: Callable[[int], tuple[Tensor, Tensor]],
    count: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """V, ΦVᵀ and residuals, no less than the gradient Φᵀ(Φw), w = ±v_1 ± … ± v_k, says."""
    V, outputs = directions(count)
    signs = torch.randint(0, 2, (count,), generator=torch.Generator().manual_seed(1)) * 2 - 1
    maps, X = kernel.features.derivatives, kernel.features.X
    gap = maps.pull(X, outputs @ signs.to(V)) - (signs * values[:count]).to(V) @ V
    least = float(gap.norm()) / count**0.5
    return V, outputs, residuals[:count].clamp(min=least) / values[0]


def _orthonormal(V: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    """V with rows that are orthonormal to rounding, and ΦVᵀ: by two Cholesky steps."""
    for _ in range(2):
        inverse = torch.linalg.inv(torch.linalg.cholesky(_double(V @ V.T))).to(V)
        V, outputs = inverse @ V, outputs @ inverse.T
    return V, outputs


def _check_rank(asked: int, there: int, what: str, remedy: str = "lower n_k") -> None:
    if asked > there:
        raise checks.RankError(
            checks.message(expected=f"n_k ≤ {there}, {what}", got=asked, remedy=remedy)
        )
