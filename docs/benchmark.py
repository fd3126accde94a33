"""Write benchmark.md, benchmark.png and scaling.png in this folder from the stored runs: ``python docs/benchmark.py``

The runs: ``python -m helpers.benchmark --images 1000 --json helpers/data/benchmark.json``, with botorch and adv-lib
installed; ``python -m helpers.benchmark scaling --json helpers/data/scaling.json``; and
``python -m helpers.benchmark overhead --images 1000 --json helpers/data/overhead.json``. The text around the tables
stands here.
"""

from pathlib import Path

import matplotlib.pyplot as plt

from helpers import figures
from helpers.benchmark import overhead, scaling
from helpers.benchmark.report import headline, stored, tables

HERE = Path(__file__).resolve().parent
PAGE = """# Measured

*Written by `python docs/benchmark.py`.* The first 1,000 test images that FC100-100-10 classifies correctly are each
to be given the label after their own. Two columns need a word:

- **ratio**: for each image, divide ‖r‖ by the shortest ‖r‖ that any row of the table found for it; this is the average.
- **evaluations**: passes of the network, forward and backward, for one image.

The rows take turns in one run, so their times can be compared with each other, and with nothing else. β is the
sharpness of the loss, CE(βz)/β, where z are the logits: β = 1 is the paper's loss, and β = 1, 8, 64 raises it in
three stages (lesson 02). SGD is the code that readers of the paper are sent to. DDN (Rony et al. 2019) and PDGD
(Matyasko & Chau 2021) are not L-BFGS; they take part where `pip install --no-deps adv-lib` has been run, and
botorch's wrapper where `pip install -e .[peers]` has. In the second table the solver alone stands against SciPy's
L-BFGS-B.

![Milliseconds an image against the length of r, for each attack that reaches every target](benchmark.png)

{headline}

{tables}

With β raised in stages this attack finds shorter perturbations than with the paper's loss. DDN's 100 steps are almost
three times as fast as the paper's loss and end 0.2% longer. PDGD's 1000 steps end where the raised β does, and take
four times as long.

## How many at once

`attack` with β = 1 on FC100-100-10, called with 1 to 10,000 test images, all of them in flight together. On a CPU a
second is one of the process's own time on one thread, which does not run while other work has the processor. *Passes*
is how often a call evaluates the network, on all rows that are left: as often as its slowest image asks. So turns with
few images, which have other images each, differ by up to a factor of two and a half. Lesson 07 says where the time
goes.

![Images a second against the number of images attacked at once, in float32 and float64, and SciPy's loop](scaling.png)

{scaling_headline}

{scaling_table}

{scaling_sentence}

## Where each microsecond goes

For one evaluation of one image, on one thread. **µs** is the process's own time. **at full speed** is what the matrix
products and convolutions of a part would take at the pace of one large product. **kB touched** is what its operations
read and write, each for itself, and **by copying** how long a large copy takes for as much. So a part that takes as
long as the copy is at the limit of memory, and gets faster only by touching less.

{overhead_headline}

{overhead_text}
"""
# Where each name is written, in points from its dot: the dots of three attacks lie on one line.
LABELS = {
    "SciPy L-BFGS-B, a loop over images": ("SciPy, image by image", (0, 9), "center"),
    "botorch's batched wrapper around SciPy": ("SciPy, batched by botorch", (0, -15), "center"),
    "this attack, β = 1": ("this attack, β = 1", (0, 10), "center"),
    "this attack, β = 1, 8, 64": ("this attack, β = 1, 8, 64", (-9, 0), "right"),
}


def picture(entries, path):
    """Milliseconds an image against the ratio, for every attack that reaches all targets."""
    figures.use_style()
    figure, ax = plt.subplots(figsize=(7.2, 3.4), layout="constrained")
    for e in entries:
        if e["success"] == 1:
            ours = "this attack" in e["attack"]
            ax.plot(e["ms"], 100 * (e["ratio"] - 1), "o", ms=9 if ours else 6, c=figures.RED if ours else figures.BLUE)
            name, place, align = LABELS.get(e["attack"], (e["attack"], (9, 0), "left"))
            va = {"left": "center", "right": "center", "center": "baseline"}[align]
            at = (e["ms"], 100 * (e["ratio"] - 1))
            ax.annotate(name, at, xytext=place, textcoords="offset points", ha=align, va=va)
    ax.set(xscale="log", xlim=(0.25, 500), ylim=(-0.1, 1.25), xlabel="milliseconds an image (log scale)")
    ax.set(ylabel="‖r‖ above the best found, %")
    figure.savefig(path, dpi=150, metadata={"Software": None})
    plt.close(figure)


def scaling_picture(entries, path):
    """Images a second against the number of images at once, for both dtypes, with the pace of SciPy's loop."""
    figures.use_style()
    figure, ax = plt.subplots(figsize=(7.2, 3.4), layout="constrained")
    for name, colour, marker in (("float32", figures.RED, "o"), ("float64", figures.BLUE, "s")):
        own = [e for e in entries if e["who"] == name]
        ax.plot([e["size"] for e in own], [e["rate"] for e in own], marker=marker, ms=5, c=colour, label=name)
    (pace,) = (e["rate"] for e in entries if e["who"] == scaling.SCIPY)
    ax.axhline(pace, c=figures.GREY, ls="--", lw=1.2, label="SciPy's loop, image by image")
    ax.set(
        xscale="log", yscale="log", xlabel="images attacked at once (log scale)", ylabel="images a second (log scale)"
    )
    ax.legend(loc="upper left")
    figure.savefig(path, dpi=150, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    report, scaled = stored(), scaling.stored()
    picture(report["attacks"], HERE / "benchmark.png")
    scaling_picture(scaling.summary(scaled["turns"]), HERE / "scaling.png")
    measured = overhead.stored()
    page = PAGE.format(
        headline=headline(report),
        tables=tables(report),
        scaling_headline=headline(scaled),
        scaling_table=scaling.table(scaled),
        scaling_sentence=scaling.sentence(scaled),
        overhead_headline=headline(measured),
        overhead_text=overhead.text(measured),
    )
    (HERE / "benchmark.md").write_text(page, encoding="utf-8")
