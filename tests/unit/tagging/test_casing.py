"""The casing of a word is one of four classes."""

import sys

import pytest

from ner_mlflow.tagging.casing import CASINGS, casing


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("server", "lower"),
        ("22.04", "lower"),
        ("", "lower"),
        ("straße", "lower"),
        ("Java", "capitalised"),
        ("I", "capitalised"),
        ("Élan", "capitalised"),
        ("HTML", "upper"),
        ("UTF-8", "upper"),
        ("PostgreSQL", "mixed"),
        ("jQuery", "mixed"),
        ("x86_64-Linux", "mixed"),
    ],
)
def test_a_word_has_the_class_of_its_capitals(word: str, name: str) -> None:
    assert CASINGS[casing(word)] == name


def test_long_words_have_a_class_and_are_not_remembered() -> None:
    word = "A" * 1_000_000
    before = sys.getrefcount(word)
    assert CASINGS[casing(word)] == "upper"
    assert sys.getrefcount(word) == before
