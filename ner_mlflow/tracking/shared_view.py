"""A saved view of an experiment in MLflow's UI: training runs with their F1 and main settings.

MLflow 3.17 shows no metric in the table of runs by default, and sorts its charts by name. What can
be set from outside is a view that the UI saves for sharing: it is a tag of the experiment, read
where an address names its key. Its fields are those of the UI's own state.
"""

import json
import logging
from typing import Any

import mlflow
import requests
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from ..errors import NerError
from ..redaction import one_line
from .queries import STEP_TAG, TAG_PREFIX
from .steps import Step

log = logging.getLogger(__name__)

UI_MODE = "workflowType=machine_learning"
"""Without it, MLflow's UI shows an experiment in its view for prompts and traces."""
PRIMARY_METRIC = "test/f1"
"""The metric that training runs are sorted by."""
LEARNING_RATE = "train.learning_rate"
RANK = "model.lora_rank"
METRIC_COLUMNS = {PRIMARY_METRIC: 90, "best_validation/f1": 140}
PARAM_COLUMNS = {
    LEARNING_RATE: 140,
    RANK: 130,
    "train.epochs": 110,
    "train.batch_size": 130,
    "model.backbone": 130,
    "train.seed": 90,
}
"""Columns of the table -> their width in pixels, so that the name of each fits."""
CHARTS: tuple[dict[str, Any], ...] = (
    {"type": "BAR", "metricKey": PRIMARY_METRIC},
    # The names of more axes would overlap in the narrow charts of a small window.
    {
        "type": "PARALLEL",
        "selectedParams": [LEARNING_RATE, "train.epochs"],
        "selectedMetrics": [PRIMARY_METRIC],
        "showAllRuns": True,
    },
    {
        "type": "SCATTER",
        "xaxis": {"key": LEARNING_RATE, "type": "PARAM"},
        "yaxis": {"key": PRIMARY_METRIC, "type": "METRIC"},
    },
    # These two leave out runs without a rank.
    {
        "type": "PARALLEL",
        "selectedParams": [RANK, LEARNING_RATE],
        "selectedMetrics": [PRIMARY_METRIC],
        "showAllRuns": True,
    },
    {
        "type": "SCATTER",
        "xaxis": {"key": RANK, "type": "PARAM"},
        "yaxis": {"key": PRIMARY_METRIC, "type": "METRIC"},
    },
)
"""The charts, in their order; those that MLflow adds for each metric follow."""
RUNS_IN_CHARTS = 100
CHART_COLUMNS = 2
KEY = "ner-training"
"""The key of the view in addresses."""
_VIEW_TAG = f"mlflow.sharedViewState.{KEY}"
_NOTE_TAG = "mlflow.note.content"
_KIND_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": PRIMARY_METRIC,
    "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
}


def view_link(experiment_id: str, charts: bool = False) -> str:
    """Return the link to the training runs of an experiment, in a table or in charts."""
    mode = "&compareRunsMode=CHART" if charts else ""
    return f"#/experiments/{experiment_id}/runs?viewStateShareKey={KEY}&{UI_MODE}{mode}"


def view_links(experiment_id: str, runs: str = "training runs") -> str:
    """Return Markdown with links to the table and the charts of training runs."""
    table, charts = view_link(experiment_id), view_link(experiment_id, charts=True)
    return f"[{runs} by F1, learning rate and rank]({table}) · [in charts]({charts})"


def save_view(experiment_id: str) -> None:
    """Save the view in an experiment, and point to it in the experiment's description.

    A view of another release is replaced; a description and a kind of experiment that are set stay.
    Where the tags of the experiment cannot be written, a warning says so, and a
    later run tries again.
    """
    client = mlflow.MlflowClient()
    try:
        experiment = client.get_experiment(experiment_id)
        if not experiment.name:  # the store is away, so what the experiment has is not known
            return
        present = experiment.tags
        note = view_links(experiment_id, "Training runs")
        wanted = {**_KIND_TAGS, _NOTE_TAG: note, **present}
        for name, value in (wanted | {_VIEW_TAG: _view()}).items():
            if present.get(name) != value:
                client.set_experiment_tag(experiment_id, name, value)
    except (NerError, MlflowException, SQLAlchemyError, requests.RequestException) as error:
        log.warning("the view of training runs could not be saved (%s)", one_line(error))


def _view() -> str:
    """Return the state of the UI as JSON."""
    widths = {f"metrics.`{name}`": width for name, width in METRIC_COLUMNS.items()}
    widths |= {f"params.`{name}`": width for name, width in PARAM_COLUMNS.items()}
    columns = list(widths)
    section = f"{KEY}-charts"
    return json.dumps(
        {
            "searchFilter": f"tags.`{TAG_PREFIX}{STEP_TAG}` = '{Step.TRAIN}'",
            "orderByKey": f"metrics.`{PRIMARY_METRIC}`",
            "orderByAsc": False,
            "selectedColumns": columns,
            "columnOrder": [*columns, "duration"],
            "columnWidths": widths,
            "runsHiddenMode": "SHOW_ALL",
            "isAccordionReordered": True,
            "compareRunSections": [
                {
                    "uuid": section,
                    "name": "Training runs",
                    "display": True,
                    "isReordered": True,
                    "deleted": False,
                    "isGenerated": False,
                    "columns": CHART_COLUMNS,
                }
            ],
            "compareRunCharts": [
                {
                    "uuid": f"{KEY}-{number}",
                    "metricSectionId": section,
                    "runsCountToCompare": RUNS_IN_CHARTS,
                    "deleted": False,
                    "isGenerated": False,
                    **chart,
                }
                for number, chart in enumerate(CHARTS)
            ],
        },
        separators=(",", ":"),
    )
