"""The charts of the showcase, as Plotly figures; every text in them is escaped."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from .markup import label
from .standing import Score, Scored, Variant, date, on_front
from .style import AXIS, ERROR_SCALE, LAYOUT, QUIET, SCALE, ink, series_colour

ROW_PX = 34
"""Height of a row in charts that have a row for each model or type."""
CELL_PX = 46
NAME_LIMIT = 42
"""Characters of a name beside a chart."""


def interval_chart(names: Sequence[str], scores: Sequence[Score], strong: int = -1) -> go.Figure:
    """Draw F1 with its interval, a row for each name; ``strong`` is the row to stress."""
    figure = _figure(height=ROW_PX * len(names) + 70)
    for colour, is_strong in ((series_colour(0), True), (QUIET, False)):
        shown = [row for row in range(len(names)) if (strong in (-1, row)) == is_strong]
        mine = [scores[row] for row in shown]
        figure.add_trace(
            go.Scatter(
                x=[score.f1 for score in mine],
                y=shown,
                mode="markers+text",
                marker={"size": 11, "color": colour},
                error_x={**_error(mine), "color": colour},
                text=[f"{score.f1:.3f}" for score in mine],
                textposition="top center",
                cliponaxis=False,
                customdata=[[label(names[row], 200), str(scores[row])] for row in shown],
                hovertemplate="%{customdata[0]}<br>F1 %{customdata[1]}<extra></extra>",
                showlegend=False,
            )
        )
    _rows(figure, names)
    return figure


def type_chart(models: Sequence[Scored], names: Sequence[str], types: Sequence[str]) -> go.Figure:
    """Draw F1 by type with intervals, a row for each type and a colour for each model."""
    figure = _figure(height=max(ROW_PX, 15 * len(models) + 14) * len(types) + 90)
    spread = 0.52 if len(models) > 1 else 0
    for index, (model, name) in enumerate(zip(models, names, strict=True)):
        by_type = {type_.type: type_ for type_ in model.types}
        shown = [position for position, type_ in enumerate(types) if type_ in by_type]
        offset = spread * (index / max(len(models) - 1, 1) - 0.5)
        scores = [by_type[types[position]].score for position in shown]
        figure.add_trace(
            go.Scatter(
                name=label(name, NAME_LIMIT),
                x=[score.f1 for score in scores],
                y=[position + offset for position in shown],
                mode="markers",
                marker={"size": 10, "color": series_colour(index), "symbol": index % 8},
                error_x=_error(scores),
                customdata=[
                    [label(types[p], 200), str(s), by_type[types[p]].support]
                    for p, s in zip(shown, scores, strict=True)
                ],
                hovertemplate=(
                    "%{customdata[0]}: F1 %{customdata[1]}, n = %{customdata[2]}<extra></extra>"
                ),
            )
        )
    support: dict[str, int] = {}
    for model in models:
        support |= {type_.type: type_.support for type_ in model.types}
    _rows(figure, [f"{type_}  n={support.get(type_, 0)}" for type_ in types])
    figure.update_layout(showlegend=len(models) > 1)
    return figure


def tradeoff_chart(files: Sequence[Variant], cost: str) -> go.Figure:
    """Draw validation F1 against ``latency_ms`` or ``size_mb``, with the Pareto front."""
    costs = [float(getattr(file, cost)) for file in files]
    gains = [file.score.f1 for file in files]
    front = on_front(costs, gains)
    figure = _figure(height=400)
    best = sorted((c, g) for c, g, is_best in zip(costs, gains, front, strict=True) if is_best)
    figure.add_trace(
        go.Scatter(
            name="Pareto front",
            x=[point[0] for point in best],
            y=[point[1] for point in best],
            mode="lines",
            line={"color": QUIET, "dash": "dot", "width": 2},
            hoverinfo="skip",
            legendrank=1001,
        )
    )
    models = list(dict.fromkeys(file.model for file in files))
    symbols = {name: i % 8 for i, name in enumerate(dict.fromkeys(f.variant for f in files))}
    for index, model in enumerate(models):
        mine = [position for position, file in enumerate(files) if file.model == model]
        figure.add_trace(
            go.Scatter(
                name=label(model, NAME_LIMIT),
                x=[costs[p] for p in mine],
                y=[gains[p] for p in mine],
                mode="markers+text",
                text=[f" {label(files[p].variant, 20)}" if front[p] else "" for p in mine],
                textposition="top right",
                marker={
                    "size": [15 if front[p] else 10 for p in mine],
                    "color": series_colour(index),
                    "symbol": [symbols[files[p].variant] for p in mine],
                    "opacity": [1.0 if front[p] else 0.6 for p in mine],
                },
                legendgroup=str(index),
                showlegend=False,
                error_y=_error([files[p].score for p in mine]),
                customdata=[
                    [label(files[p].name, 200), str(files[p].score), _cost(costs[p], cost)]
                    for p in mine
                ],
                hovertemplate=(
                    "%{customdata[0]}<br>F1 %{customdata[1]}<br>%{customdata[2]}<extra></extra>"
                ),
            )
        )
    for index, model in enumerate(models):
        line = {"color": series_colour(index), "width": 8}
        _key(figure, model, str(index), "" if index else "Model", mode="lines", line=line)
    for index, (variant, symbol) in enumerate(symbols.items()):
        marker = {"size": 11, "color": QUIET, "symbol": symbol}
        _key(figure, variant, "file", "" if index else "File", mode="markers", marker=marker)
    figure.update_layout(
        legend={"orientation": "v", "x": 1.02, "y": 1, "yanchor": "top", "tracegroupgap": 4}
    )
    title = "median latency of one sentence, ms" if cost == "latency_ms" else "size, MB"
    figure.update_xaxes(title_text=title, rangemode="tozero")
    figure.update_yaxes(title_text="validation F1")
    return figure


def time_chart(models: Sequence[Scored]) -> go.Figure:
    """Draw F1 of evaluations over time, with intervals."""
    figure = _figure(height=340)
    figure.add_trace(
        go.Scatter(
            x=[date(model.run.started_ms) for model in models],
            y=[model.score.f1 for model in models],
            mode="markers",
            marker={"size": 10, "color": series_colour(0)},
            error_y=_error([model.score for model in models]),
            customdata=[[label(model.name, 200), str(model.score)] for model in models],
            hovertemplate="%{x}<br>%{customdata[0]}<br>F1 %{customdata[1]}<extra></extra>",
        )
    )
    figure.update_xaxes(title_text="time of the evaluation, UTC", type="date")
    figure.update_yaxes(title_text="F1")
    return figure


def confusion_chart(matrix: pd.DataFrame) -> go.Figure:
    """Draw entities by gold type (rows) and predicted type (columns); a cell can be clicked.

    A click selects the point in the middle of a cell: Streamlit reports no clicks on a heatmap. Its
    ``customdata`` holds the positions of row and column.
    """
    counts = matrix.to_numpy(dtype=float)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / totals.clip(min=1)
    names, size = [str(name) for name in matrix.columns], len(matrix)
    wrong, right = shares.copy(), shares.copy()
    for row in range(size):
        for column in range(size):
            (wrong if row == column else right)[row, column] = math.nan
    figure = _figure(height=CELL_PX * size + 110)
    for values, scale in ((right, SCALE), (wrong, ERROR_SCALE)):
        figure.add_trace(
            go.Heatmap(
                z=values,
                zmin=0,
                zmax=1,
                colorscale=[list(step) for step in scale],
                showscale=False,
                hoverinfo="skip",
                xgap=3,
                ygap=3,
            )
        )
    cells = [(row, column) for row in range(size) for column in range(size)]
    places = {"x": [column for _, column in cells], "y": [row for row, _ in cells]}
    figure.add_trace(
        go.Scatter(
            **places,
            mode="text",
            text=[f"{int(counts[cell])}" if counts[cell] else "·" for cell in cells],
            textfont={"color": ink(), "size": 14},
            unselected={"textfont": {"color": ink()}},
            hoverinfo="skip",
        )
    )
    figure.add_trace(
        go.Scatter(
            **places,
            mode="markers",
            marker={"size": CELL_PX - 8, "opacity": 0, "symbol": "square", "color": ink()},
            selected={"marker": {"opacity": 0.15}},
            unselected={"marker": {"opacity": 0}},
            customdata=[[row, column] for row, column in cells],
            hovertext=[
                f"{label(names[row])} → {label(names[column])}: {int(counts[row, column])}, "
                f"{shares[row, column]:.0%} of the row"
                for row, column in cells
            ],
            hoverinfo="text",
        )
    )
    ticks = {"tickvals": list(range(size)), "ticktext": [label(n, 18) for n in names]}
    figure.update_xaxes(title_text="predicted", side="top", showgrid=False, **ticks)
    figure.update_yaxes(title_text="gold", autorange="reversed", showgrid=False, **ticks)
    figure.update_layout(
        hoverdistance=-1, clickmode="event+select", dragmode=False, showlegend=False
    )
    return figure


def robustness_chart(table: pd.DataFrame) -> go.Figure:
    """Draw the F1 of each perturbation by severity; the dashed line is the clean F1."""
    clean = table.loc[table["severity"] == 0, "f1"].to_numpy(dtype=float)
    rows = table[table["severity"] > 0]
    worst = rows.groupby("kind")["f1"].min().sort_values()
    kinds = [str(kind) for kind in worst.index]
    severities = sorted({int(severity) for severity in rows["severity"]})
    figure = _figure(height=ROW_PX * len(kinds) + 100)
    for severity in severities:
        mine = {
            str(row["kind"]): Score(row["f1"], row["f1_low"], row["f1_high"])
            for row in rows[rows["severity"] == severity].to_dict("records")
        }
        shown = [position for position, kind in enumerate(kinds) if kind in mine]
        scores = [mine[kinds[position]] for position in shown]
        figure.add_trace(
            go.Scatter(
                name=f"severity {severity}",
                x=[score.f1 for score in scores],
                y=shown,
                mode="markers",
                marker={
                    "size": 7 + 3 * severities.index(severity),
                    "color": series_colour(0),
                    "opacity": 0.4 + 0.6 * (severities.index(severity) + 1) / len(severities),
                },
                customdata=[[label(kinds[p]), str(s)] for p, s in zip(shown, scores, strict=True)],
                hovertemplate=(
                    f"%{{customdata[0]}}, severity {severity}<br>F1 %{{customdata[1]}}"
                    "<extra></extra>"
                ),
            )
        )
    if len(clean):
        figure.add_vline(x=clean[0], line_dash="dash", line_color=QUIET)
    _rows(figure, [kind.replace("_", " ") for kind in kinds])
    return figure


def _figure(height: int) -> go.Figure:
    figure, colour = go.Figure(), ink()
    figure.update_layout(**{**LAYOUT, "font": {**LAYOUT["font"], "color": colour}}, height=height)
    axis = {**AXIS, "tickfont": {"color": colour}, "title_font_color": colour}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    figure.update_layout(legend_font_color=colour)
    return figure


def _rows(figure: go.Figure, names: Sequence[str]) -> None:
    """Name the rows of a chart, the first at the top, and let F1 run along it."""
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[label(name, NAME_LIMIT) for name in names],
        range=[len(names) - 0.4, -0.7],
        title_text="",
    )
    figure.update_xaxes(title_text="F1", range=[-0.02, 1.03], tickformat=".1f")
    figure.update_layout(showlegend=sum(bool(trace.name) for trace in figure.data) > 1)


def _key(figure: go.Figure, name: str, group: str, title: str, **look: Any) -> None:
    """Add a line to the key of a chart, which stands for no point."""
    figure.add_trace(
        go.Scatter(
            name=label(name, NAME_LIMIT),
            x=[None],
            y=[None],
            legendgroup=group,
            legendgrouptitle={"text": title} if title else None,
            hoverinfo="skip",
            **look,
        )
    )


def _error(scores: Sequence[Score]) -> dict[str, Any]:
    def gap(value: float) -> float:
        return 0.0 if math.isnan(value) else max(value, 0.0)

    return {
        "type": "data",
        "symmetric": False,
        "array": [gap(score.high - score.f1) for score in scores],
        "arrayminus": [gap(score.f1 - score.low) for score in scores],
        "thickness": 1.6,
        "width": 0,
    }


def _cost(value: float, cost: str) -> str:
    return f"{value:.2f} ms" if cost == "latency_ms" else f"{value:.1f} MB"


def counts_chart(counts: Mapping[str, Mapping[str, float]]) -> go.Figure:
    """Draw numbers of entities by type (rows) and split (colours)."""
    types = list(dict.fromkeys(type_ for of_split in counts.values() for type_ in of_split))
    figure = _figure(height=22 * len(counts) * len(types) + 100)
    for index, (split, of_split) in enumerate(counts.items()):
        values = [of_split.get(type_, 0) for type_ in types]
        figure.add_trace(
            go.Bar(
                name=label(split),
                x=values,
                y=list(range(len(types))),
                orientation="h",
                marker={"color": series_colour(index)},
                text=[f"{value:,.0f}" for value in values],
                textposition="outside",
                textfont={"size": 12},
                constraintext="none",
                cliponaxis=False,
                hovertemplate=f"{label(split)}: %{{x:,}}<extra></extra>",
            )
        )
    _rows(figure, types)
    figure.update_xaxes(title_text="entities", range=None, autorange=True, tickformat=",")
    figure.update_layout(barmode="group", bargap=0.25)
    return figure
