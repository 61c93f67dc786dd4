"""The playground as HTML: its box, the table of ten seeds, and a page of its own for trials.

What is measured comes from ``record.json``, which ``playground_record.py`` writes in a browser, and
the drawings from ``story.html``, drawn there by the page's own script.  Nothing is typed by hand.
"""

from __future__ import annotations

import hashlib
import json
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "_static/playground"
SCRIPTS = ("model.js", "worker.js", "chart.js", "tasks.js", "page.js")
"""In the order in which a page loads them."""
DRAWN_BY = ("model.js", "chart.js")
"""What a record rests on."""
STYLE = "playground.css"
AGAIN = "python book/tools/playground_record.py"


def digest(folder: Path = FOLDER) -> str:
    """SHA-256 of the scripts that a record rests on."""
    return hashlib.sha256(b"\0".join((folder / name).read_bytes() for name in DRAWN_BY)).hexdigest()


def record(folder: Path = FOLDER) -> dict:
    """The record of ten seeds."""
    return json.loads((folder / "record.json").read_text("utf-8"))


def ratios(found: dict) -> list[float]:
    """Test loss without R_2 over that with it, by seed."""
    return [row["without"]["test"] / row["with"]["test"] for row in found["rows"]]


def box(found: dict | None, drawings: str) -> str:
    """Where the playground stands, with the recorded run that is seen before any other."""
    caption = ""
    if found is not None:
        first, s = found["rows"][0], found["settings"]
        caption = (
            '<p class="playground-caption">A recorded run of the default case '
            f"(<i>d</i> = {s['d']}, <i>n</i> = {s['n']}, <i>m</i> = {s['m']}, seed "
            f"{first['seed']}), with <i>R</i><sub>2</sub>; faint: without. The test loss ends at "
            f"{first['with']['test']:.2f} with and at {first['without']['test']:.2f} without it. "
            "Dashed over time: the sparse part. Dashed along <i>β</i>: the target.</p>"
        )
    return (
        '<div class="playground"><div class="playground-story">'
        f'<div class="playground-panels">{drawings}</div>{caption}</div></div>'
    )


def story(folder: Path = FOLDER) -> str:
    """The drawings of the recorded run."""
    return (folder / "story.html").read_text("utf-8").strip()


def seeds(found: dict) -> str:
    """The table of ten seeds with its verdict, and the strip that says where it comes from."""
    declared = found["declared"]
    bar, needed, chosen = declared["bar"], declared["needed"], declared["chosen_on"]
    by_seed = ratios(found)
    passed = sum(r >= bar for r in by_seed)
    rows = "".join(
        f'<tr><th scope="row">{row["seed"]}</th><td>{row["without"]["test"]:.3f}</td>'
        f"<td>{row['with']['test']:.3f}</td><td>{ratio:.2f}</td></tr>"
        for row, ratio in zip(found["rows"], by_seed, strict=True)
    )
    verdict = (
        f"At least {bar:g} times lower in {passed} of {len(by_seed)} seeds; declared before: in at "
        f"least {needed} of {len(by_seed)}. Sizes were chosen on seeds {chosen[0]} to "
        f"{chosen[-1]}, and seed {', '.join(map(str, declared['seen']))} had been seen."
    )
    first, last = found["rows"][0]["seed"], found["rows"][-1]["seed"]
    facts = {
        "runs": f"{2 * len(by_seed)} (seeds {first}–{last})",
        "commit": found["commit"],
        "source": found["source"][:10],
        "machine": escape(f"{found['cpu']}, {found['cores']} cores"),
        "browser": escape(found["browser"]),
        "one run": f"{found['seconds_per_run']:.1f} s",
        "both runs of the story": f"{found['seconds_to_story']:.1f} s from the key to the answer",
        "data": '<a href="../_static/playground/record.json">record.json</a>',
        "again": f"<code>{AGAIN}</code>",
    }
    strip = "".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in facts.items())
    return (
        f'<div class="results"><table><caption>{verdict}</caption><thead><tr>'
        '<th scope="col">seed</th><th scope="col">test loss without <i>R</i><sub>2</sub></th>'
        '<th scope="col">with</th><th scope="col">ratio</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        f'<div class="provenance"><strong>Recorded.</strong><dl>{strip}</dl></div>'
    )


def bare_page(inside: str, scripts: Path = FOLDER) -> str:
    """A page with nothing but the playground, its scripts taken from the folder ``scripts``."""
    loaded = "".join(f'<script src="{(scripts / name).as_uri()}"></script>' for name in SCRIPTS)
    return (
        '<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8">'
        f'<title>Playground</title><link rel="stylesheet" href="{(FOLDER / STYLE).as_uri()}">'
        f"{loaded}</head><body><main><h1>Playground</h1>{inside}</main></body></html>"
    )
