"""The report on photographs as text, table by table: how far, at what cost, and what a file leaves."""

from helpers.paper import tables
from helpers.paper.photograph_files import FILES

_FORWARD = "without a gradient"


def whole(report):
    """Every attack of the report in all of the tables."""
    files = {name: [] for name in FILES}
    for who, found in report["attacks"].items():
        for name in next(iter(found.values()))["in files"].get("factor", {}):
            files[name].append(who)
    lines = [
        "passes: of the network, a photograph, on average; forward: those of them without a gradient.",
        lengths(report),
        "\nCPU s: of one core, a photograph, on average; MB: the most memory.",
        costs(report),
        "\nRounded to 256 levels. Each photograph: by how much the target's logit leads as found. lost:",
        "what rounding takes away, all r_i below half a level. kept: how many stay ostriches.",
        leads(report),
        *(f"\n{factors_title(name)}\n{factors(report, name, whom)}" for name, whom in files.items() if whom),
    ]
    return "\n".join(lines)


def lengths(report, whom=None):
    """A line for each attack of ``whom`` (None: all): the distortion of each photograph, the mean, and the passes."""
    names = list(report["says"])
    rows = [["distortion × 1000", *names, "mean", "passes", "forward"]]
    for who, entries in _entries(report, whom):
        each = [f"{1000 * entry['distortion']:.2f}" if entry else "–" for entry in entries]
        there = [entry for entry in entries if entry]
        mean = f"{1000 * _mean(there, 'distortion'):.2f}" if len(there) == len(names) else "–"
        forward = f"{_mean(there, _FORWARD):.0f}" if all(_FORWARD in entry for entry in there) else "–"
        rows.append([who, *each, mean, f"{_mean(there, 'passes'):.0f}", forward])
    return tables.text(rows)


def costs(report, whom=None):
    """A line for each attack of ``whom`` (None: all): processor seconds and megabytes."""
    rows = [["", "CPU s", "MB"]]
    for who, entries in _entries(report, whom):
        there = [entry for entry in entries if entry]
        memory = max(entry["peak MB"] or 0 for entry in there)
        rows.append([who, f"{_mean(there, 'CPU seconds'):.0f}", f"{memory}"])
    return tables.text(rows)


def leads(report, whom=None):
    """A line for each attack of ``whom`` (None: all): its leads as found, and what rounding to 256 levels leaves."""
    rows = [["lead as found", *report["says"], "lost: values", "‖r‖²", "kept"]]
    for who, entries in _entries(report, whom):
        files = [entry["in files"] for entry in entries if entry]
        each = [f"{entry['lead']:.2f}" if entry else "–" for entry in entries]
        lost = [_share([file.get("lost", {}).get(key) for file in files]) for key in ("of the values", "of the square")]
        kept = f"{sum(file['lead']['256 levels'] > 0 for file in files)} of {len(files)}"
        rows.append([who, *each, *lost, kept])
    return tables.text(rows)


def factors_title(name):
    """What ``factors`` shows for the file ``name``."""
    return f"{name}: the least factor tried for r → the distortion × 1000 in the file"


def factors(report, name, whom):
    """A line for each attack of ``whom``: of each photograph the least factor for the file ``name``, and how far."""
    rows = [["", *report["says"]]]
    for who, entries in _entries(report, whom):
        cells = []
        for entry in entries:
            factor, distortion = (entry["in files"][key][name] for key in ("factor", "distortion"))
            cells.append("none" if factor is None else f"{factor:.2f} → {1000 * distortion:.2f}")
        rows.append([who, *cells])
    return tables.text(rows)


def _entries(report, whom):
    """Each attack of ``whom`` (None: all) and its entries, one a photograph, None where there is none."""
    return [(who, [report["attacks"][who].get(name) for name in report["says"]]) for who in whom or report["attacks"]]


def _share(values):
    return "–" if None in values else f"{sum(values) / len(values):.0%}"


def _mean(entries, key):
    return sum(entry[key] for entry in entries) / len(entries)
