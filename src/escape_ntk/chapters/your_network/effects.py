"""Effect sizes of the study on real data: test losses of R_2 over those of others.

Runs of one cell differ by the seed alone, and both methods saw the same rows and weights.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from escape_ntk.chapters.your_network.real_sets import SETS
from escape_ntk.display.style import Run
from escape_ntk.numerics.stats import Interval, mean_interval

STOPPED = {
    "plain_stopped": "plain training",
    "decay_stopped": "weight decay",
    "random_stopped": "$R_2$, random directions",
    "ntk": "ridge, tangent kernel",
    "cutoff": "cut-off, tangent kernel",
    "rbf": "ridge, Gaussians",
    "ridge": "linear ridge",
}
"""What R_2 with the best moment is held against: all that was tuned."""
ENDS = {
    "plain_end": "plain training",
    "decay_end": "weight decay",
    "random_end": "$R_2$, random directions",
}
"""What R_2 to the end of training is held against."""
GROUPS = {"leak_stopped": STOPPED, "leak_end": ENDS}


def log_ratio(run: Run, mine: str, other: str) -> float:
    """log of a test loss over another of the same run."""
    return math.log(loss(run, mine) / loss(run, other))


def loss(run: Run, method: str) -> float:
    """The test loss; 1, that of the training mean, where every setting diverged."""
    found = run.summary[f"loss_{method}"]
    return 1.0 if found is None else found


def over_seeds(runs: Iterable[Run], mine: str, other: str) -> Interval:
    """Geometric mean and 95 % interval: each seed gives the mean over its cells, once."""
    seeds: dict[int, list[float]] = {}
    for run in runs:
        seeds.setdefault(run.config["seed"], []).append(log_ratio(run, mine, other))
    got = mean_interval([float(np.mean(logs)) for logs in seeds.values()])
    return Interval(*np.exp([got.value, got.low, got.high]).tolist())


def of_sets(runs: Sequence[Run], mine: str, other: str) -> list[float]:
    """Geometric mean of each set over its sizes, networks and seeds, in the order of SETS."""
    return [over_seeds(own, mine, other).value for own in by_set(runs).values()]


def by_set(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of each set that has some, in the order of SETS."""
    return {data: own for data in SETS if (own := of(runs, data=data))}


def largest(runs: Sequence[Run]) -> list[Run]:
    """Of each set the runs with the most labels."""
    most = {data: max(run.config["n"] for run in own) for data, own in by_set(runs).items()}
    return [run for run in runs if run.config["n"] == most[run.config["data"]]]


def of(runs: Iterable[Run], **fields: object) -> list[Run]:
    """Those with these fields."""
    return [run for run in runs if all(run.config[k] == v for k, v in fields.items())]
