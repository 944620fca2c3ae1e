"""Plot the scores, confusions, slices and trade-offs of models."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..plotting import (
    CHARACTER_IN,
    COLOURS,
    INK,
    LINE_IN,
    MARKERS,
    PALE,
    ROW_IN,
    SHADES,
    SIGNED,
    WIDTH_IN,
    Series,
    draw_intervals,
    explain,
    interval_note,
    key_line,
    log_axis,
    name_rows,
    new_plot,
    number,
    place_labels,
    rows_height_in,
    say,
    score_axis,
    series,
    short_name,
    side_columns,
)
from .calibration import FEW_ENTITIES
from .significance import Interval

MOST_TYPES = 40
"""Types of a confusion that have a row; the rarest ones of more are added up as others."""
COLOURED_MODELS = len(COLOURS)
"""Models of a trade-off that have a colour; of more, those on a Pareto front have one."""
TWO_LINES = 15
"""Types of a confusion whose names may take two lines."""
NO_SCORE = "no entities: no score"
_CELL_IN = (0.17, 0.8)
"""Least and greatest size of the cell of a matrix."""
_BAR_IN = 1.1
"""Width of a bar of colours with its labels."""


def plot_confusion(confusion: pd.DataFrame, title: str, unit: str = "counts") -> Figure:
    """Plot a confusion as a heat map: rows scaled to their sum, counts in the cells.

    A row without any count is empty.

    Args:
        confusion: counts by gold type (rows) and predicted type (columns), the same names in the
            same order.
        title: the figure's title.
        unit: what is counted, for example ``words``.
    """
    confusion = _fold(confusion)
    counts = confusion.to_numpy(dtype=float)
    sums = counts.sum(axis=1)
    shares = counts / np.where(sums, sums, np.nan)[:, None]
    lines = 2 if len(confusion) <= TWO_LINES else 1
    names = [short_name(name, 22, lines) for name in confusion.columns]
    rows = [f"{name} ({total:,.0f})" for name, total in zip(names, sums, strict=True)]
    cell, width = _cell_size(rows, _BAR_IN)
    longest = max(len(line) for name in names for line in name.split("\n"))
    upright = longest * CHARACTER_IN > cell
    has_numbers = len(f"{counts.max():.0f}") * CHARACTER_IN <= cell
    note = explain(
        f"n = {counts.sum():,.0f} {unit}, in brackets those of a gold type",
        "O: outside all entities",
        "numbers: counts; empty: 0" if has_numbers else "",
    )
    head = longest * CHARACTER_IN if upright else LINE_IN * 2
    with new_plot(title, note, cell * len(rows) + head + 0.6, width) as figure:
        axes = figure.subplots()
        image = axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1, aspect="auto")
        _name_cells(axes, names, rows, upright)
        axes.set_xlabel("predicted")
        axes.set_ylabel("gold")
        for row, column in np.argwhere(counts) if has_numbers else ():
            colour = "white" if shares[row, column] > 0.55 else INK
            text = f"{counts[row, column]:.0f}"
            axes.text(column, row, text, ha="center", va="center", color=colour)
        bar = figure.colorbar(image, ax=axes, label="share of the gold row", pad=0.02, aspect=30)
        bar.outline.set_visible(False)
    return figure


def plot_type_scores(
    scores: Mapping[str, float],
    types: Sequence[str],
    title: str,
    intervals: Mapping[str, Interval],
    confidence: float | None = None,
) -> Figure:
    """Plot F1 with its interval, precision and recall by type, the best F1 on top.

    A type without a score has a row, and no point.

    Args:
        scores: returned by :func:`~ner_mlflow.evaluation.scores.score`.
        types: the types to show.
        title: the figure's title.
        intervals: intervals of F1, under ``TYPE/``; types without one get no bar.
        confidence: share of the samples inside the intervals.
    """

    def values(name: str) -> list[float]:
        return [scores.get(f"{type_}/{name}", np.nan) for type_ in order]

    order = sorted(types, key=lambda type_: -scores.get(f"{type_}/f1", -1.0))
    names = [short_name(type_) for type_ in order]
    unknown = Interval(np.nan, np.nan)
    f1_intervals = [intervals.get(f"{type_}/", unknown) for type_ in order]
    supports = [scores.get(f"{type_}/support", 0.0) for type_ in order]
    note = explain(
        f"n = {sum(supports):,.0f} gold entities",
        interval_note(confidence, "bars of F1"),
        "types by falling F1",
    )
    with new_plot(title, note, rows_height_in(names)) as figure:
        axes = figure.subplots()
        if not order:
            say(axes, "There are no types.")
            return figure
        rows = name_rows(axes, names)
        for index, name in ((1, "precision"), (2, "recall")):
            look = series(index)
            axes.plot(values(name), rows, **look.points, alpha=0.8, markersize=5)
            figure.add_key(key_line(look), name)
        draw_intervals(
            axes,
            rows,
            values("f1"),
            [interval.low for interval in f1_intervals],
            [interval.high for interval in f1_intervals],
            series(0),
        )
        figure.add_key(key_line(series(0)), "F1")
        for row, value in zip(rows, values("f1"), strict=True):
            if np.isnan(value):
                axes.text(0.0, row, NO_SCORE, va="center", color=PALE)
        score_axis(axes, "strict score, 0 to 1")
        columns = {
            "F1": [number(value) for value in values("f1")],
            "n gold": [f"{support:,.0f}" for support in supports],
        }
        side_columns(axes, rows, columns)
    return figure


def plot_slices(slices: pd.DataFrame, title: str, confidence: float | None = None) -> Figure:
    """Plot F1 with its interval by slice, with the numbers of entities.

    A slice without a score has a row, and no point.

    Args:
        slices: table of :meth:`~ner_mlflow.evaluation.slices.SliceCounts.table`; each value of its
            column ``by`` gets a panel.
        title: the figure's title.
        confidence: share of the samples inside the intervals.
    """
    parts = [(str(by), part) for by, part in slices.groupby("by", sort=False)]
    names = [[short_name(name) for name in part["slice"]] for _, part in parts]
    heights = [sum(ROW_IN + LINE_IN * n.count("\n") for n in of_part) for of_part in names]
    note = explain(interval_note(confidence), "a gold entity counts in one slice of each panel")
    with new_plot(title, note, sum(heights) + 0.45 * len(parts) + 0.4) as figure:
        if not parts:
            say(figure.subplots(), "There are no slices.")
            return figure
        panels = figure.subplots(len(parts), 1, sharex=True, squeeze=False, height_ratios=heights)
        for axes, (criterion, part), of_part in zip(panels[:, 0], parts, names, strict=True):
            rows = name_rows(axes, of_part)
            draw_intervals(axes, rows, part["f1"], part["f1_low"], part["f1_high"], series(0))
            for row, value in zip(rows, part["f1"], strict=True):
                if np.isnan(value):
                    axes.text(0.0, row, NO_SCORE, va="center", color=PALE)
            score_axis(axes, "")
            axes.set_title(SLICED_BY.get(criterion, criterion))
            columns = {
                "F1": [number(value) for value in part["f1"]],
                "n gold": [f"{count:,}" for count in part["gold"]],
                "n predicted": [f"{count:,}" for count in part["predicted"]],
            }
            side_columns(axes, rows, columns)
        panels[-1, 0].set_xlabel("strict F1, 0 to 1")
    return figure


SLICED_BY = {
    "words": "Length of the sentence, words",
    "surface": "Words of the entity in train",
    "train count": "Times that the entity is in train",
}
"""Criterion of slices -> title of its panel."""


def plot_reliability(table: pd.DataFrame, title: str) -> Figure:
    """Plot precision over confidence, above the number of entities in each bin.

    Bins with few entities have hollow points.

    Args:
        table: returned by :func:`~ner_mlflow.evaluation.calibration.reliability`.
        title: the figure's title.
    """
    count = int(table["entities"].sum())
    note = explain(
        f"n = {count:,} predicted entit{'y' if count == 1 else 'ies'}",
        "bars: 95 % Wilson interval of a bin's precision",
        f"hollow: fewer than {FEW_ENTITIES} entities",
    )
    look = series(0)
    with new_plot(title, note, 4.6) as figure:
        if table.empty:
            say(figure.subplots(), "The model predicts no entity, so there is nothing to show.")
            return figure
        curve, histogram = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        curve.plot([0, 1], [0, 1], color=PALE, linestyle="--", linewidth=1)
        figure.add_key(
            key_line(look, marker="none", color=PALE, linestyle="--", linewidth=1), "calibrated"
        )
        confidences, precisions = table["mean_confidence"], table["precision"]
        # A line joins neighbouring bins only: nothing is known of an empty one between.
        gap = table["from"].to_numpy()[1:] - table["to"].to_numpy()[:-1] > 1e-9
        breaks = np.flatnonzero(gap) + 1
        curve.plot(
            np.insert(confidences.to_numpy(float), breaks, np.nan),
            np.insert(precisions.to_numpy(float), breaks, np.nan),
            color=look.colour,
            linewidth=1,
        )
        draw_intervals(
            curve,
            confidences,
            precisions,
            table["precision_low"],
            table["precision_high"],
            Series(look.colour, "none"),
            horizontal=False,
        )
        few = table["entities"] < FEW_ENTITIES
        for part, fill, text in (
            (~few, look.colour, "model"),
            (few, "white", f"model, fewer than {FEW_ENTITIES} entities"),
        ):
            if part.any():
                style = {**look.points, "markerfacecolor": fill, "markeredgecolor": look.colour}
                curve.plot(confidences[part], precisions[part], **style, zorder=4)
                figure.add_key(key_line(look, **style), text)
        curve.set_ylabel("precision, 0 to 1")
        curve.set_ylim(-0.03, 1.03)
        curve.grid()
        bars = histogram.bar(
            (table["from"] + table["to"]) / 2,
            table["entities"],
            (table["to"] - table["from"]) * 0.9,
            color=np.where(few, "white", look.colour),
            edgecolor=look.colour,
        )
        histogram.bar_label(bars, [f"{count:,}" for count in table["entities"]], padding=2)
        histogram.set_ylim(0, table["entities"].max() * 1.35)
        histogram.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        histogram.set_ylabel("entities")
        histogram.set_xlabel("confidence, 0 to 1")
        histogram.set_xlim(-0.02, 1.02)
        histogram.set_xticks(np.arange(0, 1.01, 0.1))
    return figure


def plot_differences(
    differences: pd.DataFrame, models: Sequence[str], significance_level: float, note: str = ""
) -> Figure:
    """Plot the F1 of each row's model minus the F1 of each column's model.

    Columns have the numbers of the rows. Where cells are too small for numbers they have signs.

    Args:
        differences: table of :func:`~ner_mlflow.evaluation.comparison.pairwise_differences`.
        models: names, in the order of rows and columns.
        significance_level: differences with this p-value or a smaller one are bold.
        note: the number of items that the models were scored on.
    """
    values = np.full((len(models), len(models)), np.nan)
    p_values = values.copy()
    place = {model: index for index, model in enumerate(models)}
    for row in differences.to_dict("records"):
        first, other = place[row["model"]], place[row["other"]]
        values[first, other], values[other, first] = row["f1_difference"], -row["f1_difference"]
        p_values[first, other] = p_values[other, first] = row["p_value"]
    rows = [f"{short_name(model)}  {index}" for index, model in enumerate(models, start=1)]
    cell, width = _cell_size(rows, _BAR_IN)
    has_numbers = cell >= 7 * CHARACTER_IN
    note = explain(
        f"bold: p ≤ {significance_level:g}, paired permutation test"
        if has_numbers
        else f"+ or −: higher or lower with p ≤ {significance_level:g}, paired permutation test",
        note,
    )
    height = max(cell if len(models) < 8 else 0.8 * cell, 0.42 if has_numbers else 0.3)
    title = "Difference in F1: model of the row minus model of the column"
    with new_plot(title, note, height * len(models) + 0.5, width) as figure:
        axes = figure.subplots()
        if len(models) < 2:
            say(axes, "There is no other model to compare with.")
            return figure
        largest = max(float(np.nanmax(np.abs(values), initial=0)), LEAST_SCALE)
        image = axes.imshow(values, cmap=SIGNED, vmin=-largest, vmax=largest, aspect="auto")
        _name_cells(axes, [str(index + 1) for index in range(len(models))], rows, False)
        for row_, column in np.argwhere(~np.isnan(values)):
            value, p_value = values[row_, column], p_values[row_, column]
            significant = p_value <= significance_level
            text = f"{value:+.3f}\np {p_value:.2g}".replace("-", "−")
            if not has_numbers:
                text = ("+" if value > 0 else "−") if significant else ""
            axes.text(
                column,
                row_,
                text,
                ha="center",
                va="center",
                color="white" if abs(value) > 0.6 * largest else INK,
                fontweight="bold" if significant else "normal",
            )
        bar = figure.colorbar(image, ax=axes, label="difference in F1", pad=0.02, aspect=30)
        bar.outline.set_visible(False)
    return figure


def plot_intervals(
    results: pd.DataFrame, title: str, confidence: float | None = None, note: str = ""
) -> Figure:
    """Plot the F1 of each model with its interval, the first model on top.

    Args:
        results: columns ``model``, ``f1``, ``f1_low`` and ``f1_high``.
        title: the figure's title.
        confidence: share of the samples inside the intervals.
        note: the number of items that the models were scored on.
    """
    names = [short_name(model, 34) for model in results["model"]]
    note = explain(note, interval_note(confidence))
    with new_plot(title, note, rows_height_in(names)) as figure:
        axes = figure.subplots()
        if results.empty:
            say(axes, "There are no models.")
            return figure
        rows = name_rows(axes, names)
        draw_intervals(axes, rows, results["f1"], results["f1_low"], results["f1_high"], series(0))
        axes.set_xlabel("F1")
        axes.margins(x=0.05)
        ends = zip(results["f1_low"], results["f1_high"], strict=True)
        columns = {
            "F1": [number(value, 3) for value in results["f1"]],
            "interval": [f"{number(low, 3)} to {number(high, 3)}" for low, high in ends],
        }
        side_columns(axes, rows, columns)
    return figure


LEAST_SCALE = 0.05
"""Differences in F1 up to this one never get the darkest colour."""
COSTS = {"latency_p50_ms": "median latency of one sentence, ms", "size_mb": "size, MB"}
"""Cost of an exported file -> label of its axis."""


def plot_tradeoff(
    variants: pd.DataFrame, confidence: float | None = None, note: str = ""
) -> Figure:
    """Plot validation F1 with its interval over latency and over size of exported files.

    The shape of a point tells the variant, its colour the model. The files on the Pareto front have
    numbers, which the key explains; those of a single model have their variant's name. Among many
    models only those on a front have colours and bars.

    Args:
        variants: one row for each file, with ``model``, ``variant``, ``latency_p50_ms``,
            ``size_mb``, ``validation_f1`` with ``_low`` and ``_high``, and for each cost a column
            ``pareto_COST``; a line joins the files on the Pareto front. Files of one model may have
            the variant as their model.
        confidence: share of the samples inside the intervals.
        note: the number of items that F1 was measured on.
    """
    models = list(dict.fromkeys(variants["model"].astype(str)))
    kinds = list(dict.fromkeys(variants["variant"].astype(str)))
    of_one_model = len(models) == 1 or bool((variants["model"] == variants["variant"]).all())
    fronts = {cost: variants[f"pareto_{cost}"].astype(bool) for cost in COSTS}
    on_front = np.logical_or.reduce([*fronts.values()])
    coloured = models
    if len(models) > COLOURED_MODELS:
        coloured = list(dict.fromkeys(variants.loc[on_front, "model"].astype(str)))

    def look(row: Mapping[Hashable, Any]) -> Series:
        marker = MARKERS[kinds.index(str(row["variant"])) % len(MARKERS)]
        model = str(row["model"])
        if of_one_model or model not in coloured:
            return Series(COLOURS[0] if of_one_model else PALE, marker)
        return Series(series(coloured.index(model)).colour, marker)

    note = explain(
        note,
        interval_note(confidence),
        "dashed: Pareto front" + ("" if of_one_model else ", its files numbered"),
    )
    with new_plot("Validation F1 against latency and size of exported files", note, 3.9) as figure:
        panels = figure.subplots(1, len(COSTS), sharey=True)
        if variants.empty:
            say(panels[0], "No file was exported.")
            panels[1].set_axis_off()
            return figure
        for axes, (cost, label) in zip(panels, COSTS.items(), strict=True):
            front = variants[fronts[cost]].sort_values(cost)
            axes.plot(front[cost], front["validation_f1"], color=PALE, linestyle="--", linewidth=1)
            for row in variants.to_dict("records"):
                has_bar = of_one_model or str(row["model"]) in coloured
                draw_intervals(
                    axes,
                    [row[cost]],
                    [row["validation_f1"]],
                    [row["validation_f1_low"] if has_bar else np.nan],
                    [row["validation_f1_high"] if has_bar else np.nan],
                    look(row),
                    horizontal=False,
                )
            axes.grid()
            axes.margins(0.12)
            costs = variants[cost].astype(float)
            is_wide = costs.min() > 0 and costs.max() > 10 * costs.min()
            axes.set_xlabel(f"{label} (logarithmic)" if is_wide else label)
            if is_wide:
                log_axis(axes.xaxis, costs.min(), costs.max())
        panels[0].set_ylabel("validation F1")
        for index, kind in enumerate(kinds):
            figure.add_key(key_line(Series("white", MARKERS[index % len(MARKERS)])), kind)
        if len(coloured) < len(models):
            figure.add_key(key_line(Series(PALE, "s")), "models on no front, without bars")
        elif not of_one_model:
            for model in coloured:
                colour = series(coloured.index(model)).colour
                figure.add_key(key_line(Series(colour, "s")), short_name(model, 50, 1))
        numbers = {index: str(n) for n, index in enumerate(variants.index[on_front], start=1)}
        for file in [] if of_one_model else variants[on_front].reset_index().to_dict("records"):
            name = short_name(f"{file['model']} {file['variant']}", 50, 1)
            figure.add_key(key_line(look(file)), f"{numbers[file['index']]}: {name}")

        def name_fronts() -> None:
            for axes, cost in zip(panels, COSTS, strict=True):
                front = variants[fronts[cost]]
                points = list(zip(front[cost], front["validation_f1"], strict=True))
                texts = [short_name(kind, 24, 1) for kind in front["variant"].astype(str)]
                if not of_one_model:
                    texts = [numbers[index] for index in front.index]
                place_labels(axes, points, texts)

        figure.after_layout(name_fronts)
    return figure


def _fold(confusion: pd.DataFrame) -> pd.DataFrame:
    """Return a confusion of at most :data:`MOST_TYPES` types: the rarest ones are added up."""
    rare = len(confusion) - MOST_TYPES
    if rare <= 1:
        return confusion
    totals = confusion.sum(axis=1) + confusion.sum(axis=0)
    names = totals.drop("O", errors="ignore").sort_values(kind="stable").index[:rare]
    other = f"{rare} other types"
    renamed = dict.fromkeys(names, other)
    folded = confusion.rename(index=renamed, columns=renamed)
    by_row = folded.groupby(level=0, sort=False).sum()
    return by_row.T.groupby(level=0, sort=False).sum().T


def _cell_size(rows: Sequence[str], beside_in: float) -> tuple[float, float]:
    """Return the width of the cells of a matrix and that of the plot, in inches."""
    longest = max((len(line) for name in rows for line in name.split("\n")), default=0)
    names_in = longest * CHARACTER_IN + 0.4
    least, greatest = _CELL_IN
    count = max(len(rows), 1)
    cell = min(max((WIDTH_IN - names_in - beside_in) / count, least), greatest)
    return cell, min(max(names_in + count * cell + beside_in, 5.5), WIDTH_IN)


def _name_cells(axes: Any, columns: Sequence[str], rows: Sequence[str], upright: bool) -> None:
    axes.set_xticks(range(len(columns)), columns, rotation=90 if upright else 0)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
