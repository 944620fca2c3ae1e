"""Prepare a corpus: relabel, repair, split, drop duplicates, oversample, and count every change."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from random import Random

from ..config.schema import DataConfig
from ..errors import DataError
from ..tagging.iob2 import OUTSIDE, invalid_positions, repair, split_tag
from ..tagging.label_schema import LabelSchema
from .label_map import LabelMap, load_label_map
from .sentences import SPLITS, TEST, TRAIN, VALIDATION, Corpus, Sentence

SHOWN = 5
"""Number of positions that a message lists; it counts the others."""
_TYPE = re.compile(r"[\w .:-]+")
"""Characters that MLflow allows in the name of a metric, without the slash, our separator."""


@dataclass(frozen=True)
class Preparation:
    """A prepared corpus, and the record of its preparation.

    Attributes:
        corpus: train, validation and test.
        source: the corpus after relabelling and repair, with the splits of the source.
        schema: the label schema.
        counts: number of changes by name, such as ``train/iob2_repaired``.
    """

    corpus: Corpus
    source: Corpus
    schema: LabelSchema
    counts: dict[str, int] = field(default_factory=dict)


def prepare(corpus: Corpus, config: DataConfig) -> Preparation:
    """Repair, relabel, split, drop duplicates and oversample, in this order.

    Only train loses or repeats sentences.

    Raises:
        DataError: there is no train split, train has no entity, a split would be empty, or a type
            cannot name a metric; unknown tags or invalid IOB2, if the settings make them errors.
    """
    if not corpus.get(TRAIN):
        raise DataError(
            f"dataset {config.dataset!r}: no train split among {', '.join(corpus) or 'none'}: "
            "name a file or split train"
        )
    table = load_label_map(config.label_map)
    counts: Counter[str] = Counter()
    _check_tags(corpus, table, config, counts)
    source = {
        split: [_relabel(sentence, table) for sentence in sentences]
        for split, sentences in _repair(corpus, config, counts).items()
    }
    schema = LabelSchema(table.target_types or tuple(_types(source)))
    if unusable := [type_ for type_ in schema.types if not _TYPE.fullmatch(type_)]:
        raise DataError(
            f"dataset {config.dataset!r}: type {unusable[0]!r} must be letters, digits, blanks "
            "and _ - . : to name metrics: rename it by a label_map"
        )
    if not schema.types or not any(_types({TRAIN: source[TRAIN]})):
        raise DataError(
            f"dataset {config.dataset!r}: train holds no entity after relabelling "
            f"by {config.label_map!r}: check the table"
        )
    prepared = _carve_missing(source, config, counts)
    prepared[TRAIN] = _drop_duplicates(prepared, config, counts)
    prepared[TRAIN] = prepared[TRAIN] + oversample(prepared[TRAIN], config, counts)
    return Preparation({split: prepared[split] for split in SPLITS}, source, schema, dict(counts))


def oversample(
    sentences: list[Sentence], config: DataConfig, counts: Counter[str]
) -> list[Sentence]:
    """Draw the sentences to repeat, without replacement and by the seed.

    First draws up to ``(oversample_factor - 1) * len(sentences)`` of the sentences with an entity.
    Then draws the share ``rare_boost`` of the sentences, repeated ones included, that hold one of
    the ``rare_types`` rarest types. The rarity of a type is the number of sentences that hold it;
    names break ties.

    Args:
        sentences: train.
        config: the settings named above, and the seed.
        counts: receives the number of sentences drawn in both steps.
    """
    random = Random(config.seed)
    with_entity = [
        sentence for sentence in sentences if any(tag != OUTSIDE for tag in sentence.tags)
    ]
    size = round((config.oversample_factor - 1) * len(sentences))
    repeated = random.sample(with_entity, min(size, len(with_entity)))
    holders: dict[str, list[Sentence]] = {}
    for sentence in with_entity:
        for type_ in _types({TRAIN: [sentence]}):
            holders.setdefault(type_, []).append(sentence)
    rarest = set(
        sorted(holders, key=lambda type_: (len(holders[type_]), type_))[: config.rare_types]
    )
    pool = [sentence for sentence in with_entity + repeated if _types({TRAIN: [sentence]}) & rarest]
    boosted = random.sample(pool, min(round(config.rare_boost * len(pool)), len(pool)))
    counts["train/oversampled"] += len(repeated)
    counts["train/rare_boosted"] += len(boosted)
    return repeated + boosted


def _types(corpus: Corpus) -> set[str]:
    return {
        split_tag(tag)[1]
        for sentences in corpus.values()
        for sentence in sentences
        for tag in set(sentence.tags)
        if tag != OUTSIDE
    }


def _list_positions(positions: list[str]) -> str:
    more = f" and {len(positions) - SHOWN} more" if len(positions) > SHOWN else ""
    return ", ".join(positions[:SHOWN]) + more


def _check_tags(corpus: Corpus, table: LabelMap, config: DataConfig, counts: Counter[str]) -> None:
    unknown: dict[str, list[str]] = {}
    for split, sentences in corpus.items():
        for sentence in sentences:
            for position, tag in enumerate(sentence.tags):
                if not table.knows(tag):
                    unknown.setdefault(tag, []).append(
                        f"{sentence.origin} word {position} {sentence.tokens[position]!r}"
                    )
                    counts[f"{split}/unknown_tags"] += 1
    if unknown and config.unknown_tags == "error":
        listed = "; ".join(
            f"{tag} ({len(positions)} times: {_list_positions(positions)})"
            for tag, positions in sorted(unknown.items())
        )
        raise DataError(
            f"label map {table.name!r} does not know: {listed}. "
            "Add the types to the table, or choose unknown_tags=outside"
        )


def _repair(corpus: Corpus, config: DataConfig, counts: Counter[str]) -> Corpus:
    # Before relabelling: a merge of types would hide that an I- tag continues nothing.
    repaired: Corpus = {}
    broken: list[str] = []
    for split, sentences in corpus.items():
        repaired[split] = []
        for sentence in sentences:
            if positions := invalid_positions(sentence.tags):
                counts[f"{split}/iob2_repaired"] += len(positions)
                broken += [
                    f"{sentence.origin} word {position} {sentence.tags[position]}"
                    for position in positions
                ]
                sentence = replace(sentence, tags=tuple(repair(sentence.tags)))
            repaired[split].append(sentence)
    if broken and config.invalid_iob2 == "error":
        raise DataError(
            f"{len(broken)} I- tags continue no entity of their type: {_list_positions(broken)}. "
            "Fix them, or choose invalid_iob2=repair"
        )
    return repaired


def _relabel(sentence: Sentence, table: LabelMap) -> Sentence:
    return replace(sentence, tags=tuple(table.relabel(tag) for tag in sentence.tags))


def _carve_missing(source: Corpus, config: DataConfig, counts: Counter[str]) -> Corpus:
    """Take the splits that the corpus lacks out of train, in whole documents if they are named."""
    prepared = dict(source)
    for split, fraction in ((TEST, config.test_fraction), (VALIDATION, config.validation_fraction)):
        if prepared.get(split):
            continue
        rest, carved = _carve(prepared[TRAIN], fraction, Random(f"{config.seed}:{split}"))
        if not carved or not rest:
            raise DataError(
                f"dataset {config.dataset!r}: no {split} split, and {split}_fraction={fraction} "
                f"of {len(prepared[TRAIN])} train sentences, in whole documents, leaves one of the "
                f"two empty: give a {split} file or change the fraction"
            )
        prepared[TRAIN], prepared[split] = rest, carved
        counts[f"{split}/carved_from_train"] = len(carved)
    return prepared


def _carve(
    sentences: list[Sentence], fraction: float, random: Random
) -> tuple[list[Sentence], list[Sentence]]:
    groups: dict[str, int] = Counter(
        sentence.document or f"\0{index}" for index, sentence in enumerate(sentences)
    )
    names = list(groups)
    random.shuffle(names)
    missing, chosen = round(fraction * len(sentences)), set()
    for name in names:
        if groups[name] < 2 * missing:  # the group brings the split closer to its size
            chosen.add(name)
            missing -= groups[name]
    if missing and not chosen:  # every group is too large
        chosen.add(min(names, key=lambda name: groups[name]))
    parts: tuple[list[Sentence], list[Sentence]] = ([], [])
    for index, sentence in enumerate(sentences):
        parts[(sentence.document or f"\0{index}") in chosen].append(sentence)
    return parts


def _drop_duplicates(corpus: Corpus, config: DataConfig, counts: Counter[str]) -> list[Sentence]:
    """Return train without sentences whose tokens also occur in validation or test.

    Counts the overlap of each pair of splits.
    """
    tokens = {split: {sentence.tokens for sentence in corpus[split]} for split in SPLITS}
    for split, other in ((TRAIN, VALIDATION), (TRAIN, TEST), (VALIDATION, TEST)):
        counts[f"{split}/also_in_{other}"] = _count(corpus[split], tokens[other])
    held_out = tokens[VALIDATION] | tokens[TEST]
    if config.cross_split_duplicates == "keep":
        return corpus[TRAIN]
    unique = [sentence for sentence in corpus[TRAIN] if sentence.tokens not in held_out]
    if not unique:
        raise DataError(
            "every train sentence also occurs in validation or test: "
            "give a train split of its own, or choose cross_split_duplicates=keep"
        )
    counts["train/duplicates_dropped"] = len(corpus[TRAIN]) - len(unique)
    return unique


def _count(sentences: Iterable[Sentence], tokens: set[tuple[str, ...]]) -> int:
    return sum(sentence.tokens in tokens for sentence in sentences)
