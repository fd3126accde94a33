"""Lesson 07's checks: many solvers with one evaluation a tick, a history for each row, all Cauchy points at once.

torch is imported where it is used, for the checks of the lessons before are loaded with this file.
"""

import numpy as np

from ._verdict import Wrong, array, check, expect
from .lesson05 import EXACT, _boxed_point, _first_minimiser, _model

__all__ = ["cauchy_points", "remember_rows", "together"]


@check
def together(candidate):
    for lengths in ([3, 1, 4, 2], [2, 0, 2], [0, 0], [], [5], [1, 6, 1, 1, 3]):
        _one_company(candidate, lengths)
    return "every solver is sent its own values, each tick has one evaluation, and who has ended is left alone"


def _one_company(candidate, lengths):
    """Solvers that ask for the points (i, k), k = 0, 1, … ``lengths[i]`` times, and know what they must be told."""
    told, names = [[] for _ in lengths], f"{len(lengths)} solvers that ask {lengths} times"

    def solver(i, length):
        for k in range(length):
            answer = yield np.array([i, k, 7.0])
            expect(
                isinstance(answer, tuple) and len(answer) == 2,
                f"{names}: send each solver the pair (f, g), one argument; solver {i} got {answer!r:.60}",
            )
            told[i].append((float(answer[0]), array(answer[1], (3,), f"{names}: the g that a solver is sent")))
        return f"the result of {i}"

    calls = []

    def evaluate(X, rows):
        rows = list(rows)
        expect(
            all(isinstance(row, int | np.integer) for row in rows),
            f"{names}: rows must be the numbers of the solvers, integers; it is {rows!r:.60}",
        )
        X = array(X, (len(rows), 3), f"{names}: the X of an evaluation of the solvers {rows}")
        expect(len(rows), f"{names}: it evaluates no rows at all: stop when every solver has ended")
        if list(X[:, 0]) != rows:
            raise Wrong(f"{names}: rows says {rows}, and X holds the questions of {X[:, 0].astype(int).tolist()}")
        for i, k in X[:, :2].astype(int).tolist():
            expect(
                k == len(told[i]),
                f"{names}: question {k} of solver {i} is evaluated when it has been told {len(told[i])} values: a "
                "solver that has ended is evaluated again, or its new question is not taken in",
            )
        calls.append(rows)
        return 100 * X[:, 0] + X[:, 1], X / 2

    results = candidate([solver(i, length) for i, length in enumerate(lengths)], evaluate)
    for i, answers in enumerate(told):
        for k, (f, g) in enumerate(answers):
            expect(
                f == 100 * i + k and np.array_equal(g, np.array([i, k, 7.0]) / 2),
                f"{names}: solver {i} asked for F at its point {k} and was told solver {int(f // 100)}'s value: "
                "the rows of the answers are those of rows, in that order",
            )
        expect(
            len(answers) == lengths[i], f"{names}: solver {i} has been told {len(answers)} of its {lengths[i]} values"
        )
    ticks = max(lengths, default=0)
    expect(
        len(calls) <= ticks,
        f"{names}: {len(calls)} evaluations, and {ticks} are enough: in each tick evaluate all that ask, at once",
    )
    wanted = [f"the result of {i}" for i in range(len(lengths))]
    expect(
        isinstance(results, list) and results == wanted,
        f"{names}: it must return what each solver returned (StopIteration's value), in their order; it returned "
        f"{results!r:.70}",
    )


@check
def remember_rows(candidate):
    import torch

    wide = {"generator": torch.Generator().manual_seed(72), "dtype": torch.float64}
    for rows, m, n in ((4, 3, 5), (3, 3, 3), (1, 4, 2), (6, 1, 3), (5, 2, 6)):
        S, Y = torch.randn(2, rows, m, n, **wide)
        S[0, : m - 1], Y[0, : m - 1] = 0, 0  # one pair so far
        even = torch.arange(rows) % 2 == 0
        for useful in (even, ~even, even | True, even & False):
            s, y = torch.randn(2, rows, n, **wide)
            s[~useful] = y[~useful] = torch.inf  # nobody may look at these
            _one_step(candidate, S, Y, s, y, useful)
    return "each row's own newest pair at the end, and not a bit changed where there was none"


