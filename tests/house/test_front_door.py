"""``import escape_ntk as en``: what it offers and costs, and the main job as it is advertised."""

import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from test_examples import LIBRARY

import escape_ntk as en
from escape_ntk.checks import UnknownNameError

NAMES = [name for name in dir(en) if not name.startswith("__")]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there_and_says_what_it_is(name):
    value = getattr(en, name)
    assert inspect.getdoc(value) and value.__module__.startswith("escape_ntk.")
    assert getattr(sys.modules[value.__module__], name) is value


def test_the_door_costs_nothing_until_it_is_used():
    code = "import sys, escape_ntk as en; dir(en); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
    assert 25 <= len(NAMES) <= 40
    with pytest.raises(AttributeError, match="no attribute 'attic'"):
        en.attic  # noqa: B018


def advertised() -> list[str]:
    """The lines of the package's own docstring."""
    indented = [line[4:] for line in (en.__doc__ or "").splitlines() if line.startswith("    ")]
    return [line for line in indented if line]


def test_the_main_job_runs_as_it_is_advertised(capsys):
    lines = advertised()
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    assert "\n".join(lines) in readme.replace("\n\n", "\n")
    assert len(lines) <= 8
    names: dict = {}
    exec("\n".join(lines), names)
    free, kept = (float(number) for number in capsys.readouterr().out.split())
    assert kept < 0.7 * free  # R_2 teaches; the control is the run without it
    assert names["kept"].values["quadratic_1"][-1] > names["free"].values["quadratic_1"][-1]


@pytest.fixture(scope="module")
def problem() -> en.Problem:
    return en.dense_plus_sparse_problem(d=5, n=30, m=40, n_fresh=50)


# ---------------------------------------------------------------- help


def unsaid(value) -> list[str]:
    """What ``help(value)`` leaves out."""
    doc = inspect.getdoc(value) or ""
    first, *rest = doc.split("\n") or [""]
    found = [] if first.endswith((".", "]")) and rest[:1] == [""] else ["a first line of its own"]
    names = inspect.signature(value).parameters
    found += [f"argument {name}" for name in names if f"``{name}``" not in doc]
    parts = ["Arguments", "Errors", "Example"] + ["Returns"] * (not inspect.isclass(value))
    found += [part for part in parts if f"\n{part}" not in doc]
    examples = doctest.DocTestParser().get_examples(doc)
    return (
        found if any(example.want for example in examples) else [*found, "an example with a result"]
    )


WRITTEN = [name for name in NAMES if name != "ModuleFeatures"]


@pytest.mark.parametrize("name", WRITTEN)
def test_help_teaches_every_name(name):
    assert unsaid(getattr(en, name)) == []


def test_the_examples_of_help_are_run():
    assert {*en._HOMES} <= {*LIBRARY}  # there doctest runs them


def test_control_a_silent_helper_and_a_silent_class_are_found():
    def helper(a, b=1):
        """Adds ``a`` to something

        Example:

        >>> x = 1
        """

    class Thing:
        def __init__(self, size):
            self.size = size

    everything = ["argument b", "Arguments", "Errors", "Returns", "an example with a result"]
    assert unsaid(helper) == ["a first line of its own", *everything]
    assert unsaid(Thing)[:2] == ["a first line of its own", "argument size"]


# ---------------------------------------------------------------- what objects say they are


