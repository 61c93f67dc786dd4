"""A page of the built site as Markdown that every notebook shows: no roles, no directives.

What the site has resolved, numbers, verdicts, titles, citations, stands there in words; formulas
are ``$…$``; boxes are quotes; what folds is ``<details>``.  Links lead where :class:`Links` says.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit

from bs4 import NavigableString, Tag

SIGNS = {"reproduced": "✓", "partly": "◐", "not_reproduced": "✕", "not_testable": "–"}
"""As ``book.css`` has them before a badge."""
SPECIAL = re.compile(r"([\\`*_$]|(?<=!)\[|(?<=\])\()")
SPLIT = r"^\\begin\{split\}\s*(\\begin\{aligned\}.*\\end\{aligned\})\s*\\end\{split\}$"
"""What Sphinx puts around lines that are aligned already."""
LIST = "claims"
"""Class of a badge with the list that it opens; a notebook has the badge, and a link."""
UNSEEN = "headerlink", "sr-only", "symbols-link"
"""Classes of what only the site can use."""


@dataclass(frozen=True)
class Links:
    """Where a link of ``page`` (``book/setup``) leads from a notebook."""

    page: str
    address: str = ""
    """Of the book; empty without one."""
    beside: Collection[str] = ()
    """Pages that lie beside this one as notebooks, for a book without an address."""

    def __call__(self, href: str) -> str:
        """The target for ``href``; empty where it can be reached from no notebook."""
        parts = urlsplit(href)
        if parts.scheme or parts.netloc:
            return href
        path = parts.path or posixpath.basename(self.page) + ".html"
        path = posixpath.normpath(posixpath.join(posixpath.dirname(self.page), unquote(path)))
        if self.address:
            return self.address + path + (f"#{parts.fragment}" if parts.fragment else "")
        page = path.removesuffix(".html")
        if page in self.beside and page != self.page:
            return posixpath.basename(page) + ".ipynb"
        return ""


@dataclass(frozen=True)
class Writer:
    """Writes elements of the site as Markdown."""

    links: Links
    in_table: bool = False
    """A stroke ends a cell, in formulas too."""
    in_quote: bool = False
    """A formula of several lines would take the marks of the quote for its own."""
    taken: Callable[[Tag], list[str] | None] = field(default=lambda element: None)
    """Blocks that somebody else writes; None for all others."""

    # --- within a line ---

    def line(self, nodes: Iterable) -> str:
        """Phrases as one line."""
        return re.sub(r"\s+", " ", "".join(self._phrase(node) for node in nodes)).strip()

    def _phrase(self, node) -> str:
        if isinstance(node, NavigableString):
            text = SPECIAL.sub(r"\\\1", str(node)).replace("<", "&lt;")
            return text.replace("|", "\\|") if self.in_table else text
        classes = node.get_attribute_list("class")
        if node.get("role") == "tooltip" or any(name in classes for name in UNSEEN):
            return ""
        if "math" in classes:
            return f"${self.formula(node)}$"
        if "claim-badge" in classes:
            return self._badge(node, classes, node.get("href"))
        if LIST in classes:
            badge, link = node.find("summary"), node.find("a")
            return self._badge(badge, badge.get_attribute_list("class"), link["href"])
        inner = "".join(self._phrase(child) for child in node.children)
        if node.name in ("em", "i") and inner.strip():
            return f"*{inner.strip()}*"
        if node.name in ("strong", "b") and inner.strip():
            return f"**{inner.strip()}**"
        if node.name == "code":
            mark = "``" if "`" in node.get_text() else "`"
            return f"{mark}{node.get_text()}{mark}"
        if node.name in ("sub", "sup"):
            return f"<{node.name}>{inner}</{node.name}>"
        if node.name == "br":
            return " "
        if node.name == "a" and inner.strip() and node.get("href"):
            return self._link(inner, node["href"])
        return inner

    def _link(self, words: str, href: str) -> str:
        target = self.links(href)
        return f"[{words}]({target})" if target else words

    def _badge(self, node: Tag, classes: Collection[str], href: str | None) -> str:
        sign = next(SIGNS[name] for name in SIGNS if name in classes)
        words = f"{sign} {self.line(node.children)}"
        return f"**{self._link(words, href) if href else words}**"

    def formula(self, node: Tag) -> str:
        """The TeX of a formula, in signs that neither HTML nor a table takes for its own."""
        text = "".join(str(child) for child in node.strings).strip()
        text = re.sub(r"^\\[(\[]|\\[)\]]$", "", text).strip()
        text = text.replace("<", r"\lt ").replace(">", r"\gt ")
        if self.in_table:
            text = text.replace(r"\|", r"\Vert ").replace("|", r"\vert ")
        return text if node.name == "div" else re.sub(r"\s+", " ", text)

    # --- blocks ---

    def blocks(self, nodes: Iterable) -> list[str]:
        """Elements as blocks of Markdown; phrases between them as paragraphs."""
        out: list[str] = []
        loose: list = []
        for node in [*nodes, None]:
            if node is not None and not (isinstance(node, Tag) and _is_block(node)):
                loose.append(node)
                continue
            if words := self.line(loose):
                out.append(words)
            loose = []
            if node is not None:
                out += self._block(node)
        return out

    def _block(self, node: Tag) -> list[str]:
        if (others := self.taken(node)) is not None:
            return others
        classes = node.get_attribute_list("class")
        write = getattr(self, f"_{node.name}", None)
        for name in ("math", "proof", "exercise", "solution", "results", "provenance"):
            if name in classes:
                write = getattr(self, f"_{name}")
        if any(str(name).startswith("highlight-") for name in classes):
            write = self._code
        return write(node) if write else self.blocks(node.children)

    def _p(self, node: Tag) -> list[str]:
        return [words] if (words := self.line(node.children)) else []

    def _heading(self, node: Tag) -> list[str]:
        return [f"{'#' * int(node.name[1])} {self.line(node.children)}"]

    _h1 = _h2 = _h3 = _h4 = _heading

    def _ul(self, node: Tag) -> list[str]:
        return self._list(node, lambda number: "* ")

    def _ol(self, node: Tag) -> list[str]:
        return self._list(node, lambda number: f"{number}. ")

    def _list(self, node: Tag, mark: Callable[[int], str]) -> list[str]:
        items = []
        for number, item in enumerate(node.find_all("li", recursive=False), 1):
            blocks = self.blocks(item.children)
            first = mark(number + int(str(node.get("start", 1))) - 1)
            items.append(first + indented("\n\n".join(blocks), " " * len(first)).lstrip())
        loose = any("\n\n" in item for item in items)
        return [("\n\n" if loose else "\n").join(items)]

    def _math(self, node: Tag) -> list[str]:
        number = node.find(class_="eqno")
        tag = ""
        if isinstance(number, Tag):
            tag = f"\n\\tag{{{number.get_text().strip('()# ¶')}}}"
            number.extract()
        body = re.sub(r"\n\s*\n", "\n", self.formula(node))
        body = re.sub(SPLIT, r"\1", body, flags=re.DOTALL)
        text = f"$$\n{body}{tag}\n$$"
        return [re.sub(r"\s*\n\s*", " ", text) if self.in_quote else text]

    def _code(self, node: Tag) -> list[str]:
        name = next(str(c) for c in node.get_attribute_list("class") if "highlight-" in str(c))
        language = name.removeprefix("highlight-").replace("ipython3", "python")
        mark = "```" if language != "default" else "```text"
        return [f"{mark}{language * (mark == '```')}\n{node.get_text().rstrip()}\n```"]

    def _table(self, node: Tag) -> list[str]:
        inside = replace(self, in_table=True)
        rows = [
            [" ".join(inside.blocks(cell.children)) for cell in row.find_all(["th", "td"])]
            for row in node.find_all("tr")
        ]
        rule = ["---"] * len(rows[0])
        lines = [f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:])]
        caption = node.find("caption")
        above = [f"*{self.line(caption.children)}*"] if isinstance(caption, Tag) else []
        return [*above, "\n".join(lines)]

    def _results(self, node: Tag) -> list[str]:
        return self.blocks(node.children)

    def _proof(self, node: Tag) -> list[str]:
        title, *rest = _children(node)
        inside = replace(self, in_quote=True)
        return [quoted([f"**{self.line(title.children)}**", *inside.blocks(rest)])]

    _exercise = _proof

    def _aside(self, node: Tag) -> list[str]:
        title, *rest = _children(node)
        first, *others = replace(self, in_quote=True).blocks(rest)
        return [quoted([f"*{self.line(title.children)}.* {first}", *others])]

    def _solution(self, node: Tag) -> list[str]:
        title, *rest = _children(node)
        return folded(self.line(title.children), self.blocks(rest))

    def _details(self, node: Tag) -> list[str]:
        title, *rest = _children(node)
        if not rest:  # opens rows of a table, which a notebook has whole
            return []
        return folded(self.line(title.children).replace("**", ""), self.blocks(rest))

    def _provenance(self, node: Tag) -> list[str]:
        kind = node.find("strong")
        facts = [
            f"{self.line(dt.children)}: {self.line(dt.find_next_sibling('dd').children)}"
            for dt in node.find_all("dt")
        ]
        title = self.line(kind.children).rstrip(".") if isinstance(kind, Tag) else ""
        runs = re.sub(r"^runs: (\d+)", r"\1 runs", facts[0])
        return folded(f"{title}: {runs}", ["; ".join(facts) + "."])

    def _noscript(self, node: Tag) -> list[str]:
        return []

    _script = _noscript


def _is_block(node: Tag) -> bool:
    phrase = node.name in ("a", "b", "br", "code", "em", "i", "span", "strong", "sub", "sup")
    return not phrase and LIST not in node.get_attribute_list("class")


def _children(node: Tag) -> list[Tag]:
    return [child for child in node.children if isinstance(child, Tag)]


def indented(text: str, by: str) -> str:
    """Every line that is not empty begins with ``by``."""
    return re.sub(r"(?m)^(?=.)", by, text)


def quoted(blocks: list[str]) -> str:
    """Blocks as one quote."""
    return "\n".join(f"> {line}".rstrip() for line in "\n\n".join(blocks).splitlines())


def folded(title: str, blocks: list[str]) -> list[str]:
    """Blocks under a line that opens them, Markdown inside."""
    return ["\n\n".join([f"<details><summary>{title}</summary>", *blocks, "</details>"])]
