"""Extreme eigenpairs of a symmetric operator on tensors, from its products alone (ARPACK)."""

from collections.abc import Callable

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from escape_ntk import checks


class NoConvergenceError(checks.EscapeNTKError, ArithmeticError):
    """Lanczos ran out of restarts."""


def extreme_eigenpairs(
    product: Callable[[Tensor], Tensor],
    like: Tensor,
    *,
    count: int,
    largest: bool,
    tolerance: float,
    seed: int = 0,
    basis: int | None = None,
    max_restarts: int | None = None,
) -> tuple[Tensor, Tensor]:
    """(values (count,) in descending order, unit vectors (count, *shape)) of v ↦ ``product(v)``.

    ``product`` gets tensors with the shape, dtype and device of ``like``; Lanczos itself runs in
    float64 on the CPU, and so are the results.  ``tolerance`` is relative to each value.  ``basis``
    vectors are kept between restarts.  :class:`NoConvergenceError` after ``max_restarts``.  [L]
    """
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh  # slow to import

    def matvec(x: np.ndarray) -> np.ndarray:
        v = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64)).to(like)
        return product(v.view_as(like)).flatten().double().cpu().numpy()

    size = like.numel()
    operator = LinearOperator((size, size), matvec=matvec, dtype=np.float64)  # pyright: ignore[reportCallIssue]
    start = np.random.default_rng(seed).standard_normal(size)
    with threadpool_limits(1, "blas"):  # ARPACK's threads and torch's would wait for each other
        try:
            values, vectors = eigsh(
                operator,
                k=count,
                which="LA" if largest else "SA",
                v0=start,
                ncv=basis,
                tol=tolerance,  # pyright: ignore[reportArgumentType]
                maxiter=max_restarts,
            )
        except ArpackNoConvergence as error:
            raise NoConvergenceError(
                checks.message(
                    expected=f"eigenvalues to {tolerance:g} within {max_restarts} restarts",
                    got=f"{len(error.eigenvalues)} of {count}",
                    remedy="raise max_restarts or tolerance",
                )
            ) from error
    order = np.argsort(values)[::-1]
    rows = torch.from_numpy(np.ascontiguousarray(vectors[:, order].T))
    return torch.from_numpy(values[order].copy()), rows.view(count, *like.shape)
