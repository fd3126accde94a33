"""MNIST, the paper's networks for it, and how they were trained: ``python -m helpers.digits``."""
