"""The paper's figures, against what the paper says of them."""

import pytest

from helpers.paper.published import AMPLIFIED_4, IMAGES, NOISE_2, NOISE_4, TABLE_1, TABLE_2, TABLE_3, TABLE_4


@pytest.mark.parametrize("table, networks", [(TABLE_2, TABLE_1), (TABLE_4, TABLE_3), (AMPLIFIED_4, TABLE_3)])
def test_every_network_is_misled_by_what_was_made_for_it(table, networks):
    assert list(table) == list(networks)
    for i, row in enumerate(table.values()):
        assert len(row) == len(networks) and row[i] == 100


def test_the_percentages_of_table_2_are_counts_of_256_images():
    values = [value for row in [*TABLE_2.values(), *NOISE_2.values()] for value in row]
    steps = [abs(value * IMAGES / 100 - round(value * IMAGES / 100)) for value in values]
    # A figure rounded to 0.1% lies within 0.128 of a whole number; figures at random would do so one time in four.
    assert sum(step <= 0.13 for step in steps) > 0.8 * len(values)


def test_noise_is_given_for_every_network():
    assert all(len(row) == len(TABLE_1) for row in NOISE_2.values())
    assert all(len(row) == len(TABLE_3) for row in NOISE_4.values())
