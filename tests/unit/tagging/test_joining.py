"""Words of a corpus as running text: offsets are right, and they are cut as the served text is."""

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.tagging.cutting import cut, to_pieces
from ner_mlflow.tagging.invisible import visible
from ner_mlflow.tagging.joining import join_words
from ner_mlflow.tagging.words import split_sentences

NAMES = ["Redis", "nginx/1.25", "Redis,Nginx", "C++", "foo()", "it", "10,000", "don't", "**Redis**"]
PLAIN = [*NAMES, "crashes", "after", "2.0", "java.lang.Error", "U.S", "é", "日本", "-v"]
WORDS = st.lists(
    st.one_of(
        st.sampled_from(PLAIN),
        st.sampled_from([*".,;:!?…()[]{}“”‘’«»\"'`%", "...", "n't", "'s", "’re", "--"]),
        st.text(st.characters(exclude_categories=["Z", "Cc"]), min_size=1, max_size=8).filter(
            lambda word: word.split() == [word]
        ),
    ),
    max_size=12,
)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], ""),
        (["Redis", "."], "Redis."),
        (["Redis", ",", "Nginx", "and", "C++", "!"], "Redis, Nginx and C++!"),
        (["It", "does", "n't", "run", ",", "it", "'s", "down"], "It doesn't run, it's down"),
        (["see", "(", "the", "docs", ")", ":"], "see (the docs):"),
        (["a", "[", "1", "]", "{", "x", "}"], "a [1] {x}"),
        (["say", '"', "hello", '"', "to", '"', "me", '"'], 'say "hello" to "me"'),
        (["`", "ls", "`", "and", "'", "pwd", "'", "."], "`ls` and 'pwd'."),
        (["“", "so", "”", "«", "too", "»"], "“so” «too»"),
        (["50", "%", "of", "it", "..."], "50% of it..."),
        (["What", "??", "Oh", "!!"], "What?? Oh!!"),
        ([".", "NET"], ". NET"),
        (["n't", "it"], "n't it"),
        (["nginx/1.25", "on", "Debian"], "nginx/1.25 on Debian"),
    ],
)
def test_words_are_joined_as_running_text_has_them(words: list[str], text: str) -> None:
    assert join_words(words)[0] == text


@settings(deadline=None)
@given(WORDS)
def test_each_word_stands_at_its_offset(words: list[str]) -> None:
    text, starts = join_words(words)
    assert all(text.startswith(word, start) for word, start in zip(words, starts, strict=True))
    assert text.replace(" ", "") == "".join(words)
    assert len(text) == (starts[-1] + len(words[-1]) if words else 0)


@settings(deadline=None, max_examples=200)
@given(WORDS)
def test_pieces_keep_every_visible_character_and_belong_to_their_words_in_order(
    words: list[str],
) -> None:
    pieces, owners = to_pieces(words)
    assert len(pieces) == len(owners)
    assert owners == sorted(owners)
    assert set(owners) == set(range(len(words)))
    of_word = ["" for _ in words]
    for piece, owner in zip(pieces, owners, strict=True):
        of_word[owner] += piece
    assert list(map(visible, of_word)) == list(map(visible, words))


def test_the_pieces_of_a_sentence() -> None:
    pieces, owners = to_pieces(["(", "nginx/1.25", ")", "does", "n't", "start", "."])
    assert pieces == ["(", "nginx", "/", "1.25", ")", "does", "n't", "start", "."]
    assert owners == [0, 1, 1, 1, 2, 3, 4, 5, 6]


ORDINARY = st.lists(
    st.sampled_from(
        [
            *([name] for name in PLAIN if name not in ("U.S", "don't")),
            *(["does", "n't"], ["it", "'s"], ["Redis", "’s"]),
        ]
    ),
    min_size=1,
).map(lambda parts: list(chain.from_iterable(parts)))


def _phrase(words: list[str], wrapping: tuple[str, str] | None, end: str) -> list[str]:
    inner = [wrapping[0], *words, wrapping[1]] if wrapping else words
    return [*inner, end]


PHRASES = st.builds(
    _phrase,
    ORDINARY,
    st.sampled_from([None, ("(", ")"), ('"', '"'), ("`", "`"), ("“", "”"), ("[", "]")]),
    st.sampled_from([",", ";", ":", ".", "!", "?", "..."]),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(PHRASES, min_size=1, max_size=3))
def test_the_served_text_of_ordinary_words_has_the_pieces_of_the_words(
    phrases: list[list[str]],
) -> None:
    words = list(chain.from_iterable(phrases))
    expected, _ = to_pieces(words)
    text, _ = join_words(words)
    assert [piece for sentence in split_sentences(text) for piece in sentence.texts] == expected


@pytest.mark.parametrize(
    ("words", "served"),
    [
        # Marks that follow each other in a text are one piece, or one chunk without letters.
        (["why", ".", "."], ["why", ".."]),
        (["a", "..", "."], ["a", "..."]),
        (["the", '"', "*", '"'], ["the", '"*"']),
        (["50", "%"], ["50%"]),
    ],
)
def test_words_of_marks_alone_are_served_otherwise(words: list[str], served: list[str]) -> None:
    text, _ = join_words(words)
    assert [piece for sentence in split_sentences(text) for piece in sentence.texts] == served


def test_pieces_of_a_word_are_those_of_the_chunk() -> None:
    for word in PLAIN:
        pieces, _ = to_pieces([word])
        assert pieces == [word[start:end] for start, end in cut(word)]
