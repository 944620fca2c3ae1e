"""Report a study: a table of its trials, and plots."""

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import pandas as pd
from matplotlib.figure import Figure
from optuna import visualization
from optuna.importance import get_param_importances
from optuna.trial import FrozenTrial, TrialState

from ..pages import render_page
from ..plotting import log_ticks, plotly_layout
from .plots import (
    plot_front,
    plot_history,
    plot_importance,
    plot_parameters,
    plot_plane,
)
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
NAMES = {
    "Trial": "number of the trial",
    "Best Value": "best so far",
    "Hyperparameter": "parameter",
    "Hyperparameter Importance": "share of the importance of all parameters",
}
"""Names in Optuna's plots -> those of our own figures."""
LINE_SHADE = 0.72
"""Factor of the colours of the lines of trials, the lightest of which is white."""
MOST_TICKS = 12
"""Most ticks of an axis of trials."""
LOG_TICKS = 8
"""Most ticks of a logarithmic axis."""
SILENT = "its process sent no heartbeat for too long"


@dataclass(frozen=True)
class _Plot:
    """A plot of a study, interactive by Optuna and as a figure of our own.

    Attributes:
        name: the figure's name.
        heading: above the interactive plot.
        note: below the heading.
        interactive: Optuna's function; it takes the study and the settings.
        settings: makes the arguments of ``interactive`` from the objectives' names and the keys of
            the parameters.
        still: draws the figure.
        least_objectives: objectives that the plot needs.
        least_keys: parameters that it needs.
    """

    name: str
    heading: str
    note: str
    interactive: Callable[..., Any]
    settings: Callable[["_Trials"], dict[str, Any]]
    still: Callable[["_Trials"], Figure]
    least_objectives: int = 1
    least_keys: int = 0


@dataclass(frozen=True)
class _Trials:
    """The finished trials of a study, in memory: Optuna's plots read them many times."""

    study: optuna.Study
    objectives: Sequence[str]
    keys: Sequence[str]

    @property
    def complete(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    @property
    def plane(self) -> list[str]:
        """The two parameters of the contour plot.

        Raises:
            ValueError: fewer than two parameters have several values.
        """
        found = {key: {trial.params.get(key) for trial in self.complete} for key in self.keys}
        varied = [key for key in self.keys if len(found[key] - {None}) > 1]
        if len(varied) < 2:
            raise ValueError("fewer than two parameters have several values")
        return list(CONTOUR if set(CONTOUR) <= set(varied) else varied[:2])

    @property
    def of_first(self) -> dict[str, Any]:
        """The arguments of Optuna's functions for the first objective."""
        several = len(self.objectives) > 1
        return {"target": _first_value if several else None, "target_name": self.objectives[0]}


def _first_value(trial: FrozenTrial) -> float:
    return float(trial.values[0])


PLOTS = (
    _Plot(
        "history",
        "Trials",
        "The first objective of each trial, and the best value so far.",
        visualization.plot_optimization_history,
        lambda trials: trials.of_first,
        lambda trials: plot_history(
            trials.complete,
            trials.objectives[0],
            trials.study.directions[0],
            trials.study.study_name,
        ),
    ),
    _Plot(
        "importance",
        "Importance of parameters",
        "Shares by Optuna's PED-ANOVA; few trials say little.",
        visualization.plot_param_importances,
        lambda trials: trials.of_first,
        lambda trials: plot_importance(
            get_param_importances(trials.study, target=_first_value),
            trials.complete,
            trials.objectives[0],
        ),
    ),
    _Plot(
        "parameters",
        "Parameters of each trial",
        "Each line is a trial; the darker, the better.",
        visualization.plot_parallel_coordinate,
        lambda trials: trials.of_first,
        lambda trials: plot_parameters(trials.complete, trials.keys, trials.objectives[0]),
        least_keys=1,
    ),
    _Plot(
        "contour",
        "Two parameters",
        "Points are trials; between them the colour is interpolated.",
        visualization.plot_contour,
        lambda trials: {**trials.of_first, "params": trials.plane},
        lambda trials: plot_plane(trials.complete, trials.plane, trials.objectives[0]),
        least_keys=2,
    ),
    _Plot(
        "pareto_front",
        "Pareto front of the objectives",
        "No other trial beats a trial on the front in all objectives.",
        visualization.plot_pareto_front,
        lambda trials: {
            # Optuna draws two or three objectives; the first ones matter most.
            "targets": (lambda trial: trial.values[:3]) if len(trials.objectives) > 3 else None,
            "target_names": list(trials.objectives[:3]),
        },
        lambda trials: plot_front(trials.complete, trials.study.best_trials, trials.objectives),
        least_objectives=2,
    ),
)
"""The plots, in the order of the page."""


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
    copy = optuna.create_study(directions=list(study.spec.directions), study_name=study.spec.name)
    copy.add_trials(trial for trial in study.trials() if trial.state.is_finished())
    trials = _Trials(copy, objectives, list(study.spec.space.entries))
    is_maximised = study.spec.directions[0] == "maximize"
    better = "higher" if is_maximised else "lower"
    parts: list[dict[str, str]] = []
    figures: dict[str, Figure] = {}
    for plot in PLOTS if len(trials.complete) >= FEWEST_TRIALS else ():
        if len(objectives) < plot.least_objectives or len(trials.keys) < plot.least_keys:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                drawn = plot.interactive(copy, **plot.settings(trials))
                figures[plot.name] = plot.still(trials)
        except (ValueError, RuntimeError) as error:  # for example if all values are equal
            log.warning("no plot %s of these trials (%s)", plot.name, error)
            continue
        _restyle(drawn, objectives[0], better)
        if plot.name == "parameters":
            _darken(drawn)
        if plot.name == "history":
            _number_trials(drawn, len(study.trials()))
        # The first plot brings plotly's script, so that the page needs no network.
        html = drawn.to_html(full_html=False, include_plotlyjs=not parts)
        parts.append({"heading": plot.heading, "note": plot.note, "html": html})
    title = f"Sweep {study.spec.name}"
    page = render_page("study.html", title=title, lead=_lead(study, objectives), plots=parts)
    return SweepReport(table, page, figures)


def _lead(study: SweepStudy, objectives: Sequence[str]) -> str:
    """Return how many trials there are, and which is the best."""
    complete = [trial for trial in study.trials() if trial.state == TrialState.COMPLETE]
    count = f"{len(complete)} of {len(study.trials())} trials are complete."
    if (best := study.best()) is None:
        return count
    values = ", ".join(
        f"{name} {value:.4g}" for name, value in zip(objectives, best.values or (), strict=True)
    )
    settings = ", ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in best.chosen.items()
    )
    return f"{count} The best is trial {best.number}: {values}, with {settings}."


