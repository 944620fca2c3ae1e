"""Runs of the tracking store: open, adopt, write, find again."""

import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow
import pandas as pd
import requests
import yaml
from matplotlib.figure import Figure
from mlflow.data.dataset_source import DatasetSource
from mlflow.entities import Metric
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from ..config.loading import flatten
from ..config.schema import Section
from ..data.dataset import PreparedDataset
from ..errors import NerError, TrackingError
from ..evaluation.comparison import markdown_table
from ..provenance import provenance
from ..redaction import one_line, redact, redact_address

log = logging.getLogger(__name__)

STEP_TAG = "ner.step"
CACHE_KEY_TAG = "ner.cache_key"
ERROR_TAG = "ner.error"
PARAM_LIMIT = 6000
"""Characters of a parameter's value that MLflow stores; longer ones are cut, the whole stands in config.yaml."""
ERROR_LIMIT = 4900
DIGEST_LIMIT = 36
CONTEXTS = {"train": "training", "validation": "validation", "test": "testing"}
"""Split -> context of the dataset input, in MLflow's words."""
SERVER_TIMEOUT_S = 5
PAGE_COLUMNS = 16
"""Columns of a table that a page shows side by side."""
METRICS_A_REQUEST = 1000
_RANDOM_NAME = re.compile(r"[a-z]+-[a-z]+-\d+")


@dataclass(frozen=True)
class RunRecord:
    """A run as it was logged; ``tags`` are ours, without their ``ner.``, ``started`` milliseconds since 1970, ``parent`` the run that it
    is below, empty where there is none."""

    id: str
    name: str
    status: str
    parent: str
    started: int
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]


class DataRunSource(DatasetSource):
    """A split of a data run's dataset, wherever the artifacts are; MLflow's own sources know no proxied ones."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    @staticmethod
    def _get_source_type() -> str:
        return "ner_mlflow_data_run"

    def load(self) -> Path:
        """The local path of the split's Parquet file, fetched if it is elsewhere."""
        return download(self._uri)

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:  # noqa: ARG004  # MLflow's signature
        return False

    @classmethod
    def _resolve(cls, raw_source: Any) -> "DataRunSource":
        raise NotImplementedError(raw_source)

    def to_dict(self) -> dict[str, Any]:
        """What MLflow stores."""
        return {"uri": self._uri}

    @classmethod
    def from_dict(cls, source_dict: dict[Any, Any]) -> "DataRunSource":
        """The source that :meth:`to_dict` described."""
        return cls(source_dict["uri"])


