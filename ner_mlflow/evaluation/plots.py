"""Plots that the tracking UI shows."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

CELLS_WITH_NUMBERS = 12
"""A heat map with more rows than this shows colours only."""


def plot_confusion(confusion: pd.DataFrame, title: str) -> Figure:
    """Heat map of a confusion, each row scaled to its sum; the cells hold counts."""
    counts = confusion.to_numpy(dtype=float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = max(5.0, 0.7 * len(confusion) + 2)
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(confusion.columns)), list(confusion.columns), rotation=90 if len(confusion) > 8 else 30)
    axes.set_yticks(range(len(confusion)), list(confusion.index))
    axes.set_xlabel("predicted")
    axes.set_ylabel("gold")
    axes.set_title(title)
    if len(confusion) <= CELLS_WITH_NUMBERS:
        for row, column in np.ndindex(*counts.shape):
            colour = "white" if shares[row, column] > 0.6 else "black"
            axes.text(column, row, f"{counts[row, column]:.0f}", ha="center", va="center", color=colour)
    figure.colorbar(image, ax=axes, label="share of the gold row")
    return figure


def plot_type_scores(scores: Mapping[str, float], types: Sequence[str], title: str) -> Figure:
    """Precision, recall and F1 by type, support in the labels."""
    figure = Figure(figsize=(max(6.0, 1.3 * len(types) + 2), 4), layout="constrained")
    axes = figure.subplots()
    for index, name in enumerate(("precision", "recall", "f1")):
        values = [scores.get(f"{type_}/{name}", 0.0) for type_ in types]
        bars = axes.bar([position + (index - 1) * 0.27 for position in range(len(types))], values, 0.25, label=name)
        if len(types) <= CELLS_WITH_NUMBERS:
            axes.bar_label(bars, fmt="%.2f", fontsize=7)
    axes.set_xticks(range(len(types)), [f"{type_}\n({scores.get(f'{type_}/support', 0):.0f})" for type_ in types])
    axes.set_ylim(0, 1.05)
    axes.set_title(title)
    axes.legend(ncols=3, loc="lower center")
    return figure
