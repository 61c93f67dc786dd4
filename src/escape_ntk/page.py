"""What a page of the book shows of records and claims: provenance strips, tables, status lines.

Everything here turns results into HTML for a notebook cell; nothing is computed.
"""

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from escape_ntk.checks import InputError, NonFiniteError, ShapeError, message
from escape_ntk.records import Record

WORDS = {
    "reproduced": "reproduced",
    "partly": "partly",
    "not_reproduced": "not reproduced",
    "not_testable": "not testable here",
}


@dataclass(frozen=True)
class Html:
    """A fragment that a notebook shows as HTML."""

    text: str

    def _repr_html_(self) -> str:
        return self.text


def badge(verdict: str, target: str | None = None) -> str:
    """A verdict as a badge; with ``target``, a link."""
    tag, link = ("a", f' href="{html.escape(target)}"') if target else ("span", "")
    return f'<{tag} class="claim-badge {verdict}"{link}>{WORDS[verdict]}</{tag}>'


def provenance(records: Sequence[Record], command: str) -> Html:
    """The strip under a recorded figure: seeds, code, machine, time, and how to make it again."""
    seeds = sorted({r.config["seed"] for r in records if "seed" in r.config})
    runs = [r.provenance for r in records]
    seconds = sum(p["wall_seconds"] for p in runs)
    facts = {
        "runs": f"{len(records)} ({f'seeds {_ranges(seeds)}' if seeds else 'no randomness'})",
        "commit": _several(str(p["commit"])[:10] + ("+" if p["dirty"] else "") for p in runs),
        "source": _several(p["source_sha256"][:10] for p in runs),
        "machine": _several(
            f"{p['accelerator'] or p['cpu']}, {p['threads']} thread"
            + ("" if p["threads"] == 1 else "s")
            for p in runs
        ),
        "torch": _several(p["torch"] for p in runs),
        "wall time": _duration(seconds),
        "data": _several(f"book/records/{r.experiment}" for r in records),
        "again": f"<code>{html.escape(command)}</code>",
    }
    rows = "".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in facts.items())
    return Html(f'<div class="provenance"><strong>Recorded.</strong><dl>{rows}</dl></div>')


def live(seconds: float, what: str) -> Html:
    """The strip under a figure that was computed while the page was built."""
    facts = f"<dl><div><dt>{html.escape(what)}</dt><dd>{seconds:.0f} s</dd></div></dl>"
    return Html(f'<div class="provenance"><strong>Live.</strong>{facts}</div>')


