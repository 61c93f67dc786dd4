"""The list of external addresses is whole, and its answers come from asking.

The questions are put to a server on this machine; no test needs a network.
"""

import importlib
import json
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

ROOT = Path(__file__).parents[2]
REMEDY = "run `make links`: it brings the list in line, with or without a network"


@pytest.fixture(scope="module")
def modules():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "book/tools")
        patch.syspath_prepend(ROOT / "book/_ext")
        yield importlib.import_module("links"), importlib.import_module("check_links")


@pytest.fixture(scope="module")
def links(modules):
    return modules[0]


@pytest.fixture(scope="module")
def check(modules):
    return modules[1]


# ---------------------------------------------------------------- the list


def test_the_list_is_that_of_the_book(links):
    assert links.disagreements(links.found(ROOT), links.listed(ROOT)) == [], REMEDY


def test_entries_say_when_and_what_or_nothing(links):
    for url, facts in links.listed(ROOT).items():
        assert facts is None or (facts.keys() == {"checked", "outcome"} and all(facts.values())), (
            url
        )


def test_addresses_stand_where_they_are_shown(links):
    places = links.found(ROOT)
    assert places["https://arxiv.org/abs/2206.03688"] == [
        "book/bibliography",
        "README.md",
        "CITATION.cff",
    ]
    assert places["https://doi.org/10.1016/S0377-0427(97)00219-7"] == ["book/bibliography"]


def test_control_a_missing_and_an_idle_address_are_found(links):
    assert links.disagreements(["https://a.org", "https://b.org"], ["https://b.org"]) == [
        "https://a.org: not on the list"
    ]
    assert links.disagreements(["https://b.org"], ["https://a.org", "https://b.org"]) == [
        "https://a.org: stands nowhere"
    ]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("[x](https://a.org/b).", "https://a.org/b"),
        ("(see https://a.org/b_(c)).", "https://a.org/b_(c)"),
        ("<https://a.org/b?c=d#e>,", "https://a.org/b?c=d#e"),
        (r"\url{https://a.org/b}}", "https://a.org/b"),
        ("**https://a.org/~b/**", "https://a.org/~b/"),
    ],
)
def test_an_address_ends_where_it_ends(links, text, url):
    assert links.addresses(text) == [url]


def test_what_leads_nowhere_else_is_no_external_address(links):
    text = "http://127.0.0.1:8000/ http://localhost/x http://www.w3.org/2000/svg tcp://a.org"
    assert links.addresses(text) == []


@pytest.fixture
def root(tmp_path) -> Path:
    """A small book with one address of each kind, and a work that nobody cites."""
    for name, text in {
        "_toc.yml": "root: book/index.md\nparts: []\n",
        "book/index.md": "See https://page.org/ and {cite:t}`one`.\n",
        "book/references.bib": "@misc{one, doi = {10.1/x}, eprint = {1.2}}\n"
        "@misc{two, doi = {10.1/nobody}}\n",
        "src/package/a.py": '"""https://code.org"""\n',
        "README.md": "[here](https://readme.org)\n",
        "CITATION.cff": 'doi: 10.1/y\nvalue: "arXiv:3.4"\n',
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path


def test_each_kind_of_place_is_looked_at(links, root):
    assert links.found(root) == {
        "https://arxiv.org/abs/1.2": ["book/bibliography"],
        "https://arxiv.org/abs/3.4": ["CITATION.cff"],
        "https://code.org": ["src/package/a.py"],
        "https://doi.org/10.1/x": ["book/bibliography"],
        "https://doi.org/10.1/y": ["CITATION.cff"],
        "https://page.org/": ["book/index"],
        "https://readme.org": ["README.md"],
    }


# ---------------------------------------------------------------- the questions

ENOUGH = Event()
"""Set when the tests are over: the slow answer need not be slow any longer."""


class Answers(BaseHTTPRequestHandler):
    """Answers by path: /200, /404, …; /moved leads to /200; /slow says nothing; /get no HEAD."""

    def do_GET(self) -> None:
        """Answer."""
        word = self.path.strip("/")
        if word == "slow":
            ENOUGH.wait(10)
            return
        if word == "moved":
            self.send_response(301)
            self.send_header("Location", "/200")
        else:
            head_only = self.command == "HEAD" and word == "get"
            self.send_response(405 if head_only else int(word) if word.isdigit() else 200)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(b"the words of the page")

    do_HEAD = do_GET

    def log_message(self, *args) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server():
    """Address of a server with every answer."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}"
    ENOUGH.set()
    made.shutdown()
    made.server_close()


@pytest.fixture(scope="module")
def nobody() -> str:
    """An address on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("200", "reached (200)"),
        ("get", "reached (200)"),
        ("moved", "reached (200, moved)"),
        ("404", "gone (404)"),
        ("410", "gone (410)"),
        ("403", "there, refuses programs (403)"),
        ("500", "error (500)"),
        ("slow", "no answer in time"),
    ],
)
def test_answers_become_words(check, server, path, words):
    assert check.outcome(f"{server}/{path}", timeout=0.3) == words


