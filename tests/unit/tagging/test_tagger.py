"""The tagger, over logits that are a known function of the input: batches must not show."""

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from backbones import wordpiece
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ner_mlflow.errors import ModelError
from ner_mlflow.tagging.decoding import Iob2Decoder, Transitions, log_softmax
from ner_mlflow.tagging.encoding import Inputs
from ner_mlflow.tagging.iob2 import invalid_positions, to_entities
from ner_mlflow.tagging.passages import passage_pieces, passages
from ner_mlflow.tagging.recognizer import EntityRecognizer
from ner_mlflow.tagging.tagger import Forward, Tagged, Tagger, TaggerSpec

LABELS = ("O", "B-OS", "I-OS", "B-ERROR", "I-ERROR")
LETTERS = "abcdefghijklmnop"
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
VOCABULARY = {
    piece: id_
    for id_, piece in enumerate([*SPECIALS, *LETTERS, *(f"##{letter}" for letter in LETTERS)])
}
TABLE = np.random.default_rng(5).integers(-40, 40, size=(len(VOCABULARY), len(LABELS)))
SPEC = TaggerSpec(
    LABELS,
    max_length=16,
    pad_id=0,
    backbone="tiny",
    backbone_revision="main",
    base_sha256="ab" * 32,
    adaptation="full",
)
RANDOM = np.random.default_rng(11)
SENTENCES = [
    [
        "".join(RANDOM.choice(list(LETTERS), RANDOM.integers(1, 6)))
        for _ in range(RANDOM.integers(0, 40))
    ]
    for _ in range(60)
]
SENTENCES.insert(7, [])


TOKENIZER = wordpiece(VOCABULARY)


def by_subword(inputs: Inputs) -> NDArray[np.float32]:
    return TABLE[inputs["input_ids"]].astype(np.float32) / 8


def by_window(inputs: Inputs) -> NDArray[np.float32]:
    """Return logits that depend on the whole window, as an encoder's do.

    They come from sums of integers, so that the order of summation does not show.
    """
    context = (inputs["input_ids"] * inputs["attention_mask"]).sum(axis=1, keepdims=True)
    return TABLE[(inputs["input_ids"] + context) % len(TABLE)].astype(np.float32) / 8


def same(first: list[Tagged], second: list[Tagged]) -> bool:
    return all(
        a.tags == b.tags and np.array_equal(a.probabilities, b.probabilities)
        for a, b in zip(first, second, strict=True)
    )


def test_the_sentences_of_these_tests_take_several_windows_and_repairs() -> None:
    assert max(map(len, SENTENCES)) > 30
    assert [] in SENTENCES
    best = [[LABELS[TABLE[VOCABULARY[word[0]]].argmax()] for word in words] for words in SENTENCES]
    assert any(invalid_positions(tags) for tags in best)


def test_tags_and_probabilities_are_those_of_the_words_first_subwords() -> None:
    tagged = Tagger(by_subword, TOKENIZER, SPEC).tag(SENTENCES)
    assert len(tagged) == len(SENTENCES)
    for words, sentence in zip(SENTENCES, tagged, strict=True):
        scores = log_softmax(
            TABLE[[VOCABULARY[word[0]] for word in words]]
            .reshape(-1, len(LABELS))
            .astype(np.float32)
            / 8
        )
        ids = Iob2Decoder(LABELS).decode(scores)
        assert sentence.tags == [LABELS[id_] for id_ in ids]
        np.testing.assert_allclose(
            sentence.probabilities, np.exp(scores[np.arange(len(ids)), ids]), rtol=1e-6
        )


@pytest.mark.parametrize("batch_subwords", [1, 16, 33, 200, 10_000])
def test_predictions_do_not_depend_on_the_size_of_batches(batch_subwords: int) -> None:
    assert same(
        Tagger(by_window, TOKENIZER, SPEC, batch_subwords).tag(SENTENCES),
        Tagger(by_window, TOKENIZER, SPEC).tag(SENTENCES),
    )


