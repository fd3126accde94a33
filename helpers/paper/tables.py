"""Tables 1 to 4 as text: what was measured here beside what the paper prints, with 95% intervals."""

from scipy.stats import binomtest

from helpers.paper import published
from helpers.paper.attacks import SETTINGS

BETA = {"paper": "β = 1", "sharpened": "β = 1, 8, 64"}
ABREAST = 3  # columns of shares with their intervals that fit beside each other in a notebook
NORMAL = 1.96  # 95% of a normal distribution lie within so many standard deviations


def percent(wrong, images):
    """A count as percent with Wilson's 95% interval, e.g. "26.2 (21.2–31.9)"."""
    interval = binomtest(wrong, images).proportion_ci(method="wilson")
    return f"{100 * wrong / images:.1f} ({100 * interval.low:.1f}–{100 * interval.high:.1f})"


def size(mean):
    """A mean distortion with its 95% interval, e.g. "0.0581 ± 0.0004"."""
    return f"{mean['mean']:.4f} ± {NORMAL * mean['standard error']:.4f}"


def table1(report):
    """Table 1 from what ``transfer.measured("all digits", …)`` gives."""
    rows = [*_headings("train", "test")]
    for name, (train, test, distortion) in published.TABLE_1.items():
        ours = report["errors"][name]
        made = [size(report["made for"][setting][name]["distortion"]) for setting in SETTINGS]
        rows += [[name, f"{ours['train']:.2f}", f"{train:g}", f"{ours['test']:.2f}", f"{test:g}", *made, distortion]]
    return text(rows)


def table3(report):
    """Table 3 from what ``transfer.measured("halves", …)`` gives."""
    rows = [*_headings("P1", "P2", "test")]
    for name, (*errors, distortion) in published.TABLE_3.items():
        pairs = zip(report["errors"][name].values(), errors, strict=True)
        cells = [cell for ours, paper in pairs for cell in (f"{ours:.2f}", f"{paper:g}")]
        made = [size(report["made for"][setting][name]["distortion"]) for setting in SETTINGS]
        rows += [[name, *cells, *made, distortion]]
    return text(rows)


def table2(report):
    """Table 2: the error of the column's network in percent."""
    parts = [_matrix(report, setting, FOUND, published.TABLE_2) for setting in SETTINGS]
    return "\n\n".join([*parts, _noise(report, published.NOISE_2)])


def table4(report):
    """Table 4: the same for the halves, and for changes amplified to a distortion of 0.1."""
    parts = []
    for setting in SETTINGS:
        parts.append(_matrix(report, setting, FOUND, published.TABLE_4))
        parts.append(_matrix(report, setting, AMPLIFIED, published.AMPLIFIED_4))
    return "\n\n".join([*parts, _noise(report, published.NOISE_4)])


def _headings(*parts):
    """The two lines above tables 1 and 3: the error on each of these parts of the digits, and the distortions."""
    errors = [cell for part in parts for cell in (part, "paper")]
    yield ["", *[""] * len(errors), *["distortion"] * len(SETTINGS), ""]
    yield ["error in % on", *errors, *(BETA[setting] for setting in SETTINGS), "paper"]


# The lines of one network: from a variant of ``transfer.variants`` to its name in the table.
FOUND = {"found": "as found", "noise of its length": "noise of its length"}
AMPLIFIED = {
    "amplified": "amplified to 0.1, clipped",
    "amplified, not clipped": "not clipped",
    "noise of the amplified length": "noise of that length",
    "5/3 as long": "5/3 as long, clipped",
    "as printed": "as the formula prints",
}


def _matrix(report, setting, variants, paper):
    """For each network a line for each of the variants of what was made for it, and one for the paper's."""
    rows = [[f"{BETA[setting]}: error in %", *report["networks"]]]
    for network, row in report["made for"][setting].items():
        rows.append([f"made for {network}", *[""] * len(report["networks"])])
        rows += [[f"  {name}", *_percents(row["wrong"][variant], report)] for variant, name in variants.items()]
        rows.append(["  the paper", *(f"{value:g}" for value in paper[network])])
    return blocks(rows)


def _noise(report, paper):
    rows = [["no attack: error in %", *report["networks"]], ["the images", *_percents(report["clean"], report)]]
    for stddev, found in report["noise"].items():
        rows.append([f"noise {stddev}", *_percents(found["not clipped"], report)])
        rows.append([f"  clipped: {size(found['distortion'])}", *_percents(found["clipped"], report)])
        rows.append(["  the paper", *(f"{value:g}" for value in paper[float(stddev)])])
    return blocks(rows)


def _percents(counts, report):
    return [percent(wrong, report["images"]) for wrong in counts]


def blocks(rows):
    """Rows of cells as lines, in blocks of at most ABREAST columns behind the first, so that no line is too wide."""
    cuts = range(1, len(rows[0]), ABREAST)
    return "\n\n".join(text([[row[0], *row[cut : cut + ABREAST]] for row in rows]) for cut in cuts)


def text(rows):
    """Rows of cells as lines, each column as wide as its widest cell."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *cells in rows:
        rest = "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        lines.append(f"{first:{widths[0]}}{rest}")
    return "\n".join(line.rstrip() for line in lines)
