"""Knowledge distillation: what one or more trained models say about the training sentences, and about texts without labels."""

import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from ..config.schema import DistillConfig
from ..data.dataset import PreparedDataset
from ..data.sentences import TEST, TRAIN, VALIDATION, Sentence
from ..data.texts import read_texts
from ..errors import ModelError
from ..modeling.loading import open_tagger
from ..modeling.objective import Distillation
from ..paths import atomic_file, cache_folder
from ..provenance import cache_key, library_versions, step_fingerprint
from ..tagging.decoding import Iob2Decoder, by_sentence
from ..tagging.iob2 import OUTSIDE
from ..tagging.tagger import Tagger
from ..tagging.words import encodable, split_sentences
from ..tracking.models import FoundModel, find_model

log = logging.getLogger(__name__)

BATCH_SUBWORDS = 4096


@dataclass(frozen=True)
class Lesson:
    """Training sentences, the dataset's first, then confident unlabelled ones, and what the teachers say about each."""

    sentences: list[Sentence]
    distillation: Distillation | None
    metrics: dict[str, float]


def find_teachers(config: DistillConfig) -> list[FoundModel]:
    """The models whose addresses the configuration names.

    Raises:
        TrackingError, ModelError: one is not there.
    """
    return [find_model(address) for address in config.teachers]


def teach(
    config: DistillConfig, teachers: Sequence[FoundModel], dataset: PreparedDataset
) -> Lesson:
    """Ask the teachers once, or take what they said before from the cache.

    Raises:
        ModelError: a teacher has other labels than the dataset.
        DataError: the unlabelled texts cannot be read.
    """
    train = dataset.corpus[TRAIN]
    if not teachers:
        return Lesson(list(train), None, {})
    unlabelled = unlabelled_sentences(config, dataset)
    sentences = [*train, *unlabelled]
    asked = (f"{sentence.document}\t{' '.join(sentence.tokens)}" for sentence in unlabelled)
    key = cache_key(
        [
            step_fingerprint(__file__),
            library_versions(),
            *(teacher.fingerprint for teacher in teachers),
            dataset.fingerprint,
            *asked,
        ]
    )
    path = cache_folder() / "teachers" / f"{key}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(
        path.with_suffix(".lock")
    ):  # trials side by side have one lesson: one asks, the others wait
        scores = _read(path, sentences)
        if scores is None:
            scores = _ask(teachers, sentences, dataset.schema.labels)
            _write(path, scores)
        else:
            log.info("what the teacher(s) say about %d sentences is in %s", len(sentences), path)
    confident = pseudo_labelled(
        unlabelled, scores[len(train) :], dataset.schema.labels, config.confidence
    )
    kept = [*scores[: len(train)], *(scores[len(train) + index] for index, _ in confident)]
    metrics = {
        "distill/unlabelled_sentences": float(len(unlabelled)),
        "distill/confident_sentences": float(len(confident)),
    }
    return Lesson(
        [*train, *(sentence for _, sentence in confident)],
        Distillation(kept, config.weight, config.temperature),
        metrics,
    )


def _ask(
    teachers: Sequence[FoundModel], sentences: Sequence[Sentence], labels: tuple[str, ...]
) -> list[NDArray[np.float32]]:
    log.info("asking %d teacher(s) about %d sentences", len(teachers), len(sentences))
    taggers = [open_tagger(teacher.folder, BATCH_SUBWORDS) for teacher in teachers]
    for teacher, tagger in zip(teachers, taggers, strict=True):
        if tagger.labels != labels:
            raise ModelError(
                f"teacher {teacher.address} has the labels {', '.join(tagger.labels)}, not {', '.join(labels)}: give another"
            )
    return mean_log_probabilities(
        taggers,
        [sentence.tokens for sentence in sentences],
        [sentence.document for sentence in sentences],
    )


def unlabelled_sentences(config: DistillConfig, dataset: PreparedDataset) -> list[Sentence]:
    """Different sentences of the unlabelled texts that stand in no split, in order, ``config.unlabelled_limit`` at most; each with its
    text for a document, and no tag but O."""
    if not config.unlabelled:
        return []
    seen = {
        sentence.tokens for split in (TRAIN, VALIDATION, TEST) for sentence in dataset.corpus[split]
    }
    found: list[Sentence] = []
    for number, text in enumerate(read_texts(Path(config.unlabelled))):
        for sentence in split_sentences(encodable(text)):
            words = tuple(sentence.texts)
            if words not in seen:
                seen.add(words)
                found.append(
                    Sentence(words, (OUTSIDE,) * len(words), f"unlabelled {number}", "unlabelled")
                )
                if len(found) == config.unlabelled_limit:
                    return found
    return found


def mean_log_probabilities(
    taggers: Sequence[Tagger],
    sentences: Sequence[Sequence[str]],
    documents: Sequence[Hashable] | None = None,
) -> list[NDArray[np.float32]]:
    """Logarithm of the mean of the taggers' probabilities, for each sentence of shape (words, labels)."""
    by_tagger = [tagger.log_probabilities(sentences, documents) for tagger in taggers]
    return [
        np.logaddexp.reduce(scores, axis=0) - np.float32(np.log(len(taggers)))
        for scores in zip(*by_tagger, strict=True)
    ]


def pseudo_labelled(
    sentences: Sequence[Sentence],
    scores: Sequence[NDArray[np.float32]],
    labels: Sequence[str],
    confidence: float,
) -> list[tuple[int, Sentence]]:
    """Index and pseudo-labelled sentence where the probability of every word's tag is ``confidence`` or more."""
    decoder = Iob2Decoder(labels)
    kept = []
    for index, (sentence, values) in enumerate(zip(sentences, scores, strict=True)):
        ids = decoder.decode(values)
        if np.exp(values[np.arange(len(ids)), ids]).min(initial=1.0) >= confidence:
            kept.append((index, replace(sentence, tags=tuple(labels[id_] for id_ in ids))))
    return kept


def _read(path: Path, sentences: Sequence[Sentence]) -> list[NDArray[np.float32]] | None:
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        values: NDArray[np.float32] = file["log_probabilities"]
    return by_sentence(values, [len(sentence.tokens) for sentence in sentences])


def _write(path: Path, scores: Sequence[NDArray[np.float32]]) -> None:
    with atomic_file(path) as part:
        np.savez_compressed(part, log_probabilities=np.concatenate(scores))
