"""Claims of the page *Use it on your own network*."""

import math
from collections.abc import Callable, Sequence

from escape_ntk.chapters.your_network import chapter, follow_up, study
from escape_ntk.chapters.your_network import modules as m
from escape_ntk.chapters.your_network import runs as e
from escape_ntk.chapters.your_network.effects import by_set, largest, log_ratio, of, of_sets
from escape_ntk.chapters.your_network.layer_sweep import EXACT, sweep_points
from escape_ntk.display.style import Run
from escape_ntk.numerics.stats import Numbers, mean_interval
from escape_ntk.records.store import Record
from escape_ntk.study.claims import (
    Finding,
    Measure,
    Runs,
    Value,
    at_most,
    each,
    found,
    ratio_below_one,
    slopes_near,
    summary_value,
)

POINTS = [e.OwnNetwork(seed) for seed in e.SEEDS]
FORMS = ("linear", "quadratic", "kernel", "leak")


def form(record: Record, broken: bool) -> float:
    """The largest relative difference from the closed forms."""
    s = record.summary
    return s["unhalved"] if broken else max(s[name] for name in FORMS)


chapter.claim(
    "module-closed-forms",
    "On two-layer networks the generic f_L, f_Q, K and R_2 are the closed forms.",
    source="D+M",
    target="relative difference 0",
    tolerance="1e-10 in float64, ten random networks",
    broken="f_Q without its factor 1/2",
    judge=at_most(1e-10),
    measure=each(m.form_points(), form),
)


def slopes(activations: Sequence[str], right: str, broken: str) -> Measure[dict[str, list[float]]]:
    """Slopes over the seeds, by network and activation; the summary entry ``broken`` as control."""
    value = summary_value(right, broken)

    def measure(runs: Runs, control: bool) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for record in runs(m.remainder_points(activations)):
            name = f"{record.config['network']}_{record.config['activation']}"
            found.setdefault(name, []).append(value(record, control))
        return found

    return measure


chapter.claim(
    "module-remainder",
    "On a three-layer and a convolutional network with smooth activations, what f_L and f_Q leave "
    "is of third order.",
    source="D+M",
    target="slope 3 in the size of the movement",
    tolerance="95 % interval of the mean over five runs within ±.1, for each network and "
    "activation",
    broken="f_Q left out",
    judge=slopes_near(3.0, 0.1),
    measure=slopes(m.SMOOTH, "slope_remainder", "slope_without_quadratic"),
)

chapter.claim(
    "module-relu",
    "With ReLU the rms remainder falls like the power 3/2 of the movement: inputs whose neurons "
    "cross their kink dominate it.",
    source="D+M",
    target="slope 3/2",
    tolerance="95 % interval of the mean over five runs within ±.25, for each network",
    broken="the median over the inputs",
    judge=slopes_near(1.5, 0.25),
    measure=slopes(("relu",), "slope_remainder", "slope_median"),
    after="the two networks are judged apart, since what each has had been seen",
)


chapter.claim(
    "module-layers",
    "Every layer of torch.nn is exact or refused: none is silently wrong.",
    source="D+M",
    target="relative difference 0 from gradients row by row, and from differences of them",
    tolerance="1e-8 in float64, for f, f_L, f_Q, Φ, K, R_2 and its Hessian",
    broken="f_Q by forward mode inside forward mode, wherever it runs",
    judge=at_most(EXACT),
    measure=lambda runs, broken: [
        float(gap)
        for record in runs(sweep_points())
        for gap in record.arrays["nested" if broken else "differences"]
    ],
)


def leak_over(below: str, broken: str) -> Value[float]:
    """Test loss with R_2 to the end over that of another way to train; control: ``broken``'s."""

    def value(record: Record, control: bool) -> float:
        s = record.summary
        return s[f"loss_{broken if control else 'leak_end'}"] / s[f"loss_{below}"]

    return value


