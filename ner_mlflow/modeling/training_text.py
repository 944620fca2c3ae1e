"""Turn a corpus into the texts that a model learns from: cut and joined as it meets them later."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from random import Random

from ..config.schema import ModelConfig, TrainConfig
from ..data.sentences import Sentence
from ..tagging.cutting import to_pieces
from ..tagging.iob2 import OUTSIDE
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
    """
    sentences = [cut_sentence(sentence) for sentence in train]
    sentences += noisy_sentences(train, types, config.noise_ratio, config.seed)
    return join_passages(
        sentences, model.passage_sentences, passage_pieces(model.max_length), config.seed
    )


def cut_sentence(sentence: Sentence) -> Sentence:
    """Return a sentence whose words are cut into pieces; the first of an entity keeps its `B-`."""
    pieces, owners = to_pieces(sentence.tokens)
    tags = [
        _inside(sentence.tags[owner])
        if number and owners[number - 1] == owner
        else sentence.tags[owner]
        for number, owner in enumerate(owners)
    ]
    return Sentence(tuple(pieces), tuple(tags), sentence.document, sentence.origin)


def _inside(tag: str) -> str:
    return tag if tag == OUTSIDE else f"I{tag[1:]}"


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
