"""The mirror: runs and logged models as they are after the operations of an outbox.

A process reads its own runs here. It sees at once what it wrote, also what waits for the store.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlflow.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    ExperimentTag,
    InputTag,
    LifecycleStage,
    LoggedModel,
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
    RunStatus,
    RunTag,
)
from mlflow.entities import Run as MlflowRun
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME

from .outbox import Kind, Operation, Outbox

METRIC_FIELDS = ("key", "value", "timestamp", "step", "model_id", "dataset_name", "dataset_digest")
DATASET_FIELDS = ("name", "digest", "source_type", "source", "schema", "profile")


@dataclass
class MirroredRun:
    """A run; ``history`` holds the metrics logged since this process opened it.

    ``adopted`` tells that it began earlier, so that the store may hold more.
    """

    id: str
    experiment_id: str
    user_id: str
    start_time: int
    name: str
    status: str
    adopted: bool
    end_time: int | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)
    history: dict[str, list[Metric]] = field(default_factory=dict)
    datasets: list[DatasetInput] = field(default_factory=list)
    models: list[LoggedModelInput] = field(default_factory=list)
    outputs: list[LoggedModelOutput] = field(default_factory=list)


@dataclass
class MirroredModel:
    """A logged model."""

    id: str
    experiment_id: str
    name: str
    source_run_id: str | None
    model_type: str | None
    created: int
    status: str = str(LoggedModelStatus.PENDING)
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)


class Mirror:
    """Runs, logged models and new experiments of an outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.runs: dict[str, MirroredRun] = {}
        self.models: dict[str, MirroredModel] = {}
        self.experiments: dict[str, Experiment] = {}
        for operation in outbox.operations():
            self.apply(operation)

    def apply(self, operation: Operation) -> None:
        """Do an operation."""
        subject, values = operation.subject, operation.payload
        match operation.kind:
            case Kind.EXPERIMENT:
                tags = [ExperimentTag(*tag) for tag in values["tags"].items()]
                active = LifecycleStage.ACTIVE
                self.experiments[subject] = Experiment(subject, values["name"], "", active, tags)
            case Kind.EXPERIMENT_TAG if experiment := self.experiments.get(subject):
                experiment._add_tag(ExperimentTag(values["key"], values["value"]))
            case Kind.RUN | Kind.ADOPTED_RUN:
                metrics = [metric_from(entry) for entry in values.get("metrics", ())]
                self.runs[subject] = MirroredRun(
                    id=subject,
                    experiment_id=values["experiment_id"],
                    user_id=values["user_id"],
                    start_time=values["start_time"],
                    name=values["run_name"],
                    status=values.get("status", RunStatus.to_string(RunStatus.RUNNING)),
                    adopted=operation.kind is Kind.ADOPTED_RUN,
                    params=dict(values.get("params", {})),
                    tags=dict(values["tags"]),
                    metrics={metric.key: metric for metric in metrics},
                )
            case Kind.MODEL:
                self.models[subject] = MirroredModel(id=subject, **values)
            case Kind.MODEL_TAGS if model := self.models.get(subject):
                model.tags |= values["tags"]
            case Kind.MODEL_TAG_DELETED if model := self.models.get(subject):
                model.tags.pop(values["key"], None)
            case Kind.MODEL_PARAMS if model := self.models.get(subject):
                model.params |= values["params"]
            case Kind.MODEL_STATUS if model := self.models.get(subject):
                model.status = values["status"]
            case _ if run := self.runs.get(subject):
                _change_run(run, operation)

    def __contains__(self, subject: str) -> bool:
        """Return whether an id is that of a run, logged model or experiment here."""
        return subject in self.runs or subject in self.models or subject in self.experiments

    def run(self, run_id: str) -> MlflowRun | None:
        """Return a run as MLflow describes it, None if it is not here."""
        run = self.runs.get(run_id)
        return run and self._entity(run)

    def all_runs(self) -> list[MlflowRun]:
        """Return all runs as MLflow describes them."""
        return [self._entity(run) for run in self.runs.values()]

    def model(self, model_id: str) -> LoggedModel | None:
        """Return a logged model as MLflow describes it, None if it is not here."""
        model = self.models.get(model_id)
        return model and LoggedModel(
            experiment_id=model.experiment_id,
            model_id=model.id,
            name=model.name,
            artifact_location=self._outbox.artifact_folder(model.id).as_uri(),
            creation_timestamp=model.created,
            last_updated_timestamp=model.created,
            model_type=model.model_type,
            source_run_id=model.source_run_id,
            status=LoggedModelStatus(model.status),
            tags=dict(model.tags),
            params=dict(model.params),
        )

    def _entity(self, run: MirroredRun) -> MlflowRun:
        info = RunInfo(
            run_id=run.id,
            experiment_id=run.experiment_id,
            user_id=run.user_id,
            status=run.status,
            start_time=run.start_time,
            end_time=run.end_time,
            lifecycle_stage=LifecycleStage.ACTIVE,
            artifact_uri=self._outbox.artifact_folder(run.id).as_uri(),
            run_name=run.name,
        )
        data = RunData(
            metrics=list(run.metrics.values()),
            params=[Param(*entry) for entry in run.params.items()],
            tags=[RunTag(*entry) for entry in run.tags.items()],
        )
        inputs = RunInputs(list(run.datasets), list(run.models))
        return MlflowRun(info, data, inputs, RunOutputs(list(run.outputs)))


def _change_run(run: MirroredRun, operation: Operation) -> None:
    values = operation.payload
    match operation.kind:
        case Kind.LOGGED:
            run.params |= values["params"]
            run.tags |= values["tags"]
            run.name = values["tags"].get(MLFLOW_RUN_NAME, run.name)
            for metric in map(metric_from, values["metrics"]):
                run.history.setdefault(metric.key, []).append(metric)
                latest = run.metrics.get(metric.key)
                if latest is None or _order(metric) >= _order(latest):
                    run.metrics[metric.key] = metric
        case Kind.STATUS:
            run.status = values["status"] or run.status
            run.end_time = values["end_time"]
            run.name = values["run_name"] or run.name
            run.tags[MLFLOW_RUN_NAME] = run.name
        case Kind.INPUTS:
            run.datasets += [dataset_input_from(entry) for entry in values["datasets"]]
            run.models += [LoggedModelInput(name) for name in values["models"]]
        case Kind.OUTPUTS:
            run.outputs += [LoggedModelOutput(*entry) for entry in values["models"]]


def _order(metric: Metric) -> tuple[int, int, float]:
    """Return what MLflow orders the values of a metric by, to find the latest."""
    return metric.step, metric.timestamp, metric.value


def metric_values(metric: Metric) -> list[Any]:
    """Return a metric as an operation holds it."""
    return [getattr(metric, name) for name in METRIC_FIELDS]


def metric_from(values: Iterable[Any]) -> Metric:
    """Return the metric that :func:`metric_values` described."""
    return Metric(**dict(zip(METRIC_FIELDS, values, strict=True)))


def dataset_input_values(entry: DatasetInput) -> dict[str, Any]:
    """Return a dataset input as an operation holds it."""
    values = {name: getattr(entry.dataset, name) for name in DATASET_FIELDS}
    return {**values, "tags": {tag.key: tag.value for tag in entry.tags}}


def dataset_input_from(values: Mapping[str, Any]) -> DatasetInput:
    """Return the dataset input that :func:`dataset_input_values` described."""
    dataset = Dataset(**{name: values[name] for name in DATASET_FIELDS})
    return DatasetInput(dataset, [InputTag(*entry) for entry in values["tags"].items()])
