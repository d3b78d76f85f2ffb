"""A noun agrees with its number."""

import pytest

from schema.counting import counted


@pytest.mark.parametrize(
    ("number", "told"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (2000, "2,000 runs")]
)
def test_a_noun_agrees_with_its_number(number, told):
    assert counted(number, "run") == told
