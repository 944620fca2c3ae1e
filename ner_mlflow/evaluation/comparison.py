"""Compare several models: scores, significance, types, seeds, confusions, size against latency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..pages import escape_markdown, markdown_table
from ..tagging.iob2 import OUTSIDE
from .counts import GOLD
from .pages import Examples, PageSection, render_comparison_page
from .plots import plot_differences, plot_intervals, plot_tradeoff
from .significance import paired_permutation_test

SIGNIFICANCE_LEVEL = 0.05
"""Differences with this p-value or a smaller one are marked."""
CONFUSIONS_SHOWN = 4
SAME_COST = 0.01
"""Difference of sizes or latencies, as a share, below which they count as equal."""
VALIDATION_F1 = "validation_f1"
"""The fact of a model by which the best one is chosen."""


@dataclass(frozen=True)
class ServedFile:
    """The exported file that serves a model.

    Attributes:
        variant: its variant, such as ``int8``.
        size_mb: the size of all files, in MB.
        scores: of the file itself, on the split of the comparison (``f1``, ``f1_low``, ...); empty
            if it was not scored.
        f1_lost: F1 of the PyTorch model minus F1 of the file on that split; NaN without scores.
        text_kind: the kind of running text that was scored too; empty: none.
        text_scores: of the file, in running text.
    """

    variant: str
    size_mb: float
    scores: Mapping[str, float]
    f1_lost: float = float("nan")
    text_kind: str = ""
    text_scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ComparedModel:
    """The scores of one model on one split, and the facts that describe it.

    Attributes:
        name: unique among the compared models.
        recipe: equal for models that differ only in their seed.
        facts: backbone, parameters, ...
        scores: metrics of the split without its name (``f1``, ``OS/f1``, ``f1_low``, ...).
        counts: shape (sentences, types, 3), from
            :func:`~ner_mlflow.evaluation.counts.entity_counts`.
        confusion: words by gold type (rows) and predicted type (columns).
        text_scores: F1 in running text and its interval, by the column that shows it: ``raw_f1``,
            ``raw_f1_low`` and so on, or ``standin_f1``; empty if it was not scored.
        variants: one row for each exported file, with ``variant``, ``size_mb``, ``latency_p50_ms``,
            ``validation_f1`` and its ``_low`` and ``_high``, and others.
        categories: outcomes by category, see
            :data:`~ner_mlflow.evaluation.error_analysis.CATEGORIES`.
        served: the file that serves it; None if it was not exported.
    """

    name: str
    recipe: str
    facts: Mapping[str, float | str]
    scores: Mapping[str, float]
    counts: NDArray[np.int64]
    confusion: pd.DataFrame
    text_scores: Mapping[str, float] = field(default_factory=dict)
    variants: pd.DataFrame = field(default_factory=pd.DataFrame)
    categories: Mapping[str, int] = field(default_factory=dict)
    served: ServedFile | None = None


@dataclass(frozen=True)
class ComparisonReport:
    """A comparison: the models, the best F1 first, and tables and figures by name."""

    title: str
    models: tuple[ComparedModel, ...]
    types: tuple[str, ...]
    confidence_level: float
    tables: dict[str, pd.DataFrame]
    figures: dict[str, Figure]

    @property
    def best(self) -> ComparedModel:
        """The model with the best validation F1, or if that is unknown the best F1."""
        unknown = float("nan")
        return max(
            self.models,
            key=lambda model: np.nan_to_num(float(model.facts.get(VALIDATION_F1, unknown)), nan=-1),
        )

    def p_value(self, model: ComparedModel, other: ComparedModel) -> float:
        """Return the p-value of the difference between two of the models."""
        pair = {model.name, other.name}
        rows = self.tables["differences"].to_dict("records")
        return next(float(row["p_value"]) for row in rows if {row["model"], row["other"]} == pair)

    def html(self, conclusion: Sequence[str] = (), examples: Examples | None = None) -> str:
        """Return the report as a page with its figures.

        Args:
            conclusion: sentences that stand on top.
            examples: sentences to show with their errors.
        """
        return render_comparison_page(
            self.title, " ".join(conclusion), self._sections(), self.types, examples
        )

    def markdown(self, conclusion: Sequence[str] = ()) -> str:
        """Return the report in Markdown, without its figures."""
        return _render_markdown(self.title, " ".join(conclusion), self._sections())

    def _sections(self) -> list[PageSection]:
        # A table without rows has nothing to say, as that of differences of a single model.
        tables = {name: table for name, table in self.tables.items() if len(table)}
        return [
            PageSection(
                section.name,
                section.heading,
                section.text,
                tables.get(section.name),
                self.figures.get(section.name),
            )
            for section in SECTIONS
            if section.name in tables or section.name in self.figures
        ]


@dataclass(frozen=True)
class _Section:
    """A section of the report; it shows the table and the figure called ``name``."""

    heading: str
    text: str
    name: str


SECTIONS = (
    _Section(
        "Results",
        "Strict scores on given words, the highest F1 first. raw_f1 is strict F1 on raw texts, "
        "standin_f1 that on texts joined from words. An asterisk marks a model that is "
        f"significantly worse than the first (p ≤ {SIGNIFICANCE_LEVEL}, paired permutation test).",
        "results",
    ),
    _Section("", "", "intervals"),
    _Section(
        "Served files",
        "Scores of the file that serves each model, on the same sentences. f1_lost is F1 of the "
        "PyTorch model minus that of the file.",
        "served",
    ),
    _Section("F1 by type", "", "types"),
    _Section(
        "Errors",
        "boundary: right type, wrong words; type: right words, wrong type; both: words and type "
        "wrong; missed: no prediction; spurious: a prediction where gold has no entity.",
        "categories",
    ),
    _Section(
        "Seeds", "Mean and standard deviation of models that differ only in their seed.", "seeds"
    ),
    _Section(
        "Differences",
        "F1 of the first model minus F1 of the other, with the p-value.",
        "differences",
    ),
    _Section(
        "Sizes and latencies",
        "One row for each exported file, with its own F1 on validation. Latency is that of one "
        "sentence, measured on all files in turns; other_load is the share of the machine that "
        "other processes used meanwhile.",
        "variants",
    ),
    _Section(
        "Trade-offs",
        "No other file is both as cheap and as good as one on the Pareto front. Costs that differ "
        f"by less than {100 * SAME_COST:g} % count as equal.",
        "tradeoff",
    ),
    _Section(
        "Dominant confusions",
        "Words by gold and predicted type, the most frequent first. O is outside all entities.",
        "confusions",
    ),
)


def compare(
    models: Sequence[ComparedModel],
    types: Sequence[str],
    title: str,
    resamples: int,
    seed: int,
    confidence_level: float = 0.95,
) -> ComparisonReport:
    """Compare models that were scored on the same sentences, the best F1 first.

    Args:
        models: one or more.
        types: entity types, in the order of the counts.
        title: the report's title.
        resamples: permutations of each significance test.
        seed: of these tests.
        confidence_level: that of the scores' intervals.
    """
    ranked = sorted(models, key=lambda model: -model.scores["f1"])
    differences = pairwise_differences(
        {model.name: model.counts for model in ranked}, resamples, seed
    )
    variants = pd.concat(
        [model.variants.assign(model=model.name) for model in ranked], ignore_index=True
    )
    tables = {
        "results": _result_table(ranked, differences),
        "types": _type_table(ranked, types),
        "differences": differences,
        "confusions": _confusion_table(ranked),
    }
    if any(model.served for model in ranked):
        tables["served"] = _served_table(ranked)
    if any(model.categories for model in ranked):
        tables["categories"] = pd.DataFrame(
            [{"model": model.name, **model.categories} for model in ranked]
        )
    sentences, entities = ranked[0].counts.shape[0], int(ranked[0].counts[..., GOLD].sum())
    note = f"n = {sentences:,} sentences with {entities:,} gold entities"
    figures = {
        "intervals": plot_intervals(
            tables["results"], "F1 and its interval", confidence_level, note
        )
    }
    if len(ranked) > 1:
        names = [model.name for model in ranked]
        figures["differences"] = plot_differences(differences, names, SIGNIFICANCE_LEVEL, note)
    if len(seeds := _seed_table(ranked)):
        tables["seeds"] = seeds
    if len(variants):
        variants = variants[["model", *variants.columns.drop("model")]]
        for cost in ("latency_p50_ms", "size_mb"):
            variants[f"pareto_{cost}"] = pareto_front(
                variants[cost].to_numpy(), variants["validation_f1"].to_numpy()
            )
        tables["variants"] = variants
        figures["tradeoff"] = plot_tradeoff(variants, confidence_level)
    return ComparisonReport(title, tuple(ranked), tuple(types), confidence_level, tables, figures)


def pairwise_differences(
    counts: Mapping[str, NDArray[np.int64]], resamples: int, seed: int
) -> pd.DataFrame:
    """Return the F1 difference and the p-value of each pair of models, in their order.

    Args:
        counts: model -> counts, shape (sentences, types, 3).
        resamples: permutations of each :func:`paired_permutation_test`.
        seed: of the tests.
    """
    rows = []
    for first, other in combinations(counts, 2):
        test = paired_permutation_test(counts[first], counts[other], resamples, seed)
        rows.append((first, other, test.difference, test.p_value))
    return pd.DataFrame(rows, columns=["model", "other", "f1_difference", "p_value"])


def pareto_front(costs: NDArray[np.float64], gains: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether each point is on the Pareto front; shape (points,).

    A point is on the front unless another one costs no more, gains no less, and is better in cost
    or gain. Costs that differ by less than :data:`SAME_COST` are equal: files of one kind differ by
    some bytes.
    """
    cheaper = costs[None, :] < costs[:, None] * (1 - SAME_COST)
    as_cheap = costs[None, :] <= costs[:, None] * (1 + SAME_COST)
    as_good = as_cheap & (gains[None, :] >= gains[:, None])
    better = cheaper | (gains[None, :] > gains[:, None])
    return np.array([not row.any() for row in as_good & better])


