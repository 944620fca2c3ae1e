"""Open runs, as new ones, adopted from `mlflow run` or resumed, and end them with a status."""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any
from urllib.parse import urlsplit

import mlflow
import requests
import yaml
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from ..errors import NerError, TrackingError
from ..full_disks import folder_error
from ..provenance import provenance
from ..redaction import one_line, redact_address
from .adoption import RUN_VARIABLE, adopted_run
from .credentials import NO_LINKS, split_credentials
from .dead_runs import ERROR_TAG, end_dead_runs, process_tags
from .delivery import deliver_left
from .first_use import first_use
from .outbox_store import OutboxStore, current_store, install, mirroring
from .queries import PARENT_TAG, STEP_TAG, TAG_PREFIX, latest_experiment, store_address
from .remote import ALREADY_EXISTS, StoreAwayError, check_answers
from .run import Run
from .shared_view import UI_MODE, save_view
from .steps import Step

log = logging.getLogger(__name__)

EXPERIMENT_VARIABLES = ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID")
ERROR_LIMIT = 4900
"""Characters of an error in the tag ``ner.error``; MLflow stores 5,000 of a tag in some stores."""
DEFAULT_EXPERIMENT = "0"
"""The id of the experiment that every store has."""
SYSTEM_METRICS_INTERVAL_S = 2
install()
_RANDOM_NAME = re.compile(r"[a-z]+-[a-z]+-\d+")
_STORE_ERRORS = (MlflowException, requests.RequestException, SQLAlchemyError)


def connect(needed: bool = False) -> None:
    """Connect to the tracking store, before any work, and deliver what waits for it.

    If it does not answer, work goes on: what is logged waits in an outbox on this disk.

    Args:
        needed: without the store there is nothing to do.

    Raises:
        TrackingError: the store cannot be used, for example because its address is wrong.
        StoreAwayError: it does not answer, but is needed.
    """
    uri = mlflow.get_tracking_uri()
    if split_credentials(uri)[0] != uri:  # MLflow prints the address of a run as it is
        os.environ[NO_LINKS] = "true"
    store = None
    try:
        store = current_store()
        if store is None or store.has_session:
            return
        store.begin_session()
        check_answers(uri)
        with first_use(uri, mlflow.get_registry_uri()):
            mlflow.search_experiments(max_results=1)
        deliver_left(store.remote)
    except StoreAwayError as error:
        if needed:
            raise
        if store:
            store.remote.note_away(error)
        log.warning("%s; work goes on, and what it logs is kept until the store answers", error)
    except ImportError as error:
        raise TrackingError(
            f"tracking store {store_address()} needs the package {error.name}, which is not "
            "installed: install it, or set MLFLOW_TRACKING_URI to another store"
        ) from error
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise TrackingError(
            f"tracking store {store_address()} cannot be used ({one_line(error, uri)}): "
            "check MLFLOW_TRACKING_URI"
        ) from error


def choose_experiment(name: str, prefer_latest: bool = False) -> str | None:
    """Return the id of the experiment for a command's run, created if it does not exist.

    Args:
        name: the name of the experiment.
        prefer_latest: take the experiment of the latest run of this package, if there is one.

    Returns:
        The id; None leaves the choice to MLflow: ``name`` is empty, or `mlflow run` or MLflow's
        environment variables name an experiment.

    Raises:
        TrackingError: the experiment cannot be used, for example because it was deleted.
    """
    connect()
    if adopted_run() or any(os.environ.get(variable) for variable in EXPERIMENT_VARIABLES):
        return None
    if prefer_latest and (latest := latest_experiment()):
        return latest
    if not name:
        return None
    try:
        return _experiment_named(name)
    except MlflowException as error:
        raise TrackingError(
            f"experiment {name!r} cannot be used ({one_line(error)}): "
            "name another one in MLFLOW_EXPERIMENT_NAME"
        ) from error


def _experiment_named(name: str) -> str:
    """Return the id of the experiment of a name, created if it does not exist."""
    if experiment := mlflow.get_experiment_by_name(name):
        return str(experiment.experiment_id)
    try:
        return str(mlflow.create_experiment(name))
    except MlflowException as error:
        made_meanwhile = error.error_code == ALREADY_EXISTS and mlflow.get_experiment_by_name(name)
        if not made_meanwhile:
            raise
        return str(made_meanwhile.experiment_id)


