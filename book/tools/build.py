"""``make book``: nothing where nothing has changed, else the pages that have to be read again.

What has changed, ``state`` says; after a change of the ground, or a build that did not go well,
everything is made anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "book/_ext"))

import state  # noqa: E402

ENVIRONMENT = "_build/.doctrees"
SITE = "_build/html"


def built(root: Path, now: state.State) -> bool:
    """Whether the pages of the site are those of ``now``, and all are there."""
    environment, site = root / ENVIRONMENT, root / SITE
    read = [path.relative_to(environment) for path in environment.rglob("*.doctree")]
    there = [Path("index.html"), *(path.with_suffix(".html") for path in read)]
    before = state.kept(environment)
    same = before is not None and before["sources"] == now
    return same and all((site / path).is_file() for path in there)


def options(before: state.State | None, now: state.State) -> list[str]:
    """What ``jupyter-book build`` is told."""
    anew = before is None or before["ground"] != now["ground"]
    return ["--warningiserror", "--keep-going", *(["--all"] if anew else [])]


def main(root: Path = ROOT) -> None:
    """Build, if there is something to build."""
    now = state.state(root)
    if built(root, now):
        print(f"nothing has changed since {SITE} was built")
        return
    import execute  # the tools of a build take seconds to import
    from jupyter_book.cli.main import build

    execute.main(root)
    before = state.kept(root / ENVIRONMENT)
    build([str(root), *options(before and before["sources"], now)])


if __name__ == "__main__":
    main()
