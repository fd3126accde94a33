"""The picture of the c slider: a pure function of the state, the path and the image."""

import numpy as np

from helpers.widgets._axes import Axes
from helpers.widgets._pixels import distortion_text, full, key, picture, shown, signed, times
from helpers.widgets._scene import Scene

WIDTH, HEIGHT, SIDE = 900, 502, 168
MOST, FEWER = 10, 6  # labels that have a bar, the likeliest; so many where they are words
LETTERS = 22  # of a label in words: as many as there is room for


def c_label(state):
    """The picture in words."""
    reached = "reached" if state.success else "not reached"
    best = "no c succeeds" if state.best is None else f"the largest c that succeeds is {state.best_c:.3g}"
    return (
        f"c = {state.c:.3g}: norm of r {state.norm:.3f}, distortion {distortion_text(state.distortion)}, "
        f"loss {state.loss:.3f}. The network says {state.prediction_name} with probability "
        f"{state.probabilities[state.prediction]:.2f}; the target {state.target_name}, probability "
        f"{state.probabilities[state.target]:.2f}, is {reached}; {best}."
    )


def c_scene(state, path, image, names=None, label=c_label):
    """The Scene of ``state``, a CSliderState of the CPath ``path`` of ``image``. ``names``: the labels in words."""
    scene = Scene(WIDTH, HEIGHT, label(state))
    x, r = picture(image.cpu()), picture(path.perturbation[state.index].cpu())
    scale = full(r, float(path.perturbation.abs().max()))  # one scale for all c: a fading r is a shrinking r

    top = 28
    titles = ("x", "x + r") if names else ("x: the network says", "x + r: it says")
    between = ": " if names else " "
    pictures = [
        (f"{titles[0]}{between}{state.original_name[:LETTERS]}", shown(x)),
        (f"r, amplified {times(x.ndim == 3, scale)}", signed(r, scale)),
        (f"{titles[1]}{between}{state.prediction_name[:LETTERS]}", shown(x + r)),
    ]
    for k, (title, rgb) in enumerate(pictures):
        left = 14 + k * (SIDE + 26)
        scene.text(left, top - 9, title, 12)
        scene.image(left, top, SIDE, rgb)
    scene.text(14 + SIDE + 26, top + SIDE + 16, key(x.ndim == 3, scale), 11, colour="soft")
    _bars(scene, state, names, top)
    _numbers(scene, state, 14, top + SIDE + 40)
    _curves(scene, state, path, top + SIDE + 98)
    return scene


def _bars(scene, state, names, top):
    """The probability of each class, in the order of the labels, or, where they are words, the likeliest first; the
    target's name is bold, the prediction's bar has a triangle."""
    left, most, long = (614, MOST, 150) if names is None else (594, FEWER, 90)
    scene.text(left, top - 9, "probability of each label at x + r", 12)
    # Of many classes, as a photograph's network has, the likeliest and the target.
    likeliest = np.argsort(state.probabilities)[::-1][:most].tolist()
    rows = likeliest + [state.target] * (state.target not in likeliest)
    rows = sorted(rows) if names is None else rows
    step = SIDE / len(rows)
    for row, k in enumerate(rows):
        y, p = top + row * step, state.probabilities[k]
        target, base = k == state.target, top + (row + 0.5) * step + 4
        end = left + 25 + long * p
        scene.rect(left + 20, y + 2, max(long * p, 0.5), step - 4, "orange" if target else "blue")
        if names is None:
            scene.text(left + 14, base, str(k), 12, "end", bold=target)
            scene.text(end, base, f"{p:.2f}{' ◂ predicted' if k == state.prediction else ''}", 11)
        else:
            mark = "◂ " if k == state.prediction else ""
            scene.text(end, base, f"{mark}{p:.2f} {str(names[k])[:LETTERS]}", 11, bold=target)
    words = f"bold, orange: the target, {state.target_name}"
    scene.text(left + 20, top + SIDE + 16, words if names is None else f"{words}; ◂ predicted", 11, colour="soft")


