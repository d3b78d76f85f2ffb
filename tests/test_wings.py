"""The wings of the project: their picture in the documentation, and Numba's cache."""

import ast
from pathlib import Path

from docs.draw_wings import PICTURE, picture
from numerics.kept import sources

ROOT = Path(__file__).resolve().parents[1]


def test_the_picture_shows_the_imports_as_they_are():
    assert PICTURE.read_text(encoding="utf-8") == picture(), "make docs renews it"


def imported_by(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_a_change_in_any_module_that_uses_numba_invalidates_the_cache():
    modules = [
        path
        for path in ROOT.rglob("*.py")
        if path.relative_to(ROOT).parts[0] not in ("tests", "benchmarks")
        and not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    ]
    compiled = {
        path
        for path in modules
        if any(
            f"{name}.".startswith(("numba.", "numerics.compiler.")) for name in imported_by(path)
        )
    }
    assert ROOT / "ppo" / "by_numba" / "learning_kernels.py" in compiled
    assert compiled <= set(sources())
