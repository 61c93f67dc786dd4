"""Slopes and intervals; the digitised curves and the quantity that their penalty panel plots."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from escape_ntk.chapters.published_figure import digitised as published
from escape_ntk.checks import InputError
from escape_ntk.numerics import stats


def test_log_slope_finds_the_exponent_of_a_power_law():
    x = np.geomspace(1, 100, 7)
    assert stats.log_slope(x, 3 * x**-0.25) == pytest.approx(-0.25)


def test_first_crossing_of_a_power_law_is_exact_and_censored_outside_the_grid():
    n = np.geomspace(10, 1000, 5)
    assert stats.first_crossing(n, 50 / n, 0.25) == pytest.approx(200)
    assert np.isnan(stats.first_crossing(n, 50 / n, 0.04))
    assert np.isnan(stats.first_crossing(n, 50 / n, 6.0))
    twice = np.array([1.0, 0.2, 0.5, 0.1, 0.05])
    assert n[0] < stats.first_crossing(n, twice, 0.25) < n[1]  # the first of three
    with pytest.raises(InputError, match="sort by x"):
        stats.first_crossing(n[::-1], 50 / n, 0.25)


LINE = np.repeat([10.0, 20.0, 30.0, 40.0, 50.0], 10)


def thresholds(draw: np.random.Generator, capped: float = np.inf) -> tuple:
    """x^1.5 with a spread of .15, ten a size; at the first size what exceeds its cap is a bound."""
    y = LINE**1.5 * np.exp(0.15 * draw.normal(size=len(LINE)))
    cap = np.where(LINE == 10.0, capped * 10**1.5, np.inf)
    return LINE, np.minimum(y, cap), y > cap


def test_censored_slope_without_bounds_is_that_of_least_squares_with_its_interval():
    x, y, bound = thresholds(np.random.default_rng(0))
    own, fit = stats.censored_slope(x, y, bound), scipy_stats.linregress(np.log(x), np.log(y))
    half = scipy_stats.t.ppf(0.975, len(x) - 2) * fit.stderr
    assert own.value == pytest.approx(fit.slope, abs=1e-5)
    assert (own.low, own.high) == pytest.approx((fit.slope - half, fit.slope + half), abs=1e-5)
    exact = stats.censored_slope(x, x**2, bound)
    assert (exact.low, exact.value, exact.high) == pytest.approx((2, 2, 2))


def test_the_spread_about_the_line_is_that_of_scipys_fit_to_censored_data():
    """A second route: at the slope found, SciPy's fit to what is left has no smaller deviance."""
    x, y, bound = thresholds(np.random.default_rng(1), capped=1.0)
    assert bound.sum() >= 3
    own = stats.censored_slope(x, y, bound)

    def deviance(slope: float) -> float:
        rest = np.log(y) - slope * np.log(x)
        data = scipy_stats.CensoredData(uncensored=rest[~bound], right=rest[bound])
        centre, spread = scipy_stats.norm.fit(data)
        seen = scipy_stats.norm.logpdf(rest[~bound], centre, spread).sum()
        return -2 * float(seen + scipy_stats.norm.logsf(rest[bound], centre, spread).sum())

    least = deviance(own.value)
    assert min(deviance(own.value - 0.02), deviance(own.value + 0.02)) > least
    quantile = scipy_stats.t.ppf(0.975, len(x) - 2)
    allowed = least + len(x) * np.log1p(quantile**2 / (len(x) - 2))
    assert [deviance(own.low), deviance(own.high)] == pytest.approx([allowed] * 2, abs=0.01)


@pytest.mark.parametrize("honest", [True, False])
def test_censored_slope_covers_where_bounds_taken_for_values_do_not(honest):
    """Half of the seeds of the first size are bounds: 95 % hold the slope; the control's do not."""
    draw, inside = np.random.default_rng(0), 0
    for _ in range(100):
        x, y, bound = thresholds(draw, capped=0.8)
        got = stats.censored_slope(x, y, bound if honest else np.zeros(len(x), bool))
        inside += 1.5 in got
    assert (inside >= 90) == honest


def test_bounds_alone_give_no_slope():
    with pytest.raises(InputError, match="three that are none"):
        stats.censored_slope([1.0, 1.0, 2.0], [1.0, 1.1, 2.0], [False, False, True])


