"""The stored run is the one that the page shows."""

from notebook_tools import ROOT

from helpers import benchmark
from helpers.benchmark.report import headline


def test_the_page_shows_the_stored_run_which_was_whole():
    report = benchmark.stored()
    assert report["missing"] == [] and not report["interrupted"] and "--images 1000" in report["command"]
    page = (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
    assert benchmark.tables(report) in page and headline(report) in page
