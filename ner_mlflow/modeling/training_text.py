"""Turn a corpus into the texts that a model learns from: cut and joined as it meets them later."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from random import Random

from ..config.schema import ModelConfig, TrainConfig
from ..data.pieces import cut_sentence
from ..data.sentences import Sentence
from ..errors import ConfigError
from ..tagging.iob2 import UNSURE
from ..tagging.passages import passage_pieces, passages
from .noise import noisy_sentences

SINGLE_SHARE = 0.3
"""Share of the passages that a model reads sentence by sentence, as it does short texts."""


def training_text(
    train: Sequence[Sentence], types: Sequence[str], model: ModelConfig, config: TrainConfig
) -> list[Sentence]:
    """Return the sentences that a model learns from: those of train in pieces, noise, and passages.

    Args:
        train: the training sentences, in words.
        types: the entity types of the dataset.
        model: how many sentences the model reads at once.
        config: the share of noise, and the seed.

    Raises:
        ConfigError: a CRF would have to learn from words whose tag is unknown.
    """
    if model.head == "crf" and (
        unsure := next((sentence for sentence in train if UNSURE in sentence.tags), None)
    ):
        raise ConfigError(
            f"model.head=crf learns from whole sentences, but train holds words of unknown tag "
            f"({unsure.origin}): prepare the data with weak.unsure=outside, or set "
            "model.head=softmax"
        )
    sentences = [cut_sentence(sentence) for sentence in train]
    sentences += noisy_sentences(train, types, config.noise_ratio, config.seed)
    return join_passages(
        sentences, model.passage_sentences, passage_pieces(model.max_length), config.seed
    )


def join_passages(
    sentences: Sequence[Sentence], most_sentences: int, most_pieces: int, seed: int
) -> list[Sentence]:
    """Return the passages of sentences that are cut into pieces, each as one sentence.

    Args:
        sentences: in the order of the corpus; neighbours of one document are joined.
        most_sentences: largest number of sentences in a passage.
        most_pieces: largest number of pieces in a passage of several sentences.
        seed: chooses the passages that stay apart.
    """
    if most_sentences == 1:
        return list(sentences)
    random = Random(seed)
    return list(
        chain.from_iterable(
            (sentences[index] for index in group)
            if random.random() < SINGLE_SHARE
            else (_join([sentences[index] for index in group]),)
            for group in passages(
                [len(sentence.tokens) for sentence in sentences],
                [sentence.document for sentence in sentences],
                most_sentences,
                most_pieces,
            )
        )
    )


def _join(sentences: Sequence[Sentence]) -> Sentence:
    return replace(
        sentences[0],
        tokens=tuple(chain.from_iterable(sentence.tokens for sentence in sentences)),
        tags=tuple(chain.from_iterable(sentence.tags for sentence in sentences)),
    )
