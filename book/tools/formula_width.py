"""About how wide a formula in a line will be, in widths of the letter M around it.

A page keeps this place for a formula until it is typeset (``sound_html``), so that lines end where
they will end.  Over the formulas of two chapters the estimate is .98 of the width that MathJax
takes, give or take a tenth.

Looked at: MathJax itself at build time would be exact, and would bring Node.js and another program
into the build; mathtext of matplotlib knows neither its letters nor half of its commands.
"""

from __future__ import annotations

import re

SCALE = 1.14
"""Of formulas to text (``_config.yml``), and what the widths below are too small by."""
SMALL = 0.7
"""Of an index or an exponent."""
TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\S")
NAMED = re.compile(r"\\(log|ln|exp|sin|cos|tanh|erf|max|min|sup|inf|tr|dim|deg)$")
EMPTY = set(
    r"\mathrm \mathbb \mathbf \mathcal \operatorname \text \hat \bar \tilde \widehat \dot "
    r"\left \right \big \Big \bigl \bigr \frac \tfrac \dfrac \displaystyle".split()
)
RELATIONS = set(
    r"= < > \le \leq \ge \geq \lesssim \gtrsim \ll \gg \ne \to \mapsto \longrightarrow \sim "
    r"\approx \equiv \propto \in \subset".split()
)
OPERATIONS = set(r"+ - \times \pm".split())
NARROW = set("()[]|,.;:'ijltfr!") | set(r"\ell \langle \rangle \lfloor \rfloor".split())
OTHERS = {
    **dict.fromkeys((r"\lVert", r"\rVert", r"\Vert", r"\|"), 0.5),
    **dict.fromkeys((r"\,", r"\!", r"\;", r"\:", r"\ "), 0.17),
    **dict.fromkeys((r"\dots", r"\cdots", r"\sum", r"\prod", r"\quad"), 1.1),
    **dict.fromkeys((r"\sqrt", r"\nabla", "m", "w"), 0.8),
    r"\cdot": 0.72,
    "*": 0.5,
}


def of(tex: str) -> float:
    """The width of ``tex``, in em."""
    total, size, due, sizes = 0.0, 1.0, 0.0, []
    for token in TOKEN.findall(tex):
        if token == "{":
            sizes.append(size)
            size, due = due or size, 0.0
        elif token == "}":
            size = sizes.pop() if sizes else 1.0
        elif token in "_^":
            due = size * SMALL
        else:
            own, due = due or size, 0.0
            total += own * _one(token, apart=own == 1)
    return SCALE * total


def _one(token: str, apart: bool) -> float:
    """The width of a letter, sign or command; signs stand ``apart``, but not in an index."""
    if token in EMPTY:
        return 0.0
    if token in OTHERS:
        return OTHERS[token]
    if token in RELATIONS:
        return 0.78 + 0.56 * apart
    if token in OPERATIONS:
        return 0.78 + 0.44 * apart
    if token in NARROW:
        return 0.36
    if NAMED.match(token):
        return 0.5 * (len(token) - 1) + 0.1
    return 0.77 if token.isupper() else 0.53
