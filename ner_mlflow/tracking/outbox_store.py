"""MLflow's tracking store with an outbox before it.

:func:`install` puts :class:`OutboxStore` in place of the stores that MLflow opens in this process.
Without an open session it is the store itself. From :meth:`OutboxStore.begin_session` on, runs
that are opened within :func:`mirroring` are written to an outbox and read from there, and a thread
delivers them. All of MLflow's own functions, such as those that log models, work on them as they
are.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from mlflow.entities import (
    DatasetInput,
    Experiment,
    ExperimentTag,
    LifecycleStage,
    LoggedModel,
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelParameter,
    LoggedModelStatus,
    LoggedModelTag,
    Metric,
    Param,
    RunInfo,
    RunStatus,
    RunTag,
)
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.store.db import utils as database
from mlflow.store.entities.paged_list import PagedList
from mlflow.tracking._model_registry import utils as registry_service
from mlflow.tracking._tracking_service import utils as tracking_service
from mlflow.utils.search_utils import SearchUtils
from mlflow.utils.validation import _validate_batch_log_data

from .delivery import Deliverer, make_model, make_run, resolve_ids
from .mirror import Mirror, dataset_input_values, metric_values
from .outbox import (
    CLIENT_ID_TAG,
    MAKING,
    MODEL_MARK,
    Kind,
    Outbox,
    new_local_id,
    note_open,
    open_ids,
    read_outboxes,
    store_id,
    with_store_ids,
)
from .remote import ANSWER_LIMIT_S, Remote, StoreAwayError, asks_store, store_key
from .steady_clock import SteadyClock
from .undelivered import left_folders

log = logging.getLogger(__name__)

SERVER_SCHEMES = ("http", "https")
SCHEMES = (*SERVER_SCHEMES, "postgresql", "mysql", "mssql", "sqlite")
"""Schemes of the stores that get an outbox; MLflow's deprecated file store does not."""
HTTP_SETTINGS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""MLflow's own retries would hold work up for minutes, and could make a run twice."""
DELIVERY_LIMIT_S = 5.0
"""Seconds without progress after which the end of a command does not wait for the store."""
_mirrors_new_runs: ContextVar[bool] = ContextVar("mirrors_new_runs", default=False)


class Session:
    """An outbox that is open in this process, with its mirror and the thread that delivers it."""

    def __init__(self, remote: Remote) -> None:
        self.outbox = Outbox.create(remote.key)
        self.mirror = Mirror(self.outbox)
        self.deliverer = Deliverer(self.outbox, remote)

    def add(
        self,
        kind: Kind,
        subject: str,
        delivered: bool = False,
        tried: bool = False,
        **payload: Any,
    ) -> None:
        """Write an operation to the outbox and the mirror, and have it delivered.

        Args:
            kind: the kind of operation.
            subject: the id of the experiment, run or model.
            delivered: the store has done it already.
            tried: the store was told, and did not answer.
            payload: the arguments.
        """
        self.mirror.apply(self.outbox.add(kind, subject, payload, delivered, tried))
        if kind in MAKING and not delivered:
            note_open(subject.removeprefix(MODEL_MARK))
        self.deliverer.wake()

    def close(self) -> None:
        """Stop to deliver; remove the outbox if the store has everything."""
        self.deliverer.stop()
        for subject in (*self.mirror.runs, *self.mirror.models):
            tracking_service._artifact_repos_cache.pop(subject, None)
        if self.outbox.is_delivered():
            self.outbox.remove()
        else:
            self.outbox.close()


