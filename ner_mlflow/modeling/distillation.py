"""Compute what a student learns from its teachers (knowledge distillation).

Teachers predict the labels of the training sentences, and of sentences from unlabelled texts.
"""

import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from ..atomic import atomic_file
from ..config.schema import DistillConfig
from ..data.dataset import PreparedDataset
from ..data.sentences import TEST, TRAIN, VALIDATION, Sentence
from ..data.texts import read_texts
from ..paths import cache_folder
from ..provenance import cache_key, library_versions, step_fingerprint
from ..redaction import one_line
from ..tagging.decoding import Iob2Decoder, by_sentence
from ..tagging.ensemble import mean_log_probabilities
from ..tagging.iob2 import OUTSIDE
from ..tagging.words import split_sentences
from .cache import TrainingCache
from .loading import Teacher, open_teachers
from .objective import Distillation

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DistillationTargets:
    """The sentences that a student trains on, with the teachers' predictions.

    Attributes:
        sentences: the training sentences, then confident unlabelled ones with the
            teachers' tags.
        distillation: the teachers' log-probabilities for each of these sentences.
        metrics: ``distill/unlabelled_sentences`` and ``distill/confident_sentences``.
    """

    sentences: list[Sentence]
    distillation: Distillation
    metrics: dict[str, float]


def distillation_targets(
    config: DistillConfig,
    teachers: Sequence[Teacher],
    dataset: PreparedDataset,
    train: Sequence[Sentence],
    cache: TrainingCache | None = None,
) -> DistillationTargets:
    """Return the targets, with the teachers' predictions from the cache on this disk if possible.

    Args:
        config: the settings.
        teachers: one model or more; their probabilities are averaged.
        dataset: the dataset that the student trains on.
        train: its training sentences in pieces, as the student learns from them.
        cache: the targets of earlier trainings of this process on this dataset.

    Raises:
        ModelError: a teacher's labels differ from the dataset's.
        DataError: the unlabelled texts cannot be read.
    """
    if cache is None:
        return _compute_targets(config, teachers, dataset, train)
    # Weight and temperature change the loss, not the predictions.
    shared = config.model_copy(update={"weight": 0.0, "temperature": 1.0})
    key = cache_key(
        [
            shared.model_dump_json(),
            *(teacher.fingerprint for teacher in teachers),
            *map(_content, train),
        ]
    )
    targets = cache.targets(key, lambda: _compute_targets(config, teachers, dataset, train))
    distillation = replace(
        targets.distillation, weight=config.weight, temperature=config.temperature
    )
    return replace(targets, distillation=distillation)


def _compute_targets(
    config: DistillConfig,
    teachers: Sequence[Teacher],
    dataset: PreparedDataset,
    train: Sequence[Sentence],
) -> DistillationTargets:
    unlabelled = unlabelled_sentences(config, dataset)
    scores = _cached_predictions(teachers, dataset, [*train, *unlabelled])
    confident = pseudo_label(
        unlabelled, scores[len(train) :], dataset.schema.labels, config.confidence
    )
    log_probabilities = [
        *scores[: len(train)],
        *(scores[len(train) + index] for index, _ in confident),
    ]
    return DistillationTargets(
        [*train, *(sentence for _, sentence in confident)],
        Distillation(log_probabilities, config.weight, config.temperature),
        {
            "distill/unlabelled_sentences": float(len(unlabelled)),
            "distill/confident_sentences": float(len(confident)),
        },
    )


def _cached_predictions(
    teachers: Sequence[Teacher], dataset: PreparedDataset, sentences: Sequence[Sentence]
) -> list[NDArray[np.float32]]:
    """Return the log-probabilities of sentences in pieces."""
    key = cache_key(
        [
            step_fingerprint(__file__),
            library_versions(),
            *(teacher.fingerprint for teacher in teachers),
            dataset.fingerprint,
            *map(_content, sentences),
        ]
    )
    path = cache_folder() / "teachers" / f"{key}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Of several trials with the same teachers, one queries them, and the others wait.
    with FileLock(path.with_suffix(".lock")):
        scores = _read(path, sentences)
        if scores is None:
            scores = _query(teachers, sentences, dataset.schema.labels)
            _write(path, scores)
        else:
            log.info("read the teachers' predictions on %d sentences: %s", len(sentences), path)
    return scores


def _content(sentence: Sentence) -> str:
    """Return what a teacher's predictions for a sentence, and the student's labels, depend on."""
    return f"{sentence.document}\t{' '.join(sentence.tokens)}\t{' '.join(sentence.tags)}"


def _query(
    teachers: Sequence[Teacher], sentences: Sequence[Sentence], labels: tuple[str, ...]
) -> list[NDArray[np.float32]]:
    log.info("querying %d teacher(s) on %d sentences", len(teachers), len(sentences))
    return mean_log_probabilities(
        open_teachers(teachers, labels),
        [sentence.tokens for sentence in sentences],
        [sentence.document for sentence in sentences],
    )


def unlabelled_sentences(config: DistillConfig, dataset: PreparedDataset) -> list[Sentence]:
    """Return sentences of the unlabelled texts, ``config.unlabelled_limit`` or fewer, in order.

    Their words are pieces. Repeated sentences, and sentences that are in any split of the dataset,
    are left out. Sentences of one text share a document. All tags are O.
    """
    if not config.unlabelled:
        return []
    seen = {
        sentence.tokens for split in (TRAIN, VALIDATION, TEST) for sentence in dataset.corpus[split]
    }
    sentences: list[Sentence] = []
    for number, text in enumerate(read_texts(Path(config.unlabelled))):
        document = f"unlabelled {number}"
        for sentence in split_sentences(text):
            words = tuple(sentence.texts)
            if words not in seen:
                seen.add(words)
                tags = (OUTSIDE,) * len(words)
                sentences.append(Sentence(words, tags, document, "unlabelled"))
                if len(sentences) == config.unlabelled_limit:
                    return sentences
    return sentences


def pseudo_label(
    sentences: Sequence[Sentence],
    scores: Sequence[NDArray[np.float32]],
    labels: Sequence[str],
    confidence: float,
) -> list[tuple[int, Sentence]]:
    """Return the sentences that the teachers label with confidence, with those labels.

    Args:
        sentences: unlabelled sentences.
        scores: for each sentence log-probabilities of shape (words, labels).
        labels: the labels by id.
        confidence: the least probability of every word's tag.

    Returns:
        The index of each confident sentence, and the sentence with its decoded tags.
    """
    decoder = Iob2Decoder(labels)
    confident = []
    for index, (sentence, values) in enumerate(zip(sentences, scores, strict=True)):
        ids = decoder.decode(values)
        if np.exp(values[np.arange(len(ids)), ids]).min(initial=1.0) >= confidence:
            confident.append((index, replace(sentence, tags=tuple(labels[id_] for id_ in ids))))
    return confident


def _read(path: Path, sentences: Sequence[Sentence]) -> list[NDArray[np.float32]] | None:
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            values: NDArray[np.float32] = file["log_probabilities"]
    except (BadZipFile, ValueError, KeyError, EOFError, zlib.error) as error:
        log.warning("%s is damaged (%s): asking the teachers again", path, one_line(error))
        return None
    return by_sentence(values, [len(sentence.tokens) for sentence in sentences])


def _write(path: Path, scores: Sequence[NDArray[np.float32]]) -> None:
    with atomic_file(path) as part:
        np.savez_compressed(part, log_probabilities=np.concatenate(scores))
