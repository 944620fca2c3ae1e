"""Score labelers and their union against gold sentences, and choose the union."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..data.sentences import Sentence
from ..evaluation.counts import GOLD, PREDICTED, f1, precision, prepend_total, recall, type_counts
from ..plotting import (
    INK,
    ROW_IN,
    explain,
    key_line,
    name_rows,
    new_plot,
    rows_height_in,
    score_axis,
    series,
    short_name,
    side_columns,
)
from ..tagging.iob2 import to_entities
from .labelers import ANY_TYPE, Votes
from .union import TokenHmm, Union, WeightedVote, conflicts

UNION = "union"
"""The name of the labelers' union in tables and metrics."""
TOTAL = "all"
"""The name of all types together."""
OPTIMISTIC = "optimistic: a model's epoch was chosen on validation"
FOLDS = 2
"""Parts of gold; a union is scored on each part after it was fitted on the others."""
BLOCKS = 20
"""Blocks of neighbouring sentences that stay in one part where gold has no documents."""


@dataclass(frozen=True)
class GoldSet:
    """Gold sentences in pieces, and what each labeler votes for them.

    Attributes:
        name: the name in tables and metrics.
        sentences: the sentences, with their gold tags.
        votes: for each labeler the votes for each sentence.
    """

    name: str
    sentences: Sequence[Sentence]
    votes: Sequence[Sequence[Votes]]

    @property
    def lengths(self) -> list[int]:
        """Return the number of words of each sentence."""
        return [len(sentence.tokens) for sentence in self.sentences]

    def take(self, rows: Sequence[int]) -> "GoldSet":
        """Return some of the sentences."""
        return GoldSet(
            self.name,
            [self.sentences[row] for row in rows],
            [[of_labeler[row] for row in rows] for of_labeler in self.votes],
        )


@dataclass(frozen=True)
class ChosenUnion:
    """The union with the best F1 on gold, fitted on all of it.

    Attributes:
        union: the union.
        f1: the F1 of each union that was tried, by name.
        spans: the spans of the chosen one, from :func:`cross_fitted`.
    """

    union: Union
    f1: Mapping[str, float]
    spans: Sequence[Votes]


def choose_union(gold: GoldSet, types: Sequence[str]) -> ChosenUnion:
    """Return the union with the best F1 on gold.

    Args:
        gold: the validation sentences; F1 is that of :func:`cross_fitted`.
        types: the entity types.
    """
    unions: tuple[Union, ...] = (WeightedVote(), TokenHmm(types))
    spans = {union.name: cross_fitted(union, gold) for union in unions}
    scores = {
        name: float(f1(_counts(gold, found, types).sum(axis=(0, 1)), 0))
        for name, found in spans.items()
    }
    best = max(unions, key=lambda union: scores[union.name])
    best.fit(gold.votes, gold.sentences)
    return ChosenUnion(best, scores, spans[best.name])


