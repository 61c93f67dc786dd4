"""A rate with its interval, a threshold, and what the next seeds will do."""

import math

import numpy as np
import torch

from escape_ntk.numerics import stats

assert stats.rms(torch.tensor([1.0, -1.0, 7.0, 7.0])) == 5.0

# An order of convergence: y ~ x^{−1/2}.
x = np.array([10.0, 100.0, 1000.0])
assert math.isclose(stats.log_slope(x, 7 / np.sqrt(x)), -0.5)
# Where it falls to 0.7, on this grid; to 0.001 it never does: censored.
assert math.isclose(stats.first_crossing(x, 7 / np.sqrt(x), 0.7), 100.0)
assert math.isnan(stats.first_crossing(x, 7 / np.sqrt(x), 0.001))

# Three seeds at each x; one seed of the first is known from below only.
y = np.array([1.9, 2.2, 2.2, 0.6, 0.7, 0.8, 0.21, 0.22, 0.24])
rate = stats.censored_slope(
    np.repeat(x, 3), y, [False] * 2 + [True] + [False] * 6
)
assert rate.low < rate.value < rate.high < -0.4 and rate.value < -0.48

seeds: stats.Numbers = [0.51, 0.48, 0.50, 0.52, 0.49]
mean = stats.mean_interval(seeds)
assert isinstance(mean, stats.Interval) and stats.LEVEL == 0.95
assert mean.value in mean and 0.6 not in mean
# Student's quantile of five seeds: wider than the 1.96 of a normal law.
assert 2.7 < stats.t_quantile(stats.LEVEL, 4) < 2.8
# One further seed scatters more than the mean of many.
one, many = (stats.prediction_interval(seeds, n) for n in (1, 10**6))
assert one.high - one.low > many.high - many.low >= mean.high - mean.low

# Of one estimated variance Welch's interval is Student's; 0.9 is far off.
own = stats.welch(mean.value, [(np.var(seeds, ddof=1) / 5, 4)])
assert isinstance(own, stats.Estimate) and own.error > 0
assert math.isclose(own.interval().low, mean.low) and own.p(0.9) < 1e-4

# A curve beside five others: as far off as one among them, or farther.
curves = np.array(seeds)[:, None] * np.linspace(1, 2, 9)
near, far = (
    stats.curve_distance(np.full(9, g), curves, 3) for g in (0.01, 0.2)
)
assert isinstance(near, stats.Distance) and near.p > 0.4 > 0.01 > far.p
assert math.isclose(far.rms, 0.2) and far.z > 10 and near.outside == 0
