"""Count sentences, words and entities of a corpus before and after preparation."""

from collections import Counter

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..plotting import (
    explain,
    key_line,
    log_axis,
    name_rows,
    new_plot,
    rows_height_in,
    say,
    series,
    short_name,
    side_columns,
)
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
    """Plot sentences by split, and entities by type and split, of the prepared dataset.

    Args:
        table: of :func:`statistics`.
        schema: the types, sorted by their number of entities.
    """
    prepared = table[table["stage"] == "prepared"]
    splits = [str(split) for split in prepared["split"]]
    counts = prepared[list(schema.types)].to_numpy(dtype=int)
    order = np.argsort(-counts.sum(axis=0), kind="stable")
    names = [short_name(schema.types[index]) for index in order]
    heights = [rows_height_in(splits, 1), rows_height_in(names)]
    sentences_total, entities_total = int(prepared["sentences"].sum()), int(counts.sum())
    note = explain(
        f"n = {sentences_total:,} sentences and {entities_total:,} entities",
        "a type without entities has no point",
    )
    title = "Sentences and entities of the prepared dataset"
    with new_plot(title, note, sum(heights) + 0.3) as figure:
        sentences, entities = figure.subplots(2, 1, height_ratios=heights)
        rows = name_rows(sentences, splits)
        colours = [series(index).colour for index in range(len(splits))]
        sentences.barh(rows, prepared["sentences"], 0.6, color=colours)
        sentences.set_xlabel("sentences")
        sentences.set_xlim(left=0)
        side_columns(sentences, rows, {"n": [f"{n:,}" for n in prepared["sentences"]]})
        if not names:
            say(entities, "There are no types.")
            return figure
        rows = name_rows(entities, names)
        columns = {}
        for index, split in enumerate(splits):
            of_split = counts[index, order]
            look = series(index)
            known = np.where(of_split, of_split, np.nan)
            entities.plot(known, rows, **look.points, alpha=0.85)
            figure.add_key(key_line(look), split)
            columns[split] = [f"{count:,}" for count in of_split]
        if counts.any():
            log_axis(entities.xaxis, 1, counts.max())
            entities.set_xlabel("entities of a type (logarithmic)")
        side_columns(entities, rows, columns)
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
