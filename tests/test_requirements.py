"""The lock has a version for each requirement, on every platform and Python that we support."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
MACHINES = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")]


def requirements_in(path):
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-r ")]


def applicable(requirements, python, platform, machine):
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": platform,
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
    }
    return [
        requirement
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate(environment)
    ]


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("platform", "machine"), MACHINES)
@pytest.mark.parametrize("path", sorted(ROOT.glob("requirements*.txt")), ids=lambda path: path.stem)
def test_the_lock_has_one_version_within_the_range_of_each_requirement(
    path, platform, machine, python
):
    locked = applicable(requirements_in(ROOT / "requirements.lock"), python, platform, machine)
    versions = {canonical(entry.name): str(entry.specifier).removeprefix("==") for entry in locked}
    assert len(versions) == len(locked)
    for requirement in applicable(requirements_in(path), python, platform, machine):
        assert versions[canonical(requirement.name)] in requirement.specifier, requirement


def test_the_lock_has_neither_local_versions_nor_addresses():
    locked = requirements_in(ROOT / "requirements.lock")
    assert all(
        re.fullmatch(r"==[0-9.]+((b|post)[0-9]+)?", str(entry.specifier)) for entry in locked
    )
    assert all(entry.url is None for entry in locked)


def test_the_lock_leaves_cuda_s_packages_to_torch():
    text = (ROOT / "requirements.lock").read_text("utf-8")
    assert not re.search(r"^(cuda|nvidia|triton)", text, re.MULTILINE)
