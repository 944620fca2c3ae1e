"""Training batches: windows, their labels and the teachers' scores on the right subwords."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from ner_mlflow.config.loading import load_config
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.modeling.dataset import (
    TEACHER,
    Collator,
    TrainingData,
    WindowDataset,
    batch_sampler,
)
from ner_mlflow.modeling.objective import Distillation
from ner_mlflow.tagging.encoding import IGNORED, WordEncoder
from ner_mlflow.tagging.label_schema import LabelSchema

SCHEMA = LabelSchema(("OS",))
LONG = Sentence(
    tuple(f"Linux{number}" for number in range(12)), ("B-OS", "O", "I-OS", "O") * 3, "a"
)
SHORT = Sentence(("use", "Linux"), ("O", "B-OS"), "b")
MAX_LENGTH = 24


@pytest.fixture
def encoder(tiny_backbone: Path) -> WordEncoder:
    tokenizer = Tokenizer.from_file(str(tiny_backbone / "tokenizer.json"))
    return WordEncoder(tokenizer, MAX_LENGTH, False, 0)


def teacher_scores(sentence: Sentence) -> np.ndarray:
    """Return scores that name their word: all labels of word i have score i + 1."""
    words = np.arange(1, len(sentence.tokens) + 1, dtype=np.float32)
    return np.tile(words[:, None], (1, len(SCHEMA.labels)))


def test_each_word_has_its_label_and_its_teacher_score(encoder: WordEncoder) -> None:
    sentences = [LONG, SHORT]
    distillation = Distillation([teacher_scores(sentence) for sentence in sentences], 0.5, 1.0)
    dataset = WindowDataset(encoder, TrainingData(sentences, [], SCHEMA, distillation))
    assert len(dataset) > 2  # the long sentence has several windows
    batch = Collator(pad_id=0)([dataset[index] for index in range(len(dataset))])
    length = max(len(window.input_ids) for window in dataset.windows)
    assert batch["input_ids"].shape == batch["labels"].shape == (len(dataset), length)
    assert batch[TEACHER].shape == (len(dataset), length, len(SCHEMA.labels))
    for row, window in enumerate(dataset.windows):
        sentence = sentences[window.sentence]
        words = range(window.first_word, window.first_word + len(window.word_positions))
        labels, scores = batch["labels"][row].numpy(), batch[TEACHER][row].numpy()
        assert labels[window.word_positions].tolist() == [
            SCHEMA.ids[sentence.tags[word]] for word in words
        ]
        assert scores[window.word_positions, 0].tolist() == [word + 1 for word in words]
        others = np.setdiff1d(np.arange(length), window.word_positions)
        assert (labels[others] == IGNORED).all()
        assert (scores[others] == 0).all()


def test_without_teachers_a_batch_has_no_scores(encoder: WordEncoder) -> None:
    dataset = WindowDataset(encoder, TrainingData([SHORT], [], SCHEMA))
    assert set(Collator(0)([dataset[0]])) == {"input_ids", "attention_mask", "labels"}


def test_words_of_unknown_tag_have_no_label(encoder: WordEncoder) -> None:
    sentence = Sentence(("use", "Linux", "now"), ("O", "?", "O"))
    dataset = WindowDataset(encoder, TrainingData([sentence], [], SCHEMA))
    window, labels = dataset.windows[0], dataset.labels[0]
    assert labels[window.word_positions].tolist() == [SCHEMA.ids["O"], IGNORED, SCHEMA.ids["O"]]


def test_the_batches_cover_all_windows_or_are_left_to_the_trainer(encoder: WordEncoder) -> None:
    sentences = [LONG, SHORT] * 8
    dataset = WindowDataset(encoder, TrainingData(sentences, [], SCHEMA))
    sampler = batch_sampler(dataset, sentences, load_config().train)
    assert sampler is not None
    assert sorted(index for batch in sampler for index in batch) == list(range(len(dataset)))
    by_sentences = load_config(overrides={"train.batching": "sentences"}).train
    assert batch_sampler(dataset, sentences, by_sentences) is None
