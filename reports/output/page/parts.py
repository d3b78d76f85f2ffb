"""Makes the parts of the page that need no JavaScript: answer, cost, configuration."""

from __future__ import annotations

import re
import shlex
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Any

from reports.answer import Answer
from reports.outcome import Outcome, metric_title
from reports.ranking import Score
from schema.counting import counted
from schema.yaml_file import dump_yaml
from sweeps.journal.runs import FAILURES, RunRecord, RunState

_CODE = re.compile(r"`([^`]+)`|(?<=: )(python (?:'.*'|\S+\.py) --.*)$")
# A word such as --num-repetitions=3, which browsers would break at its hyphens.
_OPTION = re.compile(r"(?<!\w)--\w[^\s<&)]*")
_VIDEOS = {"episode.mp4": "video/mp4", "episode.gif": "image/gif"}
_MOST_FAILURES = 200  # rows; nobody reads so many reasons


def heading_part(answer: Answer) -> str:
    """Return the heading: the sweep's name, its size and its state."""
    outcome = answer.outcome
    environment = outcome.base.get("environment", {})
    size = (
        f"{counted(len(outcome.permutations), 'permutation')} × "
        f"{'up to ' if outcome.is_race else ''}{counted(outcome.repetitions, 'repetition')}"
    )
    facts = [
        str(environment.get("name") or environment.get("type") or ""),
        size,
        _progress(outcome),
        f"judged by {metric_title(answer.metric)}",
    ]
    items = "".join(f"<li>{escape(fact)}</li>" for fact in facts if fact)
    return f'<h1>{escape(outcome.run_id)}</h1><ul class="facts">{items}</ul>'


def _progress(outcome: Outcome) -> str:
    """Return the number of runs in each state, in words."""
    runs = outcome.runs
    states = Counter(run.state for run in runs)
    if states[RunState.FINISHED] == len(runs):
        return "all runs finished"
    return ", ".join(f"{count} {state}" for state, count in states.most_common())


def answer_part(answer: Answer, sentences: Sequence[str]) -> str:
    """Return the answer in words, and the best permutation's choices."""
    first, *others = [*sentences] or ["There is no answer yet."]
    words = f'<p class="lead">{_prose(first)}</p>' + "".join(
        f"<p>{_prose(sentence)}</p>" for sentence in others
    )
    leader = "" if answer.leader is None else _leader(answer, answer.leader)
    return f'<div class="words">{words}</div>{leader}'


def _prose(sentence: str) -> str:
    """Return a sentence as HTML; backquoted text and a command at its end become code."""
    prose = _CODE.sub(lambda found: f"<code>{found[1] or found[2]}</code>", escape(sentence))
    return _OPTION.sub(r'<span class="word">\g<0></span>', prose)


def _leader(answer: Answer, leader: Score) -> str:
    choices = dict(zip(answer.outcome.labels, leader.permutation.choices, strict=True))
    rows = "".join(
        f"<div><dt>{breakable(label)}</dt><dd>{escape(choice)}</dd></div>"
        for label, choice in choices.items()
    )
    interval = ""
    if leader.low is not None and leader.high is not None:
        interval = f"<small>95 % interval {number(leader.low)} to {number(leader.high)}</small>"
    return (
        '<aside class="leader" aria-label="The best permutation"><p class="score">'
        f"<span>{escape(metric_title(answer.metric))}</span> <b>{number(leader.mean)}</b>{interval}"
        f"</p><p>Permutation {escape(leader.permutation.name)}</p><dl>{rows}</dl></aside>"
    )


def video_part(folder: Path) -> str:
    """Return the video of the best agent; "" if there is none."""
    for name, kind in _VIDEOS.items():
        path = folder / name
        if path.is_file():
            source = f"data:{kind};base64,{b64encode(path.read_bytes()).decode('ascii')}"
            words = "An episode of the best agent"
            shown = (
                f'<img src="{source}" alt="{words}">'
                if kind.startswith("image")
                else f'<video controls loop muted playsinline aria-label="{words}" src="{source}">'
                "</video>"
            )
            return f'<figure class="video">{shown}<figcaption>{words}.</figcaption></figure>'
    return ""


