"""Windows: each word has a position, none is too long, and scores merge into words' scores."""

from itertools import combinations, pairwise
from random import Random

import numpy as np
import pytest
from backbones import wordpiece
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from ner_mlflow.tagging.casing import CASINGS, casing
from ner_mlflow.tagging.encoding import (
    IGNORED,
    LONGEST_ENCODED,
    MOST_MARK_SUBWORDS,
    OVERLAP,
    Window,
    WordEncoder,
    attention_mask,
    batches,
    distinct_batches,
    label_window,
    merge,
    pad,
)

PAD, UNK, CLS, SEP = range(4)
PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *"abc",
    *(f"##{letter}" for letter in "abc"),
    "abc",
    ".",
]
DROPPED = "\u200b"
"""A word that the normaliser removes."""
ODD_WORDS = [DROPPED, f"a{DROPPED}b", "é", "a.b", "a" * 40, "\x00", " ", "\ufffd"]
WORDS = st.one_of(st.text("abc", min_size=1, max_size=6), st.sampled_from(ODD_WORDS))
SENTENCES = st.lists(st.lists(WORDS, max_size=30), max_size=4)
LENGTHS = st.integers(8, 24)


TOKENIZER = wordpiece(
    {piece: id_ for id_, piece in enumerate(PIECES)}, normalizers.BertNormalizer(lowercase=False)
)


def first_piece(word: str) -> int:
    ids = TOKENIZER.encode([word], is_pretokenized=True, add_special_tokens=False).ids
    return int(ids[0]) if ids else UNK


def by_sentence(windows: list[Window], count: int) -> list[list[Window]]:
    return [[window for window in windows if window.sentence == index] for index in range(count)]


def words_of(window: Window) -> range:
    return range(window.first_word, window.first_word + len(window.word_positions))


@settings(deadline=None, max_examples=60)
@given(SENTENCES, LENGTHS)
def test_no_window_is_too_long_and_each_is_wrapped(
    sentences: list[list[str]], max_length: int
) -> None:
    for window in WordEncoder(TOKENIZER, max_length).windows(sentences):
        assert 3 <= len(window.input_ids) <= max_length
        assert (window.input_ids[0], window.input_ids[-1]) == (CLS, SEP)
        assert not {CLS, SEP, PAD} & set(window.input_ids[1:-1].tolist())


@settings(deadline=None, max_examples=60)
@given(SENTENCES, LENGTHS)
def test_the_position_of_a_word_is_that_of_its_first_subword(
    sentences: list[list[str]], max_length: int
) -> None:
    for window in WordEncoder(TOKENIZER, max_length).windows(sentences):
        expected = [first_piece(sentences[window.sentence][word]) for word in words_of(window)]
        assert window.input_ids[window.word_positions].tolist() == expected
        assert (np.diff(window.word_positions) > 0).all()
        assert window.word_positions[0] == 1
        assert window.word_positions[-1] < len(window.input_ids) - 1


@settings(deadline=None, max_examples=60)
@given(SENTENCES, LENGTHS)
def test_windows_of_a_sentence_follow_each_other_without_a_gap(
    sentences: list[list[str]], max_length: int
) -> None:
    windows = WordEncoder(TOKENIZER, max_length).windows(sentences)
    assert [window.sentence for window in windows] == sorted(window.sentence for window in windows)
    for words, own in zip(sentences, by_sentence(windows, len(sentences)), strict=True):
        ranges = [words_of(window) for window in own]
        assert sorted(set().union(*ranges)) == list(range(len(words)))
        for earlier, later in pairwise(ranges):
            assert earlier.start < later.start <= earlier.stop <= later.stop


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=90), LENGTHS)
def test_windows_of_short_words_overlap_by_a_quarter(words: list[str], max_length: int) -> None:
    ranges = [words_of(window) for window in WordEncoder(TOKENIZER, max_length).windows([words])]
    budget = max_length - 2
    assert all(len(words) == budget for words in ranges[:-1])
    for earlier, later in pairwise(ranges):
        assert earlier.stop - later.start == int(OVERLAP * budget) > 0
        assert later.stop > earlier.stop


