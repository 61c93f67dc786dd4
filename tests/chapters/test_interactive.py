"""The figure that the reader moves: numbers, static frame, and controls in a browser."""

import html
import json
import re
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from escape_ntk.chapters.directions import widget
from escape_ntk.chapters.directions.runs import KINDS, Views
from escape_ntk.chapters.directions.widget import EDGES, FIRST_MOVE, MOVES, SIDES, _few_digits
from escape_ntk.checks import EscapeNTKError, InputError, NonFiniteError, ShapeError

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "book/_static"
N = 120
SIZES = {"inside": (8, 0), "random_signs": (0.2, 3), "memorizing": (2, 0), "same_sign": (5, 3)}
"""Sizes of f_L and of f_Q, much as in the record."""


@pytest.fixture
def arrays():
    """Arrays of the record's shapes; one input lies beyond each of left and right."""
    made, generator = {}, np.random.default_rng(0)
    for side in ("train", "fresh"):
        x = np.clip(generator.standard_normal(N), -3, 3)
        x[:2] = -4.2, 4.3
        made[f"{side}_projection"] = x
        for kind, (linear, quadratic) in SIZES.items():
            rows = linear * generator.standard_normal(N), quadratic * x**2 / 6
            made[f"{kind}_{side}"] = np.stack(rows)
    return made


def data_of(fragment: str) -> dict:
    """What moves.js reads."""
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', fragment)[1])


def marks_of(fragment: str) -> list[list[str]]:
    """The paths of the marks, panel by panel."""
    groups = re.findall(r'<g class="moves-marks"[^>]*>(.*?)</g>', fragment)
    return [re.findall(r'<path d="([^"]+)"/>', group) for group in groups]


def expected_marks(arrays, kind: str, c: float) -> list[list[tuple[float, float, str]]]:
    """(x, y, shape) of every mark, in the drawing's units, straight from the definition."""
    panels = []
    for side in SIDES:
        rounded = [[float(f"{v:.4g}") for v in row] for row in arrays[f"{kind}_{side}"]]
        x = np.array([float(f"{v:.4g}") for v in arrays[f"{side}_projection"]])
        y = c * np.array(rounded[0]) + c**2 * np.array(rounded[1])
        shape = np.select([y > 10, y < -6, x > 4, x < -4], ["up", "down", "right", "left"], "dot")
        px = 42 + (np.clip(x, -4, 4) + 4) / 8 * 288
        py = 266 - (np.clip(y, -6, 10) + 6) / 16 * 240
        panels.append(list(zip(px, py, shape.tolist(), strict=True)))
    return panels


def disagreements(drawn: list[list[str]], expected) -> int:
    """Marks that lie elsewhere, or have another shape, than expected."""
    wrong = 0
    for (_, _, _, dot), panel, wanted in zip(SIDES.values(), drawn, expected, strict=True):
        shapes = EDGES | {"dot": dot}
        for path, (x, y, shape) in zip(panel, wanted, strict=True):
            px, py, rest = re.fullmatch(r"M(\S+) ([\d.]+)(.*)", path).groups()
            near = abs(float(px) - x) < 0.006 and abs(float(py) - y) < 0.006
            wrong += not (near and rest == shapes[shape])
    return wrong


# --- the fragment -------------------------------------------------------------------------------


def test_kinds_are_those_of_the_record():
    assert tuple(MOVES) == KINDS
    assert FIRST_MOVE in MOVES and Views(1).n_shown == N


def test_sizes(arrays):
    assert len(widget.moves(arrays).text.encode()) < 40_000
    assert (STATIC / "moves.js").stat().st_size < 8_000


def test_numbers_round_trip(arrays):
    data = data_of(widget.moves(arrays).text)
    for side in ("train", "fresh"):
        read = data["sides"][side]
        np.testing.assert_allclose(read["x"], arrays[f"{side}_projection"], rtol=5e-4)
        for kind in KINDS:
            np.testing.assert_allclose(read[kind], arrays[f"{kind}_{side}"], rtol=5e-4)
    with pytest.raises(AssertionError):  # the control: another kind's numbers
        np.testing.assert_allclose(data["sides"]["train"]["inside"], arrays["memorizing_train"])