def _numbers(scene, state, left, top):
    power = "²" if state.size == "squared" else ""
    size = state.norm**2 if power else state.norm
    facts = [
        ("c", f"{state.c:.3g}"),
        ("‖r‖", f"{state.norm:.3f}"),
        ("distortion", distortion_text(state.distortion)),
        ("loss", f"{state.loss:.3f}"),
        (f"c ‖r‖{power} + loss", f"{state.c * size + state.loss:.3f}"),
    ]
    for k, (name, value) in enumerate(facts):
        scene.text(left + 116 * k, top, name, 11, colour="soft")
        scene.text(left + 116 * k, top + 21, value, 19, bold=True)
    reached = f"✓ target {state.target_name} reached" if state.success else f"✗ {state.target_name} not reached"
    scene.text(614, top + 21, reached, 19, colour="green" if state.success else "red", bold=True)


def _curves(scene, state, path, top):
    """The length of r and the loss against c, and the frontier."""
    c, norm, loss = (values.double().cpu().numpy() for values in (path.c, path.norm, path.loss))
    power = "²" if state.size == "squared" else ""
    size = norm**2 if power else norm
    tall, limits = 148, (c[0] / 1.05, c[-1] * 1.05)
    for left, values, colour, title in ((44, norm, "blue", "‖r‖ against c"), (340, loss, "purple", "loss against c")):
        axes = Axes(left, top, 236, tall, limits, (0, _above(values)), log=True)
        axes.frame(scene, title, "c, logarithmic scale")
        _best(scene, axes, state)
        scene.line(axes.at(c, values), colour, 2)
        for place in axes.at(c, values):
            scene.dot(*place, 1.6, colour)
        scene.dot(*axes.at(c[state.index], values[state.index]), 6, "orange")

    _frontier(scene, state, c, size, loss, Axes(646, top, 240, tall, (0, _above(size)), (0, _above(loss))))


def _frontier(scene, state, c, size, loss, axes):
    """The loss against the size of r, the place of the present c with its supporting line, and the best c's ring."""
    power = "²" if state.size == "squared" else ""
    axes.frame(scene, f"frontier: loss against ‖r‖{power}", f"‖r‖{power}")
    order = np.argsort(size)
    scene.line(axes.at(size[order], loss[order]), "soft", 1.2)
    for place in axes.at(size, loss):
        scene.dot(*place, 1.6, "soft")
    now = size[state.index], loss[state.index]
    scene.line(axes.at(*_supporting(*now, c[state.index], axes)), "ink", 1.6, dash="dash")
    if state.best is not None:
        scene.dot(*axes.at(size[state.best], loss[state.best]), 9, "green", hollow=True)
    scene.dot(*axes.at(*now), 6, "orange")
    right, top = axes.x + axes.width, axes.y + 12
    keys = ["orange: this c; dashed: its slope −c"]
    if state.best is not None:
        keys.append("green ring: largest c that succeeds")
    for k, words in enumerate(keys):
        scene.text(right, top + 16 * k, words, 11, "end", "soft", halo=True)


def _best(scene, axes, state):
    if state.best is not None:
        x, bottom = axes.at(state.best_c, axes.ylim[0])
        scene.line([(x, axes.y), (x, bottom)], "green", 1.4, dash="dash")
        words = "green, dashed: the largest c that succeeds"
        scene.text(axes.x + axes.width, axes.y + axes.height + 47, words, 11, "end", "soft")


def _supporting(size, loss, c, axes):
    """The ends of the line loss − c (s − size) inside the axes."""
    (low, high), (bottom, ceiling) = axes.xlim, axes.ylim
    ends = [max(low, size + (loss - ceiling) / c), min(high, size + (loss - bottom) / c)]
    return ends, [loss - c * (s - size) for s in ends]


def _above(values):
    return 1.08 * max(float(values.max()), 1e-6)