def _restyle(drawn: Any, objective: str, better: str) -> None:
    """Give a plot of Optuna the style and the names of our own figures.

    Args:
        drawn: the plot.
        objective: the first objective.
        better: ``higher`` or ``lower``.
    """
    drawn.update_layout(template={"layout": plotly_layout()}, title=None)
    names = {**NAMES, objective: f"{objective} ({better} is better)"}
    for axis in (*drawn.select_xaxes(), *drawn.select_yaxes()):
        axis.update(exponentformat="e", title_text=names.get(axis.title.text, axis.title.text))
        if axis.type == "log" and axis.range:
            low, high = (10.0**end for end in axis.range)
            ticks = log_ticks(low, high, LOG_TICKS)
            axis.update(tickvals=ticks, ticktext=[f"{tick:,.5g}" for tick in ticks])
    for trace in drawn.data:
        trace.update(name=NAMES.get(trace.name, trace.name))


def _number_trials(drawn: Any, trials: int) -> None:
    """Let the ticks of an axis of trials be whole numbers, and the points be easy to see."""
    drawn.update_xaxes(tick0=0, dtick=-(-trials // MOST_TICKS))
    drawn.update_traces(marker={"size": 9}, selector={"mode": "markers"})


def _darken(drawn: Any) -> None:
    """Darken the lines of trials, and the bar that explains their colours."""
    for trace in drawn.data:
        if trace.mode == "lines" and trace.line.color:
            trace.update(line_color=_darker(trace.line.color), opacity=0.9)
        elif trace.mode == "markers" and trace.marker.colorscale:
            scale = [(share, _darker(colour)) for share, colour in trace.marker.colorscale]
            trace.update(marker_colorscale=scale)


def _darker(colour: str) -> str:
    """Return a colour of the form ``rgb(R, G, B)``, darkened; any other colour as it is."""
    if not colour.startswith("rgb("):
        return colour
    parts = [float(part) * LINE_SHADE for part in colour[4:-1].split(",")]
    return f"rgb({', '.join(f'{part:.0f}' for part in parts)})"


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
