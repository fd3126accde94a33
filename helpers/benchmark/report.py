"""What a run of the benchmark measured: as a dictionary, as JSON, and as the tables of docs/benchmark.md."""

import json
import os
import platform
import re
from datetime import date
from importlib.metadata import version
from pathlib import Path

NETWORK = "FC100-100-10"
KEPT = Path(__file__).parents[1] / "data"  # the reports that come with the package


def stored(name="benchmark.json"):
    """A report that docs/ shows, by its file's name: ``--json helpers/data/benchmark.json`` wrote it."""
    return json.loads((KEPT / name).read_text(encoding="utf-8"))


def write(report, path):
    """Write the report to ``path`` as JSON, at once or not at all; None stands for NaN."""
    write_json(_without_nan(report), path)


def write_json(content, path):
    """Write a dict as JSON, all or nothing."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(draft, path)


def tables(report):
    """What was measured, Markdown."""
    from helpers.benchmark import attacks, solver

    return (
        f"Attacks on {NETWORK}\n\n{attacks.table(report['attacks'])}\n\n"
        f"The solver alone\n\n{solver.table(report['solver'])}"
    )


def headline(report):
    """One sentence: the command, its seconds, the machine and the date."""
    return f"Printed by `{report['command']}`, which took {report['seconds']} s, on {report['machine']}."


def _without_nan(report):
    """The report with None for NaN: JSON has no NaN."""
    if isinstance(report, dict):
        return {key: _without_nan(value) for key, value in report.items()}
    if isinstance(report, list):
        return [_without_nan(value) for value in report]
    return None if report != report else report


def describe(device, threads):
    """One line: processor, threads, device, versions, date."""
    import torch

    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        name = found.group(1) if found else name
    where = f", {torch.cuda.get_device_name(device)}" if torch.device(device).type == "cuda" else ""
    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", "numpy", "scipy"))
    python = platform.python_version()
    return f"{name}{where}, {threads} of {os.cpu_count()} cores, Python {python}, {versions}, {date.today()}"
