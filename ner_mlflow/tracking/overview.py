"""Read a store for people who look at it: narrow searches, and errors that say what to do.

Every search names the tags it wants and has a limit, so that a store of many thousand runs answers
as fast as a small one.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow
import pandas as pd
import requests
import yaml
from mlflow.entities import ViewType
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from ..errors import NerError, TrackingError
from ..redaction import one_line
from .queries import STEP_TAG, TAG_PREFIX, RunSummary, download, store_address, summarize
from .records import VersionOrigin
from .registry import HISTORY_TAG
from .steps import Step

MOST_EXPERIMENTS = 500
"""Experiments that are searched, those with the latest changes first."""
MOST_MODELS = 100
MOST_VERSIONS = 200
ANSWER_S = 5
"""Seconds in which a tracking server has to answer."""
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""Variables with which MLflow gives up on a dead server after seconds, not minutes, and is quiet.

What the user set stays."""
_STORE_ERRORS = (MlflowException, requests.RequestException, SQLAlchemyError, OSError)


@dataclass(frozen=True)
class RunPage:
    """Some runs, the latest first, and the token of the next page; empty: there is none."""

    runs: tuple[RunSummary, ...]
    next_token: str = ""


@dataclass(frozen=True)
class ModelSummary:
    """A registered model.

    Attributes:
        name: its name.
        aliases: alias -> number of the version that has it.
        histories: alias -> numbers of the versions that had it, the present holder last.
        updated_ms: time of its last change, in milliseconds since 1970.
    """

    name: str
    aliases: Mapping[str, str]
    histories: Mapping[str, tuple[str, ...]]
    updated_ms: int


@dataclass(frozen=True)
class VersionSummary:
    """A version of a registered model, with what its tags say of its origin and promotion."""

    name: str
    version: str
    source: str
    origin: VersionOrigin
    tags: Mapping[str, str]
    description: str
    created_ms: int

    @property
    def address(self) -> str:
        """The address that MLflow loads."""
        return f"models:/{self.name}/{self.version}"


def store_uri() -> str:
    """Return the address of the tracking store as it is, with a password where it has one.

    It tells stores apart and is passed on to processes; it is never shown.
    """
    return str(mlflow.get_tracking_uri())


