"""Writes the shells' completions of the commands from their usage texts: `make docs`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
COMMANDS = ("tune", "train", "eval", "enjoy", "report")
BASH, ZSH = _ROOT / "completions" / "ppo-grid.bash", _ROOT / "completions" / "_ppo-grid"

# What may follow an option's `=`; nothing is offered where it is a number, a name or a condition.
FILES = {"--config", "--tune", "--checkpoint", "--video", "--to", "--suggest"}
FOLDERS = {"--out", "--plots"}
WORDS = {
    "--device": "auto cpu cuda",
    "--format": "text csv json markdown latex",
    "--log": "tensorboard wandb mlflow tensorboard,wandb tensorboard,mlflow",
    "--metric": "final best area steps time",
}

_OPTION = re.compile(r"^    (?:-\w )?(--[a-z-]+)(=<\w+>)?  +(.*(?:\n {8,}.*)*)", re.MULTILINE)


@dataclass(frozen=True)
class Option:
    """An option of a command.

    Attributes:
        name: with its dashes.
        takes_value: whether a value follows.
        repeats: whether it may be given more than once.
        summary: the beginning of what the usage text says of it.
    """

    name: str
    takes_value: bool
    repeats: bool
    summary: str


def options(command: str) -> list[Option]:
    """The options that a command's usage text describes, in its order."""
    usage = ast.get_docstring(ast.parse((_ROOT / f"{command}.py").read_text(encoding="utf-8")))
    assert usage
    return [
        Option(name, bool(value), f"[{name}{value}]..." in usage, _summary(text))
        for name, value, text in _OPTION.findall(usage)
    ]


def _summary(text: str) -> str:
    return re.split(r"[.:;](?:\s|$)| \[default", " ".join(text.split()))[0]


def bash() -> str:
    """The completions for bash."""
    names = {
        command: " ".join(option.name + "=" * option.takes_value for option in options(command))
        for command in COMMANDS
    }
    cases = [f'        {command}.py) echo "{names[command]}" ;;' for command in COMMANDS]
    values = [
        f"        {'|'.join(sorted(FILES))}) echo -f ;;",
        f"        {'|'.join(sorted(FOLDERS))}) echo -d ;;",
        *(f'        {name}) echo "-W {words}" ;;' for name, words in sorted(WORDS.items())),
    ]
    return _BASH.replace("@OPTIONS@", "\n".join(cases)).replace("@VALUES@", "\n".join(values))


def zsh() -> str:
    """The completions for zsh."""
    scripts = [f"{command}.py" for command in COMMANDS]
    cases = [
        f"    {script})\n        _arguments \\\n"
        + " \\\n".join(f"            {line}" for line in _zsh_options(command))
        + "\n        ;;"
        for script, command in zip(scripts, COMMANDS, strict=True)
    ]
    return _ZSH.replace("@SCRIPTS@", " ".join(scripts)).replace("@CASES@", "\n".join(cases))


def _zsh_options(command: str) -> Iterator[str]:
    """What zsh's `_arguments` takes for each option."""
    for option in options(command):
        summary = option.summary.replace("'", "’").replace("[", r"\[").replace("]", r"\]")
        value = f":value:{_zsh_values(option.name)}" if option.takes_value else ""
        yield f"'{'*' * option.repeats}{option.name}{'=' * option.takes_value}[{summary}]{value}'"


def _zsh_values(name: str) -> str:
    if name in FILES:
        return "_files"
    if name in FOLDERS:
        return "_files -/"
    return f"({WORDS[name]})" if name in WORDS else " "


_BASH = """\
# Completes the options of `python tune.py` and its siblings in bash: source this file, in ~/.bashrc for
# example. Written by docs/write_completions.py from the usage texts (`make docs`).

# The options of a script; those that take a value end in `=`.
_ppo_grid_options() {
    case $1 in
@OPTIONS@
    esac
}

# How compgen finds an option's values.
_ppo_grid_values() {
    case $1 in
@VALUES@
    esac
}

_ppo_grid() {
    local word offered="" current=$2 option=$3 prefix="" kind
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        offered=$(_ppo_grid_options "${word##*/}")
        [[ $offered ]] && break
    done
    COMPREPLY=()
    if [[ ! $offered ]]; then
        # Another program in Python is completed as before.
        [[ $_ppo_grid_others ]] && "$_ppo_grid_others" "$@"
        return
    fi

    # `--out=x` is one word or three, as COMP_WORDBREAKS says.
    if [[ $option == "=" ]]; then
        option=${COMP_WORDS[COMP_CWORD-2]}
    elif [[ $current == "=" ]]; then
        current=""
    elif [[ $current == --*=* ]]; then
        option=${current%%=*} prefix=${current%%=*}= current=${current#*=}
    fi
    local IFS=$'\\n'
    if [[ " $offered " == *" $option= "* ]]; then
        kind=$(_ppo_grid_values "$option")
        case $kind in
            -W*) COMPREPLY=($(IFS=" " && compgen -W "${kind#-W }" -- "$current")) ;;
            -*) COMPREPLY=($(compgen "$kind" -- "$current")) ;;
        esac
        COMPREPLY=("${COMPREPLY[@]/#/$prefix}")
        # Quotes what needs it, and ends folders with a slash. Outside of a completion it fails.
        [[ $kind == -[fd] ]] && compopt -o filenames 2>/dev/null
    else
        COMPREPLY=($(IFS=" " && compgen -W "$offered" -- "$current"))
        [[ ${#COMPREPLY[@]} == 1 && $COMPREPLY == *= ]] && compopt -o nospace 2>/dev/null
    fi
    return 0
}

# bash-completion loads what it has for Python on demand.
for _ppo_grid_python in python python3; do
    if [[ $(complete -p $_ppo_grid_python 2>/dev/null) != *" _ppo_grid "* ]]; then
        declare -F _comp_load >/dev/null && _comp_load $_ppo_grid_python
        declare -F _completion_loader >/dev/null && _completion_loader $_ppo_grid_python
        [[ $(complete -p $_ppo_grid_python 2>/dev/null) =~ \\ -F\\ ([^ ]+) ]] &&
            _ppo_grid_others=${BASH_REMATCH[1]}
    fi
    complete -o bashdefault -o default -F _ppo_grid $_ppo_grid_python
done
unset _ppo_grid_python
"""

_ZSH = """\
#compdef @SCRIPTS@
# Completes the options of `python tune.py` and its siblings in zsh, whose own completion of `python`
# asks for the script's: put this folder into `fpath` before `compinit`. Written by
# docs/write_completions.py from the usage texts (`make docs`).

case ${words[1]:t} in
@CASES@
esac
"""


def main() -> None:
    """Writes the files."""
    for path, text in ((BASH, bash()), (ZSH, zsh())):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(_ROOT)}")


if __name__ == "__main__":
    main()
