"""Test error by part: numbers, static frame, and controls in a browser."""

import html
import itertools
import json
import re
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from escape_ntk.chapters.sample_complexity import claims as ledger
from escape_ntk.chapters.sample_complexity import page, widget
from escape_ntk.chapters.sample_complexity import runs as sc
from escape_ntk.chapters.sample_complexity.widget import (
    FRAME,
    METHODS,
    NOT_RUN,
    PARTS,
    PARTS_LIMIT,
)
from escape_ntk.checks import EscapeNTKError, InputError, NonFiniteError
from escape_ntk.study import dense_plus_sparse as problem
from escape_ntk.study.claims import Runs
from escape_ntk.study.sweep import LiveResult

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "book/_static"
DIMS, SEEDS, FACTORS = (12, 24, 40), (1, 2, 3), sc.TAYLOR_FACTORS[2]
NEVER = {("joint", 40, 8.0), ("quadntk", 40, 8.0), ("joint", 12, 1.0)}
"""Cells that were not run."""
BELOW = ("joint", 24, 8.0)
"""A cell whose rest is negative in the mean."""


def record(method: str, d: int, n: int, seed: int, parts, k: int = 2) -> LiveResult:
    """What a figure needs of a record."""
    summary = dict(zip(problem.PARTS, parts, strict=True)) | {"error": float(sum(parts))}
    config = {"d": d, "n": n, "k": k, "seed": seed}
    return LiveResult(f"complexity-{method}", config, summary, {})


@pytest.fixture
def runs():
    """Records of three dimensions, all factors and three seeds, without the cells of NEVER."""
    generator = np.random.default_rng(0)
    made = {method: [] for method in METHODS}
    for method, d, f, seed in itertools.product(METHODS, DIMS, FACTORS, SEEDS):
        if (method, d, f) not in NEVER:
            parts = generator.uniform(0.05, 0.3, 3) / f**0.5
            parts[2] = -0.004 * seed if (method, d, f) == BELOW else parts[2]
            made[method].append(record(method, d, problem.samples(f, d, 2), seed, parts))
    made["ntk"].append(record("ntk", 24, 2465, 1, (9, 9, 9)))  # the kernel's own size
    return made


def wanted(runs, method: str, d: int, factor: float) -> dict | None:
    """Means, range and number of seeds of one cell, straight from the records."""
    n = problem.samples(factor, d, 2)
    own = [r.summary for r in runs[method] if (r.config["d"], r.config["n"]) == (d, n)]
    if not own:
        return None
    values = {name: [s[name] for s in own] for name in (*problem.PARTS, "error")}
    means = {name: float(np.mean(v)) for name, v in values.items()}
    low, high = min(values["error"]), max(values["error"])
    return means | {"low": low, "high": high, "seeds": len(own)}


def data_of(fragment: str) -> dict:
    """What parts.js reads."""
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', fragment)[1])


def frame_of(fragment: str) -> tuple[list[dict], list[list[str]], str]:
    """Bars, columns of the table, and the label of the drawing, as Python wrote them."""
    bars = []
    for group in re.findall(r'<g class="parts-bar".*?</text></g>', fragment):
        parts = re.findall(r'class="parts-part"[^>]* d="([^"]*)"', group)
        bracket = re.search(r'class="parts-range"[^>]* d="([^"]*)"', group)[1]
        label = re.findall(r">([^<]+)<", group)[0]
        bars.append({"parts": parts, "bracket": bracket, "label": label})
    body = re.search("<tbody>(.*?)</tbody>", fragment)[1].split("</tr>")[:-1]
    columns = zip(*(re.findall("<td>(.*?)</td>", row) for row in body), strict=True)
    label = html.unescape(re.search(r'aria-label="([^"]*)"', fragment)[1])
    return bars, [list(c) for c in columns], label


def printed(value: float) -> str:
    """Three decimals and a true minus."""
    return f"{float(f'{value:.3f}') + 0:.3f}".replace("-", "−")


