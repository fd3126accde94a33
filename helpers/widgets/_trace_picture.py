"""The picture of a solver's trace: a pure function of the state, the trace and the function's contours."""

from dataclasses import dataclass
from itertools import pairwise

import contourpy
import numpy as np

from helpers.widgets._axes import Axes
from helpers.widgets._scene import Scene

WIDTH, HEIGHT, PLOT, LEFT, TOP, CLOSE = 900, 510, 430, 50, 30, 196
SHARES = np.linspace(0.02, 0.95, 9)  # of the view that lie below each contour: values may span many decades


@dataclass(frozen=True)
class Landscape:
    """A view of the plane, and the contours of the function in it, as lines."""

    xlim: tuple
    ylim: tuple
    levels: tuple  # the values of the function on the contours
    contours: tuple  # of (k, 2) arrays


def landscape(trace, fun, lower, upper):
    """A view that holds the box, as far as it is finite, and the iterates; and the contours of ``fun`` in it."""
    points = np.array([entry["x"] for entry in trace], float)
    points = np.concatenate([points, *([entry["cauchy"]] for entry in trace if entry.get("cauchy") is not None)])
    low = np.where(np.isfinite(lower), np.minimum(lower, points.min(0)), points.min(0))
    high = np.where(np.isfinite(upper), np.maximum(upper, points.max(0)), points.max(0))
    room = 0.12 * np.maximum(high - low, 0.1 * max((high - low).max(), 1e-6))
    return _seen(low - room, high + room, fun, 121)


def close_up(trace, step, fun, view):
    """One step, seen from near: a small copy of ``view``, in shape, round all that entry ``step`` holds inside it.

    The last entry, which holds no step, shows the one that led to it.
    """
    entry = trace[step]
    places = [entry["x"], trace[min(step + 1, len(trace) - 1)]["x"]]
    if step == len(trace) - 1:
        places.append(trace[max(step - 1, 0)]["x"])
    places += [entry[name] for name in ("cauchy", "subspace", "target") if entry.get(name) is not None]
    points = np.array([place for place in places if _holds(view, place)], float)
    low, high = points.min(0), points.max(0)
    whole = np.ptp([view.xlim, view.ylim], axis=1)
    share = max(((high - low) / whole).max(), 1e-6)  # nearer, rounding would draw the contours
    middle, half = (low + high) / 2, 0.65 * share * whole
    return _seen(middle - half, middle + half, fun, 31)


def _seen(low, high, fun, points):
    """The Landscape of ``fun`` between the corners ``low`` and ``high``, from a grid with ``points`` each way."""
    (x0, y0), (x1, y1) = low, high
    u, v = _grid((x0, x1), (y0, y1), points)
    values = np.array([np.ravel(first(fun(np.array(p)))).item() for p in zip(u.ravel(), v.ravel(), strict=True)])
    levels = tuple(np.quantile(values[np.isfinite(values)], SHARES).tolist())
    return Landscape((x0, x1), (y0, y1), levels, tuple(_contours(u, v, values.reshape(u.shape), levels)))


def first(answer):
    """The value of a function that returns (f, g) or f."""
    return answer[0] if isinstance(answer, tuple) else answer


def model(entry):
    """B of the entry's quadratic model, (2, 2), or None where the entry does not say."""
    if entry.get("B") is not None:
        return np.asarray(entry["B"], float)
    if any(entry.get(name) is None for name in ("theta", "W", "M")):
        return None
    return entry["theta"] * np.eye(2) - entry["W"] @ entry["M"] @ entry["W"].T


def trace_label(state):
    """The picture in words."""
    words = [f"Iteration {state.step} of {state.last}: x = {_pair(state.x)}, f = {state.f:.4g}"]
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


NAMES = {"cauchy": "Cauchy point", "subspace": "subspace minimiser", "target": "first trial of the line search"}


