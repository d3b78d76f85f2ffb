"""Reads YAML files strictly, with line numbers, and writes files atomically.

PyYAML parses. Configs differ from its safe loader in two ways: numbers and booleans follow YAML 1.2
(``1e-3`` is a number, ``no`` is text), and duplicate keys, tags and aliases are errors.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import yaml

from schema.errors import UserError
from schema.os_errors import naming

# The C parser and emitter are about ten times as fast; PyYAML also works without them.
_BaseLoader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

_INTEGER = re.compile(r"[-+]?[0-9](_?[0-9])*")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9](_?[0-9])*(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_CONSTANTS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_CONSTANTS |= {"true": True, "True": True, "TRUE": True}
_CONSTANTS |= {"false": False, "False": False, "FALSE": False}
_MAXIMUM_DEPTH = 50
_MAXIMUM_DIGITS = 1000

# Errors of parsing; PyYAML's Python parser passes on those of `chr` for impossible characters.
_PARSING_ERRORS = (yaml.YAMLError, RecursionError, ValueError, OverflowError)

KeyPath = tuple[str, ...]


@dataclass
class Document:
    """The data of a YAML file, with the line of each key.

    Attributes:
        path: the file.
        data: the mapping at its root; empty for an empty file.
        lines: the line of each key, counted from 1, by its path from the root.
    """

    path: Path
    data: dict[str, Any]
    lines: dict[KeyPath, int] = field(default_factory=dict)

    def line(self, key_path: KeyPath) -> int:
        """Return the line of a key, or of the nearest section above it; 0 if none is known."""
        for length in range(len(key_path), 0, -1):
            if key_path[:length] in self.lines:
                return self.lines[key_path[:length]]
        return 0

    def where(self, key_path: KeyPath) -> str:
        """Return the file, and the line of the key if it is known."""
        line = self.line(key_path)
        return f"{self.path}, line {line}" if line else str(self.path)


def read_yaml(path: Path) -> Document:
    """Read a file with a mapping at its root, or an empty file.

    Raises:
        UserError: the file can't be read, isn't valid YAML, or contains tags, aliases or duplicate keys.
    """
    document = Document(path, {})
    root = _compose(path)
    if root is None or (isinstance(root, yaml.ScalarNode) and root.value in ("", "~", "null")):
        return document
    if not isinstance(root, yaml.MappingNode):
        raise UserError(f"{path}: must hold sections of keys and values, such as `trainer:`")
    document.data = _construct(root, (), document)
    return document


def _compose(path: Path) -> yaml.Node | None:
    try:
        text = path.read_text(encoding="utf-8-sig")  # with or without a byte order mark
    except UnicodeDecodeError:
        raise UserError(f"{path}: isn't a text file in UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: can't be read: {error.strerror}") from None
    try:
        _refuse_early(text, path)
        return yaml.compose(text, Loader=_BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}{line}: {_fault(error, text)}") from None
    except _PARSING_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else "nested too deeply"
        raise UserError(f"{path}: malformed YAML: {reason}") from None


def _fault(error: yaml.MarkedYAMLError, text: str) -> str:
    """Return the parser's complaint, with a clearer one for tabs and for text that needs quotes."""
    problem = error.problem or error.context
    lines, mark = text.splitlines(), error.problem_mark
    if mark and mark.line < len(lines):
        before, character = lines[mark.line][: mark.column], lines[mark.line][mark.column :][:1]
        if character == "\t":
            verb = "has" if before.strip() else "is indented with"
            return f"{verb} a tab where YAML wants spaces"
        if "cannot start any token" in str(problem):
            return f"malformed YAML: text that begins with {character} must be in quotes"
    return f"malformed YAML: {problem}"


def _refuse_early(text: str, path: Path) -> None:
    try:
        _refuse_tags_aliases_and_depth(text, path, _BaseLoader)
    except yaml.YAMLError:
        # Since 0.2.6 libyaml limits nesting itself. It may reach its limit while looking ahead, before
        # we know the line. PyYAML's Python parser has no limit, so it finds the line.
        with suppress(*_PARSING_ERRORS):
            _refuse_tags_aliases_and_depth(text, path, yaml.BaseLoader)
        raise


def _refuse_tags_aliases_and_depth(text: str, path: Path, loader: Any) -> None:
    """Check the parser's events, before anything is expanded or recursed into."""
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        assert event.start_mark is not None
        where = f"{path}, line {event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent):
            raise UserError(
                f"{where}: aliases (`*{event.anchor}`) aren't allowed; write the value itself"
            )
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise UserError(f"{where}: tags (`{tag}`) aren't allowed; write a plain value")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAXIMUM_DEPTH:
            raise UserError(f"{where}: nested too deeply")


def _construct(node: Any, key_path: KeyPath, document: Document) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _construct_mapping(node, key_path, document)
    if isinstance(node, yaml.SequenceNode):
        return [
            _construct(item, (*key_path, str(i)), document) for i, item in enumerate(node.value)
        ]
    return node.value if node.style in ("'", '"', "|", ">") else _plain_scalar(node.value)


def _construct_mapping(
    node: yaml.MappingNode, key_path: KeyPath, document: Document
) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise UserError(f"{document.path}, line {line}: a key must be a plain name")
        key = key_node.value
        child_path = (*key_path, key)
        if key in mapping:
            first = document.lines[child_path]
            raise UserError(
                f"{document.path}, line {line}: {'.'.join(child_path)}: duplicate key; "
                f"first set on line {first}"
            )
        document.lines[child_path] = line
        mapping[key] = _construct(value_node, child_path, document)
    return mapping


def _plain_scalar(text: str) -> Any:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    # Python refuses to convert very many digits to an integer; as a float they are infinite.
    if _INTEGER.fullmatch(text) and len(text) <= _MAXIMUM_DIGITS:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL_FLOAT.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def dump_yaml(data: Any) -> str:
    """Return block-style YAML that `read_yaml` reads back unchanged, with the keys in their order."""
    text: str = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=1000
    )
    return text


class _Dumper(_SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_float(dumper: Any, value: float) -> yaml.Node:
    # repr's `1e-05` is the shortest text that reads back exactly, but YAML 1.1 readers read it as
    # text unless it has a point: `1.0e-05`.
    text = repr(value)
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    text = {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(text, text)
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


def _represent_text(dumper: Any, value: str) -> yaml.Node:
    # Quote text that `read_yaml` would read as another type. Where other readers would, the emitter
    # adds quotes by itself.
    style = None if _plain_scalar(value) is value else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _represent_list(dumper: Any, value: list[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)


_Dumper.add_representer(float, _represent_float)
_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(list, _represent_list)


@contextmanager
def replace_file(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`, which replaces it once everything is written.

    Raises:
        OSError: the file can't be written; the error names `path`.
    """
    with naming(path), _replacing(path, mode) as file:
        yield file


@contextmanager
def _replacing(path: Path, mode: str) -> Iterator[IO[Any]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding = None if "b" in mode else "utf-8"
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, mode, encoding=encoding, newline=None if "b" in mode else "") as file:
            yield file
        os.chmod(temporary, 0o666 & ~_current_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
