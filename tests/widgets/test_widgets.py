"""The widgets without a browser: their numbers against numbers computed here, and what code can do to them."""

import ast
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from notebook_tools import cells, notebooks
from torch.nn import functional

from helpers import attack, c_path, figures, load_mnist, load_network
from helpers.widgets import CSlider, PerturbationInspector, SolverTrace
from helpers.widgets._axes import Axes, ticks
from helpers.widgets._inspector_picture import outline
from helpers.widgets._scene import ink, png, signed, square
from helpers.widgets._trace_picture import CLOSE, LEFT, PLOT, TOP, close_up, model

C = torch.logspace(-1, 2, 7)


@pytest.fixture(scope="module")
def network():
    return load_network("FC10(1e-4)")


@pytest.fixture(scope="module")
def images():
    return load_mnist("test")[0][:4]


@pytest.fixture
def slider(network, images):
    return CSlider(network, images[0], 3, images=images[:3], c=C)


@pytest.fixture(scope="module")
def result(network, images):
    wanted = (network(images).argmax(1) + 1) % 10
    return attack(network, images, wanted, progress=False)


@pytest.fixture
def inspector(network, result):
    return PerturbationInspector(result, network)


def label(widget):
    """The text equivalent of what is on display: there must be one picture, and it must have a role."""
    (found,) = re.findall(r'<svg [^>]*role="img" aria-label="([^"]+)"', widget.shown)
    return found


# The slider over c


@pytest.mark.parametrize("index", range(len(C)))
def test_the_slider_s_numbers_are_those_of_the_network(slider, network, images, index):
    slider.index = index
    state, r = slider.state, slider.path.perturbation[index]
    logits = network((images[0] + r).unsqueeze(0))
    assert state.c == pytest.approx(C[index].item())
    assert state.norm == pytest.approx(r.norm().item(), abs=1e-6)
    assert state.distortion == pytest.approx(r.norm().item() / 28, abs=1e-6)
    assert state.loss == pytest.approx(functional.cross_entropy(logits, torch.tensor([3])).item(), rel=1e-4, abs=1e-5)
    assert state.probabilities == pytest.approx(logits.softmax(1)[0].tolist(), abs=1e-5)
    assert state.prediction == logits.argmax().item()
    assert state.success == (state.prediction == 3) == (state.margin < 0)
    said = label(slider)
    assert f"c = {state.c:.3g}: norm of r {state.norm:.3f}, distortion {state.distortion:.4f}" in said
    assert f"loss {state.loss:.3f}" in said and f"says {state.prediction}" in said
    assert ("is reached" in said) == state.success
    for number in (f"{state.c:.3g}", f"{state.norm:.3f}", f"{state.distortion:.4f}", f"{state.loss:.3f}"):
        assert f">{number}</text>" in slider.shown
    assert ("✓ target 3 reached" in slider.shown) == state.success


def test_all_c_are_solved_once_and_the_slider_only_draws(slider, network, images):
    passes = []
    hook = network.register_forward_hook(lambda *_: passes.append(1) and None)
    try:
        for index in range(len(C)):
            slider.index = index
        assert passes == []
        slider.target_menu.value = 5
        assert passes
        passes.clear()
        slider.target_menu.value = 3
        assert passes == [], "a choice that was solved before is solved again"
    finally:
        hook.remove()


def test_the_largest_c_that_succeeds_and_the_button_that_goes_there(slider):
    succeeded = [i for i, ok in enumerate(slider.path.success) if ok]
    assert 0 < len(succeeded) < len(C), "the test needs c that succeed and c that do not"
    assert slider.state.best == slider.index == succeeded[-1]
    slider.index = 0
    away = label(slider)
    slider.jump_button.click()
    assert slider.index == succeeded[-1] and label(slider) != away
    assert f"{C[succeeded[-1]]:.3g}" in slider.jump_button.description
    slider.index = len(C) - 1
    assert not slider.state.success
    slider.jump()
    assert slider.state.success


def test_without_success_there_is_nowhere_to_jump(network, images):
    slider = CSlider(network, images[0], 3, c=[50.0, 100.0])
    assert slider.state.best is None and slider.jump_button.disabled
    slider.jump()
    assert slider.index == 0
    assert "no c succeeds" in label(slider)


