"""Look at what an attack did to each image: which pixels, by how much, and if noise of that length does the same."""

from dataclasses import dataclass

import ipywidgets
import numpy as np
import torch

from helpers.adversarial.result import AttackResult
from helpers.baselines.noise import noisy
from helpers.widgets._inspector_picture import inspector_scene
from helpers.widgets._pixels import picture
from helpers.widgets._view import View, index_of, name_of, reported

CHANNELS = ("red", "green", "blue")
THRESHOLDS = {"half a grey level": 0.5 / 255, "0.01": 0.01, "0.05": 0.05, "0.1": 0.1}


@dataclass(frozen=True)
class InspectorState:
    """What the inspector shows of one image, in numbers. A grey pixel goes from 0 (paper) to 1 (ink); in colour images
    each of a pixel's three values, from 0 (dark) to 1 (bright), counts by itself."""

    index: int  # the place of the image in the result
    row: int  # of the pixel that is read
    column: int
    columns: int  # of the image
    channel: str | None  # of that pixel: "red", "green" or "blue"; None in a grey image
    original: float  # that pixel of x
    change: float  # of r
    adversarial: float  # of x + r
    l0: int  # pixels with |r| > threshold
    l1: float
    l2: float
    linf: float
    distortion: float  # sqrt(mean r²)
    threshold: float
    threshold_name: str  # the same in words
    held_at_0: int  # pixels of x + r exactly at the lower bound
    held_at_1: int
    target: int
    target_name: str
    success: bool  # what the network, or without it the result, says of x + r
    predictions: tuple | None  # what the network says to x, x + r and x + noise; None without a network
    said: tuple | None  # the same in words
    noise_norm: float  # ‖noise‖₂ after clipping to the box
    seed: int  # of the noise
    outlines: bool  # if the pixels that the box holds are outlined


@dataclass(frozen=True)
class Pictures:
    """Of one image: x, r, x + r and x + noise, each (rows, columns) or (rows, columns, 3), float64."""

    image: object
    perturbation: object
    adversarial: object
    noise: object


