"""Write paper.md in this folder from the stored runs: ``python docs/paper.py``. The text around the tables is here.

The runs themselves: see ``python -m helpers.paper --help``; each table names its command.
"""

from pathlib import Path

from helpers.paper import archive, published, tables
from helpers.paper.__main__ import run_line

HERE = Path(__file__).resolve().parent
PAGE = """# The paper's tables, measured

*Written by `python docs/paper.py` from the runs stored in `helpers/data/paper/`.* In brackets, and behind ±, are 95%
intervals over the images (Wilson's for shares). Lesson 08 says where ours differ from the paper's, and why.

## Tables 1 and 2

The first {train:,} training images, each with one random wrong label as its target. β is the sharpness of the loss: β = 1 is
the paper's.

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
"""


def page():
    """The page as text."""
    whole, halves = archive.stored("tables1and2.json"), archive.stored("tables3and4.json")
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
    )


if __name__ == "__main__":
    (HERE / "paper.md").write_text(page(), encoding="utf-8")
