"""The table of sentences: it behaves like a list of them, however it is cut into batches."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ner_mlflow.data import sentences as module
from ner_mlflow.data.sentences import Sentence, Sentences, SentencesBuilder
from ner_mlflow.errors import DataError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
TAGS = st.sampled_from(["O", "B-OS", "I-OS", "B-a-b", "\U0001f427"])


@st.composite
def one_sentence(draw: st.DrawFn) -> Sentence:
    words = draw(st.lists(st.tuples(TEXT, TAGS), max_size=4))
    tokens = tuple(token for token, _ in words)
    has_text = draw(st.booleans())
    starts = np.cumsum([0, *(len(token) + 1 for token in tokens)])[:-1].tolist()
    return Sentence(
        tokens,
        tuple(tag for _, tag in words),
        draw(st.one_of(st.none(), TEXT)),
        draw(TEXT),
        " ".join(tokens) if has_text else None,
        tuple(starts) if has_text else None,
    )


LISTS = st.lists(one_sentence(), max_size=12)
check = settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=[(2, True), (3, False), (16_384, True)])
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of few sentences and of many, with sentences kept as objects and without."""
    batch, is_cached = request.param
    monkeypatch.setattr(module, "BATCH_SENTENCES", batch)
    if not is_cached:
        monkeypatch.setattr(module, "CACHED_SENTENCES", -1)


pytestmark = pytest.mark.usefixtures("sizes")


@check
@given(LISTS)
def test_it_holds_the_sentences_in_order(plain: list[Sentence]) -> None:
    table = Sentences.of(plain)
    assert len(table) == len(plain)
    assert list(table) == plain
    assert list(table) == plain  # again, from the cache
    assert list(reversed(table)) == plain[::-1]
    assert table == plain
    assert table == tuple(plain)
    assert table == Sentences.of(iter(plain))
    assert Sentences.of(table) is table


@check
@given(LISTS.filter(bool), one_sentence())
def test_it_differs_from_other_sentences(plain: list[Sentence], other: Sentence) -> None:
    table = Sentences.of(plain)
    assert table != plain[:-1]
    assert table != [*plain, other]
    assert (table == [*plain[:-1], other]) == (plain[-1] == other)
    assert table != "text"


@check
@given(LISTS)
def test_indexing_is_that_of_a_list(plain: list[Sentence]) -> None:
    table = Sentences.of(plain)
    assert [table[number] for number in range(-len(plain), len(plain))] == plain + plain
    for number in (len(plain), -len(plain) - 1):
        with pytest.raises(IndexError):
            table[number]


BOUND = st.one_of(st.none(), st.integers(-14, 14))


@check
@given(LISTS, BOUND, BOUND, st.one_of(st.none(), st.integers(-4, 4).filter(bool)))
def test_slices_are_those_of_a_list(
    plain: list[Sentence], start: int | None, stop: int | None, step: int | None
) -> None:
    part = Sentences.of(plain)[start:stop:step]
    expected = plain[start:stop:step]
    assert isinstance(part, Sentences)
    assert list(part) == expected
    assert len(part) == len(expected)
    assert [part[number] for number in range(len(part))] == expected


@st.composite
def selection(draw: st.DrawFn) -> tuple[list[Sentence], list[int]]:
    plain = draw(LISTS.filter(bool))
    return plain, draw(st.lists(st.integers(0, len(plain) - 1), max_size=15))


def check_counts(table: Sentences, plain: list[Sentence]) -> None:
    """Check lengths, numbers of tags, and which sentences share a document."""
    assert table.lengths().tolist() == [len(sentence.tokens) for sentence in plain]
    assert table.count_tags() == Counter(tag for sentence in plain for tag in sentence.tags)
    documents = [
        sentence.document if sentence.document is not None else row
        for row, sentence in enumerate(plain)
    ]
    ids = table.document_ids().tolist()
    assert len(set(ids)) == len(set(documents)) == len(set(zip(ids, documents, strict=True)))
    assert sorted(set(ids)) == list(range(len(set(ids))))


@check
@given(selection(), st.data())
def test_a_selection_is_a_table_of_its_own(
    case: tuple[list[Sentence], list[int]], data: st.DataObject
) -> None:
    plain, rows = case
    taken = Sentences.of(plain).take(rows)
    expected = [plain[row] for row in rows]
    assert list(taken) == taken == expected
    check_counts(taken, expected)
    if rows:
        again = data.draw(st.lists(st.integers(0, len(rows) - 1)))
        assert taken.take(again) == [expected[row] for row in again]


