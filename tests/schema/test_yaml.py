import math
import os
import stat

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from schema import yaml_file
from schema.errors import UserError
from schema.yaml_file import dump_yaml, read_yaml, replace_file

LOADERS = [yaml.BaseLoader]
if yaml.__with_libyaml__:
    LOADERS.append(yaml.CBaseLoader)


@pytest.fixture(params=LOADERS, ids=lambda loader: loader.__name__)
def read(request, tmp_path, monkeypatch):
    monkeypatch.setattr(yaml_file, "_BaseLoader", request.param)
    path = tmp_path / "some.yaml"

    def read_text(text):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_yaml(path)

    return read_text


def only_line(failure):
    assert len(failure.value.lines) == 1
    line = failure.value.lines[0]
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.0e-3", 0.001),
        ("-2E4", -20000.0),
        (".5", 0.5),
        ("1_000", 1000),
        ("+7", 7),
        ("010", 10),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("0x10", "0x10"),
        ("1.2.3", "1.2.3"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("''", ""),
        ("[1, 2.0, x]", [1, 2.0, "x"]),
        ("[]", []),
    ],
)
def test_plain_values_have_the_types_of_yaml_1_2(read, text, value):
    found = read(f"key: {text}\n").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_nan_is_read_as_nan(read):
    assert math.isnan(read("key: .nan\n").data["key"])


def test_keys_keep_their_order_and_know_their_lines(read):
    document = read("# comment\nlast:\n  inner: 1\n\n  other: [1]\nfirst: 2\n")
    assert list(document.data) == ["last", "first"]
    assert document.line(("last",)) == 2
    assert document.line(("last", "inner")) == 3
    assert document.line(("last", "other")) == 5
    assert document.line(("first",)) == 6
    assert document.line(("last", "missing", "deeper")) == 2
    assert document.line(("nowhere",)) == 0
    assert document.where(("last", "other")) == f"{document.path}, line 5"
    assert document.where(("nowhere",)) == str(document.path)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "null\n", "~\n"])
def test_a_file_without_content_is_an_empty_mapping(read, text):
    assert read(text).data == {}


@pytest.mark.parametrize("text", ["\ufeffa:\n  b: 1\n", "a:\r\n  b: 1\r\n"])
def test_files_from_other_systems_are_read_alike(read, text):
    document = read(text)
    assert document.data == {"a": {"b": 1}}
    assert document.lines == {("a",): 1, ("a", "b"): 2}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", 5, "b.c: duplicate key; first set on line 3"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "tags"),
        ("a: !mine [1]\n", 1, "tags"),
        ("a: &x 1\nb: *x\n", 2, "aliases"),
        ("a: 1\nb: [1, 2\n", 3, "malformed YAML"),
        ("a: 1\n  b: 2\n", 2, "malformed YAML"),
        ("a: 1\n\tb: 2\n", 2, "is indented with a tab where YAML wants spaces"),
        ("a:\n\tb: 2\n", 2, "is indented with a tab where YAML wants spaces"),
        ("a:\n  b: 1\n  \tc: 2\n", 3, "is indented with a tab where YAML wants spaces"),
        ("a:\r\n\t- 1\r\n", 2, "is indented with a tab where YAML wants spaces"),
        ("\ufeff\ta: 1\n", 1, "is indented with a tab where YAML wants spaces"),
        ("- \ta: 1\n  b: 2\n", 1, "has a tab where YAML wants spaces"),
        ("a: 1\nb: @x\n", 2, "malformed YAML: text that begins with @ must be in quotes"),
        ("a: 'open\n", 2, "malformed YAML"),
        ("a: 1\n---\nb: 2\n", 2, "malformed YAML"),
        ("x: 1\n? [a, b]\n: 1\n", 2, "a key must be a plain name"),
    ],
)
def test_an_unreadable_file_is_reported_with_file_and_line(read, tmp_path, text, line, words):
    with pytest.raises(UserError) as failure:
        read(text)
    message = only_line(failure)
    assert message.startswith(f"{tmp_path / 'some.yaml'}, line {line}: ")
    assert words in message


