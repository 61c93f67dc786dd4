"""The same gradient and kernels by neural-tangents in JAX, in an environment of its own.

    make bench-peers

The second-order Taylor model of the same network, by ``neural_tangents.taylor_expand`` and
``jax.value_and_grad``, compiled; its tangent kernel, and the infinite one.  Each as a ratio to the
same bare matrix products as in training.py, here by JAX, on one core; and the peak of memory above
the start.  Stored beside this file as JSON.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import neural_tangents as nt
from neural_tangents import stax
from timing import dated, in_own_process, machine, paired, peak, store, stored, takes_record

RECORD = Path(__file__).with_suffix(".json")
THREE = ((300, 30, 2000), (1000, 100, 10_000), (3200, 40, 4000))
"""n, d and m, as in training.py."""
Array = jax.Array


def network(movement: Array, weights: Array, signs: Array, X: Array) -> Array:
    """f(x; U) = m^{−1/2} Σ_r a_r σ((w_r + u_r)·x), σ(z) = 1/(1 + e^{1−z})."""
    return jax.nn.sigmoid(X @ (weights + movement).T - 1) @ signs / jnp.sqrt(len(signs))


def drawn(n: int, d: int, m: int) -> tuple[Array, Array, Array, Array, Array]:
    """Inputs, labels, paired weights, signs, a movement."""
    keys = jax.random.split(jax.random.key(0), 4)
    X = jax.random.normal(keys[0], (n, d))
    w = jax.random.normal(keys[1], (m // 2, d))
    w = jnp.concatenate([w, w]) / jnp.linalg.norm(w, axis=1).mean()  # unit length, nearly
    signs = jnp.concatenate([jnp.ones(m // 2), -jnp.ones(m // 2)])
    moved = 0.01 * jax.random.normal(keys[2], (m, d))
    return X, jax.random.normal(keys[3], (n,)), w, signs, moved


def four(n: int, d: int, m: int) -> Callable[[], object]:
    """The products (n, d)×(d, p), twice, and (p, n)×(n, d), twice, each compiled alone."""
    X, _, w, _, _ = drawn(n, d, m)
    there = jax.jit(lambda X, w: X @ w.T)
    back = jax.jit(lambda z, X: z.T @ X)

    def call() -> None:
        for _ in range(2):
            z = there(X, w[: m // 2])
            back(z, X).block_until_ready()

    return call


def gradient(n: int, d: int, m: int) -> dict[str, float]:
    """∇ of the mean square of f_L + f_Q, over four products."""
    X, y, w, signs, moved = drawn(n, d, m)
    start = peak()
    model = nt.taylor_expand(lambda U, X: network(U, w, signs, X), jnp.zeros_like(w), 2)
    slope = jax.jit(jax.value_and_grad(lambda U: jnp.mean((model(U, X) - y) ** 2)))
    found = paired(lambda: slope(moved)[1].block_until_ready(), four(n, d, m), 3)
    return {**found, "MiB": peak() - start}


def kernels(n: int, d: int, m: int) -> dict[str, object]:
    """The kernel of m neurons over (n, p)×(p, n); the infinite one of erf over (n, d)×(d, n).

    The library computes the first in three ways, ``ways`` has each, and the fastest counts; where
    the two that are slower at the smallest size take minutes, its default alone is timed.
    """
    X, _, w, signs, _ = drawn(n, d, m)
    product = jax.jit(lambda A: A @ A.T)
    features = jnp.ones((n, m // 2))
    ways = {}
    for way in nt.NtkImplementation:
        if way.name == "AUTO" or (way.name != "JACOBIAN_CONTRACTION" and n * m > 10**6):
            continue
        kernel = nt.empirical_ntk_fn(
            lambda U, X: network(U, w, signs, X), trace_axes=(), vmap_axes=0, implementation=way
        )
        compiled = jax.jit(lambda X, kernel=kernel: kernel(X, None, jnp.zeros_like(w)))
        ways[way.name] = paired(
            lambda compiled=compiled: compiled(X).block_until_ready(),
            lambda: product(features).block_until_ready(),
            3,
        )["ratio"]
    layers = stax.serial(stax.Dense(m), stax.Erf(), stax.Dense(1))
    infinite = jax.jit(lambda X: layers[2](X, None, "ntk"))
    beyond = paired(
        lambda: infinite(X).block_until_ready(), lambda: product(X).block_until_ready()
    )["ratio"]
    return {"empirical": min(ways.values()), "infinite": beyond, "ways": ways}


THINGS: dict[str, Callable[[], dict]] = {
    f"{of.__name__}, {n}, {d}, {m}": lambda of=of, n=n, d=d, m=m: of(n, d, m)
    for n, d, m in THREE
    for of in (gradient, kernels)
}


def main() -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--one", choices=THINGS, help=argparse.SUPPRESS)
    takes_record(parser, RECORD)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(THINGS[asked.one]()))
        return
    versions = {"jax": jax.__version__, "neural-tangents": nt.__version__}
    conditions = {"machine": machine(1, **versions)}
    kept = stored(asked.record, conditions, asked.replace)
    for thing in THINGS:
        kept[thing] = dated(in_own_process(__file__, "--one", thing), None)
        print(f"{thing:36}{json.dumps(kept[thing])}", flush=True)
        store(asked.record, conditions, kept)


if __name__ == "__main__":
    main()