@contextmanager
def open_run(
    step: Step, name: str, resume: str | None = None, experiment_id: str | None = None
) -> Iterator[Run]:
    """Open the run of a command and end it with the block.

    The run is the one that `mlflow run` opened, if it did, otherwise a new one. It ends FINISHED,
    FAILED (with the message in the tag ``ner.error``) or, on Ctrl-C, KILLED.

    Args:
        step: the step that the run is of.
        name: the name of a new run, until the step knows a better one.
        resume: the id of an interrupted run to resume.
        experiment_id: the experiment of a new run; None: the one that MLflow's environment
            variables name.

    Raises:
        TrackingError: the tracking store, or its artifact store, cannot be written.
    """
    connect()
    end_dead_runs()
    adopted = adopted_run()
    if adopted and resume:
        _hand_over(adopted, resume)
        adopted = None
    named = None if adopted or resume else name
    options: dict[str, Any] = {"run_id": resume, "run_name": named}
    if named:
        options["experiment_id"] = experiment_id
    new = adopted is None and resume is None
    with _open(step, name, resume is not None, may_rename=new, **options) as run:
        if adopted and _RANDOM_NAME.fullmatch(mlflow.get_run(run.id).info.run_name or ""):
            run.may_rename = True
            run.set_name(name)
        save_view(run.experiment_id)
        yield run


@contextmanager
def open_child(parent: Run, step: Step, name: str, resume: str | None = None) -> Iterator[Run]:
    """Open a run below another one of this process, new or the interrupted run ``resume``."""
    options: dict[str, Any] = (
        {"run_id": resume}
        if resume
        else {"run_name": name, "experiment_id": parent.experiment_id, "parent_run_id": parent.id}
    )
    with _open(step, name, resumed=resume is not None, nested=True, **options) as run:
        if resume:
            _end_interrupted_parent(resume)
            set_parent(resume, parent.id)
        yield run


@contextmanager
def open_child_of(
    parent_id: str,
    experiment_id: str,
    step: Step,
    name: str,
    tags: Mapping[str, Any],
) -> Iterator[Run]:
    """Open a run below one that another process opened, which keeps its name.

    Args:
        parent_id: the id of the parent run.
        experiment_id: the id of its experiment.
        step: the step that the run is of.
        name: the name of the run.
        tags: tags of this package that the run has from its first moment on.
    """
    entries = {f"{TAG_PREFIX}{key}": str(value) for key, value in tags.items()}
    options: dict[str, Any] = {
        "run_name": name,
        "nested": True,
        "experiment_id": experiment_id,
        # A tag, since MLflow would look for the parent, which another process has in its outbox.
        "tags": {**entries, PARENT_TAG: parent_id},
    }
    with _open(step, name, may_rename=False, **options) as run:
        yield run


@contextmanager
def open_run_or_child(step: Step, name: str) -> Iterator[Run]:
    """Open a new run, below the run that is active in MLflow where there is one.

    Raises:
        TrackingError: as of :func:`open_run`.
    """
    active = mlflow.active_run()
    if active is None:
        with open_run(step, name) as run:
            yield run
    else:
        with _open(step, name, run_name=name, nested=True) as run:
            yield run


def set_parent(run_id: str, parent_id: str) -> None:
    """Make a run a child of another run."""
    mlflow.MlflowClient().set_tag(run_id, PARENT_TAG, parent_id)


def run_link(experiment_id: str, run_id: str, artifact: str = "") -> str:
    """Return the link to a run, or one of its artifacts, on a page of MLflow's UI."""
    page = f"#/experiments/{experiment_id}/runs/{run_id}"
    return f"{page}{f'/artifacts/{artifact}' if artifact else ''}?{UI_MODE}"


def page_links(run: Run, pages: Mapping[str, str]) -> str:
    """Return Markdown with links to artifacts of a run; ``pages`` is text -> artifact."""
    return " · ".join(
        f"[{text}]({run_link(run.experiment_id, run.id, file)})" for text, file in pages.items()
    )


