"""The plane of a solver's trace, without a picture: views of it, and the contours of the function and of its model."""

from dataclasses import dataclass

import contourpy
import numpy as np

# Of a view, the shares that lie below each contour: values may span many decades. Few, so that the path shows.
WHOLE_SHARES = (0.05, 0.16, 0.3, 0.45, 0.6, 0.75, 0.9)
CLOSE_SHARES = (0.15, 0.4, 0.65, 0.9)
NEAREST = 1e-6  # of the whole view: nearer, rounding would draw the contours


@dataclass(frozen=True)
class Landscape:
    """A square view of the plane, and the contours of the function in it, as lines."""

    xlim: tuple
    ylim: tuple
    levels: tuple  # the values of the function on the contours
    contours: tuple  # of (k, 2) arrays
    minimum: tuple | None = None  # the lowest point known, where that is no point at the edge of the view


def landscape(trace, fun, lower, upper):
    """A view that holds the box, as far as it is finite, and the iterates; and the contours of ``fun`` in it."""
    points = np.array([entry["x"] for entry in trace], float)
    points = np.concatenate([points, *([entry["cauchy"]] for entry in trace if entry.get("cauchy") is not None)])
    low = np.where(np.isfinite(lower), np.minimum(lower, points.min(0)), points.min(0))
    high = np.where(np.isfinite(upper), np.maximum(upper, points.max(0)), points.max(0))
    middle, half = (low + high) / 2, 0.6 * max((high - low).max(), 1e-6)
    u, v, values = _values(middle - half, middle + half, fun, 121)
    best = min(trace, key=lambda entry: entry["f"])
    minimum = _lowest(u, v, np.where(_in_box(u, v, lower, upper), values, np.inf), best)
    return _seen(u, v, values, WHOLE_SHARES, minimum)


def close_up(points, fun, view, grid=51):
    """A magnified copy of ``view``, round those of the ``points`` that it holds, from a ``grid`` by grid of values."""
    inside = np.array([point for point in points if holds(view, point)], float)
    low, high = inside.min(0), inside.max(0)
    whole = np.ptp(view.xlim)
    middle, half = (low + high) / 2, 0.68 * max((high - low).max(), NEAREST * whole)
    return _seen(*_values(middle - half, middle + half, fun, grid), CLOSE_SHARES)


def places_of_step(trace, step):
    """What a close-up of entry ``step`` shows. The last entry, which holds no step, shows the one that led to it."""
    entry = trace[step]
    beside = trace[step + 1] if step + 1 < len(trace) else trace[max(step - 1, 0)]
    named = [entry[name] for name in ("cauchy", "subspace", "target") if entry.get(name) is not None]
    return [entry["x"], beside["x"], *named]


def projected_path(entry, lower, upper):
    """From x to the Cauchy point along P(x − t g), with its bends where the entry says when they come."""
    ends = [entry["x"], entry["cauchy"]]
    if any(entry.get(name) is None for name in ("g", "t_cauchy", "breakpoints")):
        return ends
    bends = sorted(t for t in entry["breakpoints"] if 0 < t < entry["t_cauchy"])
    return [ends[0], *(np.clip(entry["x"] - t * entry["g"], lower, upper) for t in bends), ends[1]]


def model(entry):
    """B of the entry's quadratic model, (2, 2), or None where the entry does not say."""
    if entry.get("B") is not None:
        return np.asarray(entry["B"], float)
    if any(entry.get(name) is None for name in ("theta", "W", "M")):
        return None
    return entry["theta"] * np.eye(2) - entry["W"] @ entry["M"] @ entry["W"].T


def model_contours(entry, view):
    """The contours of the entry's model in ``view``, at the function's levels there; none without a model."""
    B = model(entry)
    if B is None or entry.get("g") is None:
        return []
    u, v = _grid(view.xlim, view.ylim, 81)
    z = np.stack([u, v], -1) - np.asarray(entry["x"])
    values = entry["f"] + z @ np.asarray(entry["g"]) + 0.5 * np.einsum("...i,ij,...j->...", z, B, z)
    return _contours(u, v, values, view.levels)


def holds(view, point):
    """If ``point`` lies in a view: a Landscape, or Axes."""
    return all(low <= p <= high for p, (low, high) in zip(point, (view.xlim, view.ylim), strict=True))


def first(answer):
    """The value of a function that returns (f, g) or f."""
    return answer[0] if isinstance(answer, tuple) else answer


def _grid(xlim, ylim, points):
    return np.meshgrid(np.linspace(*xlim, points), np.linspace(*ylim, points))


def _values(low, high, fun, points):
    """A grid between two corners with ``points`` each way, u and v, and the values of ``fun`` there."""
    (x0, y0), (x1, y1) = low, high
    u, v = _grid((x0, x1), (y0, y1), points)
    values = [np.ravel(first(fun(np.array(p)))).item() for p in zip(u.ravel(), v.ravel(), strict=True)]
    return u, v, np.array(values, float).reshape(u.shape)


def _seen(u, v, values, shares, minimum=None):
    """The Landscape of these ``values``, with a contour above each of the ``shares`` of them."""
    levels = tuple(np.quantile(values[np.isfinite(values)], shares).tolist())
    xlim, ylim = (u[0, 0], u[0, -1]), (v[0, 0], v[-1, 0])
    return Landscape(xlim, ylim, levels, tuple(_contours(u, v, values, levels)), minimum)


def _contours(u, v, values, levels):
    known = np.where(np.isfinite(values), values, values[np.isfinite(values)].max())
    generator = contourpy.contour_generator(u, v, known, line_type="Separate")
    return [line for level in levels for line in generator.lines(level)]


def _in_box(u, v, lower, upper):
    return (u >= lower[0]) & (u <= upper[0]) & (v >= lower[1]) & (v <= upper[1])


def _lowest(u, v, values, best):
    """The best iterate, or the point of the grid that is lower; None where that lies at the grid's edge."""
    known = np.where(np.isnan(values), np.inf, values)
    row, column = np.unravel_index(known.argmin(), known.shape)
    if not known[row, column] < best["f"]:
        return tuple(float(x) for x in best["x"])
    at_edge = row in (0, len(u) - 1) or column in (0, u.shape[1] - 1)
    return None if at_edge else (float(u[row, column]), float(v[row, column]))