def _one_step(candidate, S, Y, s, y, useful):
    import torch

    rows, m, _ = S.shape
    name = f"{rows} rows, m = {m}, useful {useful.tolist()}"
    found = candidate(S, Y, s, y, useful)
    expect(isinstance(found, tuple | list) and len(found) == 2, f"{name}: it must return two things, the new S and Y")
    for letter, new, old, pair in zip("SY", found, (S, Y), (s, y), strict=True):
        expect(
            torch.is_tensor(new) and new.shape == old.shape,
            f"{name}: the new {letter} must have the shape of the old one, {tuple(old.shape)}; it has "
            f"{tuple(new.shape) if torch.is_tensor(new) else type(new).__name__}",
        )
        for i in reversed(range(rows)):  # the first row's history has empty places
            _one_history(new[i], old[i], pair[i], bool(useful[i]), f"{name}: row {i} of {letter}")
        for i in range(rows):
            others = [j for j in range(rows) if j != i and useful[j]]
            shared = any(torch.equal(new[i, -1], pair[j]) for j in others)
            expect(not shared, f"{name}: row {i} of {letter} holds another row's pair: each has a history of its own")


def _one_history(new, old, pair, useful, name):
    import torch

    if not useful:
        expect(
            not new.isnan().any() and not new.isinf().any(),
            f"{name} has no useful pair, and NaN or infinity got into it: 0 · ∞ is NaN, so choose with torch.where",
        )
        expect(torch.equal(new, old), f"{name} has no useful pair and must stay as it was to the last bit; it changed")
        return
    wanted = torch.cat([old[1:], pair[None]])
    if torch.equal(new, wanted):
        return
    mistakes = {
        "has its newest pair first; the oldest comes first, the newest last": torch.cat([pair[None], old[:-1]]),
        "has its newest pair written over the last one; the oldest one goes": torch.cat([old[:-1], pair[None]]),
        "has its newest pair written over the oldest in its place; all move on by one": torch.cat(
            [pair[None], old[1:]]
        ),
        "has a useful pair, which was not stored": old,
        "has the new pair alone; the older ones are lost": torch.cat([0 * old[1:], pair[None]]),
    }
    for words, wrong in mistakes.items():
        expect(len(old) == 1 or not torch.equal(new, wrong), f"{name} {words}")
    expect(
        torch.equal(new[-1], pair),
        f"{name}: its newest place must hold its own pair {pair.numpy().round(2)}; it holds {new[-1].numpy().round(2)}",
    )
    raise Wrong(f"{name}: the older pairs must move on by one place; they are another row's, or in another order")


@check
def cauchy_points(candidate):
    rng = np.random.default_rng(73)
    kinds = ("", "with some g_i = 0: ", "with infinite bounds: ", "with tied breakpoints: ", "with no pairs: ")
    for kind in kinds:
        for n in (12, 5, 2):
            problems = [(*_boxed_point(rng, n, kind), *_model(rng, n, min(2, n))) for _ in range(6)]
            if "no pairs" in kind:
                problems = [_without_pairs(problem, 1.0 + i) for i, problem in enumerate(problems)]
            _one_batch(candidate, problems, f"{kind}n = {n}: ")
    for n in (2, 3):
        _one_batch(
            candidate, [_exact(case) for case in EXACT.values() if len(case[0]) == n], "with ties and idle rows: "
        )
    return f"the first local minimiser of every row in {len(kinds) * 18 + len(EXACT)} problems, whoever is beside it"


def _exact(case):
    """A problem of lesson 05's, with B = I − W M Wᵀ in the form that a batch wants."""
    x, g, upper, B = (np.array(numbers, dtype=float) for numbers in case)
    W, M = np.hstack([np.eye(len(x)), 0 * B]), np.kron([[1, 0], [0, 0]], np.eye(len(x)) - B)
    return x, g, 0 * x, upper, 1.0, W, M, B


def _without_pairs(problem, theta):
    x, g, lower, upper, _, W, M, _ = problem
    return x, g, lower, upper, theta, 0 * W, np.eye(len(M)), theta * np.eye(len(x))


