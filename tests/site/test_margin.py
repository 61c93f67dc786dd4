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
            shaved: note.scrollHeight - note.clientHeight,
        };
    });
}"""


def test_notes_stand_beside_the_text_or_in_line_where_there_is_no_margin(browser, site):
    page = browser.new_page(viewport={"width": DESKTOP, "height": 900})
    page.goto(f"{site}/book/joint.html", wait_until="networkidle")
    for width in (DESKTOP, WIDE, 800, PHONE):
        page.set_viewport_size({"width": width, "height": 900})
        (beside if width >= DESKTOP else in_line)(page.evaluate(LOOK))
    page.set_viewport_size({"width": DESKTOP, "height": 900})
    page.emulate_media(media="print")
    in_line(page.evaluate(LOOK))
    page.close()


def beside(notes: list[dict]) -> None:
    assert len(notes) >= 2
    for note in notes:
        assert note["right"] > 100 and note["left"] > 300 and note["beyond"] <= 0, note
        assert note["cut"] <= 0 and note["seen"], note


def in_line(notes: list[dict], least: int = 2) -> None:
    assert len(notes) >= least
    for note in notes:
        assert abs(note["left"]) < 2 and abs(note["right"]) < 2 and note["cut"] <= 0, note


@pytest.mark.parametrize("path", ["setup", "end-to-end"])
def test_notes_stand_in_line_where_letters_are_large(browser, site, path):
    """Beside the text they would be columns of one word; control: with small letters they are."""
    page = browser.new_page(viewport={"width": DESKTOP, "height": 900})
    page.goto(f"{site}/book/{path}.html", wait_until="networkidle")
    page.add_style_tag(content="html { font-size: 200% }")
    in_line(page.evaluate(LOOK), 1)
    page.add_style_tag(content="html { font-size: 100% }")
    with pytest.raises(AssertionError):
        in_line(page.evaluate(LOOK), 1)
    page.close()


@pytest.mark.parametrize("tall", [False, True])
def test_what_is_read_aloud_makes_no_note_scroll(browser, site, tall):
    """Control: it does where it is as high as its letters."""
    page = browser.new_page(viewport={"width": 1199, "height": 900})
    page.goto(f"{site}/book/quadntk.html", wait_until="networkidle")
    if tall:
        page.add_style_tag(
            content="html mjx-container > mjx-assistive-mml {height: 9em !important}"
        )
    shaved = [note["shaved"] for note in page.evaluate(LOOK)]
    page.close()
    assert shaved and (max(shaved) > 0) == tall


LOW = 650  # of a window, in pixels: a laptop's, between its bars
UNFOLDED = "height: 100vh !important; max-height: none !important"
COVERED = """async () => {
    const found = [];
    for (const note of document.querySelectorAll('aside.margin')) {
        const height = note.getBoundingClientRect().height;
        const below = Math.max(innerHeight - height - 10, 60);
        const top = scrollY + note.getBoundingClientRect().top - below;
        scrollTo({top, behavior: 'instant'});
        await new Promise((done) => setTimeout(done, 600));  // the contents fold in 0.4 s
        const own = note.getBoundingClientRect();
        for (const x of [own.left + 3, own.left + 40, own.right - 3]) {
            const seen = document.elementFromPoint(x, own.top + 5);
            if (!note.contains(seen)) found.push(note.textContent.trim().slice(0, 40));
        }
    }
    return found;
}"""


@pytest.mark.parametrize("unfolded", [False, True])
def test_the_contents_of_the_page_cover_no_note(browser, site, unfolded):
    """Notes low in a low window; control: with contents as high as the window they are covered."""
    with browser.new_context(viewport={"width": DESKTOP, "height": LOW}) as context:
        page = context.new_page()
        page.goto(f"{site}/book/regularizer.html", wait_until="networkidle")
        if unfolded:
            page.add_style_tag(content=f".bd-sidebar-secondary {{ {UNFOLDED} }}")
        found = page.evaluate(COVERED)
    assert bool(found) == unfolded, found
