"""What each theorem, proposition and corollary of the book assumes, and whether its records do.

One :class:`Entry` a statement, by its label: hypotheses in words, each with a check on the records
that the statement's claims rest on.  What a statement only defines is no hypothesis.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from escape_ntk import chapters
from escape_ntk.chapters import properties as p
from escape_ntk.chapters.end_to_end import claims as end_to_end
from escape_ntk.models.network import Activation
from escape_ntk.records.store import Record, RecordStore
from escape_ntk.study.claims import Runs
from escape_ntk.study.hypotheses import (
    Answer,
    Change,
    Hypothesis,
    Outcome,
    Run,
    Setting,
    bounded,
    changed,
    continuous,
    drawn,
    finite_mean,
    inputs_from,
    least_size,
    limit,
    nonzero_mean,
    paired,
    refuses,
    small_limit,
    unchecked,
    unit_weights,
    zero_size,
)
from escape_ntk.study.hypotheses import Hypothesis as H


@dataclass(frozen=True)
class Entry:
    """The hypotheses of one statement.

    ``claims``: whose records to look at besides those of the statement's own claims; ``runs``:
    configurations to look at where there are no records.
    """

    label: str
    hypotheses: tuple[Hypothesis, ...]
    claims: tuple[str, ...] = ()
    runs: tuple[Run, ...] = ()


# ---------------------------------------------------------------- controls

GAUSSIAN = changed(inputs=("gaussian",))
SPHERE = changed(inputs=("sphere",))
GAUSSIAN_WEIGHTS = changed(weights=("gaussian",))
RELU, ERF = changed(activation="relu"), changed(activation="erf")
EVEN = changed(activation=Activation.from_function("cos", lambda z: z.cos()))
IDENTITY = Activation.from_function("z", lambda z: 1.0 * z)
LINEAR = changed(activation=IDENTITY)
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


# ---------------------------------------------------------------- chapter by chapter

SETUP = (
    Entry("prop-zero-start", (replace(PAIRED, control=changed(pairing="independent")),)),
    Entry("prop-remainder", (H(r"$\sigma'''$ bounded", bounded(3), QUARTIC),)),
    Entry(
        "prop-scale",
        (
            H(r"derivatives of $\sigma$ up to order 5 bounded", bounded(1, 2, 3, 4, 5), RELU),
            ON_SPHERE,
            H(r"$\mathbb E_w\sigma''(w\cdot x)\ne0$", nonzero_mean(2), ERF),
            H(r"equal signs: $\mathbb E_w\sigma'''(w\cdot x)\ne0$", nonzero_mean(3), EVEN),
            H(r"random signs: $\mathbb E_w\sigma''''(w\cdot x)\ne0$", nonzero_mean(4), ERF),
            WIDE,
        ),
    ),
    Entry("prop-pairs", (PAIRED,)),
    Entry(
        "prop-projector",
        (
            H(
                r"$\Lambda_k$ invertible: $n_k\le n$, $\Lambda_{n_k}>0$ ($n_k=d$ here)",
                p.gram_rank(lambda run: int(run["d"])),
                changed(n=10),
            ),
        ),
    ),
    Entry(
        "prop-leak",
        (
            H("$x\\sim N(0,I_d)$", inputs_from("gaussian"), SPHERE),
            replace(UNIT_WEIGHTS, words="$|w_r|=1$"),
            H(
                r"$\sigma'$ twice differentiable, growth polynomial (here bounded)",
                bounded(2, 3),
                RELU,
            ),
        ),
    ),
)
LIMITS = (
    Entry(
        "prop-width",
        (
            H(r"$\mathbb E_w\sigma'(w\cdot x)^4<\infty$", finite_mean(4), SINGULAR),
            replace(UNIT_WEIGHTS, words="$w_r$ from the law of the limit, the unit sphere"),
            WIDE,
        ),
    ),
    Entry(
        "thm-eigenvalues",
        (
            EXACT_LAWS,
            THREE,
            SQUARE_MEAN,
            SMOOTH,
            hermite(1, lambda k: range(3), r"$\mu_{\ell-1}\ne0$, $\ell\le3$"),
            HIGH,
        ),
    ),
    Entry(
        "thm-staircase",
        (
            ON_SPHERE,
            H(r"$\kappa>0$ solves its equation", refuses(p.kappa_exists),
              p.of_records(lambda r: replace(r, config={**r.config, "activation": IDENTITY}))),
            hermite(1, lambda k: range(3), r"limit: $\mu_1\ne0$, $\mu_j\ne0$ for $j\le s-1=2$"),
            H(r"limit: $\gamma_{>s}\ge c\,d$, $s=3$", p.tail_share(3), LINEAR),
            H(
                r"limit: $f^*$ bounded in $L^{2+\eta}$",
                unchecked("the shares of each degree are measured without a target"),
            ),
            H(r"limit: $d\to\infty$, $d^{s+\delta}\le n\le d^{s+1-\delta}$", limit("d", "d")),
        ),
    ),
    Entry(
        "thm-blind",
        (
            H("kernel invariant under rotations", p.invariant_kernel, changed(kernel="finite")),
            H(
                "input law invariant under rotations",
                p.invariant_inputs,
                changed(stretched=True),
            ),
            THREE,
            H("labels without noise", unchecked("the code adds none; no number can show it")),
            H(
                "the expectation finite",
                unchecked("a mean over draws is finite whether or not the expectation is"),
            ),
        ),
    ),
)  # fmt: skip
QUADNTK = (
    Entry("prop-signs", (FAIR,)),
    Entry(
        "prop-leaks",
        (
            ON_SPHERE_BESIDE,
            *CONSTRUCTION,
            H(r"$\mathbb E_w\sigma'(w\cdot x)\ne0$", nonzero_mean(1), EVEN),
            WIDE,
        ),
    ),
    Entry(
        "thm-construction",
        (
            ON_SPHERE_BESIDE,
            *CONSTRUCTION,
            hermite(2, below, r"order in $d$: $\mu_j(\sigma'')\ne0$ for these $j$"),
            WIDE,
            HIGH,
        ),
    ),
    Entry(
        "prop-rademacher",
        (
            BOUNDED_BY_ONE,
            H(r"$n\ge d\log(md)$", unchecked("no claim of this book measures these complexities")),
            H(ON_SPHERE.words, unchecked("there are no records to look at")),
        ),
        runs=({"activation": "sin(z+pi/4)"}, {"activation": "sigmoid(z-1)"}),
    ),
)
DIRECTIONS = (
    Entry(
        "thm-gap",
        (
            EXACT_LAWS,
            THREE,
            SQUARE_MEAN,
            SMOOTH,
            hermite(1, lambda k: range(3), r"$\mu_0,\dots,\mu_k\ne0$, $1\le k\le2$"),
            HIGH,
        ),
    ),
    Entry(
        "thm-gram",
        (
            ON_SPHERE,
            H("$d^k<n<d^{k+1}$", p.between_powers, changed(n=10**9)),
            H(r"$d^k\ll n\ll d^{k+1}$: $d\to\infty$", limit("d", "d")),
        ),
    ),
    Entry("prop-leak-bound", (POPULATION,)),
    Entry(
        "thm-angles",
        (
            ON_SPHERE,
            H(
                "infinite width",
                p.infinite_width,
                p.of_records(lambda r: _with_array(r, "eigenvalues", lambda v: 1.01 * v)),
            ),
            H(
                r"$\Lambda_j>0$ for $j\le n_k$",
                p.infinite_gram_rank,
                p.of_records(lambda r: _with_array(r, "eigenvalues", lambda v: v * (v >= v[0]))),
            ),
        ),
        claims=tuple(f"directions-angles-{o}-{k}" for o in ("first", "second") for k in (1, 2)),
    ),
    Entry(
        "prop-harmless",
        (
            replace(
                POPULATION,
                check=p.population_projector(),
                control=None,
                mended=changed(tools=("PopulationProjector",)),
            ),
            H(r"$\sigma'$ bounded", bounded(1), QUARTIC),
            FAIR,
            H("$|u_r|=O(m^{-1/4})$", p.movement_scale, changed(power=0.0)),
            WIDE,
        ),
    ),
)
REGULARIZER = (
    Entry(
        "prop-shrink",
        (
            H("$K$ invertible", p.gram_rank(lambda run: int(run["n"])), changed(m=2, d=3)),
            H(r"$\lambda_2\ge0$", least_size("empirical", 0), changed(empirical=-1.0)),
        ),
        claims=("regularizer-switch-r2",),
    ),
    Entry(
        "prop-leak-sphere",
        (
            ON_SPHERE_BESIDE,
            THREE,
            replace(UNIT_WEIGHTS, words="$|w|=|v|=1$"),
            H(r"$c=w\cdot v\ne\pm1$", p.no_parallel_weights, changed(repeated=True)),
            H(r"$\sigma$ twice continuously differentiable", continuous(2), RELU),
        ),
    ),
)


def _depth(record: Record, when: str = "end_") -> float:
    """How far below 0 the certified curvature can be, in units of |λ_min| at W = 0."""
    return -record.summary[f"{when}floor"] / abs(record.summary["start_lowest"])


def _only(folder: str, check):
    """A check of the records of one folder."""
    return lambda s: check(
        replace(s, records=tuple(r for r in s.records if r.experiment == folder))
    )


def _with_array(record: Record, name: str, change) -> Record:
    return replace(record, arrays={**record.arrays, name: change(record.arrays[name])})


def _with_summary(record: Record, **values) -> Record:
    return replace(record, summary={**record.summary, **values})


CERTIFIED = "landscape-certified"
PLATEAU = p.of_records(
    lambda r: _with_summary(
        r, **{k.replace("plateau_", "end_"): v for k, v in r.summary.items() if "plateau_" in k}
    )
)
"""The run stopped on its plateau."""
WEIGHTS = H(r"$\lambda_1,\dots,\lambda_4\ge0$", least_size("empirical low_degree", 0),
            changed(empirical=-1.0))  # fmt: skip
LANDSCAPE = (
    Entry(
        "prop-floor",
        (
            PAIRED,
            WEIGHTS,
            H(
                r"for the count: $\lambda_1=\lambda_4=0$",
                zero_size("population", "norm"),
                changed(norm=1e-8),
            ),
        ),
    ),
    Entry(
        "prop-clock",
        (
            H(
                r"$\lambda_{\min}<0$, $W_0$ not orthogonal to its eigenspace",
                p.overlapping_start,
                changed(start="orthogonal"),
            ),
            H(
                "the share of the fall small enough",
                unchecked("how small is a constant of the proof"),
            ),
            H(r"$\varepsilon\to0$", small_limit("ε", "sizes")),
        ),
    ),
    Entry(
        "thm-signs",
        (
            PAIRED,
            replace(WEIGHTS, words=r"$Q\ge0$ quadratic in $t$: $\lambda_2,\lambda_3\ge0$"),
            H(r"$\lambda_4=0$", zero_size("norm"), changed(norm=1e-8)),
        ),
    ),
    Entry(
        "cor-signs",
        (
            H(
                r"$\nabla_tL_\lambda(W)=0$, up to 1 % of its start",
                _only(
                    CERTIFIED,
                    p.at_most(
                        lambda r: r.summary["end_gradient"] / r.arrays["gradient"][0],
                        0.01,
                        "over its start",
                    ),
                ),
                p.of_records(
                    lambda r: (
                        _with_summary(r, end_gradient=float(np.max(r.arrays["gradient"])))
                        if r.experiment == CERTIFIED
                        else r
                    )
                ),
            ),
            H(
                r"$\lambda_{\min}\ge-\delta$, $\delta$ small beside $|\lambda_{\min}|$ at $W=0$",
                _only(CERTIFIED, p.at_most(_depth, 0.05, "δ over it")),
                PLATEAU,
            ),
            PAIRED,
            H(r"order: $d$ fixed", p.one_value("d"), p.two_dimensions),
            replace(ON_SPHERE, words=r"order: inputs on $S^{d-1}(\sqrt d)$"),
            replace(BOUNDED_BY_ONE, words=r"order: $|\sigma'|,|\sigma''|\le1$"),
            H(
                r"order: $\lVert t_L\rVert_F$, $\lVert W_Q\rVert_{2,4}$ bounded in $m$",
                p.comparison_norms,
                changed(norm_of_movement="F"),
            ),
            H(
                r"order: $\lVert W\rVert_{2,4}$ bounded in $m$",
                p.no_growth("landscape-run", "norm_2_4"),
                p.of_records(lambda r: _with_summary(r, norm_2_4=r.config["m"] ** 0.25)),
            ),
            H(r"order: $m\to\infty$", limit("m", "m")),
        ),
        claims=("landscape-floor",),
    ),
)
LABELS = H("$y_i=f^*(x_i)$", unchecked("the code adds no noise; no number can show it"))
JOINT = (
    Entry(
        "thm-joint",
        (
            ON_SPHERE,
            UNIT_WEIGHTS,
            SLOPES,
            *CONSTRUCTION[2:],
            H(
                r"$\lambda_\ell>0$, $\ell\le k$",
                p.positive_eigenvalues(lambda k: range(k + 1)),
                LINEAR,
            ),
            H(
                r"$f^*$ of degree $\le k$, and one harmonic of degree $k+1$",
                p.dense_plus_sparse,
                changed(extra_degree=1),
            ),
            replace(POPULATION, words=r"$P_{\le k}$ is the population's projector"),
            hermite(
                1,
                lambda k: range(k),
                r"norms: $\mu_j(\sigma')\ne0$, $j\le k-1$",
            ),
            hermite(2, below, r"norms: $\mu_j(\sigma'')\ne0$, $j\le k-1$, $j\equiv k-1$"),
            WIDE,
            replace(HIGH, words=r"norms: $d\to\infty$"),
        ),
    ),
    Entry(
        "thm-bound",
        (
            replace(ON_SPHERE, words=r"$x_i$ independent, uniform on $S^{d-1}(\sqrt d)$"),
            LABELS,
            H("radii fixed in advance", p.radii_in_advance, changed(radii="fitted")),
        ),
    ),
)
AT_ZERO = p.of_records(
    lambda r: (
        _with_summary(
            r,
            gradient=1.0,
            flatness=1.0,
            **{
                f"guarantee{part}": r.summary["start_value"]
                for part in ("", "_curvature", "_comparison")
            },
        )
        if "guarantee" in r.summary
        else r
    )
)
"""Stopped at W = 0, with the comparison W* = 0."""
NO_CROSS = p.of_records(
    lambda r: _with_summary(r, guarantee_cross=0.0, bound=0.0) if "guarantee" in r.summary else r
)
"""Infinitely many neurons and samples."""


def _flow_terms(records: Sequence[Record]) -> list[tuple[str, float, float]]:
    return end_to_end.guarantee_terms([r for r in records if r.config["method"] == "flow"])


MEASURED = (
    r"stationary: $\lVert\nabla L_\lambda\rVert$ over its start",
    r"flat: floor of the curvature over that at $W=0$",
    r"flat enough: $\frac\delta2\lVert W_Q\rVert_F^2$ over $L_\lambda(0)$",
    r"$W^*$ is good: comparison over $L_\lambda(0)$",
    r"wide: cross over $L_\lambda(0)$",
    r"together: $\Lambda$ over $L_\lambda(0)$",
    r"enough samples: bound on the gap over the error of $f=0$",
)
"""The rows of the chapter's table, in its order: :func:`end_to_end.guarantee_terms`."""
FAILING = ("wide", "enough samples")


