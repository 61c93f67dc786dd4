"""What a page of the book shows of records and claims: provenance strips, tables, status lines.

Everything here turns results into HTML for a notebook cell; nothing is computed.
"""

import html
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from escape_ntk.checks import InputError, message
from escape_ntk.records.store import Record

WORDS = {
    "reproduced": "reproduced",
    "partly": "partly",
    "not_reproduced": "not reproduced",
    "not_testable": "not testable here",
}

FATES = {
    "fails": "fails, as it should",
    "undecided": "says nothing: the claim does no better",
    "passes": "PASSES: the check is worthless",
}
"""What became of a negative control."""


@dataclass(frozen=True)
class Html:
    """A fragment that a notebook shows as HTML."""

    text: str

    def _repr_html_(self) -> str:
        return self.text


def numbers(data: Mapping) -> str:
    """``data`` as JSON in a script element; nothing in it can end the element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json">{text}</script>'


def limited(text: str, limit: int, remedy: str) -> Html:
    """``text`` as a fragment of a page if it has at most ``limit`` bytes; else InputError."""
    if (size := len(text.encode())) > limit:
        expected = f"a figure of at most {limit} bytes"
        raise InputError(message(expected=expected, got=f"{size} bytes", remedy=remedy))
    return Html(text)


def badge(verdict: str, target: str | None = None) -> str:
    """A verdict as a badge; with ``target``, a link."""
    tag, link = ("a", f' href="{html.escape(target)}"') if target else ("span", "")
    return f'<{tag} class="claim-badge {verdict}"{link}>{WORDS[verdict]}</{tag}>'


def provenance(records: Sequence[Record], commands: Sequence[str]) -> Html:
    """The line under a recorded figure; behind it seeds, code, machine, how to make it again."""
    seeds = sorted({r.config["seed"] for r in records if "seed" in r.config})
    runs = [r.provenance for r in records]
    seconds = sum(p["wall_seconds"] for p in runs)
    facts = {
        "runs": f"{len(records)} ({f'seeds {_ranges(seeds)}' if seeds else 'no randomness'})",
        "commit": _several(str(p["commit"])[:10] + ("+" if p["dirty"] else "") for p in runs),
        "source": _several(p["source_sha256"][:10] for p in runs),
        "machine": _several(
            f"{p['accelerator'] or p['cpu']}, {p['threads']} thread"
            + ("" if p["threads"] == 1 else "s")
            for p in runs
        ),
        "torch": _several(p["torch"] for p in runs),
        "wall time": duration(seconds),
        "data": _several(f"book/records/{r.experiment}" for r in records),
        "again": ", ".join(f"<code>{html.escape(command)}</code>" for command in commands),
    }
    rows = "".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in facts.items())
    count = f"{len(records)} run{'' if len(records) == 1 else 's'}"
    line = f"<strong>Recorded</strong> · {count} · {duration(seconds)}"
    return Html(f'<details class="provenance"><summary>{line}</summary><dl>{rows}</dl></details>')


def live(what: str) -> Html:
    """The line under a figure that was computed while the page was built."""
    return Html(f'<p class="provenance"><strong>Live</strong> · {html.escape(what)}</p>')


MOST_ROWS = 12
"""Of a table that is shown whole; of a longer one the style sheet shows the first eight."""


def table(header: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> Html:
    """A plain table; cells are taken as HTML when they start with ``<``.

    One with more than :data:`MOST_ROWS` rows is folded, and opened by the line under it.
    """

    def cell(x: object) -> str:
        text = str(x)
        if text.startswith("<"):
            return text
        return re.sub(
            r"e-(\d)", "e\N{NON-BREAKING HYPHEN}\\1", html.escape(text)
        )  # 1e-5 in one line

    head = "".join(f'<th scope="col">{cell(h)}</th>' if h else "<td></td>" for h in header)
    body = "".join("<tr>" + "".join(f"<td>{cell(x)}</td>" for x in row) + "</tr>" for row in rows)
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    inner = f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    more = f"<details><summary>All {len(rows)} rows</summary></details>"
    return Html(f'<div class="results">{inner}{more * (len(rows) > MOST_ROWS)}</div>')


def folded(title: str, *parts: Html) -> Html:
    """Fragments behind a line that opens them; without JavaScript too."""
    inner = "".join(part.text for part in parts)
    return Html(f"<details><summary>{html.escape(title)}</summary>{inner}</details>")


def claim_blocks(ledger: Sequence[Mapping]) -> Html:
    """The scorecard: for each claim its statement, verdict, measurement, target and control.

    By chapter, each under a heading that the book gives the chapter's title.  Verdict, chapter and
    source tags also stand in ``data-`` attributes, by which the script claims.js in book/_static
    filters; without it the whole list is there.
    """
    chapters = {name: list(rows) for name, rows in groupby(ledger, lambda row: row["chapter"])}
    links = " · ".join(f'<a href="#claims-{name}">{name}</a>' for name in chapters)
    groups = (_chapter_block(name, rows) for name, rows in chapters.items())
    return Html(f'<p class="claims-chapters">{links}</p>{"".join(groups)}')


def _chapter_block(name: str, rows: Sequence[Mapping]) -> str:
    counts = Counter(row["verdict"] for row in rows)
    found = ", ".join(f"{counts[v]} {WORDS[v]}" for v in WORDS if counts[v])
    return (
        f'<section class="claims-of" id="claims-{name}"><h3><a href="{name}.html">{name}</a></h3>'
        f"<p>{found}</p>{''.join(map(_claim_block, rows))}</section>"
    )


def evidence(row: Mapping, **more: str) -> str:
    """A claim's measurement, target and negative control as a list, followed by ``more``."""
    control = row["negative_control"]
    fate = f"{FATES[control['fate']]} ({describe(control['measured'])})"
    facts = {
        "measured": describe(row["measured"]),
        "target": f"{row['target']}; {row['tolerance']}",
        **({"set after looking": row["after"]} if row["after"] else {}),
        "control": f"{control['broken']}: {fate}",
        **more,
    }
    lines = "".join(f"<div><dt>{k}</dt><dd>{typeset(v)}</dd></div>" for k, v in facts.items())
    return f"<dl>{lines}</dl>"


