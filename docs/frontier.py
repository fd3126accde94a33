"""Write frontier.md and frontier.png in this folder from the stored run: ``python docs/frontier.py``

The run: ``python -m helpers.benchmark frontier --images 200 --json helpers/data/frontier.json``, with adv-lib and
botorch installed. The text around the tables stands here.
"""

from pathlib import Path

import matplotlib.pyplot as plt

from helpers import figures
from helpers.benchmark.frontier import entries, headline, stored, table

HERE = Path(__file__).resolve().parent
PAGE = """# How short, for how many passes

*Written by `python docs/frontier.py`.* A pass of the network, forward with or without backward, costs the same for
every attack, on every machine. So quality against passes is the fairest comparison there is. Each attack is given
the same test images, from the 5,000th on, which the network classifies correctly, and the label after their own as
target.

- **passes**: for one image, on average.
- **ratio**: for each image, divide ‖r‖ by the shortest ‖r‖ that any attack of the table found for it; this is the mean.
- **ms an image**: of one thread of the processor, all images at once but for SciPy's loop; they were measured one after
  the other, so only large differences mean something.

*Quick*, *thorough* and *exhaustive* are `attack(..., effort=...)`: 1, 3 and again 3 walks of 40 normalised gradient
steps along the border, with *exhaustive* also a descent of 600 steps from far inside the target's region, which is
PDGD's. Half of these are then polished by L-BFGS-B at β = 8 and 64, without a search over c. The settings were tuned on
the first 5,000 test images, of which none is used here, and mostly on another target (the label plus 3). DDN (Rony et
al. 2019) and PDGD (Matyasko & Chau 2021) come from adv-lib; SciPy's loop and botorch's wrapper get the first {slow}
images only.

![Mean length of r above the best known against passes, for each network](frontier.png)

{headline}

{table}
"""


def picture(report, path):
    """Passes against the ratio, a panel for each network."""
    figures.use_style()
    networks = list(report["networks"])
    figure, axes = plt.subplots(2, 2, figsize=(9, 6.4), layout="constrained", sharex=True)
    for network, ax in zip(networks, axes.flat, strict=True):
        own = [e for e in entries(report) if e["network"] == network]
        for words, colour, marker, label in (
            ("DDN", figures.SKY, "s", "DDN"),
            ("PDGD", figures.BLUE, "D", "PDGD"),
            ("β = 1", figures.ORANGE, "^", "this attack, searching for c: β = 1, and β = 1, 8, 64"),
            ("effort", figures.RED, "o", "this attack: quick, thorough, exhaustive"),
            ("SciPy", figures.GREY, "v", "SciPy's loop; botorch's wrapper"),
        ):
            some = sorted((e["passes"], 100 * (e["ratio"] - 1)) for e in own if _kind(e["attack"]) == words)
            line = "none" if words == "SciPy" else "-"
            ax.plot(*zip(*some, strict=True), ls=line, marker=marker, c=colour, ms=6, label=label)
        ax.set(xscale="log", title=network, ylim=(-0.1, 3.2))
    for ax in axes[1]:
        ax.set_xlabel("passes for one image (log scale)")
    for ax in axes[:, 0]:
        ax.set_ylabel("‖r‖ above the best known, %")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=150, metadata={"Software": None})
    plt.close(figure)


def _kind(name):
    if "SciPy" in name:
        return "SciPy"
    return name[: name.index(",")] if "this" not in name else "β = 1" if "β" in name else "effort"


if __name__ == "__main__":
    from helpers.benchmark.frontier import SLOW

    report = stored()
    picture(report, HERE / "frontier.png")
    page = PAGE.format(headline=headline(report), table=table(report), slow=SLOW)
    (HERE / "frontier.md").write_text(page, encoding="utf-8")
