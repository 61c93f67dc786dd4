"""What every figure that the reader moves is made of: numbers for its script, and a size limit."""

import json
from collections.abc import Mapping

from escape_ntk.checks import InputError, message
from escape_ntk.display.html import Html


def numbers(data: Mapping) -> str:
    """``data`` as JSON in a script element; nothing in it can end the element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json">{text}</script>'


def limited(text: str, limit: int, remedy: str) -> Html:
    """``text`` as a fragment of a page if it has at most ``limit`` bytes; else InputError."""
    if (size := len(text.encode())) > limit:
        expected = f"a figure of at most {limit} bytes"
        raise InputError(message(expected=expected, got=f"{size} bytes", remedy=remedy))
    return Html(text)
