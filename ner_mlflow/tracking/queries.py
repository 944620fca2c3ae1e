"""Find runs in the tracking store and read what they hold."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException

from ..errors import TrackingError
from ..redaction import one_line, redact_address
from .remote import asking_store
from .steps import Step

TAG_PREFIX = "ner."
"""Start of the names of this package's tags in the store."""
STEP_TAG = "step"
CACHE_KEY_TAG = "cache_key"
PARENT_TAG = "mlflow.parentRunId"
NO_RUN = "missing"
"""The status of a run that does not exist."""


@dataclass(frozen=True)
class RunSummary:
    """A run as the store describes it.

    ``tags`` are those of this package, without their prefix ``ner.``; ``started_ms`` is in
    milliseconds since 1970; ``parent`` is the id of the parent run, empty without one.
    """

    id: str
    experiment_id: str
    name: str
    status: str
    parent: str
    started_ms: int
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]

    @property
    def step(self) -> str:
        """The step that the run is of, empty for runs that this package did not make."""
        return self.tags.get(STEP_TAG, "")


def store_address() -> str:
    """Return the address of the tracking store, without a password."""
    return redact_address(mlflow.get_tracking_uri())


def read_run(run_id: str) -> RunSummary:
    """Return a run.

    Raises:
        TrackingError: there is no such run.
    """
    try:
        return summarize(mlflow.get_run(run_id))
    except MlflowException as error:
        message = f"run {run_id!r} is not in {store_address()}: give the id of a run there"
        raise TrackingError(message) from error


def run_status(run_id: str) -> str:
    """Return RUNNING, FINISHED, FAILED or KILLED, or :data:`NO_RUN` if there is no such run."""
    try:
        return str(mlflow.get_run(run_id).info.status)
    except MlflowException:
        return NO_RUN


def runs_with_tags(experiment_id: str, tags: Mapping[str, object]) -> list[RunSummary]:
    """Return an experiment's runs that have all of these tags of this package."""
    return _search(_conditions(tags), [experiment_id], "DESC")


def finished_runs(
    step: Step, experiment_id: str, ids: Sequence[str] | None = None
) -> list[RunSummary]:
    """Return finished runs of a step.

    Args:
        step: the step.
        experiment_id: the experiment whose runs are returned, the latest first.
        ids: ids of runs of any experiment, to return exactly these, in this order.

    Raises:
        TrackingError: one of ``ids`` is not a finished run of this step.
    """
    if ids is None:
        return _search(f"{_conditions({STEP_TAG: step})} and {_FINISHED}", [experiment_id], "DESC")
    summaries = [read_run(run_id) for run_id in ids]
    for summary in summaries:
        if summary.status != "FINISHED" or summary.step != step:
            raise TrackingError(
                f"run {summary.id} is a {summary.status} {summary.step or 'foreign'} run: "
                f"give the id of a finished {step} run"
            )
    return summaries


def latest_run(step: Step, experiment_id: str, preset: str | None = None) -> str | None:
    """Return the id of the last finished run of a step, of one preset if it is named."""
    tags = {STEP_TAG: step, **({"preset": preset} if preset else {})}
    return _first(_conditions(tags), experiment_id, "DESC")


def latest_experiment() -> str | None:
    """Return the id of the experiment of the last run that this package began in the store."""
    runs = _search(f"tags.`{TAG_PREFIX}{STEP_TAG}` LIKE '%'", None, "DESC", limit=1)
    return runs[0].experiment_id if runs else None


def reusable_run(step: Step, cache_key: str, experiment_id: str) -> str | None:
    """Return the id of the first finished run of a step with an equal cache key.

    The first and not the last, so that a later equal run does not change what builds on it.
    """
    return _first(_conditions({STEP_TAG: step, CACHE_KEY_TAG: cache_key}), experiment_id, "ASC")


def interrupted_runs(
    step: Step, cache_key: str | None = None, experiment_id: str | None = None
) -> list[str]:
    """Return ids of runs of a step that began and did not finish, the last first.

    Args:
        step: the step.
        cache_key: the cache key of the runs; None: any.
        experiment_id: the experiment; None: any.
    """
    tags = {STEP_TAG: step, **({CACHE_KEY_TAG: cache_key} if cache_key else {})}
    condition = f"{_conditions(tags)} and attributes.status != 'FINISHED'"
    runs = _search(condition, [experiment_id] if experiment_id else None, "DESC")
    return [run.id for run in runs]


def download(uri: str) -> Path:
    """Return the local path of an artifact, downloaded if necessary.

    Raises:
        TrackingError: there is no such artifact.
    """
    try:
        with suppress(MlflowException, OSError):
            return Path(mlflow.artifacts.download_artifacts(uri))
        with asking_store():  # a resumed run has here only what it logged since
            return Path(mlflow.artifacts.download_artifacts(uri))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"{redact_address(uri)}: no such artifact ({one_line(error)}): "
            "check the address, or run the step that makes it"
        ) from error


_FINISHED = "attributes.status = 'FINISHED'"


def _conditions(tags: Mapping[str, object]) -> str:
    return " and ".join(f"tags.`{TAG_PREFIX}{name}` = '{value}'" for name, value in tags.items())


def _search(
    condition: str, experiment_ids: list[str] | None, order: str, limit: int | None = None
) -> list[RunSummary]:
    options = {} if limit is None else {"max_results": limit}
    runs: list[MlflowRun] = mlflow.search_runs(
        experiment_ids,
        condition,
        order_by=[f"attributes.start_time {order}"],
        output_format="list",
        search_all_experiments=experiment_ids is None,
        **options,
    )
    return [summarize(run) for run in runs]


def _first(condition: str, experiment_id: str, order: str) -> str | None:
    runs = _search(f"{condition} and {_FINISHED}", [experiment_id], order, limit=1)
    return runs[0].id if runs else None


def summarize(run: MlflowRun) -> RunSummary:
    """Return what a run of MLflow's holds for this package."""
    return RunSummary(
        id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        name=run.info.run_name,
        status=run.info.status,
        parent=run.data.tags.get(PARENT_TAG, ""),
        started_ms=run.info.start_time,
        params=dict(run.data.params),
        tags={
            name.removeprefix(TAG_PREFIX): value
            for name, value in run.data.tags.items()
            if name.startswith(TAG_PREFIX)
        },
        metrics=dict(run.data.metrics),
    )
