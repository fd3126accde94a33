"""The small library that the notebooks call. Importing it loads no torch: a name is fetched when first used."""

from importlib import import_module

_HOME = {  # from a public name to the module that defines it
    "AttackResult": "adversarial.result",
    "attack": "adversarial.attack",
    "c_path": "adversarial.c_path",
    "load_mnist": "digits.mnist",
    "load_network": "digits.networks",
    "minimize": "solver.lbfgsb",
    "read_idx": "digits.mnist",
}
_ROOMS = {
    "adversarial",
    "baselines",
    "benchmark",
    "checks",
    "digits",
    "environment",
    "figures",
    "paper",
    "photographs",
    "solver",
    "widgets",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
        globals()[name] = value
        return value
    if name in _ROOMS:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'helpers' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__():
    return sorted({*globals(), *__all__, *_ROOMS})
