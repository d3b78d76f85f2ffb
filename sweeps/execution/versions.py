"""Finds the versions that a run's numbers depend on: Python, packages and the project's revision."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
# What only people and tests read.
_NO_SOURCES = {"benchmarks", "docs", "tests"}
_DIGITS = 12


def package_version(package: str) -> str | None:
    """Return the version of an installed package; None if it isn't installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def git_revision() -> str | None:
    """Return the Git revision, marked as dirty if files differ from it; None without Git."""
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Return the versions by the names of what has them."""
    return {
        "Python": platform.python_version(),
        "torch": package_version("torch") or "missing",
        "Numba": package_version("numba") or "missing",
        # Not Git's revision, which tells neither changed files apart nor copies without Git.
        "the project's code": source_digest(_ROOT),
    }


def source_digest(root: Path) -> str:
    """Return a digest of the Python files that training may use."""
    digest = hashlib.sha256()
    folders = [path for path in root.iterdir() if (path / "__init__.py").is_file()]
    sources = [path for folder in folders for path in folder.rglob("*.py")]
    for path in sorted([*root.glob("*.py"), *sources]):
        name = path.relative_to(root)
        if name.parts[0] not in _NO_SOURCES:
            content = path.read_bytes()
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:_DIGITS]


def describe_difference(here: Mapping[str, str], there: Mapping[str, object]) -> str | None:
    """Return the first version that differs on another machine, in words; None if all are equal."""
    for name, version in here.items():
        other = there.get(name)
        if other != version:
            return f"{name} is {other} there and {version} here"
    return None
