"""Step through a minimisation in the plane: the iterate, the model, the Cauchy point, the subspace step. No torch."""

from dataclasses import dataclass

import ipywidgets
import numpy as np

from helpers.widgets._landscape import landscape, model
from helpers.widgets._trace_picture import Problem, trace_scene
from helpers.widgets._view import View, index_of, reported


@dataclass(frozen=True)
class SolverTraceState:
    """One entry of a trace, in numbers. What the entry does not hold, as the last one holds no step, is None."""

    step: int
    last: int  # the number of the last entry
    x: tuple
    f: float
    g_norm: float | None  # max |P(x − g) − x|
    curvatures: tuple | None  # the eigenvalues of the model's B, the smaller first
    cauchy: tuple | None  # the generalized Cauchy point
    subspace: tuple | None  # the model's minimiser over the free variables, perhaps outside the box
    target: tuple | None  # x̄, where the line search looks
    alpha: float | None  # the step length: next x = x + alpha (target − x)
    how: str | None  # how the subspace step was brought back into the box: "projected" or "truncated"
    evaluations: int | None


def state_at(trace, step):
    """The SolverTraceState of ``trace[step]``."""
    entry = trace[step]

    def point(name):
        return None if entry.get(name) is None else tuple(float(v) for v in entry[name])

    def number(name):
        return None if entry.get(name) is None else float(entry[name])

    points = {name: point(name) for name in ("x", "cauchy", "subspace", "target")}
    numbers = {name: number(name) for name in ("f", "g_norm", "alpha")}
    B = model(entry)
    rest = {"how": entry.get("how"), "evaluations": entry.get("evaluations")}
    rest["curvatures"] = None if B is None else tuple(np.linalg.eigvalsh(B).tolist())
    return SolverTraceState(step=step, last=len(trace) - 1, **points, **numbers, **rest)


class SolverTrace(View):
    """Step through the iterations of a solver on a problem with two variables.

    Side by side: the run so far with the minimum, as far as the solver or a grid knows it; the step from near, with F
    and its model at the same levels; and, where the trace holds Cauchy points, the projected path from nearer.

    Args:
        trace: a list of dicts, one an iteration, with "x" (2,) and "f"; what else there is of "g" (2,), "g_norm",
            "theta", "W" (2, 2k), "M" (2k, 2k), "cauchy", "subspace", "target" (2,), "alpha", "how", "evaluations" is
            drawn as well. The model has B = theta I − W M Wᵀ; instead of these three an entry may hold "B" (2, 2).
            With "t_cauchy" and "breakpoints" (2,) the way to the Cauchy point bends at the walls.
        fun: fun(x) -> (f, g), or f alone, for the contours. It is called outside the box too.
        lower, upper: (2,) bounds, which may be infinite; None where there is no box.

    Reading: ``state`` (SolverTraceState). Setting: ``step``, from 0 to len(trace) − 1.

    Raises ValueError for an empty trace or points that do not lie in the plane.
    """

    def __init__(self, trace, fun, lower=None, upper=None):
        self.trace = list(trace)
        if not self.trace:
            raise ValueError("the trace is empty: pass the list of dicts that the solver recorded.")
        if np.shape(self.trace[0]["x"]) != (2,):
            raise ValueError(
                f"only problems in the plane can be drawn; here x has shape {np.shape(self.trace[0]['x'])}."
            )
        self.lower = np.full(2, -np.inf) if lower is None else np.asarray(lower, float)
        self.upper = np.full(2, np.inf) if upper is None else np.asarray(upper, float)
        view = landscape(self.trace, fun, self.lower, self.upper)
        self.problem = Problem(fun, self.lower, self.upper, view)

        wide = ipywidgets.Layout(width="480px")
        self.slider = ipywidgets.IntSlider(max=len(self.trace) - 1, description="iteration", layout=wide)
        self.back = ipywidgets.Button(description="◂ back", layout=ipywidgets.Layout(width="90px"))
        self.forward = ipywidgets.Button(description="on ▸", layout=ipywidgets.Layout(width="90px"))
        row = ipywidgets.Layout(flex_flow="row wrap")
        super().__init__(ipywidgets.Box([self.slider, self.back, self.forward], layout=row))
        self.slider.observe(self._moved, "value")
        self.back.on_click(self._stepped)
        self.forward.on_click(self._stepped)
        self.draw()

    @property
    def state(self):
        return state_at(self.trace, self.step)

    @property
    def step(self):
        return self.slider.value

    @step.setter
    def step(self, value):
        self.slider.value = index_of("step", value, len(self.trace))

    def scene(self):
        return trace_scene(self.state, self.trace, self.problem)

    @reported
    def _moved(self, _):
        self.draw()

    @reported
    def _stepped(self, button):
        self.step = min(max(self.step + (1 if button is self.forward else -1), 0), len(self.trace) - 1)
