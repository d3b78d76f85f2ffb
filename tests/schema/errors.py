"""Reads configs that are wrong."""

import pytest

from schema.config import load_config
from schema.errors import UserError


def only_error(folder, text):
    """Return the only error line of a config with this text."""
    path = folder / "base.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as failure:
        load_config(path)
    (found,) = failure.value.lines
    return found