def _claim_block(row: Mapping) -> str:
    facts = evidence(row, records=f"{len(row['record'])} in book/records")
    name, chapter = row["id"], row["chapter"]
    data = {key: row[key].replace("+", " ") for key in ("verdict", "chapter", "source")}
    far = distance(row["measured"])
    beside = f'<span class="distance">{far}</span> ' if far else ""
    filters = " ".join(f'data-{key}="{value}"' for key, value in data.items())
    return (
        f'<div class="claim" id="{name}" {filters}>'
        f"<p>{badge(row['verdict'])} {beside}"
        f'<a href="{chapter}.html#claim-{name}"><code>{name}</code></a>'
        f"{', an identity' * row['identity']}</p>"
        f"<p>{typeset(row['statement'])} [{row['source']}]</p>{facts}</div>"
    )


WORD = "A-Za-z0-9"
LETTER = re.compile(rf"(?<![{WORD}_'’&.-])([b-zB-DF-HJ-LO-Z])(?![{WORD}_'’-]|\.\w)|([α-ωΔΛΦ])")
"""A letter that stands by itself, and is no word: a variable; every Greek one is."""
INDEX = re.compile(
    rf"([_^])(?:\(((?:[^()]|\([^()]*\))*)\)|\{{([^{{}}]*)\}}|([{WORD}.α-ω]*[{WORD}α-ω]|[+−*]))"
)
"""What stands low or high: in parentheses, in braces, or one word."""


def typeset(text: str) -> str:
    """Words with mathematics in letters, such as ``‖W_Q‖_(2,4)^4 ~ n_k``, as HTML.

    Indices stand low, exponents high, and variables in italics.
    """
    out, end = [], 0
    for found in INDEX.finditer(text):
        tag = {"_": "sub", "^": "sup"}[found[1]]
        inner = next(group for group in found.groups()[1:] if group is not None)
        before = _variables(text[end : found.start()], last=True)
        out.append(f"{before}<{tag}>{typeset(inner)}</{tag}>")
        end = found.end()
    return "".join(out) + _variables(text[end:])


def _variables(text: str, *, last: bool = False) -> str:
    """Letters by themselves in italics; the ``last`` one, if it carries an index, in any case."""
    shown = LETTER.sub(lambda m: f"<i>{m[0]}</i>", html.escape(text, quote=False))
    return re.sub(r"(?<![A-Za-z>;])([A-Za-z])$", r"<i>\1</i>", shown) if last else shown


INTERVALS = {
    "slope": ("slope", ".3f", "draws"),
    "change": ("change", "+.3f", "seeds"),
    "ratio": ("ratio", ".2f", "seeds"),
    "gain": ("lower by", ".3f", "seeds"),
}
"""How a value with its interval reads: word, format, what was repeated."""


def describe(measured: Mapping) -> str:
    """Measured values in a few words."""
    for key, (word, form, what) in INTERVALS.items():
        if key in measured and "low" in measured:
            value, low, high = (format(measured[name], form) for name in (key, "low", "high"))
            runs = f", {measured['runs']} {what}" if "runs" in measured else ""
            more = [f"; {_named(k, v)}" for k, v in measured.items() if isinstance(v, Mapping)]
            return f"{word} {value} [{low}, {high}]{runs}{''.join(more).replace('_', ' ')}"
    if "farthest" in measured:
        far = f"farthest {measured['farthest']}, {distance(measured)}"
        return f"{measured['inside']} of {measured['of']} inside; {far}"
    if "exponent" in measured:
        rows = [f"{k} {v['ratio']:.2f}" for k, v in measured.items() if "ratio" in v]
        return f"ratio at {', '.join(rows)}; in d: {describe(measured['exponent'])}"
    nested = any(isinstance(value, Mapping) for value in measured.values())
    words = (re.sub(r"_(?![0-9F](_|$))", " ", name) for name in measured)  # R_1 stays R_1
    parts = (_named(word, value) for word, value in zip(words, measured.values(), strict=True))
    return ("; " if nested else ", ").join(parts)


def distance(measured: Mapping) -> str:
    """How far the farthest published value lies, in standard errors; empty without one."""
    return f"z = {measured['z']:+.1f}".replace("-", "−") if "z" in measured else ""


def _named(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        return f"{name}: {describe(value)}"
    return f"{name} {value}" if isinstance(value, int | str) else f"{name} {value:.2g}"


def _several(values) -> str:
    return ", ".join(html.escape(v) for v in dict.fromkeys(values))


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, in two or three digits."""
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 1 else "below 1 s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _ranges(seeds: Sequence[int]) -> str:
    """1, 2, 3, 5 → "1–3, 5"."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(f"{r[0]}–{r[-1]}" if len(r) > 1 else str(r[0]) for r in runs)
