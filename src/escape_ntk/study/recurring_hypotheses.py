"""Hypotheses that recur from theorem to theorem, with the controls that break them."""

from dataclasses import replace

from escape_ntk.models.network import Activation
from escape_ntk.records.store import Record
from escape_ntk.study import computed_checks as p
from escape_ntk.study.hypotheses import (
    Answer,
    Check,
    Hypothesis,
    Setting,
    bounded,
    changed,
    finite_mean,
    inputs_from,
    least_size,
    limit,
    paired,
    refuses,
    unchecked,
    unit_weights,
)
from escape_ntk.study.hypotheses import Hypothesis as H

GAUSSIAN = changed(inputs=("gaussian",))
SPHERE = changed(inputs=("sphere",))
GAUSSIAN_WEIGHTS = changed(weights=("gaussian",))
RELU, ERF = changed(activation="relu"), changed(activation="erf")
EVEN = changed(activation=Activation.from_function("cos", lambda z: z.cos()))
IDENTITY = Activation.from_function("z", lambda z: 1.0 * z)
LINEAR = changed(activation=IDENTITY)
NEARLY_ODD = changed(activation=Activation.from_function("sin(z+0.1)", lambda z: (z + 0.1).sin()))
"""Its constant has a smaller eigenvalue than its cubics."""
QUARTIC = changed(activation=Activation.from_function("z^4", lambda z: z**4))
SINGULAR = changed(activation=Activation.from_function("log", lambda z: (z - 0.05).abs().log()))
TWO_DIMENSIONS = changed(d=2, dims=(2,))
ODD = changed(m=401, widths=(401,))


# ---------------------------------------------------------------- hypotheses that recur

ON_SPHERE = H(r"$x$ uniform on $S^{d-1}(\sqrt d)$", inputs_from("sphere"), GAUSSIAN)
ON_SPHERE_BESIDE = replace(ON_SPHERE, check=inputs_from("sphere", beside=("gaussian",)))
"""For runs whose control, or second measurement, has Gaussian inputs."""
UNIT_WEIGHTS = H("$w_r$ uniform on the unit sphere", unit_weights, GAUSSIAN_WEIGHTS)
PAIRED = H("neurons in pairs: $m$ even, equal $w$, opposite $a$", refuses(paired), ODD)
THREE = H(r"$d\ge3$", least_size("d dims", 3), TWO_DIMENSIONS)
WIDE = H(r"$m\to\infty$", limit("m", "m", "widths"))
HIGH = H(r"$d\to\infty$", limit("d", "d", "dims"))
EXACT_LAWS = H(
    r"$w$ uniform on the unit sphere, $x,y\in S^{d-1}(\sqrt d)$",
    p.spectrum_of_unit_weights,
    changed(weight_law="gaussian"),
)
SQUARE_MEAN = H(r"$\mathbb E\,\sigma'(w\cdot x)^2<\infty$", finite_mean(2), SINGULAR)
SMOOTH = H(r"$\sigma'$ smooth with bounded derivatives: $\sigma''$ to $\sigma^{(4)}$ looked at",
           bounded(2, 3, 4), RELU)  # fmt: skip
SLOPES = H(r"$\sigma',\sigma''$ bounded", bounded(1, 2), RELU)
CURVED = H(r"$\sigma''$ bounded", bounded(2), RELU)
FAIR = H("independent fair signs", p.fair_signs, changed(signs="equal"))
POPULATION = H(
    r"$P_{>k}$ is the population's projector",
    p.population_projector(beside=("TrainingProjector",)),
    changed(tools=()),
)


def hermite(order: int, degrees, words: str) -> Hypothesis:
    """μ_j(σ^{(order)}) ≠ 0."""
    return H(words, p.hermite_nonzero(order, degrees), ERF)


def below(k: int) -> range:
    """Degrees ≤ k − 1 of the parity of k − 1."""
    return range((k - 1) % 2, k, 2)


CONSTRUCTION = (
    UNIT_WEIGHTS,
    CURVED,
    H(r"$k\ge1$", least_size("k", 1), changed(k=0)),
    H(
        r"$\xi_j(\sigma'')\ne0$, $j\le k-1$, $j\equiv k-1$",
        p.gegenbauer_nonzero(2, below),
        ERF,
    ),
)
BOUNDED_BY_ONE = H(r"$|\sigma'|,|\sigma''|\le1$", bounded(1, 2, by=1.0), QUARTIC)
LABELS = H("$y_i=f^*(x_i)$", unchecked("the code adds no noise; no number can show it"))


def only(folder: str, check: Check) -> Check:
    """The check, on the runs and records of one experiment: others stand beside it."""

    def of_one(setting: Setting) -> Answer:
        runs = tuple(run for run in setting.runs if run["experiment"] == folder)
        records = tuple(r for r in setting.records if r.experiment == folder)
        return check(Setting(runs, records))

    return of_one


def with_array(record: Record, name: str, change) -> Record:
    """The record with one array changed."""
    return replace(record, arrays={**record.arrays, name: change(record.arrays[name])})


def with_summary(record: Record, **values) -> Record:
    """The record with other values in its summary."""
    return replace(record, summary={**record.summary, **values})