for name, statement, below, instead, words in (
    (
        "stopping",
        "R_2 to the end of training has a lower test loss than plain training stopped early.",
        "plain_stopped",
        "plain_end",
        "plain training to the end",
    ),
    (
        "decay",
        "R_2 has a lower test loss than weight decay, both to the end of training.",
        "decay_end",
        "random_end",
        "random directions in the place of the learnable ones",
    ),
    (
        "directions",
        "The learnable directions matter: R_2 has a lower test loss than the same penalty with "
        "random directions.",
        "random_end",
        "decay_end",
        "weight decay in the place of R_2",
    ),
):
    chapter.claim(
        f"own-{name}",
        statement,
        source="M",
        target="ratio of test losses below 1",
        tolerance="95 % interval of the mean over ten seeds; partly if the mean only",
        broken=words,
        judge=ratio_below_one,
        measure=each(POINTS, leak_over(below, instead)),
    )


STUDY = study.study_points(study.SEEDS)
MORE = follow_up.more_points(study.SEEDS)
ENTROPY = follow_up.entropy_points(study.SEEDS)


def below_one_over_sets(ratios: Numbers) -> Finding:
    """As ``ratio_below_one``, of sets in the place of seeds; ``below`` counts them."""
    got, below = mean_interval(ratios), sum(bool(ratio < 1) for ratio in ratios)
    return found(got.high < 1, partly=got.value < 1, ratio=got, sets=len(ratios), below=below)


def over_sets(other: str, broken: str) -> Measure[list[float]]:
    """Of each set, R_2's test loss, stopped, over that of ``other``; control: ``broken``'s."""

    def measure(runs: Runs, control: bool) -> list[float]:
        return of_sets(runs(STUDY), broken if control else "leak_stopped", other)

    return measure


for name, statement, other, instead, words in (
    (
        "stopping",
        "On real data R_2 has a lower test loss than plain training, both stopped early.",
        "plain_stopped",
        "plain_end",
        "plain training to the end in the place of R_2",
    ),
    (
        "decay",
        "On real data R_2 has a lower test loss than weight decay, both stopped early.",
        "decay_stopped",
        "plain_stopped",
        "plain training in the place of R_2",
    ),
    (
        "directions",
        "On real data learnable directions have a lower test loss than random ones, both stopped "
        "early.",
        "random_stopped",
        "plain_stopped",
        "plain training in the place of R_2",
    ),
    (
        "kernel",
        "On real data R_2 has a lower test loss than ridge regression with the network's own "
        "tangent kernel.",
        "ntk",
        "cutoff",
        "a spectral cut-off of that kernel in the place of R_2",
    ),
    (
        "gaussians",
        "On real data R_2 has a lower test loss than ridge regression with Gaussians.",
        "rbf",
        "ridge",
        "linear ridge in the place of R_2",
    ),
):
    chapter.claim(
        f"study-{name}",
        statement,
        source="M",
        target="ratio of test losses below 1",
        tolerance="95 % interval of the mean over seven sets; partly if the mean only",
        broken=words,
        judge=below_one_over_sets,
        measure=over_sets(other, instead),
    )


@chapter.claim(
    "study-plenty",
    "On real data R_2 gains more over plain training stopped early with 30 labels than with many.",
    source="M",
    target="ratio of the ratios of test losses below 1",
    tolerance="95 % interval of the mean over the sets with two sizes; partly if the mean only",
    broken="few and many labels exchanged",
    judge=below_one_over_sets,
)
def plenty(runs: Runs, broken: bool) -> list[float]:
    """Of each set, the ratio R_2/plain at n = 30 over that at its largest n."""
    records, ratios = runs(STUDY), []
    for data in study.SETS:
        sizes = study.sizes_of(data)
        if len(sizes) > 1:
            few, many = (
                sum(
                    log_ratio(r, "leak_stopped", "plain_stopped")
                    for r in of(records, data=data, n=n)
                )
                for n in (sizes[0], sizes[-1])
            )
            runs_each = len(of(records, data=data, n=sizes[0]))
            ratios.append(math.exp((many - few if broken else few - many) / runs_each))
    return ratios


