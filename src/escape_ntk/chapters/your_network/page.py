"""What the page *Use it on your own network* shows, and from which runs."""

import numpy as np

from escape_ntk.chapters.your_network import chapter, figures
from escape_ntk.chapters.your_network import modules as m
from escape_ntk.chapters.your_network.claims import POINTS
from escape_ntk.chapters.your_network.layer_sweep import OUTCOMES, sweep_points
from escape_ntk.display import html
from escape_ntk.study.claims import Runs, plus_minus

show = chapter.show
LABELS = {
    "plain": "no penalty",
    "leak": "R_2, good directions",
    "decay": "weight decay",
    "random": "R_2, random directions",
}


@chapter.figure("fig-yours")
def methods(runs: Runs):
    """Four ways to train, ten seeds."""
    return figures.methods_on_your_network(runs(POINTS))


@chapter.table(
    "methods",
    ["trained with", "", "test loss", "accuracy", "R_2 at the end", "strength (range)"],
    "Means and 95 % intervals over ten seeds; medians of the strengths that validation chose",
)
def method_rows(runs: Runs) -> list[list[str]]:
    """Test loss, accuracy, R_2 at the end and chosen strengths, over ten seeds."""
    summaries = [r.summary for r in runs(POINTS)]

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


@chapter.figure("fig-orders")
def orders(runs: Runs):
    """What f_L and f_Q leave, over the size of the movement."""
    return figures.orders_of_remainder(runs(m.remainder_points()))


@chapter.figure("slopes")
def slopes(runs: Runs) -> html.Html:
    """Mean slopes with intervals, by network and activation, folded."""
    records, rows = runs(m.remainder_points()), []
    for kind in m.SHAPES:
        for name in m.ACTIVATIONS:
            own = [
                r.summary
                for r in records
                if (r.config["network"], r.config["activation"]) == (kind, name)
            ]
            cells = [
                plus_minus([s[f"slope_{key}"] for s in own], ".2f")
                for key in ("remainder", "without_quadratic", "median")
            ]
            rows.append([kind.upper(), name, *cells])
    return html.folded(
        "All slopes",
        html.table(
            ["network", "activation", "remainder", "f_Q left out", "median input"],
            rows,
            "Slopes in the size of the movement; means and 95 % intervals over five seeds",
        ),
    )


@chapter.figure("layers")
def layers(runs: Runs) -> html.Html:
    """What came of every layer: exact, exact by another route and why, refused and why."""
    (record,) = runs(sweep_points())
    columns = (record.arrays[name].tolist() for name in ("names", "outcomes", "words"))
    rows = list(zip(*columns, strict=True))
    exact, routed, told, refused = ([r for r in rows if r[1] == outcome] for outcome in OUTCOMES)
    caption = "Small float64 networks around one layer each, in evaluation mode"
    parts = [
        html.table(
            ["exact"], [[", ".join(name for name, *_ in exact)]], f"{len(exact)} layers, {caption}"
        ),
        html.table(["exact by another route", "why"], [[r[0], r[2]] for r in routed]),
        html.table(["with a warning", "what it says"], [[r[0], r[2]] for r in told]),
        html.table(["refused", "why"], [[r[0], r[2]] for r in refused]),
    ]
    return html.folded("All layers", *parts)