def cost_part(outcome: Outcome) -> str:
    """Return the cost of the sweep, and its failures."""
    runs = outcome.runs
    lost = [run for run in runs if run.state in FAILURES]
    tiles = {
        "runs": f"{len(runs):,}",
        "environment steps": f"{sum(run.steps for run in runs):,}",
        "wall time of all runs": span(sum(run.wall_time_seconds for run in runs)),
        "failed runs": f"{len(lost):,}",
    }
    shown = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles.items())
    return f'<dl class="tiles">{shown}</dl>{_failures(lost)}'


def _failures(lost: Sequence[RunRecord]) -> str:
    if not lost:
        return "<p>No run failed or diverged.</p>"
    alike: dict[tuple[str, str], list[str]] = {}
    for each in lost:
        alike.setdefault((each.state, each.error), []).append(each.name)
    rows = [
        (state, error, f"{len(names):,}", ", ".join(names))
        for (state, error), names in list(alike.items())[:_MOST_FAILURES]
    ]
    more = len(alike) - len(rows)
    note = f"<p>And {more:,} more.</p>" if more else ""
    titles = ("state", "reason", "runs", "names of the runs")
    return f"<h3 id='failed'>Failed runs</h3>{_table(titles, rows, 'Failed runs')}{note}"


def configuration_part(outcome: Outcome) -> str:
    """Return the tuned keys, the sessions that trained the sweep, and the base config."""
    rows = [_session(*session) for session in outcome.sessions]
    titles = ("start", "time", "machine", "device", "software", "command")
    sessions = _table(titles, rows, "Sessions") if rows else ""
    tuned = "".join(
        f"<li><code>{breakable(label)}</code>: {escape(', '.join(outcome.choices_of(label)))}</li>"
        for label in outcome.labels
    )
    base = escape(dump_yaml(outcome.base))
    return (
        f'<h3>Tuned keys</h3><ul class="tuned">{tuned}</ul><h3>Sessions</h3>{sessions}'
        f"<details id='base'><summary>Base config</summary><pre tabindex='0'>{base}</pre></details>"
    )


def _session(began: float, ended: float | None, description: dict[str, Any]) -> tuple[str, ...]:
    packages = description.get("packages") or {}
    software = {"Python": description.get("python"), **packages}
    revision = description.get("revision")
    versions = [f"{name} {version}" for name, version in software.items() if version]
    command = description.get("command") or ""
    return (
        f"{datetime.fromtimestamp(began, timezone.utc):%Y-%m-%d %H:%M} UTC",
        "unfinished" if ended is None else span(ended - began),
        " · ".join(str(description[key]) for key in ("host", "processor") if description.get(key)),
        str(description.get("device") or ""),
        ", ".join([*versions, *([f"revision {revision[:12]}"] if revision else [])]),
        command if isinstance(command, str) else shlex.join(map(str, command)),
    )


def _table(titles: Iterable[str], rows: Iterable[Sequence[str]], name: str) -> str:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    body = "".join(
        "<tr>" + "".join(f"<td>{_whole_words(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="scroll" role="region" aria-label="{escape(name)}" tabindex="0">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _whole_words(text: str) -> str:
    """Return a text as HTML that doesn't break at the hyphens of options and paths."""
    return re.sub(r"\S*-\S*", r'<span class="word">\g<0></span>', escape(text))


def breakable(label: str) -> str:
    """Return a key as HTML that may break behind its dots and underscores."""
    return re.sub(r"([._])", r"\1<wbr>", escape(label))


def number(value: float | None) -> str:
    """Return a number with its significant digits."""
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def span(seconds: float) -> str:
    """Return a time span in its two largest units, such as `2 h 30 min`."""
    if seconds < 9.95:
        return f"{float(f'{seconds:.2g}'):g} s"
    whole = round(seconds)
    units = [("d", whole // 86400), ("h", whole // 3600 % 24), ("min", whole // 60 % 60)]
    parts = [f"{count} {unit}" for unit, count in [*units, ("s", whole % 60)] if count]
    return " ".join(parts[:2])
