"""Claims of the page *Use it on your own network*."""

from collections.abc import Sequence

import numpy as np

from escape_ntk.claims.ledger import (
    Claim,
    Value,
    at_most,
    over_draws,
    plus_minus,
    ratio_below_one,
    require,
    slope_near,
    summary_value,
)
from escape_ntk.experiments import any_module as m
from escape_ntk.experiments import own_network as e
from escape_ntk.records import Record, RecordStore

CHAPTER = "your-network"
COMMAND = "escape-ntk run own-network"
POINTS = [e.OwnNetwork(seed) for seed in e.SEEDS]
FORMS = ("linear", "quadratic", "kernel", "leak")


def runs(store: RecordStore) -> list[Record]:
    """The ten records, seed by seed."""
    return require(POINTS, store, COMMAND)


def remainders(store: RecordStore) -> list[Record]:
    """The records of both networks with all three activations."""
    return require(m.remainder_points(), store, COMMAND)


def form(record: Record, broken: bool) -> float:
    """The largest relative difference from the closed forms; control: f_Q without its half."""
    s = record.summary
    return s["unhalved"] if broken else max(s[name] for name in FORMS)


def loss_ratio(above: str, below: str, broken: str):
    """Test loss of one way to train over that of another, e.g. ``"leak_end"``; or of ``broken``."""

    def value(record: Record, control: bool) -> float:
        s = record.summary
        return s[f"loss_{broken if control else above}"] / s[f"loss_{below}"]

    return value


LABELS = {
    "plain": "no penalty",
    "leak": "R_2, good directions",
    "decay": "weight decay",
    "random": "R_2, random directions",
}


def rows(store: RecordStore) -> list[list[str]]:
    """Test loss, accuracy, R_2 at the end and chosen strengths, over ten seeds."""
    summaries = [r.summary for r in runs(store)]

    def interval(key: str) -> str:
        return plus_minus([s[key] for s in summaries])

    def strengths(method: str, when: str) -> str:
        seen = [s[f"strength_{method}_{when}"] for s in summaries]
        return f"{np.median(seen):g} ({min(seen):g}–{max(seen):g})"

    out = []
    for method, label in LABELS.items():
        for when, words in (("end", "to the end"), ("stopped", "best moment")):
            name = f"{method}_{when}"
            chosen = "" if method == "plain" else strengths(method, when)
            cells = [interval(f"{key}_{name}") for key in ("loss", "accuracy", "leak")]
            out.append([label, words, *cells, chosen])
    return out


def remainder_rows(store: RecordStore) -> list[list[str]]:
    """Mean slopes with intervals, by network and activation."""
    out = []
    for kind in m.SHAPES:
        for name in m.ACTIVATIONS:
            own = [
                r.summary
                for r in remainders(store)
                if (r.config["network"], r.config["activation"]) == (kind, name)
            ]
            cells = [
                plus_minus([s[f"slope_{key}"] for s in own], ".2f")
                for key in ("remainder", "without_quadratic", "median")
            ]
            out.append([kind.upper(), name, *cells])
    return out


def _compared(name: str, statement: str, above: str, below: str, broken: tuple[str, str]) -> Claim:
    key, words = broken
    return Claim(
        id=f"own-{name}",
        chapter=CHAPTER,
        statement=statement,
        source="M",
        target="ratio of test losses below 1",
        tolerance="95 % interval of the mean over ten seeds; partly if the mean only",
        broken=words,
        gather=over_draws(POINTS, loss_ratio(above, below, key), COMMAND),
        judge=ratio_below_one,
    )


def _slope(name: str, broken: str) -> Value[float]:
    return summary_value(f"slope_{name}", f"slope_{broken}")


CLAIMS: Sequence[Claim] = (
    Claim(
        id="module-closed-forms",
        chapter=CHAPTER,
        statement="On two-layer networks the generic f_L, f_Q, K and R_2 are the closed forms.",
        source="D+M",
        target="relative difference 0",
        tolerance="1e-10 in float64, ten random networks",
        broken="f_Q without its factor 1/2",
        gather=over_draws(m.form_points(), form, COMMAND),
        judge=at_most(1e-10),
    ),
    Claim(
        id="module-remainder",
        chapter=CHAPTER,
        statement="On a three-layer and a convolutional network with smooth activations, what f_L "
        "and f_Q leave is of third order.",
        source="D+M",
        target="slope 3 in the size of the movement",
        tolerance="95 % interval of the mean over twenty runs within ±.1",
        broken="f_Q left out",
        gather=over_draws(
            m.remainder_points(m.SMOOTH), _slope("remainder", "without_quadratic"), COMMAND
        ),
        judge=slope_near(3.0, 0.1),
    ),
    Claim(
        id="module-relu",
        chapter=CHAPTER,
        statement="With ReLU the rms remainder falls like the power 3/2 of the movement: inputs "
        "whose neurons cross their kink dominate it.",
        source="D+M",
        target="slope 3/2",
        tolerance="95 % interval of the mean over ten runs within ±.25",
        broken="the median over the inputs",
        gather=over_draws(m.remainder_points(("relu",)), _slope("remainder", "median"), COMMAND),
        judge=slope_near(1.5, 0.25),
    ),
    _compared(
        "stopping",
        "R_2 to the end of training has a lower test loss than plain training stopped early.",
        "leak_end",
        "plain_stopped",
        ("plain_end", "plain training to the end"),
    ),
    _compared(
        "decay",
        "R_2 has a lower test loss than weight decay, both to the end of training.",
        "leak_end",
        "decay_end",
        ("random_end", "random directions in the place of the good ones"),
    ),
    _compared(
        "directions",
        "The good directions matter: R_2 has a lower test loss than the same penalty with random "
        "directions.",
        "leak_end",
        "random_end",
        ("decay_end", "weight decay in the place of R_2"),
    ),
)