def misdrawn(cell: dict, bar: dict, height: float) -> list[str]:
    """Parts and bracket of a bar whose lengths are not the cell's; ``height`` of an error of 1."""
    if not all([*bar["parts"], bar["bracket"]]):
        return ["bar"]
    wrong, at = [], FRAME["bottom"]
    for part, path in zip(problem.PARTS, bar["parts"], strict=True):
        start, end = map(float, re.fullmatch(r"M\d+ ([\d.]+)V([\d.]+)", path).groups())
        length = height * max(0, cell[part])
        close = abs(start - at) < 0.01 and abs(start - end - length) < 0.0005 * height + 0.01
        wrong, at = wrong + [part] * (not close), end
    low, _, high, mean = (float(y) for y in re.findall(r"M\d+ ([\d.]+)", bar["bracket"]))
    ends = [(FRAME["bottom"] - y) / height for y in (low, mean, high)]
    atol = 0.0005 + 0.006 / height  # of the printed numbers and of the drawing
    right = np.allclose(ends, [cell[v] for v in ("low", "error", "high")], atol=atol, rtol=0)
    return wrong + ["bracket"] * (not right)


def disagreements(runs, limit: float, frame, d: int, factor: float) -> list[str]:
    """What in the frame differs from the records of (d, factor)."""
    (bars, columns, label), height = frame, (FRAME["bottom"] - FRAME["top"]) / limit
    here = f" d = {d}, n = {problem.samples(factor, d, 2)} ({factor:g} n_2). "
    wrong = ["place"] * (here not in label)
    for (method, (name, _)), bar, column in zip(METHODS.items(), bars, columns, strict=True):
        cell = wanted(runs, method, d, factor)
        if cell is None:
            numbers, words = [NOT_RUN, *"–––––", "0"], f"{name}: {NOT_RUN}."
            wrong += ["bar"] * any([*bar["parts"], bar["bracket"]])
        else:
            numbers = [printed(cell[v]) for v in ("error", "low", "high", *problem.PARTS)]
            error, low, high, dense, sparse, rest = numbers
            numbers.append(str(cell["seeds"]))
            words = f"{name}: missed of dense {dense}, missed of sparse {sparse}, rest {rest}; "
            words += f"test error {error} ({low} to {high}, seeds: {cell['seeds']})."
            wrong += misdrawn(cell, bar, height)
        wrong += ["table"] * (column != numbers) + ["label"] * (f" {words}" not in label)
        wrong += ["number on the bar"] * (bar["label"] != numbers[0])
    return wrong


# --- the fragment -------------------------------------------------------------------------------


def test_names_are_those_of_the_experiment():
    assert tuple(PARTS) == problem.PARTS
    assert tuple(METHODS) == tuple(ledger.METHODS)


def test_sizes(runs):
    assert len(widget.parts(runs).text.encode()) < PARTS_LIMIT
    assert (STATIC / "parts.js").stat().st_size < 8_000


def test_every_cell_holds_the_means_of_its_records(runs):
    data = data_of(widget.parts(runs).text)
    assert (data["dims"], data["factors"], data["k"]) == ([*DIMS], [*FACTORS], 2)
    names = (*problem.PARTS, "error", "low", "high", "seeds")
    for (i, d), (j, f), method in itertools.product(enumerate(DIMS), enumerate(FACTORS), METHODS):
        assert data["n"][i][j] == problem.samples(f, d, 2)
        cell, values = data["cells"][i][j][method], wanted(runs, method, d, f)
        assert (cell is None) == (values is None) == ((method, d, f) in NEVER)
        if cell is not None:
            assert cell == pytest.approx([values[name] for name in names], abs=0.0005001)
    other = wanted(runs, "ntk", 24, 3.0)  # the control: another method's numbers
    assert data["cells"][1][3]["joint"] != pytest.approx([other[n] for n in names], abs=0.001)


def test_static_frame_is_at_24_and_three(runs):
    text = widget.parts(runs).text
    limit = data_of(text)["frame"]["limit"]
    assert disagreements(runs, limit, frame_of(text), 24, 3.0) == []
    assert len(disagreements(runs, limit, frame_of(text), 24, 4.0)) > 10  # the controls
    assert len(disagreements(runs, limit, frame_of(text), 40, 3.0)) > 10
    swapped = runs | {"ntk": runs["joint"], "joint": runs["ntk"]}
    assert len(disagreements(swapped, limit, frame_of(text), 24, 3.0)) > 6


