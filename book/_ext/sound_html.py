"""Sphinx extension: mend, in finished pages, what the writers of HTML leave wrong.

* Every statement, exercise and solution of a page gets one and the same id; none needs it.
* The bibliography is a list of list items; ``doc-biblioentry`` is deprecated (DPUB-ARIA 1.1).
* A head of a table that says nothing is an empty cell; one that says something heads its column.
* No line ends between a formula and what touches it, the stop after it or a parenthesis.
* A long name of code, and any in a table, may end a line after a dot, a stroke or an underscore.
* In tables no line ends within an interval, and letters with an index stand as mathematics does.
* A picture says how large it is, and a formula in a line about how wide, so that the page leaves
  them their place before they are there; the letters of formulas are asked for at once.
* A page with formulas says, where no script runs, what it is that the reader sees.

Looked at: the faults are those of sphinx-proof, sphinx-exercise, sphinxcontrib-bibtex and Sphinx as
pinned, and none has a setting against them; sphinx-codeautolink and other writers of finished pages
mend no markup.
"""

from __future__ import annotations

import html
import json
import re
import struct
from pathlib import Path

import formula_width

from escape_ntk.display.html import typeset

MENDED = (
    (re.compile(r' id="(?:proof|exercise|solution)-content"'), ""),
    (re.compile(r' role="doc-biblioentry"'), ' role="listitem"'),
    (re.compile(r"<th\b[^>]*>\s*(?:<p>\s*</p>)?\s*</th>"), "<td></td>"),
    (re.compile(r'<th class="head([^"]*)">'), r'<th class="head\1" scope="col">'),
)
SIGNATURE = re.compile(r'(<span class="sig-paren">\(</span>\s*)<dl>(.*?)</dl>', re.DOTALL)
"""The lines of a long signature: Sphinx writes them as descriptions of terms that are not there."""
TOUCHED = re.compile(
    r'([^\s<>–—-]*)(<span class="math\b[^>]*>[^<]*</span>)([^\s<–—-]*[–—-]?)', re.DOTALL
)
"""A formula in a line, with what touches it on both sides; a line may end after a dash."""
CELL = re.compile(r"<td\b.*?</td>", re.DOTALL)
NUMBER = r'(?:<span class="measured">)?[+−-]?\d*\.?\d+(?:e[^\s<,\])]*)?(?:</span>)?'
INTERVAL = re.compile(
    r'<span class="math\b[^>]*>[^<]*</span>'
    rf"|((?:{NUMBER} )?[\[(]{NUMBER}(?:, |–| to ){NUMBER}[\])])"
)
"""A number with its interval, or the interval alone; or a formula, which is left as it is."""
RESULTS = re.compile(r'(?<=<div class="results">)<table>.*?</table>', re.DOTALL)
NAMED = re.compile(r'(?<=<th scope="col">)[^<]+|(?<=<caption>)[^<]+')
"""Words over a table or a column."""
PLAIN = re.compile(r"(?<=<td>)[^<]+(?=</td>)")
INDEXED = re.compile(r"(?<![\w'])[A-Za-z]?[A-Za-zα-ω]_(?:min|[A-Zkλ\d])(?!\w)")
"""A letter with an index, in words that may hold names of code too."""
CODE = re.compile(r'(?<=<span class="pre">)[^<]+(?=</span>)')
LONG = re.compile(r'(?<=<span class="pre">)[^<]{25,}(?=</span>)')
"""A name that may be longer than a line of a phone."""
IN_LINE = re.compile(
    r'(<span class="math notranslate nohighlight")>(\\\(.*?\\\))</span>', re.DOTALL
)
FONTS = "_static/mathjax/output/chtml/fonts/woff-v2/MathJax_{}.woff"
FIRST = "Zero", "Main-Regular", "Math-Italic"
ASK = """<script class="first-fonts">
  if (location.protocol !== "file:")
    for (const href of {}) {{
      const link = document.createElement("link");
      Object.assign(link, {{ rel: "preload", as: "font", type: "font/woff", crossOrigin: "" }});
      link.href = href;
      document.head.append(link);
    }}
</script>
"""
"""Fetches the fonts of almost every formula, except from a file, where browsers refuse to.  Without
the first font, which is empty, lines are too high."""
PICTURE = re.compile(r'<img\b(?![^>]*\s(?:width|height)=)[^>]*?\ssrc="[^"]*?([^"/]+)"')
SIZE = re.compile(r'\bviewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"')
NOTE = (
    '<noscript><p class="no-script">Formulas are typeset by JavaScript. Without it they stand here '
    "as they were written, in LaTeX; text, tables, figures and links are complete.</p></noscript>\n"
)
"""For pages with formulas."""


