"""What a flat stationary point is worth in advance; the width that it takes."""

import math

from escape_ntk.risk import guarantee as promise
from escape_ntk.risk.regularizer import Penalties

known = {
    "d": 16,
    "penalties": Penalties(1.0, 1.0, 1e-4, 1e-9),
    "start": 1.0,
    "norm": 3.0,
    "missed": 1e-3,
    "low": 1.0,
    "inverse": 20.0,
    "stretch": 1.5,
}

# At a size that fits a computer the guarantee is empty; it is not at infinity.
narrow = promise.guarantee(m=2000, **known)
assert isinstance(narrow, promise.Guarantee) and narrow.total > known["start"]
wide = promise.guarantee(m=10**30, **known)
kept = wide.missed + wide.low_degree + wide.norm
assert abs(wide.total - kept) < 1e-3 < kept < 0.03
assert math.isclose(wide.norm, promise.NORM_SHARE * 1e-9 * 3.0**8)
# Constants of R_4: of its curvature (that share absorbs it), and slope.
assert 4 * promise.NORM_CURVATURE < promise.NORM_SHARE
assert math.isclose(promise.NORM_SLOPE**4, 512)


def at(m: int) -> promise.Guarantee:
    """The guarantee of this width."""
    return promise.guarantee(m=m, **known)


width = promise.required_width(at, target=2 * kept)
assert 2000 < width < promise.WIDEST
assert at(4 * round(width / 2)).total < 2 * kept

# How large the end can be then, and how many samples its gap costs.
sizes = wide.sizes(known["penalties"])
assert math.isclose(sizes["R_1"], wide.total)
n = promise.required_samples(sizes, d=16, m=10**30, target=0.1)
assert n > 16**2

# Descent with a step of 1/ℓ does not raise the risk.
size = {name: known[name] for name in ("d", "penalties", "start", "stretch")}
gradient, hessian = promise.smooth_on_sublevel(m=2000, **size)
assert gradient > 4 * 16 and hessian > 0
