"""What attacks and solvers cost and reach, side by side: ``python -m helpers.benchmark``."""

from helpers.benchmark.report import stored, tables

__all__ = ["stored", "tables"]
