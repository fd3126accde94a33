"""The picture of the top images of two directions: a pure function of the state and of the digits."""

from helpers.widgets._pixels import picture, shown
from helpers.widgets._scene import Scene

WIDTH, HEIGHT = 900, 396
COLUMNS, SIDE, GAP, ROW = 4, 96, 8, 126  # digits in a row; of one digit, in pixels; between two; from row to row
LEFTS, TOP = (14, 470), 76


def top_label(state):
    """The picture in words."""
    return (
        f"Top images in {state.network}, {state.layer}. {_words(state.left)} {_words(state.right)} "
        f"Layer of {state.width} units."
    )


def _words(side):
    labels = ", ".join(map(str, side.labels))
    return f"{side.name}: labels {labels}; purity {side.purity:.3f}, cosine {side.similarity:.3f}."


def _order(side, state):
    if not side.unique:
        return "not unique: others have the same value as the last of these (is it a dead unit?)"
    return "as they came" if side is state.right and state.kind == "images at random" else "the highest first"


def top_scene(state, images):
    """The Scene of ``state``, a TopImagesState. images: (N, 784) in [0, 1], whose places the state names."""
    scene = Scene(WIDTH, HEIGHT, top_label(state))
    scene.text(LEFTS[0], 24, f"{state.network}, {state.layer}: {state.width} units", 13, colour="soft")
    for side, left in zip((state.left, state.right), LEFTS, strict=True):
        scene.text(left, 56, side.name, 16, bold=True)
        for i, (place, label) in enumerate(zip(side.places, side.labels, strict=True)):
            x, y = left + (SIDE + GAP) * (i % COLUMNS), TOP + ROW * (i // COLUMNS)
            scene.image(x, y, SIDE, shown(picture(images[place])))
            scene.text(x + SIDE / 2, y + SIDE + 17, f"a {label}", 13, "middle")
        below = TOP + ROW * (1 + (len(side.places) - 1) // COLUMNS)
        numbers = f"label purity {side.purity:.0%}   cosine {side.similarity:.2f}   mean removed {side.centred:.2f}"
        scene.text(left, below + 22, numbers, 15, bold=True)
        scene.text(left, below + 46, _order(side, state), 12, colour="soft")
    return scene
