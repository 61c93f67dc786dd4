"""The numbers of the playground: those of the package, and those of its record.

Arrays that the package wrote go through ``model.js`` in Chromium.  Controls: a λ_2 that is 1 % off,
a wrong sign and a direction too few disagree.
"""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import playpage
import pytest
import torch

from escape_ntk.models.network import ACTIVATIONS
from escape_ntk.risk.problem import dense_plus_sparse_problem
from escape_ntk.risk.regularizer import Penalties
from escape_ntk.training.flow import gradient_flow

AGREE = 1e-6
"""Relative: of a vector in its largest entry, of a curve at each time."""
NAMES = {"sin(z+pi/4)": "sine", "sigmoid(z-1)": "sigmoid", "erf": "erf", "relu": "relu"}
SIZE = {"d": 8, "n": 60, "m": 42}
LOSSES = ("train", "test", "R_2")
TIMES = (0, 1, 3, 10, 30, 100)

COMPUTE = """({X, y, weights, state, direction, fresh, parts, d, n_k, activation, model, lambda,
        times}) => {
    const M = playgroundModel(), array = (a) => Float64Array.from(a);
    const features = M.makeFeatures(array(X), array(weights), d, activation);
    const eigen = M.topEigenvectors(M.gram(features), y.length, n_k);
    const risk = {features, y: array(y), model, lambda, kept: eigen.vectors};
    const start = array(state), {linear, quadratic} = M.terms(features, start);
    const value = M.valueAndGradient(risk, start);
    const test = {features: M.makeFeatures(array(fresh), array(weights), d, activation),
        y: array(parts[0]).map((v, i) => v + parts[1][i]), parts: parts.map(array)};
    const problem = {risk, test, line: test, mix: [1, 1]}, curves = {};
    const {calls} = M.flow(M.velocity(risk), start, times, (time, s) => {
        const {profile, ...values} = M.measure(problem, s);
        for (const [name, v] of Object.entries(values)) (curves[name] ??= []).push(v);
    }, {direction: array(direction)});
    return {linear: [...linear], quadratic: [...quadratic], gradient: [...value.gradient],
        train: value.train, R_2: value.R_2, eigenvalues: eigen.values, curves, calls};
}"""


@cache
def written(activation: str, model: str, lam: float) -> tuple[str, dict]:
    """What the package hands over, as JSON, and what it computes from it."""
    problem = dense_plus_sparse_problem(
        **SIZE, n_fresh=50, activation=activation, seed=3, dtype=torch.float64
    )
    own = torch.Generator().manual_seed(4)
    start = 0.3 * torch.randn(problem.zero_state().shape, generator=own, dtype=torch.float64)
    direction = torch.randn(
        start.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )  # what the flow starts its power iteration from
    penalties = Penalties(empirical=0.0 if model == "quadratic" else lam)
    risk = problem.risk(penalties, model=model)
    value, gradient = risk.value_and_gradient(start)
    linear, quadratic = problem.features.terms(start)
    run = gradient_flow(risk, start, t_end=TIMES[-1], record_at=TIMES, observe=problem.measure)
    arrays = {
        "X": problem.X,
        "y": problem.y,
        "weights": problem.weights,
        "state": start,
        "direction": direction,
        "fresh": problem.fresh,
    }
    given = {name: array.flatten().tolist() for name, array in arrays.items()}
    given |= {"parts": problem.target.part_values(problem.fresh).tolist()}
    given |= {"d": SIZE["d"], "n_k": problem.n_k, "activation": NAMES[activation]}
    given |= {"model": model, "lambda": penalties.empirical, "times": TIMES}
    names = {"linear_0": "linear_dense", "linear_1": "linear_sparse", "R_2": "R_2"}
    names |= {"quadratic_0": "quadratic_dense", "quadratic_1": "quadratic_sparse"}
    if model == "joint":
        names |= {"train": "train", "test": "test"}
    off = {"linear": "quadratic", "quadratic": "linear", "joint": "nothing"}[model]
    found = {
        "linear": linear.numpy(),
        "quadratic": quadratic.numpy(),
        "gradient": gradient.flatten().numpy(),
        "train": value.loss,
        "R_2": float(problem.projector.high_outputs(linear).square().mean()),
        "eigenvalues": (problem.projector.eigenvalues[: problem.n_k] / 2).numpy(),
        "curves": {
            ours: np.asarray(run.values[name])
            for name, ours in names.items()
            if not ours.startswith(off) and (ours != "R_2" or model != "quadratic")
        },
        "calls": run.n_gradients,
    }
    return json.dumps(given), found