def _result_table(ranked: Sequence[ComparedModel], differences: pd.DataFrame) -> pd.DataFrame:
    against_best = {
        row["other"]: row["p_value"]
        for row in differences.to_dict("records")
        if row["model"] == ranked[0].name
    }
    text_columns = dict.fromkeys(name for model in ranked for name in model.text_scores)
    rows = []
    for model in ranked:
        p_value = against_best.get(model.name, float("nan"))
        scores = {
            name: model.scores.get(name, float("nan"))
            for name in ("f1", "f1_low", "f1_high", "precision", "recall", "accuracy")
        }
        in_text = {name: model.text_scores.get(name, float("nan")) for name in text_columns}
        marked = {"p_against_best": p_value, "beaten": "*" if p_value <= SIGNIFICANCE_LEVEL else ""}
        rows.append({"model": model.name, **scores, **in_text, **marked, **model.facts})
    return pd.DataFrame(rows)


def _served_table(ranked: Sequence[ComparedModel]) -> pd.DataFrame:
    missing = float("nan")
    rows = []
    for model in ranked:
        if (served := model.served) is None:
            continue
        names = ("f1", "f1_low", "f1_high")
        rows.append(
            {
                "model": model.name,
                "file": served.variant,
                "size_mb": served.size_mb,
                **{name: served.scores.get(name, missing) for name in names},
                "f1_lost": served.f1_lost,
                **{
                    f"{served.text_kind}_{name}": served.text_scores[name]
                    for name in names
                    if name in served.text_scores
                },
            }
        )
    return pd.DataFrame(rows)


