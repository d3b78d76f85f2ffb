import errno
import os

import pytest

from schema.os_errors import describe, file_of, naming
from schema.yaml_file import replace_file


@pytest.mark.parametrize("name", ["a/b", b"a/b"])
def test_an_error_is_described_with_its_file(name):
    assert describe(OSError(errno.ENOSPC, "No space", name)) == "a/b: No space"


@pytest.mark.parametrize("name", [None, 3])
def test_an_error_without_a_file_is_described_by_its_fault(name):
    error = OSError(errno.ENOSPC, "No space", name)
    assert file_of(error) is None
    assert describe(error) == "No space"
    assert describe(OSError("Writer is closed")) == "Writer is closed"


@pytest.mark.parametrize(
    ("named", "shown"),
    [(None, "a/b"), ("a/.b.x1", "a/b"), ("elsewhere", "elsewhere"), ("a/.bc", "a/.bc")],
)
def test_a_file_is_named_where_none_or_its_temporary_one_is(tmp_path, named, shown):
    with pytest.raises(OSError) as failure, naming(tmp_path / "a" / "b"):
        raise OSError(errno.EROFS, "x", None if named is None else str(tmp_path / named))
    assert failure.value.filename == str(tmp_path / shown)


def test_a_full_disk_names_the_file_and_leaves_it_as_it_was(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")

    def write():
        with replace_file(path) as file:
            file.write("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError) as failure:
        write()
    assert describe(failure.value) == f"{path}: No space left on device"
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