def test_each_window_has_a_word_that_the_previous_one_lacks() -> None:
    ranges = [
        words_of(window)
        for window in WordEncoder(TOKENIZER, 18).windows([["a"] * 16 + ["b" * 16] + ["c"]])
    ]
    assert all(earlier.stop < later.stop for earlier, later in pairwise(ranges))


@settings(deadline=None, max_examples=60)
@given(SENTENCES, LENGTHS, st.randoms(use_true_random=False))
def test_every_word_gets_its_own_merged_score(
    sentences: list[list[str]], max_length: int, random: Random
) -> None:
    windows = WordEncoder(TOKENIZER, max_length).windows(sentences)
    random.shuffle(windows)
    scores = [
        np.array([[window.sentence + 1, word] for word in words_of(window)], dtype=np.float32)
        for window in windows
    ]
    merged = merge(windows, scores, [len(words) for words in sentences], labels=2)
    for index, (words, values) in enumerate(zip(sentences, merged, strict=True)):
        assert values.tolist() == [[index + 1, word] for word in range(len(words))]


BYTE_LEVEL = ["a", "b", "c", ".", "Ġ", "Ġa", "ab", "Ġab", "Ã", "©"]


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(
        models.BPE(
            {piece: id_ for id_, piece in enumerate(BYTE_LEVEL)},
            [("Ġ", "a"), ("a", "b"), ("Ġ", "ab")],
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return tokenizer


def metaspace() -> Tokenizer:
    pieces = [
        ("<unk>", 0.0),
        ("▁", -2.0),
        ("▁a", -1.5),
        ("ab", -2.0),
        *((letter, -3.0) for letter in "abc."),
    ]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    return tokenizer


@pytest.mark.parametrize(
    "tokenizer", [TOKENIZER, byte_level(), metaspace()], ids=["word piece", "byte level", "unigram"]
)
@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.lists(
            WORDS.filter(lambda word: DROPPED not in word and "\x00" not in word),
            min_size=1,
            max_size=8,
        ),
        max_size=4,
    )
)
def test_remembered_words_have_the_subwords_that_the_tokenizer_gives_the_sentence(
    tokenizer: Tokenizer, sentences: list[list[str]]
) -> None:
    encoder = WordEncoder(tokenizer, 512)
    for _ in range(2):
        for window in encoder.windows(sentences):
            whole = tokenizer.encode(
                sentences[window.sentence], is_pretokenized=True, add_special_tokens=False
            )
            words = set(range(len(sentences[window.sentence]))) - {
                position for position in whole.word_ids if position is not None
            }
            if not words:  # each word has subwords
                wrapping = len(tokenizer.encode("").ids)
                assert (
                    window.input_ids[wrapping // 2 : len(window.input_ids) - wrapping // 2].tolist()
                    == whole.ids
                )


def test_an_encoder_remembers_a_bounded_number_of_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ner_mlflow.tagging.encoding.KNOWN_WORDS", 10)
    encoder = WordEncoder(TOKENIZER, 16)
    for number in range(40):
        words = ["a" * (1 + number % 9), "b" * (1 + number), "c" * 70]
        remembered, fresh = (
            an_encoder.windows([words]) for an_encoder in (encoder, WordEncoder(TOKENIZER, 16))
        )
        assert [window.input_ids.tolist() for window in remembered] == [
            window.input_ids.tolist() for window in fresh
        ]
        assert len(encoder._known) <= 10
    assert all(len(word) <= 64 for word in encoder._known)


def test_a_short_sentence_is_one_window() -> None:
    (window,) = WordEncoder(TOKENIZER, 16).windows([["abc", "aab", "."]])
    assert (window.sentence, window.first_word) == (0, 0)
    assert [PIECES[id_] for id_ in window.input_ids] == [
        "[CLS]",
        "abc",
        "a",
        "##a",
        "##b",
        ".",
        "[SEP]",
    ]
    assert window.word_positions.tolist() == [1, 2, 5]
    assert window.input_ids.dtype == window.word_positions.dtype == np.int64


@pytest.mark.parametrize("word", [DROPPED, "\x00", "\u200d\u200b"])
def test_a_word_that_the_normaliser_drops_becomes_the_unknown_token(word: str) -> None:
    (window,) = WordEncoder(TOKENIZER, 16).windows([["a", word, "b"]])
    assert window.input_ids.tolist() == [CLS, PIECES.index("a"), UNK, PIECES.index("b"), SEP]


def test_a_word_longer_than_a_window_is_cut() -> None:
    (window,) = WordEncoder(TOKENIZER, 8).windows([["a" * 40]])
    assert [PIECES[id_] for id_ in window.input_ids] == ["[CLS]", "a", *["##a"] * 5, "[SEP]"]


@pytest.mark.parametrize("hidden", ["\u200b", "\u00ad", "\ufeff", "\u2060"])
def test_a_tokenizer_does_not_see_hidden_characters(hidden: str) -> None:
    (shown,) = WordEncoder(TOKENIZER, 16).windows([["a", "bc"]])
    (window,) = WordEncoder(TOKENIZER, 16).windows([["a", f"b{hidden}c"]])
    assert window.input_ids.tolist() == shown.input_ids.tolist()


def test_the_rest_of_a_very_long_piece_is_not_looked_at() -> None:
    encoder = WordEncoder(byte_level(), 2 * LONGEST_ENCODED, casing_embeddings=True)
    long, cut = encoder.windows(
        [["c" * LONGEST_ENCODED + "B." * 1000, "b"], ["c" * LONGEST_ENCODED, "b"]]
    )
    assert long.input_ids.tolist() == cut.input_ids.tolist()
    assert len(cut.input_ids) > LONGEST_ENCODED
    assert long.casings is not None
    assert not long.casings.any()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 40), max_size=40), st.integers(1, 60), st.integers(1, 5))
