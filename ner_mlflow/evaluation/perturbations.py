"""Sentences as people also write them: words changed, dropped, broken; labels stay with the words they belong to."""

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
"""Punctuation is doubled this many times as often as dropped: 0.1 against 0.25 in the reference study."""
FENCE = "`"
DROPPED = ""
"""Stands for a word that is to go; no word is empty."""
_PUNCTUATION = re.compile(r"\W+")
_VERSION = re.compile(r"[vV]?\d+(\.\d+)+|[vV]\d+")

Word = tuple[str, str]
"""A word and its tag."""
Pools = Mapping[str, Sequence[tuple[str, ...]]]
"""Type -> words of entities that may stand in for others of this type."""


@dataclass(frozen=True)
class Perturbation:
    """A way to change sentences: ``rates`` by severity, from 1 on, and what it changes, in words."""

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
    """The sentence with about the share ``rate`` of the places that ``kind`` can change changed; tags are valid and go with their words.

    Args:
        sentence: valid IOB2.
        kind: a name in :data:`PERTURBATIONS`.
        rate: from 0, nothing changed, to 1.
        random: drawn from.
        pools: what ``entities`` takes replacements from; other kinds do not look.
    """
    words = list(zip(sentence.tokens, sentence.tags, strict=True))
    changed = (
        _entities(words, rate, random, pools or {})
        if kind == "entities"
        else _KINDS[kind](words, rate, random)
    )
    if not changed:  # every word was dropped
        return sentence
    return replace(
        sentence,
        tokens=tuple(word for word, _ in changed),
        tags=tuple(repair([tag for _, tag in changed])),
    )


def unseen_entities(
    train: Sequence[Sentence], others: Sequence[Sentence]
) -> dict[str, list[tuple[str, ...]]]:
    """Entities of other sentences, as words, by type, whose words train does not hold under this type; different ones, in order."""
    known = {
        (" ".join(words).lower(), type_)
        for sentence in train
        for words, type_ in _entity_words(sentence)
    }
    pools: dict[str, dict[tuple[str, ...], None]] = {}
    for sentence in others:
        for words, type_ in _entity_words(sentence):
            if (" ".join(words).lower(), type_) not in known:
                pools.setdefault(type_, {})[words] = None
    return {type_: list(pool) for type_, pool in pools.items()}


def _entity_words(sentence: Sentence) -> list[tuple[tuple[str, ...], str]]:
    return [
        (sentence.tokens[entity.start : entity.end], entity.type)
        for entity in to_entities(sentence.tags)
    ]


def _inside(tag: str) -> str:
    """The tag of a word that was added behind one with this tag, in the same entity."""
    type_ = split_tag(tag)[1]
    return f"I-{type_}" if type_ else OUTSIDE


def _each(
    change: Callable[[str, Random], str],
) -> Callable[[list[Word], float, Random], list[Word]]:
    """Change words one by one; those that cannot be changed stay."""

    def changed(words: list[Word], rate: float, random: Random) -> list[Word]:
        return [
            (change(word, random) if random.random() < rate else word, tag) for word, tag in words
        ]

    return changed


def _recased(word: str, random: Random) -> str:
    return random.choice([str.lower, str.upper, str.capitalize, str.swapcase])(word)


def _letters(word: str, table: Mapping[str, str] | None = None) -> list[int]:
    return [
        place
        for place, letter in enumerate(word)
        if (letter.isalpha() if table is None else letter in table)
    ]


def _mistyped(word: str, random: Random) -> str:
    places = _letters(word)
    if len(places) < 2:
        return word
    place = random.choice(places)
    before, letter, after = word[:place], word[place], word[place + 1 :]
    swapped = before + after[:1] + letter + after[1:]
    return random.choice(
        [
            before + after,
            before + letter + letter + after,
            swapped,
            before + random.choice("abcdefghijklmnopqrstuvwxyz") + after,
        ]
    )


