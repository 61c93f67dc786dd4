"""Train the playground's default case in a browser, ten seeds with and without R_2; write it down.

``python book/tools/playground_record.py`` writes ``record.json`` and ``story.html`` beside the
scripts, in ``book/_static/playground``.  What is asked of them is declared here, before a run.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from pathlib import Path

import playpage
from browser import NO_BROWSER, chromium, find_browser

from escape_ntk.records.provenance import environment

SEEDS = range(1, 11)
SEEN, CHOSEN_ON = (1,), (101, 102, 103, 104)
"""Seeds that had been looked at when this was declared: of these ten, and those sizes came from."""
BAR, NEEDED = 2.0, 8
"""The test loss ends at least BAR times lower with R_2, in at least NEEDED of the seeds."""
MOST_SECONDS = 10.0
"""From the key to the answer of the first task, which trains both."""

TRAIN = """(change) => {
    const model = playgroundModel(), settings = {...model.defaults, ...change}, points = [];
    let line;
    const start = performance.now();
    const {outcome, calls} = model.train(settings, (l) => { line = l; },
        (time, values) => points.push({time, values}));
    window.runs = {...window.runs, [`${settings.seed}/${settings.lambda}`]: {points, line}};
    const {profile, ...values} = points.at(-1).values;
    return {...values, outcome, calls, seconds: (performance.now() - start) / 1000};
}"""
DRAW = """([seed, lambda]) => {
    const charts = playgroundCharts.panels();
    charts.draw(window.runs[`${seed}/${lambda}`], [window.runs[`${seed}/0`]]);
    return charts.svgs.map((svg) => svg.outerHTML).join("\\n");
}"""


def said(title: str, row: dict) -> str:
    """A drawing in words: what both runs of a seed came to."""

    def one(run: dict) -> str:
        learned = (
            f"{term} {run[f'{name}_{part}']:.0%} of the {part} part"
            for term, name in (("f_L", "linear"), ("f_Q", "quadratic"))
            for part in ("dense", "sparse")
        )
        return f"test loss {run['test']:.2f}; learned: {', '.join(learned)}"

    return f"{title}. With R_2: {one(row['with'])}. Faint, without: {one(row['without'])}."


def commit() -> str:
    """The commit of the scripts, with + where they have changes of their own."""
    command = ["git", "status", "--porcelain", "--", *playpage.SCRIPTS]
    done = subprocess.run(command, cwd=playpage.FOLDER, capture_output=True, text=True, check=True)
    return f"{environment()['commit'][:10]}{'+' if done.stdout.strip() else ''}"


def main() -> None:
    """Run, and write both files."""
    if find_browser() is None:
        raise SystemExit(NO_BROWSER)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        file = Path(folder) / "page.html"
        file.write_text(playpage.bare_page(playpage.box(None, "")), "utf-8")
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.goto(file.as_uri())
        settings = page.evaluate("playgroundModel().defaults")
        start = time.perf_counter()
        page.locator(".playground-tasks button").first.click()
        page.get_by_text("times lower").wait_for()
        to_story = time.perf_counter() - start
        rows = [
            {
                "seed": seed,
                "without": page.evaluate(TRAIN, {"seed": seed, "lambda": 0}),
                "with": page.evaluate(TRAIN, {"seed": seed}),
            }
            for seed in SEEDS
        ]
        drawings = page.evaluate(DRAW, [SEEDS[0], settings["lambda"]])
        label = re.compile('(?<=aria-label=")[^"]*')
        drawings = label.sub(lambda title: said(title[0], rows[0]), drawings)
        seconds = [row[kind].pop("seconds") for row in rows for kind in ("without", "with")]
        found = {
            "declared": {
                "bar": BAR,
                "needed": NEEDED,
                "seconds": MOST_SECONDS,
                "seen": SEEN,
                "chosen_on": CHOSEN_ON,
            },
            "settings": settings,
            "rows": rows,
            "seconds_per_run": round(sorted(seconds)[len(seconds) // 2], 2),
            "seconds_to_story": round(to_story, 2),
            "commit": commit(),
            "source": playpage.digest(),
            "browser": f"Chromium {browser.version}",
            "cpu": environment()["cpu"],
            "cores": environment()["cores"],
        }
    (playpage.FOLDER / "record.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (playpage.FOLDER / "story.html").write_text(drawings + "\n", "utf-8")
    by_seed = playpage.ratios(found)
    print(" ".join(f"{r:.2f}" for r in by_seed), f"{sum(r >= BAR for r in by_seed)} of {len(rows)}")
    print(f"one run {found['seconds_per_run']} s, the story {found['seconds_to_story']} s")


if __name__ == "__main__":
    main()
