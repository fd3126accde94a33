"""Write paper.md in this folder from the stored runs: ``python docs/paper.py``. The text around the tables is here.

The runs themselves: see ``python -m helpers.paper --help``; each table names its command.
"""

from pathlib import Path

from helpers.paper import adversarial_training, archive, differences, photograph, published, table5, tables, units
from helpers.paper.__main__ import run_line

HERE = Path(__file__).resolve().parent
PAGE = """# The paper's tables, measured

*Written by `python docs/paper.py` from the runs stored in `helpers/data/paper/`.* In brackets, and behind ±, are 95%
intervals over the images (Wilson's for shares). Lesson 08 says where ours differ from the paper's, and why.

## Tables 1 and 2

The first {train:,} training images, each with one random wrong label as its target. β is the sharpness of the loss:
β = 1 is the paper's.

{line12}

```text
{table1}
```

The error of the column's network, in percent. The paper's percentages seem to come from {paper} images a row.

```text
{table2}
```

## Tables 3 and 4

All {test:,} test images; the networks were trained on disjoint halves of the training images, P1 and P2.

{line34}

```text
{table3}
```

```text
{table4}
```

## Why the two differ

Each choice that the paper leaves open, made otherwise on {count:,} images. {line_differences}

```text
{differences}
```

## Section 3: units against random directions

How alike are the eight images highest along a unit, and along a random direction? {line_units} Lesson 09 explains the
columns and the controls.

```text
{units}
```

## Section 4.2: learning from adversarial examples

FC100-100-10 trained in eight ways, five seeds each: the mean and its 95% interval over the seeds, by Student's t.
"Less weight decay alone" pairs the seeds. The last two columns are the mean ‖r‖ that the attack needs on the first
{attacked} test images: to a random wrong label, over the five networks, and to the nearest wrong label, on the first
network. Lesson 11 says what was chosen how, and what the numbers mean.

By {line_training}

```text
{training}
```

## Section 4: photographs

Four photographs, a network trained on ImageNet, and one target for all of them. {line_photograph} Lesson 12 has the
pictures.

```text
{photograph}
```

## Table 5

{line5}

{table5}
"""


def page():
    """The page as text."""
    whole, halves = archive.stored("tables1and2.json"), archive.stored("tables3and4.json")
    others, directions, norms = archive.stored(differences.FILE), units.stored(), table5.stored()
    photographs = photograph.report()
    learned = adversarial_training.stored()
    return PAGE.format(
        train=whole["images"],
        test=halves["images"],
        paper=published.IMAGES,
        line12=run_line(whole["run"]),
        line34=run_line(halves["run"]),
        table1=tables.table1(whole),
        table2=tables.table2(whole),
        table3=tables.table3(halves),
        table4=tables.table4(halves),
        count=others["images"],
        line_differences=made_by(others["run"]),
        differences=differences.table(others),
        line_units=made_by(directions),
        units=units.table(directions),
        attacked=learned["robustness"]["plain"]["images"],
        line_training=adversarial_training.run_line(learned),
        training=adversarial_training.table(learned),
        line_photograph=made_by(photographs["run"] | {"seconds": photograph.seconds(photographs)}),
        photograph=photograph.table(photographs),
        line5=made_by(norms),
        table5=table5.table(norms),
    )


def made_by(run):
    """One sentence on how a report was made, by one process."""
    return f"By `{run['command']}`, {run['seconds']:.0f} s on {run['machine']}."


if __name__ == "__main__":
    (HERE / "paper.md").write_text(page(), encoding="utf-8")
