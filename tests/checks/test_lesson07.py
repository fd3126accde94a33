"""Lesson 07's checks: right answers of another form pass, and each mistake is named."""

from functools import partial

import notebook_tools
import numpy as np
import pytest
import torch
from notebook_tools import NOTEBOOKS
from verdicts import assert_caught, said

PATH = NOTEBOOKS / "07_ten_thousand_at_once.ipynb"
written = partial(notebook_tools.written, PATH, scope={"torch": torch})


def changed(name, *changes):
    """The lesson's solution with pieces of its source replaced, written at the first call."""
    return lambda *arguments: written(name, *changes)(*arguments)


# --- one evaluation a tick ---


def with_lists(solvers, evaluate):
    """Another right answer: lists and a loop over the ticks."""
    results, waiting = [None] * len(solvers), []
    for i, solver in enumerate(solvers):
        try:
            waiting.append((i, next(solver)))
        except StopIteration as end:
            results[i] = end.value
    while waiting:
        rows = [i for i, _ in waiting]
        answers, waiting = zip(*evaluate(np.array([x for _, x in waiting]), rows), strict=True), []
        for i, answer in zip(rows, answers, strict=True):
            try:
                waiting.append((i, solvers[i].send(answer)))
            except StopIteration as end:
                results[i] = end.value
    return results


def from_the_last(solvers, evaluate):
    """Right: the rows of a tick in another order, and NumPy integers."""
    results, asked, answers = {}, {}, dict.fromkeys(range(len(solvers)))
    while answers:
        for i, answer in answers.items():
            try:
                asked[i] = solvers[i].send(answer)
            except StopIteration as end:
                results[i] = end.value
        rows = np.array(sorted(asked, reverse=True), dtype=int)
        if not len(rows):
            break
        F, G = evaluate(np.stack([asked.pop(i) for i in rows]), list(rows))
        answers = {i: (F[k], G[k]) for k, i in enumerate(rows)}
    return [results[i] for i in range(len(solvers))]


@pytest.mark.parametrize("right", [with_lists, from_the_last])
def test_together_may_be_written_in_other_ways(capsys, right):
    assert said(capsys, "together", right).startswith("together: correct")


def one_by_one(solvers, evaluate):
    """Right results, without a batch: each solver is driven to its end alone."""
    results = []
    for i, solver in enumerate(solvers):
        answer = None
        while True:
            try:
                x = solver.send(answer)
            except StopIteration as end:
                results.append(end.value)
                break
            F, G = evaluate(x[None], [i])
            answer = F[0], G[0]
    return results


def mask_forgotten(solvers, evaluate):
    """All rows are evaluated in every tick, also those of solvers that have ended."""
    results, asked, running = [None] * len(solvers), [None] * len(solvers), [True] * len(solvers)
    answers = [None] * len(solvers)
    while any(running):
        for i, solver in enumerate(solvers):
            try:
                asked[i] = solver.send(answers[i]) if running[i] else asked[i]
            except StopIteration as end:
                results[i], running[i] = end.value, False
        rows = [i for i in range(len(solvers)) if asked[i] is not None]
        if rows and any(running):
            for i, f, g in zip(rows, *evaluate(np.stack([asked[i] for i in rows]), rows), strict=True):
                answers[i] = f, g
    return results


def positions(solvers, evaluate):
    """Row k of the answers goes to solver k: right until one has ended."""
    asked, results = {}, [None] * len(solvers)

    def tell(i, answer):
        try:
            asked[i] = solvers[i].send(answer)
        except StopIteration as end:
            results[i] = end.value
            asked.pop(i, None)

    for i in range(len(solvers)):
        tell(i, None)
    while asked:
        rows = list(asked)
        F, G = evaluate(np.stack([asked[i] for i in rows]), rows)
        for i in rows:
            k = min(i, len(F) - 1)
            tell(i, (F[k], G[k]))
    return results


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (one_by_one, "are enough: in each tick evaluate all that ask, at once"),
        (mask_forgotten, "a solver that has ended is evaluated again"),
        (positions, "was told solver"),
        (changed("together", ("tell(i, (f, g))", "tell(i, f)")), "send each solver the pair"),
        (changed("together", ("tell(i, (f, g))", "tell(i, (F[0], G[0]))")), "was told solver"),
        (changed("together", ("tell(i, (f, g))", "tell(i, (f, g[::-1]))")), "was told solver"),
        (changed("together", ("rows = list(asked)", "rows = sorted(asked, reverse=True)")), "correct"),
        (
            changed(
                "together",
                (
                    "evaluate(np.stack([asked[i] for i in rows]), rows)",
                    "evaluate(np.stack([asked[i] for i in rows]), range(len(rows)))",
                ),
            ),
            "X holds the questions of",
        ),
        (changed("together", ("            asked.pop(i, None)\n", "")), "a solver that has ended is evaluated again"),
        (changed("together", ("results[i] = end.value", "results[i] = i")), "StopIteration's value"),
        (changed("together", ("return results", "return dict(enumerate(results))")), "in their order"),
        (changed("together", ("while asked:", "while True:")), "raised ValueError"),
    ],
)
def test_together_names_the_mistake(capsys, mistake, message):
    if message == "correct":
        assert said(capsys, "together", mistake).startswith("together: correct")
    else:
        assert_caught(capsys, "together", mistake, message)