def _type_table(ranked: Sequence[ComparedModel], types: Sequence[str]) -> pd.DataFrame:
    gold = ranked[0].counts.sum(axis=0)[:, 2]
    return pd.DataFrame(
        [
            {
                "entity": type_,
                "count": int(gold[index]),
                **{model.name: model.scores.get(f"{type_}/f1", np.nan) for model in ranked},
            }
            for index, type_ in enumerate(types)
        ]
    )


def _seed_table(ranked: Sequence[ComparedModel]) -> pd.DataFrame:
    groups: dict[str, list[ComparedModel]] = {}
    for model in ranked:
        groups.setdefault(model.recipe, []).append(model)
    rows = []
    for group in groups.values():
        if len(group) > 1:
            f1 = [model.scores["f1"] for model in group]
            rows.append(
                (
                    ", ".join(model.name for model in group),
                    len(group),
                    float(np.mean(f1)),
                    float(np.std(f1, ddof=1)),
                )
            )
    return pd.DataFrame(rows, columns=["models", "seeds", "f1_mean", "f1_standard_deviation"])


def _confusion_table(ranked: Sequence[ComparedModel]) -> pd.DataFrame:
    rows = []
    for model in ranked:
        matrix = model.confusion
        pairs = [
            (int(matrix.loc[gold, predicted]), str(gold), str(predicted))
            for gold in matrix.index
            for predicted in matrix.columns
            if gold != predicted
        ]
        worst = sorted(
            (pair for pair in pairs if pair[0]),
            key=lambda pair: (-pair[0], pair[1] == OUTSIDE, pair),
        )[:CONFUSIONS_SHOWN]
        rows += [(model.name, gold, predicted, words) for words, gold, predicted in worst]
    return pd.DataFrame(rows, columns=["model", "gold", "predicted", "words"])


def _render_markdown(title: str, lead: str, sections: Sequence[PageSection]) -> str:
    parts = [f"# {escape_markdown(title)}", escape_markdown(lead)]
    for section in sections:
        if section.table is not None:
            parts += [f"## {section.heading}", section.text, markdown_table(section.table)]
    return "\n\n".join(part for part in parts if part) + "\n"
