"""What all commands share."""

import os

import pytest

from commands.command import check_folder
from schema.errors import UserError


def test_a_folder_that_is_write_protected_is_found(tmp_path, monkeypatch):
    check_folder(tmp_path / "new" / "below")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(UserError) as failure:
        check_folder(tmp_path / "new" / "below")
    assert failure.value.lines == [
        f"{tmp_path}/new/below: must be a folder to write into; {tmp_path} is write-protected"
    ]
