"""Buttons for Binder and Colab: right addresses with a repository, none without, no barrier.

A small book with the theme and the extension, built twice; nothing is executed or fetched.
"""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import headless
import pytest
import walk
from front_matter import HEAD
from headless import PAGES, SITE
from test_site import dangling

ROOT = Path(__file__).parents[2]
ADDRESS = "https://github.com/owner/name"
HOSTS = ("mybinder.org", "colab.research.google.com")
CONF = """\
import sys
sys.path[:0] = {folders!r}
project = "A small book"
extensions = ["myst_nb", "launch_buttons"]
html_theme = "sphinx_book_theme"
html_theme_options = {{"search_bar_text": "Search", "navbar_persistent": []}}
html_static_path = [{static!r}]
html_css_files = ["book.css"]
html_js_files = ["access.js"]
nb_execution_mode = "off"
exclude_patterns = ["**/*.ipynb", "_build"]
root_doc = "book/index"
"""
PAGES_OF_IT = {
    "index": "# Home\n\n```{toctree}\ncode\n```\n\n```{launched}\nThe *rocket*. "
    "From {address}, branch {branch}.\n```\n",
    "code": HEAD + "# Code\n\n```{code-cell} python\n1 + 1\n```\n\n{nb-download}`code.ipynb`\n",
}


def set_address(root: Path, url: str) -> None:
    """Write the setting as it stands in the book's own file."""
    text = f'repository:\n  url: "{url}"\n  branch: main\n'
    (root / "_config.yml").write_text(text, "utf-8")


def build(root: Path, url: str) -> subprocess.CompletedProcess:
    """Build the small book."""
    (root / "book").mkdir(parents=True)
    folders = [str(ROOT / f"book/{name}") for name in ("_ext", "tools")]
    conf = CONF.format(folders=folders, static=str(ROOT / "book/_static"))
    (root / "conf.py").write_text(conf, "utf-8")
    set_address(root, url)
    for name, text in PAGES_OF_IT.items():
        (root / f"book/{name}.md").write_text(text, "utf-8")
    prepare = (
        "import sys; sys.path[:0] = {folders!r}; import jupytext, launch;"
        "page = jupytext.read('book/code.md');"
        "jupytext.write(launch.prepared(page, {setting}), 'book/code.ipynb')"
    )
    setting = f"launch.repository({url!r}, 'main')" if url.startswith("https") else "None"
    run = [sys.executable, "-c", prepare.format(folders=folders, setting=setting)]
    subprocess.run(run, cwd=root, check=True)
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", ".", "_build/html"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder of the small book's pages, with and without an address."""
    made = {}
    for name, url in (("with", ADDRESS), ("without", "")):
        root = tmp_path_factory.mktemp(name)
        done = build(root, url)
        assert done.returncode == 0, done.stderr
        made[name] = root / "_build/html"
    return made


class Links(HTMLParser):
    """Addresses in a page, of links and of anything else."""

    def __init__(self, path: Path):
        super().__init__()
        self.all: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note every value that is an address."""
        self.all += [v for _, v in attrs if v and v.startswith("http")]


def launching(path: Path) -> list[str]:
    """Addresses in a page that start it elsewhere."""
    return [url for url in Links(path).all if any(host in url for host in HOSTS)]


def test_a_page_with_cells_opens_its_notebook(built):
    assert launching(built["with"] / "book/code.html") == [
        "https://mybinder.org/v2/gh/owner/name/main?urlpath=lab/tree/book/code.ipynb",
        "https://colab.research.google.com/github/owner/name/blob/main/book/code.ipynb",
    ]
    assert (built["with"].parents[1] / "book/code.ipynb").is_file()


def test_a_page_without_cells_has_no_button(built):
    assert launching(built["with"] / "book/index.html") == []


def test_without_an_address_nothing_speaks_of_one(built):
    for path in built["without"].rglob("*.html"):
        assert launching(path) == [], path
    texts = {k: (v / "book/index.html").read_text("utf-8") for k, v in built.items()}
    assert "<em>rocket</em>" in texts["with"] and "rocket" not in texts["without"]
    assert f"From {ADDRESS}, branch main." in texts["with"]


def test_no_link_of_the_small_book_dangles(built):
    for site in built.values():
        for name in PAGES_OF_IT:
            assert dangling(site / f"book/{name}.html") == []


def test_buttons_are_no_barrier(browser, built):
    with headless.served(built["with"]) as address:
        looks = walk.visit(browser, f"{address}/book/code.html").looks
    assert {where for where, look in looks.items() if look.violations} == set()


def test_an_open_menu_is_no_barrier(browser, built):
    """The menu that holds the buttons, reached and opened by keyboard."""
    with headless.served(built["with"]) as address:
        page = browser.new_page(viewport={"width": headless.DESKTOP, "height": 900})
        page.goto(f"{address}/book/code.html")
        page.locator(".dropdown-launch-buttons button").press("Enter")
        links = page.locator(".dropdown-launch-buttons a")
        links.first.wait_for(state="visible")
        assert [" ".join(text.split()) for text in links.all_inner_texts()] == ["Binder", "Colab"]
        page.close()


def test_a_bad_address_stops_the_build(tmp_path):
    done = build(tmp_path, "git@github.com:owner/name")
    assert done.returncode != 0 and "https://github.com/OWNER/NAME" in done.stderr


def test_notebooks_that_cannot_fetch_the_book_stop_the_build(tmp_path):
    done = build(tmp_path, "")
    assert done.returncode == 0, done.stderr
    set_address(tmp_path, ADDRESS)
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", ".", "_build/html"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "run `make launch`" in done.stderr


# --- the book as it is built --------------------------------------------------------------------


def test_the_book_has_buttons_only_with_an_address():
    setting = (ROOT / "_config.yml").read_text("utf-8")
    if 'repository:\n  url: ""' in setting:
        assert [path for path in PAGES if launching(SITE / path)] == []


class Downloads(HTMLParser):
    """Files that a page offers."""

    def __init__(self, text: str):
        super().__init__()
        self.names: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the name of a file behind a link that downloads."""
        facts = dict(attrs)
        if tag == "a" and "download" in (facts.get("class") or "").split():
            self.names.append((facts.get("href") or "").rsplit("/", 1)[-1])


def test_every_page_with_cells_offers_its_notebook():
    for notebook in (ROOT / "book").glob("*.ipynb"):
        page = SITE / f"book/{notebook.stem}.html"
        assert notebook.name in Downloads(page.read_text("utf-8")).names, page.name


def test_control_a_name_in_a_sentence_is_no_offer():
    text = '<a class="reference" href="a.html">a.ipynb</a> and <code>a.ipynb</code>'
    assert Downloads(text).names == []
    assert Downloads('<a class="reference download" href="x/a.ipynb">').names == ["a.ipynb"]
