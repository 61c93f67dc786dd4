"""What the page *Use it on your own network* shows, and from which runs."""

import json
from collections.abc import Sequence

import numpy as np

from escape_ntk.chapters.your_network import chapter, effects, figures, follow_up, study
from escape_ntk.chapters.your_network import modules as m
from escape_ntk.chapters.your_network.claims import ENTROPY, MORE, POINTS, STUDY
from escape_ntk.chapters.your_network.layer_sweep import OUTCOMES, sweep_points
from escape_ntk.chapters.your_network.real_sets import SETS
from escape_ntk.checks import InputError, message
from escape_ntk.display import html
from escape_ntk.display.style import Run
from escape_ntk.numerics.stats import Interval, mean_interval
from escape_ntk.records.provenance import checkout
from escape_ntk.study.claims import Runs, plus_minus

show = chapter.show
LABELS = {
    "plain": "no penalty",
    "leak": "R_2, learnable directions",
    "decay": "weight decay",
    "random": "R_2, random directions",
}


@chapter.figure("fig-study")
def effect_sizes(runs: Runs):
    """R_2 over four rivals, stopped, in every cell."""
    records = runs(STUDY)
    rivals = {
        "plain_stopped": "plain training,\nstopped early",
        "decay_stopped": "weight decay",
        "random_stopped": "random directions",
        "rbf": "ridge, Gaussians",
    }
    panels = {
        title: {
            (SETS[data].words, n, network): effects.over_seeds(
                effects.of(records, data=data, n=n, network=network), "leak_stopped", other
            )
            for data, n, network in study.CELLS
        }
        for other, title in rivals.items()
    }
    return figures.effect_sizes(panels)


def written(ratio: Interval) -> str:
    """A ratio with its interval."""
    return f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"


def comparisons() -> list[tuple[str, str, str, str]]:
    """(mine, words, other, its words), like with like."""
    words = {"leak_stopped": "best moment", "leak_end": "to the end"}
    return [
        (mine, words[mine], other, label.replace("$", ""))
        for mine, others in effects.GROUPS.items()
        for other, label in others.items()
    ]


@chapter.table(
    "study",
    ["R_2", "over", "seven sets", "sets below 1", "tanh", "ReLU", "cells below 1", "above 1"],
    "Ratios of test losses, geometric means. Third column: mean of the seven sets, with the 95 % "
    "interval over sets; the networks apart with that over ten seeds. Last: of 42 cells, those "
    "whose interval over ten seeds lies below 1, or above",
)
def study_rows(runs: Runs) -> list[list[str]]:
    """Every comparison of like with like."""
    records, rows = runs(STUDY), []
    cells = [
        effects.of(records, data=data, n=n, network=network) for data, n, network in study.CELLS
    ]
    for mine, when, other, label in comparisons():
        sets = effects.of_sets(records, mine, other)
        by_network = [
            written(effects.over_seeds(effects.of(records, network=network), mine, other))
            for network in study.NETWORKS
        ]
        got = [effects.over_seeds(cell, mine, other) for cell in cells]
        below, above = sum(r.high < 1 for r in got), sum(r.low > 1 for r in got)
        count = sum(ratio < 1 for ratio in sets)
        rows.append([when, label, written(mean_interval(sets)), count, *by_network, below, above])
    return rows


@chapter.figure("study-parts")
def study_parts(runs: Runs) -> html.Html:
    """The same by set and by n, the losses themselves, and settings at edges; folded."""
    records = runs(STUDY)
    others = effects.STOPPED
    header = [label.replace("$", "") for label in others.values()]

    def row(words: object, cell: Sequence[Run]) -> list[object]:
        return [
            words, *(written(effects.over_seeds(cell, "leak_stopped", other)) for other in others)
        ]  # fmt: skip

    by_set = [row(SETS[data].words, effects.of(records, data=data)) for data in SETS]
    by_size = [row(n, effects.of(records, n=n)) for n in study.SIZES]
    note = "R_2, best moment, over each; geometric means, 95 % intervals over ten seeds"
    return html.folded(
        "By set, by number of labels; test losses; settings at the edges of their grids",
        html.table(["set", *header], by_set, note),
        html.table(["n", *header], by_size, f"{note}; larger n have fewer sets"),
        *(losses(records, mine) for mine in effects.GROUPS),
        at_edges(records),
    )


