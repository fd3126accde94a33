"""The picture of the perturbation inspector: a pure function of the state and of the four pictures."""

import numpy as np

from helpers.widgets._axes import Axes
from helpers.widgets._pixels import distortion_text, full, key, shown, signed, sum_text, times, with_sign
from helpers.widgets._scene import Scene

WIDTH, HEIGHT = 900, 540
LARGE, SMALL = 364, 152  # the sides of the heat map and of the three pictures beside it
RING = 11  # the least side of the square that marks a pixel
HOVER = 64  # pixels a side: in larger pictures only the sliders read a pixel, or the page would be too heavy


def inspector_label(state):
    """The picture in words."""
    said = ""
    if state.said:
        x, adversarial, noise = state.said
        said = f" The network says {x} to x, {adversarial} to x + r and {noise} to noise of the same length."
    what = things(state)
    return (
        f"Image {state.index}, target {state.target_name}: L0 {state.l0} {what} above {state.threshold:.3g}, "
        f"L1 {state.l1:.2f}, L2 {state.l2:.3f}, L∞ {state.linf:.3f}, distortion {distortion_text(state.distortion)}. "
        f"x + r is at 0 in {state.held_at_0} {what} and at 1 in {state.held_at_1}. "
        f"Pixel in {place(state)}: {state.original:.4f} changed by {with_sign(state.change)} "
        f"to {state.adversarial:.4f}.{said}"
    )


def things(state):
    """What is counted: a pixel of a colour image has three values."""
    return "values" if state.channel else "pixels"


def place(state):
    """Which value is read, in words."""
    return f"row {state.row}, column {state.column}" + (f", {state.channel}" if state.channel else "")


def inspector_scene(state, pictures):
    """The Scene of ``state``, an InspectorState, and of the ``pictures`` that it speaks of."""
    scene = Scene(WIDTH, HEIGHT, inspector_label(state))
    _heat_map(scene, state, pictures, 14, 30)
    three = [("x", pictures.image), ("x + r", pictures.adversarial), ("x + noise", pictures.noise)]
    long = max(map(len, state.said or ("",))) > 3  # names stand below the pictures: they are too long to stand above
    for k, (title, pixels) in enumerate(three):
        left = 406 + k * (SMALL + 16)
        says = f": it says {state.said[k]}" if state.said and not long else ""
        scene.text(left, 21, title + says, 12, bold=k > 0)
        scene.image(left, 30, SMALL, shown(pixels))
        if long:
            scene.text(left, 30 + SMALL + 15, f"“{state.said[k][:24]}”", 12, bold=k > 0)
    length = f"the noise is as long as r: {state.noise_norm:.3f}, seed {state.seed}"
    scene.text(406 + 3 * SMALL + 32, 30 + SMALL + (31 if long else 17), length, 11, "end", "soft")
    _numbers(scene, state, 406, 230)
    _histogram(scene, state, pictures.perturbation, 446, 342)
    return scene


def _heat_map(scene, state, pictures, left, top):
    r = pictures.perturbation
    rows, columns = r.shape[:2]
    step, scale = LARGE / max(rows, columns), full(r, state.linf)
    grey = f"red adds ink, blue removes it; full colour at ±{scale:.3f}"
    words = f"r, {times(True, scale)}: {key(True, scale)}" if r.ndim == 3 else f"r: {grey}"
    scene.text(left, top - 9, words, 12)
    scene.image(left, top, LARGE, signed(r, scale))
    if state.outlines:
        _outlines(scene, pictures.adversarial, left, top, step)
    _mark(scene, left + step * (state.column + 0.5), top + step * (state.row + 0.5), step)
    if max(rows, columns) <= HOVER:
        _hover(scene, pictures, left, top, step)
    below = top + LARGE
    pixel = sum_text(state.original, state.change, state.adversarial)
    scene.text(left, below + 24, f"{place(state)}: {pixel}", 13 if state.channel else 15, bold=True)
    scene.text(left, below + 48, "green square: the pixel that is read", 12, colour="soft")
    solid, dashed = ("solid outline: ", "dashed outline: ") if state.outlines else ("", "")
    for k, (outlined, value, count) in enumerate(((solid, 0, state.held_at_0), (dashed, 1, state.held_at_1))):
        words = f"{outlined}x + r held at {value} by the box, {count} {things(state)}"
        scene.text(left, below + 68 + 20 * k, words, 12, colour="soft")


