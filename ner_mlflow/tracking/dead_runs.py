"""End the runs of processes that were killed, which the store still shows as running.

Each run has a tag with the name of its process. A process that was killed leaves its lock behind
(:mod:`~ner_mlflow.liveness`), so the next command on this machine knows it. Runs of other machines
are left alone.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any

import mlflow
from mlflow.entities import Run as MlflowRun

from ..errors import TrackingError
from ..liveness import dead_names, forget_old, liveness_name
from ..paths import CACHE_VARIABLE, cache_folder
from ..redaction import one_line
from .queries import TAG_PREFIX
from .remote import StoreAwayError

log = logging.getLogger(__name__)

PROCESS_TAG = f"{TAG_PREFIX}process"
"""A run's tag with the name of the process that has it open, or had it open last."""
ERROR_TAG = "error"
KILLED = "its process was killed, or the machine stopped, before the run ended"
"""The error of a run whose process died."""


def process_tags() -> dict[str, str]:
    """Return the tag of a run that this process opens.

    Raises:
        TrackingError: the cache folder, which holds the lock of this process, cannot be written.
    """
    try:
        return {PROCESS_TAG: liveness_name()}
    except OSError as error:
        raise TrackingError(
            f"cache folder {cache_folder()} cannot be written ({one_line(error)}): make it "
            f"writable, or set {CACHE_VARIABLE} to a folder that is"
        ) from error


def end_dead_runs() -> list[str]:
    """End, as KILLED, the runs in the store whose processes on this machine were killed.

    The store is searched only if there are such processes.

    Returns:
        The ids of the runs.
    """
    dead = dead_names()
    if not dead:
        return []
    condition = f"attributes.status = 'RUNNING' and tags.`{PROCESS_TAG}` LIKE '%'"
    try:
        running: list[MlflowRun] = mlflow.search_runs(
            filter_string=condition, output_format="list", search_all_experiments=True
        )
    except StoreAwayError:  # a later command ends them
        return []
    ended = []
    for run in running:
        # Read again just before: another process may resume the run at this moment.
        if run.data.tags[PROCESS_TAG] in dead and _process(run.info.run_id) in dead:
            end_dead_run(run.info.run_id, KILLED)
            ended.append(run.info.run_id)
    if ended:
        log.info("ended %d runs of processes that were killed: %s", len(ended), ", ".join(ended))
    forget_old()
    return ended


def _process(run_id: str) -> str:
    return str(mlflow.get_run(run_id).data.tags[PROCESS_TAG])


def end_dead_run(run_id: str, error: str = "", tags: Mapping[str, Any] | None = None) -> None:
    """End a run as KILLED whose process has died.

    Args:
        run_id: the id of the run.
        error: an explanation for the tag ``ner.error``; empty: none.
        tags: further tags of this package.
    """
    client = mlflow.MlflowClient()
    start_ms = client.get_run(run_id).info.start_time
    for name, value in {**({ERROR_TAG: error} if error else {}), **(tags or {})}.items():
        client.set_tag(run_id, f"{TAG_PREFIX}{name}", str(value))
    # Not before its start, even if the machine's clock was set back.
    client.set_terminated(run_id, "KILLED", max(time.time_ns() // 1_000_000, start_ms))