def trace_scene(state, trace, view, close, lower, upper):
    """The Scene of ``state``, a SolverTraceState of ``trace``, in the Landscapes ``view`` and ``close``."""
    scene = Scene(WIDTH, HEIGHT, trace_label(state))
    axes = Axes(LEFT, TOP, PLOT, PLOT, view.xlim, view.ylim)
    axes.frame(scene, "x₂ upwards", "x₁")
    _plane(scene, axes, view, state, trace, lower, upper)

    left = LEFT + PLOT + 50
    near = Axes(left, TOP, CLOSE, CLOSE, close.xlim, close.ylim)
    scale = float(f"{CLOSE / PLOT * np.ptp(view.xlim) / np.ptp(close.xlim):.2g}")
    scene.text(left, TOP - 8, f"the step, {scale:,g} times as large" if scale > 1 else "the step", 12)
    _plane(scene, near, close, state, trace, lower, upper)
    scene.border(left, TOP, CLOSE, "soft")

    legend = [("f", "faint", False)]
    if state.curvatures is not None:
        legend.append(("the model of f,", "purple", True))
    for k, (words, colour, dash) in enumerate(legend):
        y = TOP + 10 + 22 * k
        scene.line([(left + CLOSE + 16, y - 4), (left + CLOSE + 40, y - 4)], colour, 2, dash=dash)
        scene.text(left + CLOSE + 46, y, words, 12)
    if state.curvatures is not None:
        scene.text(left + CLOSE + 46, TOP + 48, "at the same levels", 12)
    _facts(scene, state, trace, np.isfinite([lower, upper]).any(), left + 12, TOP + CLOSE + 34)
    return scene


def _plane(scene, axes, view, state, trace, lower, upper):
    """The contours, the box, the path so far and the step from its end, as far as they lie in the axes."""
    entry = trace[state.step]
    for line in view.contours:
        scene.line(axes.at(*line.T), "faint", 1.2)
    if (B := model(entry)) is not None and entry.get("g") is not None:
        u, v = _grid(axes.xlim, axes.ylim, 121)
        z = np.stack([u, v], -1) - np.asarray(entry["x"])
        values = entry["f"] + z @ np.asarray(entry["g"]) + 0.5 * np.einsum("...i,ij,...j->...", z, B, z)
        for line in _contours(u, v, values, view.levels):
            scene.line(axes.at(*line.T), "purple", 1.2, dash=True)
    if np.isfinite([lower, upper]).any():
        _box(scene, axes, lower, upper)

    points = [step["x"] for step in trace[: state.step + 1]]
    for start, end in pairwise(points):
        _leg(scene, axes, [start, end], "blue")
    for point in points:
        _mark(scene, axes, point, 2.5, "blue")
    after = [trace[state.step + 1]["x"]] if state.step < state.last else []
    if state.target is not None:
        _leg(scene, axes, [state.x, state.target, *after], "red")  # a step may be longer than the first trial
    if state.cauchy is not None:
        _leg(scene, axes, _projected_path(entry, lower, upper), "orange")
        if state.subspace is not None:
            _leg(scene, axes, [state.cauchy, state.subspace], "green", dash=True)
    # From large to small: marks that fall on each other show as rings round each other.
    _mark(scene, axes, state.x, 6.5, "blue")
    _mark(scene, axes, state.target, 8.5, "red", hollow=True)
    _mark(scene, axes, state.cauchy, 4.5, "orange")
    _mark(scene, axes, state.subspace, 2.5, "green")
    for point in after:
        _mark(scene, axes, point, 4.5, "blue", hollow=True)


def _box(scene, axes, lower, upper):
    """The part of the box that is in view, and those of its walls that are."""
    (x0, y0), (x1, y1) = np.clip(np.array([lower, upper]), *np.array([axes.xlim, axes.ylim]).T)
    scene.line(axes.at([x0, x1, x1, x0], [y0, y0, y1, y1]), "none", 0, fill="sky")
    for i, limits in enumerate((axes.xlim, axes.ylim)):
        for wall in (lower[i], upper[i]):
            if limits[0] <= wall <= limits[1]:
                ends = ([wall, wall], [y0, y1]) if i == 0 else ([x0, x1], [wall, wall])
                scene.line(axes.at(*ends), "ink", 1.6)


