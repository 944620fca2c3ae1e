"""From a source corpus to a prepared one: relabelled, valid, split, without leaks, oversampled; every change counted."""

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
"""How many places a message names before it only counts."""
_TYPE = re.compile(r"[\w .:-]+")
"""What MLflow takes in the name of a metric, but for the slashes that part ours."""


@dataclass(frozen=True)
class Preparation:
    """A prepared corpus and what was done to get it.

    ``source`` is the corpus as relabelled, before splits were carved, duplicates dropped and sentences repeated.
    ``counts`` are events by name, such as ``train/iob2_repaired``.
    """

    corpus: Corpus
    source: Corpus
    schema: LabelSchema
    counts: dict[str, int] = field(default_factory=dict)


def prepare(corpus: Corpus, config: DataConfig) -> Preparation:
    """Relabel, repair, split, drop duplicates, oversample: in this order, only train ever augmented.

    Raises:
        DataError: unknown tags, invalid IOB2 (where these are errors), no train split, an empty split, or no entity at all.
    """
    if not corpus.get(TRAIN):
        raise DataError(
            f"dataset {config.dataset!r}: no train split among {', '.join(corpus) or 'none'}: name a file or split train"
        )
    table = load_label_map(config.label_map)
    counts: Counter[str] = Counter()
    _check_tags(corpus, table, config, counts)
    source = {
        split: [_relabel(sentence, table) for sentence in sentences]
        for split, sentences in _repaired(corpus, config, counts).items()
    }
    schema = LabelSchema(table.target_types or tuple(_types(source)))
    if odd := [type_ for type_ in schema.types if not _TYPE.fullmatch(type_)]:
        raise DataError(
            f"dataset {config.dataset!r}: type {odd[0]!r} must be letters, digits, blanks and _ - . : to name metrics: rename it by a label_map"
        )
    if not schema.types or not any(_types({TRAIN: source[TRAIN]})):
        raise DataError(
            f"dataset {config.dataset!r}: train holds no entity after relabelling by {config.label_map!r}: check the table"
        )
    prepared = _carved(source, config, counts)
    prepared[TRAIN] = _without_duplicates(prepared, config, counts)
    prepared[TRAIN] = prepared[TRAIN] + oversample(prepared[TRAIN], config, counts)
    return Preparation({split: prepared[split] for split in SPLITS}, source, schema, dict(counts))


def oversample(
    sentences: list[Sentence], config: DataConfig, counts: Counter[str]
) -> list[Sentence]:
    """The sentences to repeat, by a seed and without replacement.

    Up to ``(oversample_factor - 1) * len(sentences)`` of those that hold an entity; then, counted among train and these,
    the share ``rare_boost`` of those that hold one of the ``rare_types`` rarest types (by sentences that hold them, ties by name).
    """
    random = Random(config.seed)
    with_entity = [
        sentence for sentence in sentences if any(tag != OUTSIDE for tag in sentence.tags)
    ]
    wanted = round((config.oversample_factor - 1) * len(sentences))
    repeated = random.sample(with_entity, min(wanted, len(with_entity)))
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


def _places(places: list[str]) -> str:
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return ", ".join(places[:SHOWN]) + more


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
            f"{tag} ({len(places)} times: {_places(places)})"
            for tag, places in sorted(unknown.items())
        )
        raise DataError(
            f"label map {table.name!r} does not know: {listed}. Add the types to the table, or choose unknown_tags=outside"
        )


def _repaired(corpus: Corpus, config: DataConfig, counts: Counter[str]) -> Corpus:
    # Before relabelling: merging types would hide that an I- tag continues nothing.
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
            f"{len(broken)} I- tags continue no entity of their type: {_places(broken)}. Mend them, or choose invalid_iob2=repair"
        )
    return repaired


def _relabel(sentence: Sentence, table: LabelMap) -> Sentence:
    return replace(sentence, tags=tuple(table.relabel(tag) for tag in sentence.tags))


def _carved(source: Corpus, config: DataConfig, counts: Counter[str]) -> Corpus:
    """Give the corpus the splits it lacks, from train alone: whole documents where sentences name theirs."""
    prepared = dict(source)
    for split, fraction in ((TEST, config.test_fraction), (VALIDATION, config.validation_fraction)):
        if prepared.get(split):
            continue
        kept, carved = _carve(prepared[TRAIN], fraction, Random(f"{config.seed}:{split}"))
        if not carved or not kept:
            raise DataError(
                f"dataset {config.dataset!r}: no {split} split, and {split}_fraction={fraction} of {len(prepared[TRAIN])} train sentences, in whole "
                f"documents, leaves one of the two empty: give a {split} file or change the fraction"
            )
        prepared[TRAIN], prepared[split] = kept, carved
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
    wanted, chosen = round(fraction * len(sentences)), set()
    for name in names:
        if (
            groups[name] < 2 * wanted
        ):  # nearer with it than without: one that is too large stays in train
            chosen.add(name)
            wanted -= groups[name]
    if wanted and not chosen:  # all are
        chosen.add(min(names, key=lambda name: groups[name]))
    parts: tuple[list[Sentence], list[Sentence]] = ([], [])
    for index, sentence in enumerate(sentences):
        parts[(sentence.document or f"\0{index}") in chosen].append(sentence)
    return parts


def _without_duplicates(corpus: Corpus, config: DataConfig, counts: Counter[str]) -> list[Sentence]:
    """Train without the sentences (by their tokens) that validation or test hold; overlaps of all pairs are counted."""
    tokens = {split: {sentence.tokens for sentence in corpus[split]} for split in SPLITS}
    for split, other in ((TRAIN, VALIDATION), (TRAIN, TEST), (VALIDATION, TEST)):
        counts[f"{split}/also_in_{other}"] = _count(corpus[split], tokens[other])
    held_out = tokens[VALIDATION] | tokens[TEST]
    if config.cross_split_duplicates == "keep":
        return corpus[TRAIN]
    kept = [sentence for sentence in corpus[TRAIN] if sentence.tokens not in held_out]
    if not kept:
        raise DataError(
            "every train sentence also stands in validation or test: give a train split of its own, or choose cross_split_duplicates=keep"
        )
    counts["train/duplicates_dropped"] = len(corpus[TRAIN]) - len(kept)
    return kept


def _count(sentences: Iterable[Sentence], tokens: set[tuple[str, ...]]) -> int:
    return sum(sentence.tokens in tokens for sentence in sentences)