def _measured(place: int, words: str) -> Hypothesis:
    fails = words.startswith(FAILING)
    change: dict[str, Change] = {"mended": NO_CROSS} if fails else {"control": AT_ZERO}
    return H(words, p.kept_small(_flow_terms, place), **change)


END_TO_END = (
    Entry(
        "thm-end",
        (
            H(
                r"$\lambda_1=\lambda_4=0$",
                p.no_first_nor_fourth,
                changed(penalties=(1.0, 1.0, 0, 0)),
            ),
            ON_SPHERE,
            LABELS,
            *(_measured(place, words) for place, words in enumerate(MEASURED)),
        ),
    ),
)

REGISTRY: tuple[Entry, ...] = (
    *SETUP,
    *LIMITS,
    *QUADNTK,
    *DIRECTIONS,
    *REGULARIZER,
    *LANDSCAPE,
    *JOINT,
    *END_TO_END,
)
ENTRIES = {entry.label: entry for entry in REGISTRY}


# ---------------------------------------------------------------- evaluation


def setting_of(entry: Entry, claims: Sequence[str], store: RecordStore) -> Setting:
    """Records and configurations of a statement's ``claims`` and of those that its entry adds."""
    names = dict.fromkeys(n for c in (*claims, *entry.claims) for n in _evidence(c, store.root))
    records = tuple(_records(store.root, name.split("/")[0])[name] for name in names)
    runs: dict[str, Run] = {}
    for record in records:
        config = {key: value for key, value in record.config.items() if key != "seed"}
        found = drawn(record.experiment, record.config)
        run = {**config, "experiment": record.experiment, **found}
        runs.setdefault(str(sorted(run.items(), key=lambda item: item[0])), run)
    return Setting((*entry.runs, *runs.values()), records)