def test_words_have_the_same_subwords_in_calls_of_any_size(
    lengths: list[int], characters: int, words_at_once: int
) -> None:
    words = ["abc"[index % 3] * length for index, length in enumerate(lengths)]
    expected = [window.input_ids.tolist() for window in WordEncoder(TOKENIZER, 64).windows([words])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ner_mlflow.tagging.encoding.CHARACTERS_AT_ONCE", characters)
        patch.setattr("ner_mlflow.tagging.encoding.WORDS_AT_ONCE", words_at_once)
        windows = WordEncoder(TOKENIZER, 64).windows([words])
    assert [window.input_ids.tolist() for window in windows] == expected


def test_sentences_without_words_have_no_window() -> None:
    encoder = WordEncoder(TOKENIZER, 16)
    assert encoder.windows([]) == []
    assert [window.sentence for window in encoder.windows([[], ["a"], []])] == [1]


def test_padding_and_truncation_of_the_tokenizer_are_ignored_and_left_in_place() -> None:
    cutting = Tokenizer.from_str(TOKENIZER.to_str())
    cutting.enable_truncation(4)
    cutting.enable_padding(length=30)
    (window,) = WordEncoder(cutting, 16).windows([["a"] * 9])
    assert window.input_ids.tolist() == [CLS, *[PIECES.index("a")] * 9, SEP]
    assert cutting.truncation["max_length"] == 4
    assert cutting.padding["length"] == 30


def test_only_first_subwords_have_labels() -> None:
    (window,) = WordEncoder(TOKENIZER, 16).windows([["abc", "aab", "."]])
    assert label_window(window, [0, 5, 7]).tolist() == [IGNORED, 0, 5, IGNORED, IGNORED, 7, IGNORED]


@settings(deadline=None, max_examples=60)
@given(SENTENCES, LENGTHS)
def test_labels_of_a_window_are_those_of_its_words(
    sentences: list[list[str]], max_length: int
) -> None:
    for window in WordEncoder(TOKENIZER, max_length).windows(sentences):
        labels = label_window(window, list(range(len(sentences[window.sentence]))))
        assert labels.shape == window.input_ids.shape
        assert labels[labels != IGNORED].tolist() == list(words_of(window))
        assert np.flatnonzero(labels != IGNORED).tolist() == window.word_positions.tolist()


def of_length(length: int) -> Window:
    return Window(0, 0, np.zeros(length, np.int64), np.array([0]))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 40), max_size=30), st.integers(1, 100))
