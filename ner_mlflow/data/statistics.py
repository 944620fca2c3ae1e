"""Count sentences, words and entities of a corpus before and after preparation."""

from collections import Counter

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..tagging.iob2 import split_tag
from ..tagging.label_schema import LabelSchema
from .prepare import Preparation
from .sentences import SPLITS, Sentences


def statistics(preparation: Preparation) -> pd.DataFrame:
    """Count by stage and split.

    Returns:
        A row for each stage (``source``, ``prepared``) and split, with the columns stage, split,
        sentences, tokens_mean and tokens_median (words of a sentence), entities, and the number of
        entities of each type.
    """
    rows = []
    for stage, corpus in (("source", preparation.source), ("prepared", preparation.corpus)):
        rows += [
            {"stage": stage, "split": split, **_row(corpus[split], preparation.schema)}
            for split in SPLITS
            if split in corpus
        ]
    return pd.DataFrame(rows)


def statistics_metrics(table: pd.DataFrame) -> dict[str, float]:
    """Turn the table into metrics such as ``prepared/test/SOFTWARE/entities``."""
    metrics: dict[str, float] = {}
    for row in table.to_dict("records"):
        prefix = f"{row.pop('stage')}/{row.pop('split')}"
        for name, value in row.items():
            is_total = name in ("sentences", "tokens_mean", "tokens_median", "entities")
            metrics[f"{prefix}/{name}" if is_total else f"{prefix}/{name}/entities"] = float(value)
    return metrics


def plot_statistics(table: pd.DataFrame, schema: LabelSchema) -> Figure:
    """Plot entities by type (left, logarithmic) and sentences (right) of the prepared splits."""
    prepared = table[table["stage"] == "prepared"]
    figure = Figure(figsize=(11, 4), layout="constrained")
    entities, sentences = figure.subplots(1, 2, width_ratios=(3, 1))
    width = 0.8 / len(prepared)
    for index, (_, row) in enumerate(prepared.iterrows()):
        positions = [
            position + (index - (len(prepared) - 1) / 2) * width
            for position in range(len(schema.types))
        ]
        bars = entities.bar(
            positions, [row[type_] for type_ in schema.types], width, label=row["split"]
        )
        if len(schema.types) <= 10:
            entities.bar_label(bars, fontsize=7)
    entities.set_yscale("symlog")
    entities.set_xticks(
        range(len(schema.types)), schema.types, rotation=0 if len(schema.types) <= 8 else 90
    )
    entities.set_title("Entities by type")
    entities.legend()
    bars = sentences.bar(list(prepared["split"]), list(prepared["sentences"]), color="tab:gray")
    sentences.bar_label(bars, fontsize=8)
    sentences.set_title("Sentences")
    return figure


def _row(sentences: Sentences, schema: LabelSchema) -> dict[str, float]:
    lengths = sentences.lengths()
    types: Counter[str] = Counter()
    for tag, count in sentences.count_tags().items():
        prefix, type_ = split_tag(tag)
        if prefix == "B":
            types[type_] += count
    return {
        "sentences": len(sentences),
        "tokens_mean": round(float(lengths.mean()), 2) if len(lengths) else 0.0,
        "tokens_median": float(np.median(lengths)) if len(lengths) else 0.0,
        "entities": types.total(),
        **{type_: types[type_] for type_ in schema.types},
    }