def test_recorded_numbers_are_those_of_the_chapters_table():
    """Two routes from the same records: this figure, and the rows of the page's table."""
    recorded = Runs()
    _, columns, label = frame_of(widget.parts(ledger.chief(recorded)).text)
    assert " d = 24, n = 972 (3 n_2). " in label
    rows = {row[1]: row for row in page.chief_rows(recorded) if row[0] == "24"}
    for (name, _), (error, low, high, *missed, _) in zip(METHODS.values(), columns, strict=True):
        assert [f"{error} ({low}–{high})", *missed] == rows[name][2:]
    assert columns[0][0] != rows["joint"][2].split()[0]  # the control


def test_the_order_of_records_does_not_matter(runs):
    turned = {method: records[::-1] for method, records in reversed(runs.items())}
    assert widget.parts(turned).text == widget.parts(runs).text
    runs["joint"].pop()
    assert widget.parts(turned).text != widget.parts(runs).text  # the control


def test_another_degree_has_its_own_sizes():
    made = {m: [record(m, 25, 104, 1, (0.1, 0.1, 0.1), k=1)] for m in METHODS}
    text = widget.parts(made).text
    assert " d = 25, n = 104 (4 n_1). " in frame_of(text)[2] and "<i>n</i><sub>1</sub>" in text
    with pytest.raises(InputError):  # the control: 104 is no size of k = 2
        widget.parts({m: [record(m, 25, 104, 1, (0.1, 0.1, 0.1))] for m in METHODS})


@pytest.mark.parametrize(
    ("missing", "place"),
    [
        ({("ntk", 24, 3.0)}, (24, 4.0)),
        ({(m, 24, f) for m in METHODS for f in FACTORS}, (40, 3.0)),
        ({("joint", d, f) for d in DIMS for f in FACTORS}, (24, 3.0)),
        ({("ntk", d, f) for d in DIMS for f in FACTORS if (d, f) != (12, 8.0)}, (12, 8.0)),
    ],
)
def test_the_frame_is_the_nearest_place_where_most_methods_were_run(runs, missing, place):
    gone = {(m, d, problem.samples(f, d, 2)) for m, d, f in missing}
    left = {
        method: [r for r in records if (method, r.config["d"], r.config["n"]) not in gone]
        for method, records in runs.items()
    }
    text = widget.parts(left).text
    limit = data_of(text)["frame"]["limit"]
    assert disagreements(left, limit, frame_of(text), *place) == []


def test_what_was_not_run_says_so(runs):
    runs["joint"] = []
    bars, columns, label = frame_of(widget.parts(runs).text)
    assert bars[2] == {"parts": ["", "", ""], "bracket": "", "label": "not run"}
    assert columns[2] == ["not run", "–", "–", "–", "–", "–", "0"]
    assert label.endswith(" joint: not run.") and "joint <b>not run</b>." in (
        widget.parts(runs).text
    )
    assert "not run" not in str(columns[:2])  # the control


def test_a_rest_below_zero_is_printed_and_not_drawn():
    place = {"d": 24, "n": 972, "seed": 1}
    made = {m: [record(m, **place, parts=(0.2, 0.1, 0.3))] for m in METHODS}
    made["joint"] = [record("joint", **place, parts=(0.2, 0.1, -0.05))]
    made["quadntk"] = [record("quadntk", **place, parts=(0.2, 0.1, -0.0002))]
    text = widget.parts(made).text
    bars, columns, label = frame_of(text)
    drawn = [[float(y) for y in re.findall(r"[\d.]+$|(?<= )[\d.]+", b["parts"][2])] for b in bars]
    assert [a - b for a, b in drawn] == pytest.approx(
        [100, 0, 0], abs=0.02
    )  # 0.3 on an axis to 0.6
    assert columns[2][0] == "0.250" and columns[2][5] == "−0.050" and "rest −0.050;" in label
    assert columns[1][5] == "0.000"  # not −0.000
    mean = float(re.findall(r"M\d+ ([\d.]+)m", bars[2]["bracket"])[0])
    assert mean == pytest.approx(246 - 0.25 / 0.6 * 200, abs=0.01)  # the dot: the true mean
    assert disagreements(made, 0.6, frame_of(text), 24, 3.0) == []


def test_parts_differ_without_colour():
    styles = [style for _, style in PARTS.values()]
    assert len(set(styles)) == len(PARTS) and not any("#" in style for style in styles)