def table(header: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> Html:
    """A plain table; cells are taken as HTML when they start with ``<``."""

    def cell(x: object) -> str:
        text = str(x)
        if text.startswith("<"):
            return text
        return re.sub(
            r"e-(\d)", "e\N{NON-BREAKING HYPHEN}\\1", html.escape(text)
        )  # 1e-5 in one line

    head = "".join(f"<th>{cell(h)}</th>" for h in header)
    body = "".join("<tr>" + "".join(f"<td>{cell(x)}</td>" for x in row) + "</tr>" for row in rows)
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    inner = f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return Html(f'<div class="results">{inner}</div>')


def claim_blocks(ledger: Sequence[Mapping]) -> Html:
    """The scorecard: for each claim its statement, verdict, measurement, target and control."""
    return Html("".join(_claim_block(row) for row in ledger))


def _claim_block(row: Mapping) -> str:
    control = row["negative_control"]
    fate = "fails, as it should" if control["failed"] else "PASSES: the check is worthless"
    facts = {
        "measured": describe(row["measured"]),
        "target": f"{row['target']}; {row['tolerance']}",
        "control": f"{control['broken']}: {fate} ({describe(control['measured'])})",
        "records": f"{len(row['record'])} in book/records",
    }
    lines = "".join(f"<div><dt>{k}</dt><dd>{html.escape(v)}</dd></div>" for k, v in facts.items())
    name = row["id"]
    return (
        f'<div class="claim" id="{name}"><p>{badge(row["verdict"])} <code>{name}</code></p>'
        f"<p>{html.escape(row['statement'])} [{row['source']}]</p><dl>{lines}</dl></div>"
    )


INTERVALS = {
    "slope": ("slope", ".3f", "draws"),
    "change": ("change", "+.3f", "seeds"),
    "ratio": ("ratio", ".2f", "seeds"),
    "gain": ("lower by", ".3f", "seeds"),
}
"""How a value with its interval reads: word, format, what was repeated."""


def describe(measured: Mapping) -> str:
    """Measured values in a few words."""
    for key, (word, form, what) in INTERVALS.items():
        if key in measured and "low" in measured:
            value, low, high = (format(measured[name], form) for name in (key, "low", "high"))
            runs = f", {measured['runs']} {what}" if "runs" in measured else ""
            return f"{word} {value} [{low}, {high}]{runs}"
    if "inside" in measured:
        return f"{measured['inside']} of {measured['of']} inside"
    if "exponent" in measured:
        rows = [f"{k} {v['ratio']:.2f}" for k, v in measured.items() if "ratio" in v]
        return f"ratio at {', '.join(rows)}; in d: {describe(measured['exponent'])}"
    nested = any(isinstance(value, Mapping) for value in measured.values())
    parts = (_named(name.replace("_", " "), value) for name, value in measured.items())
    return ("; " if nested else ", ").join(parts)


def _named(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        return f"{name}: {describe(value)}"
    return f"{name} {value}" if isinstance(value, int) else f"{name} {value:.2g}"


def _several(values) -> str:
    return ", ".join(html.escape(v) for v in dict.fromkeys(values))


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _ranges(seeds: Sequence[int]) -> str:
    """1, 2, 3, 5 → "1–3, 5"."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(f"{r[0]}–{r[-1]}" if len(r) > 1 else str(r[0]) for r in runs)


# --- a figure that the reader moves; book/_static/moves.js gives it its controls -----------------

MOVES = {
    "inside": "inside <i>P</i><sub>≤<i>k</i></sub>",
    "random_signs": "random signs in <i>P</i><sub>&gt;<i>k</i></sub>",
    "memorizing": "memorising",
    "same_sign": "equal signs",
}
"""Kinds of movement, as the reader chooses among them."""
FIRST_MOVE = "random_signs"
SIDES = {
    "train": (
        "training inputs",
        "circles",
        "#0072B2",
        "m-3.3 0a3.3 3.3 0 1 0 6.6 0a3.3 3.3 0 1 0-6.6 0z",
    ),
    "fresh": ("fresh inputs", "squares", "#D55E00", "m-3-3h6v6h-6z"),
}
"""Panels: title, marks in words, their colour, and one mark as a path from its centre."""
FRAME = {"x": (-4, 4, 42, 330), "y": (-6, 10, 266, 26)}
"""Axes: least and largest value, and where in the drawing these lie."""
EDGES = {
    "up": "m0-4.5l4 7h-8z",
    "down": "m0 4.5l4-7h-8z",
    "left": "m-4.5 0l7-4v8z",
    "right": "m4.5 0l-7-4v8z",
}
"""Marks for what lies beyond the frame."""
MOVES_LIMIT = 40_000  # bytes


def moves(arrays: Mapping[str, np.ndarray]) -> Html:
    """Predictions c·f_L + c²·f_Q along four movements c·W: the reader picks movement and c.

    ``arrays`` holds ``train_projection`` and ``fresh_projection`` (N,), β·x, and for each kind in
    :data:`MOVES` ``<kind>_train`` and ``<kind>_fresh`` (2, N), rows f_L and f_Q.  Without
    JavaScript, and in print, the frame for random signs at c = 1 is seen.
    """
    sides, panels = {}, []
    for side, (title, marks, _, dot) in SIDES.items():
        x = _finite(arrays, f"{side}_projection", (None,))
        both = {kind: _finite(arrays, f"{kind}_{side}", (2, len(x))) for kind in MOVES}
        alt = (
            f"{title.capitalize()}: prediction over β·x at {len(x)} inputs ({marks}), "
            "and the target (β·x)² (dashed)."
        )
        sides[side] = {"alt": alt, "dot": dot, "x": _rounded(x)}
        sides[side] |= {kind: [_rounded(row) for row in rows] for kind, rows in both.items()}
        panels.append(_panel(side, sides[side]))
    data = {"kinds": MOVES, "first": FIRST_MOVE, "frame": FRAME, "edges": EDGES, "sides": sides}
    numbers = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    text = (
        f'<div class="moves"><script type="application/json">{numbers}</script>'
        f'<div class="moves-panels">{"".join(panels)}</div>'
        f'<p class="moves-caption">Along <i>c</i>·<i>W</i>, <span>{MOVES[FIRST_MOVE]}</span>, at '
        "<i>c</i> = <span>1.00</span>. Dashed: the target (<i>β</i>·<i>x</i>)². "
        "Triangles: beyond the frame.</p></div>"
    )
    if (size := len(text.encode())) > MOVES_LIMIT:
        remedy = f"show fewer than {len(sides['train']['x'])} inputs"
        expected = f"a figure of at most {MOVES_LIMIT} bytes"
        raise InputError(message(expected=expected, got=f"{size} bytes", remedy=remedy))
    return Html(text)


def _finite(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int | None, ...]):
    """``arrays[name]`` if it holds finite real numbers in this shape, some at least."""
    if name not in arrays:
        got = f"arrays named {', '.join(sorted(arrays)) or 'nothing'}"
        remedy = "pass the arrays of a directions-views record"
        raise InputError(message(expected=f"an array named {name}", got=got, remedy=remedy))
    value = np.asarray(arrays[name])
    fits = value.ndim == len(shape) and all(
        s in (None, n) for s, n in zip(shape, value.shape, strict=True)
    )
    if not fits or value.size == 0 or value.dtype.kind not in "fiu":
        wanted = ", ".join("N ≥ 1" if s is None else str(s) for s in shape)
        raise ShapeError(
            message(
                expected=f"{name} to be real numbers of shape ({wanted})",
                got=f"{value.dtype} of shape {value.shape}",
                remedy="rows are f_L and f_Q, columns the inputs of the projection",
            )
        )
    if bad := int((~np.isfinite(value)).sum()):
        got, remedy = f"{bad} NaN or infinite entries", "compute the record again"
        raise NonFiniteError(message(expected=f"{name} to be finite", got=got, remedy=remedy))
    return value


def _rounded(values: np.ndarray) -> list[float]:
    """Four significant digits; whole numbers as such."""
    numbers = (float(f"{v:.4g}") for v in values)
    return [int(v) if v.is_integer() else v for v in numbers]


def _panel(side: str, data: Mapping) -> str:
    """One panel at c = 1; moves.js draws the same marks and words for other movements."""
    title, _, colour, dot = SIDES[side]
    linear, quadratic = data[FIRST_MOVE]
    drawn = [_mark(x, a + b, dot) for x, a, b in zip(data["x"], linear, quadratic, strict=True)]
    beyond = sum(not d.endswith(dot) for d in drawn)
    name = html.unescape(re.sub("<[^>]*>", "", MOVES[FIRST_MOVE]))
    label = html.escape(f"{data['alt']} Movement: {name}, c = 1.00; {beyond} beyond the frame.")
    means = [_few_digits(float(np.mean(np.square(row)))) for row in (linear, quadratic)]
    return (
        f'<div class="moves-panel"><svg role="img" aria-label="{label}" data-side="{side}" '
        'viewBox="0 0 340 304" width="340" fill="currentColor" font-size="13">'
        f'{_axes(title)}<g class="moves-marks" fill="{colour}">'
        + "".join(f'<path d="{d}"/>' for d in drawn)
        + '</g></svg><p aria-live="polite" aria-atomic="true">mean square of <i>c</i>·<i>f</i>'
        f"<sub>L</sub>: <b>{means[0]}</b>, of <i>c</i>²·<i>f</i><sub>Q</sub>: <b>{means[1]}</b>"
        "</p></div>"
    )


def _axes(title: str) -> str:
    """Frame, ticks and names of one panel, and the target x²."""
    (least, most, left, right), (_, high, bottom, top) = FRAME["x"], FRAME["y"]
    middle, zero, end = (left + right) / 2, _place(0, "y"), high**0.5
    ticks = [
        f'<text x="{_place(v, "x")}" y="{bottom + 17}" text-anchor="middle">{_signed(v)}</text>'
        for v in range(least, most + 1, 2)
    ] + [
        f'<text x="{left - 7}" y="{_place(v, "y")}" dy=".35em" text-anchor="end">'
        f"{_signed(v)}</text>"
        for v in range(-5, high + 1, 5)
    ]
    # x² from −end to end is a Bézier curve with its control point at −end².
    control = f"{middle:g} {2 * float(zero) - top:.2f}"
    return (
        f'<path class="moves-frame" fill="none" stroke="currentColor" d="M{left} {top}H{right}'
        f'V{bottom}H{left}zM{left} {zero}H{right}"/>{"".join(ticks)}'
        f'<text x="{left}" y="15" font-weight="600">{title}</text>'
        f'<text x="{middle:g}" y="299" text-anchor="middle" font-style="italic">β·x</text>'
        f'<text transform="translate(13 {(top + bottom) / 2:g})rotate(-90)" text-anchor="middle">'
        'prediction</text><path class="moves-target" fill="none" stroke="#8a929e" '
        f'stroke-width="1.25" stroke-dasharray="5 4" d="M{_place(-end, "x")} {top}'
        f'Q{control} {_place(end, "x")} {top}"/>'
    )


def _place(value: float, axis: str) -> str:
    """Where ``value`` lies in the drawing; beyond the frame: at its edge."""
    low, high, start, end = FRAME[axis]
    return f"{start + (min(max(value, low), high) - low) / (high - low) * (end - start):.2f}"


def _mark(x: float, y: float, dot: str) -> str:
    """The path of one mark."""
    (left, right), (low, high) = FRAME["x"][:2], FRAME["y"][:2]
    if y > high or y < low:
        dot = EDGES["up" if y > high else "down"]
    elif x > right or x < left:
        dot = EDGES["right" if x > right else "left"]
    return f"M{_place(x, 'x')} {_place(y, 'y')}{dot}"


def _few_digits(value: float) -> str:
    if value == 0:
        return "0"
    if value < 0.001:
        return "below 0.001"
    return f"{value:#.2g}" if value < 9.95 else f"{value:.0f}"


def _signed(value: int) -> str:
    return str(value).replace("-", "\N{MINUS SIGN}")
