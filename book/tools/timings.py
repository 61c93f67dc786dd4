"""What the benchmarks say, as the tables of the page *Speed*.

Read from ``benchmarks/*.json``; no measured number is typed by hand.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
PACKAGE = ROOT / "src/escape_ntk"
sys.path.append(str(BENCHMARKS))

import timing  # noqa: E402

WHAT = {
    "gradient": ("a gradient, λ₂ > 0, n = 1000, d = 100, m = 10 000", "four products", "1.25"),
    "gradient with R_2": ("the same", "one with λ₂ = 0", "1"),
    "gradient of the network": ("a gradient of the network itself", "its products, σ, σ′", ""),
    "measuring": ("all that a record measures, on 10 000 fresh inputs", "its products", ""),
    "leak": ("a gradient of R₁ in closed form", "three products", ""),
    "curve": ("a whole published curve", "products of its gradients and records", "1.4"),
}
"""Thing → in words, over what, and what was aimed at before any was timed."""
WITH_R1 = {"curve with R_1": "10⁻⁵", "curve with a larger R_1": "10⁻¹"}
PEERS = (
    ("ours", "training", "this book, in pair coordinates"),
    ("gradient", "peers", "neural-tangents' Taylor expansion and JAX's gradient, compiled"),
    ("autograd", "training", "autograd through f_L + f_Q"),
    ("torch_func", "training", "torch.func, a forward derivative of a forward derivative"),
)
GROWING = {
    "gradient": "a gradient",
    "with R_2": "a gradient with λ₂ > 0",
    "kernel": "the matrix of the tangent kernel",
}
COLUMNS = ("before", "now", "least", "with λ₂")
"""Of the table of all sizes."""
BY_D = {"8 to 16": 16, "17 to 32": 32, "more than 32": 10**9}
"""Its rows: the largest d of each."""
AIM_OF_SIZES = 1.6
TRIED = {
    "constant": "the error's constant by the stages",
    "eager": "less safety, fewer radii",
    "higher": "third order, Kutta's where not stiff",
    "exponential": "stiff linear directions exactly",
}
"""What was tried for fewer gradients, in words."""


RECORDS = {
    "tried": ("fewer_gradients",),
    "eigenpairs": ("eigenpairs",),
    "largest": ("largest",),
    "peers": ("training", "peers"),
    "kernels": ("training", "peers"),
}
"""Table → the records that it is read from, if not from that of training alone."""
ROWS = {
    "products": (*WHAT, *WITH_R1, "threads"),
    "sizes": ("sizes",),
    "peers": tuple(name for name, _, _ in PEERS),
    "kernels": ("kernels",),
    "growth": ("growth",),
}
"""Table → how the names of the rows start that it is read from, if not all."""
TOOLS = {
    "torch": "PyTorch",
    "scipy": "SciPy",
    "jax": "JAX",
    "neural-tangents": "neural-tangents",
}


def found(name: str) -> dict[str, Any]:
    """What ``benchmarks/NAME.json`` holds."""
    return json.loads((BENCHMARKS / f"{name}.json").read_text("utf-8"))


def ratio(number: float | None) -> str:
    """With three digits, or a dash."""
    return "–" if number is None else f"{number:.3g}"


def plain(number: float) -> str:
    """With three digits, or all before the point."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def with_quartiles(row: dict[str, Any]) -> str:
    """A ratio, and between which two half of its turns lay."""
    if "quartiles" not in row:
        return ratio(row.get("ratio"))
    low, high = row["quartiles"]
    return f"{row['ratio']:.2f}, {low:.2f}–{high:.2f}"


def met(value: float, aim: str) -> str:
    """The aim, and whether it is missed."""
    return f"{aim}, missed" if value > float(aim.split()[0]) else aim