def ui_address(run: Run, artifact: str = "") -> str:
    """Return how to open a run, or one of its artifacts, in MLflow's UI."""
    uri = mlflow.get_tracking_uri()
    page = run_link(run.experiment_id, run.id, artifact)
    if urlsplit(uri).scheme in ("http", "https"):
        return f"{redact_address(uri).rstrip('/')}/{page}"
    return f"mlflow ui --backend-store-uri {store_address()}  then  http://127.0.0.1:5000/{page}"


@contextmanager
def _open(
    step: Step,
    name: str,
    resumed: bool = False,
    may_rename: bool = True,
    **options: Any,
) -> Iterator[Run]:
    interval = str(SYSTEM_METRICS_INTERVAL_S)
    os.environ.setdefault("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", interval)
    options["tags"] = {**options.get("tags", {}), **process_tags()}
    store = current_store()
    with store.open_session() if store else nullcontext():
        try:
            if store and (existing := options.get("run_id") or adopted_run()):
                _adopt(store, existing, resumed)
            if resumed:  # first, so that no other process takes the resumed run for dead
                tag = next(iter(process_tags().items()))
                mlflow.MlflowClient().set_tag(options["run_id"], *tag)
            with mirroring():
                started = mlflow.start_run(**options)
        except (MlflowException, SQLAlchemyError) as error:
            raise TrackingError(
                f"no run can be started ({one_line(error)}): "
                f"check MLFLOW_TRACKING_URI and {RUN_VARIABLE}"
            ) from error
        run = Run(started.info.run_id, started.info.experiment_id, resumed, may_rename)
        with _ending(run, name, started.info.artifact_uri):
            run.set_tags({STEP_TAG: step})
            _log_provenance(run)
            if store:
                store.check_taken()
            yield run


@contextmanager
def _ending(run: Run, name: str, artifacts: str) -> Iterator[None]:
    """End a run with the block, with the status that fits."""
    status = "FAILED"
    try:
        yield
        status = run.status
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    except NerError as error:
        run.set_tags({ERROR_TAG: one_line(error, limit=ERROR_LIMIT)})
        raise
    except _STORE_ERRORS as error:
        raise TrackingError(
            f"the tracking store failed while {name!r} ran ({one_line(error)}): "
            "check the server, then run again"
        ) from error
    except Exception as error:
        problem = folder_error(error, artifacts)
        message = problem or f"{type(error).__name__}: {error}"
        run.set_tags({ERROR_TAG: one_line(message, limit=ERROR_LIMIT)})
        if problem:
            raise problem from error
        raise
    finally:
        _end(status)


def _adopt(store: OutboxStore, run_id: str, resumed: bool) -> None:
    """Have a run that exists written through the outbox.

    Raises:
        StoreAwayError: the store does not answer, so that a run to resume cannot be read.
    """
    try:
        store.adopt(run_id)
    except StoreAwayError:
        if resumed:
            raise
        store.adopt_unread(run_id, os.environ.get("MLFLOW_EXPERIMENT_ID", DEFAULT_EXPERIMENT))


def _hand_over(adopted: str, resume: str) -> None:
    """Note in the run that `mlflow run` opened that another run is resumed in its place."""
    client = mlflow.MlflowClient()
    client.set_tag(adopted, f"{TAG_PREFIX}resumed_run", resume)
    client.set_tag(adopted, "mlflow.runName", f"resume {resume}")
    del os.environ[RUN_VARIABLE]


def _end_interrupted_parent(run_id: str) -> None:
    """End the parent that was killed together with a run, and so is still marked as running."""
    client = mlflow.MlflowClient()
    parent = client.get_run(run_id).data.tags.get(PARENT_TAG)
    if parent and client.get_run(parent).info.status == "RUNNING":
        client.set_terminated(parent, "KILLED")


def _end(status: str) -> None:
    try:
        mlflow.end_run(status)
    except (NerError, *_STORE_ERRORS) as error:
        log.warning("the run could not be marked %s (%s)", status, one_line(error))


def _log_provenance(run: Run) -> None:
    values = provenance()
    hardware = values["hardware"]
    names = ("git_commit", "code_fingerprint", "package_version")
    run.set_tags({name: values[name] for name in names})
    run.set_tags({"cpu": hardware["cpu"], "accelerator": hardware["accelerator"]})
    run.log_text("provenance.yaml", yaml.safe_dump(values, sort_keys=False))
