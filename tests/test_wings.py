"""The wings of the house, as docs/architecture.md shows them."""

from docs.draw_wings import PICTURE, picture


def test_the_picture_shows_the_imports_as_they_are():
    assert PICTURE.read_text(encoding="utf-8") == picture(), "make docs draws it anew"
