"""Which test executes which line of the core, and how long it takes: measured, a file at a time."""

import functools
import hashlib
import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = "escape_ntk"


class Hits:
    """A pytest plugin: lines of the modules at ``paths``, by test, and those of all fixtures.

    Caches of the package are emptied before each test, so that a cached result hides no line.
    """

    def __init__(self, paths: dict[str, str]):
        self.paths, self.lines = paths, defaultdict(set)
        self.tests, self.shared, self.failed = {}, set(), []

    def _trace(self, frame, event, argument):
        module = self.paths.get(frame.f_code.co_filename)
        if module is None:
            return None
        add = self.lines[module].add

        def line(frame, event, argument):
            if event == "line":
                add(frame.f_lineno)
            return line

        return line

    def _taken(self) -> set[tuple[str, int]]:
        out = {(module, line) for module, lines in self.lines.items() for line in lines}
        for lines in self.lines.values():
            lines.clear()
        return out

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        _empty_caches()
        self.start, self.item = time.process_time(), set()
        self._taken()
        sys.settrace(self._trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            seconds = time.process_time() - self.start
            self.tests[item.nodeid] = (seconds, self.item | self._taken())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item):
        try:
            return (yield)
        finally:
            self.item = self._taken()
            self.shared |= self.item

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed.append(report.nodeid)


def _empty_caches() -> None:
    modules = [m for name, m in sys.modules.items() if name.split(".")[0] == PACKAGE]
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, functools._lru_cache_wrapper):
                value.cache_clear()


def measured(test_file: Path, sources: dict, folder: Path, in_child, pytest_main) -> dict:
    """The hits of one test file: ``{"tests": {id: [seconds, {module: lines}]}, "shared": …}``.

    Kept in ``folder`` under the digest of the sources and the file.  A failing test is an error.
    """
    digest = hashlib.sha256(test_file.read_bytes())
    for path in sources.values():
        digest.update(path.read_bytes())
    kept = folder / f"{test_file.stem}-{digest.hexdigest()[:16]}.json"
    if not kept.exists():
        plugin = Hits({str(path): module for module, path in sources.items()})

        def run() -> dict:
            code = int(pytest_main([str(test_file)], plugin))
            tests = {name: [s, _by_module(hit)] for name, (s, hit) in plugin.tests.items()}
            found = {"code": code, "failed": plugin.failed, "tests": tests}
            return found | {"shared": _by_module(plugin.shared)}

        found, _ = in_child(run)
        if found is None or found["code"]:
            raise RuntimeError(f"expected {test_file.name} to pass unchanged; got {found}")
        folder.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(found))
    return json.loads(kept.read_text())


def _by_module(hits: set[tuple[str, int]]) -> dict[str, list[int]]:
    out = defaultdict(list)
    for module, line in sorted(hits):
        out[module].append(line)
    return dict(out)
