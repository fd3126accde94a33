"""A picture as a list of shapes, drawn in two ways: as SVG, quick and in the colours of the page, and as a PNG.

The slider needs a new picture in milliseconds, which matplotlib cannot give; a page without a kernel, such as GitHub,
removes SVG. Both are drawn from one list, so that they cannot differ in what they say.
"""

import base64
import io
from html import escape

import numpy as np

from helpers import figures
from helpers.widgets._pixels import few_colours, png

# Roles, not colours: a dark page has light ink. Each palette colour leans towards the ink, for contrast on both. The
# pen draws on pictures, whose paper is always white.
PALETTE = {
    "blue": figures.BLUE,
    "orange": figures.ORANGE,
    "green": figures.GREEN,
    "red": figures.RED,
    "purple": figures.PURPLE,
    "sky": figures.SKY,
}
COLOURS = {
    "ink": figures.INK,
    "faint": "#C8C8C8",
    "soft": figures.GREY,
    "paper": "#FFFFFF",
    "pen": "#4A4A4A",
    **PALETTE,
}
STYLE = (
    "<style>.course-scene{--s-ink:var(--jp-ui-font-color1,#222);--s-paper:var(--jp-layout-color0,#fff);"
    "--s-pen:#4a4a4a;--s-faint:var(--jp-border-color1,#c8c8c8);--s-soft:var(--jp-ui-font-color2,#6e6e6e);"
    + "".join(f"--s-{name}:{colour};" for name, colour in PALETTE.items())
    + "width:100%;max-width:960px;display:block;font-family:var(--jp-ui-font-family,sans-serif)}"
    "@supports (color:color-mix(in srgb,red,blue)){.course-scene{"
    + "".join(f"--s-{name}:color-mix(in srgb,{colour} 80%,var(--s-ink));" for name, colour in PALETTE.items())
    + "}}</style>"
)

HEAVY = 20_000  # values of an image: more than a digit has, fewer than a photograph
DASHES = {"dash": (5, 4), "dots": (1.5, 3.5)}  # lengths of ink and of gap
# The corners of marks that are no circles, for the radius 1. A reader tells marks apart by shape, not by colour alone.
SHAPES = {
    "square": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
    "diamond": [(0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)],
    "triangle": [(0, -1.2), (1.2, 0.9), (-1.2, 0.9)],
    "star": [
        ((1.6 if k % 2 == 0 else 0.65) * np.sin(np.pi * k / 5), -(1.6 if k % 2 == 0 else 0.65) * np.cos(np.pi * k / 5))
        for k in range(10)
    ],
}


class Scene:
    """A picture of ``width`` by ``height`` pixels, y downwards. ``label`` says its content in words."""

    def __init__(self, width, height, label):
        self.width, self.height, self.label, self.shapes = width, height, label, []

    def line(self, points, colour="ink", width=1.5, dash=None, fill=None):
        """A polyline through ``points``, solid, "dash" or "dots"; with ``fill`` a closed polygon, lightly filled."""
        self.shapes.append(("line", [(float(x), float(y)) for x, y in points], colour, width, dash, fill))

    def border(self, x, y, side, colour="faint", width=1):
        """The outline of the square whose upper left corner is (x, y)."""
        self.line([(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)], colour, width)

    def segments(self, pairs, colour="ink", width=1.0, dash=None):
        """Many separate segments ((x0, y0), (x1, y1))."""
        self.shapes.append(("segments", list(pairs), colour, width, dash))

    def rect(self, x, y, width, height, fill, title=None):
        """A filled rectangle; fill "none" with a ``title`` is an invisible place to hover over."""
        self.shapes.append(("rect", x, y, width, height, fill, title))

    def dot(self, x, y, radius, colour, hollow=False):
        self.shapes.append(("dot", float(x), float(y), radius, colour, hollow))

    def mark(self, x, y, radius, colour, shape="dot", hollow=False):
        """A dot, or one of SHAPES, with its middle at (x, y)."""
        if shape == "dot":
            self.dot(x, y, radius, colour, hollow)
        else:
            corners = [(float(x + radius * a), float(y + radius * b)) for a, b in SHAPES[shape]]
            self.shapes.append(("mark", corners, colour, hollow))

    def text(self, x, y, string, size=12, anchor="start", colour="ink", bold=False, halo=False):
        """``anchor``: "start", "middle" or "end". y is the base line. A ``halo`` keeps lines off the letters."""
        self.shapes.append(("text", float(x), float(y), string, size, anchor, colour, bold, halo))

    def image(self, x, y, size, rgb):
        """Square pixels with an outline: ``rgb`` (rows, columns, 3) bytes, the longer side of ``size``."""
        rows, columns = rgb.shape[:2]
        width, height = (size * side / max(rows, columns) for side in (columns, rows))
        self.shapes.append(("image", x, y, width, height, rgb))
        self.line([(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)], "faint", 1)

    def svg(self):
        """The picture as HTML: one <svg role="img"> whose aria-label is ``label``."""
        body = "".join(_SVG[kind](*shape) for kind, *shape in self.shapes)
        return (
            f'<svg class="course-scene" role="img" aria-label="{escape(self.label)}" '
            f'viewBox="0 0 {self.width} {self.height}" xmlns="http://www.w3.org/2000/svg">{body}</svg>'
        )

    def png(self):
        """The same picture as the bytes of a PNG on white: one and a half pixels for each of the scene's.

        With a large image in it, one pixel for each and 256 colours in all: a photograph would take a megabyte.
        """
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        heavy = any(kind == "image" and shape[-1].size > HEAVY for kind, *shape in self.shapes)
        size = self.width / 100, self.height / 100
        figure = Figure(figsize=size, dpi=100 if heavy else 150, facecolor="white", layout="none")
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set(xlim=(0, self.width), ylim=(self.height, 0))
        ax.axis("off")
        for order, (kind, *shape) in enumerate(self.shapes):
            _AGG[kind](ax, order, *shape)
        out = io.BytesIO()
        FigureCanvasAgg(figure).print_png(out, metadata={"Software": None}, pil_kwargs={"optimize": True})
        return few_colours(out.getvalue()) if heavy else out.getvalue()


