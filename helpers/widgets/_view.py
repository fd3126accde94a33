"""What the widgets share: controls above a picture, which also shows where no kernel runs, and errors that show."""

import base64
from functools import wraps
from html import escape

import ipywidgets

from helpers.widgets._scene import STYLE


class View(ipywidgets.VBox):
    """Controls and a picture. A subclass puts its controls in order and says by ``scene()`` what the picture shows.

    ``canvas`` is the widget that shows the picture, by default one HTML.
    """

    def __init__(self, *controls, canvas=None):
        self.message = ipywidgets.HTML()
        self.canvas = ipywidgets.HTML() if canvas is None else canvas
        # The style sheet stands apart: inside the picture it would make the browser restyle the page at each move.
        super().__init__([ipywidgets.HTML(STYLE), *controls, self.message, self.canvas])

    def scene(self):
        """The Scene of the present state."""
        raise NotImplementedError

    def draw(self):
        """Show the present state."""
        self.message.value = ""
        self.canvas.value = self.scene().svg()

    @property
    def shown(self):
        """The picture that shows, as HTML."""
        return self.canvas.value

    def show_message(self, text, alert=False):
        """Words above the picture: what is going on, or what went wrong."""
        wheel = "" if alert else "<progress></progress> "
        self.message.value = f'<div role="{"alert" if alert else "status"}">{wheel}{escape(text)}</div>'

    def __repr__(self):
        return self.scene().label

    def _repr_mimebundle_(self, **kwargs):
        """The live view, and for pages without a kernel a PNG with its text. No SVG: a page that removes it would then
        show neither, for HTML is preferred to a PNG everywhere."""
        data = super()._repr_mimebundle_(**kwargs) or {}
        scene = self.scene()
        data |= {"text/plain": scene.label, "image/png": base64.b64encode(scene.png()).decode()}
        return data, {"image/png": {"alt": scene.label, "width": scene.width}}


def reported(handler):
    """An event handler whose exceptions show above the picture. They are raised as well, for code that sets a value."""

    @wraps(handler)
    def run(self, *args):
        try:
            return handler(self, *args)
        except Exception as error:
            self.show_message(f"{type(error).__name__}: {error}", alert=True)
            raise

    return run


def index_of(name, value, count):
    """``value`` as a place in a sequence of length ``count``. Raises IndexError with one sentence otherwise."""
    if not (isinstance(value, int) and 0 <= value < count):
        raise IndexError(f"{name} must be a whole number from 0 to {count - 1}, got {value!r}.")
    return value


def name_of(names, label):
    """The label in words: of ``names``, or its number where there are none."""
    return str(int(label)) if names is None else str(names[int(label)])
