"""Look at the images that a unit likes best, beside those of a random direction of the same layer."""

from dataclasses import dataclass

import ipywidgets
import torch

from helpers.paper import directions as d
from helpers.widgets._top_picture import top_scene
from helpers.widgets._view import View, index_of, reported

K, SEEDS = 8, 1000  # images a side; seeds to choose from
KINDS = {
    "random direction": "random direction, seed {}",
    "of the pixels": "random direction of the pixels, seed {}",
    "images at random": "images at random, seed {}",
}


@dataclass(frozen=True)
class Side:
    """The images of one half of the picture, and how alike they are."""

    name: str
    places: tuple  # of its images among all, the highest first
    labels: tuple
    purity: float  # the share of the commonest label
    similarity: float  # the mean cosine between two of them
    centred: float  # the same, the mean image subtracted
    unique: bool  # False where another image has the same value as the last of these


@dataclass(frozen=True)
class TopImagesState:
    """What the picture shows: the unit's images on the left, the others on the right."""

    network: str
    layer: str
    width: int  # units in the layer
    unit: int
    kind: str  # of the right side, one of KINDS
    seed: int
    left: Side
    right: Side


class TopImages(View):
    """The images that are highest along a unit, and along a random direction; or, to compare, without any network.

    Args:
        networks: {name: network}, Sequentials such as ``load_network`` returns, with a hidden layer each.
        images, labels: I, (N, 784) in [0, 1] and (N,), of the networks' dtype and on their device.

    Reading: ``state`` (TopImagesState). Setting: ``unit`` and ``seed``, from 0; the ``value`` of the menus
    ``network_menu``, ``layer_menu`` ("hidden 1", ...) and ``kind_menu`` (one of KINDS).

    Raises ValueError, in one sentence, where there is no network, a network has no hidden layer, or there are too few
    images.
    """

    def __init__(self, networks, images, labels):
        if not networks:
            raise ValueError("pass at least one network, as {name: network}.")
        for name, network in networks.items():
            if not d.hidden_layers(network):
                raise ValueError(f"{name} has no hidden layer to look into.")
        if len(images) <= K or len(images) != len(labels):
            raise ValueError(
                f"pass more than {K} images and as many labels; these are {len(images)} and {len(labels)}."
            )
        self._networks, self._images, self._labels = dict(networks), images, labels
        self._kept = None, None  # (network, layer) and its activations: the last ones only, for they can be large

        menu, wide = ipywidgets.Layout(width="250px"), ipywidgets.Layout(width="440px")
        self.network_menu = ipywidgets.Dropdown(options=list(networks), description="network", layout=menu)
        self.layer_menu = ipywidgets.Dropdown(description="layer", layout=menu)
        self.kind_menu = ipywidgets.Dropdown(options=list(KINDS), description="right", layout=menu)
        self.unit_slider = ipywidgets.IntSlider(description="unit", layout=wide)
        self.seed_slider = ipywidgets.IntSlider(max=SEEDS - 1, description="seed", layout=wide)
        row = ipywidgets.Layout(flex_flow="row wrap")
        super().__init__(
            ipywidgets.Box([self.network_menu, self.layer_menu, self.kind_menu], layout=row),
            ipywidgets.Box([self.unit_slider, self.seed_slider], layout=row),
        )
        self._quiet = False  # while several controls change together
        self._offer_layers()
        self.network_menu.observe(self._chosen, "value")
        self.layer_menu.observe(self._chosen, "value")
        for control in (self.kind_menu, self.unit_slider, self.seed_slider):
            control.observe(self._moved, "value")
        self.draw()

    @property
    def state(self):
        phi = self._activations()
        return TopImagesState(
            network=self.network_menu.value,
            layer=self.layer_menu.value,
            width=phi.shape[1],
            unit=self.unit,
            kind=self.kind_menu.value,
            seed=self.seed,
            left=self._side(f"unit {self.unit}", *d.top_images(phi, d.unit_directions(phi.shape[1], [self.unit]), K)),
            right=self._side(KINDS[self.kind_menu.value].format(self.seed), *self._others(phi)),
        )

    @property
    def unit(self):
        return self.unit_slider.value

    @unit.setter
    def unit(self, value):
        self.unit_slider.value = index_of("unit", value, self.unit_slider.max + 1)

    @property
    def seed(self):
        return self.seed_slider.value

    @seed.setter
    def seed(self, value):
        self.seed_slider.value = index_of("seed", value, SEEDS)

    def scene(self):
        return top_scene(self.state, self._images.cpu())

    def _others(self, phi):
        """The places of the right side's images, (1, K), and if they are unique, (1,)."""
        kind = self.kind_menu.value
        if kind == "images at random":
            order = torch.randperm(len(self._images), generator=torch.Generator().manual_seed(self.seed))
            return order[None, :K], torch.tensor([True])
        space = self._images if kind == "of the pixels" else phi
        return d.top_images(space, d.random_directions(space.shape[1], 1, self.seed), K)

    def _side(self, name, top, unique):
        top = top.to(self._images.device)
        measured = {key: value.item() for key, value in d.alike(self._images, self._labels, top).items()}
        labels = tuple(self._labels[top[0]].tolist())
        return Side(name, tuple(top[0].tolist()), labels, **measured, unique=bool(unique))

    def _activations(self):
        wanted = self.network_menu.value, self.layer_menu.value
        if self._kept[0] != wanted:
            self._kept = wanted, d.activations(self._networks[wanted[0]], self._images, wanted[1])
        return self._kept[1]

    def _offer_layers(self):
        """Set the menu and the slider to what the network and the layer have."""
        layers = {layer.name: layer for layer in d.hidden_layers(self._networks[self.network_menu.value])}
        self._quiet = True
        try:
            before = self.layer_menu.value
            if self.layer_menu.options != tuple(layers):
                self.layer_menu.options = tuple(layers)
                self.layer_menu.value = before if before in layers else list(layers)[-1]
            self.unit_slider.max = layers[self.layer_menu.value].width - 1
        finally:
            self._quiet = False

    @reported
    def _chosen(self, _):
        if not self._quiet:
            self._offer_layers()
            self.draw()

    @reported
    def _moved(self, _):
        if not self._quiet:
            self.draw()