def made(problem: en.Problem) -> dict[str, object]:
    """An instance of each class, and what functions return, by the name of its class."""
    g, exact = torch.Generator().manual_seed(0), {"dtype": torch.float64}
    weights, risk = problem.weights, problem.risk(en.Penalties(empirical=1.0))
    leak = en.SphereLeak(en.draw_weights(20, 5, g, **exact), "erf")
    start = problem.zero_state() + 0.01
    numbers = dict(radius=0.1, gradient_tolerance=9.0, curvature_tolerance=9.0, round_time=1.0)
    sizes = dict(population=0.0, empirical=0.0, low_degree=1.0, norm_fourth=1.0)
    dense, sparse = problem.target.parts
    represented = en.represent_target(weights, "sin(z+pi/4)", [dense], sparse)
    objects = [
        problem, problem.target, *problem.target.parts[:1], problem.activation, problem.features,
        en.NetworkFeatures(problem.X, weights, torch.tanh), problem.projector, risk,
        en.Penalties(empirical=1.0), en.train(problem, t_end=10.0, n_times=3), leak,
        en.PopulationProjector(leak, (10, 5), 3), en.GaussianLeak(weights, "erf"),
        en.KernelRidge(torch.eye(30)), en.ntk_spectrum("erf", 5), represented,
        represented.quadratic, en.lowest_curvature(risk, start, tolerance=0.1),
        en.perturbed_descent(risk, start, **numbers, max_rounds=1),
        en.gap_bound(n=9, mean_kernel=1.0, complexity=1.0, **sizes),
    ]  # fmt: skip
    return {type(value).__name__: value for value in objects}


def dumped(value) -> list[str]:
    """What is wrong with ``repr(value)``."""
    said, name = repr(value), type(value).__name__
    found = [] if said.startswith(name) else ["without its name"]
    found += ["long"] if len(said) > 250 or said.count("\n") > 1 else []
    return found + [
        f"dumps {word}" for word in ("tensor(", "array(", " object at ") if word in said
    ]


def test_objects_say_what_they_are(problem):
    objects = made(problem)
    assert {name: dumped(value) for name, value in objects.items() if dumped(value)} == {}
    classes = {name for name in WRITTEN if inspect.isclass(getattr(en, name))}
    assert classes <= objects.keys()
    assert repr(problem).startswith("Problem: degree 1 (5 directions) + degree 2 (1 direction)")
    run = objects["Trajectory"]
    assert repr(run).startswith("Trajectory: reached_end at t = 10; train ")
    assert repr(objects["PairFeatures"]) == "PairFeatures: 30 inputs in R^5, m = 40, sigmoid(z-1)"


def test_control_a_dump_is_found():
    assert dumped(torch.ones(200, 3)) == ["without its name", "long", "dumps tensor("]
    assert "dumps  object at " in dumped(object())


def test_a_trajectory_plots_what_it_measured(problem):
    run = en.train(problem, t_end=10.0, n_times=3)
    figure = run.plot("test", "R_2")
    test, leak = (ax.lines[0] for ax in figure.axes)
    assert np.array_equal(test.get_ydata(), run.values["test"])
    assert np.array_equal(leak.get_xdata(), run.times + 1)
    assert len([ax for ax in run.plot().axes if ax.lines]) == len(run.values)
    with pytest.raises(UnknownNameError, match="measurement"):
        run.plot("attic")


def test_what_is_drawn_depends_on_the_seed_alone(problem):
    again = en.dense_plus_sparse_problem(d=5, n=30, m=40, n_fresh=50)
    other = en.dense_plus_sparse_problem(d=5, n=30, m=40, n_fresh=50, seed=1)
    assert torch.equal(again.X, problem.X) and torch.equal(again.weights, problem.weights)
    assert not torch.equal(other.X, problem.X)
    noisy = en.dense_plus_sparse_problem(d=5, n=30, m=40, n_fresh=50, label_noise=1.0)
    assert torch.equal(noisy.X, problem.X) and not torch.equal(noisy.y, problem.y)


W = en.draw_weights(8, 4, torch.Generator().manual_seed(0))
X = en.draw_inputs(6, 4, "sphere", torch.Generator().manual_seed(1))


@pytest.mark.parametrize("sigma", ["erf", torch.tanh, en.activation("sin(z+pi/4)")])
def test_an_activation_may_be_a_name_a_function_or_an_object(sigma):
    assert en.PairFeatures(X, W, sigma).zero_state().shape == (2, 4, 4)
    assert en.empirical_ntk(X, X, W, sigma).shape == (6, 6)
    assert en.infinite_ntk(X, X, sigma, route="quadrature").shape == (6, 6)
