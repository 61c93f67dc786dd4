"""Claims of the page *Use it on your own network*."""

from escape_ntk.chapters.your_network import chapter
from escape_ntk.chapters.your_network import modules as m
from escape_ntk.chapters.your_network import runs as e
from escape_ntk.chapters.your_network.layer_sweep import EXACT, sweep_points
from escape_ntk.records.store import Record
from escape_ntk.study.claims import (
    Value,
    at_most,
    each,
    ratio_below_one,
    slope_near,
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

chapter.claim(
    "module-remainder",
    "On a three-layer and a convolutional network with smooth activations, what f_L and f_Q leave "
    "is of third order.",
    source="D+M",
    target="slope 3 in the size of the movement",
    tolerance="95 % interval of the mean over twenty runs within ±.1",
    broken="f_Q left out",
    judge=slope_near(3.0, 0.1),
    measure=each(
        m.remainder_points(m.SMOOTH), summary_value("slope_remainder", "slope_without_quadratic")
    ),
)

chapter.claim(
    "module-relu",
    "With ReLU the rms remainder falls like the power 3/2 of the movement: inputs whose neurons "
    "cross their kink dominate it.",
    source="D+M",
    target="slope 3/2",
    tolerance="95 % interval of the mean over ten runs within ±.25",
    broken="the median over the inputs",
    judge=slope_near(1.5, 0.25),
    measure=each(m.remainder_points(("relu",)), summary_value("slope_remainder", "slope_median")),
)


chapter.claim(
    "module-layers",
    "Every layer of torch.nn is exact or refused: none is silently wrong.",
    source="D+M",
    target="relative difference 0 from gradients of gradients, row by row",
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
        "random directions in the place of the good ones",
    ),
    (
        "directions",
        "The good directions matter: R_2 has a lower test loss than the same penalty with random "
        "directions.",
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
