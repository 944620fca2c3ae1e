"""Near duplicates: what counts as a repetition, the same answers everywhere, and bounded memory."""

import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.weak.near_duplicates import BANDS, Keys, NearDuplicates, band_keys

CAPACITY = 1_000
WORDS = [f"word{number}" for number in range(5_000)]
TEXT = (
    "After the update to Firefox 115 the window stays blank. I use Ubuntu 22.04 with Wayland and "
    "two monitors. The log of the compositor shows that the GPU process was killed, and a restart "
    "of the browser does not help until the profile is deleted. With Firefox 114 everything works."
)
FIRST_KEYS = ["55b6bf033c5b8183", "e2954ed1cb91ee0e"]


def prose(seed: int, words: int = 120) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def is_repeated(first: str, second: str) -> bool:
    known = NearDuplicates(CAPACITY)
    assert known.is_new(first)
    return not known.is_new(second)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(TEXT, id="the same"),
        pytest.param(f"\n  {TEXT}\r\n", id="white space around it"),
        pytest.param(TEXT.replace(" ", "\n\t"), id="white space within it"),
        pytest.param(TEXT.upper(), id="case"),
        pytest.param(TEXT.replace(". ", " - "), id="punctuation"),
    ],
)
def test_layout_case_and_punctuation_make_no_new_document(other: str) -> None:
    assert is_repeated(TEXT, other)


def test_a_few_edited_words_make_no_new_document() -> None:
    repeated = 0
    for seed in range(50):
        words = prose(seed).split()
        words[seed], words[seed + 60] = "another", "edit"
        repeated += is_repeated(prose(seed), " ".join(words))
    assert repeated >= 47  # a Jaccard similarity of 0.9


def test_different_documents_are_new_though_they_share_a_part() -> None:
    known = NearDuplicates(CAPACITY)
    template = prose(-1, words=40)
    assert all(known.is_new(f"{template} {prose(seed)}") for seed in range(300))


@pytest.mark.parametrize(
    ("first", "second", "repeated"),
    [
        ("Fixed.", "fixed", True),
        ("Fixed in 1.2.", "Fixed in 1.3.", False),
        ("Redis", "Nginx", False),
        ("Redis fails", "Nginx fails", False),
        ("", " \n", True),
        ("...", "???", False),
        ("...", " ... ", True),
        ("\ud800", "\udfff ?", False),
        ("数据库崩溃", "数据库重启", False),
    ],
)
def test_short_texts_are_compared_as_a_whole(first: str, second: str, repeated: bool) -> None:
    assert is_repeated(first, second) == repeated


def test_the_first_of_each_group_is_new_and_all_later_ones_are_not() -> None:
    known = NearDuplicates(CAPACITY)
    stream = [prose(1), prose(2), prose(1).upper(), prose(3), prose(2), prose(1)]
    assert [known.is_new(text) for text in stream] == [True, True, False, True, False, False]


def test_other_processes_compute_the_same_keys() -> None:
    code = f"from ner_mlflow.weak.near_duplicates import band_keys\nprint(*band_keys({TEXT!r}))"
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.split() == [str(key) for key in band_keys(TEXT)]


def test_keys_do_not_change_with_a_new_version_of_the_library() -> None:
    """Corpora that were labelled before would not be reproduced."""
    assert [f"{key:016x}" for key in band_keys(TEXT)[:2]] == FIRST_KEYS


@settings(deadline=None, max_examples=50)
@given(st.lists(st.one_of(st.text(max_size=40), st.sampled_from([TEXT, prose(1), "a b c"]))))
def test_answers_from_keys_are_those_from_texts_and_repetitions_are_never_new(
    texts: list[str],
) -> None:
    by_text, by_keys = NearDuplicates(CAPACITY), NearDuplicates(CAPACITY)
    seen = set()
    for text in texts:
        is_new = by_text.is_new(text)
        assert by_keys.is_new(band_keys(text)) == is_new
        assert not (is_new and text in seen)
        seen.add(text)


def random_keys(count: int) -> Keys:
    return np.random.default_rng(0).integers(0, 2**64, (count, BANDS), dtype=np.uint64)


def test_the_memory_is_fixed_and_chance_repetitions_stay_rare_up_to_the_capacity() -> None:
    known = NearDuplicates(CAPACITY * 8)
    size_bytes = known.size_bytes
    assert sum(not known.is_new(row) for row in random_keys(CAPACITY * 8)) <= 2
    assert known.size_bytes == size_bytes
    assert NearDuplicates(1_000_000).size_bytes == 64 * 1024**2


def test_beyond_the_capacity_the_memory_grows_and_chance_repetitions_stay_rare() -> None:
    known = NearDuplicates(CAPACITY)
    size_bytes = known.size_bytes
    documents = random_keys(CAPACITY * 16)
    assert sum(not known.is_new(row) for row in documents) <= 8
    assert 15 * size_bytes <= known.size_bytes <= 17 * size_bytes
    assert not any(known.is_new(row) for row in documents[::100])


def test_a_document_that_is_repeated_often_takes_no_memory() -> None:
    known = NearDuplicates(CAPACITY)
    size_bytes = known.size_bytes
    keys = band_keys(TEXT)
    assert sum(known.is_new(keys) for _ in range(CAPACITY * 3)) == 1
    assert known.size_bytes == size_bytes


def test_answers_do_not_depend_on_when_memory_was_added() -> None:
    small, large = NearDuplicates(1), NearDuplicates(CAPACITY * 8)
    stream = [prose(seed, words=8) for seed in random.Random(3).choices(range(600), k=900)]
    assert [small.is_new(text) for text in stream] == [large.is_new(text) for text in stream]
    assert small.size_bytes > NearDuplicates(1).size_bytes