# --- a history for each row ---


def in_slots(S, Y, s, y, useful):
    """Right: copies, written through integer indices."""
    S, Y = S.clone(), Y.clone()
    for i in useful.nonzero().squeeze(1):
        S[i], Y[i] = torch.vstack([S[i, 1:], s[i : i + 1]]), torch.vstack([Y[i, 1:], y[i : i + 1]])
    return S, Y


def rolled(S, Y, s, y, useful):
    """Right: roll, then the last place."""
    found = []
    for old, new in ((S, s), (Y, y)):
        moved = old.roll(-1, 1)
        moved[:, -1] = new
        found.append(torch.where(useful.view(-1, 1, 1), moved, old))
    return found


@pytest.mark.parametrize("right", [in_slots, rolled])
def test_remember_may_be_written_in_other_ways(capsys, right):
    assert said(capsys, "remember_rows", right).startswith("remember_rows: correct")


def of_both(change):
    return lambda S, Y, s, y, useful: tuple(change(old, new, useful[:, None, None]) for old, new in ((S, s), (Y, y)))


def shift(old, new):
    return torch.cat([old[:, 1:], new[:, None]], 1)


def in_place(S, Y, s, y, useful):
    S[useful], Y[useful] = shift(S, s)[useful], shift(Y, y)[useful]
    return S, Y


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (of_both(lambda old, new, mask: shift(old, new)), "NaN or infinity got into it"),  # the mask is forgotten
        (
            of_both(
                lambda old, new, mask: torch.where(mask, shift(old, new.nan_to_num(0, 0, 0)), shift(old, 0 * old[:, 0]))
            ),
            "must stay as it was",
        ),
        (of_both(lambda old, new, mask: mask * shift(old, new) + ~mask * old), "choose with torch.where"),
        (
            of_both(lambda old, new, mask: torch.where(mask, torch.cat([new[:, None], old[:, :-1]], 1), old)),
            "newest pair first",
        ),
        (
            of_both(lambda old, new, mask: torch.where(mask, torch.cat([old[:, :-1], new[:, None]], 1), old)),
            "the oldest one goes",
        ),
        (of_both(lambda old, new, mask: torch.where(mask.any(), shift(old, new), old)), "NaN or infinity got into it"),
        (of_both(lambda old, new, mask: torch.where(mask.all(), shift(old, new), old)), "which was not stored"),
        (
            of_both(
                lambda old, new, mask: torch.where(
                    mask, shift(old, new[mask.flatten()][:1].expand_as(new)) if mask.any() else old, old
                )
            ),
            "its own pair",
        ),
        (
            of_both(lambda old, new, mask: torch.where(mask, shift(old.roll(1, 0), new), old)),
            "another row's, or in another order",
        ),
        (of_both(lambda old, new, mask: torch.where(mask, shift(0 * old, new), old)), "the older ones are lost"),
        (of_both(lambda old, new, mask: torch.where(mask, shift(old, new), 0 * old)), "must stay as it was"),
        (in_place, "it changes its argument S in place"),
        (
            lambda S, Y, s, y, useful: of_both(lambda o, n, m: torch.where(m, shift(o, n), o))(S, Y, s, y, useful)[0],
            "two things",
        ),
        (
            lambda S, Y, s, y, useful: (torch.cat([S, s[:, None]], 1), torch.cat([Y, y[:, None]], 1)),
            "the shape of the old one",
        ),
        (
            lambda S, Y, s, y, useful: of_both(lambda o, n, m: torch.where(m, shift(o, n), o))(Y, S, y, s, useful),
            "must",
        ),
    ],
)
def test_remember_names_the_mistake(capsys, mistake, message):
    assert_caught(capsys, "remember_rows", mistake, message)


# --- all Cauchy points ---


def walked(x, g, lower, upper, theta, W, M):
    """Right, and slow: every row by definition, with its dense B."""
    found = []
    for i in range(len(x)):
        B = theta[i] * torch.eye(x.shape[1], dtype=x.dtype) - W[i].T @ M[i] @ W[i]
        bound = torch.where(g[i] > 0, lower[i], upper[i])
        bends = torch.where(g[i] == 0, torch.inf, (x[i] - bound) / g[i])
        now = 0.0
        for end in [*bends[bends < torch.inf].unique().tolist(), np.inf]:
            if end <= now:
                continue
            d, z = torch.where(bends > now, -g[i], 0.0), torch.clamp(x[i] - now * g[i], lower[i], upper[i]) - x[i]
            slope, curve = (d @ (g[i] + B @ z)).item(), (d @ B @ d).item()
            if slope >= 0:
                break
            if now - slope / curve < end:
                now -= slope / curve
                break
            now = end
        x_c = torch.where(bends <= now, bound, torch.clamp(x[i] - now * g[i], lower[i], upper[i]))
        found.append((x_c, W[i] @ (x_c - x[i]), torch.tensor(now, dtype=x.dtype)))
    return [torch.stack(part) for part in zip(*found, strict=True)]


