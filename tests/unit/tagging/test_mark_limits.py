"""Marks beyond all real texts are left out of what a model reads, and nothing else is."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.tagging.cutting import ALPHANUMERIC
from ner_mlflow.tagging.mark_limits import (
    KEPT_AT_AN_END,
    MOST_IN_A_ROW,
    MOST_OF_SENTENCES,
    limit_marks,
)
from ner_mlflow.tagging.words import Words, split_sentences

MARKS = "()[]{}<>.,:;!?'\"`*_-+=/\\|@#$%^&~"


def pieces(sentences: list[Words]) -> list[tuple[str, int, int]]:
    return [piece for sentence in sentences for piece in zip(*sentence, strict=True)]


def limited(text: str) -> list[Words]:
    return list(limit_marks(split_sentences(text)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ubuntu 22.04 runs nginx.",
        "----\n| a | b |\n|---|:---|\n| 1 | 2 |",
        "=" * 4000,
        "😥\n\n:)\n\n...\n" * 300,
        " |_ / _` | | | | '__/ _ \\ |" * 2,
        "a " * 3000,
        "if (a[i] != b.c) { f(x, y); }\n" * 200,
    ],
)
def test_real_text_stays_as_it_is(text: str, caplog: pytest.LogCaptureFixture) -> None:
    assert limited(text) == split_sentences(text)
    assert not caplog.records


@given(st.lists(st.sampled_from([*"ab", "é", "数", "(", ";", ".", "|", "-", "\n", "\n\n"])))
def test_pieces_with_letters_and_their_order_stay(parts: list[str]) -> None:
    text = " ".join(part * count for part in parts for count in (1, 90))
    kept, all_pieces = pieces(limited(text)), pieces(split_sentences(text))
    assert [piece for piece in kept if ALPHANUMERIC.search(piece[0])] == [
        piece for piece in all_pieces if ALPHANUMERIC.search(piece[0])
    ]
    assert set(kept) <= set(all_pieces)
    assert kept == sorted(kept, key=lambda piece: piece[1])


def test_the_middle_of_a_long_row_of_marks_is_left_out_and_ends_a_sentence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    row = " ".join("|-" * MOST_IN_A_ROW)
    before, after = limited(f"see nginx {row} and Redis")
    assert before.texts == ["see", "nginx", *"|-" * (KEPT_AT_AN_END // 2)]
    assert after.texts == [*"|-" * (KEPT_AT_AN_END // 2), "and", "Redis"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"{2 * (MOST_IN_A_ROW - KEPT_AT_AN_END)} pieces" in record.getMessage()


def test_a_row_at_the_limit_stays() -> None:
    row = " ".join("|-" * (MOST_IN_A_ROW // 2))
    for text in (row, f"a {row}", f"{row} a", f"a {row} b {row} c"):
        assert limited(text) == split_sentences(text)
        assert len(limited(text.replace(row, f"{row} ;"))) > 1


def test_a_long_row_at_the_beginning_or_end_is_shortened_too() -> None:
    row = " ".join("|-" * MOST_IN_A_ROW)
    kept = ["|", "-"] * (KEPT_AT_AN_END // 2)
    assert [part.texts for part in limited(f"{row} a")] == [kept, [*kept, "a"]]
    assert [part.texts for part in limited(f"a {row}")] == [["a", *kept], kept]
    assert [part.texts for part in limited(row)] == [kept, kept]


def test_of_ever_new_sentences_of_marks_alone_the_first_are_read_and_names_between_them() -> None:
    lines = [f"{first}{second}{third}" for first in MARKS for second in "|;" for third in MARKS]
    text = "\n".join(f"{line}\nRedis {number} runs" for number, line in enumerate(lines))
    kept = [sentence.texts for sentence in limited(text)]
    assert sum(texts[0] == "Redis" for texts in kept) == len(lines)
    assert sum(map(len, (texts for texts in kept if texts[0] != "Redis"))) == MOST_OF_SENTENCES


def test_sentences_of_marks_that_come_again_are_read_again() -> None:
    text = "\n\n".join(["---", "***", "a b", "==="] * 1000)
    assert limited(text) == split_sentences(text)
