"""Notes stand in the margin where there is one, and in line where there is none and on paper."""

from __future__ import annotations

import pytest
from headless import DESKTOP, PHONE

WIDE = 1500
# Edges of notes, of the text around them, and whether the table of contents lies over a note.
LOOK = """() => {
    const edges = (e) => e.getBoundingClientRect();
    const column = edges(document.querySelector('.bd-article section > p'));
    return [...document.querySelectorAll('aside.margin')].map((note) => {
        note.scrollIntoView({block: 'center'});
        const own = edges(note);
        const over = document.elementFromPoint(own.left + own.width / 2, own.top + 30);
        return {
            left: own.left - column.left, right: own.right - column.right,
            beyond: own.right - document.documentElement.clientWidth,
            cut: note.scrollWidth - note.clientWidth, seen: note.contains(over),
        };
    });
}"""


def notes(browser, site: str, width: int, media: str = "screen") -> list[dict]:
    with browser.new_context(viewport={"width": width, "height": 900}) as context:
        page = context.new_page()
        page.goto(f"{site}/book/joint.html", wait_until="networkidle")
        page.emulate_media(media=media)
        return page.evaluate(LOOK)


@pytest.mark.parametrize("width", [DESKTOP, WIDE])
def test_notes_stand_beside_the_text(browser, site, width):
    found = notes(browser, site, width)
    assert len(found) >= 2
    for note in found:
        assert note["right"] > 100 and note["left"] > 300 and note["beyond"] <= 0, note
        assert note["cut"] <= 0 and note["seen"], note


@pytest.mark.parametrize(
    ("width", "media"), [(PHONE, "screen"), (800, "screen"), (DESKTOP, "print")]
)
def test_notes_stand_in_line_where_there_is_no_margin(browser, site, width, media):
    for note in notes(browser, site, width, media):
        assert abs(note["left"]) < 2 and abs(note["right"]) < 2 and note["cut"] <= 0, note