def test_c_goes_to_the_nearest_value_on_the_logarithmic_scale(slider):
    slider.c = 1.7  # between 1 and 10**0.5, whose geometric mean is 1.78
    assert slider.c == pytest.approx(1)
    slider.c = 1.9
    assert slider.c == pytest.approx(10**0.5)
    slider.c = 1e9
    assert slider.index == len(C) - 1
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="positive"):
            slider.c = wrong
    for wrong in (-1, len(C), 1.5):
        with pytest.raises(IndexError, match="from 0 to"):
            slider.index = wrong


@pytest.mark.parametrize(
    ("menu", "value", "options"),
    [
        ("target_menu", 8, {"target": 8}),
        ("norm_menu", "l2", {"norm": "l2"}),
        ("sharpness_menu", 8, {"sharpness": 8}),
        ("image_menu", 2, {"image": 2}),
    ],
)
def test_the_menus_solve_what_they_say(slider, network, images, menu, value, options):
    before = label(slider)
    getattr(slider, menu).value = value
    given = {"norm": "squared", "sharpness": 1.0, "target": 3, "image": 0} | options
    expected = c_path(
        network, images[given["image"]], given["target"], C, norm=given["norm"], sharpness=given["sharpness"]
    )
    assert torch.equal(slider.path.perturbation, expected.perturbation)
    state = slider.state
    assert (state.image, state.target, state.size, state.sharpness) == tuple(
        given[name] for name in ("image", "target", "norm", "sharpness")
    )
    assert label(slider) != before
    assert slider.message.value == ""


def test_another_image_never_keeps_a_target_that_is_its_own_label(slider, network, images):
    slider.target_menu.value = own = network(images[1:2]).argmax().item()
    slider.image_menu.value = 1
    assert slider.state.target == slider.target_menu.value == (own + 1) % 10
    assert own not in [value for _, value in slider.target_menu.options]


def test_the_supporting_line_touches_the_frontier_and_lies_below_it(slider):
    size, loss = slider.path.norm.double() ** 2, slider.path.loss.double()
    for index in range(len(C)):
        line = loss[index] - slider.path.c[index].double() * (size - size[index])
        assert (loss - line).min() >= -1e-4


def test_a_failure_shows_above_the_picture_and_is_raised(slider, monkeypatch):
    def fail(*_, **__):
        raise FloatingPointError("no such minimum")

    monkeypatch.setattr("helpers.widgets.c_slider.c_path", fail)
    with pytest.raises(FloatingPointError):
        slider.target_menu.value = 5
    assert 'role="alert"' in slider.message.value and "FloatingPointError: no such minimum" in slider.message.value


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"target": 7}, "already says 7"),
        ({"target": 11}, "from 0 to 9"),
        ({"norm": "l1"}, "squared"),
        ({"sharpness": -1}, "sharpness"),
        ({"c": []}, "at least one value"),
        ({"image": torch.full((784,), 2.0)}, r"\[0, 1\]"),
    ],
)
def test_bad_input_is_refused_at_the_door(network, images, arguments, words):
    with pytest.raises((TypeError, ValueError), match=words):
        CSlider(network, **({"image": images[0], "target": 3, "c": C} | arguments))


# What shows without a kernel, and how pictures are made


@pytest.mark.parametrize("widget", ["slider", "inspector", "trace"])
def test_without_a_kernel_a_picture_of_the_same_numbers_shows(widget, request):
    import base64
    import io

    from PIL import Image

    widget = request.getfixturevalue(widget)
    data, metadata = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == repr(widget) == metadata["image/png"]["alt"]
    # GitHub removes SVG from HTML and prefers HTML to a PNG: with both, readers there would see neither.
    assert "text/html" not in data and "image/svg+xml" not in data
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
    assert image.width > metadata["image/png"]["width"] == widget.scene().width
    assert len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) > 50
    assert len(data["image/png"]) < 300_000


@pytest.mark.filterwarnings("error")
def test_the_still_picture_is_the_same_every_time_and_in_every_style(slider):
    import matplotlib.pyplot as plt

    plain = slider.scene().png()
    with plt.rc_context():
        figures.use_style()
        assert slider.scene().png() == plain == slider.scene().png()


def test_png_s_are_read_back_by_another_library():
    import io

    from PIL import Image

    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(rgb)))), rgb)


