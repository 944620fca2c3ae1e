"""A long request is read text by text and gets the same answers, or the same kind of refusal."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.tagging import request_bodies as module
from ner_mlflow.tagging.request_bodies import JsonAnswers, LongStrings, RequestTexts, load_json

texts = st.text(max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(autouse=True, scope="module")
def short_is_long() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LONG_BODY", 20)
        patch.setattr(module, "LONG_STRING", 10)
        yield


def read(value: Any, long_strings: LongStrings) -> Any:
    """Return a value with the strings that its strings stand for."""
    if isinstance(value, str):
        assert long_strings.characters(value) == len(long_strings.read(value))
        return long_strings.read(value)
    if isinstance(value, list):
        return [read(item, long_strings) for item in value]
    if isinstance(value, dict):
        return {long_strings.read(key): read(item, long_strings) for key, item in value.items()}
    return value


@given(values, st.booleans(), st.sampled_from([None, 1]))
def test_any_json_is_read_as_the_standard_library_reads_it(
    value: Any, escapes: bool, indent: int | None
) -> None:
    body = json.dumps(value, ensure_ascii=escapes, indent=indent).encode(errors="surrogatepass")
    assert read(*load_json(body)) == json.loads(body) == value


@settings(max_examples=300)
@given(values, st.integers(0, 200), st.binary(max_size=2), st.integers(0, 2))
def test_changed_json_is_read_or_refused_as_the_standard_library_does(
    value: Any, position: int, inserted: bytes, removed: int
) -> None:
    body = json.dumps(value).encode()
    body = body[:position] + inserted + body[position + removed :]
    try:
        expected = json.loads(body)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            load_json(body)
    else:
        assert str(read(*load_json(body))) == str(expected)  # NaN is not equal to itself


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"inputs": ["a long text", "a long \\x text"]}', "in the string at byte 27: Invalid"),
        (b'{"inputs": ["a long text\n"]}', "in the string at byte 12: Invalid control character"),
        (b'{"inputs": ["a long text\xff"]}', "in the string at byte 12: 'utf-8' codec can't"),
        (b'{"inputs": ["a long text" "b"]}', "^Expecting ',' delimiter$"),
        (b'{"inputs": ["a long text", "b', "^Unterminated string starting at$"),
    ],
)
def test_a_refusal_says_what_is_wrong(body: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_json(body)


def test_an_open_string_with_many_quotes_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="Unterminated"):
        load_json(b'["a long text", "' + b'\\"' * 300_000)


def test_other_encodings_are_read_at_once() -> None:
    for encoding in ("utf-8-sig", "utf-16", "utf-32-le"):
        value, long_strings = load_json('["a rather long text"]'.encode(encoding))
        assert value == ["a rather long text"]
        assert not long_strings.places


def test_the_texts_of_a_request_are_a_sequence() -> None:
    expected = ["short", "é" * 30, "", "\U0001f600 and more text"]
    read_texts = RequestTexts(*load_json(json.dumps(expected).encode()))
    assert list(read_texts) == expected == list(read_texts)
    assert [read_texts[index] for index in range(-4, 4)] == expected * 2
    assert list(read_texts[1:3]) == expected[1:3]
    assert read_texts.characters == sum(map(len, expected))


def test_what_stands_for_a_long_text_begins_like_it() -> None:
    (value,), _ = load_json(json.dumps(["Ubuntu " * 100]).encode())
    assert value.startswith("Ubuntu Ubuntu")


def test_long_texts_with_an_emoji_take_no_memory_beside_the_request() -> None:
    body = json.dumps(["\U0001f600" + "a" * 1_000_000] * 20, ensure_ascii=False).encode()
    tracemalloc.start()
    try:
        read_texts = RequestTexts(*load_json(body))
        assert sum(map(len, read_texts)) == 20 * 1_000_001
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20e6  # as str they take 80 MB, and the request too


rows = st.lists(
    st.lists(st.fixed_dictionaries({"text": texts, "start": st.integers(0, 9)}), max_size=5),
    max_size=5,
)


@given(rows, st.integers(1, 3))
def test_answers_in_parts_are_written_as_json_writes_them_at_once(rows: Any, size: int) -> None:
    answers = JsonAnswers()
    for row in rows:
        for start in range(0, max(len(row), 1), size):
            answers.add(row[start : start + size], start + size >= len(row))
    assert answers.body() == json.dumps({"predictions": rows}).encode()
