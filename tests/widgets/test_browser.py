"""The widgets in a real JupyterLab and a real Voila, driven in Chromium by keyboard and by mouse."""

import importlib.util
import re
import shutil

import browser_tools
import pytest
from browser_tools import PICTURE, Shown, output_errors
from notebook_tools import cells, notebooks

from helpers.widgets._pixels import distortion_text, sum_text

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(browser_tools.CHROMIUM is None, reason="no Chromium: install the package chromium"),
]


def no_errors(page):
    assert output_errors(page) == []
    assert page.errors == []


# The widgets, each as a reader uses it: what its picture says must be what Python says.


def drive_c_slider(slider):
    """By keyboard, by mouse and by the button that jumps to the largest c that succeeds."""

    def agree(said, state):
        distortion = distortion_text(state["distortion"])
        assert f"c = {state['c']:.3g}: norm of r {state['norm']:.3f}, distortion {distortion}" in said
        assert f"loss {state['loss']:.3f}. The network says {state['prediction_name']} " in said
        assert ("is reached" in said) == state["success"]

    def marker():  # where the orange marker stands in the first plot
        return slider.picture.locator("circle[r='6']").first.get_attribute("cx")

    page, knob = slider.page, slider.handle()
    place, first = marker(), slider.state()
    agree(slider.label(), first)

    said, state = slider.press(knob, "ArrowRight"), slider.state()
    assert state["index"] == first["index"] + 1 and marker() != place
    agree(said, state)
    assert f"{state['norm']:.3f}" in slider.texts()

    home, state = slider.press(knob, "Home"), slider.state()
    assert state["index"] == 0
    agree(home, state)

    knob.evaluate("knob => knob.scrollIntoView({ block: 'center' })")  # the mouse acts on what is in view
    box, at = slider.place.locator(".noUi-target").first.bounding_box(), knob.bounding_box()
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + box["height"] / 2, steps=12)
    page.mouse.move(box["x"] + 0.97 * box["width"], box["y"] + box["height"] / 2, steps=12)
    page.mouse.up()
    slider.wait_for_other_label(home)
    state = slider.state()
    assert state["index"] > 0.7 * state["count"] and not state["success"]
    agree(slider.label(), state)
    assert any("not reached" in text for text in slider.texts())

    said = slider.press(slider.place.get_by_role("button", name=re.compile("largest c that succeeds")), "Enter")
    state = slider.state()
    assert state["success"] and state["index"] == state["best"] == first["best"]
    agree(said, state)


def drive_inspector(inspector):
    """The image, the pixel and the noise by keyboard; what hovering over a pixel reads; noise by mouse."""
    image, row, column = (inspector.handle(k) for k in range(3))

    def agree(said):
        state = inspector.state()
        assert f"Image {state['index']}, target {state['target_name']}: L0 {state['l0']} " in said
        distortion = distortion_text(state["distortion"])
        assert f"L2 {state['l2']:.3f}, L∞ {state['linf']:.3f}, distortion {distortion}" in said
        pixel = sum_text(state["original"], state["change"], state["adversarial"])
        colour = f", {state['channel']}" if state["channel"] else ""
        where = f"row {state['row']}, column {state['column']}{colour}: "
        texts = inspector.texts()
        assert where + pixel in texts and {f"{state['l1']:.2f}", f"{state['linf']:.3f}"} < set(texts)
        return state, where + pixel

    def pictures():  # r, x, x + r and x + noise
        return [shown.get_attribute("href") for shown in inspector.picture.locator("image").all()]

    first, _ = agree(inspector.label())
    before = pictures()
    state, _ = agree(inspector.press(image, "ArrowRight"))
    assert state["index"] > first["index"]
    assert all(old != new for old, new in zip(before, pictures(), strict=True))

    assert agree(inspector.press(row, "Home"))[0]["row"] == 0
    for _ in range(10):
        said = inspector.press(row, "ArrowRight")
    assert agree(said)[0]["row"] == 10
    assert agree(inspector.press(column, "End"))[0]["column"] == inspector.state()["columns"] - 1
    for _ in range(12):
        said = inspector.press(column, "ArrowLeft")
    state, pixel = agree(said)
    assert (state["row"], state["column"]) == (10, state["columns"] - 13)

    drive_outlines(inspector)

    if state["channel"]:  # a photograph has too many pixels to hover over
        drive_colours(inspector, agree)
    else:
        drive_hovering(inspector, agree, column, pixel)

    before = pictures()
    button = inspector.place.get_by_role("button", name="other noise of the same length")
    for seed, act in enumerate((lambda: button.press("Enter"), button.click), 1):
        act()
        inspector.picture.get_by_text(f"seed {seed}", exact=False).wait_for()
        state, _ = agree(inspector.label())
        assert state["seed"] == seed and state["noise_norm"] == pytest.approx(state["l2"], rel=1e-3)
        after = pictures()
        assert before[:3] == after[:3] and before[3] != after[3]
        before = after


