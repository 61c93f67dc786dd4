"""Good directions: the projectors P_{≤k} and P_{>k} through the Gram matrix of the training set.

With the t-features A (n, pd), A Aᵀ = UΛUᵀ (descending) and U_k, Λ_k its first n_k pairs,
P_{≤k} t = Aᵀ U_k Λ_k^{−1} U_kᵀ A t and f_L(X; P_{>k}W) = (I − U_kU_kᵀ) f_L(X; W):
no md × md matrix is ever formed.  P acts on t alone (s does not enter f_L).  Source: [C][D].
"""

import warnings

import torch
from jaxtyping import Float
from torch import Tensor

from escape_ntk import checks
from escape_ntk.pairs import PairFeatures

RCOND = 1e-6
"""Gram eigenvalues below RCOND·λ_max count as zero (float32 features carry no more)."""


class TrainingProjector:
    """P_{≤k} and P_{>k} = I − P_{≤k} for the top ``n_k`` eigenvectors of the training Gram matrix.

    ``eigenvalues`` (n,) are those of the tangent kernel K of all weights (twice those of A Aᵀ).
    Raises :class:`~escape_ntk.checks.RankError` when n_k exceeds the numerical rank; warns with
    :class:`~escape_ntk.checks.CutoffWarning` when the cut falls between near-equal eigenvalues.
    """

    def __init__(self, features: PairFeatures, n_k: int, *, rcond: float = RCOND):
        checks.integer("n_k", n_k, least=0)
        checks.number("rcond", rcond, least=0)
        self.features, self.n_k = features, n_k
        gram = features.cross_gram(features).double()
        values, vectors = torch.linalg.eigh((gram + gram.T) / 2)
        values, vectors = values.flip(0), vectors.flip(1)
        self.eigenvalues = 2 * values
        self.rank = int((values > rcond * values[0]).sum())
        if n_k > self.rank:
            raise checks.RankError(
                checks.message(
                    expected=f"n_k ≤ {self.rank}, the numerical rank of the training features",
                    got=n_k,
                    remedy="lower n_k (or k), or use more training points",
                )
            )
        if 0 < n_k < len(values) and float(values[n_k - 1] - values[n_k]) < rcond * float(
            values[0]
        ):
            warnings.warn(
                f"eigenvalues {n_k} and {n_k + 1} agree to {rcond:g}: P_≤k is not unique",
                checks.CutoffWarning,
                stacklevel=2,
            )
        self._basis = vectors[:, :n_k].to(gram_dtype := features.X.dtype).contiguous()  # (n, n_k)
        self._inverse = (1 / values[:n_k]).to(gram_dtype)  # (n_k,)

    def low_outputs(self, f: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """U_kU_kᵀ f: what f_L(X; P_{≤k}W) is when f = f_L(X; W)."""
        return self._basis @ (self._basis.T @ f)

    def high_outputs(self, f: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """(I − U_kU_kᵀ) f: what f_L(X; P_{>k}W) is when f = f_L(X; W)."""
        return f - self.low_outputs(f)

    def dual_coefficients(self, f: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """c = U_kΛ_k^{−1}U_kᵀ f, so that P_{≤k} t = Aᵀc for f = A t."""
        return self._basis @ (self._inverse * (self._basis.T @ f))

    def low(self, t: Float[Tensor, "p d"]) -> Float[Tensor, "p d"]:
        """P_{≤k} t = Aᵀ U_kΛ_k^{−1}U_kᵀ A t."""
        return self.features.linear_pullback(self.dual_coefficients(self.features.linear(t)))

    def high(self, t: Float[Tensor, "p d"]) -> Float[Tensor, "p d"]:
        """P_{>k} t = t − P_{≤k} t."""
        return t - self.low(t)
