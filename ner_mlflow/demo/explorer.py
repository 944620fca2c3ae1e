"""Find errors among stored predictions: by type, by category and by slice."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ..config.schema import EvaluateConfig
from ..data.sentences import Sentence
from ..errors import DataError
from ..evaluation.error_analysis import CATEGORIES, Outcome, entity_confusion, match
from ..evaluation.slices import Criterion, criteria, train_surfaces
from ..tagging.iob2 import OUTSIDE, to_entities

ANY = "(any)"
"""A filter that lets everything through."""
ERRORS = "(all errors)"
"""The filter of categories that lets all of them through but the correct one."""
CATEGORY_TEXTS: Mapping[str, str] = {
    "correct": "right type and span",
    "boundary": "right type, wrong span",
    "type": "right span, wrong type",
    "both": "overlaps, but span and type are wrong",
    "missed": "gold, but nothing was predicted",
    "spurious": "predicted, but gold has nothing there",
}


@dataclass(frozen=True)
class Case:
    """A sentence with its gold and predicted tags, and what became of its entities.

    ``origin`` tells where the sentence stands in its source, empty if that is not known.
    """

    index: int
    sentence: Sentence
    predicted: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    origin: str


@dataclass(frozen=True)
class Filter:
    """What outcomes to show.

    Attributes:
        gold: type of the gold entity; ``O``: there is none.
        predicted: type of the predicted entity; ``O``: there is none.
        category: one of the categories, :data:`ERRORS` or :data:`ANY`.
        by: a criterion of slices, or :data:`ANY`.
        part: the name of a slice of this criterion.
    """

    gold: str = ANY
    predicted: str = ANY
    category: str = ERRORS
    by: str = ANY
    part: str = ANY


@dataclass(frozen=True)
class Found:
    """A sentence with the outcomes that a filter lets through."""

    case: Case
    outcomes: tuple[Outcome, ...]


def read_cases(predictions: pd.DataFrame) -> list[Case]:
    """Return the sentences of stored predictions."""
    found = []
    for index, row in enumerate(predictions.to_dict("records")):
        gold, predicted = list(row["gold"]), list(row["predicted"])
        try:
            outcomes = match(to_entities(gold), to_entities(predicted))
        except DataError:  # predictions that another program wrote
            continue
        origin = str(row.get("origin") or row.get("document") or "")
        sentence = Sentence(tuple(row["tokens"]), tuple(gold))
        found.append(Case(index, sentence, tuple(predicted), tuple(outcomes), origin))
    return found


def confusion(cases: Sequence[Case], types: Sequence[str]) -> pd.DataFrame:
    """Return entities by gold type (rows) and predicted type (columns), ``O`` included."""
    return entity_confusion([case.outcomes for case in cases], types)


def slice_criteria(
    cases: Sequence[Case],
    train: Iterable[Sentence],
    config: EvaluateConfig,
    weak_train: Iterable[Sentence] = (),
) -> dict[str, Criterion]:
    """Return the criteria of slices, whose functions take the position of a case.

    Args:
        cases: the sentences.
        train: gold sentences of train.
        config: the edges of the slices.
        weak_train: weakly labelled sentences of train.
    """
    return criteria(
        [case.sentence for case in cases],
        train_surfaces(train),
        train_surfaces(weak_train),
        config.length_edges,
        config.frequency_edges,
    )


def find(
    cases: Sequence[Case], wanted: Filter, slices: Mapping[str, Criterion] | None = None
) -> list[Found]:
    """Return the sentences with an outcome that a filter lets through, most errors first."""
    criterion = (slices or {}).get(wanted.by)
    found = []
    for position, case in enumerate(cases):
        outcomes = tuple(
            outcome
            for outcome in case.outcomes
            if _passes(outcome, wanted) and _is_in(outcome, position, wanted.part, criterion)
        )
        if outcomes:
            found.append(Found(case, outcomes))
    return sorted(found, key=lambda one: (-_errors(one), one.case.index))


def category_counts(cases: Sequence[Case]) -> dict[str, int]:
    """Return the number of outcomes of each category."""
    counts = dict.fromkeys(CATEGORIES, 0)
    for case in cases:
        for outcome in case.outcomes:
            counts[outcome.category] += 1
    return counts


def slice_rows(
    cases: Sequence[Case], slices: Mapping[str, Criterion]
) -> list[tuple[str, str, int, int]]:
    """Return criterion, slice, gold entities and how many of them were not found rightly."""
    rows = []
    for by, criterion in slices.items():
        gold, wrong = dict.fromkeys(criterion.names, 0), dict.fromkeys(criterion.names, 0)
        for position, case in enumerate(cases):
            for outcome in case.outcomes:
                if outcome.gold is not None:
                    part = criterion.slice_of(position, outcome.gold)
                    gold[part] += 1
                    wrong[part] += not outcome.correct
        rows += [(by, part, gold[part], wrong[part]) for part in criterion.names]
    return rows


def describe(case: Case, outcome: Outcome) -> str:
    """Return an outcome in words, without quotation of the whole sentence."""

    def shown(start: int, end: int) -> str:
        return " ".join(case.sentence.tokens[start:end])

    gold, predicted = outcome.gold, outcome.predicted
    if gold is None and predicted is not None:
        return f"“{shown(predicted.start, predicted.end)}” as {predicted.type}"
    if gold is not None and predicted is None:
        return f"{gold.type} “{shown(gold.start, gold.end)}”"
    assert gold is not None
    assert predicted is not None
    if outcome.correct:
        return f"{gold.type} “{shown(gold.start, gold.end)}”"
    return (
        f"{gold.type} “{shown(gold.start, gold.end)}” as {predicted.type} "
        f"“{shown(predicted.start, predicted.end)}”"
    )


def _passes(outcome: Outcome, wanted: Filter) -> bool:
    gold = outcome.gold.type if outcome.gold else OUTSIDE
    predicted = outcome.predicted.type if outcome.predicted else OUTSIDE
    return (
        wanted.gold in (ANY, gold)
        and wanted.predicted in (ANY, predicted)
        and (
            wanted.category == ANY
            or (wanted.category == ERRORS and not outcome.correct)
            or wanted.category == outcome.category
        )
    )


def _is_in(outcome: Outcome, position: int, part: str, criterion: Criterion | None) -> bool:
    if criterion is None or part == ANY:
        return True
    entity = outcome.gold or outcome.predicted
    assert entity is not None
    return criterion.slice_of(position, entity) == part


def _errors(found: Found) -> int:
    return sum(not outcome.correct for outcome in found.outcomes)