def drive_hovering(inspector, agree, column, pixel):
    """What the mouse reads over the pixel in row 10, column 15, and over its neighbour."""
    page = inspector.page

    def under_the_mouse(where):
        """The title of what lies under the mouse above the middle of the pixel ``where``."""
        there = inspector.picture.locator("rect").filter(has=page.locator("title", has_text=where))
        there.evaluate("pixel => pixel.scrollIntoView({ block: 'center' })")
        box = there.bounding_box()
        spot = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
        page.mouse.move(*spot)
        return page.evaluate("([x, y]) => document.elementFromPoint(x, y).querySelector('title')?.textContent", spot)

    assert under_the_mouse("row 10, column 15:") == pixel
    other = under_the_mouse("row 10, column 14:")
    assert other == agree(inspector.press(column, "ArrowLeft"))[1]


def drive_colours(inspector, agree):
    """The menu of the colours, by keyboard."""
    menu, before = inspector.place.locator(".widget-dropdown select").last, inspector.state()["channel"]
    for colour in ("red", "green", "blue"):
        if colour != before:
            old = inspector.label()
            menu.select_option(colour)
            state, _ = agree(inspector.wait_for_other_label(old))
            assert state["channel"] == colour
            before = colour


def drive_outlines(inspector):
    """The outlines of what the box holds come and go with their button, by mouse and by keyboard."""
    outlines = inspector.picture.locator("path")
    toggle = inspector.place.get_by_role("button", name="outline what the box holds")
    assert outlines.count() == 0 and not inspector.state()["outlines"]
    for act, count in ((toggle.click, 2), (lambda: toggle.press("Space"), 0)):
        act()
        inspector.picture.get_by_text("dashed outline").wait_for(state="attached" if count else "detached")
        assert outlines.count() == count and inspector.state()["outlines"] == bool(count)


def drive_trace(trace):
    """The slider by keyboard, each button by keyboard and by mouse."""

    def agree(said):
        state = trace.state()
        count = f"{state['step']} of {state['last']}"
        assert f"Iteration {count}: {point('x = ', state['x'])}, F = {state['f']:.4g}" in said
        for name, key in (("Cauchy point ", "cauchy"), ("first trial of the line search ", "target")):
            assert point(name, state[key]) in said if state[key] else name not in said
        if state["alpha"] is not None:
            assert f"step length {state['alpha']:.3g}." in said
        assert {count, f"{state['f']:.6g}", point("", state["x"])} < set(trace.texts())
        return state

    def point(name, value):
        return f"{name}({value[0]:.4f}, {value[1]:.4f})"

    def dots():  # where all the marks stand
        return [(dot.get_attribute("cx"), dot.get_attribute("cy")) for dot in trace.picture.locator("circle").all()]

    knob = trace.handle()
    back, on = (trace.place.get_by_role("button", name=name) for name in ("◂ back", "on ▸"))
    first, before = agree(trace.label()), dots()
    assert agree(trace.press(knob, "ArrowRight"))["step"] == first["step"] + 1 and dots() != before
    assert agree(trace.press(knob, "Home"))["step"] == 0
    assert agree(trace.press(on, "Enter"))["step"] == 1
    for button, step in ((on, 2), (back, 1)):
        old = trace.label()
        button.click()
        assert agree(trace.wait_for_other_label(old))["step"] == step
    assert agree(trace.press(back, "Enter"))["step"] == 0
    back.click()
    assert agree(trace.label())["step"] == 0  # there is none before the first
    last = agree(trace.press(knob, "End"))
    assert last["step"] == last["last"] > 10


