"""Predictions along four movements c·W: the reader picks movement and amplitude.

book/_static/moves.js gives the frame its controls.
"""

import html
import re
from collections.abc import Mapping

import numpy as np

from escape_ntk.checks import InputError, NonFiniteError, ShapeError, message
from escape_ntk.display.html import Html, limited, numbers

MOVES = {
    "inside": "learnable: inside <i>P</i><sub>≤<i>k</i></sub>",
    "random_signs": "harmless: random signs in <i>P</i><sub>&gt;<i>k</i></sub>",
    "memorizing": "memorising",
    "same_sign": "equal signs",
}
"""Kinds of movement, as the reader chooses among them."""
FIRST_MOVE = "random_signs"
SIDES = {
    "train": (
        "training inputs",
        "circles",
        "#6b7280",
        "m-3.3 0a3.3 3.3 0 1 0 6.6 0a3.3 3.3 0 1 0-6.6 0z",
    ),
    "fresh": ("fresh inputs", "squares", "#009E73", "m-3-3h6v6h-6z"),
}
"""Panels: title, marks in words, their colour, and one mark as a path from its centre.

Blue and vermilion are f_L and f_Q everywhere else: no colour of a panel, which shows both."""
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
    text = (
        f'<div class="moves">{numbers(data)}<div class="moves-panels">{"".join(panels)}</div>'
        f'<p class="moves-caption">Along <i>c</i>·<i>W</i>, <span>{MOVES[FIRST_MOVE]}</span>, at '
        "<i>c</i> = <span>1.00</span>. Dashed: the target (<i>β</i>·<i>x</i>)². "
        "Triangles: beyond the frame.</p></div>"
    )
    remedy = f"show fewer than {len(sides['train']['x'])} inputs"
    return limited(text, MOVES_LIMIT, remedy)


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
    short = (float(f"{v:.4g}") for v in values)
    return [int(v) if v.is_integer() else v for v in short]


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
