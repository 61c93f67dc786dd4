"""The page *The idea in fifteen minutes*: its figures draw what was trained, and its problem."""

import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt

import escape_ntk as en
from escape_ntk.chapters import idea
from escape_ntk.numerics.polynomials import cumulative_multiplicity, multiplicity

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def problem():
    return en.dense_plus_sparse_problem(d=5, n=40, m=60, k=2, n_fresh=300)


@pytest.fixture(scope="module")
def runs(problem):
    short = {"t_end": 30.0, "n_times": 5}
    return {
        "kernel": en.train(problem, model="linear", **short),
        "free": en.train(problem, **short),
        "kept": en.train(problem, en.Penalties(empirical=1.0), **short),
    }


def close(figure) -> None:
    figure.canvas.draw()
    plt.close(figure)


def test_what_is_drawn_of_the_kernel_is_its_prediction_without_the_other_part(problem, runs):
    figure = idea.kernel_alone(problem, runs["kernel"])
    left, right = figure.axes
    dense, sparse = (part.numpy() for part in problem.target.part_values(problem.fresh))
    f = problem.test.linear(runs["kernel"].state[1]).numpy()  # f_Q is 0 where s is
    assert np.allclose(left.lines[0].get_xdata(), dense)
    assert np.allclose(left.lines[0].get_ydata(), f - sparse, atol=1e-5)
    assert np.allclose(right.lines[0].get_ydata(), f - dense, atol=1e-5)
    assert not np.allclose(right.lines[0].get_ydata(), f, atol=1e-2)  # the control
    close(figure)


def test_shares_over_time_are_those_measured(runs):
    figure = idea.who_learns_what(runs["kept"])
    for part, ax in enumerate(figure.axes):
        drawn = [line.get_ydata() for line in ax.lines[:2]]
        for term, values in zip(("linear", "quadratic"), drawn, strict=True):
            assert np.array_equal(values, runs["kept"].values[f"{term}_{part}"][1:])
    close(figure)


def test_errors_with_and_without_the_penalty_are_those_measured(problem, runs):
    figure = idea.off_and_on(problem, runs)
    left, _ = figure.axes
    for line, run in zip(left.lines, runs.values(), strict=True):
        assert np.array_equal(line.get_ydata(), run.values["test"][1:])
    said = [text.get_text() for text in left.texts]
    assert said == [f"{run.values['test'][-1]:.2f}" for run in runs.values()]
    close(figure)


def test_means_along_a_direction():
    z = np.array([-2.4, -2.3, 0.1, 9.0])
    middles, means = idea.means_along(z, np.array([1.0, 3.0, 5.0, 7.0]))
    assert means[0] == 2 and means[5] == 5 and np.isnan(means[1:5]).all()  # 9 lies beyond
    assert middles[0] == -2.25 and len(middles) == len(idea.BINS) - 1


def test_the_dashed_wave_is_the_sparse_part(problem, runs):
    figure = idea.off_and_on(problem, runs)
    (wave,) = [line for line in figure.axes[1].lines if line.get_linestyle() == "--"]
    z, values = idea.projections(problem, problem.fresh), idea.parts(problem, problem.fresh)[1]
    order = np.argsort(z)
    assert np.allclose(np.interp(wave.get_xdata(), z[order], values[order]), wave.get_ydata())
    close(figure)


# ---------------------------------------------------------------- what the page says in words

PAGE = (Path(__file__).parents[2] / "book/idea.md").read_text("utf-8")


def test_sizes_in_the_text_are_those_of_its_cell():
    found = re.search(r"d=(\d+), n=(\d+), m=(\d+), k=(\d+)", PAGE)
    assert found, "the cell names its sizes"
    d, n, m, k = map(int, found.groups())
    dense = cumulative_multiplicity(d, k)
    assert f"We see {n} examples" in PAGE and f"$m={m}$ neurons" in PAGE
    assert n == 3 * dense and f"$n_2={dense}$ independent polynomials" in PAGE
    assert "eight hundred" in PAGE and abs(multiplicity(d, k + 1) / 800 - 1) < 0.02
    assert "Sixteen numbers" in PAGE and d == 16


def test_shares_in_the_words_beside_the_picture_are_those_of_the_run():
    """Also the control: with both parts exchanged the words would be wrong."""
    problem = en.dense_plus_sparse_problem(d=16, n=456, m=1000, k=2, activation="sin(z+pi/4)")
    end = {name: v[-1] for name, v in en.train(problem, en.Penalties(empirical=1.0)).values.items()}
    words = ("rises early to four fifths", "reaches a quarter", "reaches seven tenths")
    assert all(text in PAGE for text in words)
    said, names = (0.8, 0.25, 0.7), ("linear_0", "linear_1", "quadratic_1")
    assert all(abs(end[name] - value) < 0.06 for name, value in zip(names, said, strict=True))
    assert abs(end["linear_1"] - 0.8) > 0.06 and abs(end["linear_0"] - 0.25) > 0.06
