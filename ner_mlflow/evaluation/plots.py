"""Plots that the tracking UI shows."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .significance import Interval

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
    axes.set_xticks(
        range(len(confusion.columns)),
        list(confusion.columns),
        rotation=90 if len(confusion) > 8 else 30,
    )
    axes.set_yticks(range(len(confusion)), list(confusion.index))
    axes.set_xlabel("predicted")
    axes.set_ylabel("gold")
    axes.set_title(title)
    if len(confusion) <= CELLS_WITH_NUMBERS:
        for row, column in np.ndindex(*counts.shape):
            colour = "white" if shares[row, column] > 0.6 else "black"
            axes.text(
                column, row, f"{counts[row, column]:.0f}", ha="center", va="center", color=colour
            )
    figure.colorbar(image, ax=axes, label="share of the gold row")
    return figure


def plot_type_scores(
    scores: Mapping[str, float], types: Sequence[str], title: str, intervals: Mapping[str, Interval]
) -> Figure:
    """Precision, recall and F1 by type, support in the labels; F1 with its interval, which ``intervals`` has under ``TYPE/``."""
    figure = Figure(figsize=(max(6.0, 1.3 * len(types) + 2), 4), layout="constrained")
    axes = figure.subplots()
    for index, name in enumerate(("precision", "recall", "f1")):
        values = [scores.get(f"{type_}/{name}", 0.0) for type_ in types]
        bars = axes.bar(
            [position + (index - 1) * 0.27 for position in range(len(types))],
            values,
            0.25,
            label=name,
        )
        if len(types) <= CELLS_WITH_NUMBERS:
            axes.bar_label(bars, fmt="%.2f", fontsize=7, label_type="center")
        if name == "f1":
            shown = [
                (position + 0.27, values[position], intervals[f"{type_}/"])
                for position, type_ in enumerate(types)
                if f"{type_}/" in intervals
            ]
            for place, value, interval in shown:
                axes.errorbar(
                    place,
                    value,
                    [[max(value - interval.low, 0)], [max(interval.high - value, 0)]],
                    color="black",
                    capsize=3,
                    linewidth=1,
                )
    axes.set_xticks(
        range(len(types)),
        [f"{type_}\n({scores.get(f'{type_}/support', 0):.0f})" for type_ in types],
    )
    axes.set_ylim(0, 1.05)
    axes.set_title(title)
    axes.legend(ncols=3, loc="lower center")
    return figure


def plot_slices(slices: pd.DataFrame, title: str) -> Figure:
    """F1 by slice, one panel for each way of cutting, gold entities in the labels."""
    kinds = list(dict.fromkeys(slices["by"]))
    figure = Figure(figsize=(4.2 * len(kinds), 4), layout="constrained")
    for axes, kind in zip(
        figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0], kinds, strict=True
    ):
        part = slices[slices["by"] == kind]
        reach = [
            (part["f1"] - part["f1_low"]).clip(lower=0),
            (part["f1_high"] - part["f1"]).clip(lower=0),
        ]
        bars = axes.bar(
            range(len(part)), part["f1"], 0.7, yerr=reach, capsize=3, error_kw={"linewidth": 1}
        )
        axes.bar_label(bars, fmt="%.2f", fontsize=8, label_type="center")
        axes.set_xticks(
            range(len(part)),
            [f"{name}\n({count})" for name, count in zip(part["slice"], part["gold"], strict=True)],
            fontsize=8,
        )
        axes.set_xlabel(kind)
        axes.set_ylim(0, 1.05)
    figure.suptitle(title)
    return figure


def plot_reliability(table: pd.DataFrame, title: str) -> Figure:
    """Precision over confidence, the diagonal of a calibrated model, and how many entities each bin holds."""
    figure = Figure(figsize=(6.5, 5.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1, label="calibrated")
    above.plot(table["mean_confidence"], table["precision"], marker="o", label="model")
    above.set_ylabel("precision")
    above.set_ylim(0, 1.05)
    above.legend(loc="upper left")
    above.set_title(title, fontsize=10)
    below.bar(
        (table["from"] + table["to"]) / 2, table["entities"], (table["to"] - table["from"]) * 0.9
    )
    below.set_ylabel("entities")
    below.set_xlabel("confidence")
    return figure


def plot_differences(
    differences: pd.DataFrame, models: Sequence[str], significant: float
) -> Figure:
    """F1 of the row's model less that of the column's; bold where a chance as small as ``significant`` or smaller explains it."""
    values = np.zeros((len(models), len(models)))
    figure = Figure(figsize=(3 + 1.2 * len(models), 2 + 1.0 * len(models)), layout="constrained")
    axes = figure.subplots()
    for row in differences.to_dict("records"):
        first, other, difference, p_value = (
            models.index(row["model"]),
            models.index(row["other"]),
            row["f1_difference"],
            row["p_value"],
        )
        weight = "bold" if p_value <= significant else "normal"
        for y, x, value in ((first, other, difference), (other, first, -difference)):
            values[y, x] = value
            axes.text(
                x,
                y,
                f"{value:+.3f}\np {p_value:.2g}",
                ha="center",
                va="center",
                fontsize=8,
                fontweight=weight,
            )
    largest = max(float(np.abs(values).max()), 1e-6)
    axes.imshow(values, cmap="RdBu", vmin=-largest, vmax=largest, alpha=0.6)
    axes.set_xticks(range(len(models)), models, rotation=30, ha="right", fontsize=7)
    axes.set_yticks(range(len(models)), models, fontsize=7)
    axes.set_title(f"F1 of row less column; bold: p of {significant} or less", fontsize=10)
    return figure


def plot_intervals(results: pd.DataFrame, title: str) -> Figure:
    """F1 of each model with its interval, the best on top."""
    figure = Figure(figsize=(8, 1.2 + 0.45 * len(results)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(results))[::-1]
    below, above = results["f1"] - results["f1_low"], results["f1_high"] - results["f1"]
    axes.errorbar(
        results["f1"], places, xerr=[below.clip(lower=0), above.clip(lower=0)], fmt="o", capsize=4
    )
    axes.set_yticks(places, list(results["model"]), fontsize=8)
    axes.set_ylim(-0.7, len(results) - 0.3)
    axes.grid(axis="x", alpha=0.3)
    axes.set_title(title, fontsize=10)
    return figure


def plot_tradeoff(variants: pd.DataFrame) -> Figure:
    """Validation F1 with its interval over latency and over size of every exported file; the files that none beats in both are joined."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    for axes, (cost, label) in zip(
        figure.subplots(1, 2, sharey=True),
        (("latency_p50_ms", "latency p50, ms"), ("size_mb", "size, MB")),
        strict=True,
    ):
        for model, part in variants.groupby("model", sort=False):
            interval = [
                part["validation_f1"] - part["validation_f1_low"],
                part["validation_f1_high"] - part["validation_f1"],
            ]
            axes.errorbar(
                part[cost],
                part["validation_f1"],
                yerr=interval,
                fmt="o",
                elinewidth=0.6,
                capsize=2,
                label=str(model),
            )
            for row in part.to_dict("records"):
                axes.annotate(
                    str(row["variant"]),
                    (row[cost], row["validation_f1"]),
                    fontsize=7,
                    xytext=(3, 3),
                    textcoords="offset points",
                )
        front = variants[variants[f"pareto_{cost}"]].sort_values(cost)
        axes.plot(
            front[cost], front["validation_f1"], color="grey", linestyle="--", linewidth=1, zorder=0
        )
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("validation F1")
    figure.axes[0].legend(fontsize=7)
    return figure