@pytest.mark.parametrize(
    "spec",
    {
        "plain": SPEC,
        "thresholds": replace(SPEC, thresholds={"OS": 0.9, "ERROR": 0.6}),
        "neighbours": replace(SPEC, passage_sentences=3, context_subwords=4),
        "transitions": replace(SPEC, transitions=Transitions((1.0,) * 5, ((0.5,) * 5,) * 5)),
    }.values(),
    ids=["plain", "thresholds", "neighbours", "transitions"],
)
def test_the_entities_of_a_sentence_are_those_of_its_tags(spec: TaggerSpec) -> None:
    tagger = Tagger(by_window, TOKENIZER, spec)
    found = 0
    for words in filter(None, [*SENTENCES, *(words[:4] for words in SENTENCES)]):
        (tagged,) = tagger.begin([words]).result()
        expected = [(entity, tagged.confidence(entity)) for entity in to_entities(tagged.tags)]
        assert tagger.entities(words) == expected
        found += len(expected)
    assert found > 100


def test_a_sentence_of_words_that_are_outside_has_no_entities() -> None:
    def outside(inputs: Inputs) -> NDArray[np.float32]:
        return np.eye(len(LABELS), dtype=np.float32)[np.zeros_like(inputs["input_ids"])]

    assert Tagger(outside, TOKENIZER, SPEC).entities(["ab", "c"]) == []


@pytest.mark.parametrize(("context_subwords", "times"), [(0, 1), (4, 3)])
def test_a_sentence_that_comes_again_is_computed_once_unless_its_neighbours_count(
    context_subwords: int, times: int
) -> None:
    rows = 0

    def counted(inputs: Inputs) -> NDArray[np.float32]:
        nonlocal rows
        rows += len(inputs["input_ids"])
        return by_window(inputs)

    short = list({tuple(words[:2]): None for words in SENTENCES if words})
    spec = replace(SPEC, context_subwords=context_subwords)
    tagged = Tagger(counted, TOKENIZER, spec).tag([*short, *short, *short])
    assert rows == times * len(short)
    alone = [Tagger(by_window, TOKENIZER, SPEC).tag([words])[0] for words in short] * 3
    # Neighbours change the logits of by_window, so a sentence computed alone differs.
    assert same(tagged, alone) is (context_subwords == 0)


def test_batches_that_a_long_sentence_repeats_are_computed_once() -> None:
    rows = 0

    def counted(inputs: Inputs) -> NDArray[np.float32]:
        nonlocal rows
        rows += len(inputs["input_ids"])
        return by_window(inputs)

    long = list("abcd") * 500
    tagged = Tagger(counted, TOKENIZER, SPEC, batch_subwords=32).tag([long])
    assert rows < len(long) / 16 / 4
    (whole,) = Tagger(by_window, TOKENIZER, SPEC, batch_subwords=1).tag([long])
    assert same(tagged, [whole])
    changed = [*long[:1000], "p", *long[1001:]]
    assert (
        Tagger(counted, TOKENIZER, SPEC).tag([changed])[0].tags[990:1010] != (whole.tags[990:1010])
    )


def test_the_confidence_of_an_entity_is_the_mean_of_its_tags() -> None:
    probabilities = np.array([0.5, 0.25, 0.75, 0.125], dtype=np.float32)
    tagged = Tagged(["B-OS", "B-OS", "I-OS", "O"], probabilities)
    assert [tagged.confidence(entity) for entity in to_entities(tagged.tags)] == [0.5, 0.5]


class InThreads:
    """Two workers with a forward function of their own."""

    workers = 2

    def __init__(self, forward: Forward = by_window) -> None:
        self.executor = ThreadPoolExecutor(self.workers)
        self.forward = forward
        self.batches = 0

    def submit(
        self, work: Callable[[Forward], list[NDArray[np.float32]]]
    ) -> Future[list[NDArray[np.float32]]]:
        self.batches += 1
        return self.executor.submit(work, self.forward)