def _lines(signature: re.Match[str]) -> str:
    lines = signature[2].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")
    return f"{signature[1]}{lines}"


def _unbroken(formula: re.Match[str]) -> str:
    touched = formula[1] or formula[3]
    return f'<span class="unbroken">{formula[0]}</span>' if touched else formula[0]


def _let_break(name: re.Match[str]) -> str:
    return re.sub(r"([._/])(?=\w)", r"\1<wbr>", name[0])


def _let_names_break(cell: re.Match[str]) -> str:
    return CODE.sub(_let_break, cell[0])


def _hold_intervals(cell: re.Match[str]) -> str:
    return INTERVAL.sub(
        lambda found: f'<span class="unbroken">{found[0]}</span>' if found[1] else found[0], cell[0]
    )


def _set(words: re.Match[str]) -> str:
    return typeset(html.unescape(words[0])).replace("</i><i>", "")


def _set_letters(table: re.Match[str]) -> str:
    return PLAIN.sub(lambda cell: INDEXED.sub(_set, cell[0]), NAMED.sub(_set, table[0]))


def mended(body: str) -> str:
    """The body of a page, mended."""
    for wrong, right in MENDED:
        body = wrong.sub(right, body)
    body = TOUCHED.sub(_unbroken, SIGNATURE.sub(_lines, body))
    body = CELL.sub(_let_names_break, LONG.sub(_let_break, body))
    body = CELL.sub(_hold_intervals, RESULTS.sub(_set_letters, body))
    return NOTE + body if 'class="math' in body else body


def size(picture: Path) -> tuple[int, int] | None:
    """Width and height of a drawing (SVG) or a PNG, in pixels; None of any other file."""
    start = picture.read_bytes()[:2000]
    if start.startswith(b"\x89PNG"):
        return struct.unpack(">II", start[16:24])
    if found := SIZE.search(start.decode("utf-8", "replace")):
        return round(float(found[1])), round(float(found[2]))
    return None


def sized(body: str, pictures: dict[str, Path]) -> str:
    """``body`` with the size of each of the ``pictures``, by their names."""

    def with_size(image: re.Match[str]) -> str:
        found = size(pictures[image[1]]) if image[1] in pictures else None
        return image[0] + (f' width="{found[0]}" height="{found[1]}"' if found else "")

    return PICTURE.sub(with_size, body)


def spaced(body: str) -> str:
    """``body`` with the width that each formula in a line will have, ``--wide``."""

    def with_width(formula: re.Match[str]) -> str:
        width = formula_width.of(html.unescape(formula[2][2:-2]))
        return f'{formula[1]} style="--wide: {width:.1f}em">{formula[2]}</span>'

    return IN_LINE.sub(with_width, body)


def _mend(app, pagename, templatename, context, doctree) -> None:
    if "body" in context:
        root = Path(app.srcdir)
        pictures = {name: root / path for path, name in app.builder.images.items()}
        context["body"] = spaced(sized(mended(context["body"]), pictures))
        if 'class="math' in context["body"]:
            fonts = [context["pathto"](FONTS.format(name), 1) for name in FIRST]
            context["metatags"] = (context.get("metatags") or "") + ASK.format(json.dumps(fonts))


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("html-page-context", _mend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
