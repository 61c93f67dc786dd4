"""The leading eigenvectors of a dense symmetric matrix, with all of its eigenvalues (LAPACK)."""

import numpy as np
import torch
from jaxtyping import Float
from threadpoolctl import threadpool_limits
from torch import Tensor

from escape_ntk import checks

LEAST_ROWS = 500
"""Smaller matrices are decomposed whole: there is no time to save."""
LARGEST_SHARE = 4
"""So are those of which more than n/LARGEST_SHARE eigenvectors are wanted."""


def leading_eigenpairs(
    matrix: Float[Tensor, "n n"], count: int
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n found"]]:
    """(All eigenvalues Λ_1 ≥ … ≥ Λ_n, the first ``count`` eigenvectors or more, as columns).

    A = QTQᵀ with a tridiagonal T, once; T gives all eigenvalues and the vectors asked for in O(n²)
    and O(n·count), and Q turns these back.  A whole decomposition also finds and turns back the
    other n − count.  It is what is done, by torch, where ``count`` is above n/4, for fewer than
    LEAST_ROWS rows, for a matrix with a gradient, and on other devices than a processor.  [L]

    Both are backward stable: exact for some A + E with ‖E‖ ≤ cε‖A‖, c no larger than about n.  So
    the projector on the leading ``count`` vectors is off by sin Θ ≤ ‖E‖/(δ − ‖E‖) for a gap
    δ = Λ_count − Λ_{count+1} (Davis and Kahan): nothing is known where the two agree to rounding,
    and in single precision where they agree to nε = 10⁻⁴ of Λ_1, for n = 1000.  [L]

    Arguments:

    * ``matrix``: A, symmetric;
    * ``count``: how many eigenvectors, ≥ 0.

    Returns two tensors (n,) and (n, found), found ≥ ``count``, in float64.

    Errors: :class:`~escape_ntk.checks.ShapeError` for what is no square matrix,
    :class:`~escape_ntk.checks.NonFiniteError` for one that is not finite,
    :class:`~escape_ntk.checks.InputError` for a ``count`` that is no such integer.
    """
    n = len(checks.array("matrix", matrix, (None, None)))
    matrix = checks.layout("matrix", matrix, (n, n)).double()
    checks.integer("count", count, least=0)
    plain = matrix.device.type == "cpu" and not matrix.requires_grad
    if plain and n >= LEAST_ROWS and LARGEST_SHARE * count <= n:
        try:
            with threadpool_limits(torch.get_num_threads(), "blas"):
                return _by_reduction(matrix.numpy(), count)
        except np.linalg.LinAlgError:  # entries near the ends of the range of float64
            pass
    values, vectors = torch.linalg.eigh(matrix)
    return values.flip(0), vectors.flip(1)


def _by_reduction(matrix: np.ndarray, count: int) -> tuple[Tensor, Tensor]:
    """By LAPACK, which puts them in ascending order."""
    from scipy.linalg import eigh_tridiagonal, get_lapack_funcs  # half a second to import

    names = ("sytrd", "sytrd_lwork", "ormqr")
    sytrd, sytrd_lwork, ormqr = get_lapack_funcs(names, (matrix,))
    n, own = len(matrix), np.array(matrix.T, order="F")  # no transposition: A = Aᵀ
    work = int(sytrd_lwork(n, lower=1)[0])
    reflectors, diagonal, beside, tau, _ = sytrd(own, lower=1, lwork=work, overwrite_a=1)
    tridiagonal = diagonal, beside
    values = eigh_tridiagonal(*tridiagonal, eigvals_only=True, lapack_driver="sterf")
    if not count:
        return torch.from_numpy(values).flip(0), torch.empty(n, 0, dtype=torch.float64)
    where = (n - count, n - 1)
    _, vectors = eigh_tridiagonal(
        *tridiagonal, select="i", select_range=where, lapack_driver="stemr"
    )
    # Q = diag(1, Q'), and Q' is kept as that of a QR decomposition is
    rest, turned = np.asfortranarray(reflectors[1:, :-1]), np.asfortranarray(vectors[1:])
    work = int(ormqr("L", "N", rest, tau, turned, -1)[1][0])
    vectors[1:] = ormqr("L", "N", rest, tau, turned, work, overwrite_c=1)[0]
    return torch.from_numpy(values).flip(0), torch.from_numpy(vectors).flip(1)