@chapter.claim(
    "study-step",
    "On sixty digits R_2 gains more over plain training stopped early when the step is a tenth.",
    source="M",
    target="ratio of the ratios of test losses below 1",
    tolerance="95 % interval of the mean over ten seeds; partly if the mean only",
    broken="the two steps exchanged",
    judge=ratio_below_one,
)
def step(runs: Runs, broken: bool) -> list[float]:
    """Of each seed, R_2/plain with a tenth of the step over that with the whole one."""
    slow = runs(study.slow_points(study.SEEDS))
    whole = runs([study.cell(seed, "digits-38", 60, "tanh") for seed in study.SEEDS])
    ratios = []
    for a, b in zip(slow, whole, strict=True):
        gain = [log_ratio(r, "leak_stopped", "plain_stopped") for r in (a, b)]
        ratios.append(math.exp((gain[1] - gain[0]) if broken else (gain[0] - gain[1])))
    return ratios


def over_sets_of(
    records: Callable[[Runs], Sequence[Run]], other: str, broken: str
) -> Measure[list[float]]:
    """As ``over_sets``, of these records."""

    def measure(runs: Runs, control: bool) -> list[float]:
        return of_sets(records(runs), broken if control else "leak_stopped", other)

    return measure


def with_most_labels(runs: Runs) -> Sequence[Run]:
    """The study and what follows it, each set at its largest n."""
    return largest([*runs(STUDY), *runs(MORE)])


def by_entropy(runs: Runs) -> Sequence[Run]:
    """What was trained, chosen and judged by cross-entropy."""
    return runs(ENTROPY)


for name, statement, records, sets, other, instead, words in (
    (
        "many-stopping",
        "With as many labels as were tried R_2 has a lower test loss than plain training, both "
        "stopped early.",
        with_most_labels,
        "seven",
        "plain_stopped",
        "plain_end",
        "plain training to the end in the place of R_2",
    ),
    (
        "many-decay",
        "With as many labels as were tried R_2 has a lower test loss than weight decay, both "
        "stopped early.",
        with_most_labels,
        "seven",
        "decay_stopped",
        "plain_stopped",
        "plain training in the place of R_2",
    ),
    (
        "entropy-stopping",
        "By cross-entropy R_2 has a lower test loss than plain training, both stopped early.",
        by_entropy,
        "five",
        "plain_stopped",
        "plain_end",
        "plain training to the end in the place of R_2",
    ),
    (
        "entropy-decay",
        "By cross-entropy R_2 has a lower test loss than weight decay, both stopped early.",
        by_entropy,
        "five",
        "decay_stopped",
        "plain_stopped",
        "plain training in the place of R_2",
    ),
    (
        "entropy-directions",
        "By cross-entropy good directions have a lower test loss than random ones, both stopped "
        "early.",
        by_entropy,
        "five",
        "random_stopped",
        "plain_stopped",
        "plain training in the place of R_2",
    ),
):
    chapter.claim(
        f"study-{name}",
        statement,
        source="M",
        target="ratio of test losses below 1",
        tolerance=f"95 % interval of the mean over {sets} sets; partly if the mean only",
        broken=words,
        judge=below_one_over_sets,
        measure=over_sets_of(records, other, instead),
    )


@chapter.claim(
    "study-many-gain",
    "R_2 gains more over plain training stopped early with 30 labels than with as many as were "
    "tried, 480 or 960 among them.",
    source="M",
    target="ratio of the ratios of test losses below 1",
    tolerance="95 % interval of the mean over the sets with two sizes; partly if the mean only",
    broken="few and many labels exchanged",
    judge=below_one_over_sets,
)
def many_gain(runs: Runs, broken: bool) -> list[float]:
    """Of each set, the ratio R_2/plain at n = 30 over that at its largest n."""
    few = by_set(of(runs(STUDY), n=30))
    most = by_set([run for run in with_most_labels(runs) if run.config["n"] > 30])
    pairs = [(gain(few[data]), gain(many)) for data, many in most.items()]
    return [math.exp(b - a if broken else a - b) for a, b in pairs]


def gain(records: Sequence[Run]) -> float:
    """Mean of log R_2/plain, both stopped."""
    return sum(log_ratio(r, "leak_stopped", "plain_stopped") for r in records) / len(records)