def test_many_batches_go_to_the_workers_and_few_do_not() -> None:
    executor = InThreads()
    tagger = Tagger(by_window, TOKENIZER, SPEC, 100, executor)
    assert same(tagger.tag(SENTENCES), Tagger(by_window, TOKENIZER, SPEC, 100).tag(SENTENCES))
    assert executor.batches > 2
    sent = executor.batches
    tagger.tag(SENTENCES[:1])
    assert executor.batches == sent


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.booleans())
def test_results_are_read_in_any_order_and_more_than_once(
    reads: list[int], in_threads: bool
) -> None:
    executor = InThreads() if in_threads else None
    tagger = Tagger(by_window, TOKENIZER, SPEC, 100, executor)
    parts = [SENTENCES[:1], SENTENCES[1:30], SENTENCES[30:], []]
    pending = [tagger.begin(part) for part in parts]
    expected = [Tagger(by_window, TOKENIZER, SPEC).tag(part) for part in parts]
    assert all(same(pending[index].result(), expected[index]) for index in reads)
    if executor:
        executor.executor.shutdown()


def test_an_error_on_a_worker_reaches_the_caller_each_time() -> None:
    def broken(inputs: Inputs) -> NDArray[np.float32]:
        raise MemoryError("no room")

    pending = Tagger(by_window, TOKENIZER, SPEC, 100, InThreads(broken)).begin(SENTENCES)
    for _ in range(2):
        with pytest.raises(MemoryError, match="no room"):
            pending.result()


def test_an_error_on_a_worker_reaches_the_reader_of_texts() -> None:
    def broken(inputs: Inputs) -> NDArray[np.float32]:
        raise MemoryError("no room")

    tagger = Tagger(by_window, TOKENIZER, SPEC, 16, InThreads(broken))
    with pytest.raises(MemoryError, match="no room"):
        EntityRecognizer(tagger).recognize_rows([" ".join(words) for words in SENTENCES])


def test_predictions_do_not_depend_on_the_order_of_sentences() -> None:
    tagger = Tagger(by_window, TOKENIZER, SPEC, batch_subwords=100)
    assert same(tagger.tag(SENTENCES[::-1])[::-1], tagger.tag(SENTENCES))


def test_predictions_do_not_depend_on_the_other_sentences() -> None:
    tagger = Tagger(by_window, TOKENIZER, SPEC, batch_subwords=100)
    together = tagger.tag(SENTENCES)
    assert all(
        same(tagger.tag([words]), [tagged])
        for words, tagged in zip(SENTENCES, together, strict=True)
        if words
    )


BY_LETTER = {"a": "B-OS", "b": "I-OS", "d": "B-ERROR", "e": "I-ERROR"}
"""What the model of these tests says of the pieces of words; of all other pieces it says O."""


def by_letter(inputs: Inputs) -> NDArray[np.float32]:
    logits = np.zeros((*inputs["input_ids"].shape, len(LABELS)), np.float32)
    logits[..., 0] = 5
    for letter, label in BY_LETTER.items():
        logits[inputs["input_ids"] == VOCABULARY[letter], LABELS.index(label)] = 10
    return logits


@pytest.mark.parametrize(
    ("words", "tags"),
    [
        (["c", "a", "b"], ["O", "B-OS", "I-OS"]),
        (["a/c", "c"], ["B-OS", "O"]),
        (["c/c/a", "c"], ["B-OS", "O"]),
        (["(a)", "d"], ["B-OS", "B-ERROR"]),
        # Of two entities in one word, that of more words stays, then the first.
        (["a/d"], ["B-OS"]),
        (["a", "b/d"], ["B-OS", "I-OS"]),
        (["a/d", "e"], ["B-ERROR", "I-ERROR"]),
        (["d/a", "b"], ["B-OS", "I-OS"]),
        (["a", "b/d", "e"], ["B-OS", "I-OS", "O"]),
    ],
)
def test_an_entity_of_a_part_of_a_word_covers_the_word(words: list[str], tags: list[str]) -> None:
    (tagged,) = Tagger(by_letter, TOKENIZER, SPEC).tag([words])
    assert tagged.tags == tags
    assert len(tagged.probabilities) == len(words)


def test_the_probability_of_a_word_is_the_mean_of_its_pieces() -> None:
    tagger = Tagger(by_letter, TOKENIZER, SPEC)
    (pieces,) = tagger.begin([["a", "/", "c"]]).result()
    (word,) = tagger.tag([["a/c"]])
    assert pieces.tags == ["B-OS", "O", "O"]
    np.testing.assert_allclose(word.probabilities, [pieces.probabilities.mean()], rtol=1e-6)