class OutboxStore:
    """A tracking store of MLflow's; see the module. What it does not have, the store itself has."""

    def __init__(self, uri: str, build: Callable[[], Any]) -> None:
        """
        Args:
            uri: the tracking URI.
            build: makes MLflow's own store.
        """
        self.remote = Remote(uri, build)
        self.has_session = False
        self._clock = SteadyClock()
        self._session: Session | None = None
        self._process = os.getpid()
        self._blocks = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.remote.store, name)

    @property
    def session(self) -> Session:
        """The open session, begun at its first use."""
        if self._session is None or self._process != os.getpid():  # a fork has no threads
            self._session, self._process = Session(self.remote), os.getpid()
        return self._session

    @property
    def _mirror(self) -> Mirror | None:
        if self._session is None or asks_store.get() or self._process != os.getpid():
            return None
        return self._session.mirror

    def begin_session(self) -> None:
        """Have what is logged from now on go through an outbox."""
        for name, value in HTTP_SETTINGS.items():
            os.environ.setdefault(name, value)
        self.has_session = True

    @contextmanager
    def open_session(self) -> Iterator[None]:
        """Have runs that are opened in the block go through an outbox.

        The outermost block waits at its end until the store has everything. If it takes nothing for
        :data:`DELIVERY_LIMIT_S` seconds, the outbox stays, for this process or `sync` to deliver.

        Raises:
            RefusedError: the store refused what was logged.
        """
        self.begin_session()
        self._blocks += 1
        try:
            yield
        finally:
            self._blocks -= 1
            if self._blocks == 0 and self._session:
                self._end_session(self._session)

    def has_everything(self, limit_s: float = DELIVERY_LIMIT_S) -> bool:
        """Return whether the store has what was logged so far.

        Args:
            limit_s: seconds without progress that it is waited for.
        """
        return self._session is None or self._session.deliverer.wait(limit_s)

    def check_taken(self) -> None:
        """Check that the store takes what was logged so far, or does not answer.

        Raises:
            RefusedError: it refuses.
        """
        if self._blocks == 1:
            self.session.deliverer.wait(ANSWER_LIMIT_S)
            if refusal := self.session.deliverer.refusal:
                raise refusal

    def _end_session(self, session: Session) -> None:
        is_delivered = session.deliverer.wait(DELIVERY_LIMIT_S)
        refusal = session.deliverer.refusal
        if is_delivered or refusal:
            session.close()
            left_folders.discard(session.outbox.folder)
            self.has_session, self._session = False, None
        if refusal:
            raise refusal
        if not is_delivered:
            log.warning(
                "tracking store %s has not taken everything (%s): what it lacks is kept in %s; "
                "deliver it with: ner-mlflow sync",
                self.remote.address,
                session.deliverer.reason or "it is slow",
                session.outbox.folder,
            )
            left_folders.add(session.outbox.folder)

    def adopt(self, run_id: str) -> None:
        """Have a run mirrored that is in the store.

        Raises:
            StoreAwayError: the store does not answer.
            MlflowException: there is no such run.
        """
        run = self._ask("get_run", run_id)
        self._add_adopted(
            run_id,
            run.info.experiment_id,
            user_id=run.info.user_id or "",
            start_time=run.info.start_time,
            run_name=run.info.run_name,
            status=run.info.status,
            params=dict(run.data.params),
            tags=dict(run.data.tags),
            metrics=[metric_values(metric) for metric in run.data._metric_objs],
        )

    def adopt_unread(self, run_id: str, experiment_id: str) -> None:
        """Have a run mirrored that is in the store, while the store does not answer."""
        self._add_adopted(run_id, experiment_id, start_time=self._clock.now_ms())

    def _add_adopted(self, run_id: str, experiment_id: str, **known: Any) -> None:
        """Mirror a run that is in the store, as far as it is known."""
        unread = {"user_id": "", "run_name": "", "tags": {}}
        values = {"experiment_id": experiment_id, **unread, **known}
        self.session.add(Kind.ADOPTED_RUN, run_id, delivered=True, **values)

    # Experiments

    def search_experiments(self, *args: Any, **options: Any) -> PagedList[Experiment]:
        """As MLflow's store."""
        found: PagedList[Experiment] = self._ask("search_experiments", *args, **options)
        return found

    def get_experiment(self, experiment_id: str) -> Experiment:
        """As MLflow's store; while that is away, an experiment of which only the id is known."""
        mirror = self._mirror
        if mirror and (experiment := mirror.experiments.get(experiment_id)):
            return experiment
        try:
            return self._ask("get_experiment", with_store_ids(experiment_id))
        except StoreAwayError:
            return Experiment(experiment_id, "", "", LifecycleStage.ACTIVE)

    def get_experiment_by_name(self, experiment_name: str) -> Experiment | None:
        """As MLflow's store; an experiment of this machine's while the store is away."""
        try:
            return self._ask("get_experiment_by_name", experiment_name)
        except StoreAwayError:
            experiments = self.session.mirror.experiments.values()
            return next((entry for entry in experiments if entry.name == experiment_name), None)

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Sequence[Any] = ()
    ) -> str:
        """As MLflow's store; an experiment of this machine's while the store is away."""
        if not self.has_session:
            return str(self.remote.store.create_experiment(name, artifact_location, tags))
        try:
            arguments = (name, artifact_location, tags)
            return str(self.remote.try_once("create_experiment", *arguments))
        except StoreAwayError:
            local = new_local_id()
            values = {tag.key: tag.value for tag in tags or ()}
            self.session.add(Kind.EXPERIMENT, local, name=name, tags=values)
            return local

    def set_experiment_tag(self, experiment_id: str, tag: ExperimentTag) -> None:
        """As MLflow's store."""
        values = {"key": tag.key, "value": tag.value}
        self._write(Kind.EXPERIMENT_TAG, experiment_id, values, "set_experiment_tag", tag)

    # Runs

    def create_run(
        self,
        experiment_id: str,
        user_id: str,
        start_time: int,
        tags: Sequence[RunTag],
        run_name: str,
    ) -> MlflowRun:
        """As MLflow's store; within :func:`mirroring` the run is one of the outbox's."""
        if not _mirrors_new_runs.get():
            store = self.remote.store
            return store.create_run(experiment_id, user_id, start_time, tags, run_name)
        run_tags = {tag.key: tag.value for tag in tags or ()}
        run_name = run_name or run_tags.get("mlflow.runName", "")
        run_tags["mlflow.runName"] = run_name
        values = {
            "experiment_id": experiment_id,
            "user_id": user_id,
            "start_time": self._clock.corrected_ms(start_time),
            "tags": run_tags,
            "run_name": run_name,
        }
        client_id = new_local_id()
        made = self._make(make_run, client_id, values)
        run_id = made.info.run_id if made else client_id
        self.session.add(Kind.RUN, run_id, delivered=bool(made), tried=True, **values)
        return self._known_run(run_id)

    def get_run(self, run_id: str) -> MlflowRun:
        """As MLflow's store."""
        mirror = self._mirror
        if mirror and (run := mirror.run(run_id)):
            return run
        return self._ask_or_read("get_run", run_id, lambda other: other.run(run_id))

    def update_run_info(
        self, run_id: str, run_status: int | None, end_time: int | None, run_name: str | None
    ) -> RunInfo:
        """As MLflow's store."""
        name = run_status and RunStatus.to_string(run_status)
        run = self._mirror and self._mirror.runs.get(run_id)
        if run and end_time is not None:
            end_time = max(self._clock.corrected_ms(end_time), run.start_time)
        values = {"status": name, "end_time": end_time, "run_name": run_name}
        arguments = (run_status, end_time, run_name)
        return self._write(Kind.STATUS, run_id, values, "update_run_info", *arguments) or (
            self._known_run(run_id).info
        )

    def shut_down_async_logging(self) -> None:
        """As MLflow's store. A run ends with this call, also if the store was never reached."""
        if self.remote.is_connected:
            self.remote.store.shut_down_async_logging()

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
    ) -> None:
        """As MLflow's store."""
        metrics = [self._steady(metric) for metric in metrics or ()]
        values: dict[str, Any] = {
            "metrics": [metric_values(metric) for metric in metrics],
            "params": {param.key: param.value for param in params or ()},
            "tags": {tag.key: tag.value for tag in tags or ()},
        }
        if self._mirror and run_id in self._mirror.runs:
            _validate_batch_log_data(metrics, list(params or ()), list(tags or ()))
            _check_params(self._mirror.runs[run_id].params, values["params"], run_id)
        self._write(Kind.LOGGED, run_id, values, "log_batch", metrics, params, tags)

    def log_metric(self, run_id: str, metric: Metric) -> None:
        """As MLflow's store."""
        self.log_batch(run_id, metrics=[metric])

    def log_param(self, run_id: str, param: Param) -> None:
        """As MLflow's store."""
        self.log_batch(run_id, params=[param])

    def set_tag(self, run_id: str, tag: RunTag) -> None:
        """As MLflow's store."""
        self.log_batch(run_id, tags=[tag])

    def log_inputs(
        self,
        run_id: str,
        datasets: Sequence[DatasetInput] | None = None,
        models: Sequence[LoggedModelInput] | None = None,
    ) -> None:
        """As MLflow's store."""
        values = {
            "datasets": [dataset_input_values(entry) for entry in datasets or ()],
            "models": [model.model_id for model in models or ()],
        }
        self._write(Kind.INPUTS, run_id, values, "log_inputs", datasets, models)

    def log_outputs(self, run_id: str, models: Sequence[LoggedModelOutput]) -> None:
        """As MLflow's store."""
        values = {"models": [[model.model_id, model.step] for model in models]}
        self._write(Kind.OUTPUTS, run_id, values, "log_outputs", models)

    def get_metric_history(
        self,
        run_id: str,
        metric_key: str,
        max_results: int | None = None,
        page_token: str | None = None,
    ) -> PagedList[Metric]:
        """As MLflow's store."""
        run = self._mirror and self._mirror.runs.get(run_id)
        if not run:
            arguments = (with_store_ids(run_id), metric_key)
            return self._ask(
                "get_metric_history", *arguments, max_results=max_results, page_token=page_token
            )
        history = run.history.get(metric_key, [])
        if run.adopted:
            history = [*self._ask("get_metric_history", run_id, metric_key), *history]
        return PagedList(history, None)

    def search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str,
        run_view_type: str,
        max_results: int = 1000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[MlflowRun]:
        """As MLflow's store, with the runs of the outbox as they are now.

        While the store is away, those of all its outboxes on this disk are found.
        """
        arguments = (filter_string, run_view_type, max_results, order_by, page_token)
        ids = [with_store_ids(experiment_id) for experiment_id in experiment_ids or ()]
        stored = [entry for entry in ids if not open_ids(entry)]
        mirror = self._mirror
        try:
            # MLflow takes no experiments for a search that finds nothing.
            found = self._ask("search_runs", stored, *arguments)
        except StoreAwayError:
            found = PagedList([], None)
            others = [Mirror(outbox) for outbox in read_outboxes(self.remote.key)]
            runs = [run for other in others for run in other.all_runs()]
        else:
            runs = mirror.all_runs() if mirror else []
        if page_token or not runs:
            return found
        mirrored = {name for run in runs for name in (run.info.run_id, store_id(run.info.run_id))}
        runs = [run for run in runs if with_store_ids(run.info.experiment_id) in ids]
        kept = [run for run in found if run.info.run_id not in mirrored]
        together = SearchUtils.sort(
            [*kept, *SearchUtils.filter(runs, filter_string)], list(order_by or ())
        )
        return PagedList(together[:max_results], found.token)

    # Logged models

    def create_logged_model(
        self,
        experiment_id: str,
        name: str | None = None,
        source_run_id: str | None = None,
        tags: Sequence[LoggedModelTag] | None = None,
        params: Sequence[LoggedModelParameter] | None = None,
        model_type: str | None = None,
    ) -> LoggedModel:
        """As MLflow's store; a model of a mirrored run is mirrored too."""
        mirror = self._mirror
        if not mirror or source_run_id not in mirror.runs:
            arguments = (experiment_id, name, source_run_id, tags, params, model_type)
            return self.remote.store.create_logged_model(*arguments)
        values: dict[str, Any] = {
            "experiment_id": experiment_id,
            "name": name,
            "source_run_id": source_run_id,
            "tags": {tag.key: tag.value for tag in tags or ()},
            "params": {param.key: param.value for param in params or ()},
            "model_type": model_type,
            "created": self._clock.now_ms(),
        }
        client_id = new_local_id()
        made = self._make(make_model, client_id, values)
        model_id = made.model_id if made else MODEL_MARK + client_id
        if made:
            values["tags"] = {**values["tags"], CLIENT_ID_TAG: client_id}
        self.session.add(Kind.MODEL, model_id, delivered=bool(made), tried=True, **values)
        return self.get_logged_model(model_id)

    def get_logged_model(self, model_id: str, allow_deleted: bool = False) -> LoggedModel:  # noqa: ARG002
        """As MLflow's store."""
        mirror = self._mirror
        if mirror and (model := mirror.model(model_id)):
            return model
        return self._ask_or_read("get_logged_model", model_id, lambda other: other.model(model_id))

    def search_logged_models(self, experiment_ids: list[str], *args: Any, **options: Any) -> Any:
        """As MLflow's store; nothing is found while the store is away."""
        stored = [entry for entry in map(with_store_ids, experiment_ids) if not open_ids(entry)]
        try:
            return self._ask("search_logged_models", stored, *args, **options)
        except StoreAwayError:
            return PagedList([], None)

    def finalize_logged_model(self, model_id: str, status: LoggedModelStatus) -> LoggedModel:
        """As MLflow's store."""
        values = {"status": str(status)}
        return self._write(
            Kind.MODEL_STATUS, model_id, values, "finalize_logged_model", status
        ) or self.get_logged_model(model_id)

    def set_logged_model_tags(self, model_id: str, tags: Sequence[LoggedModelTag]) -> None:
        """As MLflow's store."""
        values = {"tags": {tag.key: tag.value for tag in tags}}
        self._write(Kind.MODEL_TAGS, model_id, values, "set_logged_model_tags", tags)

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """As MLflow's store."""
        self._write(Kind.MODEL_TAG_DELETED, model_id, {"key": key}, "delete_logged_model_tag", key)

    def log_logged_model_params(
        self, model_id: str, params: Sequence[LoggedModelParameter]
    ) -> None:
        """As MLflow's store."""
        values = {"params": {param.key: param.value for param in params}}
        self._write(Kind.MODEL_PARAMS, model_id, values, "log_logged_model_params", params)

    def _steady(self, metric: Metric) -> Metric:
        timestamp = self._clock.corrected_ms(metric.timestamp)
        return Metric(**{**dict(metric), "timestamp": timestamp})

    def _known_run(self, run_id: str) -> MlflowRun:
        run = self.session.mirror.run(run_id)
        assert run is not None
        return run

    def _make(
        self, make: Callable[..., Any], client_id: str, values: Mapping[str, Any]
    ) -> Any | None:
        """Return what the store makes now, None if it does not answer, or depends on local ids."""
        text = with_store_ids(repr(values))
        if open_ids(text):
            return None
        resolved = {key: resolve_ids(value) for key, value in values.items()}
        try:
            return self.remote.make(partial(make, self.remote, client_id, resolved, tried=False))
        except StoreAwayError:
            return None

    def _write(
        self, kind: Kind, subject: str, values: dict[str, Any], method: str, *args: Any
    ) -> Any:
        """Write to a mirrored subject, or else to the store."""
        mirror = self._mirror
        if mirror and subject in mirror:
            self.session.add(kind, subject, **values)
            return None
        subject = with_store_ids(subject)
        if not self.has_session or asks_store.get():
            return getattr(self.remote.store, method)(subject, *args)
        try:
            return self.remote.ask(method, subject, *args)
        except StoreAwayError:
            self.session.add(kind, subject, **values)
            return None

    def _ask(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if self.has_session and not asks_store.get():
            return self.remote.ask(method, *args, **kwargs)
        return getattr(self.remote.store, method)(*args, **kwargs)

    def _ask_or_read(self, method: str, name: str, read: Callable[[Mirror], Any]) -> Any:
        """Ask the store, or read what another process's outbox has."""
        try:
            return self._ask(method, with_store_ids(name))
        except Exception as error:
            if not self.has_session:
                raise
            for outbox in read_outboxes(self.remote.key):
                if found := read(Mirror(outbox)):
                    return found
            raise error


@contextmanager
def mirroring() -> Iterator[None]:
    """Have the runs that are made in the block mirrored."""
    token = _mirrors_new_runs.set(True)
    try:
        yield
    finally:
        _mirrors_new_runs.reset(token)


def install() -> None:
    """Put an outbox before the stores that MLflow opens in this process from now on."""
    # MLflow would sleep for up to 51 seconds between attempts to reach a database.
    database.MAX_RETRY_COUNT = 1
    stores = tracking_service._tracking_store_registry
    registries = registry_service._get_store_registry()
    for registry, build, schemes in (
        (stores, _build, SCHEMES),
        (registries, _build_registry, SERVER_SCHEMES),
    ):
        for scheme in schemes:
            builder = registry._registry[scheme]
            if not isinstance(builder, partial):
                registry.register(scheme, partial(build, builder))
        registry._get_store_with_resolved_uri.cache_clear()


class RetryingRegistry:
    """A registry of MLflow's that is asked again where it does not answer, for a few seconds.

    It stands in for MLflow's own retries, which would hold work up for minutes. What makes a
    version is not sent twice.
    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self._remote.store, name)
        store = current_store()
        if not callable(found) or store is None or not store.has_session:
            return found
        self._remote.note_answer()  # nobody else finds out when it is back
        call = self._remote.try_once if name.startswith("create") else self._remote.ask
        return partial(call, name)


def _build_registry(builder: Callable[..., Any], store_uri: str) -> RetryingRegistry:
    return RetryingRegistry(Remote(store_uri, partial(builder, store_uri=store_uri)))


def _build(builder: Callable[..., Any], store_uri: str, artifact_uri: str | None) -> OutboxStore:
    return OutboxStore(store_uri, partial(builder, store_uri=store_uri, artifact_uri=artifact_uri))


def current_store() -> OutboxStore | None:
    """Return the store of the current tracking URI; None if its kind has no outbox."""
    store = tracking_service._get_store()
    return store if isinstance(store, OutboxStore) else None


def current_outboxes() -> Iterator[Outbox]:
    """Yield all outboxes for the current tracking URI, the oldest first."""
    return read_outboxes(store_key(tracking_service.get_tracking_uri()))


def _check_params(known: Mapping[str, str], new: Mapping[str, str], run_id: str) -> None:
    for key, value in new.items():
        if known.get(key, value) != value:
            raise MlflowException(
                f"Changing param values is not allowed. Param with key={key!r} was already logged "
                f"with value={known[key]!r} for run ID={run_id!r}. Attempted logging new value "
                f"{value!r}.",
                INVALID_PARAMETER_VALUE,
            )
