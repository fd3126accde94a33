"""Four pictures that the reader moves. Importing this loads no torch: lessons 03 to 05 use SolverTrace without it."""

from importlib import import_module

_HOME = {
    "CSlider": "c_slider",
    "PerturbationInspector": "inspector",
    "SolverTrace": "solver_trace",
    "TopImages": "top_images",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module 'helpers.widgets' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__():
    return sorted({*globals(), *__all__})
