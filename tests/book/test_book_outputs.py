"""What nbval saw a notebook print is what the book shows; what it did not see whole is run anew.

A small book with its own notebooks, outside the repository; cells import nothing heavy.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from front_matter import HEAD
from jupyter_cache import get_cache
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
PAGE = (
    HEAD
    + """\
# A page

"""
)
CHECKED = ":tags: [nbval-check-output]\n\n"
EVERYTHING = """\
import sys, time
from IPython.display import HTML, clear_output, display
print("one"); print("to be removed", file=sys.stderr)
shown = display(HTML("<b>two</b>"), display_id=True)
shown.update(HTML("<b>three</b>"))
print("four", flush=True); time.sleep(0.3)
print("five")
"""
AGAIN = 'shown.update(HTML("<b>six</b>"))\nprint("gone"); clear_output(wait=True)\n{"seven": 7}'
NEW = 'import uuid\nprint(f"number {uuid.uuid4()}")'
PAGES = {
    "sound": [(EVERYTHING, "", ""), (AGAIN, "", ""), ("print(1 + 1)", CHECKED, "2\n")],
    "new": [(NEW, "", "")],
    "differs": [(NEW, "", ""), ("print(1 + 1)", CHECKED, "3\n")],
    "raises": [(NEW, "", ""), ("1 / 0", "", "")],
    "skipped": [(NEW, "", ""), ("print(3)", ":tags: [nbval-skip]\n\n", "3\n")],
    "meddles": [(f"{NEW}\nopen('../src/a.py', 'w').write('changed')", "", "")],
}
"""Name of a page: source, options and stored text of each of its cells."""
CONF = """\
import sys
sys.path.insert(0, {ext!r})
project = "A small book"
extensions = ["myst_nb", "failed_cell", "source_cache"]
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
include_patterns = ["book/index.md", "book/new.md"]
root_doc = "book/index"
"""


def write(root: Path, name: str) -> Path:
    """A page and its notebook, with the stored outputs."""
    page = root / f"book/{name}.md"
    cells = [f"```{{code-cell}} python\n{tags}{source}\n```\n" for source, tags, _ in PAGES[name]]
    page.write_text(PAGE + "\n".join(cells), "utf-8")
    notebook = jupytext.read(page, fmt="md:myst")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell, (_, _, text) in zip(code, PAGES[name], strict=True):
        cell.execution_count = 1
        cell.outputs = [nbformat.v4.new_output("stream", text=text)] if text else []
    jupytext.write(notebook, page.with_suffix(".ipynb"))
    return page


def validate(root: Path, *names: str) -> str:
    """nbval with the plugin, as `make test-notebooks` calls it."""
    flags = "--nbval-lax --nbval-current-env -q -p no:cacheprovider --rootdir".split()
    command = [sys.executable, "-m", "pytest", "-p", "tests.book_outputs", *flags, str(root)]
    paths = [str(root / f"book/{name}.ipynb") for name in names]
    done = subprocess.run(
        command + paths, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    return done.stdout + done.stderr


def kept(root: Path) -> dict[str, NotebookNode]:
    """Notebooks in the cache, by the name of their page."""
    folders = [path.parent for path in (root / "_build/.jupyter_cache").glob("*/global.db")]
    caches = [get_cache(folder) for folder in folders]
    records = [(cache, record) for cache in caches for record in cache.list_cache_records()]
    return {Path(r.uri).stem: cache.get_cache_bundle(r.pk).nb for cache, r in records}


def checkout(root: Path) -> Path:
    """A folder with what decides the outputs of a page."""
    for name in ("src/a.py", "requirements.txt", "book/records/a.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("before", "utf-8")
    return root


@pytest.fixture(scope="module")
def validated(tmp_path_factory) -> tuple[Path, str]:
    """A small checkout after nbval, and what nbval said; the page that meddles comes last."""
    root = checkout(tmp_path_factory.mktemp("small"))
    for name in PAGES:
        write(root, name)
    said = validate(root, *(name for name in PAGES if name != "meddles"))
    return root, said + validate(root, "meddles")


def plain(notebook: NotebookNode) -> list[dict]:
    """Cells without what has no bearing on a page."""
    return [dict(cell) | {"id": None, "metadata": {}} for cell in notebook.cells]


def number(text: str) -> str:
    """The number, new on every run, that a page or a notebook shows."""
    return re.search("number ([0-9a-f-]{36})", text)[1]


def built(root: Path) -> tuple[str, str]:
    """The page *new* as the small book shows it, and what the build said."""
    (root / "conf.py").write_text(CONF.format(ext=str(ROOT / "book/_ext")), "utf-8")
    (root / "book/index.md").write_text("# Home\n\n```{toctree}\nnew\n```\n", "utf-8")
    command = [sys.executable, "-m", "sphinx", "-W", "-b", "html", ".", "_build/html"]
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return (root / "_build/html/book/new.html").read_text("utf-8"), done.stdout


def test_outputs_are_those_of_the_books_own_way(validated):
    """Streams, displays that change later, results: as nbclient has them from its own kernel."""
    root, _ = validated
    fresh = jupytext.read(root / "book/sound.md", fmt="md:myst")
    fresh.cells = [cell for cell in fresh.cells if cell.cell_type == "code"]
    NotebookClient(fresh, record_timing=False, resources={"metadata": {"path": root}}).execute()
    assert plain(kept(root)["sound"]) == plain(fresh)
    text = str(fresh.cells)
    assert "six" in text and "seven" in text and "'gone" not in text  # the cells do what they say


def test_only_whole_passing_notebooks_of_unchanged_sources_are_kept(validated):
    root, said = validated
    assert kept(root).keys() == {"sound", "new"}
    failed = re.findall(r"FAILED \S*book/(\w+\.ipynb::Cell \d)", said)
    assert failed == ["differs.ipynb::Cell 1", "raises.ipynb::Cell 1"], said
    assert (root / "src/a.py").read_text("utf-8") == "changed"


def test_the_book_shows_what_nbval_saw_and_runs_what_it_did_not(validated):
    root, _ = validated
    (root / "src/a.py").write_text("before", "utf-8")
    seen = number(str(kept(root)["new"]))
    page, said = built(root)
    assert number(page) == seen and "Using cached notebook" in said

    path = root / "book/new.md"
    path.write_text(path.read_text("utf-8").replace("import uuid", "import uuid, sys"), "utf-8")
    page, said = built(root)
    assert number(page) != seen and "Executed notebook" in said


def test_control_a_change_of_the_sources_forgets_what_nbval_saw(validated):
    root, _ = validated
    (root / "src/a.py").write_text("changed", "utf-8")
    _, said = built(root)
    assert "Executed notebook" in said
