"""The picture of a solver's trace: a pure function of the state, the trace and the function's contours."""

from dataclasses import dataclass

import contourpy
import numpy as np

from helpers.widgets._axes import Axes
from helpers.widgets._scene import Scene

WIDTH, HEIGHT, PLOT, LEFT, TOP = 900, 510, 430, 50, 30
POINTS = 81  # of the grid for contours, each way
SHARES = np.linspace(0.02, 0.95, 13)  # of the view that lie below each contour: values may span many decades


@dataclass(frozen=True)
class Landscape:
    """What does not change from step to step: the view, and the contours of the function as lines in the plane."""

    xlim: tuple
    ylim: tuple
    contours: tuple  # of (k, 2) arrays


def landscape(trace, fun, lower, upper):
    """A view that holds the box, as far as it is finite, and the iterates; and the contours of ``fun`` in it."""
    points = np.array([entry["x"] for entry in trace], float)
    points = np.concatenate([points, *([entry["cauchy"]] for entry in trace if entry.get("cauchy") is not None)])
    low = np.where(np.isfinite(lower), np.minimum(lower, points.min(0)), points.min(0))
    high = np.where(np.isfinite(upper), np.maximum(upper, points.max(0)), points.max(0))
    room = 0.12 * np.maximum(high - low, 0.1 * max((high - low).max(), 1e-6))
    (x0, y0), (x1, y1) = low - room, high + room
    u, v = _grid((x0, x1), (y0, y1))
    values = np.array([np.ravel(first(fun(np.array(p)))).item() for p in zip(u.ravel(), v.ravel(), strict=True)])
    return Landscape((x0, x1), (y0, y1), tuple(_contours(u, v, values.reshape(u.shape))))


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
    for name in ("cauchy", "subspace", "target"):
        if (point := getattr(state, name)) is not None:
            words.append(f"{NAMES[name]} {_pair(point)}")
    if state.alpha is not None:
        words.append(f"step length {state.alpha:.3g}")
    return ", ".join(words) + "."


NAMES = {"cauchy": "Cauchy point", "subspace": "subspace minimiser", "target": "target of the line search"}


def trace_scene(state, trace, view, lower, upper):
    """The Scene of ``state``, a SolverTraceState of ``trace`` seen in the Landscape ``view``."""
    scene = Scene(WIDTH, HEIGHT, trace_label(state))
    axes = Axes(LEFT, TOP, PLOT, PLOT, view.xlim, view.ylim)
    for line in view.contours:
        scene.line(axes.at(*line.T), "faint", 1)
    _model(scene, axes, trace[state.step])
    a, b = np.clip(np.array([lower, upper]), *np.array([view.xlim, view.ylim]).T)
    if np.isfinite([lower, upper]).any():
        corners = np.array([a, (b[0], a[1]), b, (a[0], b[1])])
        scene.line(axes.at(*corners.T), "ink", 1.6, fill="sky")
    axes.frame(scene, "x₂ upwards; grey: contours of f; purple: contours of the model", "x₁")

    iterates = axes.at(*np.array([entry["x"] for entry in trace[: state.step + 1]], float).T)
    scene.line(iterates, "blue", 2)
    for place in iterates:
        scene.dot(*place, 3, "blue")
    here = np.array(state.x)
    if state.cauchy is not None:
        _leg(scene, axes, here, state.cauchy, "orange")
        if state.subspace is not None:
            _leg(scene, axes, state.cauchy, state.subspace, "green", dash=True)
        _mark(scene, axes, state.cauchy, "orange")
    if state.target is not None:
        _leg(scene, axes, here, state.target, "red")
        _mark(scene, axes, state.target, "red", hollow=True)
    if state.subspace is not None:
        _mark(scene, axes, state.subspace, "green")
    scene.dot(*iterates[-1], 6, "blue")
    _facts(scene, state, LEFT + PLOT + 50, TOP + 14)
    return scene


def _model(scene, axes, entry):
    B = model(entry)
    if B is None or entry.get("g") is None:
        return
    u, v = _grid(axes.xlim, axes.ylim)
    z = np.stack([u, v], -1) - np.asarray(entry["x"])
    for line in _contours(u, v, z @ np.asarray(entry["g"]) + 0.5 * np.einsum("...i,ij,...j->...", z, B, z)):
        scene.line(axes.at(*line.T), "purple", 1, dash=True)


def _grid(xlim, ylim):
    return np.meshgrid(np.linspace(*xlim, POINTS), np.linspace(*ylim, POINTS))


def _contours(u, v, values):
    known = np.where(np.isfinite(values), values, values[np.isfinite(values)].max())
    generator = contourpy.contour_generator(u, v, known, line_type="Separate")
    return [line for level in np.quantile(known, SHARES) for line in generator.lines(level)]


def _leg(scene, axes, start, end, colour, dash=False):
    start, end = np.array(start, float), np.array(end, float)
    inside = _inside(axes, start, end)
    scene.line(axes.at(*np.array([start, start + inside * (end - start)]).T), colour, 2, dash=dash)


def _inside(axes, start, end):
    """How much of the way from ``start``, which is in view, to ``end`` is in view: from 0 to 1."""
    shares = [1.0]
    for (low, high), a, b in zip((axes.xlim, axes.ylim), start, end, strict=True):
        if b != a:
            shares.append(max(((high if b > a else low) - a) / (b - a), 0.0))
    return min(shares)


def _mark(scene, axes, point, colour, hollow=False):
    (x0, x1), (y0, y1) = axes.xlim, axes.ylim
    if x0 <= point[0] <= x1 and y0 <= point[1] <= y1:
        scene.dot(*axes.at(*point), 7 if hollow else 4.5, colour, hollow)


def _facts(scene, state, left, top):
    facts = [
        ("iteration", f"{state.step} of {state.last}", "ink"),
        ("x, the iterate", _pair(state.x), "blue"),
        ("f(x)", f"{state.f:.6g}", "ink"),
        ("max |P(x − g) − x|", _maybe(state.g_norm, ".2e"), "ink"),
        ("Cauchy point", _pair(state.cauchy), "orange"),
        ("subspace minimiser", _pair(state.subspace), "green"),
        ("target of the line search, x̄", f"{_pair(state.target)}{f'  {state.how}' if state.how else ''}", "red"),
        ("step length α", _maybe(state.alpha, ".4g"), "ink"),
        ("evaluations so far", _maybe(state.evaluations, "d"), "ink"),
    ]
    for k, (name, value, colour) in enumerate(facts):
        scene.dot(left - 12, top + 50 * k + 11, 4, colour) if colour != "ink" else None
        scene.text(left, top + 50 * k, name, 12, colour="soft")
        scene.text(left, top + 50 * k + 19, value, 16, bold=True)


def _maybe(value, style):
    return "–" if value is None else format(value, style)


def _pair(point):
    return "–" if point is None else f"({point[0]:.4f}, {point[1]:.4f})"
