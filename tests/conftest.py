"""Shared by all tests: array shapes checked against the signatures, and patient properties.

With ``SHAPES=1`` every function of the modules that state shapes is wrapped so that
``Float[Tensor, "n d"]`` in its signature is checked at each call.  Tests of bad input run without
it, as users run the package.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from hypothesis import settings

PACKAGE = Path(__file__).parents[1] / "src/escape_ntk"


def with_shapes() -> list[str]:
    """The modules of the package that state shapes."""
    paths = sorted(PACKAGE.rglob("*.py"))
    stating = [path for path in paths if "jaxtyping import" in path.read_text("utf-8")]
    return [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in stating]


if os.environ.get("SHAPES") == "1":
    if "escape_ntk" in sys.modules:
        raise RuntimeError("SHAPES=1: expected escape_ntk not yet imported; only tests import it")
    from jaxtyping import install_import_hook

    # An int is welcome where a float is asked for, as everywhere in Python (PEP 484).
    install_import_hook(
        with_shapes(), "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
    )

# Small arrays on a busy machine: more threads only wait for one another.
torch.set_num_threads(1)

# A deadline per example would measure how busy the machine is.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="module")
def extensions():
    """The folder of the book's own extensions, as Sphinx sees it, and that of its tools."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in ("book/tools", "book/_ext"):
            patch.syspath_prepend(Path(__file__).parents[1] / folder)
        yield


@pytest.fixture(scope="module")
def headless():
    """tests/site/headless.py where there is a browser to drive."""
    pytest.importorskip("playwright", reason="no playwright, hence no browser to drive")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent / "site")
        module = importlib.import_module("headless")
    if module.find_browser() is None:
        pytest.skip(module.NO_BROWSER)
    return module


@pytest.fixture(scope="module")
def browser(headless):
    """The browser, for the tests of one file; those of the site share one for all."""
    with headless.chromium() as started:
        yield started


@pytest.fixture(scope="session")
def ledger_rows(tmp_path_factory) -> list[dict]:
    """The rows of the claims ledger as JSON, evaluated once a session, by one worker for all."""
    folder = tmp_path_factory.getbasetemp()
    several = "PYTEST_XDIST_WORKER" in os.environ  # each has its own folder in a common one
    place = (folder.parent if several else folder) / "ledger.json"
    with FileLock(f"{place}.lock"):
        if not place.exists():
            from escape_ntk import chapters
            from escape_ntk.records.store import RecordStore, default_root

            rows = chapters.evaluate_all(RecordStore(default_root()))
            place.write_text(json.dumps(rows, allow_nan=False), "utf-8")
    return json.loads(place.read_text("utf-8"))
