"""Every argument of every public name, replaced by objects that do not belong there.

The result is either valid or an :class:`~escape_ntk.checks.InputError` in the house's words: never
a bare error from inside.
"""

import inspect
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from refusals import SENTENCE

import escape_ntk as en
from escape_ntk.checks import InputError
from escape_ntk.training.run import UNSAVED

F64 = torch.float64
D, M, N = 5, 20, 12
ELSEWHERE = "models.modules"
"""Names of this module are not called here: tests/test_modules.py has their bad input."""


class Frame:
    """A table that is no tensor, and has attributes like one."""

    shape, dtype, ndim, columns = (3, 2), "object", 2, ("a", "b")

    def __len__(self) -> int:
        return 3

    def __getitem__(self, key):
        raise KeyError(key)

    def __array__(self, *args, **kwargs):
        return np.array([["a", "b"]] * 3, dtype=object)


STRANGE: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "text": lambda: "abc",
    "empty text": lambda: "",
    "an object": object,
    "a list": lambda: [1.0, 2.0],
    "an empty list": list,
    "a list of text": lambda: ["a"],
    "a dictionary": lambda: {"a": 1},
    "a numpy array": lambda: np.ones((3, 2)),
    "a numpy number": lambda: np.float64(0.5),
    "a table": Frame,
    "a class": lambda: Frame,
    "a function": lambda: lambda: None,
    "-1": lambda: -1,
    "1.5": lambda: 1.5,
    "NaN": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "a complex number": lambda: 1j,
    "an integer tensor": lambda: torch.ones(3, 2, dtype=torch.int64),
    "a boolean tensor": lambda: torch.ones(3, 2, dtype=torch.bool),
    "a complex tensor": lambda: torch.ones(3, 2, dtype=torch.complex64),
    "a double tensor": lambda: torch.ones(3, 2, dtype=F64),
    "a half tensor": lambda: torch.ones(3, 2, dtype=torch.float16),
    "a number as a tensor": lambda: torch.tensor(0.5),
    "an empty tensor": lambda: torch.empty(0, 5),
    "a tensor of three axes": lambda: torch.ones(2, 2, 2),
    "NaN in a tensor": lambda: torch.full((3, 5), float("nan")),
    "a tensor without numbers": lambda: torch.ones(3, 5, device="meta"),
    "a sparse tensor": lambda: torch.eye(5).to_sparse(),
    "an integer dtype": lambda: torch.int64,
    "a numpy dtype": lambda: np.float32,
}


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@cache
def problem() -> en.Problem:
    return en.dense_plus_sparse_problem(d=D, n=N, m=M, n_fresh=10)


@cache
def weights(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return en.draw_weights(M, D, seeded(), dtype=dtype)


@cache
def risk() -> en.RegularizedRisk:
    return problem().risk(en.Penalties(empirical=1.0))


def start() -> torch.Tensor:
    return problem().zero_state() + 0.01


def size(state: torch.Tensor) -> dict[str, float]:
    return {"size": float(state.norm())}


def pieces(**options) -> dict[str, Any]:
    """What a Problem is made of."""
    p = problem()
    names = ("target", "weights", "activation", "X", "fresh", "n_k")
    return {name: getattr(p, name) for name in names} | options


def small_network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(D, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))


