"""Checks a config's environment for `train.py --check-env`, and prints the findings."""

from __future__ import annotations

from pathlib import Path

from commands.command import ExitCode
from environments.checking.check import Finding, check_environment
from ppo.validation import bounds_notice, runnable_problems
from schema.config import load_config
from schema.environment import REGISTERED_TYPES
from schema.errors import UserError


def check(path: Path, worker_id: int) -> int:
    """Check a config's environment, print a line for each finding and return the exit code.

    Raises:
        UserError: the config is invalid, or Gymnasium doesn't register its environment.
    """
    config = load_config(path)
    environment = config.environment
    if environment.type not in REGISTERED_TYPES:
        *others, last = REGISTERED_TYPES
        raise UserError(
            f"--check-env: is for environments that Gymnasium registers ({', '.join(others)} and "
            f"{last}), not for type {environment.type}"
        )
    findings = check_environment(environment, worker_id)
    if not any(finding.verdict == "failed" for finding in findings):
        findings += [
            Finding("failed", f"{'.'.join(key)}: {message}")
            for key, message in runnable_problems(config)
        ]
        if not any(finding.verdict == "failed" for finding in findings):
            notice = bounds_notice(config)
            findings += [Finding("note", notice)] if notice else []
    for finding in findings:
        print(f"{finding.verdict}: {finding.text}")
    failed = sum(finding.verdict == "failed" for finding in findings)
    print(f"{environment.name}: " + (f"{failed} to fix" if failed else "ready for training"))
    return ExitCode.USAGE_ERROR if failed else ExitCode.SUCCESS
