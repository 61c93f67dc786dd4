"""The repository's public address, and the cell that fetches the book in Colab.

The one setting is ``repository`` in ``_config.yml``.  With an address the theme makes buttons for
Binder and Colab, on pages with cells, and they open the executed notebook beside the page: Colab
takes nothing else.  (Without one there is no button, see ``launch_buttons`` among the extensions.)

A notebook opened in Colab finds no package and no records there, so its first cell fetches them.
That cell needs the address: ``make launch`` writes it into the notebooks, or takes it out again,
without executing anything, and a book whose notebooks and setting disagree is not built.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jupytext
import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from sphinx.errors import ConfigError

ROOT = Path(__file__).parents[2]
ADDRESS = re.compile(r"https://github\.com/(?P<owner>[\w-]+)/(?P<name>[\w.-]+?)/?")
BRANCH = re.compile(r"[\w.-]+")
TAG = "colab"
"""Of the cell that fetches the book."""
SETUP = """\
# Only in Colab: fetch the book, with its package and its records, and work where this page stands.
import sys

if "google.colab" in sys.modules:
    ![ -d {folder} ] || git clone --quiet --depth 1 --branch {branch} {url} {folder}
    %pip install --quiet --editable {folder} myst-nb
    %cd -q {folder}/book
    sys.path.insert(0, "{folder}/src")  # this kernel started before the package was there"""


class RepositoryError(ConfigError):
    """The setting ``repository`` is not one that buttons can be made of."""


@dataclass(frozen=True)
class Repository:
    """Where the book is public."""

    url: str
    branch: str

    @property
    def setup(self) -> str:
        """Source of the cell that fetches the book in Colab."""
        folder = f"/content/{self.url.rsplit('/', 1)[1]}"
        return SETUP.format(folder=folder, branch=self.branch, url=self.url)


def repository(url: object, branch: object) -> Repository | None:
    """The setting; None where it has no address."""
    if not url:
        return None
    found = ADDRESS.fullmatch(url) if isinstance(url, str) else None
    if found is None or found["name"].endswith(".git"):
        raise RepositoryError(
            "expected repository: url: of the form https://github.com/OWNER/NAME; "
            f"got {url!r}; remedy: correct it in _config.yml, or leave it empty for no buttons"
        )
    if not (isinstance(branch, str) and BRANCH.fullmatch(branch)):
        raise RepositoryError(
            "expected repository: branch: a name of letters, digits, '.', '_' and '-'; "
            f"got {branch!r}; remedy: name in _config.yml the branch that holds the notebooks"
        )
    return Repository(url.rstrip("/"), branch)


def configured(root: Path) -> Repository | None:
    """The setting of the book in ``root``."""
    setting = yaml.safe_load((root / "_config.yml").read_text("utf-8")).get("repository") or {}
    return repository(setting.get("url"), setting.get("branch"))


# ---------------------------------------------------------------- notebooks


def is_setup(cell: Mapping) -> bool:
    """Whether a cell of a notebook is the one that fetches the book."""
    return TAG in cell["metadata"].get("tags", ())


def prepared(notebook: NotebookNode, setting: Repository | None) -> NotebookNode:
    """The notebook with the cell that this setting asks for, first; or without any."""
    notebook.cells = [cell for cell in notebook.cells if not is_setup(cell)]
    if setting:
        cell = new_code_cell(setting.setup, id=TAG, metadata={"tags": [TAG]})
        notebook.cells.insert(0, cell)
    return notebook


def unprepared(root: Path, setting: Repository | None) -> list[str]:
    """Notebooks whose first cell is not what the setting asks for."""
    expected = [setting.setup] if setting else []
    return [
        path.name
        for path in sorted((root / "book").glob("*.ipynb"))
        if [c.source for c in jupytext.read(path).cells if is_setup(c)] != expected
    ]


def main(root: Path = ROOT) -> None:
    """Write the address into every notebook, or take it out."""
    setting = configured(root)
    names = unprepared(root, setting)
    for name in names:
        path = root / "book" / name
        jupytext.write(prepared(jupytext.read(path), setting), path)
    where = f"{setting.url}, branch {setting.branch}" if setting else "no public address"
    print(f"{where}: {len(names)} notebooks changed")


if __name__ == "__main__":
    try:
        main()
    except RepositoryError as error:
        sys.exit(f"make launch: {error}")