def test_a_host_that_is_not_there_is_not_called_gone(check, nobody):
    assert check.outcome(nobody, timeout=1) == "host not reached"


def test_a_redirect_to_another_host_is_named(check, server, monkeypatch):
    monkeypatch.setattr(check, "ask", lambda *_: (200, "https://elsewhere.org/x", b""))
    assert check.outcome(server) == "reached (200, leads to elsewhere.org)"


def test_a_gateway_is_no_network(check, server, nobody):
    assert check.has_network((f"{server}/200", b"the words"), 1)
    assert not check.has_network((f"{server}/200", b"other words"), 1)
    assert not check.has_network((f"{server}/404", b"the words"), 1)
    assert not check.has_network((nobody, b""), 1)


def test_the_list_is_written(links, check, root, server, capsys):
    (root / "book/index.md").write_text("{cite:t}`two`\n", "utf-8")
    for name in ("src/package/a.py", "CITATION.cff", "README.md", "book/references.bib"):
        (root / name).write_text("", "utf-8")
    known = {f"{server}/200": None, f"{server}/404": {"checked": "2020-01-01", "outcome": "old"}}
    new, asked = check.checked(
        known, list(known), probe=(f"{server}/200", b"words"), timeout=1, pause=0, say=lambda _: 0
    )
    assert asked and [facts["outcome"] for facts in new.values()] == ["reached (200)", "gone (404)"]
    assert all(facts["checked"] > "2026" for facts in new.values())
    assert check.main(root, probe=(f"{server}/200", b"words"), timeout=1, pause=0) == 0
    assert links.listed(root) == {}


def test_an_address_that_is_gone_is_an_error(links, check, root, server, monkeypatch):
    monkeypatch.setattr(check.links, "found", lambda _: {f"{server}/404": ["README.md"]})
    assert check.main(root, probe=(f"{server}/200", b"words"), timeout=1, pause=0) == 1


def test_without_a_network_no_answer_changes(links, check, root, nobody, capsys):
    old = {"checked": "2020-01-01", "outcome": "reached (200)"}
    known = {"https://page.org/": old, "https://stands-nowhere.org": old}
    (root / links.LIST).write_text(json.dumps(known), "utf-8")
    assert check.main(root, probe=(nobody, b""), timeout=1) == 2
    now = links.listed(root)
    assert now.pop("https://page.org/") == old
    assert len(now) == 6 and set(now.values()) == {None}
    assert f"expected a network; got no answer from {nobody}" in capsys.readouterr().err


def test_a_network_lost_on_the_way_leaves_the_list(check, server, monkeypatch):
    there = iter([True, False])
    monkeypatch.setattr(check, "has_network", lambda *_: next(there))
    new, asked = check.checked({}, [f"{server}/200"], pause=0, say=lambda _: 0)
    assert (new, asked) == ({f"{server}/200": None}, False)