def _paint(colour):
    return "none" if colour in (None, "none") else f"var(--s-{colour})"


def _points(points):
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _svg_dash(dash):
    return "" if dash is None else ' stroke-dasharray="{} {}"'.format(*DASHES[dash])


def _svg_line(points, colour, width, dash, fill):
    shape = "polyline" if fill is None else "polygon"
    opacity = "" if fill is None else ";fill-opacity:.18"
    style = f"fill:{_paint(fill)};stroke:{_paint(colour)};stroke-width:{width}{opacity}"
    return f'<{shape} points="{_points(points)}" style="{style}"{_svg_dash(dash)}/>'


def _svg_segments(pairs, colour, width, dash):
    d = "".join(f"M{a:.1f} {b:.1f}L{c:.1f} {e:.1f}" for (a, b), (c, e) in pairs)
    return f'<path d="{d}" style="fill:none;stroke:{_paint(colour)};stroke-width:{width}"{_svg_dash(dash)}/>'


def _svg_rect(x, y, width, height, fill, title):
    hover = f' pointer-events="all"><title>{escape(title)}</title></rect>' if title else "/>"
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" style="fill:{_paint(fill)}"{hover}'


def _svg_dot(x, y, radius, colour, hollow):
    fill = "none" if hollow else _paint(colour)
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" style="fill:{fill};stroke:{_paint(colour)};stroke-width:2"/>'
    )


def _svg_mark(corners, colour, hollow):
    fill = "none" if hollow else _paint(colour)
    return f'<polygon points="{_points(corners)}" style="fill:{fill};stroke:{_paint(colour)};stroke-width:2"/>'


def _svg_text(x, y, string, size, anchor, colour, bold, halo):
    weight = ' font-weight="600"' if bold else ""
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"'
    behind = ";paint-order:stroke;stroke:var(--s-paper);stroke-width:4;stroke-linejoin:round" if halo else ""
    return f'<text {place}{weight} style="fill:{_paint(colour)}{behind}">{escape(string)}</text>'


def _svg_image(x, y, width, height, rgb):
    data = base64.b64encode(png(rgb)).decode()
    return (
        f'<image x="{x}" y="{y}" width="{width:g}" height="{height:g}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
    )


def _agg_dash(dash):
    return "-" if dash is None else (0, DASHES[dash])


def _agg_line(ax, order, points, colour, width, dash, fill):
    x, y = zip(*points, strict=True)
    if fill is not None:
        ax.fill(x, y, color=COLOURS[fill], alpha=0.18, lw=0, zorder=order)
        x, y = (*x, x[0]), (*y, y[0])
    if colour not in (None, "none"):
        ax.plot(x, y, color=COLOURS[colour], lw=0.72 * width, ls=_agg_dash(dash), zorder=order)


def _agg_segments(ax, order, pairs, colour, width, dash):
    from matplotlib.collections import LineCollection

    options = {"colors": COLOURS[colour], "linewidths": 0.72 * width, "linestyles": [_agg_dash(dash)], "zorder": order}
    ax.add_collection(LineCollection(pairs, **options))


def _agg_rect(ax, order, x, y, width, height, fill, title):
    if fill != "none":
        ax.fill([x, x + width, x + width, x], [y, y, y + height, y + height], color=COLOURS[fill], lw=0, zorder=order)


def _agg_dot(ax, order, x, y, radius, colour, hollow):
    face = "none" if hollow else COLOURS[colour]
    ax.plot(x, y, "o", ms=1.44 * radius, mfc=face, mec=COLOURS[colour], mew=1.4, zorder=order)


def _agg_mark(ax, order, corners, colour, hollow):
    face = "none" if hollow else COLOURS[colour]
    ax.fill(*zip(*corners, strict=True), facecolor=face, edgecolor=COLOURS[colour], lw=1.4, zorder=order)


def _agg_text(ax, order, x, y, string, size, anchor, colour, bold, halo):
    from matplotlib.patheffects import withStroke

    align = {"start": "left", "middle": "center", "end": "right"}[anchor]
    weight = "bold" if bold else "normal"
    options = {"ha": align, "va": "baseline", "color": COLOURS[colour], "weight": weight, "zorder": order}
    if halo:
        options["path_effects"] = [withStroke(linewidth=2.9, foreground=COLOURS["paper"])]
    ax.text(x, y, string, fontsize=0.66 * size, family="DejaVu Sans", parse_math=False, **options)


def _agg_image(ax, order, x, y, width, height, rgb):
    extent = (x, x + width, y + height, y)
    ax.imshow(rgb, extent=extent, interpolation="nearest", aspect="auto", zorder=order)


_SVG = {
    "line": _svg_line,
    "segments": _svg_segments,
    "rect": _svg_rect,
    "dot": _svg_dot,
    "mark": _svg_mark,
    "text": _svg_text,
    "image": _svg_image,
}
_AGG = {
    "line": _agg_line,
    "segments": _agg_segments,
    "rect": _agg_rect,
    "dot": _agg_dot,
    "mark": _agg_mark,
    "text": _agg_text,
    "image": _agg_image,
}
