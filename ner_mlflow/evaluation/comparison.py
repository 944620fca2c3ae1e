"""Several models side by side: scores with significance, types, seeds, sizes and latencies, confusions, what trades off against what."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from io import BytesIO

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..tagging.iob2 import OUTSIDE
from .plots import plot_differences, plot_intervals, plot_tradeoff
from .significance import paired_permutation_test

SIGNIFICANT = 0.05
"""Differences with this p-value or a smaller one are marked."""
CONFUSIONS_SHOWN = 4


@dataclass(frozen=True)
class ComparedModel:
    """What is known of one model.

    ``scores`` are metrics of one split without its name (``f1``, ``OS/f1``, ``f1_low``, ...); ``counts`` those of
    :func:`~ner_mlflow.evaluation.counts.entity_counts`, shape (sentences, types, 3); ``confusion`` words by gold and predicted type.
    ``facts`` describe it (backbone, parameters, ...); ``recipe`` is equal for models that differ in their seed alone.
    ``variants`` has a row for each exported file: ``variant``, ``size_mb``, ``validation_f1`` and its ``_low`` and ``_high``,
    ``latency_p50_ms`` and others.
    """

    name: str
    recipe: str
    facts: Mapping[str, float | str]
    scores: Mapping[str, float]
    counts: NDArray[np.int64]
    confusion: pd.DataFrame
    variants: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class ComparisonReport:
    """Tables and figures by name, and all of them as one page, in HTML with pictures and in Markdown without."""

    tables: dict[str, pd.DataFrame]
    figures: dict[str, Figure]
    html: str
    markdown: str


def compare(
    models: Sequence[ComparedModel], types: Sequence[str], title: str, resamples: int, seed: int
) -> ComparisonReport:
    """Compare models that were scored on the same sentences, the best F1 first."""
    ranked = sorted(models, key=lambda model: -model.scores["f1"])
    differences = pairwise_differences(
        {model.name: model.counts for model in ranked}, resamples, seed
    )
    variants = pd.concat(
        [model.variants.assign(model=model.name) for model in ranked], ignore_index=True
    )
    tables = {
        "results": _results(ranked, differences),
        "types": _types(ranked, types),
        "differences": differences,
        "confusions": _confusions(ranked),
    }
    figures = {
        "intervals": plot_intervals(tables["results"], "F1 and its interval"),
        "differences": plot_differences(differences, [model.name for model in ranked], SIGNIFICANT),
    }
    if len(seeds := _seeds(ranked)):
        tables["seeds"] = seeds
    if len(variants):
        variants = variants[["model", *variants.columns.drop("model")]]
        for cost in ("latency_p50_ms", "size_mb"):
            variants[f"pareto_{cost}"] = pareto_front(
                variants[cost].to_numpy(), variants["validation_f1"].to_numpy()
            )
        tables["variants"] = variants
        figures["tradeoff"] = plot_tradeoff(variants)
    sections = [
        (heading, text, name)
        for heading, text, name in SECTIONS
        if name in tables or name in figures
    ]
    return ComparisonReport(
        tables, figures, _html(title, sections, tables, figures), _markdown(title, sections, tables)
    )


SECTIONS = (
    (
        "Results",
        f"Strict entity scores. * marks a model that the best one beats with p <= {SIGNIFICANT} (paired permutation test).",
        "results",
    ),
    ("", "", "intervals"),
    ("F1 by type", "", "types"),
    ("Seeds", "Mean and standard deviation of models that differ in their seed alone.", "seeds"),
    (
        "Differences",
        "F1 of the first model less that of the other, and its p-value.",
        "differences",
    ),
    (
        "Sizes and latencies",
        "Every file of a model counts. F1 is that on validation, of the file itself; latency that of one sentence.",
        "variants",
    ),
    ("What costs what", "The line joins the files that no other beats in both.", "tradeoff"),
    ("Dominant confusions", "Words by gold and predicted type.", "confusions"),
)
"""Heading, what to know, and the table or figure (or both) of that name."""


def pairwise_differences(
    counts: Mapping[str, NDArray[np.int64]], resamples: int, seed: int
) -> pd.DataFrame:
    """F1 difference and p-value of each pair of models, in their order; of :func:`paired_permutation_test`."""
    names = list(counts)
    rows = []
    for place, first in enumerate(names):
        for other in names[place + 1 :]:
            found = paired_permutation_test(counts[first], counts[other], resamples, seed)
            rows.append((first, other, found.difference, found.p_value))
    return pd.DataFrame(rows, columns=["model", "other", "f1_difference", "p_value"])


def pareto_front(costs: NDArray[np.float64], gains: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points no other beats: none costs as little and gains as much, and is better in one of the two."""
    as_good = (costs[None, :] <= costs[:, None]) & (gains[None, :] >= gains[:, None])
    better = (costs[None, :] < costs[:, None]) | (gains[None, :] > gains[:, None])
    return np.array([not row.any() for row in as_good & better])