@functools.cache
def _evidence(claim: str, root) -> tuple[str, ...]:
    """Records that a claim rests on, those of its control alone left out."""
    own = chapters.claim(claim)
    runs = Runs(RecordStore(root))
    own.measure(runs, False)
    return runs.names


@functools.cache
def _records(root, folder: str) -> dict[str, Record]:
    return {f"{folder}/{r.key[:16]}": r for r in RecordStore(root).find(folder)}


def answers(
    entry: Entry, claims: Sequence[str], store: RecordStore
) -> list[tuple[Hypothesis, Answer]]:
    """Each hypothesis of a statement with what its check says of the records of its claims."""
    setting = setting_of(entry, claims, store)
    return [(h, h.check(setting)) for h in entry.hypotheses]


def summary(found: Sequence[tuple[Hypothesis, Answer]]) -> str:
    """``"3 of 5 met, 1 a limit (m up to 8 192); not met: …"``: how a list of answers reads."""
    by = {outcome: [pair for pair in found if pair[1].outcome == outcome] for outcome in Outcome}
    words = f"{len(by[Outcome.MET])} of {len(found)} met"
    if limits := by[Outcome.LIMIT]:
        kind = "1 a limit" if len(limits) == 1 else f"{len(limits)} limits"
        words += f", {kind} ({'; '.join(answer.detail for _, answer in limits)})"
    if rest := by[Outcome.NOT_CHECKED]:
        words += f", {len(rest)} not checked"
    if failing := by[Outcome.NOT_MET]:
        words += f"; not met: {', '.join(h.words.split(': ')[0] for h, _ in failing)}"
    return words
