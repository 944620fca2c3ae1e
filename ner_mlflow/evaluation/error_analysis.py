"""Match gold to predicted entities, and count and rank the errors."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from ..data.sentences import Sentence
from ..tagging.iob2 import OUTSIDE, Entity, split_tag

CATEGORIES = ("correct", "boundary", "type", "both", "missed", "spurious")
"""Categories of an outcome, in this order: right; wrong span; wrong type; span and type wrong; gold
without a prediction; a prediction without gold."""
ERROR_NAMES = {
    "boundary": "wrong boundary",
    "type": "wrong type",
    "both": "wrong boundary and type",
    "missed": "missed",
    "spurious": "spurious",
}
"""Category of an error -> what headings call it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A gold entity and the predicted entity matched to it; None where there is no counterpart."""

    gold: Entity | None
    predicted: Entity | None

    @property
    def correct(self) -> bool:
        """Return whether span and type are equal."""
        return self.gold == self.predicted

    @property
    def category(self) -> str:
        """Return one of :data:`CATEGORIES`."""
        if self.gold is None or self.predicted is None:
            return "spurious" if self.gold is None else "missed"
        same_type = self.gold.type == self.predicted.type
        same_span = (self.gold.start, self.gold.end) == (self.predicted.start, self.predicted.end)
        return CATEGORIES[(not same_span) + 2 * (not same_type)]

    @property
    def type(self) -> str:
        """Return the gold entity's type, or the predicted entity's where there is no gold."""
        entity = self.gold or self.predicted
        assert entity is not None
        return entity.type


def match(gold: Sequence[Entity], predicted: Sequence[Entity]) -> list[Outcome]:
    """Pair gold and predicted entities one to one, by overlap.

    Equal spans are paired first, then those that share most words; among equals, earlier ones.
    """
    pairs = sorted(
        (
            (-int((g.start, g.end) == (p.start, p.end)), -shared, g, p)
            for g in gold
            for p in predicted
            if (shared := min(g.end, p.end) - max(g.start, p.start)) > 0
        ),
    )
    left, right = set(gold), set(predicted)
    outcomes = []
    for _, _, g, p in pairs:
        if g in left and p in right:
            outcomes.append(Outcome(g, p))
            left.remove(g)
            right.remove(p)
    return (
        outcomes
        + [Outcome(g, None) for g in sorted(left)]
        + [Outcome(None, p) for p in sorted(right)]
    )


def token_confusion(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], types: Sequence[str]
) -> pd.DataFrame:
    """Return the number of words by gold type (rows) and predicted type (columns), ``O`` included.

    ``B-`` and ``I-`` are not distinguished.
    """
    pairs = Counter(
        (split_tag(g)[1] or OUTSIDE, split_tag(p)[1] or OUTSIDE)
        for gold_tags, predicted_tags in zip(gold, predicted, strict=True)
        for g, p in zip(gold_tags, predicted_tags, strict=True)
    )
    return _matrix(pairs, types)


def entity_confusion(outcomes: Sequence[Sequence[Outcome]], types: Sequence[str]) -> pd.DataFrame:
    """Return the number of entities by gold type (rows) and by their match's type (columns).

    Row ``O`` counts predictions without a match, column ``O`` missed gold entities. A match with
    wrong boundaries counts under its types; :func:`category_table` counts it as an error.
    """
    pairs = Counter(
        (
            outcome.gold.type if outcome.gold else OUTSIDE,
            outcome.predicted.type if outcome.predicted else OUTSIDE,
        )
        for sentence in outcomes
        for outcome in sentence
    )
    return _matrix(pairs, types)


def category_table(outcomes: Sequence[Sequence[Outcome]], types: Sequence[str]) -> pd.DataFrame:
    """Return the number of outcomes by type (rows) and category (columns), with a row ``all``."""
    counts = Counter(
        (outcome.type, outcome.category) for sentence in outcomes for outcome in sentence
    )
    rows = [[type_, *(counts[type_, category] for category in CATEGORIES)] for type_ in types]
    total = ["all", *(sum(counts[type_, category] for type_ in types) for category in CATEGORIES)]
    return pd.DataFrame([*rows, total], columns=["entity_type", *CATEGORIES])


def category_examples(
    outcomes: Sequence[Sequence[Outcome]], types: Sequence[str], limit: int
) -> dict[str, list[int]]:
    """Return sentences with errors of each type and category.

    Returns:
        A heading (``OS, missed: 3 sentences``) -> indices of the first ``limit`` of its sentences.
        The heading says so if there are more.
    """
    indices: dict[tuple[str, str], list[int]] = {}
    for index, sentence in enumerate(outcomes):
        for error in {
            (outcome.type, outcome.category) for outcome in sentence if not outcome.correct
        }:
            indices.setdefault(error, []).append(index)
    return {
        f"{type_}, {ERROR_NAMES[category]}: {_count(group, limit)}": group[:limit]
        for type_ in types
        for category in ERROR_NAMES
        if (group := indices.get((type_, category)))
    }


def _count(group: Sequence[int], limit: int) -> str:
    more = f", {limit} shown" if len(group) > limit else ""
    return f"{len(group)} sentence{'s' * (len(group) > 1)}{more}"


def error_pairs(
    sentences: Sequence[Sentence], outcomes: Sequence[Sequence[Outcome]], limit: int
) -> pd.DataFrame:
    """Return the most frequent errors: gold, prediction, count and first sentence of each."""
    errors: dict[tuple[str, str, str, str], list[str]] = {}
    for sentence, matched in zip(sentences, outcomes, strict=True):
        for outcome in matched:
            if not outcome.correct:
                key = (
                    *_type_and_text(sentence, outcome.gold),
                    *_type_and_text(sentence, outcome.predicted),
                )
                errors.setdefault(key, []).append(" ".join(sentence.tokens))
    ranked = sorted(errors.items(), key=lambda item: (-len(item[1]), item[0]))[:limit]
    columns = ["gold", "gold_text", "predicted", "predicted_text", "count", "first_sentence"]
    return pd.DataFrame([(*key, len(texts), texts[0]) for key, texts in ranked], columns=columns)


def worst_sentences(
    sentences: Sequence[Sentence], outcomes: Sequence[Sequence[Outcome]], limit: int
) -> list[int]:
    """Return the indices of the sentences with most errors, shorter and then earlier ones first.

    Sentences without an error are left out.
    """
    errors = [sum(not outcome.correct for outcome in matched) for matched in outcomes]
    order = sorted(
        range(len(sentences)),
        key=lambda index: (-errors[index], len(sentences[index].tokens), index),
    )
    return [index for index in order[:limit] if errors[index]]


def sentence_table(
    sentences: Sequence[Sentence], outcomes: Sequence[Sequence[Outcome]], indices: Sequence[int]
) -> pd.DataFrame:
    """Return one row for each given sentence: its errors, text, entities and origin."""
    rows = []
    for index in indices:
        sentence, matched = sentences[index], outcomes[index]
        rows.append(
            {
                "errors": sum(not outcome.correct for outcome in matched),
                "sentence": " ".join(sentence.tokens),
                "gold": _describe(sentence, [outcome.gold for outcome in matched]),
                "predicted": _describe(sentence, [outcome.predicted for outcome in matched]),
                "origin": sentence.origin,
            }
        )
    return pd.DataFrame(rows, columns=["errors", "sentence", "gold", "predicted", "origin"])


def _matrix(pairs: Counter[tuple[str, str]], types: Sequence[str]) -> pd.DataFrame:
    names = [*types, OUTSIDE]
    return pd.DataFrame(
        [[pairs[row, column] for column in names] for row in names],
        index=pd.Index(names, name="gold"),
        columns=names,
    )


def _type_and_text(sentence: Sentence, entity: Entity | None) -> tuple[str, str]:
    if entity is None:
        return OUTSIDE, ""
    return entity.type, " ".join(sentence.tokens[entity.start : entity.end])


def _describe(sentence: Sentence, entities: Iterable[Entity | None]) -> str:
    texts = []
    for entity in sorted(filter(None, entities)):
        type_, text = _type_and_text(sentence, entity)
        texts.append(f"{text} [{type_}]")
    return "; ".join(texts)
