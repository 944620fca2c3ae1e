"""Confusions and the errors behind them: by word, by entity, as frequent pairs, as worst sentences one can read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import pandas as pd

from ..data.sentences import Sentence
from ..tagging.iob2 import OUTSIDE, Entity, split_tag, to_entities

PALETTE = ("#fde2e4", "#dbeafe", "#dcfce7", "#fef3c7", "#ede9fe", "#cffafe", "#fce7f3", "#e2e8f0")


CATEGORIES = ("correct", "boundary", "type", "both", "missed", "spurious")
"""What an outcome is: right; wrong span; wrong type; both wrong; gold without a prediction; a prediction without gold."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One gold entity, one predicted entity, or a pair of both that was matched; None where there is no counterpart."""

    gold: Entity | None
    predicted: Entity | None

    @property
    def correct(self) -> bool:
        """Whether span and type are equal."""
        return self.gold == self.predicted

    @property
    def category(self) -> str:
        """One of :data:`CATEGORIES`."""
        if self.gold is None or self.predicted is None:
            return "spurious" if self.gold is None else "missed"
        same_type = self.gold.type == self.predicted.type
        same_span = (self.gold.start, self.gold.end) == (self.predicted.start, self.predicted.end)
        return CATEGORIES[(not same_span) + 2 * (not same_type)]

    @property
    def type(self) -> str:
        """The gold entity's type, the predicted one's where there is no gold."""
        entity = self.gold or self.predicted
        assert entity is not None
        return entity.type


def match(gold: Sequence[Entity], predicted: Sequence[Entity]) -> list[Outcome]:
    """Pair entities one to one: equal spans first, then by the number of shared words, earlier ones first."""
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
    """Words by gold type (rows) and predicted type (columns), ``O`` included; B- and I- count alike."""
    pairs = Counter(
        (split_tag(g)[1] or OUTSIDE, split_tag(p)[1] or OUTSIDE)
        for gold_tags, predicted_tags in zip(gold, predicted, strict=True)
        for g, p in zip(gold_tags, predicted_tags, strict=True)
    )
    return _matrix(pairs, types)