class PerturbationInspector(View):
    """Browse the images of an attack: r as a heat map, its norms, its histogram, what the box holds, and equal noise.

    Args:
        result: an AttackResult on square grey pictures or on colour pictures (3, rows, columns); only the images that
            succeeded are offered.
        network: the network that was attacked; without it the pictures carry no predictions.
        names: the labels in words, a sequence; None: their numbers.

    Reading: ``state`` (InspectorState). Setting: ``index`` (a place in ``result``), ``row``, ``column``, ``seed``,
    ``threshold_menu.value``, ``channel_menu.value``, ``outline_button.value``. Hover over the heat map of a small image
    to read a pixel; by keyboard, use the row and column sliders.

    Raises TypeError for what is no AttackResult, ValueError where no image succeeded or is no picture.
    """

    def __init__(self, result, network=None, names=None):
        if not isinstance(result, AttackResult):
            raise TypeError(f"pass what attack() returns, an AttackResult, not {type(result).__name__}.")
        self.result, self._network, self._seed, self._names = result, network, 0, names
        self._offered = result.success.nonzero().flatten().tolist()
        if not self._offered:
            raise ValueError("no image of this result succeeded, so there is no perturbation to look at.")
        first = self._offered[0]
        self._look(first)
        r = abs(self.pictures.perturbation)
        rows, columns = r.shape[:2]
        row, column, *channel = np.unravel_index(int(r.argmax()), r.shape)

        wide = ipywidgets.Layout(width="330px")
        made = "" if names else "made a "
        offered = [(f"{i}: {made}{name_of(names, result.targets[i])}", i) for i in self._offered]
        self.slider = ipywidgets.SelectionSlider(options=offered, value=first, description="image", layout=wide)
        self.row_slider = ipywidgets.IntSlider(value=int(row), max=rows - 1, description="row", layout=wide)
        self.column_slider = ipywidgets.IntSlider(value=int(column), max=columns - 1, description="column", layout=wide)
        self.threshold_menu = ipywidgets.Dropdown(options=THRESHOLDS, description="L0 above", layout=wide)
        self.channel_menu = ipywidgets.Dropdown(
            options=[(name, k) for k, name in enumerate(CHANNELS)], description="colour", layout=wide
        )
        self.channel_menu.value = int(channel[0]) if channel else 0
        self._colours = bool(channel)
        self.noise_button = ipywidgets.Button(description="other noise of the same length", layout=wide)
        self.outline_button = ipywidgets.ToggleButton(description="outline what the box holds", layout=wide)
        row_of = ipywidgets.Layout(flex_flow="row wrap")
        super().__init__(
            ipywidgets.Box([self.slider, self.threshold_menu], layout=row_of),
            ipywidgets.Box([self.row_slider, self.column_slider], layout=row_of),
            ipywidgets.Box([self.noise_button, self.outline_button], layout=row_of),
            *([self.channel_menu] if channel else []),
        )
        self.slider.observe(self._chosen, "value")
        for control in (
            self.row_slider,
            self.column_slider,
            self.threshold_menu,
            self.channel_menu,
            self.outline_button,
        ):
            control.observe(self._moved, "value")
        self.noise_button.on_click(self._shaken)
        self.draw()

    @property
    def state(self):
        i, pictures, threshold = self.index, self.pictures, self.threshold_menu.value
        r, noise = pictures.perturbation, pictures.noise - pictures.image
        at = (self.row, self.column, self.channel_menu.value) if self._colours else (self.row, self.column)
        return InspectorState(
            index=i,
            row=self.row,
            column=self.column,
            columns=pictures.image.shape[1],
            channel=CHANNELS[self.channel_menu.value] if self._colours else None,
            original=float(pictures.image[at]),
            change=float(r[at]),
            adversarial=float(pictures.adversarial[at]),
            l0=int((abs(r) > threshold).sum()),
            l1=float(abs(r).sum()),
            l2=float((r**2).sum() ** 0.5),
            linf=float(abs(r).max()),
            distortion=float((r**2).mean() ** 0.5),
            threshold=threshold,
            threshold_name=f"{self.threshold_menu.label}, {threshold:.3g}" if threshold < 0.01 else f"{threshold:g}",
            held_at_0=int((pictures.adversarial == 0).sum()),
            held_at_1=int((pictures.adversarial == 1).sum()),
            target=int(self.result.targets[i]),
            target_name=name_of(self._names, self.result.targets[i]),
            success=bool(self.result.success[i])
            if self._said is None
            else self._said[1] == self.result.targets[i].item(),
            predictions=self._said,
            said=self._said and tuple(name_of(self._names, k) for k in self._said),
            noise_norm=float((noise**2).sum() ** 0.5),
            seed=self._seed,
            outlines=self.outline_button.value,
        )

    @property
    def index(self):
        return self.slider.value

    @index.setter
    def index(self, value):
        if value not in self._offered:
            raise IndexError(f"image {value!r} did not succeed or is not there; those that did are {self._offered}.")
        self.slider.value = value

    @property
    def row(self):
        return self.row_slider.value

    @row.setter
    def row(self, value):
        self.row_slider.value = index_of("row", value, self.row_slider.max + 1)

    @property
    def column(self):
        return self.column_slider.value

    @column.setter
    def column(self, value):
        self.column_slider.value = index_of("column", value, self.column_slider.max + 1)

    @property
    def seed(self):
        return self._seed

    @seed.setter
    def seed(self, value):
        self._seed = value
        self._look(self.index)
        self.draw()

    def scene(self):
        return inspector_scene(self.state, self.pictures)

    def _look(self, i):
        """Make the pictures of image i, and ask the network about them."""
        one = self.result[i]
        image = (one.adversarial - one.perturbation).clamp(0, 1)
        noise = noisy(image, like=one, seed=self._seed)
        rows = torch.cat([image, one.adversarial, noise])
        self._said = None
        if self._network is not None:
            with torch.no_grad():
                self._said = tuple(self._network(rows).argmax(1).tolist())
        shown = [picture(x.cpu()) for x in (image[0], one.perturbation[0], one.adversarial[0], noise[0])]
        self.pictures = Pictures(*shown)

    @reported
    def _chosen(self, change):
        self._look(change["new"])
        self.draw()

    @reported
    def _moved(self, _):
        self.draw()

    @reported
    def _shaken(self, _):
        self.seed += 1
