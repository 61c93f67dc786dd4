"""What belongs to a figure."""

from __future__ import annotations

from headless import PHONE


def lacks(figure: dict) -> list[str]:
    """What a figure lacks."""
    names = [url.rsplit("/", 1)[-1] for url in figure["files"]]
    looks = set() if figure["made"] else {*" ".join(figure["looks"]).split()}
    parts = {
        "looks": figure["made"] or {"only-light", "only-dark"} <= looks,
        "alt text": figure["alts"] and all(len(alt) > 20 for alt in figure["alts"]),
        "provenance": figure["provenance"],
        "drawing": figure["made"] or any(name.endswith(".svg") for name in names),
        "data": figure["made"] or any(name.endswith(".csv") for name in names),
    }
    return [part for part, there in parts.items() if not there]


def shown_wrongly(width: int, theme: str, figures: list[dict]) -> list[str]:
    """Figures of a page of which not one look is shown, that of the width and the theme.

    A figure that is drawn in one shape only is drawn wide.
    """

    def sound(figure: dict) -> bool:
        shape = "narrow" if width == PHONE and "narrow" in " ".join(figure["looks"]) else "wide"
        due = {f"only-{theme}", shape}
        return [due <= {*look.split()} for look in figure["shown"]] == [True]

    return [f["id"] for f in figures if not f["made"] and not sound(f)]
