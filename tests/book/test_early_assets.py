"""The first build names scripts and style sheets as every later one does."""

from __future__ import annotations

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

pytestmark = pytest.mark.usefixtures("extensions")


def page(root, *extensions: str) -> str:
    """What a build writes, every page anew."""
    mathjax = ("sphinx.ext.mathjax", "sphinx-mathjax-offline")
    config = {
        "extensions": ["myst_nb", "sphinx_proof", "sphinx_exercise", *mathjax, *extensions],
        "myst_enable_extensions": ["dollarmath"],
        "source_suffix": {".md": "myst-nb"},
        "exclude_patterns": ["_build"],
    }
    places = (root, None, root / "_build/html", root / "_build/.doctrees", "html", config)
    with docutils_namespace():
        Sphinx(*places, status=None, freshenv=True).build(force_all=True)
    return (root / "_build/html/index.html").read_text("utf-8")


@pytest.mark.parametrize("early", [True, False])
def test_a_page_of_the_first_build_is_that_of_the_second(tmp_path, early):
    """Control: without the extension the first one names files without their checksums."""
    (tmp_path / "index.md").write_text("# Home\n\n$$x$$\n", "utf-8")
    extensions = ["early_assets"] * early
    first, second = page(tmp_path, *extensions), page(tmp_path, *extensions)
    assert (first == second) == early
    for name in ("mathjax/tex-chtml.js", "proof.css", "exercise.css"):
        assert f"{name}?v=" in second and (f"{name}?v=" in first) == early
