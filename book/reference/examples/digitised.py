"""The authors' curves beside numbers of one's own."""

import numpy as np

from escape_ntk.chapters.published_figure import digitised as published

assert "eshnich/escape_NTK" in published.attribution()
assert (published.DIMENSION, published.N_SEEDS, published.SMOOTHING) == (
    100,
    3,
    100,
)

for panel in published.PANELS:
    curves = published.curves(panel)
    assert all(isinstance(curve, published.DigitizedCurve) for curve in curves)
    assert [curve.lam for curve in curves] == sorted(
        curve.lam for curve in curves
    )
    assert published.PIXEL[panel] > 0  # how well the picture could be read

# The larger λ, the smaller the final penalty: from λ = 0 to the largest.
curves = published.curves("penalty")
assert (
    0 < published.TIME_PIXEL < 0.01 and curves[0].final > 100 * curves[-1].final
)
at = curves[0].at(np.array([1.0, 1e4, 1e12]))
assert np.isfinite(at[1]) and np.isnan(at[[0, 2]]).all()  # as far as it is read

# What that panel shows of a constant penalty: 0 before step 99, then it.
own = np.array([0.0, 1e4])
shown = published.penalty(own, np.array([5.0, 5.0]), np.array([10.0, 1000.0]))
assert np.allclose(shown, [0, 5])