def test_batches_hold_each_window_once_within_the_budget(lengths: list[int], budget: int) -> None:
    batched = list(batches([of_length(length) for length in lengths], budget))
    assert sorted(index for batch in batched for index in batch) == list(range(len(lengths)))
    for batch in batched:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= budget
    order = [lengths[index] for batch in batched for index in batch]
    assert order == sorted(lengths, reverse=True)
    for batch, following in pairwise(batched):
        assert (len(batch) + 1) * lengths[batch[0]] > budget, (
            f"{following[0]} would still have fitted"
        )


def test_short_windows_share_a_batch() -> None:
    assert list(batches([of_length(length) for length in (5, 10, 5, 5)], 15)) == [[1], [0, 2, 3]]


@settings(deadline=None, max_examples=60)
@given(SENTENCES, LENGTHS, st.integers(1, 3))
def test_batches_of_equal_windows_are_kept_once(
    sentences: list[list[str]], max_length: int, size: int
) -> None:
    windows = WordEncoder(TOKENIZER, max_length, casing_embeddings=True).windows(sentences * 3)
    given_batches = [windows[start : start + size] for start in range(0, len(windows), size)]
    kept, indices = distinct_batches(given_batches)

    def shown(batch: list[Window]) -> list[tuple[list[int], list[int], list[int]]]:
        return [
            (w.input_ids.tolist(), w.word_positions.tolist(), w.casings.tolist())
            for w in batch
            if w.casings is not None
        ]

    assert [shown(kept[index]) for index in indices] == list(map(shown, given_batches))
    assert all(shown(first) != shown(second) for first, second in combinations(kept, 2))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=6), min_size=1, max_size=5),
    st.integers(-100, 0),
)
def test_padding_is_on_the_right_and_masked(rows: list[list[int]], value: int) -> None:
    sequences = [np.array(row, dtype=np.int64) for row in rows]
    padded, mask = pad(sequences, value), attention_mask(sequences)
    longest = max(map(len, rows))
    assert padded.shape == mask.shape == (len(rows), longest)
    assert padded.tolist() == [row + [value] * (longest - len(row)) for row in rows]
    assert mask.tolist() == [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
    assert padded.dtype == mask.dtype == np.int64


def window_over(first: int, last: int) -> Window:
    return Window(0, first, np.zeros(1, np.int64), np.arange(last - first))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_word_in_two_windows_takes_the_scores_farther_from_an_edge(
    order: tuple[int, int],
) -> None:
    windows = [window_over(0, 8), window_over(4, 12)]
    scores = [np.full((8, 1), float(index), np.float32) for index in range(2)]
    (merged,) = merge(
        [windows[index] for index in order], [scores[index] for index in order], [12], labels=1
    )
    assert merged[:, 0].tolist() == [0] * 6 + [1] * 6


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 8)), min_size=1, max_size=5))
def test_merged_scores_come_from_the_window_with_the_widest_margin(
    spans: list[tuple[int, int]],
) -> None:
    windows = [window_over(first, first + count) for first, count in spans]
    scores = [np.full((count, 2), index + 1, np.float32) for index, (_, count) in enumerate(spans)]
    (merged,) = merge(windows, scores, [17], labels=2)
    for word in range(17):
        margins = [min(word - first, first + count - 1 - word) for first, count in spans]
        widest = max(margins)
        assert merged[word].tolist() == [margins.index(widest) + 1 if widest >= 0 else 0] * 2


def test_every_subword_has_the_casing_of_its_word() -> None:
    (window,) = WordEncoder(TOKENIZER, 16, casing_embeddings=True).windows(
        [["abc", "Ab", "AB", "aB"]]
    )
    assert window.casings is not None
    ends = [*window.word_positions[1:], len(window.input_ids) - 1]
    for expected, first, last in zip((0, 1, 2, 3), window.word_positions, ends, strict=True):
        assert set(window.casings[first:last].tolist()) == {expected}
    assert window.casings[0] == window.casings[-1] == 0
    assert window.casings.shape == window.input_ids.shape