@pytest.mark.parametrize(
    "text",
    [
        b"a: \xff\xfe\n",
        b"a: \x00\n",
        "- 1\n- 2\n",
        "just text\n",
        'a: "\\U00110000"\n',
        'a: "\\UFFFFFFFF"\n',
    ],
)
def test_a_file_without_a_mapping_is_reported_with_the_file(read, tmp_path, text):
    with pytest.raises(UserError) as failure:
        read(text)
    assert only_line(failure).startswith(f"{tmp_path / 'some.yaml'}")


@pytest.mark.parametrize(
    ("nested", "line"),
    [
        ("  " + "[" * 60 + "]" * 60 + "\n", 3),
        # Deeper than Python's recursion limit; the brackets also exceed libyaml's limit (since 0.2.6).
        ("  " + "[" * 100_000, 3),
        ("  " + "{x: " * 100_000, 3),
        ("  " + "[\n  " * 100_000, 52),
        ("- " * 100_000, 3),
        ("".join(" " * depth + "x:\n" for depth in range(1, 3000)), 52),
    ],
    ids=["brackets", "many_brackets", "braces", "lines_of_brackets", "dashes", "indentation"],
)
def test_too_deep_nesting_is_reported_alike_by_all_parsers(read, tmp_path, nested, line):
    with pytest.raises(UserError) as failure:
        read("a: 1\nb:\n" + nested)
    assert only_line(failure) == f"{tmp_path / 'some.yaml'}, line {line}: nested too deeply"


def test_fifty_nested_mappings_can_be_read(read):
    value = read("a: " + "[" * 49 + "]" * 49 + "\n").data["a"]
    for _ in range(48):
        (value,) = value
    assert value == []


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_missing_file_or_a_folder_is_reported_in_one_line(tmp_path, name):
    with pytest.raises(UserError) as failure:
        read_yaml(tmp_path / name)
    assert "can't be read" in only_line(failure)


_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | _text
    | st.sampled_from(["no", "1e-3", "1.0", "null", "~", "true", "0x1", "- a", "a: b", "#", "1:30"])
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)


def types_of(value):
    if isinstance(value, dict):
        return {key: types_of(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [types_of(inner) for inner in value]
    return type(value)


@given(data=st.dictionaries(_text, _values, max_size=4))
def test_written_data_reads_back_unchanged(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("round_trip") / "some.yaml"
    path.write_text(dump_yaml(data), encoding="utf-8")
    found = read_yaml(path).data
    assert found == data
    assert types_of(found) == types_of(data)
    assert list(found) == list(data)


def test_small_numbers_are_written_as_numbers_for_other_readers_too():
    text = dump_yaml({"rate": 1e-05, "large": 1e16, "text": "1e-05", "truth": "no"})
    assert text == "rate: 1.0e-05\nlarge: 1.0e+16\ntext: '1e-05'\ntruth: 'no'\n"
    read_by_another = yaml.safe_load(text)
    assert read_by_another == {"rate": 1e-05, "large": 1e16, "text": "1e-05", "truth": "no"}


def test_a_replaced_file_has_the_whole_new_content_or_the_old_one(tmp_path):
    path = tmp_path / "new folder" / "some.txt"
    with replace_file(path) as file:
        file.write("old\n")
    assert path.read_bytes() == b"old\n"
    with pytest.raises(KeyboardInterrupt), replace_file(path) as file:
        file.write("half of the new")
        file.flush()
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["some.txt"]
    with replace_file(path, "wb") as file:
        file.write(b"new\r\n")
        assert path.read_bytes() == b"old\n"
    assert path.read_bytes() == b"new\r\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_replaced_file_has_the_permissions_of_any_new_file(tmp_path):
    ordinary, replaced = tmp_path / "ordinary", tmp_path / "replaced"
    ordinary.write_text("")
    with replace_file(replaced) as file:
        file.write("")
    assert stat.S_IMODE(replaced.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)
