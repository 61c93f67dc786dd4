"""The whole book as one PDF: what is in it, where its links lead, and what must not be printed."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

import pytest
import whole_book
from bs4 import BeautifulSoup
from headless import ROOT, SITE
from pypdf import PdfReader


@pytest.fixture(scope="module")
def book() -> list[whole_book.Chapter]:
    return whole_book.chapters(SITE, ROOT)


def chapter(inside: str, pages=("book/a", "book/b/c")) -> whole_book.Chapter:
    page = f'<article class="bd-article"><section id="s"><h1>T</h1>{inside}</section></article>'
    body = whole_book.moved(whole_book.article(page), "book/a", pages)
    return whole_book.Chapter("book/a", "Chapters", body)


# --- one page from many -------------------------------------------------------------------------


class Count(HTMLParser):
    """How many figures, statements, exercises and headings stand in the article of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.found: Counter[str] = Counter()
        self.feed(text[text.index('<article class="bd-article"') : text.rindex("</article>")])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count what has a name, and headings."""
        has = dict(attrs)
        classes = (has.get("class") or "").split()
        kinds = {"proof", "exercise"}.intersection(classes) if tag == "div" else {tag}
        for kind in kinds & {"figure", "proof", "exercise", "h2"}:
            self.found[kind] += kind == "h2" or "id" in has


def test_nothing_of_a_page_is_left_out(book):
    totals: Counter[str] = Counter()
    for part in book:
        page = Count((SITE / f"{part.name}.html").read_text("utf-8")).found
        for kind, what in KINDS.items():
            assert len(part.body.select(what)) == page[kind], (part.name, what)
        totals += page
    assert totals.keys() == KINDS.keys() and min(totals.values()) > 20


KINDS = {
    "figure": "figure[id]",
    "proof": "div.proof[id]",
    "exercise": "div.exercise[id]",
    "h2": "h2",
}
"""What is counted on a page, and how it is selected in the printed book."""


def test_every_page_in_its_order(book):
    assert [part.name for part in book] == list(whole_book.parts(ROOT))
    assert list(dict.fromkeys(part.part for part in book))[:3] == ["", "Start here", "Chapters"]
    assert book[-1].part == "Reference"


def test_links_of_the_book_lead_somewhere(book):
    assert whole_book.dangling(book) == []
    assert whole_book.dangling([chapter('<a href="#none">x</a>')]) == ["#book/a--none"]


def test_names_and_links_move_with_their_page():
    body = chapter(
        '<p id="x">'
        '<a href="#x">1</a><a href="b/c.html#y">2</a><a href="b/c.html">3</a>'
        '<a href="https://x.y/#z">4</a><a href="other.html#y">5</a><a href="../_sources/a">6</a>'
        '<img src="../_images/i.svg" loading="lazy" aria-describedby="x s">'
        '<svg fill="url(#x)"><use href="#x"></use></svg></p>'
    ).body
    links = {a.text: a["href"] for a in body.find_all("a")}
    own = "#book/a--x"
    assert links == {"1": own, "2": "#book/b/c--y", "3": "#book/b/c", "4": "https://x.y/#z"}
    assert "5" in body.text and "6" in body.text  # the words stay
    assert body.find(id="book/a--x") and body.find("use")["href"] == own
    image = body.find("img")
    assert (image["src"], image.get("loading")) == ("_images/i.svg", None)
    assert image["aria-describedby"] == "book/a--x book/a--s"
    assert body.find("svg")["fill"] == "url(#book/a--x)"


def test_what_only_a_screen_can_use_stays_there():
    screen = '<a class="headerlink" href="#s">#</a><img class="only-dark"><noscript>n</noscript>'
    body = chapter(f'{screen}<img class="only-light" src="i.svg"><details>d</details>').body
    assert not body.select(".headerlink, .only-dark, noscript") and body.select(".only-light")
    assert body.find("details").has_attr("open")


def test_a_badge_leads_to_the_scorecard_on_paper():
    inside = '<summary class="claim-badge">yes</summary><a href="b/c.html#y">scorecard</a>'
    body = chapter(f'<div><details class="claims">{inside}</details></div>').body
    assert [a["href"] for a in body.select("a.claim-badge")] == ["#book/b/c--y"]
    assert body.find("details") is None and "scorecard" not in body.text


def test_names_in_tables_may_end_a_line():
    body = chapter("<table><tr><td><code>a.b_c</code></td></tr></table><code>a.b</code>").body
    inside = [code.decode_contents() for code in body.find_all("code")]
    assert inside == ["a.<wbr/>b_<wbr/>c", "a.b"]


def test_contents_carry_leaf_numbers():
    one = chapter('<section id="t"><h2>Two</h2></section>')
    text = whole_book.contents([one], {"book/a": 3, "book/a--t": 5})
    lines = [p.get_text("|") for p in BeautifulSoup(text, "html.parser").find_all("p")]
    assert lines == ["Chapters", "T|3", "Two|5"]


# --- from the page to paper ---------------------------------------------------------------------


def test_two_chapters_on_paper(book, browser, tmp_path):
    some = [part for part in book if part.name in ("book/mlp", "book/cnn")]
    target = tmp_path / "some.pdf"
    count = whole_book.make(some, SITE, target, browser)
    reader = PdfReader(target)
    texts = [" ".join(page.extract_text().split()) for page in reader.pages]
    assert count == len(texts) > 10
    assert reader.metadata.title == "Escaping the NTK regime"
    assert all(words in texts[0] for words in ("Version", "licence", "@misc", "@inproceedings"))
    leaves = whole_book.leaf_numbers(reader)
    for part in some:
        assert part.title in texts[leaves[part.name] - 1]
        for name, heading in part.sections:
            first_word = whole_book.title(heading).split()[0]
            assert first_word in texts[leaves[name] - 1]
        for label in part.body.select("div.proof .caption-number, figcaption .caption-number"):
            assert any(" ".join(label.text.split()) in text for text in texts), label
    contents, chapters, within = reader.outline
    assert (contents.title, chapters.title) == ("Contents", "Chapters")
    marks = [mark for mark in within if not isinstance(mark, list)]
    assert [mark.title for mark in marks] == [part.title for part in some]
    for mark, below, part in zip(marks, within[1::2], some, strict=True):
        assert reader.get_destination_page_number(mark) == leaves[part.name] - 1
        assert [m.title for m in below] == [whole_book.title(h) for _, h in part.sections]
        assert all("\\(" not in m.title for m in below)
    opening = texts[1]
    assert all(f"{part.title} {leaves[part.name]}" in opening for part in some)


FAULTS = {
    "picture": '<img src="../_images/none.svg">',
    "cut": '<div style="width: 900px; max-width: none">a</div>',
    "formula": r'<span class="math">\(\frac{1\)</span>',
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_page_is_not_printed(fault, browser, tmp_path):
    target = tmp_path / "kept.pdf"
    target.write_bytes(b"from before")
    with pytest.raises(RuntimeError, match=fault):
        whole_book.make([chapter(FAULTS[fault])], SITE, target, browser)
    assert target.read_bytes() == b"from before"


def test_without_a_browser_it_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(whole_book.browser, "find_browser", lambda: None)
    with pytest.raises(SystemExit, match=r"no browser found.*run `make pdf` again"):
        whole_book.main()
