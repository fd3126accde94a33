"""False position in log c, on margins that are known: no network, no solver."""

import pytest
import torch

from helpers.adversarial import bracket

ROOT = torch.tensor([-4.0, -1.5, 0.0, 0.7, 3.0])
MARGINS = {
    "a line": lambda u: u - ROOT,
    "steep": lambda u: 40 * (u - ROOT),
    "levelling off": lambda u: 8 * torch.tanh(u - ROOT),
    "a jump": lambda u: torch.where(u > ROOT, 5.0, -1.0),
    "a cube": lambda u: (u - ROOT) ** 3,
}


def part(known, u):
    """Where u lies in the bracket: 0 at its low end, 1 at its high one."""
    return (u - known.low) / (known.high - known.low)


def search(margin, start, solves=30, sharpness=1.0):
    """Every bracket that comes up, from log c = ``start`` on."""
    u, known, beta = start, bracket.unknown(len(start), start), torch.full_like(start, sharpness)
    for k in range(1, solves + 1):
        m = margin(u)
        known = bracket.narrowed(known, u, m, m < 0)
        yield u, known
        u = bracket.proposed(known, u, m, beta, torch.full(u.shape, k))
        inside = (part(known, u) >= 0.99 * bracket.EDGE) & (part(known, u) <= 1 - 0.99 * bracket.EDGE)
        assert inside[known.enclosed & (known.high - known.low > 0.05)].all()  # narrower ones are rounded


@pytest.mark.parametrize("name", MARGINS)
@pytest.mark.parametrize("start", [-2.0, 0.3, 2.0])
def test_the_root_is_enclosed_and_the_bracket_narrows(name, start):
    widths = []
    for _, known in search(MARGINS[name], torch.full_like(ROOT, start)):
        assert (known.low <= ROOT).all() and (ROOT <= known.high).all()
        widths.append(torch.where(known.enclosed, known.high - known.low, torch.inf))
    widths = torch.stack(widths)
    assert (widths.diff(dim=0).nan_to_num(nan=0) <= 0).all()
    assert widths[-1].max() < 0.02 and widths[:, 2].min() < 0.02


def test_a_line_is_solved_at_once_where_it_is_enclosed():
    low, high = torch.tensor([-1.0]), torch.tensor([2.0])
    known = bracket.Bracket(low, high, torch.tensor([-0.5]), torch.tensor([1.0]), torch.tensor([1.0]))
    u = bracket.proposed(known, low, torch.tensor([-0.5]), torch.ones(1), torch.ones(1).long())
    assert torch.allclose(u, torch.zeros(1), atol=1e-6)


def test_without_a_bracket_log_c_moves_up_after_a_success_and_down_after_a_failure():
    u, margin = torch.zeros(4), torch.tensor([-0.4, 0.4, -90.0, 1e-9])
    known = bracket.narrowed(bracket.unknown(4, u), u, margin, margin < 0)
    assert known.last.tolist() == [1, -1, 1, -1] and not known.enclosed.any() and not known.narrow.any()
    onward = bracket.proposed(known, u, margin, torch.ones(4), torch.ones(4).long())
    least, most = bracket.STEP
    assert torch.allclose(onward, torch.tensor([0.3, -0.3, most, -least]))


def test_a_small_margin_over_decades_of_c_does_not_use_up_the_search():
    """A failure whose margin is 0.01 over nine units of log c: equal small steps would end before they leave it."""

    def margin(u):
        return torch.where(u < -9, -1.0, 0.01)

    tried = [known.enclosed.item() for _, known in search(margin, torch.zeros(1), solves=20)]
    assert tried.index(True) < 15


def test_an_end_that_stays_twice_counts_half():
    u, ones = torch.zeros(1), torch.ones(1)
    known = bracket.narrowed(bracket.unknown(1, u), u + 1, 2 * ones, torch.tensor([False]))
    for place, weight in ((-3.0, 2.0), (-2.0, 1.0), (-1.0, 0.5)):
        known = bracket.narrowed(known, u + place, -ones, torch.tensor([True]))
        assert (known.low, known.low_margin, known.high, known.high_margin) == (place, -1, 1, weight)
    known = bracket.narrowed(known, u + 0.5, ones, torch.tensor([False]))
    assert (known.low_margin, known.high, known.high_margin) == (-1, 0.5, 1)  # the low end has stayed only once


def test_after_some_patience_every_other_proposal_halves_the_bracket():
    known = bracket.Bracket(*(torch.tensor([v]) for v in (0.0, 1.0, -1e-6, 3.0, 1.0)))
    following = [
        bracket.proposed(known, known.low, known.low_margin, torch.ones(1), torch.tensor([k])) for k in (6, 7, 8)
    ]
    assert torch.allclose(part(known, torch.cat(following)), torch.tensor([bracket.EDGE, bracket.EDGE, 0.5]))


def test_narrow_is_enclosed_and_less_than_the_width():
    low = torch.tensor([0.0, 0.0, 0.0, -torch.inf])
    high = torch.tensor([0.001, 0.003, torch.inf, 0.001])
    assert bracket.Bracket(low, high, low, high, low).narrow.tolist() == [True, False, False, False]