CUT_WORDS = st.lists(
    st.lists(st.sampled_from("abcdefgh/,.:(=@-"), min_size=1, max_size=7).map("".join), max_size=12
)


@pytest.mark.parametrize("forward", [by_letter, by_subword, by_window])
@settings(deadline=None, max_examples=60)
@given(st.lists(CUT_WORDS, max_size=4))
def test_words_of_any_pieces_have_valid_tags_and_probabilities(
    forward: Forward, sentences: list[list[str]]
) -> None:
    tagged = Tagger(forward, TOKENIZER, SPEC).tag(sentences)
    assert [len(one.tags) for one in tagged] == list(map(len, sentences))
    for one in tagged:
        assert len(one.probabilities) == len(one.tags)
        assert invalid_positions(one.tags) == []
        assert ((one.probabilities > 0) & (one.probabilities <= 1)).all()


def grouped(sentences: list[list[str]], documents: list[int] | None) -> list[range]:
    return list(passages(list(map(len, sentences)), documents, 3, passage_pieces(SPEC.max_length)))


@pytest.mark.parametrize("with_documents", [True, False])
@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from(["a", "bc", "d"]), max_size=6), st.integers(0, 1)),
        max_size=12,
    )
)
def test_the_sentences_of_a_passage_are_scored_as_one(
    with_documents: bool, rows: list[tuple[list[str], int]]
) -> None:
    sentences = [words for words, _ in rows]
    documents = [document for _, document in rows] if with_documents else None
    tagger = Tagger(by_window, TOKENIZER, replace(SPEC, passage_sentences=3))
    scores = tagger.log_probabilities(sentences, documents)
    alone = Tagger(by_window, TOKENIZER, SPEC)
    for group in grouped(sentences, documents):
        whole = [word for index in group for word in sentences[index]]
        (expected,) = alone.log_probabilities([whole])
        assert [len(scores[index]) for index in group] == [len(sentences[index]) for index in group]
        np.testing.assert_array_equal(np.concatenate([scores[index] for index in group]), expected)


def test_tags_of_passages_are_valid_in_each_sentence() -> None:
    tagger = Tagger(by_window, TOKENIZER, replace(SPEC, passage_sentences=4))
    tagged = tagger.tag(SENTENCES)
    assert [len(one.tags) for one in tagged] == list(map(len, SENTENCES))
    assert all(invalid_positions(one.tags) == [] for one in tagged)


def test_a_passage_that_comes_again_is_computed_once() -> None:
    rows = 0

    def counted(inputs: Inputs) -> NDArray[np.float32]:
        nonlocal rows
        rows += len(inputs["input_ids"])
        return by_window(inputs)

    tagger = Tagger(counted, TOKENIZER, replace(SPEC, passage_sentences=2))
    post = [["a", "b"], ["c"]]
    tagged = tagger.tag([*post, *post, *post], [1, 1, 2, 2, 3, 3])
    assert rows == 1
    assert same(tagged[:2] * 3, tagged)


def test_predictions_do_not_depend_on_the_padding_id() -> None:
    other = Tagger(by_window, TOKENIZER, replace(SPEC, pad_id=9))
    assert same(other.tag(SENTENCES), Tagger(by_window, TOKENIZER, SPEC).tag(SENTENCES))


def test_predictions_depend_on_the_context() -> None:
    tagger = Tagger(by_window, TOKENIZER, SPEC)
    first, second = tagger.log_probabilities([["a", "b"], ["a", "c"]])
    assert not np.array_equal(first[0], second[0])


@pytest.mark.parametrize("batch_subwords", [1, 40, 10_000])
def test_forward_sees_bounded_padded_batches_and_their_mask(batch_subwords: int) -> None:
    calls = []

    def forward(inputs: Inputs) -> NDArray[np.float32]:
        calls.append((inputs["input_ids"], inputs["attention_mask"]))
        return by_subword(inputs)

    Tagger(forward, TOKENIZER, replace(SPEC, pad_id=9), batch_subwords).tag(SENTENCES)
    for ids, mask in calls:
        assert ids.shape == mask.shape
        assert len(ids) == 1 or ids.size <= batch_subwords
        assert ids.shape[1] <= SPEC.max_length
        assert (ids[mask == 0] == 9).all()
        assert ((ids == 3).sum(axis=1) == 1).all()


