"""A formula in letters and signs, for places that typeset none: a page's description, a card."""

from __future__ import annotations

import html
import re
import unicodedata

from docutils import nodes

SIGNS = {
    "cdot": "·",
    "times": "×",
    "le": "≤",
    "ge": "≥",
    "ne": "≠",
    "ll": "≪",
    "gg": "≫",
    "approx": "≈",
    "sim": "∼",
    "pm": "±",
    "in": "∈",
    "to": "→",
    "mapsto": "↦",
    "infty": "∞",
    "sum": "∑",
    "partial": "∂",
    "sqrt": "√",
    "ell": "ℓ",
    "lVert": "‖",
    "rVert": "‖",
    "dots": "…",
    "nabla": "∇",
    "langle": "⟨",
    "rangle": "⟩",
    "top": "⊤",
    "lesssim": "≲",
}
NAMED = "log", "exp", "sin", "cos", "tanh", "erf", "max", "min", "sup", "inf", "tr", "dim", "sign"
"""Commands that are written as they are called; others only say how letters look or stand."""
HIGH = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")
LOW = str.maketrans("0123456789+-", "₀₁₂₃₄₅₆₇₈₉₊₋")


def _sign(name: str) -> str:
    if name in SIGNS or name in NAMED:
        return SIGNS.get(name, f"{name} ")
    try:
        size = "CAPITAL" if name[0].isupper() else "SMALL"
        return unicodedata.lookup(f"GREEK {size} LETTER {_named(name).upper()}")
    except KeyError:
        return ""


def _named(name: str) -> str:
    return name.removeprefix("var").replace("ambda", "amda")  # as Unicode spells it


def letters(tex: str) -> str:
    """``tex`` in letters: ``f_L+\\lambda^2`` is "f_L+λ²"."""
    text = re.sub(r"\\[,;:! ]|\\q?quad\b|~", " ", tex)
    text = re.sub(r"\\[td]?frac\s*(\w|\{[^{}]*\})\s*(\w|\{[^{}]*\})", r"\1/\2", text)
    text = re.sub(r"\\([A-Za-z]+)\s*", lambda m: _sign(m[1]), text)
    text = re.sub(r"\^\{?\*\}?", "*", text)
    text = re.sub(r"\^(\d|\{[-+]?\d+\})", lambda m: m[1].translate(HIGH), text)
    text = re.sub(r"_(\d|\{[-+]?\d+\})", lambda m: m[1].translate(LOW), text)
    text = re.sub(r"[{}\\$]", "", text)
    return " ".join(text.replace("'", "′").split())


def heading(markup: str) -> str:
    """A title in HTML, formulas in it as MathJax takes them, in letters."""
    text = html.unescape(re.sub(r"<[^>]*>", "", markup))
    return re.sub(r"\\\((.*?)\\\)", lambda m: letters(m[1]), text)


def words(node: nodes.Node) -> str:
    """The text of a node, formulas in letters, without what is hidden in it."""
    if isinstance(node, nodes.math):
        return letters(node.astext())
    if isinstance(node, nodes.Text):
        return str(node)
    if isinstance(node, nodes.comment | nodes.raw):
        return ""
    return "".join(words(child) for child in node.children)


def shortened(text: str, most: int) -> str:
    """``text`` up to ``most`` letters: whole sentences where one ends in the second half."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    ends = [m.end() for m in re.finditer(r"(?<!Fig)[.?!](?= [A-Z0-9])", text[: most + 2])]
    if ends and most / 2 <= ends[-1] <= most:
        return text[: ends[-1]]
    return text[: most - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"
