"""The installed Firefox without a window, over WebDriver BiDi, which it speaks by itself.

No driver stands between, and none has to be had.  Of the protocol there is what the tests of the
site need: a page is opened, made wide or narrow, and asked something; what goes wrong in it is
noted as for Chromium (:class:`headless.Findings`).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any
from urllib.parse import urlsplit

from headless import Findings
from websockets.sync.client import ClientConnection, connect

FIREFOXES = ("firefox-esr", "firefox", "/Applications/Firefox.app/Contents/MacOS/firefox")
NO_FIREFOX = f"no Firefox found: expected one of {', '.join(FIREFOXES)}"
SECONDS = 120
"""For an answer, at most."""
LEFT = "NS_BINDING_ABORTED"
"""The error of a request that was under way when its page was left."""

# A conversation with its maker, and processes of its own for what comes from elsewhere, are what a
# test has no need of; nothing slides while it is looked at.
PREFERENCES = {
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.ipc.processCount": 1,
    "dom.ipc.processPrelaunch.enabled": False,
    "fission.autostart": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "ui.prefersReducedMotion": 1,
}
EVENTS = (
    "log.entryAdded",
    "network.beforeRequestSent",
    "network.fetchError",
    "network.responseCompleted",
)


def find_firefox() -> str | None:
    """Return the path of an installed Firefox, or None."""
    return next(filter(None, map(shutil.which, FIREFOXES)), None)


class Tab:
    """The one tab of a Firefox that was started for tests."""

    def __init__(self, connection: ClientConnection):
        self._connection = connection
        self._asked = 0
        self.findings, self._host = Findings(), ""
        self._ask("session.new", capabilities={})
        (first,) = self._ask("browsingContext.getTree")["contexts"]
        self._context = first["context"]
        self._ask("session.subscribe", events=EVENTS, contexts=[self._context])

    def open(self, url: str) -> None:
        """Load ``url`` to its end; what is found from now on belongs to it."""
        self._navigate("about:blank")  # what is cut off in the page before belongs to that
        self.findings, self._host = Findings(), urlsplit(url).netloc
        self._navigate(url)

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page so many CSS pixels."""
        viewport = {"width": width, "height": height}
        self._ask("browsingContext.setViewport", context=self._context, viewport=viewport)

    def evaluate(self, function: str, argument: Any = None) -> Any:
        """What a function in JavaScript returns, or promises, as JSON has it."""
        told = f"async (a) => JSON.stringify(await ({function})(JSON.parse(a)) ?? null)"
        answer = self._ask(
            "script.callFunction",
            functionDeclaration=told,
            arguments=[{"type": "string", "value": json.dumps(argument)}],
            target={"context": self._context},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    def _navigate(self, url: str) -> None:
        self._ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def _ask(self, method: str, **params: Any) -> dict:
        """Send a command; note what is reported before its answer comes."""
        self._asked += 1
        self._connection.send(json.dumps({"id": self._asked, "method": method, "params": params}))
        while True:
            message = json.loads(self._connection.recv(SECONDS))
            if message.get("type") == "event":
                self._note(message["method"], message["params"])
            elif message.get("id") == self._asked:
                if message["type"] == "error":
                    raise RuntimeError(f"{method}: {message['message']}")
                return message["result"]

    def _note(self, event: str, told: dict) -> None:
        url = told.get("request", {}).get("url", "")
        if event == "log.entryAdded":
            self.findings.console += [told["text"]] if told["level"] == "error" else []
        elif event == "network.beforeRequestSent":
            self.findings.note_host(url, self._host)
        elif event == "network.fetchError":
            if told["errorText"] != LEFT:
                self.findings.failed.append(url)
        elif told["response"]["status"] >= 400:
            self.findings.failed.append(url)


@contextmanager
def firefox() -> Iterator[Tab]:
    """Start the installed Firefox; end it at the end."""
    # Its helpers may still write into the profile when it has ended.
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items()]
        (Path(profile) / "user.js").write_text("\n".join(lines), "utf-8")
        command = [find_firefox(), "--headless", "--no-remote", "--remote-debugging-port=0"]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen([*command, "--profile", profile], **silent) as process:
            try:
                with connect(_address(Path(profile)), max_size=None) as connection:
                    yield Tab(connection)
            finally:
                process.terminate()


def _address(profile: Path) -> str:
    """Where a Firefox that has just been started listens: it writes so into its profile."""
    for _ in range(10 * SECONDS):
        with suppress(OSError, ValueError):  # not yet there, not yet whole
            told = json.loads((profile / "WebDriverBiDiServer.json").read_text("utf-8"))
            return f"ws://{told['ws_host']}:{told['ws_port']}/session"
        sleep(0.1)
    raise TimeoutError(f"expected Firefox to listen within {SECONDS} s; it does not")
