"""Lines of a page with the directives and listings that they stand in."""

from __future__ import annotations

import re
from collections.abc import Iterator

FENCE = re.compile(r"^ *(?:\d+\. +|[*-] +)?([:`~]{3,}) *(\S.*)?$")
CODE = re.compile(r"\{(code|literalinclude|eval-rst)|[^{]")
"""What follows the fence of something that is not text of the book."""


def lines(text: str) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """(number from 1, line, what opened the fences around it, outermost first); no fences."""
    opened: list[tuple[str, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        match = FENCE.match(line)
        if match and opened and match[1] == opened[-1][0] and not match[2]:
            opened.pop()
        elif match and not (opened and CODE.match(opened[-1][1])):
            opened.append((match[1], match[2] or " "))
            yield number, match[2] or "", tuple(info for _, info in opened[:-1])
        else:
            yield number, line, tuple(info for _, info in opened)


def is_code(around: tuple[str, ...]) -> bool:
    """Whether a line in these fences is code."""
    return any(CODE.match(info) for info in around)
