"""What belongs to a figure."""

from __future__ import annotations


def lacks(figure: dict) -> list[str]:
    """What a figure lacks."""
    names = [url.rsplit("/", 1)[-1] for url in figure["files"]]
    parts = {
        "alt text": figure["alts"] and all(len(alt) > 20 for alt in figure["alts"]),
        "provenance": figure["provenance"],
        "drawing": figure["made"] or any(name.endswith(".svg") for name in names),
        "data": figure["made"] or any(name.endswith(".csv") for name in names),
    }
    return [part for part, there in parts.items() if not there]