def losses(records: Sequence[Run], mine: str) -> html.Html:
    """Mean test losses of R_2 and of what it is held against, in units of the variance."""
    methods = [mine, *effects.GROUPS[mine]]
    rows = []
    for data, n, network in study.CELLS:
        cell = effects.of(records, data=data, n=n, network=network)
        means = [np.mean([effects.loss(r, method) for r in cell]) for method in methods]
        rows.append([SETS[data].words, n, network, *(f"{mean:.3f}" for mean in means)])
    heads = [method.replace("_", ", ").replace("leak", "R_2") for method in methods]
    return html.table(
        ["set", "n", "network", *heads],
        rows,
        "Mean test losses over ten seeds; 1 is about the loss of the training mean",
    )


def at_edges(records: Sequence[Run]) -> html.Html:
    """How often validation chose the first or the last value of a grid."""
    rows = []
    for network in study.NETWORKS:
        own = effects.of(records, network=network)
        for method in ("leak", "random"):
            at = np.array([int(r.summary[f"setting_{method}_stopped"]) for r in own])
            leaks = len(own[0].config["leaks"])
            shares = len(own[0].config["shares"])
            rows.append([network, method, "λ", *_ends(at % leaks, leaks)])
            rows.append([network, method, "n_k", *_ends(at // leaks, shares)])
        for method, knob in (("decay_stopped", "decay"), ("ntk", "ridge")):
            if f"setting_{method}" in own[0].summary:
                at = np.array([int(r.summary[f"setting_{method}"]) for r in own])
                rows.append([network, method, knob, *_ends(at, len(own[0].arrays["leak"]))])
    lost = sum(run.summary["loss_plain_end"] is None for run in records)
    own = effects.of(records, network="tanh")
    if "setting_rbf" in own[0].summary:
        at = np.array([int(r.summary["setting_rbf"]) for r in own])
        fine, wide = own[0].config["rbf_ridges"][2], own[0].config["bandwidths"][2]
        rows.append(["", "Gaussians", "ridge", *_ends(at % fine, fine)])
        rows.append(["", "Gaussians", "bandwidth", *_ends(at // fine, wide)])
    return html.table(
        ["network", "method", "knob", "least", "largest"],
        rows,
        "Share of all runs in which the least or the largest value of a grid was chosen; plain "
        f"training diverged before its end in {lost} of {len(records)} runs",
    )


def _ends(at: np.ndarray, count: int) -> tuple[str, str]:
    return f"{np.mean(at == 0):.0%}", f"{np.mean(at == count - 1):.0%}"


@chapter.table(
    "study-more",
    ["", "n", "plain", "weight decay", "R_2, random", "Gaussians", "plain at its last moment"],
    "R_2 over each, networks at their best moment; geometric means over both networks with 95 % "
    "intervals over ten seeds. Last: share of the runs in which plain training was best at the end "
    "of its 300 steps",
)
def more_rows(runs: Runs) -> list[list[object]]:
    """The sets that have more labels than in the study, by their number."""
    records, rows = [*runs(STUDY), *runs(MORE)], []
    for data in dict.fromkeys(data for data, _ in follow_up.MORE):
        own = effects.of(records, data=data)
        for n in sorted({run.config["n"] for run in own}):
            cell = effects.of(own, n=n)
            ends = [
                run.summary["moment_plain_stopped"] == len(run.arrays["times"]) - 1 for run in cell
            ]
            others = ("plain_stopped", "decay_stopped", "random_stopped", "rbf")
            ratios = [written(effects.over_seeds(cell, "leak_stopped", o)) for o in others]
            rows.append([SETS[data].words, n, *ratios, f"{np.mean(ends):.0%}"])
    return rows


@chapter.table(
    "study-entropy",
    ["cross-entropy", "n", "plain", "weight decay", "R_2, random", "R_2", "plain", "accuracy"],
    "First R_2 over each, networks at their best moment; geometric means over both networks with "
    "95 % intervals over ten seeds. Then mean test losses over log C, where 1 is all classes "
    "alike, and what R_2 adds to the accuracy of plain training, in points, ± half its interval. "
    "Last row: means of the sets, intervals over sets",
)
def entropy_rows(runs: Runs) -> list[list[object]]:
    """Cross-entropy, by set and number of labels."""
    records, rows = runs(ENTROPY), []
    others = ("plain_stopped", "decay_stopped", "random_stopped")
    for data, own in effects.by_set(records).items():
        for n in sorted({run.config["n"] for run in own}):
            cell = effects.of(own, n=n)
            ratios = [written(effects.over_seeds(cell, "leak_stopped", o)) for o in others]
            means = [
                f"{np.mean([effects.loss(r, method) for r in cell]):.3f}"
                for method in ("leak_stopped", "plain_stopped")
            ]
            rows.append([SETS[data].words, n, *ratios, *means, _points(cell)])
    all_sets = [mean_interval(effects.of_sets(records, "leak_stopped", o)) for o in others]
    return [*rows, ["five sets", "", *map(written, all_sets), "", "", ""]]


@chapter.figure("study-entropy-edges")
def entropy_edges(runs: Runs) -> html.Html:
    """Settings at the edges of their grids by cross-entropy; folded."""
    return html.folded("Settings at the edges of their grids", at_edges(runs(ENTROPY)))


def _points(cell: Sequence[Run]) -> str:
    """Percentage points of accuracy between R_2 and plain training, each seed once."""
    seeds: dict[int, list[float]] = {}
    for run in cell:
        gained = run.summary["accuracy_leak_stopped"] - run.summary["accuracy_plain_stopped"]
        seeds.setdefault(run.config["seed"], []).append(100 * gained)
    return plus_minus([float(np.mean(both)) for both in seeds.values()], ".1f")


@chapter.table(
    "study-step",
    ["60 digits, tanh", "plain", "R_2", "weight decay", "Gaussians", "R_2 over plain"],
    "Test losses, networks at their best moment: means ± half their 95 % interval over ten seeds; "
    "ratio: geometric mean and interval",
)
def step_rows(runs: Runs) -> list[list[str]]:
    """The whole step and a tenth of it."""
    whole = effects.of(runs(STUDY), data="digits-38", n=60, network="tanh")
    slow = runs(study.slow_points(study.SEEDS))
    methods = ("plain_stopped", "leak_stopped", "decay_stopped", "rbf")
    return [
        [
            words,
            *(plus_minus([effects.loss(r, method) for r in cell]) for method in methods),
            written(effects.over_seeds(cell, "leak_stopped", "plain_stopped")),
        ]
        for words, cell in (("step 1/curvature, 300 steps", whole), ("a tenth, 3000 steps", slow))
    ]


@chapter.figure("fig-yours")
def methods(runs: Runs):
    """Four ways to train, ten seeds."""
    return figures.methods_on_your_network(runs(POINTS))


@chapter.table(
    "methods",
    ["trained with", "", "test loss", "accuracy", "R_2 over it", "strength (range)", "at an edge"],
    "Means and 95 % intervals over ten seeds of test losses, accuracies, ratios of like with like; "
    "medians of the strengths that validation chose, and in how many runs at an edge of their grid",
)
def method_rows(runs: Runs) -> list[list[str]]:
    """Test loss, accuracy, like-with-like ratios and chosen strengths, over ten seeds."""
    records = runs(POINTS)
    summaries, out = [r.summary for r in records], []
    grids = {"leak": "leaks", "random": "leaks", "decay": "decays"}
    for method, label in LABELS.items():
        for when, words in (("end", "to the end"), ("stopped", "best moment")):
            name = f"{method}_{when}"
            cells = [
                plus_minus([s[f"{key}_{name}"] for s in summaries]) for key in ("loss", "accuracy")
            ]
            ratios = [s[f"loss_leak_{when}"] / s[f"loss_{name}"] for s in summaries]
            ratio = "" if method == "leak" else written(mean_interval(ratios))
            chosen, edge = "", ""
            if method in grids:
                seen = [s[f"strength_{name}"] for s in summaries]
                grid = records[0].config[grids[method]]
                chosen = f"{np.median(seen):g} ({min(seen):g}–{max(seen):g})"
                edge = str(sum(x in (grid[0], grid[-1]) for x in seen))
            out.append([label, words, *cells, ratio, chosen, edge])
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


@chapter.figure("cost")
def cost(runs: Runs) -> html.Html:
    """What benchmarks/good_directions.py measured, as it is stored beside it."""
    home = checkout()
    path = None if home is None else home / "benchmarks" / "good_directions.json"
    if path is None or not path.exists():
        raise InputError(
            message(
                expected="benchmarks/good_directions.json of a checkout",
                got="none",
                remedy="python benchmarks/good_directions.py",
            )
        )
    told = json.loads(path.read_text("utf-8"))
    machine, rows = told["machine"], []
    for name, things in told["found"].items():
        for thing, row in things.items():
            seconds = f"{row['processors']:.3g}"
            size, steps = f"{row['P']:,}", f"{row['steps']:,.1f}"
            n = f"{row['n']:,}" if thing == "directions" else ""
            rows.append([name, size, thing, n, seconds, steps, f"{row['MiB']:,.0f}"])
    return html.table(
        ["network", "P", "what", "n", "seconds of a core", "plain steps", "MiB"],
        rows,
        f"n_k = {told['sizes']['n_k']}, batches of {told['sizes']['batch']}, one thread on "
        f"{machine['cores']} cores ({machine['processor']}), PyTorch {machine['torch']}. Plain "
        "steps: over one step of Adam without a penalty, timed in turns with it. MiB: beyond the "
        "model, its data and PyTorch",
    )