def _mark(scene, x, y, step):
    """A green square round the pixel whose middle is (x, y); round a small one a larger square, with a light rim."""
    side = max(step, RING)
    if side > step:
        scene.border(x - side / 2, y - side / 2, side, "paper", 6)
    scene.border(x - side / 2, y - side / 2, side, "green", 3)


def _hover(scene, pictures, left, top, step):
    """What each pixel says where the mouse is over it."""
    for at in np.ndindex(pictures.perturbation.shape[:2]):
        values = [np.atleast_1d(part[at]) for part in (pictures.image, pictures.perturbation, pictures.adversarial)]
        sums = "; ".join(sum_text(x, r, y) for x, r, y in zip(*values, strict=True))
        words = f"row {at[0]}, column {at[1]}: {sums}"
        scene.rect(left + step * at[1], top + step * at[0], step, step, "none", words)


def _outlines(scene, adversarial, left, top, step):
    """Outline the pixels that the box holds: solid at 0, dashed at 1."""
    for value, dash in ((0, None), (1, "dash")):
        held = adversarial == value
        edges = outline(held.any(2) if held.ndim == 3 else held)
        pairs = [((left + step * a, top + step * b), (left + step * c, top + step * d)) for (a, b), (c, d) in edges]
        scene.segments(pairs, "pen", 1.3 if dash is None else 2.2, dash=dash)


def outline(mask):
    """The boundary of ``mask`` (rows, columns) as segments ((x0, y0), (x1, y1)) in units of a pixel."""
    padded = np.pad(mask, 1)
    down = np.argwhere(padded[:, 1:] != padded[:, :-1])  # upright edges, between horizontal neighbours
    across = np.argwhere(padded[1:] != padded[:-1])
    upright = [((c, r - 1), (c, r)) for r, c in down.tolist()]
    return upright + [((c - 1, r), (c, r)) for r, c in across.tolist()]


def _numbers(scene, state, left, top):
    facts = [
        (f"L0, {things(state)}", f"{state.l0}"),
        ("L1", f"{state.l1:.2f}"),
        ("L2 = ‖r‖", f"{state.l2:.3f}"),
        ("L∞", f"{state.linf:.3f}"),
        ("distortion", distortion_text(state.distortion)),
    ]
    for k, (name, value) in enumerate(facts):
        scene.text(left + 100 * k, top, name, 11, colour="soft")
        scene.text(left + 100 * k, top + 21, value, 18, bold=True)
    scene.text(left, top + 39, f"L0 counts |r| above {state.threshold_name}", 11, colour="soft")
    name = state.target_name
    words, colour = (f"✓ target {name} reached", "green") if state.success else (f"✗ {name} not reached", "red")
    scene.text(left, top + 62, words, 19, colour=colour, bold=True)


def _histogram(scene, state, r, left, top):
    """The number of pixels against r; the many that hardly change would hide the rest, so they are counted in words."""
    limit = max(state.linf, 1e-6)
    changed = r[np.abs(r) > state.threshold]
    counts, edges = np.histogram(changed, bins=41, range=(-limit, limit))
    axes = Axes(left, top, 430, 148, (-limit, limit), (0, 1.08 * max(counts.max(), 1)))
    still = r.size - len(changed)
    what = things(state)
    scene.text(left, top - 24, f"histogram of r, without the {still} of {r.size} {what} that L0 does not count", 12)
    axes.frame(
        scene,
        f"number of {what}",
        f"change r of a {what[:-1]}; green, dashed: the one that is read",
    )
    for count, start, end in zip(counts, edges[:-1], edges[1:], strict=True):
        if count:
            (x0, y0), (x1, y1) = axes.at([start, end], [count, 0])
            colour = "soft" if start < 0 < end else "red" if start > 0 else "blue"
            scene.rect(x0 + 0.5, y0, x1 - x0 - 1, y1 - y0, colour)
    x, bottom = axes.at(state.change, 0)
    scene.line([(x, top), (x, bottom)], "green", 1.5, dash="dash")
