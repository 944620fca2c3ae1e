"""Measure how much F1 falls on perturbed sentences."""

from collections.abc import Callable, Iterator, Sequence
from random import Random

import pandas as pd
from matplotlib.figure import Figure

from ..data.sentences import Sentence
from ..plotting import (
    INK,
    PALE,
    explain,
    key_line,
    name_rows,
    new_plot,
    number,
    rows_height_in,
    say,
    series,
    short_name,
    side_columns,
)
from .counts import entity_counts, f1, prepend_total
from .perturbations import PERTURBATIONS, Pools, perturb
from .significance import bootstrap_intervals

CLEAN = "clean"
"""Kind of the row for unchanged sentences."""
Predict = Callable[[Sequence[Sentence]], list[list[str]]]
"""Sentences -> predicted tags of each sentence."""


def perturb_all(
    sentences: Sequence[Sentence], kind: str, severity: int, pools: Pools, seed: int
) -> list[Sentence]:
    """Return the sentences with one kind of perturbation applied.

    The changes depend only on seed, kind, severity and a sentence's index, so all models see the
    same sentences.

    Args:
        sentences: with valid IOB2 tags.
        kind: a name in :data:`PERTURBATIONS`.
        severity: from 1.
        pools: as of :func:`perturb`.
        seed: of the changes.
    """
    rate = PERTURBATIONS[kind].rates[severity - 1]
    return [
        perturb(sentence, kind, rate, Random(f"{seed} {kind} {severity} {index}"), pools)
        for index, sentence in enumerate(sentences)
    ]


def score_perturbations(
    sentences: Sequence[Sentence],
    predict: Predict,
    types: Sequence[str],
    kinds: Sequence[str],
    pools: Pools,
    seed: int,
    resamples: int,
    confidence: float,
) -> Iterator[dict[str, float | str]]:
    """Yield one row for the unchanged sentences, then one for each kind and severity.

    A row holds ``kind``, ``severity``, ``rate``, ``changed_share`` (of the sentences), ``f1`` with
    ``f1_low`` and ``f1_high``, and ``f1_drop`` against the first row.

    Args:
        sentences: with gold tags.
        predict: the model.
        types: entity types of the gold tags.
        kinds: names in :data:`PERTURBATIONS`.
        pools: as of :func:`perturb`.
        seed: of the changes and of the bootstrap.
        resamples: samples of the bootstrap.
        confidence: share of the samples inside an interval.
    """
    clean = _score(sentences, predict, types, seed, resamples, confidence)
    yield {"kind": CLEAN, "severity": 0, "rate": 0.0, "changed_share": 0.0, **clean, "f1_drop": 0.0}
    for kind in kinds:
        for severity, rate in enumerate(PERTURBATIONS[kind].rates, start=1):
            changed = perturb_all(sentences, kind, severity, pools, seed)
            differs = [
                new.tokens != old.tokens for new, old in zip(changed, sentences, strict=True)
            ]
            scores = _score(changed, predict, types, seed, resamples, confidence)
            yield {
                "kind": kind,
                "severity": severity,
                "rate": rate,
                "changed_share": sum(differs) / len(sentences),
                **scores,
                "f1_drop": clean["f1"] - scores["f1"],
            }


def _score(
    sentences: Sequence[Sentence],
    predict: Predict,
    types: Sequence[str],
    seed: int,
    resamples: int,
    confidence: float,
) -> dict[str, float]:
    counts = entity_counts([sentence.tags for sentence in sentences], predict(sentences), types)
    interval, *_ = bootstrap_intervals(prepend_total(counts), resamples, confidence, seed)
    return {
        "f1": float(f1(counts.sum(axis=(0, 1)), 0)),
        "f1_low": interval.of_all.low,
        "f1_high": interval.of_all.high,
    }


def plot_robustness(table: pd.DataFrame, title: str, note: str = "") -> Figure:
    """Plot the loss of F1 by kind, a point for each severity, the most harmful kind on top.

    Args:
        table: rows of :func:`score_perturbations`.
        title: the figure's title.
        note: the number of items that the model was scored on.
    """
    table = table[table["kind"] != CLEAN]
    order = list(table.groupby("kind")["f1_drop"].max().sort_values(ascending=False).index)
    names = [short_name(kind) for kind in order]
    severities = sorted(set(table["severity"]))
    note = explain(note, "F1 of the unchanged sentences minus F1 of the changed ones")
    with new_plot(title, note, rows_height_in(names)) as figure:
        axes = figure.subplots()
        if not order:
            say(axes, "No kind of perturbation was applied.")
            return figure
        rows = name_rows(axes, names)
        drops = {
            severity: part.set_index("kind")["f1_drop"].reindex(order)
            for severity, part in table.groupby("severity")
        }
        least = [min(values) for values in zip(*drops.values(), strict=True)]
        most = [max(values) for values in zip(*drops.values(), strict=True)]
        axes.hlines(rows, least, most, color=PALE, linewidth=1, zorder=1)
        axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
        columns = {}
        for index, severity in enumerate(severities):
            axes.plot(drops[severity], rows, **series(index).points)
            figure.add_key(key_line(series(index)), f"severity {severity}")
            columns[f"severity {severity}"] = [number(drop, 3) for drop in drops[severity]]
        axes.set_xlabel("F1 lost (right: worse)")
        axes.margins(x=0.05)
        side_columns(axes, rows, columns)
    return figure
