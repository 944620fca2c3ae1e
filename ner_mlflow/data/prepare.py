"""Prepare a corpus: relabel, split, drop duplicates, oversample, and count every change."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
from numpy.typing import NDArray

from ..config.schema import DataConfig
from ..errors import DataError
from ..tagging.iob2 import OUTSIDE, split_tag
from ..tagging.label_schema import LabelSchema
from .findings import SHOWN, Findings
from .label_map import LabelMap, load_label_map
from .sentences import SPLITS, TEST, TRAIN, VALIDATION, Corpus, Sentence, Sentences

FAR_FROM_FRACTION = 0.2
"""A carved split is far from the size asked for if it misses it by more than this share."""
_TYPE = re.compile(r"(?!\.{1,2}\Z)[\w .:-]+")
"""Characters that MLflow allows in the name of a metric, without the slash, our separator; it takes
``.`` and ``..`` for folders."""

PreparedCorpus = dict[str, Sentences]


@dataclass(frozen=True)
class Preparation:
    """A prepared corpus, and the record of its preparation.

    Attributes:
        corpus: train, validation and test.
        source: the corpus after relabelling, with the splits of the source.
        schema: the label schema.
        findings: what reading and preparation left out, changed or noted.
        weak_sentences: how many of the last sentences of train were labelled weakly.
    """

    corpus: PreparedCorpus
    source: PreparedCorpus
    schema: LabelSchema
    findings: Findings = field(default_factory=Findings)
    weak_sentences: int = 0


def prepare(corpus: Corpus, config: DataConfig, findings: Findings | None = None) -> Preparation:
    """Relabel, split, drop duplicates and oversample, in this order.

    Only train loses or repeats sentences.

    Args:
        corpus: splits in valid IOB2, as read.
        config: the settings.
        findings: receives the changes; None: a collector of their own.

    Raises:
        DataError: there is no train split, train has no entity, a split would be empty, or a type
            cannot name a metric; unknown tags, if the settings make them errors.
    """
    if not corpus.get(TRAIN):
        raise DataError(
            f"dataset {config.dataset!r}: no train split among {', '.join(corpus) or 'none'}: "
            "name a file or split train, or say which one is by splits=NAME=train"
        )
    findings = findings or Findings()
    table = load_label_map(config.label_map)
    source = relabel(corpus, table, config, findings)
    schema = LabelSchema(table.target_types or tuple(_types(source.values())))
    if unusable := [type_ for type_ in schema.types if not _TYPE.fullmatch(type_)]:
        raise DataError(
            f"dataset {config.dataset!r}: type {unusable[0]!r} must be letters, digits, blanks "
            "and _ - . : to name metrics: rename it by a label_map"
        )
    if not schema.types or not _types([source[TRAIN]]):
        raise DataError(
            f"dataset {config.dataset!r}: train holds no entity after relabelling "
            f"by {config.label_map!r}: check the table"
        )
    prepared = _carve_missing(source, config, findings)
    prepared[TRAIN] = _drop_duplicates(prepared, config, findings)
    rows = oversample(prepared[TRAIN], config, findings)
    if rows:
        prepared[TRAIN] = prepared[TRAIN].take([*range(len(prepared[TRAIN])), *rows])
    return Preparation({split: prepared[split] for split in SPLITS}, source, schema, findings)


def relabel(
    corpus: Corpus, table: LabelMap, config: DataConfig, findings: Findings
) -> PreparedCorpus:
    """Return a corpus with the target types of a label map.

    Args:
        corpus: splits in valid IOB2, as read.
        table: the label map.
        config: says whether a tag that the table lacks is an error or becomes ``O``.
        findings: counts such tags, with their places.

    Raises:
        DataError: there are such tags and they are errors, or the table holds tags, not types.
    """
    tables = {split: Sentences.of(sentences) for split, sentences in corpus.items()}
    _check_tags(tables, table, config, findings)
    return {split: sentences.rename_tags(table.relabel) for split, sentences in tables.items()}


def oversample(sentences: Sequence[Sentence], config: DataConfig, findings: Findings) -> list[int]:
    """Draw the sentences to repeat, without replacement and by the seed; return their numbers.

    First draws up to ``(oversample_factor - 1) * len(sentences)`` of the sentences with an entity.
    Then draws the share ``rare_boost`` of the sentences, repeated ones included, that hold one of
    the ``rare_types`` rarest types. The rarity of a type is the number of sentences that hold it;
    names break ties.

    Args:
        sentences: train.
        config: the settings named above, and the seed.
        findings: receives the number of sentences drawn in both steps.
    """
    if config.oversample_factor == 1 and not config.rare_boost:
        return []
    random = Random(config.seed)
    types = {
        row: {split_tag(tag)[1] for tag in set(sentence.tags) if tag != OUTSIDE}
        for row, sentence in enumerate(sentences)
        if any(tag != OUTSIDE for tag in sentence.tags)
    }
    with_entity = list(types)
    size = round((config.oversample_factor - 1) * len(sentences))
    repeated = random.sample(with_entity, min(size, len(with_entity)))
    holders = Counter(type_ for of_row in types.values() for type_ in of_row)
    rarest = set(sorted(holders, key=lambda type_: (holders[type_], type_))[: config.rare_types])
    pool = [row for row in with_entity + repeated if types[row] & rarest]
    boosted = random.sample(pool, min(round(config.rare_boost * len(pool)), len(pool)))
    findings.add("oversampled", TRAIN, count=len(repeated))
    findings.add("rare_boosted", TRAIN, count=len(boosted))
    return repeated + boosted


def _types(tables: Iterable[Sentences]) -> set[str]:
    """Return the types of the tags that occur."""
    return {
        split_tag(name)[1]
        for sentences in tables
        for name in sentences.count_tags()
        if name != OUTSIDE
    }


def _check_tags(
    corpus: PreparedCorpus, table: LabelMap, config: DataConfig, findings: Findings
) -> None:
    if tags := table.tags_among(_types(corpus.values())):
        raise DataError(
            f"label map {table.places.get(tags[0], table.name)}: {tags[0]!r} is a tag, but a table "
            f"maps types: write {tags[0][2:]}"
        )
    unknown: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    for split, sentences in corpus.items():
        names = [name for name in sentences.tag_names if not table.knows(name)]
        for sentence, position in sentences.find_tags(names):
            tag = sentence.tags[position]
            place = f"{sentence.origin} word {position} {sentence.tokens[position]!r}"
            counts[tag] += 1
            if len(places := unknown.setdefault(tag, [])) < SHOWN:
                places.append(place)
            findings.add("unknown_tags", split, place, tag)
    if unknown and config.unknown_tags == "error":
        listed = "; ".join(
            f"{tag} ({counts[tag]} times: {_list_places(unknown[tag], counts[tag])})"
            + (f", did you mean {meant}?" if (meant := table.suggest(split_tag(tag)[1])) else "")
            for tag in sorted(unknown)
        )
        raise DataError(
            f"label map {table.name!r} does not know: {listed}. "
            "Add the types to the table, or choose unknown_tags=outside"
        )


def _list_places(places: list[str], count: int) -> str:
    more = f" and {count - len(places)} more" if count > len(places) else ""
    return ", ".join(places) + more


def _carve_missing(
    source: PreparedCorpus, config: DataConfig, findings: Findings
) -> PreparedCorpus:
    """Take the splits that the corpus lacks out of train, in whole documents if they are named."""
    prepared = dict(source)
    for split, fraction in ((TEST, config.test_fraction), (VALIDATION, config.validation_fraction)):
        if prepared.get(split):
            continue
        train = prepared[TRAIN]
        seed = config.seed + SPLITS.index(split)
        is_carved = _carve(train, fraction, seed, findings)
        carved = int(is_carved.sum())
        if carved in (0, len(train)):
            raise DataError(
                f"dataset {config.dataset!r}: no {split} split, and {split}_fraction={fraction} "
                f"of {len(train)} train sentences, in whole documents, leaves one of the "
                f"two empty: give a {split} file or change the fraction"
            )
        prepared[split] = train.take(np.flatnonzero(is_carved))
        prepared[TRAIN] = train.take(np.flatnonzero(~is_carved))
        findings.add("carved_from_train", split, count=carved)
        wanted = fraction * len(train)
        if abs(carved - wanted) > max(1, FAR_FROM_FRACTION * wanted):
            findings.add(
                "carved_far_from_fraction",
                split,
                detail=f"{carved} of {len(train)} sentences, {split}_fraction={fraction}",
                count=abs(carved - round(wanted)),
            )
    return prepared


def _carve(train: Sentences, fraction: float, seed: int, findings: Findings) -> NDArray[np.bool_]:
    """Return for each sentence whether it is carved out, in whole documents."""
    documents = train.document_ids()
    if len(train) > 1 and not documents.any():
        if not findings.count("documents_ignored", TRAIN):
            findings.add("documents_ignored", TRAIN, train[0].origin, str(train[0].document))
        documents = np.arange(len(train))
    sizes = np.bincount(documents)
    missing, chosen = round(fraction * len(train)), np.zeros(len(sizes), dtype=bool)
    order = np.random.default_rng(seed).permutation(len(sizes))
    for number in order:
        if missing <= 0:
            break
        if sizes[number] < 2 * missing:  # the document brings the split closer to its size
            chosen[number] = True
            missing -= int(sizes[number])
    if missing > 0 and not chosen.any():  # every document is too large
        chosen[order[np.argmin(sizes[order])]] = True
    carved: NDArray[np.bool_] = chosen[documents]
    return carved


def _drop_duplicates(corpus: PreparedCorpus, config: DataConfig, findings: Findings) -> Sentences:
    """Return train without sentences whose tokens also occur in validation or test.

    Counts the overlap of each pair of splits, and repeated sentences within a split.
    """
    hashes = {split: _hashes(corpus[split]) for split in SPLITS}
    for split in SPLITS:
        findings.add(
            "duplicate_rows", split, count=len(hashes[split]) - len(np.unique(hashes[split]))
        )
    for split, other in ((TRAIN, VALIDATION), (TRAIN, TEST), (VALIDATION, TEST)):
        overlap = int(_are_in(hashes[split], hashes[other]).sum())
        findings.add(f"also_in_{other}", split, count=overlap)
    train = corpus[TRAIN]
    if config.cross_split_duplicates == "keep":
        return train
    held_out = np.concatenate([hashes[VALIDATION], hashes[TEST]])
    unique = np.flatnonzero(~_are_in(hashes[TRAIN], held_out))
    if not len(unique):
        raise DataError(
            "every train sentence also occurs in validation or test: "
            "give a train split of its own, or choose cross_split_duplicates=keep"
        )
    findings.add("duplicates_dropped", TRAIN, count=len(train) - len(unique))
    return train.take(unique) if len(unique) < len(train) else train


def _hashes(sentences: Sentences) -> NDArray[np.int64]:
    """Return a 64-bit hash of each sentence's tokens, in 8 bytes each."""
    hashes = (hash(sentence.tokens) for sentence in sentences)
    return np.fromiter(hashes, dtype=np.int64, count=len(sentences))


def _are_in(values: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return for each value whether it is among the others; `numpy.isin` takes several copies."""
    ordered = np.sort(others)
    found = np.searchsorted(ordered, values)
    found[found == len(ordered)] = 0
    return ordered[found] == values if len(ordered) else np.zeros(len(values), dtype=bool)
