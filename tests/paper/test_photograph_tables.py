"""The report on photographs as text: what stands in the tables is what the report says."""

from helpers.paper import photograph, photograph_tables

REPORT = photograph.report()
NAMES = list(REPORT["says"])


def line(text, who):
    """The cells after the name ``who`` in the table ``text``."""
    (found,) = [row for row in text.splitlines() if row.startswith(f"{who}  ")]
    return found[len(who) :].split()


def test_the_stored_run_prints_in_the_width_of_a_notebook():
    text = photograph.table(REPORT)
    assert max(map(len, text.splitlines())) <= 95
    assert all(who in text for who in REPORT["attacks"]) and "AlexNet: 6.5 on average" in text


def test_lengths_and_passes_are_those_of_the_report():
    who = photograph.PLAIN
    found = [REPORT["attacks"][who][name] for name in NAMES]
    *each, mean, passes, forward = line(photograph_tables.lengths(REPORT, [who]), who)
    assert each == [f"{1000 * entry['distortion']:.2f}" for entry in found]
    assert float(mean) == round(1000 * sum(entry["distortion"] for entry in found) / 4, 2)
    assert float(passes) == round(sum(entry["passes"] for entry in found) / 4)
    assert 0 < float(forward) < float(passes)
    assert float(line(photograph_tables.costs(REPORT, [who]), who)[1]) == max(entry["peak MB"] for entry in found)


def test_leads_and_factors_are_those_of_the_report():
    who = photograph.PLAIN
    files = [REPORT["attacks"][who][name]["in files"] for name in NAMES]
    *each, values, square, kept, of, all_of_them = line(photograph_tables.leads(REPORT, [who]), who)
    assert each == [f"{REPORT['attacks'][who][name]['lead']:.2f}" for name in NAMES]
    assert values == f"{sum(file['lost']['of the values'] for file in files) / 4:.0%}"
    assert square == f"{sum(file['lost']['of the square'] for file in files) / 4:.0%}"
    assert int(kept) == sum(file["lead"]["256 levels"] > 0 for file in files) and (of, all_of_them) == ("of", "4")
    cells = line(photograph_tables.factors(REPORT, "256 levels", [who]), who)
    assert cells[0] == f"{files[0]['factor']['256 levels']:.2f}" and cells[1] == "→"
    assert cells[2] == f"{1000 * files[0]['distortion']['256 levels']:.2f}"


def test_where_no_factor_helps_the_table_says_none_and_what_is_missing_is_a_dash():
    entry = {"lead": 1.0, "passes": 9, "distortion": 0.001}
    entry["in files"] = {"factor": {"JPEG 95": None}, "distortion": {"JPEG 95": None}, "lead": {"256 levels": 1}}
    report = {"says": {"cat": [], "dog": []}, "attacks": {"a": {"cat": entry}}}
    assert line(photograph_tables.lengths(report), "a") == ["1.00", "–", "–", "9", "–"]
    assert line(photograph_tables.leads(report), "a") == ["1.00", "–", "–", "–", "1", "of", "1"]
    report["attacks"]["a"]["dog"] = entry
    assert line(photograph_tables.factors(report, "JPEG 95", ["a"]), "a") == ["none", "none"]
