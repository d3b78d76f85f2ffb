"""The pictures of docs/environments.md."""

from pathlib import Path

import numpy as np
import pytest

from docs.draw_environments import PICTURES, picture

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.mark.parametrize(("suite", "width"), [("cartpole", 315), ("minigrid", 210 + 10 + 210)])
def test_a_picture_shows_the_environment_and_its_observation(suite, width):
    drawn = picture(PICTURES[suite])
    assert drawn.shape == (210, width, 3)
    assert drawn.dtype == np.uint8
    assert drawn[:, -210:].std() > 5


@pytest.mark.parametrize("suite", PICTURES)
def test_each_picture_is_shown(suite):
    name = f"environment_{suite}.png"
    assert (DOCS / "images" / name).is_file()
    assert f"images/{name}" in (DOCS / "environments.md").read_text(encoding="utf-8")
