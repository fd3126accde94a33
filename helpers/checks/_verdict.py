"""How the exercise checks speak: one sentence each, never a traceback.

A check is a function of the reader's function. It tries properties, raises `Wrong` at the first that fails, and returns
the sentence that says what it verified. ``@check`` turns it into what a notebook calls::

    import numpy as np
    from ._verdict import array, check, expect

    __all__ = ["secant_update"]

    @check
    def secant_update(candidate):
        rng = np.random.default_rng(3)
        for n in (2, 5, 9):
            s, y = rng.normal(size=(2, n))
            y *= np.sign(s @ y)
            B = array(candidate(np.eye(n), s, y), (n, n))
            error = abs(B @ s - y).max()
            expect(abs(B @ y - s).max() > 1e-8, "the answer maps y to s: that is H, the inverse; B maps s to y")
            expect(error < 1e-8, f"the secant equation B s = y fails by {error:.1e} for n = {n}")
        return "B s = y in 3 random cases"

In a notebook ``checks.secant_update(secant_update)`` then prints one of ::

    secant_update: not attempted yet - fill in the function above and run this cell again.
    secant_update: not yet - the answer maps y to s: that is H, the inverse; B maps s to y.
    secant_update: not yet - it raised ValueError: ... (called with B: shape (2, 2), s: shape (2,), y: shape (2,)).
    secant_update: correct - B s = y in 3 random cases.

Arguments that the reader's function changes in place are caught here, for every check: two of the classic mistakes
(aliased s and y, a gradient overwritten) are of that kind. Imports NumPy only; what it is handed may be tensors.
"""

import functools
import inspect
import warnings

import numpy as np

__all__ = ["Wrong", "array", "check", "expect", "reference"]

_passed = {}  # from a check's name to the function that last passed it


class Wrong(Exception):
    """The reader's function fails a property; the message names the mistake, with numbers."""


class _NotAttempted(Exception):
    """The reader's function is still the stub."""


def expect(condition, message):
    """Raise `Wrong` with ``message`` unless ``condition`` holds."""
    if not condition:
        raise Wrong(message)


def array(value, shape, what="the answer"):
    """Return ``value`` as a float64 array of ``shape``, or raise `Wrong` if it is anything else or not finite."""
    try:
        value = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise Wrong(f"{what} must be numbers of shape {shape}, it is {_describe(value)}") from None
    expect(value.shape == shape, f"{what} has shape {value.shape}, it must have shape {shape}")
    expect(np.isfinite(value).all(), f"{what} has {np.sum(~np.isfinite(value))} entries that are NaN or infinite")
    return value


def check(body):
    """Make ``body(candidate) -> sentence`` a check that prints its verdict and returns None."""

    @functools.wraps(body)
    def wrapper(candidate):
        verdict = _verdict(body, candidate)
        _passed.pop(body.__name__, None)
        if verdict.startswith("correct"):
            _passed[body.__name__] = candidate
        print(f"{body.__name__}: {verdict.rstrip('.')}.")

    return wrapper


def reference(solution):
    """Decorate a folded solution: it gives way to the reader's function where that has passed the check of its name."""
    if solution.__name__ in _passed:
        print(f"{solution.__name__}: the lesson goes on with yours.")
    return _passed.get(solution.__name__, solution)


def _verdict(body, candidate):
    if not callable(candidate):
        return f"not yet - pass the function itself, without calling it; this is {_describe(candidate)}"
    watched = _Watched(candidate)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return f"correct - {body(watched)}"
    except _NotAttempted as stub:
        return f"not attempted yet - {stub}"
    except Wrong as wrong:
        return f"not yet - {wrong}"
    except Exception as error:  # the check could not use what it got: a wrong number of values, a wrong type
        return (
            f"not yet - it returned {_describe(watched.answer)}, which the check cannot use: "
            f"{_one_line(error)} ({watched.call})"
        )


class _Watched:
    """The reader's function, with a memory of its last call."""

    def __init__(self, function):
        self._function = function
        self._arguments = {}
        self.answer = None
        functools.update_wrapper(self, function)

    @property
    def call(self):
        """The last call in words: each argument's name, with its shape or value."""
        return "called with " + (", ".join(f"{k}: {_describe(v)}" for k, v in self._arguments.items()) or "nothing")

    def __call__(self, *args, **kwargs):
        self._arguments = _by_name(self._function, args, kwargs)
        before = {name: _copy(value) for name, value in self._arguments.items()}
        try:
            self.answer = self._function(*args, **kwargs)
        except NotImplementedError:
            raise _NotAttempted("fill in the function above and run this cell again") from None
        except Wrong:  # raised by something the check handed in
            raise
        except Exception as error:
            raise Wrong(f"it raised {_one_line(error)} ({self.call})") from None
        if self.answer is None or self.answer is ...:
            raise _NotAttempted(
                "it returns nothing; fill in the function above, up to its return, and run this cell again"
            )
        for name, value in self._arguments.items():
            expect(
                _same(before[name], value),
                f"it changes its argument {name} in place, so the caller's copy is spoilt: work on a copy of {name}",
            )
        return self.answer


def _by_name(function, args, kwargs):
    try:
        return dict(inspect.signature(function).bind(*args, **kwargs).arguments)
    except (TypeError, ValueError):  # the signature does not fit: the call itself will say so
        return {f"argument {i}": value for i, value in enumerate(args, 1)} | kwargs


def _copy(value):
    if isinstance(value, np.ndarray):
        return value.copy()
    if _is_tensor(value):
        return value.detach().clone()
    return [_copy(v) for v in value] if isinstance(value, list | tuple) else value


def _is_tensor(value):
    """A torch tensor? Asked without torch, which the lessons before the sixth do without."""
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach")


def _same(before, value):
    if _is_tensor(value):
        return before.shape == value.shape and bool((before == value).all())
    if isinstance(value, np.ndarray):
        return before.shape == value.shape and np.array_equal(before, value, equal_nan=value.dtype.kind in "fc")
    if isinstance(value, list | tuple):
        return len(before) == len(value) and all(map(_same, before, value))
    return True


def _describe(value):
    if isinstance(value, np.ndarray) or _is_tensor(value):
        return f"shape {tuple(value.shape)}"
    if isinstance(value, bool | int | float | str | np.generic):
        return f"{value!s}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__} of {len(value)}"
    return "a function" if callable(value) else f"a {type(value).__name__}"


def _one_line(error):
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