def _one_batch(candidate, problems, name):
    import torch

    x, g, lower, upper, theta, W, M, B = (np.array(part, dtype=float) for part in zip(*problems, strict=True))
    tensors = [torch.tensor(part) for part in (x, g, lower, upper, theta, W.swapaxes(1, 2).copy(), M)]
    x_c, v, t = _three(candidate(*tensors), x.shape, W.shape[2], name)
    alone = []
    for i in range(len(x)):
        answer = candidate(*(part[i : i + 1] for part in tensors))
        alone.append(_three(answer, (1, x.shape[1]), W.shape[2], name))
    for i in range(len(x)):
        first = _first_minimiser(x[i], g[i], lower[i], upper[i], B[i])
        wanted, where = np.clip(x[i] - first * g[i], lower[i], upper[i]), f"{name}row {i}: "
        out = np.maximum(lower[i] - x_c[i], x_c[i] - upper[i]).max()
        expect(out <= 0, f"{where}x_c leaves the box by {out:.1e}: put a coordinate that meets its bound exactly there")
        among, own = (x_c[i], v[i], t[i]), [part[0] for part in alone[i]]
        for letter, here, there in zip(("x_c", "v", "t"), among, own, strict=True):
            expect(
                np.allclose(here, there) or not np.allclose(own[0], wanted),
                f"{where}among {len(x)} its {letter} is off by {np.abs(here - there).max():.2f} from what it is alone: "
                "something that belongs to one row is taken over all: θ, the first segment, a sum along the wrong axis",
            )
        _refuse(x_c[i], wanted, (x[i], g[i], lower[i], upper[i], B[i], theta[i]), (t[i], first), where)
        error = np.abs(v[i] - W[i].T @ (wanted - x[i])).max(initial=0.0)
        before = "v at the start of the segment; add the step on it, times u" if t[i] > 0 else "v must be W(x_c − x)"
        expect(error < 1e-7, f"{where}x_c is right, v is off by {error:.1e}: perhaps that is {before}")
        over = f"{where}x_c is right, and t = {t[i]:.4f} is not: nothing moves after t = {first:.4f}"
        expect(abs(t[i] - first) < 1e-6 * (1 + first), over)


def _three(found, shape, pairs, name):
    expect(isinstance(found, tuple | list) and len(found) == 3, f"{name}it must return three things: x_c, v and t")
    numbers = [part.detach().numpy() if hasattr(part, "detach") else part for part in found]
    for letter, part in zip(("x_c", "v", "t"), numbers, strict=True):
        expect(
            not np.isnan(np.asarray(part, dtype=float)).any(),
            f"{name}{letter} has NaN: 0/0 where g_i = 0, or ∞ · 0 or ∞ − ∞ on the segments after the last bend",
        )
    shapes = (shape, (shape[0], pairs), (shape[0],))
    return [
        array(part, size, f"{name}{letter}")
        for letter, part, size in zip(("x_c", "v", "t"), numbers, shapes, strict=True)
    ]


def _refuse(x_c, wanted, problem, times, where):
    """Say what is wrong with one row's x_c, if anything is."""
    if np.allclose(x_c, wanted):
        return
    x, g, lower, upper, _, theta = problem
    t, first = times
    plain = _first_minimiser(x, g, lower, upper, theta * np.eye(len(x)))
    mistakes = {
        "that is where it starts: nothing moved": 0.0,
        "that is the minimiser of the path without bends, projected on the box": _straight(*problem[:5]),
        "that is right for B = θI: the terms with M are missing": plain,
    }
    for words, end in mistakes.items():
        expect(not np.allclose(x_c, np.clip(x - end * g, lower, upper)), f"{where}{words}")
    late = "a breakpoint is skipped, or a later minimum is taken: argmax of a mask finds the first True"
    early = "the slope counts at a tie only when all of its coordinates rest; or S, u or v is that of another segment"
    expect(
        False,
        f"{where}it stops at t = {t:.4f}, and the model's first local minimiser on the path is at t = {first:.4f}: "
        f"{late if t > first else early}",
    )


def _straight(x, g, lower, upper, B):
    """The t at which the model is least along x − t g, over the coordinates that may move."""
    moves = ((g > 0) & (x > lower)) | ((g < 0) & (x < upper))
    d = np.where(moves, -g, 0.0)
    curve = d @ B @ d
    return d @ d / curve if curve > 0 else 0.0