def products() -> tuple[list[str], list[list[str]]]:
    """Ratios to bare products, before and now."""
    told = found("training")["found"]
    header = ["what", "over", "before", "now", "seconds now", "aim"]
    rows = []
    for thing, (words, over, aim) in WHAT.items():
        before, now = (told[label][thing] for label in ("before", "now"))
        seconds = now["seconds"] if "seconds" in now else now["ms"] / 1e3
        judged = met(now["ratio"], aim) if aim else "–"
        cells = [with_quartiles(before), with_quartiles(now), plain(seconds)]
        rows.append([words, over, *cells, judged])
    for pulled, weight in WITH_R1.items():
        before, now = (_over(told[label], pulled) for label in ("before", "now"))
        cells = [ratio(before), ratio(now), plain(told["now"][pulled]["seconds"])]
        words = f"a curve with R₁, λ₁ = {weight}"
        rows.append([words, "one without", *cells, met(now, "2.5")])
    pair = [told[label]["threads"]["speedup"] for label in ("before", "now")]
    slower = [ratio(1 / speedup) for speedup in pair]
    words = f"a gradient on {told['now']['threads']['threads']} threads, on the clock"
    rows.append([words, "on one", *slower, "–", "–"])
    held = [told[at]["curve"]["MiB"] for at in ("before", "now")]
    cells = [f"{x:.0f} MiB" for x in held]
    rows.append(["memory of a curve beyond its start", "", *cells, "–", met(held[1], "300 MiB")])
    return header, rows


def _over(told: dict[str, Any], pulled: str) -> float:
    """Seconds of a curve with R_1 over those of one without."""
    return told[pulled]["seconds"] / told["curve"]["seconds"]


def sizes() -> tuple[list[str], list[list[str]]]:
    """The gradient at all sizes of the book, by d: before; now, the least, and with λ_2."""
    told = found("training")["found"]
    by_d: dict[str, dict[str, list[float]]] = {}
    for at in ("before", "now"):
        for _, d, _, *values in told[at]["sizes of the book"]["rows"]:
            name = next(words for words, most in BY_D.items() if d <= most)
            of_row = (at, "least", "with λ₂") if at == "now" else (at,)
            for what, value in zip(of_row, values, strict=False):
                by_d.setdefault(name, {}).setdefault(what, []).append(value)
    above = f"above {AIM_OF_SIZES:g}: now, with λ₂"
    header = ["d", "sizes", *(f"median {what}" for what in COLUMNS), "largest now", above]
    rows = []
    for name in BY_D:
        v = by_d[name]
        medians = [ratio(statistics.median(v[what])) for what in COLUMNS]
        missed = [
            f"{sum(x > AIM_OF_SIZES for x in v[what])} of {len(v[what])}"
            for what in ("now", "with λ₂")
        ]
        rows.append([name, str(len(v["now"])), *medians, ratio(max(v["now"])), ", ".join(missed)])
    return header, rows


def peers() -> tuple[list[str], list[list[str]]]:
    """The same gradient by four tools: ratios to their own four products, and MiB."""
    told = {"training": found("training")["found"]["now"], "peers": found("peers")["found"]}
    places = [name.partition(", ")[2] for name in told["peers"] if name.startswith("gradient")]
    header = ["by", *(f"n, d, m = {place}" for place in places)]
    rows = []
    for name, source, words in PEERS:
        cells = [told[source][f"{name}, {place}"] for place in places]
        said = [f"{ratio(c['ratio'])}, {_seconds(c)}{c['MiB']:.0f} MiB" for c in cells]
        rows.append([words, *said])
    return header, rows


def _seconds(row: dict[str, Any]) -> str:
    return f"{plain(row['ms'])} ms, " if "ms" in row else ""


def kernels() -> tuple[list[str], list[list[str]]]:
    """Both kernels by two tools, over bare products."""
    told = {
        "this book": found("training")["found"]["now"],
        "neural-tangents": found("peers")["found"],
    }
    places = [name.partition(", ")[2] for name in told["neural-tangents"] if name.startswith("ker")]
    header = ["kernel", "by", *(f"n, d, m = {place}" for place in places)]
    rows = [
        [words, tool, *(ratio(cells[f"kernels, {place}"][kind]) for place in places)]
        for kind, words in (("empirical", "of m neurons"), ("infinite", "of infinitely many, erf"))
        for tool, cells in told.items()
    ]
    return header, rows


def growth() -> tuple[list[str], list[list[str]]]:
    """Slopes of log seconds, with intervals, and of log bytes."""
    told = found("training")["found"]["now"]
    header = ["of", "in", "slope of the seconds", "of the memory"]
    rows = []
    for kind, words in GROWING.items():
        for name in "ndm":
            own = told[f"growth in {name}"][kind]
            value, low, high = own["seconds"]
            seconds = f"{value:.2f} [{low:.2f}, {high:.2f}]"
            rows.append([words, name, seconds, f"{own['bytes']:.2f}"])
    return header, rows


