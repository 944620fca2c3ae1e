"""Labelers are scored against gold, and the better union is chosen."""

from collections.abc import Sequence
from dataclasses import replace
from math import isnan

import pandas as pd
import pytest
from readable_plots import assert_readable, points

from ner_mlflow.data.sentences import Sentence
from ner_mlflow.plotting import Plot
from ner_mlflow.tagging.iob2 import Entity, to_tags
from ner_mlflow.weak.labelers import VotedSpan, Votes
from ner_mlflow.weak.scoring import (
    GoldSet,
    choose_union,
    cross_fitted,
    plot_scores,
    score_labelers,
    score_metrics,
    types_below,
)
from ner_mlflow.weak.union import WeightedVote

TYPES = ("A", "B")


def gold_set(count: int = 40) -> GoldSet:
    """Every sentence holds an A; one labeler finds it, the other also finds a wrong B."""
    sentences, exact, eager = [], [], []
    for number in range(count):
        sentences.append(
            Sentence(
                ("Use", f"a{number}", "now"),
                tuple(to_tags([Entity(1, 2, "A")], 3)),
                f"post {number // 4}",
            )
        )
        exact.append([VotedSpan(1, 2, "A")])
        eager.append([VotedSpan(1, 2, "A"), VotedSpan(2, 3, "B")])
    return GoldSet("validation", sentences, [exact, eager])


def scores_of(gold: GoldSet, union: list[Votes]) -> pd.DataFrame:
    return score_labelers(gold, ["exact", "eager"], union, TYPES)


def test_each_labeler_and_the_union_has_a_row_for_each_type() -> None:
    gold = gold_set()
    table = scores_of(gold, cross_fitted(WeightedVote(), gold)).set_index(["labeler", "type"])
    assert table.loc[("exact", "A"), ["precision", "recall", "coverage"]].tolist() == [1, 1, 1]
    assert table.loc[("eager", "B"), ["precision", "predicted", "gold_entities"]].tolist() == [
        *(0, 40, 0)
    ]
    assert table.loc[("union", "all"), ["precision", "recall", "predicted"]].tolist() == [1, 1, 40]
    assert table.loc[("eager", "all"), "precision"] == pytest.approx(0.5)


def test_metrics_leave_out_scores_of_nothing() -> None:
    gold = gold_set()
    metrics = score_metrics(scores_of(gold, cross_fitted(WeightedVote(), gold)))
    assert metrics["weak/exact/validation/A/precision"] == 1
    assert metrics["weak/eager/validation/precision"] == 0.5
    assert "weak/exact/validation/B/precision" not in metrics
    assert "weak/eager/validation/B/recall" not in metrics
    assert metrics["weak/union/validation/conflicts"] == 0


def test_types_that_are_found_too_imprecisely_are_named() -> None:
    gold = gold_set()
    table = scores_of(gold, gold.votes[1])  # as if the union were the eager labeler
    (unproven,) = types_below([table], TYPES, 0.5).items()
    assert unproven[0] == "B"
    assert isnan(unproven[1])  # gold holds no B
    assert types_below([table], TYPES, 0.0) == {}


def test_the_target_domain_judges_the_types_that_it_holds() -> None:
    gold = gold_set()
    validation = scores_of(gold, gold.votes[0])
    target = validation.assign(precision=0.4, predicted=10)
    assert types_below([validation, target], TYPES[:1], 0.5) == {"A": 0.4}
    silent = validation.assign(precision=0.0, predicted=0)
    assert types_below([validation, silent], TYPES[:1], 0.5) == {}
    without = validation.assign(precision=0.0, gold_entities=0)
    assert types_below([validation, without], TYPES[:1], 0.5) == {}


def test_the_union_with_the_best_f1_on_gold_is_chosen_and_fitted() -> None:
    gold = gold_set()
    chosen = choose_union(gold, TYPES)
    union, scores = chosen.union, chosen.f1
    assert set(scores) == {"vote", "hmm"}
    assert scores[union.name] == max(scores.values()) == 1.0
    assert [span.entity for span in chosen.spans[0] if span.type] == [Entity(1, 2, "A")]
    assert [span.entity for span in union.combine(gold.votes, gold.lengths)[0]] == [
        Entity(1, 2, "A"),
        *([Entity(2, 3, "")] if union.name == "vote" else []),
    ]


class Spy(WeightedVote):
    """A union that notes the sizes of what it was fitted on and what it combined."""

    def __init__(self) -> None:
        super().__init__()
        self.fitted: list[int] = []
        self.combined: list[int] = []

    def fit(self, _: Sequence[Sequence[Votes]], gold: Sequence[Sentence]) -> None:
        self.fitted.append(len(gold))

    def combine(self, _: Sequence[Sequence[Votes]], lengths: Sequence[int]) -> list[Votes]:
        self.combined.append(len(lengths))
        return [[] for _ in lengths]


@pytest.mark.parametrize("document", ["post {}", "one", None])
def test_a_union_is_scored_on_sentences_that_it_was_not_fitted_on(document: str | None) -> None:
    gold = gold_set(40)
    sentences = [
        replace(sentence, document=document and document.format(number // 4))
        for number, sentence in enumerate(gold.sentences)
    ]
    spy = Spy()
    cross_fitted(spy, GoldSet("validation", sentences, gold.votes))
    assert (spy.fitted, spy.combined) == ([20, 20], [20, 20])


def test_the_plot_shows_every_labeler_by_type_for_each_gold_set() -> None:
    gold = gold_set()
    table = scores_of(gold, cross_fitted(WeightedVote(), gold))
    both = pd.concat([table, table.assign(gold="target")])
    figure = plot_scores(both, 0.5)
    assert len(figure.axes) == 4
    assert isinstance(figure, Plot)
    assert figure.key == ["exact", "eager", "union"]
    assert_readable(figure)
    alone = plot_scores(table[table["labeler"] != "exact"], 0.5)
    assert isinstance(alone, Plot)
    assert alone.key == ["eager"]


def test_a_labeler_without_a_span_and_a_type_without_gold_have_no_point() -> None:
    gold = gold_set()
    precision, recall = plot_scores(scores_of(gold, [()] * 40), 0.5).axes
    assert [len(line) for line in points(precision)] == [2, 3, 0]  # eager finds B; union nothing
    assert [len(line) for line in points(recall)] == [2, 2, 2]  # all and A; gold holds no B
