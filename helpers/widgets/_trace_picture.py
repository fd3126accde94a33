"""The picture of a solver's trace: a pure function of the state, the trace and the views of the plane."""

from dataclasses import dataclass

import numpy as np

from helpers.widgets._landscape import close_up, model, model_contours, places_of_step, projected_path
from helpers.widgets._panel import Panel, is_part
from helpers.widgets._scene import Scene

WIDTH, LEFT, RIGHT, GAP, TOP = 900, 62, 10, 38, 30
NAMES = {"cauchy": "Cauchy point", "subspace": "subspace minimiser", "target": "first trial of the line search"}
# How each point is drawn: colour, radius, shape, hollow. No two have one shape, for colours alone can be confused.
MARKS = {
    "x": ("blue", 6, "dot", False),
    "target": ("red", 8, "diamond", True),
    "cauchy": ("orange", 5.5, "square", False),
    "subspace": ("green", 4, "triangle", False),
    "after": ("blue", 4.5, "dot", True),
    "minimum": ("ink", 5, "star", False),
}


@dataclass(frozen=True)
class Problem:
    """What all steps of a trace share: the function and its box, and the Landscape that holds the whole run."""

    fun: object
    lower: object
    upper: object
    view: object

    @property
    def boxed(self):
        return bool(np.isfinite([self.lower, self.upper]).any())


def trace_label(state):
    """The picture in words."""
    words = [f"Iteration {state.step} of {state.last}: x = {_pair(state.x)}, F = {state.f:.4g}"]
    if state.g_norm is not None:
        words.append(f"projected gradient {state.g_norm:.2g}")
    if state.curvatures is not None:
        words.append("curvatures of the model {:.4g} and {:.4g}".format(*state.curvatures))
    for name in ("cauchy", "subspace", "target"):
        if (point := getattr(state, name)) is not None:
            words.append(f"{NAMES[name]} {_pair(point)}")
    if state.alpha is not None:
        words.append(f"step length {state.alpha:.3g}")
    return ", ".join(words) + "."


def frames(trace):
    """The squares (left, top, side) of the panels: the run, the step, and where there are Cauchy points the path."""
    count = 3 if any(entry.get("cauchy") is not None for entry in trace) else 2
    side = (WIDTH - LEFT - RIGHT - GAP * (count - 1)) // count
    return [(LEFT + k * (side + GAP), TOP, side) for k in range(count)]


def trace_scene(state, trace, problem):
    """The Scene of ``state``, a SolverTraceState of ``trace``, on a Problem."""
    run, step, *path = frames(trace)
    below = TOP + run[2]
    scene = Scene(WIDTH, below + 164, trace_label(state))
    near = close_up(places_of_step(trace, state.step), problem.fun, problem.view)
    _run(Panel(scene, problem.view, *run), state, trace, problem, near)
    _step(Panel(scene, near, *step), state, trace, problem)
    for square in path:
        if state.cauchy is None:
            scene.text(square[0], TOP - 8, "no path: the run ends here", 12)
        else:
            points = projected_path(trace[state.step], problem.lower, problem.upper)
            nearer = close_up(points, problem.fun, problem.view, 31)  # from so near a function is smooth
            _path(Panel(scene, nearer, *square), state, trace, problem)
    _legend(scene, state, step[0], below + 38)
    _facts(scene, state, trace, problem.boxed, below + 80)
    return scene


def _run(panel, state, trace, problem, near):
    """All iterates so far, the minimum, and a frame round what the panel of the step shows."""
    panel.axes.frame(panel.scene, "the run so far", "x₁", "x₂", grid=False)
    panel.contours(panel.view.contours, "faint", 1)
    panel.box(problem.lower, problem.upper)
    points = [entry["x"] for entry in trace[: state.step + 1]]
    panel.leg(points, "blue")
    panel.frame_of(near)
    for point in points[1:-1]:
        panel.mark(point, "blue", 2)
    _put(panel, "minimum", panel.view.minimum, "minimum")
    if state.step:
        panel.mark(points[0], "blue", 2, name=_iterate(0))
    panel.mark(state.x, "blue", 4.5, name=_iterate(state.step))
    panel.write_names()


def _step(panel, state, trace, problem):
    """The step from x with its model: the way to x̄ and to the next iterate."""
    words = "the last step" if state.step and state.step == state.last else "the step"
    if is_part(panel.view, problem.view):
        words += " in the square"
    _ground(panel, words, state, trace, problem)
    entry, after = trace[state.step], _after(state, trace)
    if state.target is not None:
        panel.leg([state.x, state.target], "red", 2, "dots")
    if after is not None:
        panel.leg([state.x, after], "blue", 2)
    if state.cauchy is not None:
        panel.leg(projected_path(entry, problem.lower, problem.upper), "orange", 3)
        if state.subspace is not None:
            panel.leg([state.cauchy, state.subspace], "green", 2, "dash")
    _put(panel, "minimum", problem.view.minimum, "minimum")
    _points(panel, state, after)
    panel.write_names()


