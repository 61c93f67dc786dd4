"""The symbols of a page, read off its formulas, against those of the page of notation.

A symbol is a letter with its accent or alphabet and with what tells it from its neighbours: a name
below it (``f_L``), a bound (``P_{>k}``), a mark above it (``W^*``).  An index picks out one of many
(``x_i``), and a power or a derivative is a symbol's own affair: neither makes a new one.  A number
below is kept apart from an index, for ``\\lambda_2`` is a coefficient and ``\\lambda_\\ell`` an
eigenvalue.

Two things have to hold (:func:`problems`).  A symbol on two pages or more is on the page of
notation; what one page alone uses, that page explains.  And a symbol that a table of notation
lists is used on some other page.

A third is one letter, one thing (:func:`second_meanings`): where a letter has had several, what
stands around it tells whether it has its own.  In sources and titles, where formulas are in
Unicode, the same is asked of ``λ`` (:func:`unicode_meanings`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import fences

NOTATION = "book/notation"
GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho "
    "sigma tau upsilon phi varphi chi psi omega varrho vartheta Gamma Delta Theta Lambda Xi Pi "
    "Sigma Upsilon Phi Psi Omega ell"
).split()
ACCENTS = {"hat", "dot", "bar", "tilde", "overline", "mathcal", "mathbb", "mathbf"}
WORDS = {"text", "operatorname", "mathrm", "begin", "end", "label", "tag"}
"""Commands whose argument is words; ``\\mathrm{He}`` is a letter all the same."""
NAMES = {"He", "he"}
FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<!\\)\$([^$]+?)(?<!\\)\$", re.S)
UNSEEN = re.compile(r"(?<!`)`[^`\n$]+`(?!`)|^:alt:.*$")
TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[A-Za-z]|\d+(?:\.\d+)?|\S", re.S)


@dataclass(frozen=True, order=True)
class Symbol:
    """``base`` with accent, ``below`` and ``above`` as described in this module."""

    base: str
    below: str = ""
    above: str = ""

    def __str__(self) -> str:
        below = f"_{{{self.below}}}" if self.below else ""
        return f"{self.base}{below}" + (f"^{{{self.above}}}" if self.above else "")


INDEX, NUMBER = "index", "number"


def formulas(text: str) -> Iterator[str]:
    """Every formula of a page, without its code and its descriptions of pictures."""
    seen = (UNSEEN.sub("", x) for _, x, around in fences.lines(text) if not fences.is_code(around))
    for match in FORMULA.finditer("\n".join(seen)):
        yield match[1] or match[2]


def symbols(formula: str) -> Iterator[Symbol]:
    """The symbols of a formula, one for each time it is written."""
    tokens = TOKEN.findall(formula)
    at = 0
    while at < len(tokens):
        base, at = _base(tokens, at)
        scripts = {"_": "", "^": ""}
        while at < len(tokens) and tokens[at] in ("_", "^", "'"):
            mark = tokens[at]
            at += 1
            if mark == "'":
                continue
            group, at = _group(tokens, at)
            scripts[mark] = "".join(group)
            if mark == "^" or _below(scripts["_"]) in (INDEX, "\\le", ">"):
                yield from symbols(" ".join(group))
        if base is not None:
            yield Symbol(base, _below(scripts["_"]), _above(scripts["^"]))


def _base(tokens: list[str], at: int) -> tuple[str | None, int]:
    """The letter that starts here, if one does, and where to go on."""
    token = tokens[at]
    command = token[1:]
    if token.startswith("\\") and command in WORDS:
        group, after = _group(tokens, at + 1)
        word = "".join(group)
        return (word if word in NAMES else None), after
    if token.startswith("\\") and command in ACCENTS:
        group, after = _group(tokens, at + 1)
        while group and group[0][1:] in ACCENTS and len(group) > 1:
            group = group[1:]
        letters = [t for t in group if t not in ("{", "}")]
        simple = len(letters) == 1
        return (f"{token} {letters[0]}", after) if simple else (None, at + 1)
    if command in GREEK and token.startswith("\\"):
        return token, at + 1
    if token == "|" or token.startswith("\\") or not token.isalpha():
        return None, at + 1
    return token, at + 1


def _group(tokens: list[str], at: int) -> tuple[list[str], int]:
    """The argument that starts here, without its braces, and where to go on."""
    if at >= len(tokens):
        return [], at
    if tokens[at] != "{":
        if tokens[at][1:] in ACCENTS:
            inner, after = _group(tokens, at + 1)
            return [tokens[at], *inner], after
        return [tokens[at]], at + 1
    depth = 0
    for end in range(at, len(tokens)):
        depth += (tokens[end] == "{") - (tokens[end] == "}")
        if not depth:
            return tokens[at + 1 : end], end + 1
    return tokens[at + 1 :], len(tokens)


def _below(script: str) -> str:
    """What stands below a letter, as far as it tells letters apart."""
    if not script:
        return ""
    if re.match(r"\\le|\\ge|>|<|=", script):
        return re.match(r"\\[lg]e|.", script)[0]
    if re.fullmatch(r"[\d.,]+", script):
        return NUMBER
    if re.fullmatch(r"[A-Z]|\\(?:min|max|infty|star|tau)", script):
        return script
    return INDEX


def _above(script: str) -> str:
    """What stands above a letter, if it is no power."""
    return script if re.fullmatch(r"\*|\\star|\+|\(.\)|\d\d", script) else ""


def used(text: str) -> set[Symbol]:
    """The symbols of a page."""
    return {symbol for formula in formulas(text) for symbol in symbols(formula)}


# --- against the page of notation ---------------------------------------------------------------

EXCUSED = {Symbol("\\pi"): "the number"}
"""Symbols that need no entry, and why."""


def is_listed(symbol: Symbol, listed: set[Symbol]) -> bool:
    """Whether an entry covers a symbol: itself, or that of which it is the part with an index."""
    covers = {symbol}
    if symbol.below == NUMBER:
        covers.add(replace(symbol, below=INDEX))
    if symbol.below in (INDEX, NUMBER):
        covers.add(replace(symbol, below=""))
    return bool(covers & (listed | set(EXCUSED)))


def tabled(text: str) -> list[tuple[int, set[Symbol]]]:
    """(number from 1, symbols) of the first cell of each row of the tables of a page."""
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        first = re.match(r"\| *(.+?) *\|", line)
        if first and "$" in first[1]:
            rows.append((number, used(first[1])))
    return rows


def problems(pages: Mapping[str, str]) -> list[str]:
    """What is wrong between the texts of the pages, by name, and the notation among them."""
    listed = used(pages[NOTATION])
    where: dict[Symbol, list[str]] = {}
    for name, text in pages.items():
        for symbol in used(text) if name != NOTATION else ():
            where.setdefault(symbol, []).append(name)
    found = [
        f"{NOTATION}.md has no {symbol}, which is on {', '.join(names)}"
        for symbol, names in sorted(where.items())
        if len(names) > 1 and not is_listed(symbol, listed)
    ]
    for number, row in tabled(pages[NOTATION]):
        idle = sorted(str(symbol) for symbol in row - set(where))
        found += [f"{NOTATION}.md:{number}: no other page uses {', '.join(idle)}"] if idle else []
    return found


# --- one letter, one thing ----------------------------------------------------------------------

ANY = r"(?![A-Za-z])"
SECOND_MEANINGS = (
    (
        rf"\\lambda{ANY}(?=_(?!\{{?(?:[1-4](?!\d)|\\min{ANY}|\\max{ANY}|j)))",
        "an eigenvalue of a kernel is \\zeta",
    ),
    (r"\\lambda_\{?[1-9]\}?\(K", "an eigenvalue of a kernel is \\zeta"),
    (r"\\zeta_\{?n_", "a rank stands in parentheses: \\zeta_{(n_k)}"),
    (rf"\\sigma{ANY}_\{{?>", "the sum of squared eigenvalues is \\gamma_{>k}^{(2)}"),
    (rf"\\kappa{ANY}(?:_|'|\()", "\\kappa alone is the effective ridge, and no function"),
    (rf"\\eta{ANY}_", "\\eta is the step; a Gegenbauer coefficient is \\xi_j"),
    (rf"\\tau{ANY}_", "\\tau is a cosine"),
    (r"\\langle *r(?![a-zA-Z_])|(?<![\w\\_{])r *= *f *- *y", "the residual f-y is \\chi"),
    (r"1 *- *\\delta(?![A-Za-z_])|/\\delta'?\)", "the probability of failure is \\vartheta"),
    (r"\\(?:sqrt|le\{?\}?)\\Lambda(?![A-Za-z_])", "what bounds the risk is \\Xi"),
)
"""(what a letter looks like in a meaning that is not its own, what is written instead)."""
UNICODE = re.compile(r"λ_(?!\{?(?:[1-4](?!\d)|min|max|j\b))|λ_\(|[nΣ(]λ_j\b(?! ?R_j)")


def second_meanings(name: str, text: str) -> list[str]:
    """Where a formula of a page has a letter in a meaning that is not the letter's own.

    A coefficient with a running index, ``\\lambda_j``, stands in one formula with its ``R_j``.
    """
    found = []
    for formula in formulas(text):
        for look, instead in SECOND_MEANINGS:
            found += [
                f"{name}.md: {m[0]} in {formula!r}: {instead}" for m in re.finditer(look, formula)
            ]
        if re.search(r"\\lambda_\{?j", formula) and "R_j" not in formula:
            found.append(f"{name}.md: \\lambda_j without R_j in {formula!r}")
    return found


def unicode_meanings(name: str, text: str) -> list[str]:
    """Where a source or a title calls an eigenvalue of a kernel λ."""
    return [
        f"{name}:{number}: {m[0]}: an eigenvalue of a kernel is ζ"
        for number, line in enumerate(text.splitlines(), 1)
        for m in UNICODE.finditer(line)
    ]