def tried() -> tuple[list[str], list[list[str]]]:
    """Gradients of every other way over those of the present one, and seconds side by side."""
    told = found("fewer_gradients")["found"]
    header = ["what", "for", "end state", "worst curve"]
    rows = []
    for way, words in TRIED.items():
        for kind in ("curve", "sphere"):
            pairs = [v["ratios"] for name, v in told[way].items() if name.startswith(kind)]
            cells = [f"{min(x):.2f} to {max(x):.2f}" for x in zip(*pairs, strict=True)]
            rows.append([words, f"{len(pairs)} flows, {kind}", *cells])
    for size, by_count in told["side by side"].items():
        span = [by_count[k] for k in sorted(by_count, key=int)]
        words = f"{', '.join(by_count)} λ side by side, seconds"
        rows.append([words, f"n, d, m = {size.strip('()')}", ", ".join(map(ratio, span)), "–"])
    return header, rows


WAYS = {
    "kept": "kept",
    "values": "all eigenvalues alone",
    "subset": "LAPACK's subset",
    "Lanczos": "Lanczos",
    "LOBPCG": "LOBPCG",
    "whole, single": "whole, single precision",
}
"""To leading eigenvectors, in words."""
SINGLE = 2.0**-23
"""ε of single precision."""


def eigenpairs() -> tuple[list[str], list[list[str]]]:
    """Ways to leading eigenvectors over the whole decomposition; what single precision costs."""
    header = ["n, n_k", "whole, s", *WAYS.values(), "sin Θ of the latter", "its bound"]
    rows = []
    for size, own in found("eigenpairs")["found"].items():
        n, _, count = map(int, size.split(","))
        rounding = n * SINGLE
        bound = rounding / (own["gap"] - rounding) if own["gap"] > 2 * rounding else 1.0
        cells = [ratio(own["ratios"].get(way)) for way in WAYS]
        told = [f"{x:.0e}" for x in (own["angles"]["whole, single"], bound)]
        rows.append([f"{n}, {count}", ratio(own["seconds"]), *cells, *told])
    return header, rows


def largest() -> tuple[list[str], list[list[str]]]:
    """What was declared to fit, and what came out; no rows before it was run."""
    header = ["", "n, d, m", "gradients", "seconds", "memory", "test error at the end"]
    if not (BENCHMARKS / "largest.json").exists():
        return header, []
    told = found("largest")["found"]
    said = told["declared"]
    got = told.get("measured", {"outcome": "not yet", "seconds": None})
    size = ", ".join(str(said[name]) for name in "ndm")
    value, low, high = said["seconds"]
    seconds = f"{value:.0f} [{low:.0f}, {high:.0f}]"
    rows = [["declared", size, str(said["gradients"]), seconds, f"{said['MiB']:.0f} MiB", "–"]]
    if got["seconds"] is None:
        return header, [*rows, ["measured", size, "–", got["outcome"], "–", "–"]]
    cells = [str(got["gradients"]), f"{got['seconds']:.0f}", f"{got['MiB']:.0f} MiB"]
    return header, [*rows, ["measured", size, *cells, ratio(got["test"])]]


def conditions(chosen: str) -> str:
    """The machine, the day and the state of the code, in words: of each record that is read."""
    records = RECORDS.get(chosen, ("training",))
    return "; ".join(_conditions(record, ROWS.get(chosen, ("",))) for record in records)


def _conditions(record: str, starts: tuple[str, ...]) -> str:
    """Of the rows of ``record`` whose names start so."""
    told = found(record)
    m = told["machine"]
    threads = f"{m['threads']} thread{'s' * (m['threads'] > 1)} of {m['cores']} cores"
    tools = [f"{TOOLS[name]} {m[name]}" for name in TOOLS if name in m]
    said = [f"{threads} ({m['processor']})", *tools]
    every = told["found"].get("now", told["found"])
    chosen = [row for name, row in every.items() if name.startswith(starts)]
    rows = [row for each in chosen for row in ([each] if "day" in each else _dated_in(each))]
    days = sorted({row["day"] for row in rows})
    said += dict.fromkeys((days[0], days[-1])) if days else ["on a day that was not kept"]
    if any(row["code"] != timing.state_of(PACKAGE) for row in rows if "code" in row):
        said.append("in part before the last change of the code that is timed")
    return ", ".join(said)


def _dated_in(several: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows one level deeper that have a day."""
    return [row for row in several.values() if isinstance(row, dict) and "day" in row]


TABLES = {
    "products": products,
    "sizes": sizes,
    "peers": peers,
    "kernels": kernels,
    "growth": growth,
    "tried": tried,
    "eigenpairs": eigenpairs,
    "largest": largest,
}
"""Name → header and rows."""
