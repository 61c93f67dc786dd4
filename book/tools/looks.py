"""The looks of a drawing: taken apart from its data, in one column for phones, for the dark."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

from escape_ntk.display.svg import DATA, KEEP, PIECES

GROUND, INK = "#121212", "#e4e8ed"
"""The theme's page in the dark, and what is drawn on it in place of black."""
LEAST_CONTRAST = 4.5
"""Of letters with their ground (WCAG 2.1, 1.4.3), and of lines, which may be as thin."""
WHOLE = "figure_1"
"""Name that matplotlib gives to the group of everything."""
MOST_ACROSS = 0.75
"""A drawing in one column is this much narrower, or it is not worth it."""
NEUTRAL = 24
"""Channels (of 255) that differ by less are a grey."""
SPACE = "http://www.w3.org/2000/svg"
COLOR = re.compile(r"#[0-9a-f]{6}\b")

ElementTree.register_namespace("", SPACE)
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")


def split(text: str) -> tuple[str, str, dict[str, list]]:
    """The drawing without what it carries; its data; where it can be cut."""
    carried = []
    for opening in (DATA, PIECES):
        before, _, rest = text.partition(opening)
        inside, _, after = rest.partition("</metadata>")
        carried.append(ElementTree.fromstring(f"{opening}{inside}</metadata>").text or "")
        text = before + after
    return text, carried[0], json.loads(carried[1])


# --- narrow screens -----------------------------------------------------------------------------


def in_one_column(drawing: str, pieces: dict[str, list]) -> str | None:
    """The panels of a drawing below one another, the legend last; None where it cannot be cut."""
    if not pieces["panels"]:
        return None
    root = ElementTree.fromstring(drawing)
    full = float(root.get("viewBox").split()[2])
    across = max(sum(right - left for left, _, right, _ in row) for row in pieces["panels"])
    if across > MOST_ACROSS * full:
        return None
    rows = [*pieces["panels"], *_in_lines(pieces["legend"], across)]
    hidden = ElementTree.SubElement(root, f"{{{SPACE}}}defs")
    (whole,) = [e for e in root if e.get("id") == WHOLE]
    root.remove(whole)
    hidden.append(whole)
    ground = {"x": "0", "y": "0", "width": "100%", "height": "100%", "style": "fill: #ffffff"}
    ElementTree.SubElement(root, f"{{{SPACE}}}rect", ground)
    y = 0.0
    for row in rows:
        x = 0.0
        for left, top, right, bottom in row:
            size = {"width": f"{right - left:.1f}", "height": f"{bottom - top:.1f}"}
            view = {"viewBox": f"{left} {top} {size['width']} {size['height']}"}
            place = {"x": f"{x:.1f}", "y": f"{y:.1f}"} | size | view
            window = ElementTree.SubElement(root, f"{{{SPACE}}}svg", place)
            ElementTree.SubElement(window, f"{{{SPACE}}}use", {"href": f"#{WHOLE}"})
            x += right - left
        y += max(bottom - top for _, top, _, bottom in row)
    for key, value in {"width": f"{across:.1f}pt", "height": f"{y:.1f}pt"}.items():
        root.set(key, value)
    root.set("viewBox", f"0 0 {across:.1f} {y:.1f}")
    return ElementTree.tostring(root, encoding="unicode")


def _in_lines(boxes: list[list[float]], across: float) -> list[list[list[float]]]:
    """Boxes in lines that are not wider than ``across``."""
    lines: list[list[list[float]]] = []
    used = 0.0
    for box in boxes:
        width = box[2] - box[0]
        if not lines or used + width > across:
            lines.append([])
            used = 0.0
        lines[-1].append(box)
        used += width
    return lines


# --- colours ------------------------------------------------------------------------------------


def _channels(color: str) -> list[int]:
    return [int(color[i : i + 2], 16) for i in (1, 3, 5)]


def _mixed(color: str, other: str, share: float) -> str:
    """``color`` with a ``share`` of ``other`` in it."""
    pairs = zip(_channels(color), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in pairs)


def luminance(color: str) -> float:
    """Relative luminance as WCAG 2.1 defines it."""
    parts = (c / 255 for c in _channels(color))
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    """Contrast ratio as WCAG 2.1 defines it."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def dark(color: str) -> str:
    """A colour on the dark page: greys change places, others stay, lightened if they must be."""
    channels = _channels(color)
    if max(channels) - min(channels) < NEUTRAL:
        return _mixed(INK, GROUND, sum(channels) / (3 * 255))
    steps = (_mixed(color, "#ffffff", i / 40) for i in range(41))
    return next(c for c in steps if contrast(c, GROUND) >= LEAST_CONTRAST)


def in_the_dark(drawing: str) -> str:
    """The drawing for the dark page; cells that stand for values keep their colours, text too."""
    root = ElementTree.fromstring(drawing)
    _recolor(root)
    root.set("fill", INK)  # of all that names no colour: it would be black
    return ElementTree.tostring(root, encoding="unicode")


def _recolor(element: ElementTree.Element) -> None:
    name = element.get("id", "")
    if name.startswith((KEEP, "QuadMesh")):
        element.set("fill", "#000000")
        return
    for key in ("style", "fill", "stroke"):
        if key in element.attrib:
            element.set(key, COLOR.sub(lambda m: dark(m[0]), element.get(key)))
    for child in element:
        _recolor(child)
