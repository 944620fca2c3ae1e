"""Perturb sentences: change, drop or split words, and keep tags with their words."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import yaml

from ..data.sentences import Sentence
from ..tagging.iob2 import OUTSIDE, repair, split_tag, to_entities

TABLES = yaml.safe_load(Path(__file__).with_name("perturbations.yaml").read_text(encoding="utf-8"))
DOUBLED_SHARE = 0.4
"""Rate of doubled over rate of dropped punctuation: 0.1 over 0.25 in the reference study."""
FENCE = "`"
DROPPED = ""
"""Marks a word to drop; no real word is empty."""
_PUNCTUATION = re.compile(r"\W+")
_VERSION = re.compile(r"[vV]?\d+(\.\d+)+|[vV]\d+")

Word = tuple[str, str]
"""A word and its tag."""
Pools = Mapping[str, Sequence[tuple[str, ...]]]
"""Type -> entities, as words, that can replace others of this type."""


@dataclass(frozen=True)
class Perturbation:
    """A kind of perturbation: its rates at severities 1, 2, ..., and a description of changes."""

    name: str
    rates: tuple[float, ...]
    changes: str


PERTURBATIONS = {
    name: Perturbation(name, tuple(values["rates"]), values["changes"])
    for name, values in TABLES["kinds"].items()
}


def perturb(
    sentence: Sentence, kind: str, rate: float, random: Random, pools: Pools | None = None
) -> Sentence:
    """Apply one kind of perturbation; the result has valid tags.

    A sentence that would lose all its words is returned unchanged.

    Args:
        sentence: with valid IOB2 tags.
        kind: a name in :data:`PERTURBATIONS`.
        rate: the probability, from 0 to 1, of changing each position that ``kind`` applies to.
        random: the source of randomness.
        pools: replacements for the kind ``entities``; other kinds ignore them.
    """
    words = list(zip(sentence.tokens, sentence.tags, strict=True))
    changed = (
        _replace_entities(words, rate, random, pools or {})
        if kind == "entities"
        else _KINDS[kind](words, rate, random)
    )
    if not changed:
        return sentence
    return replace(
        sentence,
        tokens=tuple(word for word, _ in changed),
        tags=tuple(repair([tag for _, tag in changed])),
    )


def unseen_entities(
    train: Sequence[Sentence], others: Sequence[Sentence]
) -> dict[str, list[tuple[str, ...]]]:
    """Return entities of ``others`` that ``train`` does not hold under their type.

    Case is ignored in the comparison with train.

    Returns:
        Type -> different entities, as words, in order of appearance.
    """
    train_entities = {
        (" ".join(words).lower(), type_)
        for sentence in train
        for words, type_ in _entity_words(sentence)
    }
    pools: dict[str, dict[tuple[str, ...], None]] = {}
    for sentence in others:
        for words, type_ in _entity_words(sentence):
            if (" ".join(words).lower(), type_) not in train_entities:
                pools.setdefault(type_, {})[words] = None
    return {type_: list(pool) for type_, pool in pools.items()}


def _entity_words(sentence: Sentence) -> list[tuple[tuple[str, ...], str]]:
    return [
        (sentence.tokens[entity.start : entity.end], entity.type)
        for entity in to_entities(sentence.tags)
    ]


def _inside_tag(tag: str) -> str:
    """Return the tag of a word inserted after a word with this tag, in the same entity."""
    type_ = split_tag(tag)[1]
    return f"I-{type_}" if type_ else OUTSIDE


def _change_each(
    change: Callable[[str, Random], str],
) -> Callable[[list[Word], float, Random], list[Word]]:
    """Return a perturbation that changes words one by one."""

    def change_words(words: list[Word], rate: float, random: Random) -> list[Word]:
        return [
            (change(word, random) if random.random() < rate else word, tag) for word, tag in words
        ]

    return change_words


def _change_case(word: str, random: Random) -> str:
    return random.choice([str.lower, str.upper, str.capitalize, str.swapcase])(word)


def _letter_positions(word: str, table: Mapping[str, str] | None = None) -> list[int]:
    return [
        position
        for position, letter in enumerate(word)
        if (letter.isalpha() if table is None else letter in table)
    ]


def _mistype(word: str, random: Random) -> str:
    positions = _letter_positions(word)
    if len(positions) < 2:
        return word
    position = random.choice(positions)
    before, letter, after = word[:position], word[position], word[position + 1 :]
    swapped = before + after[:1] + letter + after[1:]
    return random.choice(
        [
            before + after,
            before + letter + letter + after,
            swapped,
            before + random.choice("abcdefghijklmnopqrstuvwxyz") + after,
        ]
    )


def _mistype_on_keyboard(word: str, random: Random) -> str:
    neighbours: dict[str, str] = TABLES["keyboard"]
    positions = (
        _letter_positions(word.lower(), neighbours) if len(word.lower()) == len(word) else []
    )
    if not positions:
        return word
    position = random.choice(positions)
    letter = random.choice(neighbours[word[position].lower()])
    return (
        word[:position]
        + (letter.upper() if word[position].isupper() else letter)
        + word[position + 1 :]
    )


def _replace_by_confusable(word: str, random: Random) -> str:
    table: dict[str, str] = TABLES["confusables"]
    positions = _letter_positions(word, table)
    if not positions:
        return word
    position = random.choice(positions)
    return word[:position] + table[word[position]] + word[position + 1 :]


def _change_versions(words: list[Word], rate: float, random: Random) -> list[Word]:
    return [
        (
            _other_version(word, random)
            if _VERSION.fullmatch(word) and random.random() < rate
            else word,
            tag,
        )
        for word, tag in words
    ]


def _other_version(word: str, random: Random) -> str:
    bare = word.lstrip("vV")
    shorter = bare.rpartition(".")[0]
    forms = [
        bare if bare != word else f"v{word}",
        f"{bare}.0",
        f"{shorter or bare}.x",
        *([shorter] if "." in shorter else []),
    ]
    return random.choice(forms)


def _change_punctuation(words: list[Word], rate: float, random: Random) -> list[Word]:
    changed: list[Word] = []
    for word, tag in words:
        if _PUNCTUATION.fullmatch(word):
            drawn = random.random()
            if drawn < rate:
                changed.append((DROPPED, tag))
                continue
            if drawn < rate * (1 + DOUBLED_SHARE):
                changed.append((word, tag))
                tag = _inside_tag(tag)
        changed.append((word, tag))
    return _remove_dropped(changed)


def _drop_articles(words: list[Word], rate: float, random: Random) -> list[Word]:
    return _remove_dropped(
        [
            (
                DROPPED if word.lower() in TABLES["articles"] and random.random() < rate else word,
                tag,
            )
            for word, tag in words
        ]
    )


def _remove_dropped(words: list[Word]) -> list[Word]:
    """Remove dropped words; an entity that lost its first word begins with its next one."""
    remaining: list[Word] = []
    begins = False
    for word, tag in words:
        prefix, type_ = split_tag(tag)
        begins = prefix == "B" or (begins and prefix == "I")
        if word != DROPPED:
            remaining.append((word, f"B-{type_}" if begins else tag))
            begins = False
    return remaining


def _change_spacing(words: list[Word], rate: float, random: Random) -> list[Word]:
    changed: list[Word] = []
    for word, tag in words:
        if changed and random.random() < rate / 2 and (tag == _inside_tag(changed[-1][1])):
            # Join two words of one entity, or two words outside all entities.
            changed[-1] = (changed[-1][0] + word, changed[-1][1])
        elif len(word) > 1 and random.random() < rate / 2:
            position = random.randrange(1, len(word))
            changed += [(word[:position], tag), (word[position:], _inside_tag(tag))]
        else:
            changed.append((word, tag))
    return changed


def _add_code_fences(words: list[Word], rate: float, random: Random) -> list[Word]:
    tags = [tag for _, tag in words]
    spans = {entity.start: entity.end for entity in to_entities(tags)} | {
        position: position + 1 for position, tag in enumerate(tags) if tag == OUTSIDE
    }
    changed: list[Word] = []
    for start, end in sorted(spans.items()):
        fence = [(FENCE, OUTSIDE)] if random.random() < rate else []
        changed += [*fence, *words[start:end], *fence]
    return changed


def _replace_entities(words: list[Word], rate: float, random: Random, pools: Pools) -> list[Word]:
    changed: list[Word] = []
    position = 0
    for entity in to_entities([tag for _, tag in words]):
        changed += words[position : entity.start]
        position = entity.end
        pool = pools.get(entity.type)
        if pool and random.random() < rate:
            first, *more = random.choice(pool)
            changed += [(first, f"B-{entity.type}"), *((word, f"I-{entity.type}") for word in more)]
        else:
            changed += words[entity.start : entity.end]
    return changed + words[position:]


_KINDS: dict[str, Callable[[list[Word], float, Random], list[Word]]] = {
    "casing": _change_each(_change_case),
    "punctuation": _change_punctuation,
    "typos": _change_each(_mistype),
    "keyboard": _change_each(_mistype_on_keyboard),
    "whitespace": _change_spacing,
    "confusables": _change_each(_replace_by_confusable),
    "articles": _drop_articles,
    "code_fences": _add_code_fences,
    "versions": _change_versions,
}
