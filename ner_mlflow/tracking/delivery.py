"""Deliver an outbox to the tracking store: in order, each operation exactly once."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mlflow.entities import (
    ExperimentTag,
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelParameter,
    LoggedModelStatus,
    LoggedModelTag,
    Param,
    RunStatus,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from ..atomic import scratch_folder
from ..errors import TrackingError
from ..redaction import one_line, redact_address
from .mirror import dataset_input_from, metric_from
from .outbox import (
    CLIENT_ID_TAG,
    MODEL_MARK,
    DamagedOutboxError,
    Kind,
    Operation,
    Outbox,
    left_outboxes,
    note_id,
    open_ids,
    with_store_ids,
)
from .remote import (
    ALREADY_EXISTS,
    Remote,
    StoreAwayError,
    asking_store,
    is_away,
    reason,
    without_conflicts,
)
from .versions import add_waiting_version

log = logging.getLogger(__name__)

BATCH_LIMITS = {"metrics": 1000, "params": 100, "tags": 100}
"""Entries of each kind that MLflow takes in one request."""
BATCH_LIMIT = 1000
"""Entries of all kinds that MLflow takes in one request."""
SETTLED_S = 1.0
"""Age in seconds from which a file counts as written, while its run is open."""
PAUSES_S = (0.2, 0.5, 1, 2, 5)
"""Seconds until the next attempt, after one, two and more failures in a row."""
IDLE_S = 2.0
"""Seconds after which files of open runs are looked for, without a new operation."""
REWRITTEN = frozenset(
    {"", ".csv", ".htm", ".html", ".json", ".md", ".svg", ".txt", ".yaml", ".yml"}
)
"""Suffixes of artifacts whose local ids and addresses are replaced; MLmodel has no suffix."""
REWRITTEN_BYTES = 32 * 2**20
"""Larger files are not searched for ids."""
ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})


class RefusedError(TrackingError):
    """The tracking store answered that it does not take an operation."""


class ArtifactsAwayError(StoreAwayError):
    """The artifact store cannot be written; the tracking store itself answers."""


class WaitingError(TrackingError):
    """An operation names a run or model that another outbox has not delivered yet."""


class Delivery:
    """Delivers an outbox to a store."""

    def __init__(self, outbox: Outbox, remote: Remote) -> None:
        self._outbox = outbox
        self._remote = remote
        self._repositories: dict[str, tuple[ArtifactRepository, str]] = {}

    def deliver(
        self, on_progress: Callable[[], None] = lambda: None, settled_s: float = SETTLED_S
    ) -> None:
        """Send what waits, operations first, then the files of runs that are still open.

        Args:
            on_progress: called after each operation and file that the store has taken.
            settled_s: age in seconds from which files of open runs are sent.

        Raises:
            StoreAwayError: the store does not answer, or cannot write.
            RefusedError: the store does not take an operation; those after it wait.
            WaitingError: an operation names what another outbox has not delivered.
        """
        while operations := self._outbox.waiting(200):
            for operation, taken in _joined(operations):
                self._send(operation, on_progress)
                self._outbox.note_delivered(taken)
                on_progress()
        for subject in self._outbox.subjects_with_files():
            if _store_id(subject):
                self._upload(subject, on_progress, settled_s)

    def _send(self, operation: Operation, on_progress: Callable[[], None]) -> None:
        if self._remote.has_late_writes:  # it could make a run twice, or open one that has ended
            raise StoreAwayError("it has not answered an earlier request")
        try:
            if _ends(operation):
                self._upload(operation.subject, on_progress)
            text = repr((operation.payload, operation.subject if _is_change(operation) else ""))
            if missing := open_ids(text):
                raise WaitingError(f"{missing[0]} has not been delivered yet")
            if operation.kind is not Kind.LOGGED and not operation.tried:
                self._outbox.note_tried(operation)
            send = partial(_SENDERS[operation.kind], self._remote, _resolved(operation))
            without_conflicts(send)
        except Exception as error:
            raise self._failure(error, f"{operation.kind} of {operation.subject}") from error

    def _upload(
        self, subject: str, on_progress: Callable[[], None], older_than_s: float = 0
    ) -> None:
        for path in self._outbox.changed_files(subject, older_than_s):
            try:
                status = path.stat()
            except FileNotFoundError:  # it was replaced or deleted meanwhile
                continue
            try:
                is_final = self._upload_file(subject, path)
            except Exception as error:
                if not is_away(error):
                    raise self._failure(error, path.name) from error
                raise ArtifactsAwayError(
                    f"artifact store {self._location(subject)} cannot be written "
                    f"({reason(error, self._remote.uri)}): make it writable, or create the "
                    "experiment with another artifact location"
                ) from error
            if is_final:
                self._outbox.note_uploaded(path, status.st_size, status.st_mtime_ns)
            on_progress()

    def _upload_file(self, subject: str, path: Path) -> bool:
        """Upload a file; false if it names what has no id in the store yet, so is sent again."""
        repository, location = self._repository(subject)
        local = self._outbox.artifact_folder(subject)
        folder = path.parent.relative_to(local).as_posix()
        with scratch_folder() as temporary:
            source, is_final = _rewritten(path, local, location, temporary)
            repository.log_artifact(str(source), None if folder == "." else folder)
        return is_final

    def _repository(self, subject: str) -> tuple[ArtifactRepository, str]:
        """Return where the artifacts of a run or model go, and the address of that place."""
        if subject not in self._repositories:
            store, name = self._remote.store, _store_id(subject)
            if subject.startswith(MODEL_MARK):
                location = store.get_logged_model(name).artifact_location
            else:
                location = store.get_run(name).info.artifact_uri
            repository = get_artifact_repository(location, tracking_uri=self._remote.uri)
            self._repositories[subject] = repository, location
        return self._repositories[subject]

    def _location(self, subject: str) -> str:
        return (
            redact_address(self._repositories[subject][1]) if subject in self._repositories else ""
        )

    def _failure(self, error: Exception, what: str) -> Exception:
        if isinstance(error, WaitingError | ArtifactsAwayError | RefusedError):
            return error
        if is_away(error):
            return StoreAwayError(reason(error, self._remote.uri))
        return RefusedError(
            f"tracking store {self._remote.address} refused the {what} "
            f"({one_line(error, self._remote.uri)}): mend it there, then run sync; what was not "
            f"delivered is in {self._outbox.folder}"
        )


class Deliverer:
    """Delivers an outbox in a thread, again and again until it is stopped."""

    def __init__(self, outbox: Outbox, remote: Remote) -> None:
        self._delivery = Delivery(outbox, remote)
        self._outbox = outbox
        self._remote = remote
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._delivered = threading.Event()
        self._settled_s = SETTLED_S
        self._progress = time.monotonic()
        self.refusal: RefusedError | None = None
        self.reason = ""
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something new to deliver."""
        self._delivered.clear()
        self._wake.set()

    def wait(self, limit_s: float) -> bool:
        """Wait until all is delivered; false if ``limit_s`` seconds pass without progress.

        Nothing may be logged meanwhile.
        """
        self._progress = time.monotonic()
        self._settled_s = 0.0
        try:
            self.wake()
            while not self._delivered.wait(0.05):
                if self.refusal or time.monotonic() - self._progress > limit_s:
                    return False
        finally:
            self._settled_s = SETTLED_S
        return self._outbox.is_delivered()

    def stop(self) -> None:
        """End the thread; what is being sent is waited for, for a second."""
        self._stopped.set()
        self.wake()
        self._thread.join(1)

    def _run(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            self._wake.clear()
            pause_s = IDLE_S
            try:
                settled_s = self._settled_s
                self._delivery.deliver(self._note_progress, settled_s)
                self._remote.note_answer()
                failures = 0
                if settled_s == 0 and not self._wake.is_set():
                    self._delivered.set()
            except (StoreAwayError, WaitingError) as error:
                self.reason = str(error)
                if not isinstance(error, WaitingError | ArtifactsAwayError):
                    self._remote.note_away(error)
                if not failures and isinstance(error, StoreAwayError):
                    log.warning(
                        "tracking store %s does not take what is logged (%s): it is kept in %s "
                        "until it does",
                        self._remote.address,
                        error,
                        self._outbox.folder,
                    )
                pause_s = PAUSES_S[min(failures, len(PAUSES_S) - 1)]
                failures += 1
            except Exception as error:  # nobody sees the errors of a thread
                self.refusal = RefusedError(str(error))
                log.warning("%s", error, exc_info=not isinstance(error, TrackingError))
                return
            if failures:
                self._stopped.wait(pause_s)
            else:
                self._wake.wait(pause_s)

    def _note_progress(self) -> None:
        self._progress = time.monotonic()
        self._remote.note_answer()


def deliver_left(remote: Remote) -> int:
    """Deliver what processes that ended, or were killed, left in outboxes for a store.

    Returns:
        The number of outboxes that still hold something that the store refused, or that waits for
        the outbox of a process that runs.

    Raises:
        StoreAwayError: the store does not answer.
    """
    while True:
        left, delivered, waits = 0, 0, False
        for outbox in left_outboxes(remote.key):
            if waiting := len(outbox.waiting()):
                log.info("delivering %d entries that an earlier command left", waiting)
            try:
                Delivery(outbox, remote).deliver(settled_s=0)
            except (RefusedError, WaitingError, ArtifactsAwayError, DamagedOutboxError) as error:
                log.warning("what is in %s still waits: %s", outbox.folder, error)
                left, waits = left + 1, waits or isinstance(error, WaitingError)
            else:
                outbox.remove()
                delivered += 1
        if not (waits and delivered):
            return left
        # Again: an outbox that the clock, set back, shows as the older one waited for another.


def make_run(remote: Remote, client_id: str, values: Mapping[str, Any], tried: bool) -> Any:
    """Make a run in the store, or return the one that an earlier attempt made.

    Args:
        remote: the store.
        client_id: the local id that marks the run.
        values: the arguments of a ``run`` operation, with ids of the store.
        tried: look for the run of an earlier attempt first.
    """
    experiment_id = values["experiment_id"]
    if tried:
        condition = f"tags.`{CLIENT_ID_TAG}` = '{client_id}'"
        found = remote.store.search_runs(
            [experiment_id], condition, ViewType.ALL, max_results=1, order_by=[], page_token=None
        )
        if found:
            return found[0]
    tags = [RunTag(*entry) for entry in {**values["tags"], CLIENT_ID_TAG: client_id}.items()]
    return remote.store.create_run(
        experiment_id, values["user_id"], values["start_time"], tags, values["run_name"]
    )


def make_model(remote: Remote, client_id: str, values: Mapping[str, Any], tried: bool) -> Any:
    """Make a logged model in the store, or return the one that an earlier attempt made.

    The arguments are as of :func:`make_run`.
    """
    experiment_id = values["experiment_id"]
    if tried:
        condition = f"tags.`{CLIENT_ID_TAG}` = '{client_id}'"
        if found := remote.store.search_logged_models([experiment_id], condition, max_results=1):
            return found[0]
    tags = {**values["tags"], CLIENT_ID_TAG: client_id}
    return remote.store.create_logged_model(
        experiment_id=experiment_id,
        name=values["name"],
        source_run_id=values["source_run_id"],
        tags=[LoggedModelTag(*entry) for entry in tags.items()],
        params=[LoggedModelParameter(*entry) for entry in values["params"].items()],
        model_type=values["model_type"],
    )


def _send_experiment(remote: Remote, operation: Operation) -> None:
    name, tags = operation.payload["name"], operation.payload["tags"].items()
    experiment = remote.store.get_experiment_by_name(name)
    try:
        found = str(
            experiment.experiment_id
            if experiment
            else remote.store.create_experiment(name, None, [ExperimentTag(*tag) for tag in tags])
        )
    except MlflowException as error:
        if error.error_code != ALREADY_EXISTS:
            raise
        raise StoreAwayError(f"another process made experiment {name!r} just now") from error
    note_id(operation.subject, found)


def _send_experiment_tag(remote: Remote, operation: Operation) -> None:
    tag = ExperimentTag(operation.payload["key"], operation.payload["value"])
    remote.store.set_experiment_tag(operation.subject, tag)


def _send_run(remote: Remote, operation: Operation) -> None:
    run = make_run(remote, operation.subject, operation.payload, operation.tried)
    note_id(operation.subject, run.info.run_id)


def _send_model(remote: Remote, operation: Operation) -> None:
    client_id = operation.subject.removeprefix(MODEL_MARK)
    model = make_model(remote, client_id, operation.payload, operation.tried)
    note_id(client_id, model.model_id.removeprefix(MODEL_MARK))


def _send_logged(remote: Remote, operation: Operation) -> None:
    values = operation.payload
    remote.store.log_batch(
        operation.subject,
        metrics=[metric_from(entry) for entry in values["metrics"]],
        params=[Param(*entry) for entry in values["params"].items()],
        tags=[RunTag(*entry) for entry in values["tags"].items()],
    )


def _send_status(remote: Remote, operation: Operation) -> None:
    values = operation.payload
    status = values["status"] and RunStatus.from_string(values["status"])
    remote.store.update_run_info(operation.subject, status, values["end_time"], values["run_name"])


def _send_inputs(remote: Remote, operation: Operation) -> None:
    datasets = [dataset_input_from(entry) for entry in operation.payload["datasets"]]
    models = operation.payload["models"]
    if operation.tried:  # the store does not take a model twice
        inputs = remote.store.get_run(operation.subject).inputs
        known = {model.model_id for model in inputs.model_inputs} if inputs else set()
        models = [name for name in models if name not in known]
    entries = [LoggedModelInput(name) for name in models]
    remote.store.log_inputs(operation.subject, datasets, entries)


def _send_outputs(remote: Remote, operation: Operation) -> None:
    models = [LoggedModelOutput(*entry) for entry in operation.payload["models"]]
    if operation.tried:  # the store does not take an output twice
        outputs = remote.store.get_run(operation.subject).outputs
        known = {model.model_id for model in outputs.model_outputs} if outputs else set()
        models = [model for model in models if model.model_id not in known]
    if models:
        remote.store.log_outputs(operation.subject, models)


def _send_model_tags(remote: Remote, operation: Operation) -> None:
    tags = [LoggedModelTag(*entry) for entry in operation.payload["tags"].items()]
    remote.store.set_logged_model_tags(operation.subject, tags)


def _send_deleted_model_tag(remote: Remote, operation: Operation) -> None:
    try:
        remote.store.delete_logged_model_tag(operation.subject, operation.payload["key"])
    except MlflowException as error:
        if not operation.tried or is_away(error):
            raise


def _send_model_params(remote: Remote, operation: Operation) -> None:
    params = [LoggedModelParameter(*entry) for entry in operation.payload["params"].items()]
    remote.store.log_logged_model_params(operation.subject, params)


def _send_model_status(remote: Remote, operation: Operation) -> None:
    status = LoggedModelStatus(operation.payload["status"])
    remote.store.finalize_logged_model(operation.subject, status)


def _send_version(remote: Remote, operation: Operation) -> None:
    with asking_store():
        add_waiting_version(operation.subject, operation.payload)
    del remote


_SENDERS: Mapping[Kind, Callable[[Remote, Operation], None]] = {
    Kind.EXPERIMENT: _send_experiment,
    Kind.EXPERIMENT_TAG: _send_experiment_tag,
    Kind.RUN: _send_run,
    Kind.LOGGED: _send_logged,
    Kind.STATUS: _send_status,
    Kind.INPUTS: _send_inputs,
    Kind.OUTPUTS: _send_outputs,
    Kind.MODEL: _send_model,
    Kind.MODEL_TAGS: _send_model_tags,
    Kind.MODEL_TAG_DELETED: _send_deleted_model_tag,
    Kind.MODEL_PARAMS: _send_model_params,
    Kind.MODEL_STATUS: _send_model_status,
    Kind.VERSION: _send_version,
}
_MAKERS = frozenset({Kind.EXPERIMENT, Kind.RUN, Kind.MODEL})


def _is_change(operation: Operation) -> bool:
    """Return whether an operation changes its subject, and does not make it."""
    return operation.kind not in _MAKERS


def _ends(operation: Operation) -> bool:
    """Return whether the files of a run or model must be there before an operation."""
    if operation.kind is Kind.STATUS:
        return operation.payload["status"] in ENDED
    return operation.kind in (Kind.MODEL_STATUS, Kind.VERSION)


def _store_id(subject: str) -> str:
    """Return the store's id of a run or model; empty if the store has not given one yet."""
    name = with_store_ids(subject)
    return "" if open_ids(name) else name


def _resolved(operation: Operation) -> Operation:
    """Return an operation with the store's ids in place of local ones."""
    payload = resolve_ids(operation.payload)
    subject = with_store_ids(operation.subject) if _is_change(operation) else operation.subject
    return replace(operation, subject=subject, payload=payload)


def resolve_ids(value: Any) -> Any:
    """Return a value of JSON with the store's ids in place of local ones, as far as there are."""
    if isinstance(value, str):
        return with_store_ids(value)
    if isinstance(value, Mapping):
        return {key: resolve_ids(entry) for key, entry in value.items()}
    return [resolve_ids(entry) for entry in value] if isinstance(value, list) else value


def _joined(operations: Sequence[Operation]) -> list[tuple[Operation, list[Operation]]]:
    """Join what is logged to one run in a row, as far as one request takes it.

    Returns:
        Each operation to send, and the operations that it is made of.
    """
    joined: list[tuple[Operation, list[Operation]]] = []
    for operation in operations:
        if joined and (together := _together(joined[-1][0], operation)):
            joined[-1] = together, [*joined[-1][1], operation]
        else:
            joined.append((operation, [operation]))
    return joined


def _together(first: Operation, second: Operation) -> Operation | None:
    if first.kind is not Kind.LOGGED or second.kind is not Kind.LOGGED:
        return None
    if first.subject != second.subject:
        return None
    one, two = first.payload, second.payload
    payload = {
        "metrics": [*one["metrics"], *two["metrics"]],
        "params": {**one["params"], **two["params"]},
        "tags": {**one["tags"], **two["tags"]},
    }
    sizes = {name: len(entries) for name, entries in payload.items()}
    fits = all(sizes[name] <= limit for name, limit in BATCH_LIMITS.items())
    return replace(first, payload=payload) if fits and sum(sizes.values()) <= BATCH_LIMIT else None


def _rewritten(path: Path, local: Path, location: str, folder: Path) -> tuple[Path, bool]:
    """Return a copy of a text file with the store's ids and addresses, or the file as it is.

    Returns:
        The file, and false if it holds a local id for which the store has given none yet.
    """
    if path.suffix not in REWRITTEN or path.stat().st_size > REWRITTEN_BYTES:
        return path, True
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return path, True
    changed = with_store_ids(text.replace(local.as_uri(), location).replace(str(local), location))
    if changed == text:
        return path, not open_ids(text)
    copy = folder / path.name
    copy.write_bytes(changed.encode("utf-8"))
    return copy, not open_ids(changed)
