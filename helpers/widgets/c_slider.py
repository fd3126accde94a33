"""Drag c: (P_c) solved for every c beforehand, in one batch, and every picture drawn.

The slider then only chooses among pictures that the browser already holds. So it follows the hand where the kernel is
far away, as on Binder, or busy.
"""

from dataclasses import dataclass
from functools import partial

import ipywidgets
import torch

from helpers.adversarial.c_path import c_path
from helpers.widgets._c_picture import c_scene
from helpers.widgets._view import View, index_of, reported

DECADES, PER_DECADE = (-2, 2), 10  # the values of c, when none are given: from 0.01 to 100
SHARPNESS = (1, 8, 64)


@dataclass(frozen=True)
class CSliderState:
    """What the slider shows, in numbers. ``size``: c multiplies ‖r‖² where it is "squared", ‖r‖ where it is "l2"."""

    index: int  # the place of c among the values solved for
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


def state_at(path, index, *, image, original, target, size, sharpness):
    """The CSliderState of entry ``index`` of a CPath."""
    logits, r = path.logits[index], path.perturbation[index]
    return CSliderState(
        index=index,
        c=path.c[index].item(),
        norm=path.norm[index].item(),
        distortion=r.square().mean().sqrt().item(),
        loss=path.loss[index].item(),
        margin=path.margin[index].item(),
        probabilities=tuple(logits.softmax(0).tolist()),
        prediction=int(logits.argmax()),
        success=bool(path.success[index]),
        best=path.best,
        best_c=None if path.best is None else path.c[path.best].item(),
        image=image,
        original=original,
        target=target,
        size=size,
        sharpness=sharpness,
    )


class CSlider(View):
    """A slider over c for one image: x, r and x + r, what the network says, and where c stands on its curves.

    Args:
        network: from (batch, ...) images to (batch, classes) logits, in eval mode.
        image: (...) floats in [0, 1], a square grey picture. target: the label wanted, not the present one.
        images: (k, ...) more images to choose from. c: the values to solve for, by default 41 from 0.01 to 100.
        norm: "squared" for c‖r‖², "l2" for c‖r‖. sharpness: β; 1 is the paper's loss.

    Reading: ``state`` (CSliderState), ``path`` (CPath). Setting: ``index``; ``c``, which goes to the nearest value on
    the logarithmic scale; ``jump()``; and the ``value`` of the menus ``image_menu``, ``target_menu``, ``norm_menu`` and
    ``sharpness_menu``, which solves anew unless that choice was solved before.

    Raises TypeError or ValueError, in one sentence, for what c_path refuses and for a target that is there already.
    """

    def __init__(self, network, image, target, *, images=None, c=None, norm="squared", sharpness=1):
        first = torch.as_tensor(image)
        if first.ndim > 1 and len(first) == 1:
            first = first[0]
        others = [] if images is None else torch.as_tensor(images).reshape(-1, *first.shape)
        self.images = torch.stack([first, *(x for x in others if not torch.equal(x, first))])
        self._network, self._paths = network, {}
        self._c = (
            torch.logspace(*DECADES, PER_DECADE * (DECADES[1] - DECADES[0]) + 1) if c is None else torch.as_tensor(c)
        )
        if not self._c.numel():
            raise ValueError("pass at least one value of c.")
        self._choice = (0, int(target), norm, sharpness)
        self.path = self._solved(self._choice)  # bad input is refused here, before any control exists
        with torch.no_grad():
            logits = network(self.images)
        self.originals, self._classes = logits.argmax(1).tolist(), logits.shape[1]
        if int(target) == self.originals[0]:
            raise ValueError(f"the network already says {int(target)} of this image; choose another target.")

        menus = self._menus()
        row = ipywidgets.Layout(flex_flow="row wrap")
        controls = ipywidgets.Box(menus, layout=row), ipywidgets.Box(self._slider_and_button(), layout=row)
        # One picture for each c. That the slider chooses among them is said to the browser, not to the kernel.
        whole = {"layout": ipywidgets.Layout(width="100%")}  # a Stack would shrink its pictures otherwise
        pages = [ipywidgets.HTML(**whole) for _ in self.path.c]
        canvas = ipywidgets.Stack(pages, selected_index=self.index, **whole)
        ipywidgets.jsdlink((self.slider, "index"), (canvas, "selected_index"))
        super().__init__(*controls, canvas=canvas)

        self.jump_button.on_click(self._jumped)
        for each in menus:
            each.observe(self._chosen, "value")
        self._label_button()
        self.draw()

    def _menus(self):
        """Make the four menus, which show the present choice."""
        image, target, norm, sharpness = self._choice
        menu = partial(ipywidgets.Dropdown, layout=ipywidgets.Layout(width="190px"))
        offered = [(f"{i + 1}: a {label}", i) for i, label in enumerate(self.originals)]
        self.image_menu = menu(options=offered, description="image")
        self.target_menu = menu(options=self._targets(image), value=target, description="target")
        self.norm_menu = menu(options=[("c ‖r‖²", "squared"), ("c ‖r‖", "l2")], value=norm, description="size of r")
        betas = sorted({*SHARPNESS, sharpness})
        self.sharpness_menu = menu(options=[(f"β = {b:g}", b) for b in betas], value=sharpness, description="loss")
        return [self.image_menu, self.target_menu, self.norm_menu, self.sharpness_menu]

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
        image, target, size, sharpness = self._choice
        about = {"image": image, "original": self.originals[image]}
        return state_at(self.path, index, **about, target=target, size=size, sharpness=float(sharpness))

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
        return c_scene(self._state_at(index), self.path, self.images[self._choice[0]])

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

    @reported
    def _chosen(self, change):
        if change["owner"] is self.image_menu:
            # One menu changes the other: no second solve for that.
            self.target_menu.unobserve(self._chosen, "value")
            options = self._targets(self.image_menu.value)
            kept = self.target_menu.value
            self.target_menu.options = options
            self.target_menu.value = kept if kept in dict(options).values() else (kept + 1) % self._classes
            self.target_menu.observe(self._chosen, "value")
        choice = (
            self.image_menu.value,
            self.target_menu.value,
            self.norm_menu.value,
            self.sharpness_menu.value,
        )
        if choice not in self._paths:
            self.show_message(f"solving for {len(self._c)} values of c …")
        self.path, self._choice = self._solved(choice), choice
        self._label_button()
        self.draw()

    def _targets(self, image):
        return [(str(k), k) for k in range(self._classes) if k != self.originals[image]]

    def _label_button(self):
        best = self.state.best_c
        self.jump_button.disabled = best is None
        self.jump_button.description = "no c succeeds" if best is None else f"largest c that succeeds: {best:.3g}"

    def _solved(self, choice):
        if choice not in self._paths:
            image, target, norm, sharpness = choice
            options = {"norm": norm, "sharpness": sharpness}
            self._paths[choice] = c_path(self._network, self.images[image], target, self._c, **options)
        return self._paths[choice]
