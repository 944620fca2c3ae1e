"""One open run: everything a step logs goes through it, by the run's own id."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import yaml
from matplotlib.figure import Figure
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    Param,
    RunTag,
)
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_RUN_NAME

from ..atomic import scratch_folder
from ..config.loading import flatten
from ..config.schema import Section
from ..data.dataset import PreparedDataset
from ..pages import markdown_table, render_table_page, spaced_tables
from ..plotting import DPI
from ..redaction import redact, redact_values
from .datasets import describe_split
from .queries import TAG_PREFIX
from .tables import table_text

DESCRIPTION_TAG = "mlflow.note.content"
PARAM_LIMIT = 6000
"""Characters of a parameter's value that MLflow stores; config.yaml holds longer values whole."""
TAG_LIMIT = 8000
"""Characters of a tag's value that MLflow stores."""
CONTEXTS = {"train": "training", "validation": "validation", "test": "testing"}
"""Split -> MLflow's name for the use that a dataset is put to."""
NAME_SEPARATOR = " · "
"""Stands between the parts of a run's name."""
PARAMS_PER_REQUEST = 100


class Run:
    """An open run of the tracking store.

    Every method writes to this run, also while a child run is open or from another thread: MLflow's
    notion of an active run is not used.
    """

    def __init__(
        self,
        run_id: str,
        experiment_id: str,
        resumed: bool = False,
        may_rename: bool = True,
    ) -> None:
        """
        Args:
            run_id: id of a run in the store.
            experiment_id: id of its experiment.
            resumed: the run was interrupted; metrics up to the interruption are not logged again.
            may_rename: False keeps the name that the user gave the run.

        ``preset`` is the name of the preset that the run's settings came from, if it is noted.
        """
        self.id = run_id
        self.experiment_id = experiment_id
        self.preset = ""
        self._client = mlflow.MlflowClient()
        self._status = "FINISHED"
        self._resumed = resumed
        self.may_rename = may_rename
        self._last_steps: dict[str, int] = {}

    @property
    def status(self) -> str:
        """The status the run ends with unless an error ends it."""
        return self._status

    def mark_killed(self) -> None:
        """Let the run end as KILLED: its work was given up, without an error."""
        self._status = "KILLED"

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags of this package, in one request; secrets in their values are hidden."""
        entries = [
            RunTag(f"{TAG_PREFIX}{name}", redact(str(value))[:TAG_LIMIT])
            for name, value in tags.items()
        ]
        self._client.log_batch(self.id, tags=entries)

    def set_name(self, *parts: str) -> None:
        """Name the run by the parts that are not empty, unless the user named it."""
        if self.may_rename:
            name = NAME_SEPARATOR.join(redact(part) for part in parts if part)
            self._client.set_tag(self.id, MLFLOW_RUN_NAME, name)

    def describe(self, table: pd.DataFrame, links: str = "", lead: str = "") -> None:
        """Show Markdown on the first page of the run in MLflow's UI.

        The UI shows the first few lines of it and folds the rest, so the table comes last.

        Args:
            table: shown as a Markdown table.
            links: Markdown with links, above the table.
            lead: Markdown with the result in words, above the links.
        """
        parts = [lead, links, spaced_tables(markdown_table(table))]
        self._client.set_tag(self.id, DESCRIPTION_TAG, "\n\n".join(filter(None, parts)))

    def log_config(self, sections: Mapping[str, Section], always: Sequence[str] = ()) -> None:
        """Log settings: those that differ from the defaults as parameters, all in ``config.yaml``.

        Parameters have dotted keys. The file reruns the step when it is given as ``preset``.
        Secrets in addresses are hidden.

        Args:
            sections: the sections, by name.
            always: keys of settings that are parameters with their defaults too.
        """
        values: dict[str, Any] = {}
        for name, section in sections.items():
            defaults = flatten(type(section)(), name)
            values |= {
                key: value
                for key, value in flatten(section, name).items()
                if value != defaults[key] or key in always
            }
        # A parameter cannot change, and `mlflow run -P train.epochs=3` logs it as it was typed.
        logged = self._client.get_run(self.id).data.params
        params = [
            Param(key, _param_value(value)) for key, value in values.items() if key not in logged
        ]
        for start in range(0, len(params), PARAMS_PER_REQUEST):
            self._client.log_batch(self.id, params=params[start : start + PARAMS_PER_REQUEST])
        nested = {name: section.model_dump(mode="json") for name, section in sections.items()}
        self.log_yaml("config", nested)

    def log_metrics(
        self, metrics: Mapping[str, float], step: int | None = None, model_id: str | None = None
    ) -> None:
        """Log metrics, in one request; ``model_id`` ties them to a logged model as well.

        A metric that is NaN has no value, and is left out.
        """
        metrics = {name: value for name, value in metrics.items() if not math.isnan(value)}
        if self._resumed and step is not None:
            metrics = {
                name: value for name, value in metrics.items() if step > self._last_step(name)
            }
        if metrics:
            mlflow.log_metrics(dict(metrics), step=step, run_id=self.id, model_id=model_id)

    def _last_step(self, name: str) -> int:
        """Return the last logged step of a metric when the run was interrupted, -1 without any."""
        if name not in self._last_steps:
            history = self._client.get_metric_history(self.id, name)
            self._last_steps[name] = max((metric.step for metric in history), default=-1)
        return self._last_steps[name]

    def log_table(self, name: str, table: pd.DataFrame) -> None:
        """Log a table twice: as the page ``NAME.html`` and as JSON for ``mlflow.load_table``.

        :mod:`~ner_mlflow.tracking.tables` has the page's title and note.
        """
        text = table_text(name)
        self.log_page(name, render_table_page(text.title, table, text.note))
        values = table.astype(object).where(table.notna(), None)
        self._client.log_table(self.id, values, f"tables/{name}.json")

    def log_text(self, file: str, text: str) -> None:
        """Log a text file."""
        self._client.log_text(self.id, text, file)

    def log_page(self, name: str, html: str) -> None:
        """Log an HTML page as ``NAME.html``."""
        self.log_text(f"{name}.html", html)

    def log_markdown(self, name: str, text: str) -> None:
        """Log a Markdown text as ``NAME.md``."""
        self.log_text(f"{name}.md", text)

    def log_yaml(self, name: str, values: Mapping[str, Any]) -> None:
        """Log values as ``NAME.yaml``; secrets in them are hidden."""
        self.log_text(f"{name}.yaml", yaml.safe_dump(redact_values(values), sort_keys=False))

    def log_figure(self, name: str, figure: Figure) -> None:
        """Log a plot as ``NAME.png``."""
        options = {"dpi": DPI}
        self._client.log_figure(self.id, figure, f"{name}.png", save_kwargs=options)

    def log_frame(self, name: str, frame: pd.DataFrame) -> None:
        """Log a table for programs to read, as ``NAME.parquet``."""
        with temporary_folder() as folder:
            frame.to_parquet(folder / f"{name}.parquet", index=False)
            self._client.log_artifact(self.id, str(folder / f"{name}.parquet"))

    def log_folder(self, folder: Path, name: str) -> None:
        """Log the files of a folder under ``NAME/``."""
        self._client.log_artifacts(self.id, str(folder), name)

    def log_dataset(
        self, dataset: PreparedDataset, splits: Sequence[str], data_run_id: str
    ) -> None:
        """Log splits as inputs of the run.

        The dataset's fingerprint is their digest, and the data run's artifacts are their source.
        """
        inputs = []
        for split in splits:
            values = describe_split(dataset, split, data_run_id).to_dict()
            keys = ("name", "digest", "source_type", "source", "schema", "profile")
            entity = Dataset(**{key: values.get(key) for key in keys})
            inputs.append(DatasetInput(entity, [InputTag(MLFLOW_DATASET_CONTEXT, CONTEXTS[split])]))
        self._client.log_inputs(self.id, inputs)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder for files on their way to the artifact store."""
    with scratch_folder() as folder:
        yield folder


def _param_value(value: Any) -> str:
    text = str(redact_values(value))
    return text if len(text) <= PARAM_LIMIT else text[: PARAM_LIMIT - 1] + "…"