def set_up_reading() -> None:
    """Set the variables of :data:`ENVIRONMENT` that the user did not set."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def check_store() -> None:
    """Check that the store answers.

    Raises:
        TrackingError: it does not.
    """
    uri = store_uri()
    with _reading():
        if urlsplit(uri).scheme in ("http", "https"):
            requests.get(f"{uri.rstrip('/')}/health", timeout=ANSWER_S).raise_for_status()
        else:
            mlflow.search_experiments(max_results=1)


def find_runs(
    step: Step,
    tags: Mapping[str, str] | None = None,
    limit: int = 50,
    token: str = "",
    finished: bool = True,
) -> RunPage:
    """Return runs of a step in any experiment, the latest first.

    Args:
        step: the step.
        tags: tags of this package that the runs have; a value that ends with ``%`` is the start of
            the tag's value.
        limit: most runs of a page.
        token: the token of the page, from the page before; empty: the first.
        finished: leave out runs that are running, failed or were killed.

    Raises:
        TrackingError: the store does not answer.
    """
    wanted = {STEP_TAG: str(step), **(tags or {})}
    if any('"' in value for value in wanted.values()):  # MLflow's filters cannot quote it
        return RunPage(())
    conditions = [
        f'tags.`{TAG_PREFIX}{name}` {"LIKE" if value.endswith("%") else "="} "{value}"'
        for name, value in wanted.items()
    ]
    if finished:
        conditions.append("attributes.status = 'FINISHED'")
    with _reading():
        experiments = mlflow.search_experiments(
            max_results=MOST_EXPERIMENTS, order_by=["last_update_time DESC"]
        )
        found = mlflow.MlflowClient().search_runs(
            [experiment.experiment_id for experiment in experiments],
            " and ".join(conditions),
            ViewType.ACTIVE_ONLY,
            limit,
            ["attributes.start_time DESC"],
            token or None,
        )
    return RunPage(tuple(summarize(run) for run in found), found.token or "")


def find_run(run_id: str) -> RunSummary | None:
    """Return a run, None if there is none of this id.

    Raises:
        TrackingError: the store does not answer.
    """
    with _reading():
        try:
            return summarize(mlflow.get_run(run_id))
        except MlflowException as error:
            if _is_missing(error):
                return None
            raise


def registered_models() -> list[ModelSummary]:
    """Return the registered models, the last changed first.

    Raises:
        TrackingError: the registry does not answer.
    """
    with _reading():
        found = mlflow.MlflowClient().search_registered_models(
            max_results=MOST_MODELS, order_by=["last_updated_timestamp DESC"]
        )
    return [_model(model) for model in found]


def model_versions(name: str) -> list[VersionSummary]:
    """Return the versions of a registered model, the latest first.

    Raises:
        TrackingError: the registry does not answer.
    """
    quote = '"' if "'" in name else "'"
    with _reading():
        found = mlflow.MlflowClient().search_model_versions(
            f"name = {quote}{name}{quote}",
            max_results=MOST_VERSIONS,
            order_by=["version_number DESC"],
        )
    return [_version(version) for version in found]


def promotions_of(name: str, limit: int = 50) -> list[RunSummary]:
    """Return the promote runs of a registered model, the latest first, refused ones included.

    Raises:
        TrackingError: the store does not answer.
    """
    start = f"models:/{name}/"
    runs = find_runs(Step.PROMOTE, {"candidate": f"{start}%"}, limit, finished=False).runs
    return [run for run in runs if run.tags["candidate"].startswith(start)]


def logged_table(run_id: str, name: str) -> pd.DataFrame | None:
    """Return a table that a run logged, None if it logged none of this name."""
    path = _artifact(run_id, f"tables/{name}.json")
    if path is None:
        return None
    values = json.loads(path.read_text(encoding="utf-8"))
    return pd.DataFrame(values["data"], columns=values["columns"])


def logged_frame(run_id: str, name: str) -> pd.DataFrame | None:
    """Return a table that a run logged for programs, None if it logged none of this name."""
    path = _artifact(run_id, f"{name}.parquet")
    return None if path is None else pd.read_parquet(path)


def logged_values(run_id: str, name: str) -> dict[str, Any]:
    """Return the values that a run logged as ``NAME.yaml``, empty if it logged none."""
    path = _artifact(run_id, f"{name}.yaml")
    values = yaml.safe_load(path.read_text(encoding="utf-8")) if path else None
    return values if isinstance(values, dict) else {}


def _artifact(run_id: str, path: str) -> Path | None:
    """Return the local path of an artifact, None if the run has none there.

    Raises:
        TrackingError: the store does not answer.
    """
    try:
        return download(f"runs:/{run_id}/{path}")
    except TrackingError:
        check_store()  # a store that is gone has no artifacts either, but that is another error
        return None


@contextmanager
def _reading() -> Iterator[None]:
    """Turn what MLflow raises while the store is read into one line.

    Raises:
        TrackingError: the store does not answer.
    """
    try:
        yield
    except NerError:
        raise
    except _STORE_ERRORS as error:
        kind = "server" if urlsplit(store_uri()).scheme in ("http", "https") else "store"
        cause = (
            type(error).__name__
            if isinstance(error, requests.RequestException)
            else one_line(error, store_uri(), limit=160)
        )
        raise TrackingError(
            f"tracking {kind} {store_address()} does not answer ({cause}): "
            "check that it runs, then try again"
        ) from error


def _is_missing(error: MlflowException) -> bool:
    return error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def _model(model: RegisteredModel) -> ModelSummary:
    aliases = {str(alias): str(version) for alias, version in (model.aliases or {}).items()}
    histories = {
        key.removeprefix(HISTORY_TAG): tuple(filter(None, value.split(",")))
        for key, value in (model.tags or {}).items()
        if key.startswith(HISTORY_TAG)
    }
    return ModelSummary(model.name, aliases, histories, int(model.last_updated_timestamp or 0))


def _version(version: ModelVersion) -> VersionSummary:
    tags = dict(version.tags or {})
    return VersionSummary(
        version.name,
        str(version.version),
        version.source or "",
        VersionOrigin.from_tags(tags),
        tags,
        version.description or "",
        int(version.creation_timestamp or 0),
    )
