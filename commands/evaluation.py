"""Evaluates agents on the evaluation's levels for `eval.py`, and prints and writes the results."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress as Bars
from rich.table import Table

from commands.command import ExitCode
from commands.playing import Agent
from commands.terminal.console import make_console
from ppo.run.evaluator import Evaluator
from schema.folders import shown
from schema.yaml_file import replace_file

_MEASURES = ("return", "length")
_AGENT_WIDTH = 9  # least characters of the agent's column


def evaluate_agents(
    agents: Sequence[Agent],
    worker_id: int,
    device: torch.device,
    stochastic: bool,
    out: Path | None,
) -> int:
    """Evaluate each agent, print a table, write CSV and JSON and return the exit code.

    Args:
        agents: the agents, in the order in which they are evaluated.
        worker_id: offset of the environments' communication ports.
        device: the device of the networks.
        stochastic: whether to sample actions instead of choosing the most probable ones.
        out: folder of `evaluation.csv` and `evaluation.json`; None writes no files.

    Raises:
        UserError: a checkpoint doesn't fit the config's network.
    """
    console = make_console()
    reports = []
    for agent in agents:
        episodes = _evaluate(console, agent, worker_id, device, stochastic)
        reports.append({"agent": agent.name, **summarise(episodes), "per_level": episodes})
        if len(agents) > 1:
            line = f"{agent.name}: return {reports[-1]['return_mean']:.4g}"
            console.print(line, soft_wrap=True)
    console.print(results_table(reports))
    if out is not None:
        _write(reports, out)
        console.print(f"results: {shown(out)}", soft_wrap=True)
    return ExitCode.SUCCESS


def _evaluate(
    console: Console, agent: Agent, worker_id: int, device: torch.device, stochastic: bool
) -> list[dict[str, float]]:
    """Play an agent's episodes and return their results; show a progress bar in a terminal."""
    evaluator = Evaluator(agent.config, worker_id)
    try:
        policy = agent.policy(evaluator.spaces, device, seed=0, stochastic=stochastic)
        if not console.is_terminal:
            return evaluator.evaluate(policy)
        with Bars(console=console, transient=True) as bars:
            bar = bars.add_task(f"{agent.name}: episodes", total=None)
            return evaluator.evaluate(
                policy, lambda done, total: bars.update(bar, completed=done, total=total)
            )
    finally:
        evaluator.close()


def summarise(episodes: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the number of episodes, and mean, deviation, minimum and maximum of return and length."""
    summary: dict[str, float] = {"episodes": len(episodes)}
    for measure in _MEASURES:
        values = [episode[measure] for episode in episodes]
        summary[f"{measure}_mean"] = fmean(values)
        summary[f"{measure}_deviation"] = pstdev(values)
        summary[f"{measure}_min"] = min(values)
        summary[f"{measure}_max"] = max(values)
    return summary


def results_table(reports: Sequence[dict[str, Any]]) -> Table:
    """Return a table with a row for each agent; the title has the folder that their paths share."""
    names = [str(report["agent"]) for report in reports]
    # The title has the common folder, because the column is narrow.
    folder = os.path.commonpath([os.path.dirname(name) for name in names])
    title = f"Evaluation of {folder}" if folder else "Evaluation"
    table = Table(
        title=title,
        caption="n: episodes, ±: standard deviation over episodes",
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("agent", overflow="fold", min_width=_AGENT_WIDTH)
    for column in ("n", "return", "min", "max", "length", "min", "max"):
        table.add_column(column, justify="right", overflow="fold")
    for name, report in zip(names, reports, strict=True):
        cells = [str(report["episodes"])]
        for measure in _MEASURES:
            mean, deviation = report[f"{measure}_mean"], report[f"{measure}_deviation"]
            cells.append(f"{mean:.4g} ± {deviation:.3g}")
            cells += [f"{report[f'{measure}_{end}']:.4g}" for end in ("min", "max")]
        table.add_row(os.path.relpath(name, folder or "."), *cells)
    return table


def _write(reports: Sequence[dict[str, Any]], out: Path) -> None:
    columns = [name for name in reports[0] if name != "per_level"]
    with replace_file(out / "evaluation.csv") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(reports)
    with replace_file(out / "evaluation.json") as file:
        json.dump(_as_json(reports), file, indent=2, allow_nan=False)
        file.write("\n")


def _as_json(value: Any) -> Any:
    """Return nested values as JSON has them; null stands for numbers that aren't finite."""
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
