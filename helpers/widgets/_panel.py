"""A square of a scene that shows a view of the plane: lines cut at its edges, marks, and names where there is room."""

from itertools import pairwise

import numpy as np

from helpers.widgets._axes import Axes
from helpers.widgets._landscape import holds

LETTER, TALL = 7.8, 13  # the width of a letter and the height of a name, about, in a scene's pixels
TOGETHER = 9  # marks as near as this, in pixels, share a name
WAYS = [(1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1)]  # to look for room, the best first


class Panel:
    """The ``view``, a Landscape, in the square of ``side`` pixels whose upper left corner is (left, top)."""

    def __init__(self, scene, view, left, top, side):
        self.scene, self.view = scene, view
        self.axes = Axes(left, top, side, side, view.xlim, view.ylim)
        self._marks, self._names, self._lines = [], [], []  # for write_names()

    def contours(self, lines, colour, width, dash=None):
        """Draw ``lines``, (k, 2) arrays of points that all lie in the view."""
        for line in lines:
            self.scene.line(self.axes.at(*line.T), colour, width, dash=dash)

    def box(self, lower, upper):
        """The part of the box that is in view, and those of its walls that are."""
        if not np.isfinite([lower, upper]).any():
            return
        limits = np.array([self.axes.xlim, self.axes.ylim])
        (x0, y0), (x1, y1) = np.clip(np.array([lower, upper]), *limits.T)
        if x0 < x1 and y0 < y1:
            self.scene.line(self.axes.at([x0, x1, x1, x0], [y0, y0, y1, y1]), "none", 0, fill="sky")
        for i, (low, high) in enumerate(limits):
            for wall in (lower[i], upper[i]):
                if low <= wall <= high:
                    ends = ([wall, wall], [y0, y1]) if i == 0 else ([x0, x1], [wall, wall])
                    self.scene.line(self.axes.at(*ends), "ink", 1.6)
                    self._lines.append(np.linspace(*self.axes.at(*ends), 40))

    def leg(self, points, colour, width=2, dash=None):
        """The parts of the line through ``points`` that are in view."""
        for start, end in pairwise(np.array(points, float)):
            enter, leave = self._inside(start, end)
            if enter < leave:
                seen = self.axes.at(*np.array([start + share * (end - start) for share in (enter, leave)]).T)
                self.scene.line(seen, colour, width, dash=dash)
                self._lines.append(np.linspace(*seen, 40))

    def mark(self, point, colour, radius, shape="dot", hollow=False, name=""):
        """A mark at ``point``, if that is not None and in view, with a ``name`` that write_names() sets."""
        if point is None or not holds(self.axes, point):
            return
        place = self.axes.at(*point)
        self.scene.mark(*place, radius, colour, shape=shape, hollow=hollow)
        self._marks.append((place, radius))
        if name:
            beside = [members for members in self._names if np.hypot(*(place - members[0][0])) < TOGETHER]
            if not beside:
                self._names.append([])
            (beside or self._names)[-1].append((place, radius, name, np.array(point, float)))

    def frame_of(self, view):
        """Outline the smaller ``view``, of which another panel is the magnified copy."""
        if is_part(view, self.view):
            (left, bottom), (right, top) = self.axes.at(view.xlim, view.ylim)
            middle, half = np.array([left + right, top + bottom]) / 2, max(right - left, 14) / 2
            corners = middle + half * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)])
            corners = np.clip(corners, *self._corners())
            self.scene.line(corners, "soft", 1.2)
            self._lines += [np.linspace(*ends, 20) for ends in pairwise(corners)]

    def write_names(self):
        """Set each name beside its mark, where it covers least of what is drawn."""
        taken = []
        for members in self._names:
            name, (place, radius) = _joined(members), _round(members)
            reach = [(way, far) for far in (radius + 5, radius + 16) for way in WAYS]
            boxes = np.array([_beside(place, way, far, LETTER * len(name)) for way, far in reach])
            boxes = self._pushed_inside(boxes, [way for way, _ in reach])
            cost = self._costs(boxes, taken) + self._doubts(boxes, place) + np.linspace(0, 0.3, len(boxes))
            ((x0, _), (x1, y1)), ((way, _), _) = boxes[cost.argmin()], reach[cost.argmin()]
            taken.append(boxes[cost.argmin()])
            x, anchor = {1: (x0, "start"), 0: ((x0 + x1) / 2, "middle"), -1: (x1, "end")}[way]
            self.scene.text(x, y1 - 2, name, 13, anchor, halo=True)

    def _pushed_inside(self, boxes, ways):
        """The ``boxes``, those above and below their marks moved sideways as far as they stick out of the square."""
        (left, _), (right, _) = self._corners()
        out = (left + 3 - boxes[:, 0, 0]).clip(0) - (boxes[:, 1, 0] - right + 3).clip(0)
        boxes[:, :, 0] += (out * [across == 0 for across, _ in ways])[:, None]
        return boxes

    def _costs(self, boxes, taken):
        """What is wrong with each of the ``boxes`` (k, 2, 2): out of the square, on other names, on marks, on lines."""
        (left, top), (right, bottom) = self._corners()
        low, high = boxes[:, 0], boxes[:, 1]
        out = np.maximum([left + 2, top + 2] - low, high - [right - 2, bottom - 2]).clip(0).sum(1)
        cost = 100 * (out > 0) + out
        for weight, others in (
            (30, taken),
            (8, [(place - radius, place + radius) for place, radius in self._marks]),
            (0.5, [(point, point) for line in self._lines for point in line]),
        ):
            if len(others):
                first, last = np.array(others).transpose(1, 0, 2)
                meets = (low[:, None] < last).all(2) & (first < high[:, None]).all(2)
                cost = cost + weight * meets.sum(1)
        return cost

    def _doubts(self, boxes, place):
        """For each box, whether a name there seems to be that of a named mark other than the one at ``place``."""
        low, high = boxes[:, 0], boxes[:, 1]
        gap = np.hypot(*(place - np.clip(place, low, high)).T)
        others = [mark for members in self._names for mark, *_ in members if np.hypot(*(mark - place)) > TOGETHER]
        return sum(6.0 * (np.hypot(*(other - np.clip(other, low, high)).T) < gap + 2) for other in others) + 0.1 * gap

    def _corners(self):
        corner = np.array([self.axes.x, self.axes.y], float)
        return np.array([corner, corner + self.axes.width])

    def _inside(self, start, end):
        """The shares of the way from ``start`` to ``end`` at which it enters and leaves the view."""
        enter, leave = 0.0, 1.0
        for (low, high), a, b in zip((self.axes.xlim, self.axes.ylim), start, end, strict=True):
            if a == b:
                leave = leave if low <= a <= high else 0.0
            else:
                shares = sorted(((low - a) / (b - a), (high - a) / (b - a)))
                enter, leave = max(enter, shares[0]), min(leave, shares[1])
        return enter, leave


def is_part(view, whole):
    """If a ``view`` is so much smaller than the ``whole`` that it is worth a frame there."""
    return bool(np.ptp(view.xlim) < 0.9 * np.ptp(whole.xlim))


def _beside(place, way, far, wide):
    """The box, two corners, of a name ``wide`` pixels wide that lies the ``way`` from ``place``, ``far`` from it."""
    half, way = np.array([wide, TALL]) / 2, np.array(way)
    middle = place + way * (half + far * (1 if 0 in way else 0.7))
    return np.array([middle - half, middle + half])


def _round(members):
    """The middle of a circle round all these marks, and its radius."""
    middle = np.mean([place for place, *_ in members], axis=0)
    return middle, max(np.hypot(*(place - middle)) + radius for place, radius, *_ in members)


def _joined(members):
    """The names of marks that lie together: of one point "a = b", of neighbours "a, b"."""
    groups = []
    for _, _, name, point in members:
        same = [names for other, names in groups if np.allclose(point, other, rtol=1e-9, atol=1e-12)]
        if same:
            same[0].append(name)
        else:
            groups.append((point, [name]))
    return ", ".join(" = ".join(names) for _, names in groups)
