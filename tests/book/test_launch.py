"""The repository's address: one setting, absent by default, from which notebooks are prepared."""

import importlib
import re
import sys
from pathlib import Path

import jupytext
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).parents[2]
ADDRESS = "https://github.com/owner/name"
BINDER = ROOT / ".binder"


@pytest.fixture(scope="module")
def launch():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "book/tools")
        yield importlib.import_module("launch")


# ---------------------------------------------------------------- the setting


def test_no_address_is_no_repository(launch):
    assert launch.repository("", "main") is launch.repository(None, None) is None


@pytest.mark.parametrize("url", [ADDRESS, ADDRESS + "/"])
def test_an_address_is_a_repository(launch, url):
    assert launch.repository(url, "main") == launch.Repository(ADDRESS, "main")


@pytest.mark.parametrize(
    ("url", "branch", "expected"),
    [
        ("github.com/owner/name", "main", "url: of the form https://github.com/OWNER/NAME"),
        ("https://github.com/owner", "main", "url: of the form"),
        ("https://github.com/owner/name/tree/main", "main", "url: of the form"),
        ("https://github.com/owner/name.git", "main", "url: of the form"),
        ("https://gitlab.com/owner/name", "main", "url: of the form"),
        ("https://github.com/owner/name; rm x", "main", "url: of the form"),
        (["https://github.com/owner/name"], "main", "url: of the form"),
        (ADDRESS, "", "branch: a name of letters"),
        (ADDRESS, None, "branch: a name of letters"),
        (ADDRESS, "a b", "branch: a name of letters"),
    ],
)
def test_a_bad_setting_is_an_error_that_says_what_to_do(launch, url, branch, expected):
    with pytest.raises(launch.RepositoryError, match=expected) as caught:
        launch.repository(url, branch)
    got = url if expected.startswith("url") else branch
    assert f"got {got!r}; remedy: " in str(caught.value)


def test_notebooks_of_the_book_agree_with_its_setting(launch):
    assert launch.unprepared(ROOT, launch.configured(ROOT)) == [], "run `make launch`"


# ---------------------------------------------------------------- notebooks


@pytest.fixture
def root(tmp_path) -> Path:
    """A book with one notebook and no address."""
    (tmp_path / "book").mkdir()
    write_setting(tmp_path, "")
    jupytext.write(new_notebook(cells=[new_code_cell("1 + 1")]), tmp_path / "book/page.ipynb")
    return tmp_path


def write_setting(root: Path, url: str) -> None:
    text = f'repository:\n  url: "{url}"\n  branch: trunk\n'
    (root / "_config.yml").write_text(text, "utf-8")


def cells(root: Path) -> list[str]:
    return [cell.source for cell in jupytext.read(root / "book/page.ipynb").cells]


def test_the_address_goes_in_and_out(launch, root, capsys):
    before = (root / "book/page.ipynb").read_text("utf-8")
    launch.main(root)
    assert (root / "book/page.ipynb").read_text("utf-8") == before
    write_setting(root, ADDRESS)
    assert launch.unprepared(root, launch.configured(root)) == ["page.ipynb"]
    launch.main(root)
    assert launch.unprepared(root, launch.configured(root)) == []
    fetch, own = cells(root)
    assert own == "1 + 1" and f"--branch trunk {ADDRESS} /content/name\n" in fetch
    write_setting(root, "https://github.com/owner/other")
    assert launch.unprepared(root, launch.configured(root)) == ["page.ipynb"]
    launch.main(root)
    assert "/content/other" in cells(root)[0] and len(cells(root)) == 2
    write_setting(root, "")
    launch.main(root)
    assert cells(root) == ["1 + 1"]
    assert capsys.readouterr().out.splitlines()[-1] == "no public address: 1 notebooks changed"


def test_without_colab_the_first_cell_does_nothing(launch, tmp_path):
    setup = launch.Repository(ADDRESS, "main").setup
    notebook = new_notebook(cells=[new_code_cell(setup), new_code_cell("import os; os.getcwd()")])
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert notebook.cells[0].outputs == []
    assert tmp_path.name in notebook.cells[1].outputs[0]["data"]["text/plain"]


# ---------------------------------------------------------------- Binder


def requirements() -> list[str]:
    lines = (BINDER / "requirements.txt").read_text("utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_binder_installs_what_is_pinned():
    """The pins are those of the book because they are the same file."""
    options = [line for line in requirements() if line.startswith("-")]
    assert options == [
        "--constraint ../requirements.txt",
        "--extra-index-url=https://download.pytorch.org/whl/cpu",
        "--editable .",
    ]
    assert (BINDER / options[0].split()[1]).resolve() == ROOT / "requirements.txt"
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text("utf-8"), re.M))
    asked = re.search(
        r"^dependencies = \[(.*?)\]", (ROOT / "pyproject.toml").read_text("utf-8"), re.M | re.S
    )
    needed = {*re.findall(r'"([\w-]+)"', asked[1]), *(x for x in requirements() if x[0] != "-")}
    assert needed - pinned == set() and {"torch", "myst-nb"} <= needed


def test_binder_has_the_python_that_the_pins_are_for():
    name, version = (BINDER / "runtime.txt").read_text("utf-8").strip().split("-")
    requires = re.search(
        r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text("utf-8")
    )
    assert (name, version) == ("python", requires[1])


def foreign_imports(notebook: Path) -> set[str]:
    """Packages that the cells of a notebook import, beyond Python's own."""
    source = "\n".join(c.source for c in jupytext.read(notebook).cells if c.cell_type == "code")
    found = re.findall(r"^\s*(?:from|import) (\w+)", source, re.M)
    return set(found) - sys.stdlib_module_names - {"escape_ntk"}


def test_binder_has_what_the_pages_import():
    used = set().union(*(foreign_imports(path) for path in (ROOT / "book").glob("*.ipynb")))
    used |= {"matplotlib", "myst_nb"}  # by what shows figures
    assert used == {"matplotlib", "myst_nb", "numpy", "torch"}
