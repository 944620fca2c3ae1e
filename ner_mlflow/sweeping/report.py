"""What came out of a study: a table of its trials, and Optuna's plots."""

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
from optuna.trial import TrialState

from ..pages import render_page
from .study import REASON, RUN, STATES, HeldStudy

log = logging.getLogger(__name__)

CONTOUR = ("model.lora_rank", "train.learning_rate")
"""What the contour plot shows where the space has both; else its first two settings."""
COMPLETE_TRIALS = 2
"""Below as many, plots have nothing to show."""


@dataclass(frozen=True)
class _Plot:
    """One of Optuna's plots, interactive and still; ``settings`` makes their arguments from objectives' names and settings of the space."""

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
            # Optuna draws two or three; the first ones are the foremost.
            "targets": (lambda trial: trial.values[:3]) if len(objectives) > 3 else None,
            "target_names": list(objectives[:3]),
        },
        True,
    ),
)


@dataclass(frozen=True)
class SweepReport:
    """The table of trials, a page with the interactive plots, and the same plots as figures by name."""

    table: pd.DataFrame
    page: str
    figures: dict[str, Figure]


def report(study: HeldStudy, objectives: Sequence[str]) -> SweepReport:
    """Tell what came out; plots that the trials are too few for are left out."""
    table = trials_table(study, objectives)
    complete = [trial for trial in study.trials() if trial.state == TrialState.COMPLETE]
    keys = list(study.spec.space.entries)
    parts: list[str] = []
    figures: dict[str, Figure] = {}
    # Optuna asks a study for its trials again and again: one in memory answers at once, and stands still.
    copy = optuna.create_study(directions=list(study.spec.directions), study_name=study.spec.name)
    copy.add_trials(trial for trial in study.trials() if trial.state.is_finished())
    for plot in PLOTS if len(complete) >= COMPLETE_TRIALS else ():
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
        except (ValueError, RuntimeError) as error:  # values all alike, say
            log.warning("no plot %s of these trials (%s)", plot.name, error)
            continue
        # The first one brings plotly's own script, so that the page needs no network.
        parts.append(drawn.to_html(full_html=False, include_plotlyjs=not parts))
    page = render_page("study.html", title=study.spec.name, plots=parts)
    return SweepReport(table, page, figures)


def trials_table(study: HeldStudy, objectives: Sequence[str]) -> pd.DataFrame:
    """One row a trial: number, state, objectives, what it tried, epochs, seconds, why it ended, its run."""
    best, front = study.best(), {trial.number for trial in study.best_trials()}
    rows = []
    for trial in study.trials():
        values = trial.values or [np.nan] * len(objectives)
        rows.append(
            {
                "trial": trial.number,
                "best": "*" if best and trial.number == best.number else "",
                "state": STATES[trial.state],
                **dict(zip(objectives, values, strict=True)),
                **(
                    {"pareto_front": "*" if trial.number in front else ""}
                    if len(objectives) > 1
                    else {}
                ),
                **{key: trial.params.get(key) for key in study.spec.space.entries},
                "epochs": len(trial.intermediate_values),
                "seconds": trial.duration.total_seconds() if trial.duration else np.nan,
                "reason": trial.user_attrs.get(REASON, "")
                if trial.state != TrialState.COMPLETE
                else "",
                "run": trial.user_attrs.get(RUN, ""),
            }
        )
    return pd.DataFrame(rows)


def _still(plot: _Plot, study: optuna.Study, settings: dict[str, Any]) -> Figure:
    with mpl.rc_context({"backend": "agg"}):
        drawn = plot.still(study, **settings)
    axes: Any = drawn if isinstance(drawn, Axes) else np.ravel(drawn)[0]
    figure: Figure = axes.figure
    plt.close(figure)  # pyplot would keep it for ever
    figure.set_size_inches(11, 6)
    figure.set_layout_engine("tight")
    return figure