def test_a_long_sentence_has_a_tag_for_each_word() -> None:
    words = [LETTERS[index % len(LETTERS)] * (1 + index % 20) for index in range(500)]
    (tagged,) = Tagger(by_window, TOKENIZER, SPEC).tag([words])
    assert len(tagged.tags) == len(tagged.probabilities) == 500
    assert invalid_positions(tagged.tags) == []


@pytest.mark.parametrize("forward", [by_subword, by_window])
def test_tags_are_valid_and_probabilities_are_probabilities(forward: Forward) -> None:
    for tagged in Tagger(forward, TOKENIZER, SPEC).tag(SENTENCES):
        assert invalid_positions(tagged.tags) == []
        assert ((tagged.probabilities > 0) & (tagged.probabilities <= 1)).all()


def test_log_probabilities_of_a_word_sum_to_one() -> None:
    for scores in Tagger(by_window, TOKENIZER, SPEC).log_probabilities(SENTENCES):
        np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, rtol=1e-5)


def test_no_sentences_have_no_tags() -> None:
    assert Tagger(by_window, TOKENIZER, SPEC).tag([]) == []


def test_a_sentence_without_words_has_no_tags() -> None:
    first, second = Tagger(by_window, TOKENIZER, SPEC).tag([[], ["a"]])
    assert (first.tags, len(first.probabilities), len(second.tags)) == ([], 0, 1)


@pytest.mark.parametrize("sentences", [[[]], [[], []]])
def test_only_sentences_without_words_have_no_tags(sentences: list[list[str]]) -> None:
    assert [
        tagged.tags for tagged in Tagger(by_window, TOKENIZER, SPEC).tag(sentences)
    ] == sentences


def test_words_that_no_vocabulary_holds_are_tagged_too() -> None:
    (tagged,) = Tagger(by_window, TOKENIZER, SPEC).tag([["zzz", "\u200b", "é", " "]])
    assert len(tagged.tags) == 4


def test_a_spec_names_its_types_in_label_order() -> None:
    assert SPEC.types == ("OS", "ERROR")


def test_a_saved_spec_loads_as_it_was(tmp_path: Path) -> None:
    spec = replace(SPEC, labels=("O", "B-Größe", "I-Größe"), backbone="größe/\u2028", pad_id=7)
    spec = replace(spec, kept_layers=(0, 2, 5))
    spec.save(tmp_path)
    assert TaggerSpec.load(tmp_path) == spec
    assert [path.name for path in tmp_path.iterdir()] == ["ner_model.json"]


def test_a_folder_without_a_spec_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"no ner_model.json, so not a model of this platform"
    ) as caught:
        TaggerSpec.load(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"format": 2, "labels": ["O"]}),
        json.dumps({"labels": ["O"]}),
        "{",
        "[]",
        '{"format": 2}',
        json.dumps({"format": 3, **asdict(SPEC), "kept_layers": ["0"]}),
    ],
)
def test_a_spec_of_another_format_is_refused_on_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / TaggerSpec.FILE).write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match="train the model again") as caught:
        TaggerSpec.load(tmp_path)
    assert "ner_model.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_spec_that_would_fill_the_memory_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / TaggerSpec.FILE).open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ModelError, match=r"ner_model.json: has 1,099,511,627,776 bytes, and"):
        TaggerSpec.load(tmp_path)


def test_forward_gets_the_casing_of_words_if_the_model_has_casing_embeddings() -> None:
    calls: list[Inputs] = []

    def forward(inputs: Inputs) -> NDArray[np.float32]:
        calls.append(inputs)
        return by_subword(inputs)

    Tagger(forward, TOKENIZER, SPEC).tag([["ab", "Ab"]])
    Tagger(forward, TOKENIZER, replace(SPEC, casing_embeddings=True)).tag([["ab", "Ab"], ["AB"]])
    without, with_casings = calls
    assert "token_type_ids" not in without
    assert with_casings["token_type_ids"].shape == with_casings["input_ids"].shape
    assert with_casings["token_type_ids"].max() == 2