def test_static_frame_is_random_signs_at_one(arrays):
    drawn = marks_of(widget.moves(arrays).text)
    assert [len(panel) for panel in drawn] == [N, N]
    assert disagreements(drawn, expected_marks(arrays, "random_signs", 1)) == 0
    assert disagreements(drawn, expected_marks(arrays, "random_signs", 0.99)) > N
    assert disagreements(drawn, expected_marks(arrays, "inside", 1)) > N


def test_what_lies_beyond_is_a_triangle_at_the_edge(arrays):
    x = arrays["train_projection"]
    x[2:4] = 0.5
    arrays["random_signs_train"][:, 2:4] = [[100, -100], [0, 0]]
    (drawn, _) = marks_of(widget.moves(arrays).text)
    assert drawn[2] == "M204.00 26.00" + EDGES["up"]
    assert drawn[3] == "M204.00 266.00" + EDGES["down"]
    assert drawn[0].startswith("M42.00 ") and drawn[0].endswith(EDGES["left"])
    assert drawn[1].startswith("M330.00 ") and drawn[1].endswith(EDGES["right"])
    assert drawn[4].endswith(SIDES["train"][3])


def test_alt_text_and_words(arrays):
    text = widget.moves(arrays).text
    pictures = re.findall(r"<svg ([^>]*)>", text)
    assert len(pictures) == 2
    for picture, title in zip(pictures, ("Training inputs", "Fresh inputs"), strict=True):
        assert 'role="img"' in picture
        label = html.unescape(re.search(r'aria-label="([^"]*)"', picture)[1])
        assert label.startswith(f"{title}: ") and f"{N} inputs" in label
        assert "random signs in P>k, c = 1.00; 2 beyond the frame." in label
    assert text.count('aria-live="polite"') == 2
    arrays["random_signs_fresh"] = np.stack([np.full(N, 0.2), np.full(N, 12.0)])
    words = re.sub("<[^>]+>", "", widget.moves(arrays).text)
    assert "mean square of c·fL: 0.040, of c²·fQ: 144" in words


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (2e-4, "below 0.001"), (0.0349, "0.035"), (4.02, "4.0"), (9.96, "10"), (78.2, "78")],
)
def test_few_digits(value, text):
    assert _few_digits(value) == text


def test_the_target_is_the_square(arrays):
    """The Bézier curve goes through x² at both ends and at 0, and so everywhere."""
    d = re.search(r'class="moves-target"[^>]* d="M([^"]+)"', widget.moves(arrays).text)[1]
    x0, y0, xc, yc, x1, y1 = map(float, re.findall(r"-?[\d.]+", d))
    for s in (0, 0.2, 0.5, 0.9, 1):
        weights = (1 - s) ** 2, 2 * s * (1 - s), s**2
        x = (np.dot(weights, (x0, xc, x1)) - 42) / 288 * 8 - 4
        y = (266 - np.dot(weights, (y0, yc, y1))) / 240 * 16 - 6
        assert y == pytest.approx(x**2, abs=0.005)


def broken(arrays, name, value):
    made = dict(arrays)
    if value is None:
        del made[name]
    else:
        made[name] = value
    return made