VALID: dict[str, Callable[[], dict[str, Any]]] = {
    "Activation": lambda: {
        "name": "mine",
        "value": torch.sin,
        "first": torch.cos,
        "second": lambda z: -torch.sin(z),
    },
    "GaussianLeak": lambda: {"weights": weights(), "activation": "erf", "degree": 60, "block": 9},
    "GoodDirections": lambda: {
        "model": small_network(), "X": problem().X, "n_k": 2, "output": None, "route": "gram",
        "tolerance": 1e-4, "chunk": 9, "keep": True, "progress": False},
    "KernelRidge": lambda: {"gram": torch.eye(3)},
    "NetworkFeatures": lambda: {
        "X": problem().X, "weights": weights(), "activation": "erf", "chunk": 5},
    "PairFeatures": lambda: {
        "X": problem().X, "weights": weights(), "activation": "erf", "chunk": 5},
    "Penalties": lambda: {"population": 1.0, "empirical": 1.0, "low_degree": 1.0, "norm": 1.0},
    "PopulationProjector": lambda: {
        "leak": en.SphereLeak(weights(F64), "erf"), "shape": (M // 2, D), "n_k": 2,
        "tolerance": 1e-6, "seed": 0},
    "Problem": lambda: pieces(law="sphere", labels=problem().y, kind=en.PairFeatures, chunk=9),
    "RegularizedRisk": lambda: {
        "features": problem().features, "y": problem().y, "model": "joint",
        "penalties": en.Penalties(population=1.0), "projector": problem().projector,
        "population": problem().leak},
    "RidgeSum": lambda: {
        "directions": torch.eye(D)[:1], "coefficients": torch.ones(1), "degree": 2,
        "law": "sphere"},
    "SphereLeak": lambda: {"weights": weights(), "activation": "erf", "degree": 60, "block": 9},
    "Target": lambda: {"parts": problem().target.parts},
    "TrainingProjector": lambda: {"features": problem().features, "n_k": 2, "rcond": 1e-6},
    "Trajectory": lambda: {
        "times": np.array([0.0, 1.0]), "values": {"a": np.ones(2)}, "state": start(),
        "outcome": "reached_end", "n_gradients": 3, "n_steps": 2, "n_rejected": 0, "kept": {},
        "ended": 1.0},
    "activation": lambda: {"sigma": "erf"},
    "dense_plus_sparse_problem": lambda: {
        "d": D, "n": N, "m": M, "k": 1, "n_k": 3, "n_fresh": 7, "activation": "erf",
        "label_noise": 0.1, "seed": 0, "dtype": torch.float32},
    "draw_inputs": lambda: {
        "n": 3, "d": D, "law": "sphere", "generator": seeded(), "dtype": torch.float32},
    "draw_target": lambda: {"k": 2, "d": D, "generator": seeded(), "dtype": torch.float32},
    "draw_weights": lambda: {
        "m": M, "d": D, "generator": seeded(), "law": "sphere", "dtype": torch.float32},
    "empirical_ntk": lambda: {
        "X": problem().X, "Y": problem().X, "weights": weights(), "activation": "erf", "block": 7},
    "from_pairs": lambda: {"state": start()},
    "gap_bound": lambda: {
        "n": 100, "mean_kernel": 1.0, "complexity": 0.1, "population": 0.1, "empirical": 0.1,
        "low_degree": 1.0, "norm_fourth": 1.0, "cap": 1.0},
    "gradient_descent": lambda: {
        "risk": risk(), "state": start(), "step": 0.5, "n_steps": 2, "record_at": [0, 2],
        "observe": size, "allow_unstable": False, "run": UNSAVED},
    "gradient_flow": lambda: {
        "risk": risk(), "state": start(), "t_end": 2.0, "record_at": [0.0, 2.0], "observe": size,
        "rtol": 1e-3, "atol": 1e-5, "max_gradients": 500, "best": "size", "keep": (0,),
        "run": UNSAVED},
    "infinite_ntk": lambda: {
        "X": problem().X, "Y": problem().X, "activation": "erf", "weight_law": "sphere",
        "route": "series"},
    "log_times": lambda: {"t_end": 10.0, "n_times": 4, "start": 1.0},
    "lowest_curvature": lambda: {
        "risk": risk(), "state": start(), "scale": 0.1, "tolerance": 0.1, "max_products": 500,
        "seed": 0},
    "ntk_spectrum": lambda: {
        "activation": "erf", "d": D, "degree": 3, "weight_law": "sphere"},
    "perturbed_descent": lambda: {
        "risk": risk(), "state": start(), "radius": 0.1, "gradient_tolerance": 0.5,
        "curvature_tolerance": 0.5, "round_time": 2.0, "max_rounds": 1, "seed": 0,
        "run": UNSAVED},
    "published_target": lambda: {"beta": torch.eye(D)[0], "law": "gaussian"},
    "represent_target": lambda: {
        "weights": weights(), "activation": "sin(z+pi/4)", "low": problem().target.parts[:1],
        "sparse": problem().target.parts[1]},
    "scan_good_directions": lambda: {
        "model": small_network(), "X": problem().X, "train": None, "n_k": (1, 2),
        "strengths": (0.5,), "output": None, "y": problem().y,
        "validation": (problem().X, problem().y), "loss": torch.nn.functional.mse_loss,
        "steps": 2, "rate": 0.1, "batch": 5, "progress": False},
    "spectral_steps": lambda: {
        "eigenvalues": torch.tensor([3.0, 2.0, 1.0]), "ratio": 1.5, "n": 3},
    "to_pairs": lambda: {"U": torch.ones(4, D)},
    "train": lambda: {
        "problem": problem(), "penalties": en.Penalties(), "t_end": 2.0, "n_times": 3,
        "model": "joint", "method": "descent", "step": 1.0, "start": start(), "measure": size,
        "run": UNSAVED},
}  # fmt: skip
"""A valid call of each, every argument by name."""


def public() -> dict[str, Any]:
    named = {name: getattr(en, name) for name in en.__all__ if not name.startswith("__")}
    return {k: v for k, v in named.items() if not v.__module__.endswith(ELSEWHERE)}


def bare(call: Callable, valid: Callable[[], dict[str, Any]]) -> Iterator[str]:
    """Arguments and strange objects with which ``call`` dies of anything but a typed error."""
    for name in valid():
        for label, make in STRANGE.items():
            try:
                call(**valid() | {name: make()})
            except InputError as error:
                if not SENTENCE.search(str(error)) or len(str(error)) > 500:
                    yield f"{name} = {label}: says {error}"
            except Exception as error:
                yield f"{name} = {label}: {type(error).__name__}: {error}"


def test_every_public_name_is_called_with_every_argument():
    assert VALID.keys() == public().keys()
    for name, call in public().items():
        assert [*VALID[name]()] == [*inspect.signature(call).parameters]


@pytest.mark.filterwarnings("ignore")  # what is measured of a strange object may warn
@pytest.mark.parametrize("name", VALID)
def test_a_strange_object_is_taken_or_refused_in_words(name):
    call = getattr(en, name)
    call(**VALID[name]())
    assert [*bare(call, VALID[name])] == []


def test_control_a_function_that_checks_nothing_is_caught():
    def unchecked(x, scale):
        return x.norm() * scale

    found = [*bare(unchecked, lambda: {"x": torch.ones(2), "scale": 1.0})]
    assert any(line.startswith("x = None: AttributeError") for line in found)
    assert any(line.startswith("scale = a dictionary: TypeError") for line in found)


SIGMAS = pytest.mark.parametrize(
    "sigma",
    ["sigmoid(z-1)", lambda z: torch.sigmoid(z - 1), en.activation("sigmoid(z-1)")],
    ids=["name", "function", "object"],
)


@SIGMAS
@pytest.mark.parametrize("name", [n for n in VALID if "activation" in VALID[n]()])
def test_an_activation_may_be_a_name_a_function_or_an_object_everywhere(name, sigma):
    getattr(en, name)(**VALID[name]() | {"activation": sigma})


# ---------------------------------------------------------------- tensors that require a gradient

USED: dict[str, Callable[[Any], Any]] = {
    "GaussianLeak": lambda leak: leak.value_and_gradient(torch.ones_like(leak.weights)),
    "KernelRidge": lambda ridge: ridge.dual(torch.ones(3), 1.0),
    "NetworkFeatures": lambda features: features.terms_and_pullback(features.zero_state()),
    "PairFeatures": lambda features: features.terms(features.zero_state()),
    "Problem": lambda problem: en.train(problem, t_end=2.0, n_times=3),
    "RegularizedRisk": lambda risk: risk.value_and_gradient(risk.features.zero_state()),
    "RidgeSum": lambda part: (part(torch.ones(2, D)), part.norm),
    "SphereLeak": lambda leak: leak.value_and_gradient(torch.ones_like(leak.weights).float()),
    "Trajectory": repr,
}
"""What is done with what was made: some things are computed only then."""


def with_gradient(name: str) -> Iterator[str]:
    """Arguments whose gradient is neither carried on nor refused in words."""
    for argument, value in VALID[name]().items():
        if not isinstance(value, torch.Tensor):
            continue
        tensor = value.detach().clone().requires_grad_()
        try:
            made = getattr(en, name)(**VALID[name]() | {argument: tensor})
            USED.get(name, lambda made: made)(made)
        except InputError as error:
            if not SENTENCE.search(str(error)) or "gradient" not in str(error):
                yield f"{argument}: says {error}"
        except Exception as error:
            yield f"{argument}: {type(error).__name__}: {error}"


@pytest.fixture
def warned_always():
    """A gradient cut by float(…) is told each time, not once a process."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


@pytest.mark.filterwarnings("error:Converting a tensor with requires_grad")
@pytest.mark.parametrize("name", VALID)
def test_a_tensor_that_requires_a_gradient_is_carried_on_or_refused(name, warned_always):
    assert [*with_gradient(name)] == []


@pytest.mark.filterwarnings("error:Converting a tensor with requires_grad")
def test_control_a_gradient_that_is_cut_is_told(warned_always):
    for _ in "ab":
        with pytest.raises(UserWarning, match="requires_grad"):
            float(torch.ones(2).requires_grad_().norm())


def test_training_refuses_a_start_with_gradient_and_a_problem_its_pieces():
    for call in (
        lambda: en.train(problem(), start=start().requires_grad_()),
        lambda: en.Problem(**pieces(X=problem().X.clone().requires_grad_())),
        lambda: en.Problem(**pieces(labels=problem().y.clone().requires_grad_())),
        lambda: problem().sizes(start().requires_grad_()),
    ):
        with pytest.raises(InputError, match=r"without gradient.*detach\(\)"):
            call()