def markdown_table(table: pd.DataFrame) -> str:
    """A table in Markdown, numbers to three significant digits."""
    cells = table.map(
        lambda value: f"{value:.3g}" if isinstance(value, float) else str(value).replace("|", "\\|")
    )
    rows = [
        [str(column) for column in cells.columns],
        ["---"] * len(cells.columns),
        *cells.to_numpy().tolist(),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _results(ranked: Sequence[ComparedModel], differences: pd.DataFrame) -> pd.DataFrame:
    against_best = {
        row["other"]: row["p_value"]
        for row in differences.to_dict("records")
        if row["model"] == ranked[0].name
    }
    rows = []
    for model in ranked:
        p_value = against_best.get(model.name, float("nan"))
        scores = {
            name: model.scores.get(name, float("nan"))
            for name in ("f1", "f1_low", "f1_high", "precision", "recall", "accuracy")
        }
        marked = {"p_against_best": p_value, "beaten": "*" if p_value <= SIGNIFICANT else ""}
        rows.append({"model": model.name, **scores, **marked, **model.facts})
    return pd.DataFrame(rows)


def _types(ranked: Sequence[ComparedModel], types: Sequence[str]) -> pd.DataFrame:
    gold = ranked[0].counts.sum(axis=0)[:, 2]
    return pd.DataFrame(
        [
            {
                "entity": type_,
                "count": int(gold[place]),
                **{model.name: model.scores.get(f"{type_}/f1", 0.0) for model in ranked},
            }
            for place, type_ in enumerate(types)
        ]
    )


def _seeds(ranked: Sequence[ComparedModel]) -> pd.DataFrame:
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


def _confusions(ranked: Sequence[ComparedModel]) -> pd.DataFrame:
    rows = []
    for model in ranked:
        matrix = model.confusion
        pairs = [
            (int(matrix.loc[gold, said]), str(gold), str(said))
            for gold in matrix.index
            for said in matrix.columns
            if gold != said
        ]
        worst = sorted(
            (pair for pair in pairs if pair[0]),
            key=lambda pair: (-pair[0], pair[1] == OUTSIDE, pair),
        )[:CONFUSIONS_SHOWN]
        rows += [(model.name, gold, said, words) for words, gold, said in worst]
    return pd.DataFrame(rows, columns=["model", "gold", "predicted", "words"])


def _markdown(
    title: str, sections: Sequence[tuple[str, str, str]], tables: Mapping[str, pd.DataFrame]
) -> str:
    parts = [f"# {title}"]
    for heading, text, name in sections:
        if name in tables:
            parts += [f"## {heading}", *([text] if text else []), markdown_table(tables[name])]
    return "\n\n".join(parts) + "\n"


def _html(
    title: str,
    sections: Sequence[tuple[str, str, str]],
    tables: Mapping[str, pd.DataFrame],
    figures: Mapping[str, Figure],
) -> str:
    parts = []
    for heading, text, name in sections:
        parts += [f"<h2>{escape(heading)}</h2>"] if heading else []
        parts += [f"<p>{escape(text)}</p>"] if text else []
        if name in tables:
            parts.append(
                tables[name].to_html(
                    index=False, border=0, na_rep="", float_format=lambda value: f"{value:.4g}"
                )
            )
        if name in figures:
            parts.append(
                f'<img alt="{escape(name)}" src="data:image/png;base64,{_png(figures[name])}">'
            )
    return (
        f'<!doctype html><meta charset="utf-8"><title>{escape(title)}</title>'
        "<style>body{font:14px/1.5 system-ui,sans-serif;margin:2em;max-width:90em}table{border-collapse:collapse;margin:.5em 0}"
        "td,th{padding:.3em .8em;border-bottom:1px solid #e5e7eb;text-align:left}th{background:#f3f4f6}img{max-width:100%;margin:.5em 0}p{color:#555}</style>"
        f"<h1>{escape(title)}</h1>{''.join(parts)}"
    )


def _png(figure: Figure) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return b64encode(buffer.getvalue()).decode()