def test_colours_of_pixels_and_of_changes():
    assert ink(np.array([[0.0, 1.0]])).tolist() == [[[255] * 3, [0] * 3]]
    red, white, blue = signed(np.array([[0.2, 0.0, -0.2]]), 0.1)[0].astype(int)
    assert red[0] > red[2] + 50 and blue[2] > blue[0] + 50
    assert np.ptp(white) <= 1 and white[0] > 240
    assert square(np.arange(9)).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    with pytest.raises(ValueError, match="12 values"):
        square(np.zeros(12))


def test_axes_put_numbers_where_they_belong():
    axes = Axes(10, 20, 100, 50, (1, 100), (0, 2), log=True)
    assert axes.at([1, 10, 100], [0, 1, 2]).tolist() == [[10, 70], [60, 45], [110, 20]]
    assert ticks(0, 1.5) == [0, 0.5, 1, 1.5]
    assert ticks(-0.1, 0.1)[0] == -0.1 and 0 in ticks(-0.1, 0.1)


# The perturbation inspector


def test_the_inspector_s_numbers_are_those_of_the_result(inspector, result, network):
    for index in range(len(result.success)):
        inspector.index = index
        inspector.row, inspector.column = 12, 15
        state, r, x = inspector.state, result.perturbation[index].double(), result.adversarial[index]
        assert state.l0 == (r.abs() > state.threshold).sum()
        assert state.l1 == pytest.approx(r.abs().sum().item())
        assert state.l2 == pytest.approx(result.norm[index].item(), rel=1e-5)
        assert state.linf == pytest.approx(r.abs().max().item())
        assert state.distortion == pytest.approx(result.distortion[index].item(), rel=1e-5)
        assert (state.held_at_0, state.held_at_1) == ((x == 0).sum(), (x == 1).sum())
        assert state.change == pytest.approx(r[12 * 28 + 15].item())
        assert state.original + state.change == pytest.approx(state.adversarial, abs=1e-6)
        assert state.predictions[1] == state.target == result.targets[index] != state.predictions[0]
        assert state.noise_norm == pytest.approx(state.l2, rel=1e-4)
        said = label(inspector)
        assert f"L2 {state.l2:.3f}, L∞ {state.linf:.3f}, distortion {state.distortion:.4f}" in said
        assert f"row 12, column 15: {state.original:.3f} changed by {state.change:+.3f}" in said


def test_every_pixel_can_be_read_by_hovering(inspector):
    titles = re.findall(r"<title>row (\d+), column (\d+): ([\d.]+) ([-+][\d.]+) = ([\d.]+)</title>", inspector.shown)
    assert len(titles) == 784
    for row, column, before, change, after in titles[::37]:
        inspector.row, inspector.column = int(row), int(column)
        state = inspector.state
        assert (f"{state.original:.3f}", f"{state.change:+.3f}", f"{state.adversarial:.3f}") == (before, change, after)


def test_the_threshold_and_other_noise(inspector):
    few = inspector.state.l0
    inspector.threshold_menu.value = 0.05
    assert inspector.state.l0 == (abs(inspector.pictures.perturbation) > 0.05).sum() < few
    noise = inspector.pictures.noise
    inspector.noise_button.click()
    assert inspector.state.seed == 1 and not np.array_equal(noise, inspector.pictures.noise)
    assert inspector.state.noise_norm == pytest.approx(inspector.state.l2, rel=1e-4)
    assert 0 <= inspector.pictures.noise.min() and inspector.pictures.noise.max() <= 1


def test_the_outline_is_the_boundary():
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1] = True
    edges = {frozenset(edge) for edge in outline(mask)}
    sides = {((1, 1), (2, 1)), ((1, 3), (2, 3)), ((1, 1), (1, 2)), ((1, 2), (1, 3)), ((2, 1), (2, 2)), ((2, 2), (2, 3))}
    assert edges == {frozenset(side) for side in sides}


def test_the_inspector_offers_only_successes_and_refuses_the_rest(network, images, result):
    own = network(images).argmax(1)
    failed = type(result)(**{**vars(result), "success": torch.tensor([False, True, True, False])})
    inspector = PerturbationInspector(failed)
    assert inspector.index == 1 and inspector.state.predictions is None
    with pytest.raises(IndexError, match="did not succeed"):
        inspector.index = 0
    with pytest.raises(IndexError, match="from 0 to 27"):
        inspector.row = 28
    with pytest.raises(TypeError, match="AttackResult"):
        PerturbationInspector(images)
    with pytest.raises(ValueError, match="no image"):
        PerturbationInspector(type(result)(**{**vars(result), "success": own < 0}))