def _mistyped_on_keyboard(word: str, random: Random) -> str:
    neighbours: dict[str, str] = TABLES["keyboard"]
    places = _letters(word.lower(), neighbours) if len(word.lower()) == len(word) else []
    if not places:
        return word
    place = random.choice(places)
    letter = random.choice(neighbours[word[place].lower()])
    return word[:place] + (letter.upper() if word[place].isupper() else letter) + word[place + 1 :]


def _confused(word: str, random: Random) -> str:
    table: dict[str, str] = TABLES["confusables"]
    places = _letters(word, table)
    if not places:
        return word
    place = random.choice(places)
    return word[:place] + table[word[place]] + word[place + 1 :]


def _reversioned(words: list[Word], rate: float, random: Random) -> list[Word]:
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


def _punctuated(words: list[Word], rate: float, random: Random) -> list[Word]:
    changed: list[Word] = []
    for word, tag in words:
        if _PUNCTUATION.fullmatch(word):
            drawn = random.random()
            if drawn < rate:
                changed.append((DROPPED, tag))
                continue
            if drawn < rate * (1 + DOUBLED_SHARE):
                changed.append((word, tag))
                tag = _inside(tag)
        changed.append((word, tag))
    return _kept(changed)


def _without_articles(words: list[Word], rate: float, random: Random) -> list[Word]:
    return _kept(
        [
            (
                DROPPED if word.lower() in TABLES["articles"] and random.random() < rate else word,
                tag,
            )
            for word, tag in words
        ]
    )


def _kept(words: list[Word]) -> list[Word]:
    """Without the dropped words; an entity that lost its first word begins with the next one."""
    kept: list[Word] = []
    begins = False
    for word, tag in words:
        prefix, type_ = split_tag(tag)
        begins = prefix == "B" or (begins and prefix == "I")
        if word != DROPPED:
            kept.append((word, f"B-{type_}" if begins else tag))
            begins = False
    return kept


def _respaced(words: list[Word], rate: float, random: Random) -> list[Word]:
    changed: list[Word] = []
    for word, tag in words:
        if changed and random.random() < rate / 2 and (tag == _inside(changed[-1][1])):
            # Two words of one entity, or two outside any, in one.
            changed[-1] = (changed[-1][0] + word, changed[-1][1])
        elif len(word) > 1 and random.random() < rate / 2:
            place = random.randrange(1, len(word))
            changed += [(word[:place], tag), (word[place:], _inside(tag))]
        else:
            changed.append((word, tag))
    return changed


def _fenced(words: list[Word], rate: float, random: Random) -> list[Word]:
    tags = [tag for _, tag in words]
    spans = {entity.start: entity.end for entity in to_entities(tags)} | {
        place: place + 1 for place, tag in enumerate(tags) if tag == OUTSIDE
    }
    changed: list[Word] = []
    for start, end in sorted(spans.items()):
        fence = [(FENCE, OUTSIDE)] if random.random() < rate else []
        changed += [*fence, *words[start:end], *fence]
    return changed


def _entities(words: list[Word], rate: float, random: Random, pools: Pools) -> list[Word]:
    changed: list[Word] = []
    place = 0
    for entity in to_entities([tag for _, tag in words]):
        changed += words[place : entity.start]
        place = entity.end
        pool = pools.get(entity.type)
        if pool and random.random() < rate:
            first, *more = random.choice(pool)
            changed += [(first, f"B-{entity.type}"), *((word, f"I-{entity.type}") for word in more)]
        else:
            changed += words[entity.start : entity.end]
    return changed + words[place:]


_KINDS: dict[str, Callable[[list[Word], float, Random], list[Word]]] = {
    "casing": _each(_recased),
    "punctuation": _punctuated,
    "typos": _each(_mistyped),
    "keyboard": _each(_mistyped_on_keyboard),
    "whitespace": _respaced,
    "confusables": _each(_confused),
    "articles": _without_articles,
    "code_fences": _fenced,
    "versions": _reversioned,
}
