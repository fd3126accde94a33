"""What attacks and solvers cost and reach, side by side: ``python -m helpers.benchmark``."""
