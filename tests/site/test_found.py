"""What a page says of itself in its head and at its foot, the root, and what is not there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import headless
import pytest
from bs4 import BeautifulSoup
from headless import PAGES, SITE
from test_site import dangling

ROOT = Path(__file__).parents[2]
ADDRESS = "https://owner.github.io/name/"
TEX = re.compile(r"\\[A-Za-z([]|\$")


def read(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


def read_frame(path: Path) -> BeautifulSoup:
    """A page without its article, which takes longest to read."""
    text = re.sub(r"<article\b.*</article>", "", path.read_text("utf-8"), flags=re.S)
    return BeautifulSoup(text, "html.parser")


def said(page: BeautifulSoup, name: str) -> list[str]:
    """What the head of a page says under a name."""
    return [m["content"] for m in page.find_all("meta", attrs={"name": name})] + [
        m["content"] for m in page.find_all("meta", attrs={"property": name})
    ]


@pytest.mark.parametrize("path", [p for p in PAGES if not p.startswith("_modules/")])
def test_a_page_says_what_it_is_about(path):
    page = read_frame(SITE / path)
    (about,) = said(page, "description")
    assert 30 <= len(about) <= 200 and not TEX.search(about), about
    title = page.title.get_text().strip()
    assert title and not re.fullmatch(r"(.+) [—-] \1", title) and not TEX.search(title)


def test_no_two_pages_say_the_same():
    heads = [read_frame(SITE / path) for path in PAGES if path.startswith("book/")]
    for words in ([h.title.get_text() for h in heads], [said(h, "description")[0] for h in heads]):
        assert [text for text, times in Counter(words).items() if times > 1] == []


@pytest.mark.parametrize("path", ["book/setup.html", "book/glossary.html", "genindex.html"])
def test_the_foot_says_which_version_and_how_to_cite(path):
    foot = read(SITE / path).select_one("footer .extra_footer")
    version = re.search(r"^version: (\S+)", (ROOT / "CITATION.cff").read_text("utf-8"), re.M)[1]
    assert f"Version {version}" in foot.get_text() and "MIT licence" in foot.get_text()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", foot.find("time")["datetime"])
    book, paper = (pre.get_text() for pre in foot.select("#cite pre"))
    assert book.startswith("@misc{escape-ntk,") and version in book
    assert paper.startswith("@inproceedings{nichani2022identifying,") and paper.endswith("}")


def test_without_an_address_nothing_speaks_of_one():
    if re.search(r'^  url: ""$', (ROOT / "_config.yml").read_text("utf-8"), re.M) is None:
        pytest.skip("the book has an address")
    for path in ("book/setup.html", "404.html", "index.html"):
        page = read(SITE / path)
        assert page.find("link", rel="canonical") is None and said(page, "og:title") == []
    assert not (SITE / "sitemap.xml").exists()


def test_an_address_that_leads_nowhere_leads_on():
    page = read(SITE / "404.html")
    links = [a["href"] for a in page.select("article a")]
    assert {"book/index.html", "search.html"} <= set(links)
    assert dangling(SITE / "404.html") == []


# ---------------------------------------------------------------- a small book with an address

CONF = """\
import sys
sys.path[:0] = {folders!r}
project = html_title = "A small book"
extensions = ["myst_nb", "sphinx.ext.mathjax", "editions", "found", "foot"]
html_theme = "sphinx_book_theme"
html_static_path = [{static!r}]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
exclude_patterns = ["**/*.ipynb", "_build"]
root_doc = "book/index"
"""
SOURCES = {
    "book/index.md": "# Home\n\n```{toctree}\nsetup\n```\n\nA book that is small.\n",
    "book/setup.md": "# What $\\lambda^2$ is\n\n**Is it $f_L\\le1$?** Yes & no.\n",
    "_config.yml": 'repository:\n  url: "https://github.com/Owner/name"\n  branch: trunk\n',
}


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """Pages of a small book with a public repository."""
    root = tmp_path_factory.mktemp("small")
    (root / "book").mkdir()
    folders = [str(ROOT / f"book/{name}") for name in ("_ext", "tools")]
    conf = CONF.format(folders=folders, static=str(ROOT / "book/_static"))
    (root / "conf.py").write_text(conf, "utf-8")
    for name, text in SOURCES.items():
        (root / name).write_text(text, "utf-8")
    shutil.copy(ROOT / "CITATION.cff", root)
    shutil.copy(ROOT / "book/references.bib", root / "book")
    (root / "readers").mkdir()
    shutil.copy(ROOT / "readers/setup.ipynb", root / "readers")
    (root / "_build/pdf").mkdir(parents=True)
    (root / "_build/pdf/escape-ntk.pdf").write_bytes(b"%PDF")
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", ".", "_build/html"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root / "_build/html"


def test_the_foot_leads_to_the_printed_book(small):
    """And where it has not been printed nothing speaks of it."""
    link = read(small / "book/setup.html").select_one("footer .foot-facts a[href$=pdf]")
    assert (small / "book" / link["href"]).resolve().read_bytes() == b"%PDF"
    printed = (ROOT / "_build/pdf/escape-ntk.pdf").is_file()
    foot = read(SITE / "book/setup.html").select_one("footer .foot-facts")
    assert printed or "PDF" not in foot.get_text()


def test_with_an_address_a_link_shows_what_the_page_is(small):
    page = read(small / "book/setup.html")
    assert page.find("link", rel="canonical")["href"] == f"{ADDRESS}book/setup.html"
    facts = {name: said(page, f"og:{name}")[0] for name in ("title", "description", "url", "image")}
    assert facts["title"] == "What λ² is" and facts["description"] == "Is it f_L≤1? Yes & no."
    assert facts["url"] == f"{ADDRESS}book/setup.html"
    assert facts["image"] == f"{ADDRESS}_cards/setup.png"
    assert (small / "_cards/setup.png").read_bytes().startswith(b"\x89PNG")
    home = read(small / "book/index.html")
    assert said(home, "og:image") == [f"{ADDRESS}_static/card.png"]
    assert (small / "_static/card.png").is_file()


def test_with_a_repository_a_page_can_be_mended(small):
    links = [a["href"] for a in read(small / "book/setup.html").select(".foot-facts a")]
    _, edit, report = links  # the first is the printed book
    assert edit == "https://github.com/Owner/name/edit/trunk/book/setup.md"
    assert report.startswith("https://github.com/Owner/name/issues/new?title=On+the+page+")
    assert f"url    = {{{ADDRESS}book/setup.html}}" in (small / "book/setup.html").read_text(
        "utf-8"
    )


def test_the_list_of_pages_is_whole(small):
    tree = ElementTree.fromstring((small / "sitemap.xml").read_text("utf-8"))
    places = [place.text for place in tree.iter() if place.tag.endswith("}loc")]
    assert places == [f"{ADDRESS}book/index.html", f"{ADDRESS}book/setup.html"]


def test_lost_readers_at_any_depth_get_the_page_whole(small, browser, tmp_path):
    """Served as GitHub Pages does: below /name/, for an address that leads nowhere."""
    assert read(small / "404.html").base["href"] == "/name/"
    deep = tmp_path / "name/book/deep"
    deep.parent.parent.mkdir(parents=True)
    shutil.copytree(small, tmp_path / "name", dirs_exist_ok=True)
    deep.mkdir()
    shutil.copy(small / "404.html", deep / "nothing.html")
    page, failed = browser.new_page(), []
    page.on("response", lambda response: response.status < 400 or failed.append(response.url))
    with headless.served(tmp_path) as address:
        page.goto(f"{address}/name/book/deep/nothing.html")
        page.get_by_role("link", name="home page").click()
        page.wait_for_url("**/name/book/index.html")
    page.close()
    assert sorted(set(failed)) == []


def test_control_without_its_base_that_page_is_bare(small, browser, tmp_path):
    text = (small / "404.html").read_text("utf-8").replace('<base href="/name/" />', "")
    (tmp_path / "name/deep").mkdir(parents=True)
    (tmp_path / "name/deep/nothing.html").write_text(text, "utf-8")
    page, failed = browser.new_page(), []
    page.on("response", lambda response: response.status < 400 or failed.append(response.url))
    with headless.served(tmp_path) as address:
        page.goto(f"{address}/name/deep/nothing.html")
    page.close()
    assert failed