def _projected_path(entry, lower, upper):
    """From x to the Cauchy point along P(x − t g), with its bends where the entry says when they come."""
    ends = [entry["x"], entry["cauchy"]]
    if any(entry.get(name) is None for name in ("g", "t_cauchy", "breakpoints")):
        return ends
    bends = sorted(t for t in entry["breakpoints"] if 0 < t < entry["t_cauchy"])
    return [ends[0], *(np.clip(entry["x"] - t * entry["g"], lower, upper) for t in bends), ends[1]]


def _grid(xlim, ylim, points):
    return np.meshgrid(np.linspace(*xlim, points), np.linspace(*ylim, points))


def _contours(u, v, values, levels):
    known = np.where(np.isfinite(values), values, values[np.isfinite(values)].max())
    generator = contourpy.contour_generator(u, v, known, line_type="Separate")
    return [line for level in levels for line in generator.lines(level)]


def _leg(scene, axes, points, colour, dash=False):
    """The parts of the line through ``points`` that are in view."""
    for start, end in pairwise(np.array(points, float)):
        enter, leave = _inside(axes, start, end)
        if enter < leave:
            seen = np.array([start + share * (end - start) for share in (enter, leave)])
            scene.line(axes.at(*seen.T), colour, 2, dash=dash)


def _inside(axes, start, end):
    """The shares of the way from ``start`` to ``end`` at which it enters and leaves the view."""
    enter, leave = 0.0, 1.0
    for (low, high), a, b in zip((axes.xlim, axes.ylim), start, end, strict=True):
        if a == b:
            leave = leave if low <= a <= high else 0.0
        else:
            shares = sorted(((low - a) / (b - a), (high - a) / (b - a)))
            enter, leave = max(enter, shares[0]), min(leave, shares[1])
    return enter, leave


def _holds(view, point):
    """If ``point`` lies in a view, a Landscape or Axes."""
    return all(low <= p <= high for p, (low, high) in zip(point, (view.xlim, view.ylim), strict=True))


def _mark(scene, axes, point, radius, colour, hollow=False):
    if point is not None and _holds(axes, point):
        scene.dot(*axes.at(*point), radius, colour, hollow)


def _facts(scene, state, trace, boxed, left, top):
    """The numbers, in two columns. Only what no entry of the trace holds has no place: the others keep theirs."""
    curvatures = "–" if state.curvatures is None else "{:.4g} and {:.4g}".format(*state.curvatures)
    trial = f"first trial x̄, {state.how}" if state.how else "first trial of the line search"
    facts = [
        ("x", "iteration", f"{state.step} of {state.last}", "ink"),
        ("x", "x, the iterate", _pair(state.x), "blue"),
        ("f", "f(x)", f"{state.f:.6g}", "ink"),
        ("g_norm", "max |P(x − g) − x|" if boxed else "max |g|", _maybe(state.g_norm, ".2e"), "ink"),
        ("g", "curvatures of the model", curvatures, "purple"),
        ("cauchy", "Cauchy point", _pair(state.cauchy), "orange"),
        ("subspace", "subspace minimiser", _pair(state.subspace), "green"),
        ("target", trial, _pair(state.target), "red"),
        ("alpha", "step length α, blue ring", _maybe(state.alpha, ".4g"), "blue"),
        ("evaluations", "evaluations so far", _maybe(state.evaluations, "d"), "ink"),
    ]
    known = [fact for fact in facts if any(entry.get(fact[0]) is not None for entry in trace)]
    rows = (len(known) + 1) // 2
    for k, (key, name, value, colour) in enumerate(known):
        x, y = left + 188 * (k // rows), top + 46 * (k % rows)
        if colour != "ink":
            scene.dot(x - 12, y + 10, 4, colour, hollow=key in ("target", "alpha"))
        scene.text(x, y, name, 12, colour="soft")
        scene.text(x, y + 19, value, 15, bold=True)


def _maybe(value, style):
    return "–" if value is None else format(value, style)


def _pair(point):
    return "–" if point is None else f"({point[0]:.4f}, {point[1]:.4f})"
