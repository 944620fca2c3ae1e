"""YAML is read as it was typed, or refused in one line that says where and what to write."""

import errno
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.errors import ConfigError
from ner_mlflow.strict_yaml import YamlFile, read_yaml

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12) | (
    st.sampled_from(["NO", "on", "013", "1:30", "2024-01-01", "null", "~", "1e3", "=", "<<", ""])
)
VALUES = st.recursive(
    TEXT | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def read(folder: Path, content: str | bytes) -> YamlFile:
    path = folder / "mine.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_yaml(path, "table", "write KEY: VALUE lines")


@settings(deadline=None)
@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_what_is_dumped_is_read_as_it_was(value: object) -> None:
    with TemporaryDirectory() as folder:
        dumped = yaml.safe_dump(value, allow_unicode=True)
        assert read(Path(folder), dumped).value == value


@settings(deadline=None)
@given(st.text(st.sampled_from("ab:-[]{},&*!|>'\"%#?@ \t\n019NO~.=<"), max_size=30))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    with TemporaryDirectory() as folder:
        problem = ""
        try:
            read(Path(folder), text)
        except ConfigError as error:
            problem = str(error)
    assert not problem or "mine.yaml" in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("", None),
        ("# nothing\n", None),
        ("\ufeffa: 1\r\nb: true\r\n", {"a": 1, "b": True}),
        ('{"a": "NO",\n "013": [1.5, null]}', {"a": "NO", "013": [1.5, None]}),
        ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}),
        ("a: !!str 013", {"a": "013"}),
        ("a: 08", {"a": "08"}),
        ("a: 0", {"a": 0}),
    ],
)
def test_plain_yaml_and_json_are_read(tmp_path: Path, content: str, value: object) -> None:
    assert read(tmp_path, content).value == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "a: 1\nb: -013",
            "2: -013 is read as the octal number -11: write -13, or put it in quotes",
        ),
        ("a: 0_7", "1: 0_7 is read as the octal number 7: write 7, or put it in quotes"),
        ("a: 000", "1: 000 is read as the octal number 0: write 0, or put it in quotes"),
        ("a: 1:30.5", "1: 1:30.5 is read as 90.5, in base 60: put it in quotes"),
        ("a: [x, Off]", "1: Off is read as false: write false, or put it in quotes"),
        ("a: 2024-01-01", "1: 2024-01-01 is read as a date: put it in quotes"),
        ("yes: a", "1: key yes is read as true: put it in quotes"),
        ("~: a", "1: key ~ is read as null: put it in quotes"),
        ("1.5: a", "1: key 1.5 is read as the number 1.5: put it in quotes"),
        ("=: a", "1: key = is read as"),
        ("a: {b: 1,\n c: 2,\n b: 3}", "3: key 'b' is given a second time, first in line 1: remove"),
        ("? [a]\n: b", "1: a key is a list or a mapping: write a text"),
        ("a: {b: 1}\nc:\n  <<: {b: 2}", "3: key << merges another mapping: write the lines"),
        ("a: !!python/object:os.system x", "1: x is read as a 'python/object:os.system'"),
        ("a: !!int x", "1: 'x' is not readable"),
        ("a: " + "9" * 5000, "1: '9999.* is not readable"),
        ("a: [", " not YAML (line 1: expected the node content"),
        ("a: b\n---\nc: d", " not YAML (line 2: but found another document): write KEY: VALUE"),
        ("a:\tb", " not YAML (line 1: .* write blanks instead of the tab)"),
        (b"a: \xff", " not YAML ('utf-8' codec can't decode byte 0xff"),
        ("a: \0", " not YAML (unacceptable character"),
        ("a: b".encode("utf-16"), " not YAML (.* 0xff in position 0: .*): save it as UTF-8"),
        ("a: b".encode("utf-16-le"), " not YAML (unacceptable .*): save it as UTF-8"),
        ('a: "\\d+"', " not YAML (line 1: .* 'd', write .* between double quotes, or take single"),
    ],
)
def test_what_yaml_would_change_or_cannot_read_is_refused(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    pattern = rf"table .*mine\.yaml:{message}".replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ConfigError, match=pattern) as caught:
        read(tmp_path, content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 20_000,
        "- " * 20_000,
        "".join(f"{' ' * depth}a:\n" for depth in range(500)),
        "a: &x [*x]",
        "\n".join(
            [
                "a: &a0 [x, x]",
                *(f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)),
            ]
        ),
        "a: b\n" * 60_000,
    ],
    ids=["lists", "items", "mappings", "itself", "aliases that multiply", "many lines"],
)
def test_a_bomb_is_refused_soon(tmp_path: Path, content: str) -> None:
    started = time.perf_counter()
    with pytest.raises(ConfigError, match=r"mine\.yaml:\d+: (nested|more) .*: "):
        read(tmp_path, content)
    assert time.perf_counter() - started < 20


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    started = time.perf_counter()
    with pytest.raises(ConfigError, match=r"mine\.yaml: larger than 4,194,304 bytes: make"):
        read(tmp_path, "#" * 200_000_000)
    assert time.perf_counter() - started < 5


def test_a_file_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(
        ConfigError, match=r"mine\.yaml: cannot be read \(Permission denied\): make it readable"
    ):
        read(tmp_path, "a: b")
