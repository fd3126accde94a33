"""The exercise checks, one file a lesson: ``checks.two_loop(two_loop)`` prints what is right or wrong about an answer.

Every name in a lesson file's ``__all__`` is a check, and is found here. ``@checks.reference`` on a folded solution
leaves the reader's own function in place where it has passed. NumPy only.
"""

from importlib import import_module
from pkgutil import iter_modules

from ._verdict import reference

__all__ = ["reference"]

for _module in sorted(module.name for module in iter_modules(__path__) if module.name.startswith("lesson")):
    _lesson = import_module(f".{_module}", __name__)
    for _name in _lesson.__all__:
        if _name in globals():
            raise ImportError(f"two lessons have a check called {_name!r}, the second is in {_module}.py")
        globals()[_name] = getattr(_lesson, _name)
        __all__.append(_name)
