"""Ask every external address of the book whether it is there; write the answers to its list.

Called by ``make links``.  Without a network nothing is known of any address: then no answer on
the list changes, and the exit status is 2.  An address that is gone makes it 1.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

sys.path.append(str(Path(__file__).parents[1] / "_ext"))

import links

ROOT = Path(__file__).parents[2]
PROBE = ("https://example.com", b"Example Domain")
"""An address that answers as long as there is a network (RFC 2606), and words of its page: what a
gateway puts in its place has other words."""
TIMEOUT = 20.0  # seconds
PAUSE = 1.0  # seconds between two questions: nobody is to be hurried
AGENT = {"User-Agent": "Mozilla/5.0 (compatible; link check of a book, by hand, once in a while)"}
REFUSED = {401, 403, 429}
"""Answers of a host that is there and does not talk to programs."""
GONE = {404, 410}


def ask(url: str, method: str, timeout: float) -> tuple[int, str, bytes]:
    """Status, address after redirects, and the first bytes of the page."""
    with urlopen(Request(url, headers=AGENT, method=method), timeout=timeout) as answer:
        return answer.status, answer.url, answer.read(4096)


def has_network(probe: tuple[str, bytes] = PROBE, timeout: float = TIMEOUT) -> bool:
    """Whether an address that always answers does, in its own words."""
    try:
        status, _, page = ask(probe[0], "GET", timeout)
    except (OSError, HTTPException):
        return False
    return status == HTTPStatus.OK and probe[1] in page


def outcome(url: str, timeout: float = TIMEOUT) -> str:
    """What an address answers, in words: its head is asked for first, then the page itself."""
    words = ""
    for method in ("HEAD", "GET"):
        try:
            status, final, _ = ask(url, method, timeout)
        except HTTPError as error:
            words = refusal(error.code)
        except TimeoutError:
            words = "no answer in time"
        except (OSError, HTTPException) as error:
            late = isinstance(getattr(error, "reason", None), TimeoutError)
            words = "no answer in time" if late else "host not reached"
        else:
            there, asked = urlsplit(final).hostname, urlsplit(url).hostname
            moved = f", leads to {there}" if there != asked else ", moved" if final != url else ""
            return f"reached ({status}{moved})"
    return words


def refusal(code: int) -> str:
    """In words: an answer that is not the page."""
    if code in GONE:
        return f"gone ({code})"
    return f"there, refuses programs ({code})" if code in REFUSED else f"error ({code})"


def checked(
    known: dict[str, dict | None],
    found: list[str],
    *,
    probe: tuple[str, bytes] = PROBE,
    timeout: float = TIMEOUT,
    pause: float = PAUSE,
    say: Callable[[str], None] = print,
) -> tuple[dict[str, dict | None], bool]:
    """The list for the addresses ``found``, and whether there was a network to ask them."""
    new = {url: known.get(url) for url in sorted(found)}
    if not has_network(probe, timeout):
        return new, False
    for number, url in enumerate(new):
        time.sleep(pause if number else 0)
        day = datetime.now(UTC).strftime("%Y-%m-%d")
        new[url] = {"checked": day, "outcome": outcome(url, timeout)}
        say(f"{new[url]['outcome']}: {url}")
    if not has_network(probe, timeout):  # lost on the way: who did not answer is not known
        return {url: known.get(url) for url in new}, False
    return new, True


def main(root: Path = ROOT, **options) -> int:
    """Bring the list in line with the book, then ask; 0 all there, 1 some gone, 2 no network."""
    path = root / links.LIST
    known = links.listed(root) if path.is_file() else {}
    new, asked = checked(known, list(links.found(root)), **options)
    path.write_text(json.dumps(new, indent=1) + "\n", "utf-8")
    if not asked:
        host = options.get("probe", PROBE)[0]
        print(
            f"make links: expected a network; got no answer from {host}. Nothing was checked: "
            "dates and outcomes stay as they were. Try again from a machine that is connected.",
            file=sys.stderr,
        )
        return 2
    return int(any(facts["outcome"].startswith("gone") for facts in new.values()))


if __name__ == "__main__":
    sys.exit(main())