class Run:
    """One open run; writes what workflows hand it."""

    def __init__(self, run: MlflowRun, resumed: bool = False, delay_s: float = 0) -> None:
        """
        Args:
            run: as MLflow opened it.
            resumed: the run was interrupted: what it logs again is already there.
            delay_s: seconds that metrics of a step may wait for others, to be sent in one request; at the latest until the run ends.
        """
        self.id: str = run.info.run_id
        self.experiment_id: str = run.info.experiment_id
        self._status = "FINISHED"
        self._delay_s = delay_s
        self._waiting: list[Metric] = []
        self._sent = time.monotonic()
        self._resumed = resumed
        self._logged_steps: dict[str, int] = {}
        self._logged_params = frozenset(run.data.params)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags, names under ``ner.``."""
        mlflow.set_tags({f"ner.{name}": redact(str(value)) for name, value in tags.items()})

    def end_killed(self) -> None:
        """Let the run end KILLED: what it did was given up, without an error."""
        self._status = "KILLED"

    @property
    def status(self) -> str:
        """How the run ends where nothing is raised."""
        return self._status

    def describe(self, table: pd.DataFrame) -> None:
        """Show a table as the run's description, which the UI puts on its first page."""
        mlflow.set_tag("mlflow.note.content", markdown_table(table))

    def log_config(self, **sections: Section) -> None:
        """Log sections as parameters under dotted keys, and as ``config.yaml``, which reruns the step as ``preset``."""
        params: dict[str, Any] = {}
        for name, section in sections.items():
            params |= flatten(section, name)
        # A parameter cannot change: `mlflow run -P train.epochs=3` has logged it, as it was typed.
        new = {key: value for key, value in params.items() if key not in self._logged_params}
        mlflow.log_params({key: _param(value) for key, value in new.items()})
        whole = {name: section.model_dump(mode="json") for name, section in sections.items()}
        mlflow.log_text(redact(yaml.safe_dump(whole, sort_keys=False)), "config.yaml")

    def log_metrics(
        self, metrics: Mapping[str, float], step: int | None = None, model_id: str | None = None
    ) -> None:
        """Log metrics, in one request; ``model_id`` ties them to a logged model as well."""
        if self._resumed and step is not None:
            metrics = {
                name: value for name, value in metrics.items() if step > self._last_step(name)
            }
        if metrics and step is not None and self._delay_s:
            self._waiting += [
                Metric(name, value, time.time_ns() // 1_000_000, step)
                for name, value in metrics.items()
            ]
            if time.monotonic() - self._sent >= self._delay_s:
                self.send_metrics()
        elif metrics:
            mlflow.log_metrics(
                dict(metrics), step=step, run_id=self.id, model_id=model_id
            )  # from any thread

    def send_metrics(self) -> None:
        """Send the metrics that wait."""
        waiting, self._waiting, self._sent = self._waiting, [], time.monotonic()
        for start in range(0, len(waiting), METRICS_A_REQUEST):
            mlflow.MlflowClient().log_batch(
                self.id, metrics=waiting[start : start + METRICS_A_REQUEST]
            )

    def _last_step(self, name: str) -> int:
        """The last step of a metric when the run was interrupted, -1 where it had none."""
        if name not in self._logged_steps:
            history = mlflow.MlflowClient().get_metric_history(self.id, name)
            self._logged_steps[name] = max((metric.step for metric in history), default=-1)
        return self._logged_steps[name]

    def log_table(self, name: str, table: pd.DataFrame) -> None:
        """Log a table twice: as a page to read and as JSON that ``mlflow.load_table`` reads.

        On the page, a few rows of more columns than fit stand side by side.
        """
        turned = len(table.columns) > PAGE_COLUMNS >= len(table)
        shown = (
            table.set_index(table.columns[0])
            .rename_axis(None)
            .T.rename_axis(table.columns[0], axis="columns")
            if turned
            else table
        )
        page = shown.to_html(index=turned, border=0, float_format=_short, classes="t")
        style = (
            "body{font:14px system-ui,sans-serif;margin:1.5em}table{border-collapse:collapse}"
            "td,th{padding:.3em .8em;border-bottom:1px solid #e5e7eb;text-align:left;vertical-align:top}th{background:#f3f4f6;position:sticky;top:0}"
        )
        mlflow.log_text(
            f'<!doctype html><meta charset="utf-8"><title>{name}</title><style>{style}</style>{page}',
            f"{name}.html",
        )
        mlflow.log_table(table.astype(object).where(table.notna(), None), f"tables/{name}.json")

    def log_page(self, name: str, html: str) -> None:
        """Log an HTML page."""
        mlflow.log_text(html, f"{name}.html")

    def log_markdown(self, name: str, text: str) -> None:
        """Log a text in Markdown."""
        mlflow.log_text(text, f"{name}.md")

    def log_yaml(self, name: str, values: Mapping[str, Any]) -> None:
        """Log values as YAML."""
        mlflow.log_text(yaml.safe_dump(dict(values), sort_keys=False), f"{name}.yaml")

    def log_figure(self, name: str, figure: Figure) -> None:
        """Log a plot."""
        mlflow.log_figure(figure, f"{name}.png", save_kwargs={"dpi": 110})

    def log_frame(self, name: str, frame: pd.DataFrame) -> None:
        """Log a table that programs read, as Parquet."""
        with work_folder() as folder:
            frame.to_parquet(folder / f"{name}.parquet", index=False)
            mlflow.log_artifact(str(folder / f"{name}.parquet"))

    def log_folder(self, folder: Path, name: str) -> None:
        """Log a folder's files under ``name/``."""
        mlflow.log_artifacts(str(folder), name)

    def log_dataset(
        self, dataset: PreparedDataset, splits: tuple[str, ...], data_run_id: str
    ) -> None:
        """Log splits as dataset inputs, with the fingerprint as digest and the data run's artifact as source."""
        for split in splits:
            frame = pd.DataFrame(
                {
                    "tokens": [list(sentence.tokens) for sentence in dataset.corpus[split]],
                    "tags": [list(sentence.tags) for sentence in dataset.corpus[split]],
                }
            )
            source = DataRunSource(f"runs:/{data_run_id}/dataset/{split}.parquet")
            entry = mlflow.data.from_pandas(
                frame,
                source,
                name=f"{dataset.name} {split}",
                digest=dataset.fingerprint[:DIGEST_LIMIT],
            )
            mlflow.log_input(entry, context=CONTEXTS[split])

    @contextmanager
    def child(self, step: str, name: str, resume: str | None = None) -> Iterator["Run"]:
        """Open a run below this one: a new one, or again the interrupted run ``resume``."""
        with _opened(step, name, nested=True, resume=resume) as run:
            if resume:
                _end_parent(resume)
                mlflow.set_tag("mlflow.parentRunId", self.id)
            yield run


def connect() -> None:
    """Make sure that the tracking store answers, before any work.

    Raises:
        TrackingError: it does not.
    """
    uri = mlflow.get_tracking_uri()
    shown = redact_address(uri)
    if urlsplit(uri).scheme in ("http", "https"):
        try:
            requests.get(f"{uri.rstrip('/')}/health", timeout=SERVER_TIMEOUT_S).raise_for_status()
        except requests.RequestException as error:
            raise TrackingError(
                f"tracking server {shown} does not answer ({type(error).__name__}): start it with 'mlflow server', or set MLFLOW_TRACKING_URI to one that runs"
            ) from error
    try:
        mlflow.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise TrackingError(
            f"tracking store {shown} cannot be used ({one_line(error, uri)}): check MLFLOW_TRACKING_URI"
        ) from error


@contextmanager
def open_run(step: str, name: str, resume: str | None = None) -> Iterator[Run]:
    """Adopt the run that `mlflow run` opened, or start one in the experiment that MLflow's environment names, or go on with
    the interrupted run ``resume``.

    The run ends FINISHED, FAILED (with the message as tag ``ner.error``) or, on Ctrl-C, KILLED.

    Raises:
        TrackingError: the tracking store, or its artifact store, cannot be written.
    """
    connect()
    with _opened(step, name, nested=False, resume=resume) as run:
        yield run


@contextmanager
def open_run_below(
    parent: str,
    experiment_id: str,
    step: str,
    name: str,
    tags: Mapping[str, Any],
    delay_s: float = 0,
) -> Iterator[Run]:
    """Open a run below one that another process opened; ``tags`` (under ``ner.``) are there from its first moment on.

    ``delay_s`` is as of :class:`Run`.
    """
    ours = {f"ner.{key}": str(value) for key, value in tags.items()}
    with _opened(
        step,
        name,
        nested=True,
        parent=parent,
        experiment_id=experiment_id,
        tags=ours,
        delay_s=delay_s,
    ) as run:
        yield run


def tagged_runs(experiment_id: str, tags: Mapping[str, Any]) -> list[RunRecord]:
    """An experiment's runs with all of these tags (ours, without their ``ner.``)."""
    conditions = " and ".join(f"tags.`ner.{name}` = '{value}'" for name, value in tags.items())
    found: list[MlflowRun] = mlflow.search_runs([experiment_id], conditions, output_format="list")
    return [_record(run) for run in found]


def end_killed(run_id: str, tags: Mapping[str, Any]) -> None:
    """End a run KILLED whose process is no more, and say more in tags."""
    client = mlflow.MlflowClient()
    for name, value in tags.items():
        client.set_tag(run_id, f"ner.{name}", str(value))
    client.set_terminated(run_id, "KILLED")


def run_status(run_id: str) -> str:
    """RUNNING, FINISHED, FAILED or KILLED; gone where there is no such run."""
    try:
        return str(mlflow.get_run(run_id).info.status)
    except MlflowException:
        return "gone"


def store_address() -> str:
    """Which tracking store runs go to, without its password."""
    return redact_address(mlflow.get_tracking_uri())


def put_below(run_id: str, parent: str) -> None:
    """Make a run a child of another one than before."""
    mlflow.MlflowClient().set_tag(run_id, "mlflow.parentRunId", parent)


def latest_run(step: str, experiment_id: str, preset: str | None = None) -> str | None:
    """The id of the experiment's last finished run of a step, of one preset if it is named."""
    of_preset = f" and tags.`ner.preset` = '{preset}'" if preset else ""
    return _first(f"tags.`{STEP_TAG}` = '{step}'{of_preset}", experiment_id, "DESC")


def reusable_run(step: str, cache_key: str, experiment_id: str) -> str | None:
    """The id of the first finished run of a step with an equal cache key: later equals do not change what builds on it."""
    return _first(
        f"tags.`{STEP_TAG}` = '{step}' and tags.`{CACHE_KEY_TAG}` = '{cache_key}'",
        experiment_id,
        "ASC",
    )


def finished_runs(
    step: str, experiment_id: str, ids: Sequence[str] | None = None
) -> list[RunRecord]:
    """An experiment's finished runs of a step, the latest first; where ``ids`` name some, wherever they are, these in their order.

    Raises:
        TrackingError: one of ``ids`` is no finished run of this step.
    """
    if ids is None:
        condition = f"tags.`{STEP_TAG}` = '{step}' and attributes.status = 'FINISHED'"
        found: list[MlflowRun] = mlflow.search_runs(
            [experiment_id],
            condition,
            order_by=["attributes.start_time DESC"],
            output_format="list",
        )
        return [_record(run) for run in found]
    records = []
    for run_id in ids:
        read_tags(run_id)  # with an error that names the store
        run = mlflow.get_run(run_id)
        if run.info.status != "FINISHED" or run.data.tags.get(STEP_TAG) != step:
            raise TrackingError(
                f"run {run_id} is a {run.info.status} {run.data.tags.get(STEP_TAG, 'foreign')} run: give the id of a finished {step} run"
            )
        records.append(_record(run))
    return records


def interrupted_runs(
    step: str, cache_key: str | None = None, experiment_id: str | None = None
) -> list[str]:
    """Ids of the runs of a step that began and did not finish, the last first; of one cache key and experiment where named.

    The experiment is otherwise the one in which the next run would be.
    """
    key = f" and tags.`{CACHE_KEY_TAG}` = '{cache_key}'" if cache_key else ""
    found: list[MlflowRun] = mlflow.search_runs(
        [experiment_id] if experiment_id else None,
        f"tags.`{STEP_TAG}` = '{step}'{key} and attributes.status != 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        output_format="list",
    )
    return [run.info.run_id for run in found]


def read_tags(run_id: str) -> dict[str, str]:
    """A run's tags set by :meth:`Run.set_tags`, without their ``ner.``.

    Raises:
        TrackingError: no such run.
    """
    try:
        tags: dict[str, str] = mlflow.get_run(run_id).data.tags
    except MlflowException as error:
        raise TrackingError(
            f"run {run_id!r} is not in {redact_address(mlflow.get_tracking_uri())}: give the id of a run there"
        ) from error
    return {
        name.removeprefix("ner."): value for name, value in tags.items() if name.startswith("ner.")
    }


def read_metrics(run_id: str) -> dict[str, float]:
    """A run's last metrics."""
    metrics: dict[str, float] = mlflow.get_run(run_id).data.metrics
    return metrics


def download(uri: str) -> Path:
    """The local path of an artifact, fetched if it is elsewhere.

    Raises:
        TrackingError: there is no such artifact.
    """
    try:
        return Path(mlflow.artifacts.download_artifacts(uri))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"{uri}: no such artifact ({one_line(error)}): check the address, or run the step that makes it"
        ) from error


