"""The small library that the notebooks call. Importing it loads no torch: a name is fetched when first used."""

from importlib import import_module

_HOME = {
    "load_mnist": "mnist",
    "load_network": "networks",
    "minimize": "lbfgsb",
    "attack": "lbfgs_attack",
    "c_path": "penalty_path",
    "AttackResult": "results",
}
_MODULES = {"baselines", "checks", "figures", "lbfgs_attack", "lbfgsb", "mnist", "networks", "penalty_path", "widgets"}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'helpers' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__():
    return sorted({*globals(), *__all__, *_MODULES})
