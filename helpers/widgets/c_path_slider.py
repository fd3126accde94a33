"""Drag c along a path that is solved already: every picture is drawn beforehand, and the browser chooses among them.

So the slider follows the hand where the kernel is far away, as on Binder, or busy, and where there is no network.
"""

from dataclasses import dataclass

import ipywidgets
import torch

from helpers.widgets._c_picture import c_label, c_scene
from helpers.widgets._view import View, index_of, name_of, reported


@dataclass(frozen=True)
class CSliderState:
    """What the slider shows, in numbers. ``size``: c multiplies ‖r‖² where it is "squared", ‖r‖ where it is "l2"."""

    index: int  # the place of c among the values solved for
    count: int  # of these values
    c: float
    norm: float  # ‖r‖₂
    distortion: float  # sqrt(mean r²)
    loss: float  # CE(β·logits, target)/β at x + r
    margin: float  # max_{j≠l} z_j − z_l: negative where the target is predicted
    probabilities: tuple  # softmax of the logits at x + r
    prediction: int
    success: bool
    best: int | None  # the place of the largest c that succeeds
    best_c: float | None
    image: int  # the place of the image among those offered
    original: int  # what the network says of the image itself
    target: int
    size: str
    sharpness: float  # β
    prediction_name: str  # the labels in words
    original_name: str
    target_name: str


def state_at(path, index, *, names=None, original, target, **about):
    """The CSliderState of entry ``index`` of a CPath. about: image, size and sharpness."""
    logits, r = path.logits[index], path.perturbation[index]
    prediction = int(logits.argmax())
    return CSliderState(
        index=index,
        count=len(path.c),
        c=path.c[index].item(),
        norm=path.norm[index].item(),
        distortion=r.square().mean().sqrt().item(),
        loss=path.loss[index].item(),
        margin=path.margin[index].item(),
        probabilities=tuple(logits.softmax(0).tolist()),
        prediction=prediction,
        success=bool(path.success[index]),
        best=path.best,
        best_c=None if path.best is None else path.c[path.best].item(),
        original=original,
        target=target,
        prediction_name=name_of(names, prediction),
        original_name=name_of(names, original),
        target_name=name_of(names, target),
        **about,
    )


class CPathSlider(View):
    """A slider over the c of a solved path: x, r and x + r, what the network says, and where c stands on its curves.

    Args:
        path: a CPath, as ``c_path`` returns it, of one image, grey and square or (3, rows, columns).
        image: that image. target: the label wanted. original: the label that the network gives the image.
        names: the labels in words, a sequence; None: their numbers.
        norm, sharpness: what the path was solved with.

    Reading: ``state`` (CSliderState), ``path``. Setting: ``index``; ``c``, which goes to the nearest value on the
    logarithmic scale; ``jump()``.
    """

    beginning = "Path: "  # of the picture in words: CSlider's begins with c

    def __init__(self, path, image, target, original, *, names=None, norm="squared", sharpness=1.0, menus=()):
        if not len(path.c):
            raise ValueError("pass a path of at least one value of c.")
        self.path, self._names = path, names
        self._show(image, image=0, original=original, target=int(target), size=norm, sharpness=float(sharpness))
        self._scene_at(0)  # an image that cannot be drawn is refused here
        row = ipywidgets.Layout(flex_flow="row wrap")
        controls = [*menus, *self._slider_and_button()]
        controls = [ipywidgets.Box(part, layout=row) for part in (controls[:-2], controls[-2:]) if part]
        # One picture for each c. That the slider chooses among them is said to the browser, not to the kernel.
        whole = {"layout": ipywidgets.Layout(width="100%")}  # a Stack would shrink its pictures otherwise
        pages = [ipywidgets.HTML(**whole) for _ in self.path.c]
        canvas = ipywidgets.Stack(pages, selected_index=self.index, **whole)
        ipywidgets.jsdlink((self.slider, "index"), (canvas, "selected_index"))
        super().__init__(*controls, canvas=canvas)
        self.jump_button.on_click(self._jumped)
        self._label_button()
        self.draw()

    def _show(self, picture, **about):
        """What the pictures are of: an image, and what the state says about it."""
        self._image, self._about = torch.as_tensor(picture), about

    def _slider_and_button(self):
        """Make the slider, at the largest c that succeeds, and the button that goes there."""
        values = [(f"{value:.3g}", i) for i, value in enumerate(self.path.c.tolist())]
        wide = {"layout": ipywidgets.Layout(width="480px"), "continuous_update": True}
        self.slider = ipywidgets.SelectionSlider(options=values, value=self.path.best or 0, description="c", **wide)
        self.jump_button = ipywidgets.Button(layout=ipywidgets.Layout(width="260px"))
        return [self.slider, self.jump_button]

    @property
    def state(self):
        return self._state_at(self.index)

    def _state_at(self, index):
        return state_at(self.path, index, names=self._names, **self._about)

    @property
    def index(self):
        return self.slider.value

    @index.setter
    def index(self, value):
        self.slider.value = index_of("index", value, len(self.path.c))

    @property
    def c(self):
        return self.state.c

    @c.setter
    def c(self, value):
        if not (value > 0 and value < float("inf")):
            raise ValueError(f"c must be positive and finite, got {value!r}.")
        self.index = int((self.path.c.log() - torch.tensor(float(value)).log()).abs().argmin())

    def jump(self):
        """Go to the largest c that succeeds; where none does, stay."""
        if self.path.best is not None:
            self.index = self.path.best

    def scene(self):
        return self._scene_at(self.index)

    def _scene_at(self, index):
        def label(state):
            return self.beginning + c_label(state)

        return c_scene(self._state_at(index), self.path, self._image, self._names, label)

    def draw(self):
        """Draw the picture of every c."""
        self.message.value = ""
        for index, page in enumerate(self.canvas.children):
            page.value = self._scene_at(index).svg()

    @property
    def shown(self):
        return self.canvas.children[self.index].value

    @reported
    def _jumped(self, _):
        self.jump()

    def _label_button(self):
        best = self.state.best_c
        self.jump_button.disabled = best is None
        self.jump_button.description = "no c succeeds" if best is None else f"largest c that succeeds: {best:.3g}"
