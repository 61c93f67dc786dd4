"""The Taylor terms f_L, f_Q and the remainder of the two-layer network in its movement U.

f(x; U) = f(x; 0) + f_L(x; U) + f_Q(x; U) + O(‖U‖³)
f_L = m^{−1/2} Σ_r a_r σ'(w_r·x)(u_r·x),   f_Q = (2√m)^{−1} Σ_r a_r σ''(w_r·x)(u_r·x)².  [C]
These are the definitions, on all m neurons; :mod:`escape_ntk.models.pairs` computes the same fast.
"""

import math

from jaxtyping import Float
from torch import Tensor

from escape_ntk.models.network import TwoLayerNetwork


def linear_term(
    network: TwoLayerNetwork, X: Float[Tensor, "n d"], U: Float[Tensor, "m d"]
) -> Float[Tensor, " n"]:
    """f_L(x_i; U) = m^{−1/2} Σ_r a_r σ'(w_r·x_i)(u_r·x_i), shape (n,).  [C]"""
    slopes = network.activation.first(network.check_inputs(X) @ network.weights.T)
    moves = X @ network.check_movement(U).T
    return (slopes * moves) @ network.signs / math.sqrt(network.width)


def quadratic_term(
    network: TwoLayerNetwork, X: Float[Tensor, "n d"], U: Float[Tensor, "m d"]
) -> Float[Tensor, " n"]:
    """f_Q(x_i; U) = (2√m)^{−1} Σ_r a_r σ''(w_r·x_i)(u_r·x_i)², shape (n,).  [C]"""
    curvatures = network.activation.second(network.check_inputs(X) @ network.weights.T)
    moves = X @ network.check_movement(U).T
    return (curvatures * moves**2) @ network.signs / (2 * math.sqrt(network.width))


def remainder(
    network: TwoLayerNetwork, X: Float[Tensor, "n d"], U: Float[Tensor, "m d"]
) -> Float[Tensor, " n"]:
    """f(x; U) − f(x; 0) − f_L(x; U) − f_Q(x; U) = O(‖U‖³), shape (n,).

    Rounding of the difference limits it: use float64 for small movements.
    """
    taylor = linear_term(network, X, U) + quadratic_term(network, X, U)
    return network(X, U) - network(X) - taylor
