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


def test_median_slope_of_a_power_law_does_not_feel_bounds_below_half():
    d = [10.0, 20.0, 40.0]
    samples = [[x**2] * 5 for x in d]
    assert stats.median_slope(d, samples).value == pytest.approx(2.0)
    samples[0] = [100.0, 100.0, 100.0, 180.0, 180.0]  # two of five known from below only
    got = stats.median_slope(d, samples)
    assert got.value == pytest.approx(2.0) and got.low < 2.0 < got.high + 1e-9
    samples[0] = [100.0, 100.0, 180.0, 180.0, 180.0]
    assert stats.median_slope(d, samples).value < 1.9  # three are felt
    with pytest.raises(InputError, match="positive"):
        stats.median_slope(d, [[0.0], [1.0], [1.0]])


@pytest.mark.parametrize(("scale", "covers"), [(1.0, True), (0.4, False)])
def test_median_slope_covers(scale, covers):
    """Of 300 intervals at ten seeds about 95 % hold the slope; shrunken ones (control) do not."""
    draw, d = np.random.default_rng(0), np.array([10.0, 20.0, 30.0, 40.0, 50.0])
    inside = 0
    for _ in range(300):
        samples = d[:, None] ** 1.5 * np.exp(0.3 * draw.normal(size=(5, 10)))
        got = stats.median_slope(d, list(samples), resamples=400)
        low, high = (got.value + scale * (end - got.value) for end in (got.low, got.high))
        inside += low <= 1.5 <= high
    assert (inside >= 0.9 * 300) == covers


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