def _path(panel, state, trace, problem):
    """The projected path from x to the Cauchy point."""
    _ground(panel, "the path to xᶜ", state, trace, problem)
    if state.subspace is not None:
        panel.leg([state.cauchy, state.subspace], "green", 2, "dash")
    panel.leg(projected_path(trace[state.step], problem.lower, problem.upper), "orange", 3)
    _points(panel, state, _after(state, trace))
    panel.write_names()


def _ground(panel, title, state, trace, problem):
    """What a magnified panel stands on: contours of F and of its model, the box, the way that led here, the edge."""
    scene, axes = panel.scene, panel.axes
    scale = float(f"{np.ptp(problem.view.xlim) / np.ptp(axes.xlim):.2g}")
    scene.text(axes.x, axes.y - 8, f"{title}, {scale:,g} times as large" if scale > 1 else title, 12)
    scene.text(axes.x + axes.width, axes.y + axes.height + 17, "x₁", 11, "end", "soft")
    scene.text(axes.x - 7, axes.y + 0.5 * axes.height + 4, "x₂", 12, "end", "soft")
    panel.contours(panel.view.contours, "faint", 1.4)
    panel.contours(model_contours(trace[state.step], panel.view), "purple", 1.2, "dash")
    panel.box(problem.lower, problem.upper)
    scene.border(axes.x, axes.y, axes.width, "soft")
    before = [entry["x"] for entry in trace[: state.step + 1]]
    panel.leg(before, "blue", 1.2)  # thinner than the step that is taken from here
    for point in before[:-1]:
        panel.mark(point, "blue", 2.5)


def _points(panel, state, after):
    """From large to small: marks that fall on each other show round each other."""
    trial = "first trial" if state.cauchy is None else "x̄"
    inside = state.subspace is not None and state.target is not None and np.allclose(state.subspace, state.target)
    _put(panel, "x", state.x, _iterate(state.step))
    _put(panel, "target", state.target, trial)
    _put(panel, "cauchy", state.cauchy, "xᶜ")
    _put(panel, "subspace", state.subspace, "" if inside else "subspace")
    _put(panel, "after", after, _iterate(state.step + 1))


def _put(panel, kind, point, name):
    colour, radius, shape, hollow = MARKS[kind]
    panel.mark(point, colour, radius, shape=shape, hollow=hollow, name=name)


def _after(state, trace):
    return trace[state.step + 1]["x"] if state.step < state.last else None


def _legend(scene, state, left, y):
    entries = [("F", "faint", None)]
    if state.curvatures is not None:
        entries.append(("the model of F, at the same levels", "purple", "dash"))
    for words, colour, dash in entries:
        scene.line([(left, y - 4), (left + 26, y - 4)], colour, 2, dash=dash)
        scene.text(left + 33, y, words, 12)
        left += 70


def _facts(scene, state, trace, boxed, top):
    """The numbers, in two rows. Only what no entry of the trace holds has no place: the others keep theirs."""
    curvatures = "–" if state.curvatures is None else "{:.4g} and {:.4g}".format(*state.curvatures)
    trial = f"first trial x̄, {state.how}" if state.how else "first trial of the line search"
    facts = [
        ("x", "iteration", f"{state.step} of {state.last}", None),
        ("f", "F(x)", f"{state.f:.6g}", None),
        ("x", "x, the iterate", _pair(state.x), "x"),
        ("cauchy", "Cauchy point xᶜ", _pair(state.cauchy), "cauchy"),
        ("subspace", "subspace minimiser", _pair(state.subspace), "subspace"),
        ("evaluations", "evaluations so far", _maybe(state.evaluations, "d"), None),
        ("g_norm", "max |P(x − g) − x|" if boxed else "max |g|", _maybe(state.g_norm, ".2e"), None),
        ("model", "curvatures of the model", curvatures, None),
        ("target", trial, _pair(state.target), "target"),
        ("alpha", "step length α, blue ring", _maybe(state.alpha, ".4g"), "after"),
    ]
    known = [fact for fact in facts if any(_knows(entry, fact[0]) for entry in trace)]
    columns = (len(known) + 1) // 2
    for k, (_, name, value, kind) in enumerate(known):
        x, y = 24 + (WIDTH - 24) / max(columns, 4) * (k % columns), top + 50 * (k // columns)
        if kind:
            colour, radius, shape, hollow = MARKS[kind]
            scene.mark(x - 13, y + 14, min(radius, 5), colour, shape=shape, hollow=hollow)
        scene.text(x, y, name, 12, colour="soft")
        scene.text(x, y + 19, value, 15, bold=True)


def _knows(entry, key):
    return model(entry) is not None if key == "model" else entry.get(key) is not None


def _maybe(value, style):
    return "–" if value is None else format(value, style)


def _pair(point):
    return "–" if point is None else f"({point[0]:.4f}, {point[1]:.4f})"


def _iterate(k):
    """x with the number k below it."""
    return "x" + "".join("₀₁₂₃₄₅₆₇₈₉"[int(digit)] for digit in str(k))
