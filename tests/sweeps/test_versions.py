from sweeps.execution.versions import describe_difference, source_digest, versions


def test_a_difference_names_what_differs():
    here = versions()
    assert describe_difference(here, dict(here)) is None
    other = {**here, "torch": "1.0"}
    assert describe_difference(here, other) == f"torch is 1.0 there and {here['torch']} here"
    assert describe_difference(here, {}).startswith("Python is None there")


def test_any_change_of_the_code_changes_the_digest(tmp_path):
    for name in ("wing/__init__.py", "wing/inner/module.py", "tests/__init__.py", "command.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    first = source_digest(tmp_path)
    for name in ("tests/__init__.py", "wing/notes.txt"):
        (tmp_path / name).write_text("2")
    assert source_digest(tmp_path) == first
    for name in ("wing/inner/module.py", "command.py", "wing/another.py"):
        (tmp_path / name).write_text("2")
        assert source_digest(tmp_path) != first
        first = source_digest(tmp_path)