def gaps(there: dict, here: dict) -> dict[str, float]:
    """How far the browser's numbers are from the package's, by name, relative."""

    def gap(name: str, a, b) -> float:
        off, size = np.abs(np.asarray(a, float) - b), np.abs(b)
        if name not in LOSSES:  # a share, or an entry of a vector, may be 0
            size = np.max(size)
        return float(np.max(off / np.maximum(size, 1e-300))) if off.any() else 0.0

    once = {n: gap(n, there[n], v) for n, v in here.items() if n not in ("curves", "calls")}
    curves = {n: gap(n, there["curves"][n], v) for n, v in here["curves"].items()}
    return once | {f"{name} over time": value for name, value in curves.items()}


@pytest.fixture(scope="module")
def model(browser):
    """A page that has the model, and nothing else."""
    page = browser.new_page()
    page.add_script_tag(path=playpage.FOLDER / "model.js")
    yield page
    page.close()


@pytest.mark.parametrize("fits", ["joint", "linear", "quadratic"])
@pytest.mark.parametrize("activation", NAMES)
def test_the_browser_agrees_with_the_package(model, activation, fits):
    given, here = written(activation, fits, 1.0)
    there = model.evaluate(COMPUTE, json.loads(given))
    assert there["calls"] == here["calls"] >= (20 if here["quadratic"].any() else 5)
    found = gaps(there, here)
    assert len(found) > 6
    assert {name: gap for name, gap in found.items() if not gap <= AGREE} == {}


def test_without_the_penalty_it_agrees_too(model):
    given, here = written("sin(z+pi/4)", "joint", 0.0)
    assert max(gaps(model.evaluate(COMPUTE, json.loads(given)), here).values()) <= AGREE


@pytest.mark.parametrize("fault", ["lambda", "sign", "directions"])
def test_control_what_disagrees_is_seen(model, fault):
    given, here = written("sin(z+pi/4)", "joint", 1.0)
    given = json.loads(given)
    if fault == "lambda":
        given["lambda"] = 1.01
    if fault == "directions":
        given["n_k"] -= 1
        here = here | {"eigenvalues": here["eigenvalues"][:-1]}
    if fault == "sign":
        half = len(given["state"]) // 2
        given["state"][:half] = [-v for v in given["state"][:half]]
    found = gaps(model.evaluate(COMPUTE, given), here)
    assert found["gradient"] > 100 * AGREE and found["test over time"] > 100 * AGREE
    assert (found["linear"] <= AGREE) and (found["quadratic"] > AGREE) == (fault == "sign")


def test_all_activations_are_tried():
    """Those that the book names, and no other, can be chosen."""
    assert ACTIVATIONS.keys() == NAMES.keys()


# --- the record ---------------------------------------------------------------------------------


def test_the_record_is_of_these_scripts():
    """After a change of model or drawings run ``python book/tools/playground_record.py``."""
    assert playpage.record()["source"] == playpage.digest()


def test_the_record_is_what_a_browser_computes(model):
    """The default case of the first seed, once more, measured at its end alone."""
    test, calls = model.evaluate(
        """() => {
            const M = playgroundModel();
            let end;
            const {calls} = M.train(M.defaults, () => {}, (t, v) => { end = v; }, {count: 2});
            return [end.test, calls];
        }"""
    )
    stored = playpage.record()["rows"][0]
    assert stored["seed"] == playpage.record()["settings"]["seed"]
    assert calls == stored["with"]["calls"]
    assert abs(test / stored["with"]["test"] - 1) < AGREE


def test_the_default_tells_the_story():
    found = playpage.record()
    declared = found["declared"]
    passed = sum(ratio >= declared["bar"] for ratio in playpage.ratios(found))
    assert len(found["rows"]) == 10 and passed >= declared["needed"] == 8
    assert found["seconds_to_story"] <= declared["seconds"] == 10


def test_control_a_record_without_the_story_would_fail():
    """The same judgement on losses that R_2 left as they were."""
    found = playpage.record()
    rows = [row | {"with": row["without"]} for row in found["rows"]]
    assert sum(ratio >= found["declared"]["bar"] for ratio in playpage.ratios({"rows": rows})) == 0