def counted_from_the_front(x, g, lower, upper, theta, W, M):
    """Right: what rests is summed from the front and taken from the whole; NumPy arrays are returned."""
    x, g, lower, upper, theta, W, M = (part.numpy() for part in (x, g, lower, upper, theta, W, M))
    with np.errstate(all="ignore"):
        t = np.where(g == 0, np.inf, (x - np.where(g > 0, lower, upper)) / g)
    answers = []
    for i, order in enumerate(t.argsort(1)):
        d = np.where(t[i] > 0, -g[i], 0)[order]
        start, end = np.r_[0, t[i][order]], np.r_[t[i][order], np.inf]
        u = (W[i] @ np.where(t[i] > 0, -g[i], 0))[:, None] - np.c_[0 * W[i][:, :1], (W[i][:, order] * d).cumsum(1)]
        S = [d[j:] @ d[j:] for j in range(len(d) + 1)]
        v = np.zeros(len(W[i]))
        for j in range(len(start)):
            if end[j] <= start[j]:
                continue
            slope = theta[i] * start[j] * S[j] - S[j] - u[:, j] @ M[i] @ v if S[j] else 0
            curve = theta[i] * S[j] - u[:, j] @ M[i] @ u[:, j]
            step = -slope / curve if slope < 0 else 0.0
            if start[j] + step < end[j]:
                break
            v = v + (end[j] - start[j]) * u[:, j]
        now = start[j] + step
        x_c = np.where(
            t[i] <= now, np.where(g[i] > 0, lower[i], upper[i]), np.clip(x[i] - now * g[i], lower[i], upper[i])
        )
        answers.append((x_c, v + step * u[:, j], now))
    return tuple(np.array(part) for part in zip(*answers, strict=True))


@pytest.mark.parametrize("right", [walked, counted_from_the_front])
def test_cauchy_points_may_be_written_in_other_ways(capsys, right):
    out = said(capsys, "cauchy_points", right)
    assert out.startswith("cauchy_points: correct"), out


def cauchy(old, new):
    return changed("cauchy_points", (old, new))


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (cauchy("t = torch.where(g == 0, torch.inf, (x - bound) / g)", "t = (x - bound) / g"), "0/0 where g_i = 0"),
        (
            cauchy("Mu, theta = M @ u, theta[:, None]", "Mu, theta = M @ u, theta.mean() + 0 * theta[:, None]"),
            "among 6 its",
        ),
        (
            cauchy("inside.to(torch.uint8).argmax(1)", "inside.any(0).to(torch.uint8).argmax() + 0 * inside.sum(1)"),
            "among 6 its",
        ),
        (
            cauchy("parts.flip(2).cumsum(2)", "parts.flip(2).cumsum(2).cumsum(0)"),
            "among 6 its",
        ),
        (cauchy(" & (end > start)", ""), "first local minimiser"),
        (cauchy("- sigma - (Mu * v).sum(1)", "- sigma + (Mu * v).sum(1)"), "first local minimiser"),
        (cauchy("Mu, theta = M @ u", "Mu, theta = 0 * M @ u"), "the terms with M are missing"),
        (cauchy("theta * begin * sigma - sigma", "-sigma"), "first local minimiser"),
        (
            cauchy(
                "inside.to(torch.uint8).argmax(1)",
                "inside.sum(1) * 0 + inside.shape[1] - 1 - inside.flip(1).to(torch.uint8).argmax(1)",
            ),
            "a later minimum is taken",
        ),
        (cauchy("+ step[row, j, None] * u[row, :, j]", "+ 0 * u[row, :, j]"), "add the step on it, times u"),
        (
            cauchy(
                "torch.where(t <= now[:, None], bound, torch.clamp(x - now[:, None] * g, lower, upper))",
                "x - now[:, None] * g",
            ),
            "leaves the box",
        ),
        (
            cauchy("d_sorted.square().flip(1).cumsum(1)], 1).flip(1)", "d_sorted.square().cumsum(1)], 1)"),
            "nothing moved",
        ),
        (cauchy("return x_c, v, now", "return x_c, v"), "three things"),
        (cauchy("return x_c, v, now", "return x_c, v, begin[row, j]"), "and t ="),
        (lambda x, g, lower, upper, theta, W, M: (x, 0 * W[:, :, 0], 0 * theta), "nothing moved"),
    ],
)
def test_cauchy_points_names_the_mistake(capsys, mistake, message):
    assert_caught(capsys, "cauchy_points", mistake, message)
