"""Plot the trials of a study: objective values, parameters and their importance."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axis import Axis, XAxis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from ..plotting import (
    CHARACTER_IN,
    INK,
    VALUES,
    explain,
    key_line,
    log_axis,
    name_rows,
    new_plot,
    number,
    rows_height_in,
    series,
    short_name,
    side_columns,
)

PANELS = 3
"""Panels beside each other."""
NAME_COLUMNS = 12
"""Characters of a line of a categorical value at an axis."""


def plot_history(
    trials: Sequence[FrozenTrial], objective: str, direction: StudyDirection, study: str
) -> Figure:
    """Plot the first objective of each complete trial, and the best value so far.

    Args:
        trials: complete trials.
        objective: the objective's name.
        direction: whether the objective is minimised.
        study: the study's name.
    """
    numbers = [trial.number for trial in trials]
    values = np.array([trial.values[0] for trial in trials])
    maximised = direction == StudyDirection.MAXIMIZE
    best = (np.maximum if maximised else np.minimum).accumulate(values)
    with new_plot(f"Trials of {study}", _count(trials), 3.6) as figure:
        axes = figure.subplots()
        axes.step(numbers, best, where="post", color=series(2).colour, linestyle="--")
        axes.plot(numbers, values, **series(0).points)
        figure.add_key(key_line(series(0)), "trial")
        line = {"marker": "none", "linestyle": "--"}
        figure.add_key(key_line(series(2), **line), "best so far")
        axes.set_xlabel("number of the trial")
        better = "higher" if maximised else "lower"
        axes.set_ylabel(f"{short_name(objective, 20, 1)} ({better} is better)")
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        axes.margins(0.05)
        axes.grid()
    return figure


def plot_importance(
    importance: Mapping[str, float], trials: Sequence[FrozenTrial], objective: str
) -> Figure:
    """Plot how much each parameter explains of the objective, the most important on top.

    Args:
        importance: parameter -> share of the importance of all, as Optuna computes it.
        trials: the complete trials that it was computed from.
        objective: the objective's name.
    """
    order = sorted(importance, key=lambda key: -importance[key])
    names = [short_name(key, 34) for key in order]
    note = explain(_count(trials), "shares by Optuna's PED-ANOVA; few trials say little")
    with new_plot(f"Importance of parameters for {objective}", note, rows_height_in(names)) as plot:
        axes = plot.subplots()
        rows = name_rows(axes, names)
        axes.barh(rows, [importance[key] for key in order], 0.6, color=series(0).colour)
        axes.set_xlim(0, 1)
        axes.set_xlabel("share of the importance of all parameters, 0 to 1")
        side_columns(axes, rows, {"share": [number(importance[key]) for key in order]})
    return plot


def plot_parameters(trials: Sequence[FrozenTrial], keys: Sequence[str], objective: str) -> Figure:
    """Plot the first objective over each parameter, a panel for each.

    Args:
        trials: complete trials.
        keys: one parameter or more.
        objective: the first objective's name.
    """
    values = np.array([trial.values[0] for trial in trials])
    low, high = values.min(), values.max()
    pad = 0.08 * (high - low) or 0.05
    up = (values - low + pad) / (high - low + 2 * pad)
    lines = -(-len(keys) // PANELS)
    with new_plot(f"{objective} over each parameter", _count(trials), 2.5 * lines) as figure:
        panels = figure.subplots(lines, min(len(keys), PANELS), sharey=True, squeeze=False).ravel()
        for axes, key in zip(panels, keys, strict=False):
            across = _scale(axes.xaxis, trials, key, 6.0 / min(len(keys), PANELS))
            axes.plot(across, up, **series(0).points, alpha=0.8, transform=axes.transAxes)
            axes.set_ylim(low - pad, high + pad)
            axes.set_xlabel(short_name(key, 34, 1))
            axes.yaxis.set_major_locator(MaxNLocator(5))
            axes.grid()
        for axes in panels[:: min(len(keys), PANELS)]:
            axes.set_ylabel(short_name(objective, 28, 1))
        for axes in panels[len(keys) :]:
            axes.set_axis_off()
    return figure


def plot_plane(trials: Sequence[FrozenTrial], keys: Sequence[str], objective: str) -> Figure:
    """Plot trials over two parameters; the colour is the first objective.

    Args:
        trials: complete trials.
        keys: two parameters.
        objective: the first objective's name.
    """
    values = [trial.values[0] for trial in trials]
    title = f"{objective} over {keys[0]} and {keys[1]}"
    with new_plot(title, _count(trials), 4.2) as figure:
        axes = figure.subplots()
        across = _scale(axes.xaxis, trials, keys[0], 5.5)
        up = _scale(axes.yaxis, trials, keys[1], 3.5)
        points = axes.scatter(
            across,
            up,
            c=values,
            cmap=VALUES,
            s=70,
            edgecolors=INK,
            linewidths=0.6,
            transform=axes.transAxes,
            clip_on=False,
            zorder=3,
        )
        axes.set_xlabel(short_name(keys[0], 60, 1))
        axes.set_ylabel(short_name(keys[1], 40, 1))
        axes.grid()
        figure.colorbar(points, ax=axes, label=short_name(objective, 40, 1), pad=0.02, aspect=30)
    return figure


def plot_front(
    trials: Sequence[FrozenTrial], front: Sequence[FrozenTrial], objectives: Sequence[str]
) -> Figure:
    """Plot trials over each pair of the first objective and another, with the Pareto front.

    Args:
        trials: complete trials.
        front: those on the Pareto front of all objectives.
        objectives: two names or more.
    """
    on_front = {trial.number for trial in front}
    note = explain(_count(trials), f"{len(on_front)} on the Pareto front of all objectives")
    with new_plot("Pareto front of the objectives", note, 3.9) as figure:
        panels = figure.subplots(1, len(objectives) - 1, sharey=True, squeeze=False)[0]
        for column, axes in enumerate(panels, start=1):
            for look, text, chosen in (
                (series(1), "another trial", False),
                (series(0), "trial on the front", True),
            ):
                part = [trial for trial in trials if (trial.number in on_front) == chosen]
                axes.plot(
                    [trial.values[column] for trial in part],
                    [trial.values[0] for trial in part],
                    **look.points,
                )
                figure.add_key(key_line(look), text)
            axes.set_xlabel(short_name(objectives[column], 80 // len(panels), 1))
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.margins(0.08)
            axes.grid()
        panels[0].set_ylabel(short_name(objectives[0], 40, 1))
    return figure


def _count(trials: Sequence[FrozenTrial]) -> str:
    return f"n = {len(trials)} complete trial{'s' * (len(trials) != 1)}"


def _scale(
    axis: Axis, trials: Sequence[FrozenTrial], key: str, length_in: float
) -> NDArray[np.float64]:
    """Make an axis that of a parameter, and return where each trial is on it, from 0 to 1.

    A trial without the parameter is at NaN.

    Args:
        axis: ``axes.xaxis`` or ``axes.yaxis``.
        trials: complete trials.
        key: the parameter.
        length_in: about the length of the axis.

    Raises:
        ValueError: no trial has the parameter.
    """
    chosen = [trial.params.get(key) for trial in trials]
    if all(value is None for value in chosen):
        raise ValueError(f"no trial has {key}")
    distribution = next(trial.distributions[key] for trial in trials if key in trial.distributions)
    is_x = isinstance(axis, XAxis)
    limit = axis.axes.set_xlim if is_x else axis.axes.set_ylim
    most_ticks = int(length_in / 0.5)
    if _is_categorical(distribution, chosen):
        names = sorted({str(value) for value in chosen if value is not None})
        numbers = [np.nan if value is None else names.index(str(value)) for value in chosen]
        labels = [short_name(name, NAME_COLUMNS) for name in names]
        longest = max(len(line) for label in labels for line in label.split("\n"))
        is_upright = is_x and longest * len(names) * CHARACTER_IN > length_in
        axis.set_ticks(range(len(names)), labels, rotation=90 if is_upright else 0)
        low, high = -0.5, len(names) - 0.5
        limit(low, high)
        return (np.array(numbers, dtype=float) - low) / (high - low)
    values = np.array([np.nan if value is None else float(value) for value in chosen])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if getattr(distribution, "log", False):
        ends = log_axis(axis, low, high, most_ticks)
        shares: NDArray[np.float64] = np.log(values / ends[0]) / np.log(ends[1] / ends[0])
        return shares
    axis.set_major_locator(MaxNLocator(most_ticks))
    pad = 0.05 * (high - low) or 0.5
    limit(low - pad, high + pad)
    return (values - low + pad) / (high - low + 2 * pad)


def _is_categorical(distribution: BaseDistribution, values: Sequence[object]) -> bool:
    return isinstance(distribution, CategoricalDistribution) or not all(
        isinstance(value, (int, float)) for value in values if value is not None
    )
