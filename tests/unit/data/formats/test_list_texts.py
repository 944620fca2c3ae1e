"""Lists in texts: Python, JSON and numpy write them, and none reads back wrong."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.data.formats.list_texts import read_list_text
from ner_mlflow.errors import DataError

WORDS = st.lists(st.text(st.characters(codec="utf-8"), max_size=6), max_size=5)


@settings(deadline=None, max_examples=300)
@given(words=WORDS, shape=st.sampled_from(["python", "json", "json with ascii", "numpy"]))
def test_written_lists_read_back_equal(words: list[str], shape: str) -> None:
    text = {
        "python": repr(words),
        "json": json.dumps(words, ensure_ascii=False),
        "json with ascii": json.dumps(words),
        "numpy": str(np.array(words, dtype=object)),
    }[shape]
    assert read_list_text(text, "x") == words


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a b  c", ["a", "b", "c"]),
        ("a\u00a0b c", ["a\u00a0b", "c"]),
        ("", []),
        ("[]", []),
        (" [0, 1] ", ["0", "1"]),
        ("[0 1]", ["0", "1"]),
        ("['a'\n 'b']", ["a", "b"]),
        ("['it\\'s', \"it's\"]", ["it's", "it's"]),
    ],
)
def test_shapes_of_lists(text: str, items: list[str]) -> None:
    assert read_list_text(text, "x") == items


@pytest.mark.parametrize(
    "text", ["['a' 'b' ... 'c']", "[['a'], ['b']]", "['a', 'b]", "[,'a']", "['a',,'b']", "['\\x1']"]
)
def test_texts_that_are_no_whole_list_are_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"^x: ") as caught:
        read_list_text(text, "x")
    assert "\n" not in str(caught.value)