def test_the_axis_reaches_beyond_every_cell(runs):
    for scale in (1, 0.01, 400):
        made = {
            m: [
                record(m, r.config["d"], r.config["n"], r.config["seed"], parts)
                for r in records
                for parts in [[scale * r.summary[part] for part in problem.PARTS]]
            ]
            for m, records in runs.items()
        }
        text = widget.parts(made).text
        limit = data_of(text)["frame"]["limit"]
        errors = [r.summary["error"] for rs in made.values() for r in rs if r.config["n"] != 2465]
        assert max(errors) <= limit < 2 * max(errors)
        assert 3 <= text.count('dy=".35em"') <= 7
        assert disagreements(made, limit, frame_of(text), 24, 3.0) == []


def config(**changes) -> LiveResult:
    """A record at d = 24, n = 972 with other settings."""
    made = record("joint", 24, 972, 9, (0.1, 0.1, 0.1))
    return LiveResult("made", made.config | changes, made.summary, {})


def summary(**changes) -> LiveResult:
    """A record at d = 24, n = 972 with other results."""
    made = record("joint", 24, 972, 9, (0.1, 0.1, 0.1))
    kept = {name: v for name, v in (made.summary | changes).items() if v is not None}
    return LiveResult("made", made.config, kept, {})


REFUSED = {
    "a method missing": ({"joint": None}, InputError, "joint"),
    "an unknown method": ({"sgd": []}, InputError, "sgd"),
    "nothing": ({method: [] for method in METHODS}, InputError, "none"),
    "no size on the grid": ({m: [config(n=973)] for m in METHODS}, InputError, "n_2 of 1, 1.5"),
    "two values of k": ({"joint": [config(k=1, n=75)]}, InputError, "k = 1, 2"),
    "a k without a grid": ({m: [config(k=3)] for m in METHODS}, InputError, "k = 3"),
    "a seed twice": ({"joint": [config(), config()]}, InputError, "two of seed 9"),
    "no k": ({"joint": [config(k=None)]}, InputError, "k to be an integer"),
    "d not whole": ({"joint": [config(d=24.0)]}, InputError, "d to be an integer"),
    "no rest": ({"joint": [summary(rest=None)]}, InputError, "no rest at joint, d = 24"),
    "text": ({"joint": [summary(error="low")]}, InputError, "error at joint"),
    "NaN": ({"joint": [summary(dense=float("nan"))]}, NonFiniteError, "dense at joint"),
    "infinity": ({"joint": [summary(error=float("inf"))]}, NonFiniteError, "seed 9"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused(runs, case):
    changes, error, words = REFUSED[case]
    broken = {
        method: records for method, records in (runs | changes).items() if records is not None
    }
    with pytest.raises(error, match=r"(?s)expected .+; got .+; remedy: .+") as caught:
        widget.parts(broken)
    assert type(caught.value) is error and isinstance(caught.value, EscapeNTKError)
    assert words in str(caught.value)
    widget.parts(runs | {"joint": [config(), config(seed=8)]})  # the control


def test_too_many_dimensions_are_refused():
    made = {
        m: [
            record(m, d, problem.samples(f, d, 2), 1, (0.1, 0.1, 0.1))
            for d in range(9, 40)
            for f in FACTORS
        ]
        for m in METHODS
    }
    with pytest.raises(InputError, match=r"at most 20000 bytes; got \d+ bytes; remedy: pass fewer"):
        widget.parts(made)


def test_the_book_loads_the_script():
    assert re.search(r'html_js_files: \[.*"parts.js"\]', (ROOT / "_config.yml").read_text("utf-8"))


# --- in a browser -------------------------------------------------------------------------------

PAGE = """<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>t</title>
<link rel="stylesheet" href="book.css"><script src="moves.js"></script>
<script src="parts.js"></script>"""
CONTROLS = ".parts-controls"
FIGURES = """() => [...document.querySelectorAll('.parts svg, .parts table, .parts p')].map(
    (e) => e.outerHTML)"""
HTML = "(e) => e.outerHTML"


@pytest.fixture
def opened(headless, browser, runs, tmp_path):
    """Return a function that opens a page with the figure; ``script`` edits parts.js."""
    with ExitStack() as stack:

        def run(script=lambda text: text, body=None, width=1000, **options):
            fragment = widget.parts(runs).text if body is None else body
            (tmp_path / "favicon.ico").write_bytes(b"")
            (tmp_path / "page.html").write_text(PAGE + fragment, "utf-8")
            for name, edit in (("book.css", str), ("moves.js", str), ("parts.js", script)):
                (tmp_path / name).write_text(edit((STATIC / name).read_text("utf-8")), "utf-8")
            address = stack.enter_context(headless.served(tmp_path))
            view = {"width": width, "height": 900}
            view = stack.enter_context(browser.new_context(viewport=view, **options)).new_page()
            findings = headless.Findings()
            findings.watch(view, address.removeprefix("http://"))
            view.goto(f"{address}/page.html", wait_until="load")
            return view, findings

        yield run


def differences(view, runs, d: int, factor: float, figure: int = 0) -> list[str]:
    """What the page shows otherwise than the records of (d, factor) say; sentence included."""
    text = view.locator(".parts").nth(figure).evaluate(HTML)
    wrong = disagreements(runs, data_of(text)["frame"]["limit"], frame_of(text), d, factor)
    said = [f"d = {d}, n = {problem.samples(factor, d, 2)} ({factor:g} n2). Test error: "]
    for method, (name, _) in METHODS.items():
        cell = wanted(runs, method, d, factor)
        said.append(f"{name} {NOT_RUN if cell is None else printed(cell['error'])}")
    sentence = view.locator(".parts [aria-live=polite]").nth(figure).inner_text()
    return wrong + ([] if sentence == said[0] + ", ".join(said[1:]) + "." else [sentence])


def test_without_javascript_only_the_frame_is_seen(headless, opened, runs):
    view, findings = opened(java_script_enabled=False)
    assert view.locator(".parts svg").count() == 1 and view.locator("input").count() == 0
    assert view.locator(".parts-bar").count() == 3 and view.locator(".parts table").is_visible()
    assert differences(view, runs, 24, 3.0) == []
    assert findings == headless.Findings()


def test_the_script_starts_with_what_python_drew(headless, opened):
    still, _ = opened(java_script_enabled=False)
    before = still.evaluate(FIGURES)
    view, findings = opened()
    assert view.locator(CONTROLS).count() == 1
    assert view.evaluate(FIGURES) == before
    view.keyboard.press("Tab")  # to the radio buttons, where an arrow changes d
    view.keyboard.press("ArrowDown")
    assert view.evaluate(FIGURES) != before  # the control
    assert findings == headless.Findings()


def test_keys_reach_every_cell(headless, opened, runs):
    """Tab, arrows, Home and End: bars, brackets, table, sentence and label follow d and n."""
    view, findings = opened()
    view.keyboard.press("Tab")
    for d in (40, 12, 24):
        view.keyboard.press("ArrowRight")  # after the last comes the first
        assert view.get_by_role("radio", name=str(d), exact=True).is_checked()
        assert differences(view, runs, d, 3.0) == []
        view.keyboard.press("Tab")
        assert view.evaluate("document.activeElement.type") == "range"
        view.keyboard.press("Home")
        for factor in FACTORS:
            n = problem.samples(factor, d, 2)
            assert differences(view, runs, d, factor) == []
            assert view.locator("output").inner_text() == f"{n} ({factor:g} n2)"
            said = view.get_by_role("slider").get_attribute("aria-valuetext")
            assert said == f"{n}, that is {factor:g} n_2"
            view.keyboard.press("ArrowRight")
        view.keyboard.press("End")
        assert differences(view, runs, d, 8.0) == []
        assert len(differences(view, runs, d, 6.0)) > 6  # the control
        for _ in range(3):
            view.keyboard.press("ArrowLeft")
        view.keyboard.press("Shift+Tab")
    assert findings == headless.Findings()


@pytest.mark.parametrize(
    ("right", "broken", "place"),
    [
        ("Math.max(0, v)", "Math.abs(v)", (24, 8.0)),
        ("data.cells[i][j]", "data.cells[i][Math.max(j, 1)]", (24, 1.0)),
        ("const [mean, low, high]", "const [low, mean, high]", (24, 8.0)),
        ('.replace("-", "\\u2212")', "", (24, 8.0)),
    ],
)
def test_a_wrong_drawing_is_found(opened, runs, right, broken, place):
    """The control of the test above."""
    assert right in (STATIC / "parts.js").read_text("utf-8")
    view, _ = opened(script=lambda text: text.replace(right, broken))
    view.get_by_role("slider").press("Home" if place[1] == 1 else "End")
    assert differences(view, runs, *place)


def test_controls_have_names(opened):
    view, _ = opened()
    group = view.get_by_role("group", name="dimension d", exact=True)
    assert group.evaluate("e => e.tagName") == "FIELDSET"
    assert group.get_by_role("radio").count() == len(DIMS)
    for d in DIMS:
        assert group.get_by_role("radio", name=str(d), exact=True).count() == 1
    slider = view.get_by_role("slider", name="training inputs n", exact=True)
    assert slider.evaluate("e => [e.min, e.max, e.step, e.value]") == ["0", "6", "1", "3"]
    assert view.get_by_role("img").count() == 1
    assert view.get_by_role("columnheader", name="QuadNTK").count() == 1
    assert view.get_by_role("rowheader", name="missed of dense").count() == 1
    assert view.get_by_role("slider", name="training inputs m").count() == 0  # the control


def test_print_shows_the_static_frame(opened, runs):
    view, _ = opened()
    view.get_by_role("slider").press("End")
    assert view.locator(CONTROLS).is_visible()
    view.emulate_media(media="print")
    assert not view.locator(CONTROLS).is_visible()
    assert view.locator(".parts svg").is_visible()
    root = "document.documentElement"
    view.evaluate(f"{root}.dataset.theme = 'dark'")
    view.evaluate(f"{root}.style.setProperty('--pst-color-text-base', '#ced6dd')")  # the theme's
    words = view.locator(".parts :is(p, th, td, text)").all()
    colours = {w.evaluate("e => getComputedStyle(e).color") for w in words}
    assert colours == {"rgb(0, 0, 0)"}  # black on white, from a dark page too
    view.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert differences(view, runs, 24, 3.0) == []
    view.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert differences(view, runs, 24, 8.0) == []


@pytest.mark.parametrize(("width", "columns"), [(1000, 2), (390, 1)])
def test_drawing_and_table_stack_where_it_is_narrow(headless, opened, width, columns):
    view, _ = opened(width=width)
    drawing, table = (view.locator(f".parts {e}").bounding_box() for e in ("svg", "table"))
    assert (table["x"] >= drawing["x"] + drawing["width"]) == (columns == 2)
    assert (table["y"] >= drawing["y"] + drawing["height"]) == (columns == 1)
    assert view.evaluate(headless.OVERFLOW) <= 0
    inside = "e => e.scrollWidth - e.clientWidth"
    assert view.locator(".parts-numbers").evaluate(inside) <= 0
    texts = view.locator(".parts svg text").all()
    assert all(t.bounding_box()["x"] + t.bounding_box()["width"] <= width for t in texts)


def contrast(one, other) -> float:
    """Ratio of relative luminances of two sRGB colours (WCAG 2.2)."""

    def luminance(colour):
        v = np.array(colour) / 255
        linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
        return np.dot((0.2126, 0.7152, 0.0722), linear)

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("theme", "ground", "faint"),
    [("light", (255, 255, 255), (240, 228, 66)), ("dark", (18, 18, 18), (0, 60, 100))],
)
def test_bars_stand_out_from_the_page(opened, theme, ground, faint):
    """Fills, stripes and edges have a contrast of 3 or more to the page in both themes."""
    view, _ = opened()
    view.evaluate("t => { document.documentElement.dataset.theme = t; }", theme)
    paths = view.locator(".parts-part, .parts-edge").all()
    strokes = {p.evaluate("e => getComputedStyle(e).stroke") for p in paths}
    assert len(strokes) == (3 if theme == "light" else 6)  # in the dark, edges are lighter
    for stroke in strokes:
        assert contrast([int(v) for v in re.findall(r"\d+", stroke)], ground) > 3
    assert contrast(faint, ground) < 3  # the control


def test_two_figures_do_not_disturb_each_other(opened, runs):
    view, _ = opened(body=widget.parts(runs).text * 2)
    view.get_by_role("radio", name="40").first.press("Space")
    view.get_by_role("slider").first.press("End")
    assert differences(view, runs, 40, 8.0) == []
    assert differences(view, runs, 24, 3.0, figure=1) == []
    assert view.locator("input:checked").count() == 2


def test_pages_without_the_figure_are_left_alone(headless, opened):
    view, findings = opened(body="<p id=text>text</p>")
    assert view.locator("body > *").count() == 1 and findings == headless.Findings()
    _, findings = opened(script=lambda text: text + "throw new Error('broken on purpose')")
    assert findings.console  # the control
