"""Plot the scores, confusions, slices and trade-offs of models."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .significance import Interval

CELLS_WITH_NUMBERS = 12
"""A plot of more types than this shows no numbers in its cells and bars."""


def plot_confusion(confusion: pd.DataFrame, title: str) -> Figure:
    """Plot a confusion as a heat map: rows scaled to their sum, counts in the cells.

    Args:
        confusion: counts by gold type (rows) and predicted type (columns).
        title: the figure's title.
    """
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
    """Plot precision, recall and F1 by type; labels show the support.

    Args:
        scores: returned by :func:`~ner_mlflow.evaluation.scores.score`.
        types: the types to show, in order.
        title: the figure's title.
        intervals: intervals of F1, under ``TYPE/``; types without one get no error bar.
    """
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
            for position, (type_, value) in enumerate(zip(types, values, strict=True)):
                if (interval := intervals.get(f"{type_}/")) is None:
                    continue
                axes.errorbar(
                    position + 0.27,
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
    """Plot F1 with its interval by slice; labels show the number of gold entities.

    Args:
        slices: table of :meth:`~ner_mlflow.evaluation.slices.SliceCounts.table`; each value of its
            column ``by`` gets a panel.
        title: the figure's title.
    """
    criteria = list(dict.fromkeys(slices["by"]))
    figure = Figure(figsize=(4.2 * len(criteria), 4), layout="constrained")
    for axes, criterion in zip(
        figure.subplots(1, len(criteria), sharey=True, squeeze=False)[0], criteria, strict=True
    ):
        part = slices[slices["by"] == criterion]
        interval = [
            (part["f1"] - part["f1_low"]).clip(lower=0),
            (part["f1_high"] - part["f1"]).clip(lower=0),
        ]
        bars = axes.bar(
            range(len(part)), part["f1"], 0.7, yerr=interval, capsize=3, error_kw={"linewidth": 1}
        )
        axes.bar_label(bars, fmt="%.2f", fontsize=8, label_type="center")
        axes.set_xticks(
            range(len(part)),
            [f"{name}\n({count})" for name, count in zip(part["slice"], part["gold"], strict=True)],
            fontsize=8,
        )
        axes.set_xlabel(criterion)
        axes.set_ylim(0, 1.05)
    figure.suptitle(title)
    return figure


def plot_reliability(table: pd.DataFrame, title: str) -> Figure:
    """Plot precision over confidence, above the number of entities in each bin.

    Args:
        table: returned by :func:`~ner_mlflow.evaluation.calibration.reliability`.
        title: the figure's title.
    """
    figure = Figure(figsize=(6.5, 5.5), layout="constrained")
    curve, histogram = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    curve.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1, label="calibrated")
    curve.plot(table["mean_confidence"], table["precision"], marker="o", label="model")
    curve.set_ylabel("precision")
    curve.set_ylim(0, 1.05)
    curve.legend(loc="upper left")
    curve.set_title(title, fontsize=10)
    histogram.bar(
        (table["from"] + table["to"]) / 2, table["entities"], (table["to"] - table["from"]) * 0.9
    )
    histogram.set_ylabel("entities")
    histogram.set_xlabel("confidence")
    return figure


def plot_differences(
    differences: pd.DataFrame, models: Sequence[str], significance_level: float
) -> Figure:
    """Plot the F1 of each row's model minus the F1 of each column's model.

    Args:
        differences: table of :func:`~ner_mlflow.evaluation.comparison.pairwise_differences`.
        models: names, in the order of rows and columns.
        significance_level: differences with this p-value or a smaller one are bold.
    """
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
        weight = "bold" if p_value <= significance_level else "normal"
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
    axes.set_title(f"F1 of row minus column; bold: p <= {significance_level}", fontsize=10)
    return figure


def plot_intervals(results: pd.DataFrame, title: str) -> Figure:
    """Plot the F1 of each model with its interval, the first model on top.

    Args:
        results: columns ``model``, ``f1``, ``f1_low`` and ``f1_high``.
        title: the figure's title.
    """
    figure = Figure(figsize=(8, 1.2 + 0.45 * len(results)), layout="constrained")
    axes = figure.subplots()
    positions = np.arange(len(results))[::-1]
    below, above = results["f1"] - results["f1_low"], results["f1_high"] - results["f1"]
    axes.errorbar(
        results["f1"],
        positions,
        xerr=[below.clip(lower=0), above.clip(lower=0)],
        fmt="o",
        capsize=4,
    )
    axes.set_yticks(positions, list(results["model"]), fontsize=8)
    axes.set_ylim(-0.7, len(results) - 0.3)
    axes.grid(axis="x", alpha=0.3)
    axes.set_title(title, fontsize=10)
    return figure


def plot_tradeoff(variants: pd.DataFrame) -> Figure:
    """Plot validation F1 with its interval over latency and over size of exported files.

    Args:
        variants: one row for each file, with ``model``, ``variant``, ``latency_p50_ms``,
            ``size_mb``, ``validation_f1`` with ``_low`` and ``_high``, and for each cost a column
            ``pareto_COST``; a line joins the files on the Pareto front.
    """
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
