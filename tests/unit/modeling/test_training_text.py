"""Training text: words become pieces as they are served, and sentences become passages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tagged_sentences import SENTENCES

from ner_mlflow.config.schema import ModelConfig, TrainConfig
from ner_mlflow.data.pieces import cut_sentence
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.errors import ConfigError
from ner_mlflow.modeling.training_text import SINGLE_SHARE, join_passages, training_text


def corpus(count: int) -> list[Sentence]:
    return [
        Sentence((f"w{index}", "."), (f"B-T{index % 3}", "O"), f"post {index // 5}", f"f:{index}")
        for index in range(count)
    ]


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(2, 6), st.integers(1, 20), st.integers(0, 5))
def test_passages_hold_all_pieces_in_order_within_documents_and_limits(
    count: int, most_sentences: int, most_pieces: int, seed: int
) -> None:
    sentences = corpus(count)
    joined = join_passages(sentences, most_sentences, most_pieces, seed)
    assert [pair for each in joined for pair in zip(each.tokens, each.tags, strict=True)] == [
        pair for each in sentences for pair in zip(each.tokens, each.tags, strict=True)
    ]
    words_of = {sentence.tokens[0]: sentence.document for sentence in sentences}
    for passage in joined:
        documents = {words_of[token] for token in passage.tokens if token != "."}
        assert documents == {passage.document}
        assert passage.tags.count("O") <= most_sentences
        assert len(passage.tokens) <= max(2, most_pieces)


def test_some_passages_are_read_sentence_by_sentence() -> None:
    sentences = corpus(2000)
    joined = join_passages(sentences, 5, 100, seed=1)
    apart = sum(len(passage.tokens) == 2 for passage in joined) / len(sentences)
    assert apart == pytest.approx(SINGLE_SHARE, abs=0.05)
    assert max(len(passage.tokens) for passage in joined) == 10


def test_the_seed_alone_decides_which() -> None:
    sentences = corpus(100)
    assert join_passages(sentences, 5, 100, 1) == join_passages(sentences, 5, 100, 1)
    assert join_passages(sentences, 5, 100, 1) != join_passages(sentences, 5, 100, 2)


def test_sentences_stay_as_they_are_if_a_model_reads_one_at_a_time() -> None:
    sentences = corpus(9)
    assert join_passages(sentences, 1, 100, 1) == sentences


@settings(deadline=None)
@given(st.lists(SENTENCES, max_size=6), st.integers(1, 4))
def test_a_model_learns_from_every_word_of_its_corpus(
    train: list[Sentence], passage_sentences: int
) -> None:
    learnt = training_text(
        train,
        ["A", "B"],
        ModelConfig(passage_sentences=passage_sentences),
        TrainConfig(noise_ratio=0),
    )
    pieces = [piece for sentence in train for piece in cut_sentence(sentence).tokens]
    assert [piece for sentence in learnt for piece in sentence.tokens] == pieces


def test_a_crf_does_not_learn_from_words_of_unknown_tag() -> None:
    train = [Sentence(("Use", "Foo"), ("O", "?"), origin="texts.txt:1")]
    with pytest.raises(ConfigError, match=r"texts.txt:1\): prepare the data with weak.unsure"):
        training_text(train, ["A"], ModelConfig(head="crf"), TrainConfig())


def test_noise_is_not_made_from_words_of_unknown_tag() -> None:
    sure = [Sentence(("Use", "Foo"), ("O", "B-A"))] * 3
    unsure = [Sentence(("Take", "Bar"), ("O", "?"))] * 3
    learnt = training_text([*sure, *unsure], ["A"], ModelConfig(), TrainConfig(noise_ratio=3))
    assert learnt[: len(sure) + len(unsure)] == [*sure, *unsure]
    assert not any("bar" in piece.lower() for sentence in learnt[6:] for piece in sentence.tokens)