def entity_confusion(outcomes: Sequence[Sequence[Outcome]], types: Sequence[str]) -> pd.DataFrame:
    """Entities by gold type (rows) and the type of the predicted entity they were matched to (columns).

    Row ``O`` holds predictions that match nothing, column ``O`` gold entities that were missed. A match with wrong
    boundaries counts under its types; the table of frequent errors tells them apart.
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
    """Outcomes by type (rows) and category (columns), and of all types together."""
    found = Counter(
        (outcome.type, outcome.category) for sentence in outcomes for outcome in sentence
    )
    rows = [[type_, *(found[type_, category] for category in CATEGORIES)] for type_ in types]
    whole = ["all", *(sum(found[type_, category] for type_ in types) for category in CATEGORIES)]
    return pd.DataFrame([*rows, whole], columns=["entity_type", *CATEGORIES])


def category_examples(
    outcomes: Sequence[Sequence[Outcome]], types: Sequence[str], limit: int
) -> dict[str, list[int]]:
    """Indices of the first ``limit`` sentences with an error of each type and category, by a heading that names and counts them."""
    places: dict[tuple[str, str], list[int]] = {}
    for index, sentence in enumerate(outcomes):
        for type_, category in {
            (outcome.type, outcome.category) for outcome in sentence if not outcome.correct
        }:
            places.setdefault((type_, category), []).append(index)
    return {
        f"{type_}, {category}: {len(found)} sentence{'s' * (len(found) > 1)}": found[:limit]
        for type_ in types
        for category in CATEGORIES[1:]
        if (found := places.get((type_, category)))
    }


def error_pairs(
    sentences: Sequence[Sentence], outcomes: Sequence[Sequence[Outcome]], limit: int
) -> pd.DataFrame:
    """The most frequent errors: what was there, what was said instead, how often, and where first."""
    places: dict[tuple[str, str, str, str], list[str]] = {}
    for sentence, matched in zip(sentences, outcomes, strict=True):
        for outcome in matched:
            if not outcome.correct:
                key = (*_named(sentence, outcome.gold), *_named(sentence, outcome.predicted))
                places.setdefault(key, []).append(" ".join(sentence.tokens))
    ranked = sorted(places.items(), key=lambda item: (-len(item[1]), item[0]))[:limit]
    columns = ["gold", "gold_text", "predicted", "predicted_text", "count", "first_sentence"]
    return pd.DataFrame([(*key, len(found), found[0]) for key, found in ranked], columns=columns)


def worst_sentences(
    sentences: Sequence[Sentence], outcomes: Sequence[Sequence[Outcome]], limit: int
) -> list[int]:
    """Indices of the sentences with the most errors; among equals the shorter, then the earlier."""
    errors = [sum(not outcome.correct for outcome in matched) for matched in outcomes]
    order = sorted(
        range(len(sentences)),
        key=lambda index: (-errors[index], len(sentences[index].tokens), index),
    )
    return [index for index in order[:limit] if errors[index]]


def sentence_table(
    sentences: Sequence[Sentence], outcomes: Sequence[Sequence[Outcome]], indices: Sequence[int]
) -> pd.DataFrame:
    """The named sentences with their missed, spurious and wrong entities in words."""
    rows = []
    for index in indices:
        sentence, matched = sentences[index], outcomes[index]
        rows.append(
            {
                "errors": sum(not outcome.correct for outcome in matched),
                "sentence": " ".join(sentence.tokens),
                "gold": "; ".join(
                    _described(sentence, o.gold) for o in sorted(matched, key=_gold_start) if o.gold
                ),
                "predicted": "; ".join(
                    _described(sentence, o.predicted)
                    for o in sorted(matched, key=_predicted_start)
                    if o.predicted
                ),
                "origin": sentence.origin,
            }
        )
    return pd.DataFrame(rows, columns=["errors", "sentence", "gold", "predicted", "origin"])


def sentences_page(
    title: str,
    sentences: Sequence[Sentence],
    predicted: Sequence[Sequence[str]],
    groups: Mapping[str, Sequence[int]],
    types: Sequence[str],
) -> str:
    """An HTML page of the named sentences under their headings, gold above predicted, entities in the colour of their type."""
    colours = {type_: PALETTE[position % len(PALETTE)] for position, type_ in enumerate(types)}
    legend = " ".join(_mark(type_, type_, colours) for type_ in types)
    blocks = []
    for heading, indices in groups.items():
        blocks += [f"<h2>{escape(heading)}</h2>"] if heading else []
        blocks += [
            f"<section><small>{escape(sentences[index].origin)}</small>"
            f"<p><b>gold</b> {_marked(sentences[index].tokens, sentences[index].tags, colours)}</p>"
            f"<p><b>predicted</b> {_marked(sentences[index].tokens, predicted[index], colours)}</p></section>"
            for index in indices
        ]
    return (
        f'<!doctype html><meta charset="utf-8"><title>{escape(title)}</title>'
        "<style>body{font:14px/1.7 system-ui,sans-serif;margin:2em;max-width:70em}section{border-top:1px solid #ddd;padding:.6em 0}"
        "p{margin:.2em 0}b{display:inline-block;width:6em;color:#666;font-weight:500}mark{padding:.1em .3em;border-radius:.3em}"
        "sub{font-size:.7em;color:#555;margin-left:.3em}small{color:#888}h2{font-size:1.1em;margin:1.5em 0 .3em}</style>"
        f"<h1>{escape(title)}</h1><p>{legend}</p>{''.join(blocks) or '<p>No errors.</p>'}"
    )


def _matrix(pairs: Counter[tuple[str, str]], types: Sequence[str]) -> pd.DataFrame:
    names = [*types, OUTSIDE]
    return pd.DataFrame(
        [[pairs[row, column] for column in names] for row in names],
        index=pd.Index(names, name="gold"),
        columns=names,
    )


def _gold_start(outcome: Outcome) -> int:
    return outcome.gold.start if outcome.gold else -1


def _predicted_start(outcome: Outcome) -> int:
    return outcome.predicted.start if outcome.predicted else -1


def _named(sentence: Sentence, entity: Entity | None) -> tuple[str, str]:
    return (
        (entity.type, " ".join(sentence.tokens[entity.start : entity.end]))
        if entity
        else (OUTSIDE, "")
    )


def _described(sentence: Sentence, entity: Entity | None) -> str:
    type_, text = _named(sentence, entity)
    return f"{text} [{type_}]"


def _marked(tokens: Sequence[str], tags: Sequence[str], colours: dict[str, str]) -> str:
    parts, position = [], 0
    for entity in to_entities(tags):
        parts += [escape(token) for token in tokens[position : entity.start]]
        parts.append(_mark(" ".join(tokens[entity.start : entity.end]), entity.type, colours))
        position = entity.end
    return " ".join(parts + [escape(token) for token in tokens[position:]])


def _mark(text: str, type_: str, colours: dict[str, str]) -> str:
    return f'<mark style="background:{colours.get(type_, "#eee")}">{escape(text)}<sub>{escape(type_)}</sub></mark>'
