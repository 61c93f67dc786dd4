"""Extreme eigenpairs of a symmetric operator on tensors, from its products alone (ARPACK)."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from threadpoolctl import threadpool_limits
from torch import Tensor


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
    vectors are kept between restarts.  scipy raises ``ArpackNoConvergence`` after
    ``max_restarts``.  [L]
    """

    def matvec(x: np.ndarray) -> np.ndarray:
        v = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64)).to(like)
        return product(v.view_as(like)).flatten().double().cpu().numpy()

    size = like.numel()
    operator = LinearOperator((size, size), matvec=matvec, dtype=np.float64)  # pyright: ignore[reportCallIssue]
    start = np.random.default_rng(seed).standard_normal(size)
    with threadpool_limits(1, "blas"):  # ARPACK's threads and torch's would wait for each other
        values, vectors = eigsh(
            operator,
            k=count,
            which="LA" if largest else "SA",
            v0=start,
            ncv=basis,
            tol=tolerance,  # pyright: ignore[reportArgumentType]
            maxiter=max_restarts,
        )
    order = np.argsort(values)[::-1]
    rows = torch.from_numpy(np.ascontiguousarray(vectors[:, order].T))
    return torch.from_numpy(values[order].copy()), rows.view(count, *like.shape)