def test_casings_of_windows_are_those_of_their_words() -> None:
    words = ["a", "B", "cC"] * 10
    for window in WordEncoder(TOKENIZER, 10, casing_embeddings=True).windows([words]):
        assert window.casings is not None
        casings = window.casings[window.word_positions].tolist()
        assert casings == [casing(words[index]) for index in words_of(window)]


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("server", "lower"),
        ("2.0", "lower"),
        ("", "lower"),
        ("Java", "capitalised"),
        ("I", "capitalised"),
        ("C++", "capitalised"),
        ("HTML", "upper"),
        ("UTF-8", "upper"),
        ("jQuery", "mixed"),
        ("PostgreSQL", "mixed"),
        ("éA", "mixed"),
        ("Élan", "capitalised"),
    ],
)
def test_casing_of_a_word(word: str, name: str) -> None:
    assert CASINGS[casing(word)] == name


DOCUMENTS = st.lists(st.integers(0, 1), min_size=4, max_size=4)


@settings(deadline=None)
@given(
    sentences=st.lists(st.lists(WORDS, max_size=12), min_size=4, max_size=4),
    documents=DOCUMENTS,
    max_length=LENGTHS,
    context_subwords=st.integers(1, 12),
)
def test_context_surrounds_the_sentence_within_its_document_and_the_window(
    sentences: list[list[str]], documents: list[int], max_length: int, context_subwords: int
) -> None:
    plain = WordEncoder(TOKENIZER, max_length)
    whole = {
        window.sentence: window.input_ids[1:-1].tolist()
        for window in WordEncoder(TOKENIZER, 10_000).windows(sentences)
    }
    alone = plain.windows(sentences)
    shown = WordEncoder(TOKENIZER, max_length, context_subwords=context_subwords).windows(
        sentences, documents
    )
    assert [
        (window.sentence, window.first_word, len(window.word_positions)) for window in shown
    ] == [(window.sentence, window.first_word, len(window.word_positions)) for window in alone]
    for bare, window in zip(alone, shown, strict=True):
        body = bare.input_ids[1:-1].tolist()
        start = int(window.word_positions[0])
        left, right = (
            window.input_ids[1:start].tolist(),
            window.input_ids[start + len(body) : -1].tolist(),
        )
        assert window.input_ids[start : start + len(body)].tolist() == body
        assert (window.word_positions - start == bare.word_positions - 1).all()
        assert len(window.input_ids) <= max_length
        assert max(len(left), len(right)) <= context_subwords
        if sum(other.sentence == bare.sentence for other in alone) > 1:
            assert (left, right) == ([], [])
            continue
        before, after = document_around(sentences, documents, whole, window.sentence)
        assert before[len(before) - len(left) :] == left
        assert after[: len(right)] == right
        available = min(context_subwords, len(before)) + min(context_subwords, len(after))
        assert len(left) + len(right) == min(available, max_length - 2 - len(body))


def document_around(
    sentences: list[list[str]], documents: list[int], whole: dict[int, list[int]], index: int
) -> tuple[list[int], list[int]]:
    first = last = index
    while first > 0 and documents[first - 1] == documents[index]:
        first -= 1
    while last + 1 < len(sentences) and documents[last + 1] == documents[index]:
        last += 1
    before, after = (
        [id_ for sentence in sentences_around for id_ in whole.get(sentence, [])]
        for sentences_around in (range(first, index), range(index + 1, last + 1))
    )
    return before, after


def test_context_has_the_casing_of_its_words() -> None:
    encoder = WordEncoder(TOKENIZER, 16, casing_embeddings=True, context_subwords=2)
    first, second, third = encoder.windows([["a", "AB"], ["b"], ["Ab", "c"]])
    assert second.casings is not None
    assert second.casings.tolist() == [0, 0, 2, 0, 1, 0, 0]
    assert first.casings is not None
    assert third.casings is not None
    assert len(first.casings) == len(first.input_ids)
    assert len(third.casings) == len(third.input_ids)


def test_a_long_run_of_marks_leaves_room_for_the_words_around_it() -> None:
    encoder = WordEncoder(TOKENIZER, 128)
    (window,) = encoder.windows([["a", "=" * 90, "b"]])
    assert len(window.word_positions) == 3
    assert len(window.input_ids) <= 2 + 2 + MOST_MARK_SUBWORDS
