"""Report a study: a table of its trials, and Optuna's plots."""

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import optuna
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from optuna import visualization
from optuna.trial import FrozenTrial, TrialState

from ..pages import render_page
from .study import SweepStudy
from .trial import REASON, RUN, is_lost

log = logging.getLogger(__name__)

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
"""Optuna's state of a trial -> its name in the table."""
CONTOUR = ("model.lora_rank", "train.learning_rate")
"""Parameters of the contour plot; a space without them shows its first two."""
FEWEST_TRIALS = 2
"""Complete trials that plots need."""
SILENT = "its process sent no heartbeat for too long"


@dataclass(frozen=True)
class _Plot:
    """One of Optuna's plots, interactive and as a figure.

    Attributes:
        settings: makes the plot's arguments from the objectives' names and the space's keys.
        several_objectives: the plot needs more than one objective.
    """

    name: str
    interactive: Callable[..., Any]
    still: Callable[..., Any]
    settings: Callable[[Sequence[str], Sequence[str]], dict[str, Any]]
    several_objectives: bool


def _of_first(objectives: Sequence[str], _keys: Sequence[str]) -> dict[str, Any]:
    return {
        "target": (lambda trial: trial.values[0]) if len(objectives) > 1 else None,
        "target_name": objectives[0],
    }


PLOTS = (
    _Plot(
        "history",
        visualization.plot_optimization_history,
        visualization.matplotlib.plot_optimization_history,
        _of_first,
        False,
    ),
    _Plot(
        "importance",
        visualization.plot_param_importances,
        visualization.matplotlib.plot_param_importances,
        _of_first,
        False,
    ),
    _Plot(
        "parallel_coordinates",
        visualization.plot_parallel_coordinate,
        visualization.matplotlib.plot_parallel_coordinate,
        _of_first,
        False,
    ),
    _Plot(
        "contour",
        visualization.plot_contour,
        visualization.matplotlib.plot_contour,
        lambda objectives, keys: {
            **_of_first(objectives, keys),
            "params": list(CONTOUR if set(CONTOUR) <= set(keys) else keys[:2]),
        },
        False,
    ),
    _Plot(
        "pareto_front",
        visualization.plot_pareto_front,
        visualization.matplotlib.plot_pareto_front,
        lambda objectives, _: {
            # Optuna draws two or three objectives; the first ones matter most.
            "targets": (lambda trial: trial.values[:3]) if len(objectives) > 3 else None,
            "target_names": list(objectives[:3]),
        },
        True,
    ),
)


@dataclass(frozen=True)
class SweepReport:
    """The table of trials, an HTML page of interactive plots, and the same plots as figures by
    name."""

    table: pd.DataFrame
    page: str
    figures: dict[str, Figure]


def report(study: SweepStudy, objectives: Sequence[str]) -> SweepReport:
    """Return a study's table and plots; plots that need more trials are left out."""
    table = trials_table(study, objectives)
    trials = study.trials()
    complete = sum(trial.state == TrialState.COMPLETE for trial in trials)
    keys = list(study.spec.space.entries)
    parts: list[str] = []
    figures: dict[str, Figure] = {}
    # Optuna's plots read a study's trials many times, so they get a copy in memory.
    copy = optuna.create_study(directions=list(study.spec.directions), study_name=study.spec.name)
    copy.add_trials(trial for trial in trials if trial.state.is_finished())
    for plot in PLOTS if complete >= FEWEST_TRIALS else ():
        if (plot.several_objectives and len(objectives) == 1) or (
            plot.name == "contour" and len(keys) < 2
        ):
            continue
        settings = plot.settings(objectives, keys)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                drawn = plot.interactive(copy, **settings)
                figures[plot.name] = _still(plot, copy, settings)
        except (ValueError, RuntimeError) as error:  # for example if all values are equal
            log.warning("no plot %s of these trials (%s)", plot.name, error)
            continue
        # The first plot brings plotly's script, so that the page needs no network.
        parts.append(drawn.to_html(full_html=False, include_plotlyjs=not parts))
    page = render_page("study.html", title=study.spec.name, plots=parts)
    return SweepReport(table, page, figures)


def trials_table(study: SweepStudy, objectives: Sequence[str]) -> pd.DataFrame:
    """Return one row per trial: number, state, objective values, parameters, epochs, seconds, the
    reason of its end, and its run's id."""
    best, front = study.best(), {trial.number for trial in study.best_trials()}
    rows = []
    for trial in study.trials():
        row: dict[str, Any] = {
            "trial": trial.number,
            "best": "*" if best and trial.number == best.number else "",
            "state": STATES[trial.state],
        }
        row |= zip(objectives, trial.values or [np.nan] * len(objectives), strict=True)
        if len(objectives) > 1:
            row["pareto_front"] = "*" if trial.number in front else ""
        row |= {key: trial.params.get(key) for key in study.spec.space.entries}
        rows.append(
            {
                **row,
                "epochs": len(trial.intermediate_values),
                "seconds": trial.duration.total_seconds() if trial.duration else np.nan,
                "reason": _reason(trial),
                "run": trial.user_attrs.get(RUN, ""),
            }
        )
    return pd.DataFrame(rows)


def _reason(trial: FrozenTrial) -> str:
    if trial.state == TrialState.COMPLETE:
        return ""
    return str(trial.user_attrs.get(REASON, SILENT if is_lost(trial) else ""))


def _still(plot: _Plot, study: optuna.Study, settings: dict[str, Any]) -> Figure:
    with mpl.rc_context({"backend": "agg"}):
        drawn = plot.still(study, **settings)
    axes: Any = drawn if isinstance(drawn, Axes) else np.ravel(drawn)[0]
    figure: Figure = axes.figure
    plt.close(figure)  # pyplot keeps every figure that is not closed
    figure.set_size_inches(11, 6)
    figure.set_layout_engine("tight")
    return figure
