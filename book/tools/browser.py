"""A real browser without a window, and a server on this machine for what it is to open.

For the PDF of the book (``whole_book.py``) and for the tests of the site.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from playwright.sync_api import Browser, sync_playwright

BROWSERS = (
    "chromium-headless-shell",  # Chromium without its windows: less to compute
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
NO_BROWSER = f"no browser found: expected one of {', '.join(BROWSERS)}"
# No window, no graphics card, and no conversation of the browser with its maker.  Letters stand
# where their font puts them, not on whole pixels: on paper words would fall apart.
FLAGS = (
    "--font-render-hinting=none",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ROOT_FLAG = "--no-sandbox"  # Chromium refuses its sandbox to root


def find_browser() -> str | None:
    """Return the path of an installed Chromium, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the installed Chromium; close it at the end."""
    flags = [*FLAGS, ROOT_FLAG] if os.geteuid() == 0 else [*FLAGS]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=flags)
        try:
            yield browser
        finally:
            browser.close()


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        """Say nothing about requests that were answered."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, *args) -> None:
        """Say nothing about a browser that was closed in the middle of an answer."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve ``folder`` on this machine only; yield its address."""
    server = _Server(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