def cross_fitted(union: Union, gold: GoldSet) -> list[Votes]:
    """Return the union's spans of each gold sentence, after it was fitted on other sentences.

    Sentences of one document are in one of the :data:`FOLDS` parts; without documents, or with a
    single one, neighbouring sentences are. The union is left as it was fitted last.
    """
    documents: list[object] = [sentence.document for sentence in gold.sentences]
    if len({*documents}) < FOLDS or None in documents:
        documents = [row * BLOCKS // len(documents) for row in range(len(documents))]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(documents))}
    folds = np.array([numbers[name] for name in documents]) % FOLDS
    spans: list[Votes] = [[] for _ in gold.sentences]
    for fold in range(FOLDS):
        fitted = gold.take(np.flatnonzero(folds != fold).tolist())
        rows = np.flatnonzero(folds == fold).tolist()
        held_out = gold.take(rows)
        union.fit(fitted.votes, fitted.sentences)
        for row, found in zip(rows, union.combine(held_out.votes, held_out.lengths), strict=True):
            spans[row] = found
    return spans


def score_labelers(
    gold: GoldSet,
    names: Sequence[str],
    union: Sequence[Votes],
    types: Sequence[str],
    optimistic: Collection[str] = (),
) -> pd.DataFrame:
    """Score each labeler and the union on gold sentences by strict spans.

    Args:
        gold: the sentences and the labelers' votes.
        names: the labelers' names.
        union: the union's spans of each sentence.
        types: the entity types.
        optimistic: labelers that these sentences helped to make.

    Returns:
        A row for each labeler and type, and for all types together: labeler, gold (the name of the
        set), type, precision, recall, f1, predicted and gold_entities (numbers of spans), coverage
        (share of the sentences with a vote), conflicts (spans of this type that overlap another
        labeler's different span; of the union's row) and note (:data:`OPTIMISTIC` or empty). The
        union is optimistic if one of its labelers is.
    """
    found = conflicts(gold.votes)
    conflicting = {TOTAL: sum(found.values()), **found}
    flattered = {*optimistic, UNION} if optimistic else set()
    rows = []
    for name, votes in (*zip(names, gold.votes, strict=True), (UNION, union)):
        counts = prepend_total(_counts(gold, votes, types)).sum(axis=0)
        voted = [{vote.type for vote in of_row if vote.type != ANY_TYPE} for of_row in votes]
        for index, type_ in enumerate((TOTAL, *types)):
            covered = sum(bool(of_row) if type_ == TOTAL else type_ in of_row for of_row in voted)
            rows.append(
                {
                    "labeler": name,
                    "gold": gold.name,
                    "type": type_,
                    "precision": float(precision(counts[index])),
                    "recall": float(recall(counts[index])),
                    "f1": float(f1(counts[index])),
                    "predicted": int(counts[index, PREDICTED]),
                    "gold_entities": int(counts[index, GOLD]),
                    "coverage": covered / max(1, len(voted)),
                    "conflicts": conflicting.get(type_, 0) if name == UNION else 0,
                    "note": OPTIMISTIC if name in flattered else "",
                }
            )
    return pd.DataFrame(rows)


def score_metrics(table: pd.DataFrame) -> dict[str, float]:
    """Return the scores as metrics, such as ``weak/rules/validation/OS/precision``.

    A precision without a span, and a recall without a gold entity, is left out.
    """
    metrics: dict[str, float] = {}
    for row in table.to_dict("records"):
        type_ = "" if row["type"] == TOTAL else f"/{row['type']}"
        prefix = f"weak/{row['labeler']}/{row['gold']}{type_}"
        if row["predicted"]:
            metrics[f"{prefix}/precision"] = row["precision"]
        if row["gold_entities"]:
            metrics |= {f"{prefix}/recall": row["recall"], f"{prefix}/f1": row["f1"]}
        metrics[f"{prefix}/coverage"] = row["coverage"]
        if row["labeler"] == UNION:
            metrics[f"{prefix}/conflicts"] = float(row["conflicts"])
    return metrics


def plot_scores(table: pd.DataFrame, least_precision: float) -> Figure:
    """Plot precision and recall of each labeler by type, a row of plots for each gold set.

    A labeler without a span, and a type without a gold entity, has no point.

    Args:
        table: that of :func:`score_labelers`, of one gold set or several.
        least_precision: types below it are left out; a line shows it.
    """
    sets = list(dict.fromkeys(table["gold"]))
    labelers = list(dict.fromkeys(table["labeler"]))
    if len(labelers) == 2:  # the union of one labeler is that labeler
        labelers.remove(UNION)
    types = list(dict.fromkeys(table["type"]))
    names = [short_name(type_) for type_ in types]
    spread = 0.8 / max(len(labelers), 1)
    scale = max(1.0, len(labelers) * 0.17 / ROW_IN)
    note = explain(
        "n: spans found (precision) and gold entities (recall)",
        "dashed: least precision of a type that is used",
    )
    height = scale * rows_height_in(names) + 0.35
    with new_plot("Labelers against gold, by type", note, height * max(len(sets), 1)) as figure:
        panels = figure.subplots(max(len(sets), 1), 2, squeeze=False, sharey="row")
        for row, name in enumerate(sets):
            for axes, measure, amount in zip(
                panels[row], ("precision", "recall"), ("predicted", "gold_entities"), strict=True
            ):
                rows = np.array(name_rows(axes, names))
                shown_counts: list[tuple[float, str]] = []
                for index, labeler in enumerate(labelers):
                    of_labeler = table[(table["gold"] == name) & (table["labeler"] == labeler)]
                    of_labeler = of_labeler.set_index("type").reindex(types)
                    counts = of_labeler[amount].fillna(0).astype(int)
                    values = of_labeler[measure].where(counts > 0).to_numpy(float)
                    at = rows + (index - (len(labelers) - 1) / 2) * spread
                    axes.plot(values, at, **series(index).points)
                    figure.add_key(key_line(series(index)), labeler)
                    if measure == "precision":
                        shown_counts += zip(at, [f"{count:,}" for count in counts], strict=True)
                    elif index == 0:
                        shown_counts += zip(rows, [f"{count:,}" for count in counts], strict=True)
                if measure == "precision":
                    axes.axvline(least_precision, color=INK, linewidth=0.9, linestyle="--")
                score_axis(axes, f"{measure} on {name}, 0 to 1")
                positions = [position for position, _ in shown_counts]
                side_columns(axes, positions, {"n": [text for _, text in shown_counts]})
    return figure


def types_below(
    tables: Sequence[pd.DataFrame], types: Sequence[str], least_precision: float
) -> dict[str, float]:
    """Return the types that the union finds less precisely, with their precision.

    A type is judged by the last gold set that holds entities of it and in which the union votes for
    it. A type without such a set is not proven: its precision is NaN, and it is below any other
    limit than 0.

    Args:
        tables: those of :func:`score_labelers`, one for each gold set.
        types: the entity types.
        least_precision: the limit.
    """
    below = {}
    for type_ in types:
        precision_ = float("nan")
        for table in tables:
            ((voted, gold, value),) = table.loc[
                (table["labeler"] == UNION) & (table["type"] == type_),
                ["predicted", "gold_entities", "precision"],
            ].itertuples(index=False)
            if voted and gold:
                precision_ = float(value)
        if least_precision and not precision_ >= least_precision:
            below[type_] = precision_
    return below


def _counts(gold: GoldSet, votes: Sequence[Votes], types: Sequence[str]) -> NDArray[np.int64]:
    return type_counts(
        [to_entities(sentence.tags) for sentence in gold.sentences],
        [[vote.entity for vote in of_row if vote.type in types] for of_row in votes],
        types,
    )