def walks(draw: np.random.Generator, count: int) -> np.ndarray:
    """Random walks of forty steps."""
    return draw.normal(size=(count, 40)).cumsum(1)


def test_curve_distance_at_one_time_is_the_prediction_interval():
    values = np.random.default_rng(0).normal(size=10)
    edge = stats.prediction_interval(values, 3).high - values.mean()
    own = stats.curve_distance([edge], values[:, None], 3)
    assert own.p == pytest.approx(0.05) and own.rms == pytest.approx(edge)
    assert own.z == pytest.approx(scipy_stats.t.ppf(0.975, 9))


@pytest.mark.parametrize(("shift", "rejected"), [(0.0, False), (6.0, True)])
def test_curve_distance_rejects_no_more_than_it_says(shift, rejected):
    draw, small = np.random.default_rng(2), 0
    for _ in range(400):
        curves = walks(draw, 10)
        gap = walks(draw, 3).mean(0) - curves.mean(0) + shift
        small += stats.curve_distance(gap, curves, 3).p < 0.05
    assert (small > 0.075 * 400) == rejected


def test_mean_interval_agrees_with_scipy():
    values = np.random.default_rng(0).normal(size=12)
    own = stats.mean_interval(values)
    low, high = scipy_stats.t.interval(0.95, 11, values.mean(), scipy_stats.sem(values))
    assert (own.low, own.high) == pytest.approx((low, high))


@pytest.mark.parametrize(("scale", "covers"), [(1.0, True), (0.4, False)])
def test_prediction_interval_covers_a_mean_of_three(scale, covers):
    """95 % of 4000 three-run means lie inside; shrunken intervals (the control) do not cover."""
    generator = np.random.default_rng(1)
    hits = 0
    for _ in range(4000):
        own = stats.prediction_interval(generator.normal(size=10), 3)
        half = scale * (own.high - own.value)
        hits += abs(generator.normal(size=3).mean() - own.value) <= half
    assert (abs(hits / 4000 - 0.95) < 0.015) == covers


def test_welch_of_one_term_is_the_t_interval_and_the_t_test():
    values = np.random.default_rng(2).normal(size=9)
    own = stats.welch(values.mean(), [(values.var(ddof=1) / 9, 8)])
    plain, interval = stats.mean_interval(values), own.interval()
    assert own.error == pytest.approx(scipy_stats.sem(values))
    assert (interval.low, interval.high) == pytest.approx((plain.low, plain.high))
    assert own.p(0.3) == pytest.approx(scipy_stats.ttest_1samp(values, 0.3).pvalue)
    assert own.p(interval.high) == pytest.approx(0.05)


def test_welch_of_two_terms_is_the_test_of_two_samples():
    draw = np.random.default_rng(3)
    a, b = draw.normal(size=9), 3 * draw.normal(size=4)
    terms = [(x.var(ddof=1) / len(x), len(x) - 1) for x in (a, b)]
    own = stats.welch(a.mean() - b.mean(), terms)
    assert own.p(0.0) == pytest.approx(scipy_stats.ttest_ind(a, b, equal_var=False).pvalue)


def test_digitised_final_values_are_those_the_source_states():
    stated = {float(k): v for k, v in published._document()["meta"]["final_test_loss"].items()}
    read = {curve.lam: curve.final for curve in published.curves("test")}
    assert read.keys() == stated.keys()
    assert all(abs(read[lam] - stated[lam]) <= published.PIXEL["test"] for lam in stated)


def test_the_training_loss_is_read_for_all_lambda_but_zero_and_ends_near_zero():
    curves = published.curves("train")
    assert [curve.lam for curve in curves] == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    assert all(curve.final <= 4 * published.PIXEL["train"] for curve in curves)
    assert all(0 <= curve.values.min() and curve.values.max() < 1 for curve in curves)


def test_digitised_curves_say_nothing_outside_their_range():
    curve = published.curves("test")[0]
    outside = curve.at(np.array([0.0, 1e9]))
    assert np.isnan(outside).all()


def test_penalty_is_the_mean_over_the_last_hundred_steps():
    times = np.arange(0, 301.0)
    steps = times**1.5
    own = published.penalty(times, steps, np.array([50.0, 99.0, 300.0]))
    assert own[0] == 0
    assert own[1:] == pytest.approx([steps[:100].mean(), steps[201:].mean()])
    assert own[2] != pytest.approx(steps[300], rel=0.05)  # control: no smoothing is not the same
