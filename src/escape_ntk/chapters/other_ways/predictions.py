"""What was expected of each method before it was run: the power of d in the labels it needs.

Written down before the first counted run of
:class:`~escape_ntk.chapters.other_ways.runs.Climb`; :mod:`~escape_ntk.chapters.other_ways.claims`
scores it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """n ~ d^power for a dense part of degree k, a sparse one of degree k + 1, and both; why."""

    dense: str
    sparse: str
    both: str
    why: str

    def power(self, target: str, k: int) -> int:
        """The power of d, from "0", "1", "k" or "k+1"."""
        return {"0": 0, "1": 1, "k": k, "k+1": k + 1}[getattr(self, target)]


PREDICTIONS: dict[str, Expected] = {
    "ntk": Expected("k", "k+1", "k+1", "a kernel learns degree by degree, whatever the direction"),
    "rbf": Expected("k", "k+1", "k+1", "another kernel of x·z, with the same degrees"),
    "quadntk": Expected("k", "k", "k", "f_Q makes the sparse part from dᵏ labels"),
    "joint": Expected("k", "k", "k", "the paper's theorem"),
    "network": Expected("k", "k+1", "k+1", "at this width it stays near f_L without R_2"),
    "network-r2": Expected("k", "k", "k", "near its Taylor model, which has dᵏ"),
    "one-step": Expected("k", "k+1", "k+1", "the gradient sees β at dᵏ⁺¹: (β·w)ᵏ ~ d^(−k/2)"),
    "fresh-batches": Expected("k", "k+1", "k+1", "few steps do not change the first one's order"),
    "reused-batch": Expected("k", "1", "k", "labels seen twice show β at d; dense: dᵏ"),
    "mean-field": Expected("k", "1", "k", "each step sees all labels again; dense: dᵏ"),
    "two-stage": Expected("k", "k", "k", "ridge takes the dense part, f_Q the sparse one"),
    "oracle": Expected("k", "0", "k", "β is known: one coefficient beside the dense part"),
}