def where_to_look(run: Run, artifact: str = "") -> str:
    """How to open a run, or one of its artifacts, in the UI."""
    uri = mlflow.get_tracking_uri()
    # Unless it is told, the UI shows an experiment as one of prompts and traces.
    place = (
        f"#/experiments/{run.experiment_id}/runs/{run.id}"
        + (f"/artifacts/{artifact}" if artifact else "")
        + "?workflowType=machine_learning"
    )
    if urlsplit(uri).scheme in ("http", "https"):
        return f"{redact_address(uri).rstrip('/')}/{place}"
    return (
        f"mlflow ui --backend-store-uri {redact_address(uri)}  then  http://127.0.0.1:5000/{place}"
    )


@contextmanager
def _opened(
    step: str,
    name: str,
    nested: bool,
    resume: str | None = None,
    parent: str | None = None,
    experiment_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    delay_s: float = 0,
) -> Iterator[Run]:
    adopted = None if nested else os.environ.get("MLFLOW_RUN_ID")
    os.environ.setdefault("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "2")
    try:
        if resume and adopted:
            _hand_over(adopted, resume)
        active = mlflow.start_run(
            run_id=resume,
            run_name=None if adopted or resume else name,
            nested=nested,
            log_system_metrics=True,
            parent_run_id=parent,
            experiment_id=experiment_id,
            tags=dict(tags) if tags else None,
        )
    except (MlflowException, SQLAlchemyError) as error:
        raise TrackingError(
            f"no run can be started ({one_line(error)}): check MLFLOW_TRACKING_URI and MLFLOW_RUN_ID"
        ) from error
    run = Run(active, resume is not None, delay_s)
    status = "FAILED"
    try:
        if adopted and not resume and _RANDOM_NAME.fullmatch(active.info.run_name or ""):
            mlflow.set_tag("mlflow.runName", name)
        mlflow.set_tag(STEP_TAG, step)
        _log_provenance()
        yield run
        status = run.status
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    except NerError as error:
        mlflow.set_tag(ERROR_TAG, one_line(error, limit=ERROR_LIMIT))
        raise
    except (MlflowException, requests.RequestException, SQLAlchemyError) as error:
        raise TrackingError(
            f"the tracking store failed while {name!r} ran ({one_line(error)}): check the server, then run again"
        ) from error
    except Exception as error:
        mlflow.set_tag(ERROR_TAG, f"{type(error).__name__}: {one_line(error, limit=ERROR_LIMIT)}")
        raise
    finally:
        _end(run, status)


def _hand_over(carrier: str, resume: str) -> None:
    # `mlflow run` opens a run before we are asked; what is resumed is another, and this one only says which.
    client = mlflow.MlflowClient()
    client.set_tag(carrier, "ner.resumed_run", resume)
    client.set_tag(carrier, "mlflow.runName", f"resume {resume}")
    del os.environ["MLFLOW_RUN_ID"]


def _end_parent(run_id: str) -> None:
    # Killed with its child, it could not say so itself.
    client = mlflow.MlflowClient()
    parent = client.get_run(run_id).data.tags.get("mlflow.parentRunId")
    if parent and client.get_run(parent).info.status == "RUNNING":
        client.set_terminated(parent, "KILLED")


def _end(run: Run, status: str) -> None:
    try:
        run.send_metrics()
        mlflow.end_run(status)
    except (MlflowException, requests.RequestException, SQLAlchemyError) as error:
        log.warning("the run could not be marked %s (%s)", status, one_line(error))


def _log_provenance() -> None:
    values = provenance()
    mlflow.set_tags(
        {
            "ner.git_commit": values["git_commit"],
            "ner.code_fingerprint": values["code_fingerprint"],
            "ner.package_version": values["package_version"],
            "ner.cpu": values["hardware"]["cpu"],
            "ner.accelerator": values["hardware"]["accelerator"],
        }
    )
    try:  # the first artifact: a store that cannot be written shows before any work is done
        mlflow.log_text(yaml.safe_dump(values, sort_keys=False), "provenance.yaml")
    except (MlflowException, OSError, requests.RequestException) as error:
        raise TrackingError(
            f"artifact store {redact_address(mlflow.get_artifact_uri())} cannot be written ({one_line(error)}): make it writable, "
            "or create the experiment with another artifact location"
        ) from error


def _record(run: MlflowRun) -> RunRecord:
    tags = {
        name.removeprefix("ner."): value
        for name, value in run.data.tags.items()
        if name.startswith("ner.")
    }
    return RunRecord(
        id=run.info.run_id,
        name=run.info.run_name,
        status=run.info.status,
        parent=run.data.tags.get("mlflow.parentRunId", ""),
        started=run.info.start_time,
        params=dict(run.data.params),
        tags=tags,
        metrics=dict(run.data.metrics),
    )


def _first(condition: str, experiment_id: str, order: str) -> str | None:
    found: list[MlflowRun] = mlflow.search_runs(
        [experiment_id],
        f"{condition} and attributes.status = 'FINISHED'",
        max_results=1,
        order_by=[f"attributes.start_time {order}"],
        output_format="list",
    )
    return found[0].info.run_id if found else None


def _param(value: Any) -> str:
    text = redact(str(value))
    return text if len(text) <= PARAM_LIMIT else text[: PARAM_LIMIT - 1] + "…"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100_000 else f"{value:.4g}"


@contextmanager
def work_folder() -> Iterator[Path]:
    """A folder for files on their way to the artifact store."""
    with tempfile.TemporaryDirectory(prefix="ner-mlflow-") as folder:
        yield Path(folder)
