"""``import escape_ntk as en``: what it offers and costs, and the main job as it is advertised."""

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

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


def test_help_teaches_the_main_job():
    said = inspect.getdoc(en.train) or ""
    assert all(word in said for word in ("Arguments", "Returns", "Errors", "Example"))
    missing = [name for name in inspect.signature(en.train).parameters if name not in said]
    assert missing == []


def test_objects_say_what_they_are(problem):
    assert repr(problem).startswith("Problem: degree 1 (5 directions) + degree 2 (1 directions)")
    run = en.train(problem, t_end=10.0, n_times=3)
    assert repr(run).startswith("Trajectory: reached_end at t = 10; train ")


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
