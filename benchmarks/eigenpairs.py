"""Ways to the leading eigenvectors of a kernel matrix, over torch's whole decomposition.

Each way of the same matrix in turns in one process, in seconds of the processor; sin Θ between what
each finds and what the whole decomposition in double precision finds.  Only the whole one and the
one that is kept also find all eigenvalues, by which the package counts a rank and sees a tie.

    python benchmarks/eigenpairs.py [--sizes 1000,9,10 …]

The ratios are stored beside this file as JSON, with the machine.  The page *Speed* draws them.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import scipy
import torch
from scipy.linalg import eigh
from scipy.sparse.linalg import eigsh
from threadpoolctl import threadpool_limits
from timing import dated, machine, store, stored, takes_record, timed
from torch import Tensor

import escape_ntk
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import draw_weights
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.numerics.eigenpairs import leading_eigenpairs
from escape_ntk.risk.projectors import RCOND

RECORD = Path(__file__).with_suffix(".json")
SIZES = (
    *((n, count - 1, count) for n in (500, 1000, 2000, 4000) for count in (10, n // 10)),
    (1000, 99, 50),
    (1296, 24, 324),
    (2592, 24, 324),
)
"""n, d and n_k: at the step after degree 1, in the midst of degree 1, and after degree 2."""
MOST_LOBPCG = 1000
"""Beyond so many rows LOBPCG takes minutes."""


def kernel_matrix(n: int, d: int) -> Tensor:
    """A Aᵀ of inputs on the sphere and 1000 pairs."""
    g = torch.Generator().manual_seed(0)
    weights = draw_weights(2000, d, g, dtype=torch.float64)
    X = draw_inputs(n, d, "sphere", g, dtype=torch.float64)
    features = PairFeatures(X, weights, "sigmoid(z-1)")
    gram = features.cross_gram(features)
    return (gram + gram.T) / 2


def ways(K: Tensor, count: int) -> dict[str, Callable[[], Tensor]]:
    """Name → leading eigenvectors as columns, in any order; "values": the eigenvalues alone."""
    n, matrix, single = len(K), K.numpy(), K.float()
    last, ones = (n - count, n - 1), torch.ones(n, dtype=torch.float64).numpy()
    tensor = torch.from_numpy
    found = {
        "whole": lambda: torch.linalg.eigh(K)[1][:, -count:],
        "kept": lambda: leading_eigenpairs(K, count)[1][:, :count],
        "subset": lambda: tensor(eigh(matrix, subset_by_index=last, driver="evr")[1]),
        "Lanczos": lambda: tensor(eigsh(matrix, k=count, which="LA", v0=ones)[1]),
        "values": lambda: torch.linalg.eigvalsh(K),
        "whole, single": lambda: torch.linalg.eigh(single)[1][:, -count:].double(),
    }
    if n <= MOST_LOBPCG and 3 * count <= n:
        start = torch.randn(n, count, generator=torch.Generator().manual_seed(0)).to(K)
        found["LOBPCG"] = lambda: torch.lobpcg(K, X=start, niter=500)[1]
    return found


def angle(U: Tensor, V: Tensor) -> float:
    """sin Θ between the spans of their columns."""
    return float(torch.linalg.matrix_norm(U - V @ (V.T @ U), 2))


def compared(n: int, d: int, count: int) -> dict[str, object]:
    """Medians over that of the whole decomposition, and angles; Λ_1 over the gap."""
    K = kernel_matrix(n, d)
    values = torch.linalg.eigvalsh(K).flip(0)
    each = ways(K, count)
    taken: dict[str, list[float]] = {name: [] for name in each}
    found = {name: call() for name, call in each.items()}
    for _ in range(7 if n <= 1000 else 3):
        for name, call in each.items():
            taken[name].append(timed(call)[1])
    medians = {name: statistics.median(own) for name, own in taken.items()}
    return {
        "seconds": medians["whole"],
        "ratios": {name: own / medians["whole"] for name, own in medians.items()},
        "angles": {name: angle(found["whole"], V) for name, V in found.items() if V.ndim == 2},
        "gap": float((values[count - 1] - values[count]) / values[0]),
    }


def main() -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    known = [",".join(map(str, s)) for s in SIZES]
    parser.add_argument("--sizes", nargs="+", choices=known, default=known, metavar="N,D,COUNT")
    takes_record(parser, RECORD)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    versions = {"torch": torch.__version__, "scipy": scipy.__version__}
    conditions = {"machine": machine(1, **versions), "least gap": RCOND}
    kept = stored(asked.record, conditions, asked.replace)
    package = Path(escape_ntk.__file__).parent
    with threadpool_limits(1, "blas"):
        for name in asked.sizes:
            kept[name] = dated(compared(*map(int, name.split(","))), package)
            print(name, kept[name], flush=True)
            store(asked.record, conditions, kept)


if __name__ == "__main__":
    main()