def change_tags(
    sentence: Sentence, change: Callable[[tuple[str, ...]], tuple[str, ...]]
) -> Sentence:
    return Sentence(
        sentence.tokens,
        change(sentence.tags),
        sentence.document,
        sentence.origin,
        sentence.text,
        sentence.starts,
    )


@check
@given(selection())
def test_tags_are_renamed_and_equal_names_become_one(
    case: tuple[list[Sentence], list[int]],
) -> None:
    plain, rows = case
    for table, expected in (
        (Sentences.of(plain), plain),
        (Sentences.of(plain).take(rows), [plain[row] for row in rows]),
    ):
        renamed = table.rename_tags(lambda tag: tag[:1])
        assert list(renamed) == [
            change_tags(sentence, lambda tags: tuple(tag[:1] for tag in tags))
            for sentence in expected
        ]
        assert len(set(renamed.tag_names)) == len(renamed.tag_names)
        assert list(table) == expected


@check
@given(LISTS)
def test_tags_are_mapped_batch_by_batch_with_the_begin_of_each_sentence(
    plain: list[Sentence],
) -> None:
    def mark(
        tags: module.TagIds, starts: np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> module.TagIds:
        marked = np.zeros(len(tags), dtype=np.int16)
        marked[starts[starts < len(tags)]] = 1
        return marked

    marked = Sentences.of(plain).map_tags(mark, ["later", "first"])
    assert list(marked) == [
        change_tags(sentence, lambda tags: ("first", *["later"] * (len(tags) - 1))[: len(tags)])
        for sentence in plain
    ]


@check
@given(LISTS)
def test_flat_tags_are_the_tags_of_whole_sentences(plain: list[Sentence]) -> None:
    table = Sentences.of(plain)
    found = []
    for first, ids, starts in table.flat_tags():
        assert first == len(found)
        ends = [*starts[1:], len(ids)]
        for start, end in zip(starts, ends, strict=True):
            found.append(tuple(table.tag_names[number] for number in ids[start:end]))
    assert found == [sentence.tags for sentence in plain]


@check
@given(LISTS, st.sets(TAGS))
def test_tags_and_documents_are_found(plain: list[Sentence], names: set[str]) -> None:
    table = Sentences.of(plain)
    assert list(table.find_tags(names)) == [
        (sentence, position)
        for sentence in plain
        for position, tag in enumerate(sentence.tags)
        if tag in names
    ]
    check_counts(table, plain)
    assert list(table.count_tags()) == list(table.tag_names)


@check
@given(LISTS)
def test_origins_are_places_and_positions(plain: list[Sentence]) -> None:
    builder = SentencesBuilder()
    for line, sentence in enumerate(plain):
        builder.append(sentence.tokens, sentence.tags, "train.conll:", line)
    table = builder.finish()
    assert [sentence.origin for sentence in table] == [
        f"train.conll:{line}" for line in range(len(plain))
    ]
    assert {(sentence.document, sentence.text, sentence.starts) for sentence in table} <= {
        (None, None, None)
    }


def test_an_empty_table_is_an_empty_list() -> None:
    table = Sentences.of([])
    assert list(table) == table == []
    assert not table
    assert table[:3] == []
    assert table.take([]) == []
    assert list(table.find_tags(["O"])) == []
    check_counts(table, [])


def test_more_tags_than_any_corpus_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TAGS", 3)
    builder = SentencesBuilder()

    def append() -> None:
        for line in range(9):
            builder.append(["w"], [f"word {line}"], "train.conll:", line)

    message = "train.conll:4: more than 3 different tags, so not a column of tags: choose another"
    with pytest.raises(DataError, match=message):
        append()


@pytest.mark.parametrize(
    ("token", "tag", "document"),
    [("\ud800", "O", None), ("a", "B-\udfff", None), ("a", "O", "post \ud800")],
)
def test_half_a_surrogate_pair_is_refused_with_its_place(
    token: str, tag: str, document: str | None
) -> None:
    builder = SentencesBuilder()
    builder.append(["first"], ["O"], "train.jsonl:", 1)
    with pytest.raises(DataError, match=r"train\.jsonl:2: .* holds half of a surrogate pair"):
        add_and_finish(builder, token, tag, document)


def add_and_finish(
    builder: SentencesBuilder, token: str, tag: str, document: str | None
) -> Sentences:
    builder.append([token], [tag], "train.jsonl:", 2, document)
    return builder.finish()
