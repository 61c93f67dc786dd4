"""Claims of the chapter *Sample complexity*."""

from collections.abc import Mapping, Sequence

import numpy as np

from escape_ntk.claims.ledger import Claim, Evidence, Finding, Verdict, names, require
from escape_ntk.experiments import sample_complexity as e
from escape_ntk.records import Record, RecordStore
from escape_ntk.stats import Numbers

CHAPTER = "sample-complexity"
COMMAND = "escape-ntk run sample-complexity"
SEEDS = e.SEEDS
METHODS = {"ntk": e.NTK, "quadntk": e.QuadNTK, "joint": e.Joint}


def chief(store: RecordStore) -> dict[str, list[Record]]:
    """The records at n = 3 n_2 by method, in one order of (d, seed)."""
    records = require(e.chief_points(SEEDS), store, COMMAND)
    return {
        name: [r for r in records if r.experiment == kind.experiment]
        for name, kind in METHODS.items()
    }


def unregularized(record: Record) -> dict[str, float]:
    """The row of λ_2 = 0 of a joint run."""
    row = list(record.config["empirical"]).index(0.0)
    return {name: float(values[row]) for name, values in record.arrays.items()}


def chief_rows(store: RecordStore) -> list[list[str]]:
    """Mean test error with its range, and what is missed of each part, by d and method."""
    rows = []
    by_method = chief(store)
    values = {name: [r.summary for r in records] for name, records in by_method.items()}
    values["joint, λ_2 = 0"] = [unregularized(r) for r in by_method["joint"]]
    labels = {"ntk": "NTK", "quadntk": "QuadNTK"}
    dims = [r.config["d"] for r in by_method["joint"]]
    for d in e.CHIEF_DIMS:
        for name, summaries in values.items():
            own = [s for s, where in zip(summaries, dims, strict=True) if where == d]
            errors = [s["error"] for s in own]
            parts = [f"{np.mean([s[part] for s in own]):.3f}" for part in e.PARTS]
            spread = f"{np.mean(errors):.3f} ({min(errors):.3f}–{max(errors):.3f})"
            rows.append([str(d), labels.get(name, name), spread, *parts])
    return rows


def _gather_half(store: RecordStore, broken: bool) -> Evidence:
    """Joint error over the better of NTK and QuadNTK, run by run; control: λ_2 = 0."""
    by = chief(store)
    joint = [unregularized(r)["error"] if broken else r.summary["error"] for r in by["joint"]]
    best = [
        min(a.summary["error"], b.summary["error"])
        for a, b in zip(by["ntk"], by["quadntk"], strict=True)
    ]
    used = [r for records in by.values() for r in records]
    return Evidence(np.array(joint) / np.array(best), names(used))


def _judge_half(ratios: Numbers) -> Finding:
    """Reproduced when every ratio is below 1/2; partly when the median is."""
    v = np.asarray(ratios)
    below = int((v < 0.5).sum())
    verdict = Verdict.NOT_REPRODUCED
    if below == len(v):
        verdict = Verdict.REPRODUCED
    elif np.median(v) < 0.5:
        verdict = Verdict.PARTLY
    measured = {"least": float(v.min()), "most": float(v.max()), "below": below, "of": len(v)}
    return Finding(verdict, measured)


def _gather_parts(store: RecordStore, broken: bool) -> Evidence:
    """What each method misses of the dense and of the sparse part; control: parts exchanged."""
    by = chief(store)
    parts = {"dense": "sparse", "sparse": "dense"} if broken else {p: p for p in e.PARTS[:2]}
    values = {
        f"{name}_{part}": np.array([r.summary[key] for r in records])
        for name, records in by.items()
        for part, key in parts.items()
    }
    return Evidence(values, names([r for records in by.values() for r in records]))


def _judge_parts(values: Mapping[str, Numbers]) -> Finding:
    """Reproduced when all four comparisons hold in every run; partly when each does in most."""
    v = {name: np.asarray(x) for name, x in values.items()}
    holds = {
        "half_missed": v["ntk_sparse"] > 0.25,
        "less_dense_missed": v["joint_dense"] < v["quadntk_dense"],
        "half_of_ntk": v["joint_sparse"] < 0.5 * v["ntk_sparse"],
        "half_of_quadntk": v["joint_sparse"] < 0.5 * v["quadntk_sparse"],
    }
    shares = [float(held.mean()) for held in holds.values()]
    verdict = Verdict.NOT_REPRODUCED
    if min(shares) == 1:
        verdict = Verdict.REPRODUCED
    elif min(shares) > 0.5:
        verdict = Verdict.PARTLY
    measured: dict[str, object] = {name: float(x.mean()) for name, x in v.items()}
    measured |= {name: int(held.sum()) for name, held in holds.items()}
    return Finding(verdict, measured | {"runs": len(v["joint_dense"])})


CLAIMS: Sequence[Claim] = (
    Claim(
        id="complexity-half",
        chapter=CHAPTER,
        statement="k = 2, n = 3 n_2, d from 16 to 40: the joint model's test error is below half "
        "of the better of NTK and QuadNTK.",
        source="A+M",
        target="ratio below 1/2",
        tolerance="in each of 20 runs (four d, five seeds); partly if in the median",
        broken="λ_2 = 0",
        gather=_gather_half,
        judge=_judge_half,
    ),
    Claim(
        id="complexity-parts",
        chapter=CHAPTER,
        statement="k = 2, n = 3 n_2: the NTK misses more than half of the sparse part; QuadNTK "
        "misses more of the dense part than the joint model; the joint model misses less than half "
        "of what either misses of the sparse part.",
        source="A+M",
        target="all three",
        tolerance="in each of 20 runs (four d, five seeds); partly if each in most",
        broken="dense and sparse exchanged",
        gather=_gather_parts,
        judge=_judge_parts,
    ),
)