NOT_A_NUMBER = np.zeros((2, N))
NOT_A_NUMBER[1, 7] = np.nan
REFUSED = {
    "a kind missing": ("memorizing_fresh", None, InputError),
    "no projection": ("train_projection", None, InputError),
    "rows and columns swapped": ("inside_train", np.zeros((N, 2)), ShapeError),
    "one input too few": ("inside_train", np.zeros((2, N - 1)), ShapeError),
    "three rows": ("same_sign_fresh", np.zeros((3, N)), ShapeError),
    "a projection of two axes": ("fresh_projection", np.zeros((1, N)), ShapeError),
    "no inputs": ("train_projection", np.zeros(0), ShapeError),
    "text": ("inside_train", np.full((2, N), "1"), ShapeError),
    "complex": ("inside_train", np.zeros((2, N), dtype=complex), ShapeError),
    "NaN": ("random_signs_train", NOT_A_NUMBER, NonFiniteError),
    "infinity": ("fresh_projection", np.full(N, np.inf), NonFiniteError),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused(arrays, case):
    name, value, error = REFUSED[case]
    with pytest.raises(error, match=r"(?s)expected .+; got .+; remedy: .+") as caught:
        widget.moves(broken(arrays, name, value))
    assert type(caught.value) is error and isinstance(caught.value, EscapeNTKError)
    assert name in str(caught.value)
    widget.moves(arrays)  # the control: whole, they are taken


def test_too_many_inputs_are_refused(arrays):
    many = {name: np.concatenate([value, value], axis=-1) for name, value in arrays.items()}
    with pytest.raises(InputError, match=r"at most 40000 bytes; got \d+ bytes; remedy: show fewer"):
        widget.moves(many)


def test_the_book_loads_the_script():
    assert 'html_js_files: ["moves.js", ' in (ROOT / "_config.yml").read_text("utf-8")


# --- in a browser -------------------------------------------------------------------------------

PAGE = """<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>t</title>
<link rel="stylesheet" href="book.css"><script src="moves.js"></script>"""
CONTROLS = ".moves-controls"
DRAWN = """() => [...document.querySelectorAll('.moves-marks')].map(
    (g) => [...g.querySelectorAll('path')].map((p) => p.getAttribute('d')))"""
FIGURES = "() => [...document.querySelectorAll('.moves svg, .moves p')].map((e) => e.outerHTML)"


@pytest.fixture
def opened(headless, browser, arrays, tmp_path):
    """Return a function that opens a page with the figure; ``script`` edits moves.js."""
    with ExitStack() as stack:

        def run(script=lambda text: text, body=None, width=1000, **options):
            fragment = widget.moves(arrays).text if body is None else body
            (tmp_path / "favicon.ico").write_bytes(b"")
            (tmp_path / "page.html").write_text(PAGE + fragment, "utf-8")
            for name, edit in (("book.css", str), ("moves.js", script)):
                (tmp_path / name).write_text(edit((STATIC / name).read_text("utf-8")), "utf-8")
            address = stack.enter_context(headless.served(tmp_path))
            view = {"width": width, "height": 900}
            view = stack.enter_context(browser.new_context(viewport=view, **options)).new_page()
            findings = headless.Findings()
            findings.watch(view, address.removeprefix("http://"))
            view.goto(f"{address}/page.html", wait_until="load")
            return view, findings

        yield run


def test_without_javascript_only_the_frame_is_seen(headless, opened):
    view, findings = opened(java_script_enabled=False)
    assert view.locator(".moves svg").count() == 2 and view.locator("input").count() == 0
    assert view.locator(".moves-marks path").count() == 2 * N
    assert view.locator(".moves-caption").is_visible()
    assert findings == headless.Findings()


def test_the_script_starts_with_what_python_drew(headless, opened):
    still, _ = opened(java_script_enabled=False)
    before = still.evaluate(FIGURES)
    view, findings = opened()
    assert view.locator(CONTROLS).count() == 1
    assert view.evaluate(FIGURES) == before
    view.keyboard.press("Tab")  # to the radio buttons, where an arrow changes the movement
    view.keyboard.press("ArrowDown")
    assert view.evaluate(FIGURES) != before  # the control
    assert findings == headless.Findings()


def test_keys_move_every_dot(headless, opened, arrays):
    """Tab, arrows, Home and End reach everything; marks, words and alt text follow."""
    view, findings = opened()
    view.keyboard.press("Tab")
    view.keyboard.press("Tab")
    assert view.evaluate("document.activeElement.type") == "range"
    for _ in range(30):
        view.keyboard.press("ArrowLeft")
    assert view.locator("output").inner_text() == "0.70"
    drawn = view.evaluate(DRAWN)
    assert disagreements(drawn, expected_marks(arrays, "random_signs", 0.7)) == 0
    for kind, c in (("random_signs", 1), ("random_signs", 0.69), ("same_sign", 0.7)):
        assert disagreements(drawn, expected_marks(arrays, kind, c)) > N // 2  # the controls

    view.keyboard.press("Shift+Tab")
    view.keyboard.press("ArrowDown")
    view.keyboard.press("ArrowDown")
    assert view.get_by_role("radio", name="equal signs").is_checked()
    drawn = view.evaluate(DRAWN)
    assert disagreements(drawn, expected_marks(arrays, "same_sign", 0.7)) == 0
    linear, quadratic = 0.7 * arrays["same_sign_fresh"][0], 0.49 * arrays["same_sign_fresh"][1]
    said = view.locator(".moves-panel p").nth(1).inner_text()
    numbers = [float(v) for v in re.findall(r": ([\d.]+)", said)]
    assert numbers == pytest.approx([np.mean(linear**2), np.mean(quadratic**2)], rel=0.06)
    label = view.locator(".moves svg").first.get_attribute("aria-label")
    beyond = sum(shape != "dot" for *_, shape in expected_marks(arrays, "same_sign", 0.7)[0])
    assert label.endswith(f"Movement: equal signs, c = 0.70; {beyond} beyond the frame.")
    assert "equal signs, at c = 0.70" in view.locator(".moves-caption").inner_text()

    view.keyboard.press("Tab")
    for key, c in (("End", 1.5), ("Home", 0)):
        view.keyboard.press(key)
        drawn = view.evaluate(DRAWN)
        assert disagreements(drawn, expected_marks(arrays, "same_sign", c)) == 0
    assert findings == headless.Findings()


def test_a_wrong_law_is_found(opened, arrays):
    """The control of the test above: f_Q scaled by c instead of c²."""
    view, _ = opened(script=lambda text: text.replace("c * c * v", "c * v"))
    view.get_by_role("slider").press("Home")
    assert disagreements(view.evaluate(DRAWN), expected_marks(arrays, "random_signs", 0)) == 0
    view.get_by_role("slider").press("End")
    assert disagreements(view.evaluate(DRAWN), expected_marks(arrays, "random_signs", 1.5)) > N


def test_controls_have_names(opened):
    view, _ = opened()
    group = view.get_by_role("group", name="movement")
    assert group.evaluate("e => e.tagName") == "FIELDSET"
    assert group.get_by_role("radio").count() == 4
    kinds = ("learnable: inside P≤k", "harmless: random signs in P>k", "memorising", "equal signs")
    for name in kinds:
        assert group.get_by_role("radio", name=name, exact=True).count() == 1
    slider = view.get_by_role("slider", name="amplitude c", exact=True)
    bounds = slider.evaluate("e => [e.min, e.max, e.step, e.value]")
    assert bounds == ["0", "1.5", "0.01", "1"]
    assert view.get_by_role("img").count() == 2
    assert view.get_by_role("slider", name="amplitude d").count() == 0  # the control


def test_print_shows_the_static_frame(opened, arrays):
    view, _ = opened()
    view.get_by_role("slider").press("End")
    assert view.locator(CONTROLS).is_visible()
    view.emulate_media(media="print")
    assert not view.locator(CONTROLS).is_visible()
    assert view.locator(".moves svg").first.is_visible()
    moved, still = (expected_marks(arrays, "random_signs", c) for c in (1.5, 1))
    view.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert disagreements(view.evaluate(DRAWN), still) == 0
    view.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert disagreements(view.evaluate(DRAWN), moved) == 0


@pytest.mark.parametrize(("width", "columns"), [(1000, 2), (390, 1)])
def test_panels_stack_where_it_is_narrow(headless, opened, width, columns):
    view, _ = opened(width=width)
    tops = {round(e.bounding_box()["y"]) for e in view.locator(".moves-panel").all()}
    assert len(tops) == 3 - columns
    assert view.evaluate(headless.OVERFLOW) <= 0


def test_two_figures_do_not_disturb_each_other(opened, arrays):
    twice = widget.moves(arrays).text * 2
    view, _ = opened(body=twice)
    view.get_by_role("radio", name="memorising").first.press("Space")
    drawn, first = view.evaluate(DRAWN), expected_marks(arrays, "memorizing", 1)
    assert disagreements(drawn[:2], first) == 0
    assert disagreements(drawn[2:], expected_marks(arrays, "random_signs", 1)) == 0
    assert view.locator("input:checked").count() == 2


def test_pages_without_the_figure_are_left_alone(headless, opened):
    view, findings = opened(body="<p id=text>text</p>")
    assert view.locator("body > *").count() == 1 and findings == headless.Findings()
    _, findings = opened(script=lambda text: text + "throw new Error('broken on purpose')")
    assert findings.console  # the control
