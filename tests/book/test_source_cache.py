"""The cache of the book's outputs follows the code and the data, and nothing else."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

EXTENSION = Path(__file__).parents[2] / "book" / "_ext" / "source_cache.py"


@pytest.fixture(scope="module")
def source_hash():
    spec = importlib.util.spec_from_file_location("source_cache", EXTENSION)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.source_hash


@pytest.fixture
def root(tmp_path) -> Path:
    """A small checkout."""
    for name in ("src/package/flow.py", "requirements.txt", "book/records/a.json", "book/page.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, "utf-8")
    return tmp_path


@pytest.mark.parametrize("name", ["src/package/flow.py", "requirements.txt", "book/records/a.json"])
def test_a_change_empties_the_cache(source_hash, root, name):
    before = source_hash(root)
    (root / name).write_text("changed", "utf-8")
    assert source_hash(root) != before


def test_a_new_name_empties_the_cache(source_hash, root):
    before = source_hash(root)
    (root / "src/package/flow.py").rename(root / "src/package/descent.py")
    assert source_hash(root) != before


def test_what_no_cell_reads_keeps_the_cache(source_hash, root):
    before = source_hash(root)
    (root / "src/package/__pycache__").mkdir()
    (root / "src/package/__pycache__/flow.pyc").write_bytes(b"compiled")
    (root / "book/page.md").write_text("changed; the key of jupyter-cache covers it", "utf-8")
    (root / "src/package/flow.py").touch()
    assert source_hash(root) == before