def drive_top_images(top):
    """Both sliders by keyboard, each menu; the digits change on the side that was asked, and only there."""

    def agree(said):
        state = top.state()
        for side in (state["left"], state["right"]):
            labels = ", ".join(map(str, side["labels"]))
            numbers = f"purity {side['purity']:.3f}, cosine {side['similarity']:.3f}"
            assert f"{side['name']}: labels {labels}; {numbers}." in said
            assert side["name"] in top.texts()
        assert said.startswith(f"Top images in {state['network']}, {state['layer']}.")
        return state

    def pictures():  # the digits of the left, then of the right
        shown = [image.get_attribute("href") for image in top.picture.locator("image").all()]
        return shown[:8], shown[8:]

    unit, seed = top.handle(0), top.handle(1)
    first, (left, right) = agree(top.label()), pictures()
    assert agree(top.press(unit, "ArrowRight"))["unit"] == first["unit"] + 1
    assert pictures()[0] != left and pictures()[1] == right
    left = pictures()[0]
    assert agree(top.press(seed, "ArrowRight"))["seed"] == first["seed"] + 1
    assert pictures()[0] == left and pictures()[1] != right
    assert agree(top.press(unit, "End"))["unit"] == first["width"] - 1

    for row, key in ((2, "kind"), (1, "layer"), (0, "network")):
        menu, chosen = top.place.locator(".widget-dropdown select").nth(row), top.state()[key]
        names = menu.evaluate("menu => [...menu.options].map(option => option.value)")
        other = next((name for name in names if name != chosen), None)
        if other is not None:
            before = top.label()
            menu.select_option(value=other)
            state = agree(top.wait_for_other_label(before, seconds=60))
            assert state[key] == other and state["unit"] < state["width"]


DRIVERS = {
    "CPathSlider": drive_c_slider,
    "CSlider": drive_c_slider,
    "PerturbationInspector": drive_inspector,
    "SolverTrace": drive_trace,
    "TopImages": drive_top_images,
}
LESSONS = {path: [name for name in DRIVERS if any(f"{name}(" in c.source for c in cells(path))] for path in notebooks()}
LESSONS = {path: names for path, names in LESSONS.items() if names}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Notebooks of our own, one a test and so with a kernel each, and the lessons that have a widget. The last cell of
    each prints the widgets' states."""
    path = tmp_path_factory.mktemp("notebooks")
    browser_tools.c_slider_notebook(path / "menus.ipynb")
    browser_tools.c_slider_notebook(
        path / "themes.ipynb",
        "from helpers import attack\nfrom helpers.widgets import PerturbationInspector, SolverTrace\n"
        "result = attack(network, images[:2], (labels[:2] + 1) % 10, progress=False)\n"
        "PerturbationInspector(result, network)",
        "import numpy as np\nx, B = np.array([0.2, 0.4]), np.array([[2.0, 1.0], [1.0, 3.0]])\n"
        "ends = {'cauchy': x / 2, 'subspace': np.zeros(2), 'target': np.zeros(2), 'how': 'projected'}\n"
        "step = ends | {'x': x, 'f': x @ B @ x / 2, 'g': B @ x, 'B': B, 'g_norm': 1.6, 'alpha': 1.0}\n"
        "end = {'x': np.zeros(2), 'f': 0.0}\n"
        "SolverTrace([step, end], lambda x: x @ B @ x / 2, np.zeros(2), np.ones(2))",
        "from helpers import c_path\nfrom helpers.widgets import CPathSlider\n"
        "CPathSlider(c_path(network, images[0], 3, [0.1, 1, 10, 100]), images[0], 3, original=7, names=range(10))",
        "from helpers.widgets import TopImages\nTopImages({'FC100-100-10': network}, images[:500], labels[:500])",
    )
    for lesson in LESSONS:
        browser_tools.with_state_cell(lesson, path / lesson.name)
    return path


@pytest.fixture(scope="module")
def lab(folder):
    with browser_tools.server("lab", folder) as address:
        yield address


@pytest.fixture
def page():
    with browser_tools.chromium_page() as page:
        yield page


def test_every_widget_is_in_a_lesson():
    assert {name for names in LESSONS.values() for name in names} == set(DRIVERS)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_widgets_of_a_lesson(lab, page, path):
    browser_tools.open_in_lab(page, lab(path.name))
    for name in LESSONS[path]:
        DRIVERS[name](Shown(page, name))
    no_errors(page)