# The solver's trace

A = np.array([[4.0, 1.0], [1.0, 2.0]])


def bowl(x):
    return 0.5 * (x - 0.8) @ A @ (x - 0.8), A @ (x - 0.8)


@pytest.fixture
def trace():
    """Two iterates and a last one; the subspace minimiser of the first lies outside the box."""
    x0, x1 = np.zeros(2), np.array([0.5, 0.5])
    first = {"x": x0, "f": bowl(x0)[0], "g": bowl(x0)[1], "g_norm": 1.0, "theta": 3.0, "W": np.zeros((2, 0))}
    first |= {"M": np.zeros((0, 0)), "cauchy": np.array([0.5, 0.3]), "subspace": np.array([2.8, 0.6])}
    first |= {"target": x1, "alpha": 1.0, "how": "projected", "evaluations": 1}
    entries = [first, {"x": x1, "f": bowl(x1)[0], "g": bowl(x1)[1], "g_norm": 0.0, "evaluations": 2}]
    return SolverTrace(entries, bowl, np.zeros(2), np.full(2, 0.5))


def test_stepping_through_a_trace(trace):
    state = trace.state
    assert (state.step, state.last, state.x, state.cauchy) == (0, 1, (0, 0), (0.5, 0.3))
    assert state.subspace == (2.8, 0.6) and state.how == "projected" and state.f == pytest.approx(bowl(np.zeros(2))[0])
    assert "Cauchy point (0.5000, 0.3000), subspace minimiser (2.8000, 0.6000)" in label(trace)
    trace.forward.click()
    assert trace.step == 1 and trace.state.cauchy is None and "Cauchy" not in label(trace)
    trace.forward.click()
    assert trace.step == 1
    trace.back.click()
    assert trace.step == 0
    with pytest.raises(IndexError, match="from 0 to 1"):
        trace.step = 2


def test_the_contours_of_the_model_are_level_sets_of_it(trace):
    """In the view and in the close-up: f on the grey lines, the model on the purple ones, both at the same levels."""
    entry = trace.trace[0]
    assert np.array_equal(model(entry), 3 * np.eye(2))
    assert np.array_equal(model({"B": A}), A) and model({"x": 0}) is None
    near = close_up(trace.trace, 0, bowl, trace._landscape)
    for view, frame in ((trace._landscape, MAIN), (near, CLOSE_UP)):
        levels = np.array(view.levels)
        for line in view.contours:
            values = [bowl(point)[0] for point in line]
            assert np.ptp(values) < 0.01 and np.abs(levels - values[0]).min() < 0.01
        assert len(view.contours) > 5
        purple = [line for line in lines_in(trace.scene(), frame, "purple")]
        for line in purple:
            z = in_the_plane(line, frame, view)
            values = z @ entry["g"] + 1.5 * (z**2).sum(1) + entry["f"]
            assert np.ptp(values) < 0.01 and np.abs(levels - values[0]).min() < 0.01
        assert len(purple) > 5


def test_the_close_up_shows_the_whole_step_in_the_shape_of_the_view(trace):
    view = trace._landscape
    for step, places in ((0, [(0, 0), (0.5, 0.3), (0.5, 0.5)]), (1, [(0, 0), (0.5, 0.5)])):  # 2.8 is not in the view
        near = close_up(trace.trace, step, bowl, view)
        wide, high = (np.ptp(near.xlim) / np.ptp(view.xlim), np.ptp(near.ylim) / np.ptp(view.ylim))
        assert wide == pytest.approx(high)
        assert all(near.xlim[0] < x < near.xlim[1] and near.ylim[0] < y < near.ylim[1] for x, y in places)
    entry = {"x": np.zeros(2), "f": 0.0}  # a step of no length is no error
    assert np.ptp(close_up([entry, entry], 1, bowl, view).xlim) > 0


def test_nothing_is_drawn_outside_the_two_frames(trace):
    """Not even the leg to the subspace minimiser (2.8, 0.6), which is far outside."""
    drawn = [line for colour in ("blue", "orange", "green", "red") for line in lines_in(trace.scene(), None, colour)]
    assert drawn
    for line in drawn:
        assert any(inside(line, frame) for frame in (MAIN, CLOSE_UP)), line
    assert lines_in(trace.scene(), MAIN, "green")


