"""Drag c: (P_c) solved for every c beforehand, in one batch; menus solve it for other images, targets and losses."""

from functools import partial

import ipywidgets
import torch

from helpers.adversarial.c_path import c_path
from helpers.widgets._view import name_of, reported
from helpers.widgets.c_path_slider import CPathSlider

DECADES, PER_DECADE = (-2, 2), 10  # the values of c, when none are given: from 0.01 to 100
SHARPNESS = (1, 8, 64)


class CSlider(CPathSlider):
    """A slider over c for one image: x, r and x + r, what the network says, and where c stands on its curves.

    Args:
        network: from (batch, ...) images to (batch, classes) logits, in eval mode.
        image: (...) floats in [0, 1], grey and square or (3, rows, columns). target: the label wanted, not the present
            one.
        images: (k, ...) more images to choose from. c: the values to solve for, by default 41 from 0.01 to 100.
        norm: "squared" for c‖r‖², "l2" for c‖r‖. sharpness: β; 1 is the paper's loss.
        names: the labels in words, a sequence; None: their numbers.

    Reading: ``state`` (CSliderState), ``path`` (CPath). Setting: ``index``; ``c``, which goes to the nearest value on
    the logarithmic scale; ``jump()``; and the ``value`` of the menus ``image_menu``, ``target_menu``, ``norm_menu`` and
    ``sharpness_menu``, which solves anew unless that choice was solved before.

    Every c is in one batch: a photograph of 3×224×224 and a large network take about 0.1 GB for each value of c.

    Raises TypeError or ValueError, in one sentence, for what c_path refuses and for a target that is there already.
    """

    beginning = ""

    def __init__(self, network, image, target, *, images=None, c=None, norm="squared", sharpness=1, names=None):
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
        path = self._solved(self._choice)  # bad input is refused here, before any control exists
        with torch.no_grad():
            logits = network(self.images)
        self.originals, self._classes = logits.argmax(1).tolist(), logits.shape[1]
        if int(target) == self.originals[0]:
            said = name_of(names, target)
            raise ValueError(f"the network already says {said} of this image; choose another target.")
        menus = self._menus(names)
        options = {"names": names, "norm": norm, "sharpness": sharpness, "menus": menus}
        super().__init__(path, first, target, self.originals[0], **options)
        for each in menus:
            each.observe(self._chosen, "value")

    def _menus(self, names):
        """Make the four menus, which show the present choice."""
        image, target, norm, sharpness = self._choice
        menu = partial(ipywidgets.Dropdown, layout=ipywidgets.Layout(width="190px"))
        article = "" if names else "a "
        offered = [(f"{i + 1}: {article}{name_of(names, label)}", i) for i, label in enumerate(self.originals)]
        self.image_menu = menu(options=offered, description="image")
        self.target_menu = menu(options=self._targets(image, names), value=target, description="target")
        self.norm_menu = menu(options=[("c ‖r‖²", "squared"), ("c ‖r‖", "l2")], value=norm, description="size of r")
        betas = sorted({*SHARPNESS, sharpness})
        self.sharpness_menu = menu(options=[(f"β = {b:g}", b) for b in betas], value=sharpness, description="loss")
        return [self.image_menu, self.target_menu, self.norm_menu, self.sharpness_menu]

    @reported
    def _chosen(self, change):
        if change["owner"] is self.image_menu:
            # One menu changes the other: no second solve for that.
            self.target_menu.unobserve(self._chosen, "value")
            options = self._targets(self.image_menu.value, self._names)
            kept = self.target_menu.value
            self.target_menu.options = options
            there = [value for _, value in options]
            self.target_menu.value = kept if kept in there else (kept + 1) % self._classes
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
        image, target, norm, sharpness = choice
        about = {"original": self.originals[image], "target": target, "size": norm, "sharpness": float(sharpness)}
        self._show(self.images[image], image=image, **about)
        self._label_button()
        self.draw()

    def _targets(self, image, names):
        return [(name_of(names, k), k) for k in range(self._classes) if k != self.originals[image]]

    def _solved(self, choice):
        if choice not in self._paths:
            image, target, norm, sharpness = choice
            options = {"norm": norm, "sharpness": sharpness}
            self._paths[choice] = c_path(self._network, self.images[image], target, self._c, **options)
        return self._paths[choice]
