"""Reference values of the infinite tangent kernel, by the library neural-tangents.

Two layers without bias, W_std = 1: ntk = nngp + (x·y/d) E[σ'(w·x)σ'(w·y)], w ~ N(0, I/d), so
that of the first layer alone is d·(ntk − nngp).  With neural-tangents 0.6.5 installed,

    python tests/reference/neural_tangents_kernels.py

writes neural_tangents_kernels.json beside itself, in float64.
"""

import json
from pathlib import Path

import jax
import neural_tangents
import numpy as np
from neural_tangents import stax

jax.config.update("jax_enable_x64", True)

NODES = 100
"""Quadrature nodes a dimension for the sigmoid, which has no closed form; 50 and 200 agree."""
NONLINEARITIES = {
    "relu": stax.Relu(),
    "erf": stax.Erf(),
    "sin(z+pi/4)": stax.Sin(a=1.0, b=1.0, c=np.pi / 4),
    "sigmoid(z-1)": stax.ElementwiseNumerical(lambda z: jax.nn.sigmoid(z - 1), deg=NODES),
}


def rows(n: int, d: int, shift: float) -> np.ndarray:
    """(n, d) with entries cos(i·j + shift), i = 1…n, j = 1…d."""
    return np.cos(np.outer(np.arange(1, n + 1), np.arange(1, d + 1)) + shift)


def on_sphere(X: np.ndarray) -> np.ndarray:
    """The rows scaled to length √d."""
    return np.sqrt(X.shape[1]) * X / np.linalg.norm(X, axis=1, keepdims=True)


def first_layer_kernel(nonlinearity, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(x·y) E_w σ'(w·x)σ'(w·y)."""
    layers = (stax.Dense(1, 1.0, None), nonlinearity, stax.Dense(1, 1.0, None))
    kernel = stax.serial(*layers)[2](X, Y, ("nngp", "ntk"))
    return X.shape[1] * np.asarray(kernel.ntk - kernel.nngp, dtype=np.float64)


def main() -> None:
    """Write the inputs and the kernels."""
    inputs = {}
    for d in (3, 10):
        X, Y = rows(4, d, 0.3), rows(3, d, 1.1)
        inputs[f"d={d}"] = X, Y
        inputs[f"d={d}, sphere"] = on_sphere(X), on_sphere(Y)
    out = {
        "library": f"neural-tangents {neural_tangents.__version__}, jax {jax.__version__}",
        "inputs": {k: {"X": X.tolist(), "Y": Y.tolist()} for k, (X, Y) in inputs.items()},
        "kernels": {
            name: {k: first_layer_kernel(f, X, Y).tolist() for k, (X, Y) in inputs.items()}
            for name, f in NONLINEARITIES.items()
        },
    }
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