def test_the_way_to_the_cauchy_point_bends_where_the_path_does():
    x, g, t = np.zeros(2), np.array([-1.0, -0.5]), np.array([0.5, np.inf])
    entry = {"x": x, "f": 0.0, "g": g, "cauchy": np.array([0.5, 0.45]), "t_cauchy": 0.9, "breakpoints": t}
    trace = SolverTrace([entry, {"x": x, "f": 0.0}], bowl, np.zeros(2), np.array([0.5, 1.0]))
    first, second = (in_the_plane(line, MAIN, trace._landscape) for line in lines_in(trace.scene(), MAIN, "orange"))
    assert np.allclose(first, [(0, 0), (0.5, 0.25)]) and np.allclose(second, [(0.5, 0.25), (0.5, 0.45)])


def test_what_no_entry_holds_has_no_place_among_the_facts(trace):
    assert trace.state.curvatures == pytest.approx((3, 3)) and "curvatures of the model 3 and 3" in label(trace)
    boxed = texts(trace)
    assert {"Cauchy point", "max |P(x − g) − x|", "step length α, blue ring"} < boxed and "–" not in boxed
    trace.step = 1
    assert "Cauchy point" in texts(trace) and "–" in texts(trace)  # kept in its place
    bare = SolverTrace([{"x": np.zeros(2), "f": 1.0, "B": A, "g": np.ones(2), "g_norm": 1.0}], bowl)
    assert bare.state.curvatures == pytest.approx(tuple(np.linalg.eigvalsh(A)))
    assert {"curvatures of the model", "max |g|"} < texts(bare)
    assert not {"Cauchy point", "subspace minimiser", "evaluations so far", "–"} & texts(bare)


MAIN = LEFT, TOP, PLOT
CLOSE_UP = LEFT + PLOT + 50, TOP, CLOSE


def inside(line, frame):
    left, top, size = frame
    return bool(((line >= (left - 0.01, top - 0.01)) & (line <= (left + size + 0.01, top + size + 0.01))).all())


def lines_in(scene, frame, colour):
    """The lines of ``colour`` in a square frame (left, top, size), or anywhere, as arrays of places."""
    lines = [np.array(points) for kind, points, *rest in scene.shapes if kind == "line" and rest[0] == colour]
    return [line for line in lines if frame is None or inside(line, frame)]


def in_the_plane(line, frame, view):
    """The points of the plane at the places ``line``, for ``view`` drawn in ``frame``."""
    left, top, size = frame
    shares = np.stack([line[:, 0] - left, top + size - line[:, 1]], -1) / size
    return np.array([view.xlim[0], view.ylim[0]]) + shares * np.ptp([view.xlim, view.ylim], axis=1)


def texts(widget):
    return {shape[2] for kind, *shape in widget.scene().shapes if kind == "text"}


def test_a_trace_needs_a_plane_and_an_entry():
    with pytest.raises(ValueError, match="empty"):
        SolverTrace([], bowl)
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        SolverTrace([{"x": np.zeros(3), "f": 0.0}], bowl)
    bare = SolverTrace([{"x": np.zeros(2), "f": 1.0}, {"x": np.ones(2), "f": 0.0}], lambda x: bowl(x)[0])
    bare.step = 1
    assert bare.state.x == (1, 1) and bare.state.g_norm is None


def test_the_trace_needs_no_torch():
    code = (
        "import sys, json, numpy as np; from helpers.widgets import SolverTrace;"
        "w = SolverTrace([{'x': np.zeros(2), 'f': 0.0}], lambda x: float(x @ x));"
        "w._repr_mimebundle_(); print(json.dumps('torch' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is False


STEPPED = [path for path in notebooks() if any("SolverTrace(" in cell.source for cell in cells(path))]


def test_lessons_03_to_05_have_a_trace_to_step_through():
    assert [path.name[:2] for path in STEPPED] == ["03", "04", "05"]


@pytest.mark.parametrize("path", STEPPED, ids=lambda path: path.stem)
def test_what_a_lesson_with_a_trace_imports_is_without_torch(path):
    nodes = [node for cell in cells(path) for node in ast.walk(ast.parse(cell.source))]
    imports = [ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    assert "from helpers.widgets import SolverTrace" in imports
    code = "\n".join([*imports, "import sys; print('torch' in sys.modules)"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
