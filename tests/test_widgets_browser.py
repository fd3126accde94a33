"""The slider in a real JupyterLab and a real Voila, driven in Chromium by keyboard and by mouse."""

import importlib.util
import re
import shutil

import browser_tools
import pytest
from browser_tools import PICTURE, label, output_errors, state_in_lab, wait_for_other_label
from notebook_tools import cells, notebooks

LESSONS = [path for path in notebooks() if any("CSlider(" in cell.source for cell in cells(path))]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(browser_tools.CHROMIUM is None, reason="no Chromium: install the package chromium"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Notebooks of our own, one a test and so with a kernel each, and the lessons that have a slider. The last cell of
    each prints the slider's state."""
    path = tmp_path_factory.mktemp("notebooks")
    for name in ("own", "menus", "themes"):
        browser_tools.c_slider_notebook(path / f"{name}.ipynb")
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


def handle(page):
    return page.locator(".jupyter-widgets .noUi-handle").first


def agree(said, state):
    """The picture's words against the state that Python prints."""
    assert f"c = {state['c']:.3g}: norm of r {state['norm']:.3f}, distortion {state['distortion']:.4f}" in said
    assert f"loss {state['loss']:.3f}. The network says {state['prediction']} " in said
    assert ("is reached" in said) == state["success"]


def marker(page):
    """Where the orange marker stands in the first plot."""
    return page.locator(f"{PICTURE} circle").first.get_attribute("cx")


def no_errors(page):
    assert output_errors(page) == []
    assert page.errors == []


@pytest.mark.parametrize("name", ["own.ipynb", *(path.name for path in LESSONS)])
def test_the_slider_by_keyboard_by_mouse_and_by_button(lab, page, name):
    browser_tools.open_in_lab(page, lab(name))
    start, place = label(page), marker(page)
    first = state_in_lab(page)
    agree(start, first)

    handle(page).focus()
    page.keyboard.press("ArrowRight")
    right = wait_for_other_label(page, start)
    state = state_in_lab(page)
    assert state["index"] == first["index"] + 1 and marker(page) != place
    agree(right, state)
    assert f"{state['norm']:.3f}" in page.locator(f"{PICTURE} text").all_text_contents()

    handle(page).focus()
    page.keyboard.press("Home")
    home = wait_for_other_label(page, right)
    state = state_in_lab(page)
    assert state["index"] == 0
    agree(home, state)

    handle(page).evaluate("knob => knob.scrollIntoView({ block: 'center' })")  # the mouse acts on what is in view
    box = page.locator(".jupyter-widgets .noUi-target").first.bounding_box()
    knob = handle(page).bounding_box()
    page.mouse.move(knob["x"] + knob["width"] / 2, knob["y"] + knob["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + box["height"] / 2, steps=12)
    page.mouse.move(box["x"] + 0.97 * box["width"], box["y"] + box["height"] / 2, steps=12)
    page.mouse.up()
    wait_for_other_label(page, home)
    state = state_in_lab(page)
    assert state["index"] > 30 and not state["success"]
    agree(label(page), state)
    assert any("not reached" in text for text in page.locator(f"{PICTURE} text").all_text_contents())

    dragged = label(page)
    button = page.get_by_role("button", name=re.compile("largest c that succeeds")).first
    button.focus()
    page.keyboard.press("Enter")
    jumped = wait_for_other_label(page, dragged)
    state = state_in_lab(page)
    assert state["success"] and state["index"] == state["best"] == first["best"]
    agree(jumped, state)
    no_errors(page)


def test_the_menus_solve_anew(lab, page):
    browser_tools.open_in_lab(page, lab("menus.ipynb"))
    for row, option, name, value in ((1, "5", "target", 5), (2, "c ‖r‖", "size", "l2"), (3, "β = 8", "sharpness", 8)):
        before = label(page)
        page.locator(".widget-dropdown select").nth(row).select_option(option)
        wait_for_other_label(page, before, seconds=60)
        state = state_in_lab(page)
        assert state[name] == value
        agree(label(page), state)
    no_errors(page)


def test_light_and_dark_themes_colour_the_picture_s_text(lab, page):
    browser_tools.open_in_lab(page, lab("themes.ipynb"))
    brightness = {}
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)
        page.wait_for_timeout(500)
        colours = page.evaluate(
            """where => {
                const text = document.querySelector(`${where} text`);
                let paper = text;
                while (/^(transparent|rgba\\(0, 0, 0, 0\\))$/.test(getComputedStyle(paper).backgroundColor))
                    paper = paper.parentElement;
                return [getComputedStyle(text).fill, getComputedStyle(paper).backgroundColor];
            }""",
            PICTURE,
        )
        brightness[theme] = [luminance(colour) for colour in colours]
    for (ink, paper), dark in zip(brightness.values(), (False, True), strict=True):
        assert (ink > paper) == dark
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) > 7, "text needs a contrast of 7 to 1"


def luminance(colour):
    """The relative luminance of "rgb(r, g, b)" or "rgba(r, g, b, a)", from 0 to 1, as WCAG 2 defines it."""
    parts = [float(x) for x in re.findall(r"[\d.]+", colour)]
    *channels, opacity = [*parts, 1][:4]
    assert opacity > 0.5, colour
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in channels)]
    return sum(weight * v for weight, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.skipif(importlib.util.find_spec("voila") is None, reason="voila is not installed")
def test_in_voila(folder, page, tmp_path):
    shutil.copy(folder / "own.ipynb", tmp_path)
    with browser_tools.server("voila", tmp_path) as address:
        page.goto(address("own.ipynb"))
        page.wait_for_selector(PICTURE, timeout=120_000)
        start = label(page)
        handle(page).focus()
        page.keyboard.press("End")
        end = wait_for_other_label(page, start)
        assert "c = 100:" in end and "is not reached" in end
        page.get_by_role("button", name=re.compile("largest c that succeeds")).click()
        wait_for_other_label(page, end)
        assert label(page) == start
        no_errors(page)
