"""Sphinx extension: the foot of every page: which version this is, how to cite it, what to mend.

Version and licence are those of ``CITATION.cff``, the date is that of the last commit; with a
public repository (``launch``) there are links to suggest an edit and to report a problem, and where
``make pdf`` has printed the book, there is a link to that file.

Looked at: the theme's own buttons for both stand in a menu, and it has no citation; of dates
sphinx-last-updated-by-git knows, of each source, and warns in a shallow clone.
"""

from __future__ import annotations

import html
import posixpath
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

import letters
import state
import yaml
from launch import Repository, configured

PAPER = "nichani2022identifying"
OPEN = (
    '<script>if (location.hash === "#cite") document.getElementById("cite").open = true;</script>'
)
"""A link to the citation shows it."""


@cache
def facts(root: Path) -> dict[str, str]:
    """Title, version, licence, authors, date and commit of what is built."""
    said = yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))
    run = ["git", "-C", str(root), "show", "-s", "--format=%cs %h", "HEAD"]
    try:
        found = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        found = []  # no repository: the date of the version
    date, commit = found if len(found) == 2 else (str(said["date-released"]), "")
    return {
        "title": said["title"],
        "version": said["version"],
        "licence": said["license"],
        "authors": " and ".join(f"{{{author['name']}}}" for author in said["authors"]),
        "date": date,
        "commit": commit,
    }


def entry(root: Path, page: str, url: str) -> str:
    """BibTeX of the book, with the page that is cited, if it is one."""
    known = facts(root)
    fields = {
        "author": known["authors"],
        "title": known["title"],
        "year": known["date"][:4],
        "note": f"Version {known['version']}" + f", page “{page}”" * bool(page),
        "url": url,
    }
    lines = "".join(f"  {key:<6} = {{{value}}},\n" for key, value in fields.items() if value)
    return f"@misc{{escape-ntk,\n{lines}}}"


@cache
def paper(root: Path) -> str:
    """BibTeX of the paper that the book reproduces, as the book's bibliography has it."""
    text = (root / "book/references.bib").read_text("utf-8")
    return re.search(rf"^@\w+\{{{PAPER},.*?^\}}", text, re.DOTALL | re.MULTILINE)[0]


def mending(repository: Repository | None, source: str | None, page: str) -> list[str]:
    """Links to change a page, and to say what is wrong with it; none without a repository."""
    if repository is None:
        return []
    report = urlencode({"title": f"On the page “{page}”"})
    links = {"Report a problem": f"{repository.url}/issues/new?{report}"}
    if source:
        edit = f"{repository.url}/edit/{repository.branch}/{source}"
        links = {"Suggest an edit": edit, **links}
    return [f'<a href="{html.escape(url)}">{words}</a>' for words, url in links.items()]


def printed(root: Path, pagename: str) -> list[str]:
    """The link from a page to the whole book as a PDF; none where it has not been printed."""
    pdf = root / state.PRINTED
    if not pdf.is_file():
        return []
    target = posixpath.relpath(pdf.name, posixpath.dirname(pagename) or ".")
    return [f'<a href="{target}">PDF</a> ({pdf.stat().st_size / 2**20:.0f} MB)']


def foot(root: Path, page: str, source: str | None, url: str, name: str) -> str:
    """The foot of the page ``name`` with title ``page``, made from ``source``."""
    known = facts(root)
    parts = [
        f"Version {known['version']}",
        f'<time datetime="{known["date"]}">{known["date"]}</time>',
        *([f"commit <code>{known['commit']}</code>"] if known["commit"] else []),
        f"{known['licence']} licence",
        *printed(root, name),
        *mending(configured(root), source, page),
    ]
    boxes = "".join(
        f'<div class="highlight"><pre>{html.escape(text)}</pre></div>'
        for text in (entry(root, page, url), paper(root))
    )
    return (
        f'<p class="foot-facts">{" · ".join(parts)}</p>'
        '<details id="cite" class="cite"><summary>Cite this page</summary>'
        f"<p>This book, and the paper that it reproduces:</p>{boxes}</details>{OPEN}"
    )


def _add_foot(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    root, place = Path(app.srcdir), app.config.html_baseurl
    title = letters.heading(context.get("title") or app.config.html_title)
    source = app.env.doc2path(pagename, base=False) if doctree is not None else None
    url = place and f"{place}{app.builder.get_target_uri(pagename)}"
    context["theme_extra_footer"] = foot(root, title, source, url, pagename)


def _copy_printed(app, exception) -> None:
    pdf = Path(app.srcdir) / state.PRINTED
    if not exception and app.builder.format == "html" and pdf.is_file():
        shutil.copy2(pdf, app.outdir)


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("html-page-context", _add_foot)
    app.connect("build-finished", _copy_printed)
    app.add_css_file("foot.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
