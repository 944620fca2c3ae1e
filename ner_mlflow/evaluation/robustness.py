"""How much F1 falls when sentences are written otherwise."""

from collections.abc import Callable, Iterator, Sequence
from random import Random

import pandas as pd
from matplotlib.figure import Figure

from ..data.sentences import Sentence
from .counts import entity_counts, f1, with_total
from .perturbations import PERTURBATIONS, Pools, perturb
from .significance import bootstrap_intervals

CLEAN = "clean"
"""What stands for a kind where nothing is changed."""
Predict = Callable[[Sequence[Sentence]], list[list[str]]]
"""Sentences -> predicted tags of each."""


def perturbed(
    sentences: Sequence[Sentence], kind: str, severity: int, pools: Pools, seed: int
) -> list[Sentence]:
    """The sentences changed; how depends on seed, kind, severity and a sentence's place alone, so it is the same for every model."""
    rate = PERTURBATIONS[kind].rates[severity - 1]
    return [
        perturb(sentence, kind, rate, Random(f"{seed} {kind} {severity} {place}"), pools)
        for place, sentence in enumerate(sentences)
    ]


def perturbed_scores(
    sentences: Sequence[Sentence],
    predict: Predict,
    types: Sequence[str],
    kinds: Sequence[str],
    pools: Pools,
    seed: int,
    resamples: int,
    confidence: float,
) -> Iterator[dict[str, float | str]]:
    """F1 on the sentences as they are, then for each kind and severity: ``kind``, ``severity``, ``rate``, ``changed_share`` of the
    sentences, ``f1``, its interval, and ``f1_drop`` against the first row."""
    clean = _scored(sentences, predict, types, seed, resamples, confidence)
    yield {"kind": CLEAN, "severity": 0, "rate": 0.0, "changed_share": 0.0, **clean, "f1_drop": 0.0}
    for kind in kinds:
        for severity, rate in enumerate(PERTURBATIONS[kind].rates, start=1):
            changed = perturbed(sentences, kind, severity, pools, seed)
            share = sum(
                now.tokens != was.tokens for now, was in zip(changed, sentences, strict=True)
            ) / len(sentences)
            scores = _scored(changed, predict, types, seed, resamples, confidence)
            yield {
                "kind": kind,
                "severity": severity,
                "rate": rate,
                "changed_share": share,
                **scores,
                "f1_drop": clean["f1"] - scores["f1"],
            }


def _scored(
    sentences: Sequence[Sentence],
    predict: Predict,
    types: Sequence[str],
    seed: int,
    resamples: int,
    confidence: float,
) -> dict[str, float]:
    counts = entity_counts([sentence.tags for sentence in sentences], predict(sentences), types)
    interval, *_ = bootstrap_intervals(with_total(counts), resamples, confidence, seed)
    return {
        "f1": float(f1(counts.sum(axis=(0, 1)))),
        "f1_low": interval.low,
        "f1_high": interval.high,
    }


def plot_robustness(table: pd.DataFrame, title: str) -> Figure:
    """F1 lost by kind, one bar a severity, the most harmful kind first."""
    table = table[table["kind"] != CLEAN]
    order = list(table.groupby("kind")["f1_drop"].max().sort_values(ascending=False).index)
    severities = sorted(set(table["severity"]))
    figure = Figure(figsize=(max(6.0, 1.2 * len(order) + 2), 4.5), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / max(len(severities), 1)
    for place, severity in enumerate(severities):
        drops = table[table["severity"] == severity].set_index("kind")["f1_drop"].reindex(order)
        axes.bar(
            [index + (place - (len(severities) - 1) / 2) * width for index in range(len(order))],
            drops,
            width,
            label=f"severity {severity}",
        )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(order)), order, rotation=30, ha="right")
    axes.set_ylabel("F1 lost")
    axes.set_title(title)
    axes.legend()
    return figure
