"""What the benchmarks say, as the tables of the page *Speed*.

Read from ``benchmarks/*.json``; no number is typed by hand.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
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
TRIED = {
    "constant": "the error's constant by the stages",
    "eager": "less safety, fewer radii",
    "higher": "third order, Kutta's where not stiff",
    "exponential": "stiff linear directions exactly",
}
"""What was tried for fewer gradients, in words."""


def found(name: str) -> dict[str, Any]:
    """What ``benchmarks/NAME.json`` holds."""
    return json.loads((BENCHMARKS / f"{name}.json").read_text("utf-8"))


def ratio(number: float | None) -> str:
    """With three digits, or a dash."""
    return "–" if number is None else f"{number:.3g}"


def products() -> tuple[list[str], list[list[str]]]:
    """Ratios to bare products, before and now."""
    told = found("training")["found"]
    header = ["what", "over", "before", "now", "aim"]
    rows = []
    for thing, (words, over, aim) in WHAT.items():
        pair = [told[label].get(thing, {}).get("ratio") for label in ("before", "now")]
        rows.append([words, over, *map(ratio, pair), aim or "–"])
    for pulled, weight in WITH_R1.items():
        pair = [_over(told[label], pulled) for label in ("before", "now")]
        rows.append([f"a curve with R₁, λ₁ = {weight}", "one without", *map(ratio, pair), "2.5"])
    held = [f"{told[at]['curve']['MiB']:.0f} MiB" for at in ("before", "now")]
    rows.append(["memory of a curve beyond its start", "", *held, "300 MiB"])
    return header, rows


def _over(told: dict[str, Any], pulled: str) -> float | None:
    """Seconds of a curve with R_1 over those of one without."""
    return told[pulled]["seconds"] / told["curve"]["seconds"] if pulled in told else None


def sizes() -> tuple[list[str], list[list[str]]]:
    """The gradient at all sizes of the book, by d: before; now, the least, and with λ_2."""
    told = found("training")["found"]
    by_d: dict[str, dict[str, list[float]]] = {}
    for at in ("before", "now"):
        for _, d, _, *values in told[at]["sizes of the book"]["rows"]:
            name = "8 to 16" if d <= 16 else "17 to 32" if d <= 32 else "more than 32"
            for what, value in zip((at, "least", "with λ₂"), values, strict=False):
                by_d.setdefault(name, {}).setdefault(what, []).append(value)
    header = ["d", "sizes", *(f"median {what}" for what in COLUMNS), "largest now"]
    rows = [
        [
            name,
            str(len(v["now"])),
            *(ratio(statistics.median(v[what])) for what in COLUMNS),
            ratio(max(v["now"])),
        ]
        for name, v in sorted(by_d.items(), key=lambda item: -max(item[1]["now"]))
    ]
    return header, rows


def peers() -> tuple[list[str], list[list[str]]]:
    """The same gradient by four tools: ratios to their own four products, and MiB."""
    told = {"training": found("training")["found"]["now"], "peers": found("peers")["found"]}
    places = [name.partition(", ")[2] for name in told["peers"] if name.startswith("gradient")]
    header = ["by", *(f"n, d, m = {place}" for place in places)]
    rows = []
    for name, source, words in PEERS:
        cells = [told[source][f"{name}, {place}"] for place in places]
        rows.append([words, *(f"{ratio(c['ratio'])}, {c['MiB']:.0f} MiB" for c in cells)])
    return header, rows


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
    told = found("largest")
    said, got = told["declared"], told["measured"]
    size = ", ".join(str(said[name]) for name in "ndm")
    value, low, high = said["seconds"]
    seconds = f"{value:.0f} [{low:.0f}, {high:.0f}]"
    rows = [["declared", size, str(said["gradients"]), seconds, f"{said['MiB']:.0f} MiB", "–"]]
    if got["seconds"] is None:
        return header, [*rows, ["measured", size, "–", got["outcome"], "–", "–"]]
    cells = [str(got["gradients"]), f"{got['seconds']:.0f}", f"{got['MiB']:.0f} MiB"]
    return header, [*rows, ["measured", size, *cells, ratio(got["test"])]]


def conditions(chosen: str) -> str:
    """The machine, in words."""
    own = chosen if chosen in ("eigenpairs", "largest") else "training"
    m = found(own)["machine"]
    threads = f"{m['threads']} thread{'s' * (m['threads'] > 1)} of {m['cores']} cores"
    told = f"{threads} ({m['processor']}), PyTorch {m['torch']}"
    if chosen == "eigenpairs":
        seconds = found("training")["found"]["now"]["curve"]["seconds"]
        told += f", SciPy {m['scipy']}; a published curve takes {seconds:.0f} s"
    if chosen in ("peers", "kernels"):
        other = found("peers")["machine"]
        told += f"; JAX {other['jax']}, neural-tangents {other['neural-tangents']}"
    return told


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