def test_the_menus_solve_anew(lab, page):
    browser_tools.open_in_lab(page, lab("menus.ipynb"))
    slider = Shown(page, "CSlider")
    for row, option, name, value in ((1, "5", "target", 5), (2, "c ‖r‖", "size", "l2"), (3, "β = 8", "sharpness", 8)):
        before = slider.label()
        slider.place.locator(".widget-dropdown select").nth(row).select_option(option)
        said, state = slider.wait_for_other_label(before, seconds=60), slider.state()
        assert state[name] == value
        assert f"c = {state['c']:.3g}: norm of r {state['norm']:.3f}" in said
    no_errors(page)


WRITTEN = """picture => {
    let paper = picture;
    while (/^(transparent|rgba\\(0, 0, 0, 0\\))$/.test(getComputedStyle(paper).backgroundColor))
        paper = paper.parentElement;
    return [...picture.querySelectorAll('text')].map(text =>
        [text.textContent, getComputedStyle(text).fill, getComputedStyle(paper).backgroundColor,
         parseFloat(getComputedStyle(text).fontSize) >= 18.66 && getComputedStyle(text).fontWeight >= 600,
         text.getBBox().x >= 0 && text.getBBox().x + text.getBBox().width <= picture.viewBox.baseVal.width]);
}"""


def test_what_is_written_in_the_pictures_can_be_read_in_both_themes(lab, page):
    browser_tools.open_in_lab(page, lab("themes.ipynb"))
    assert page.locator(PICTURE).count() == len(DRIVERS)
    for theme, dark in (("JupyterLab Light", False), ("JupyterLab Dark", True)):
        browser_tools.choose_theme(page, theme)
        for name in DRIVERS:
            width, room = Shown(page, name).picture.evaluate(
                "p => [p, p.closest('.jp-OutputArea-output')].map(x => x.getBoundingClientRect().width)"
            )
            assert width > 0.9 * min(room, 960), f"{name} is {width:.0f} pixels wide where there is room for {room:.0f}"
            written = Shown(page, name).picture.evaluate(WRITTEN)
            assert len(written) > 15
            for text, ink, paper, large, whole in written:
                assert whole, f"{name}: {text!r} is cut off at the edge"
                assert (luminance(ink, paper) > luminance(paper, paper)) == dark
                needed = 3 if large else 4.5  # WCAG 2, level AA
                assert contrast(ink, paper) > needed, f"{theme}, {name}: {text!r} is hard to read, {ink} on {paper}"
            assert max(contrast(ink, paper) for _, ink, paper, *_ in written) > 7
    no_errors(page)


def contrast(ink, paper):
    """The contrast of two colours, from 1 to 21, as WCAG 2 defines it."""
    light, dark = sorted((luminance(ink, paper), luminance(paper, paper)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour, paper):
    """The relative luminance of ``colour`` on ``paper``, from 0 to 1, as WCAG 2 defines it."""
    *channels, opacity = channels_of(colour)
    mixed = [opacity * c + (1 - opacity) * p for c, p in zip(channels, channels_of(paper), strict=False)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in mixed]
    return sum(weight * v for weight, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def channels_of(colour):
    """Red, green, blue and opacity from 0 to 1, of "rgb(r, g, b)", "rgba(r, g, b, a)" or "color(srgb r g b / a)"."""
    parts = [float(x) for x in re.findall(r"[\d.]+(?:e-?\d+)?", colour)]
    scale = 1 if colour.startswith("color(srgb ") else 255
    return [v / scale for v in parts[:3]] + [*parts[3:], 1.0][:1]


@pytest.mark.skipif(importlib.util.find_spec("voila") is None, reason="voila is not installed")
def test_in_voila(folder, page, tmp_path):
    shutil.copy(folder / "menus.ipynb", tmp_path)
    with browser_tools.server("voila", tmp_path) as address:
        page.goto(address("menus.ipynb"))
        page.wait_for_selector(PICTURE, timeout=120_000)
        slider = Shown(page, "CSlider")
        start = slider.label()
        end = slider.press(slider.handle(), "End")
        assert "c = 100:" in end and "is not reached" in end
        slider.place.get_by_role("button", name=re.compile("largest c that succeeds")).click()
        assert slider.wait_for_other_label(end) == start
        no_errors(page)
