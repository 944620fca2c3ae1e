"""The tags and metrics of each step's runs as typed records.

This module alone spells the tags of runs and of registered versions, and the names of metrics that
are read back. A step returns its record; :meth:`Record.read` gives the same record of a run that
finished earlier.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, ClassVar, Self, TypedDict, get_type_hints

from ..config.loading import preset_name
from ..data.running_text import KINDS
from ..errors import ModelError, TrackingError
from ..redaction import one_line
from .queries import STEP_TAG, RunSummary, latest_run, read_run, runs_with_tags
from .run import Run
from .steps import Step

ONNX_FOLDER = "onnx"
"""The artifact folder of an export run that holds a folder for each variant."""
FOREIGN = "foreign"
"""The step of runs that this package did not make, in messages."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """The part that all records share.

    Each field but ``run_id`` and ``metrics`` is a tag of the run; an empty string is not written.
    Runs whose results are equal have an equal ``cache_key``; ``preset`` names the settings that a
    training began with, see :func:`note_preset`, and ``seed`` is its seed. What is made from a
    model has those of its training.
    """

    STEP: ClassVar[Step]
    NO_TAGS: ClassVar[tuple[str, ...]] = ("run_id", "metrics")

    run_id: str
    cache_key: str = ""
    preset: str = field(default="", compare=False)
    seed: str = field(default="", compare=False)

    def write(self, run: Run) -> None:
        """Write the record's tags to a run, in one request."""
        run.set_tags(self.tags())

    def tags(self) -> dict[str, str]:
        """Return the record's tags."""
        values = {name: getattr(self, name) for name in sorted(self._tag_names())}
        return {name: _to_text(value) for name, value in values.items() if value != ""}

    @classmethod
    def read(cls, run_id: str) -> Self:
        """Return the record of a run.

        Raises:
            TrackingError: there is no such run, it is of another step, or it lacks a tag.
        """
        return cls.from_run(read_run(run_id))

    @classmethod
    def from_run(cls, run: RunSummary) -> Self:
        """Return the record of a run that was found in the store.

        Raises:
            TrackingError: the run is of another step, or it lacks a tag.
        """
        if run.step != cls.STEP:
            raise TrackingError(
                f"run {run.id} is a {run.step or FOREIGN} run, not a {cls.STEP} run: "
                f"give the id of a {cls.STEP} run"
            )
        types = get_type_hints(cls)
        names = cls._tag_names()
        values: dict[str, Any] = {
            name: _from_text(run.tags[name], types[name]) for name in names & run.tags.keys()
        }
        if "metrics" in types:
            values["metrics"] = run.metrics
        required = {entry.name for entry in fields(cls) if not _has_default(entry)} - {"run_id"}
        if missing := required - values.keys():
            raise TrackingError(
                f"{cls.STEP} run {run.id} ({run.status}) lacks the tag {min(missing)!r}: "
                "it ended early, or an earlier version of this package made it: run the step again"
            )
        return cls(run_id=run.id, **values)

    @classmethod
    def latest(cls, experiment_id: str) -> Self | None:
        """Return the record of the experiment's last finished run of the step, None without one."""
        run_id = latest_run(cls.STEP, experiment_id)
        return cls.read(run_id) if run_id else None

    @classmethod
    def _tag_names(cls) -> set[str]:
        return {entry.name for entry in fields(cls)} - set(cls.NO_TAGS)


@dataclass(frozen=True, kw_only=True)
class DataRecord(Record):
    """A prepared dataset: its name, the fingerprint of its content, and its licence if known."""

    STEP: ClassVar[Step] = Step.DATA

    dataset: str
    dataset_fingerprint: str
    license: str = ""


@dataclass(frozen=True, kw_only=True)
class _OnDataset(Record):
    """A record of a step that works on a prepared dataset, that of ``data_run``."""

    data_run: str
    dataset: str
    dataset_fingerprint: str


@dataclass(frozen=True, kw_only=True)
class TrainRecord(_OnDataset):
    """A fitted model; ``model_uri`` is empty where it was not logged.

    ``recipe`` is equal for trainings whose settings differ in the seed alone.
    """

    STEP: ClassVar[Step] = Step.TRAIN

    model_uri: str = ""
    recipe: str = ""
    adaptation: str = ""
    backbone: str = ""
    backbone_revision: str = ""
    backbone_sha256: str = ""
    backbone_license: str = ""
    precision: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict, compare=False)

    @property
    def validation_f1(self) -> float:
        """Validation F1 of the epoch that was kept."""
        return self.metrics["best_validation/f1"]


@dataclass(frozen=True, kw_only=True)
class EvaluateRecord(_OnDataset):
    """Scores of a model, named by its address, on one split.

    ``variant`` names that of an exported file; it is empty for a PyTorch model. A model and the
    files exported from it have the same ``train_run``, if that is known.
    """

    STEP: ClassVar[Step] = Step.EVALUATE

    model: str
    split: str
    variant: str = ""
    train_run: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict, compare=False)

    @property
    def scores(self) -> dict[str, float]:
        """The metrics without the name of the split: ``f1``, ``OS/f1``, ``f1_low``, ..."""
        prefix = f"{self.split}/"
        return {
            name.removeprefix(prefix): value
            for name, value in self.metrics.items()
            if name.startswith(prefix)
        }

    @property
    def text_kind(self) -> str:
        """The kind of running text that was scored too, ``raw`` or ``standin``; empty: none."""
        return next((kind for kind in KINDS if f"{kind}/f1" in self.metrics), "")

    @property
    def text_scores(self) -> dict[str, float]:
        """The scores in running text without its kind: ``f1``, ``OS/f1``, ``f1_low``, ..."""
        prefix = f"{self.text_kind}/"
        return {
            name.removeprefix(prefix): value
            for name, value in self.metrics.items()
            if name.startswith(prefix)
        }


@dataclass(frozen=True, kw_only=True)
class ExportRecord(_OnDataset):
    """The variants of a model as ONNX files, and the logged model that serves one of them.

    ``model`` is the address of the trained model and ``train_run`` the run that it comes from, if
    that is known; ``served_fingerprint`` is the fingerprint of the served files.
    """

    STEP: ClassVar[Step] = Step.EXPORT

    model: str
    model_uri: str = ""
    train_run: str = ""
    onnx_model_uri: str = ""
    served_variant: str = ""
    served_fingerprint: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict, compare=False)

    @property
    def variants(self) -> dict[str, dict[str, float]]:
        """The metrics of each variant, such as ``validation_f1`` and ``latency/real/p50_ms``."""
        variants: dict[str, dict[str, float]] = {}
        for name, value in self.metrics.items():
            variant, _, metric = name.partition("/")
            variants.setdefault(variant, {})[metric] = value
        return {name: values for name, values in variants.items() if "validation_f1" in values}

    def variant_uri(self, variant: str) -> str:
        """Return the address of a variant's folder."""
        return f"runs:/{self.run_id}/{ONNX_FOLDER}/{variant}"

    @property
    def served_metrics(self) -> dict[str, float]:
        """The metrics of the served variant."""
        return self.variants[self.served_variant]

    @property
    def text_kind(self) -> str:
        """The kind of running text that the proof scored, ``raw`` or ``standin``; empty: none."""
        names = self.served_metrics
        return next((kind for kind in KINDS if f"validation_{kind}_f1" in names), "")


def variant_metrics(variant: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of a variant under the names that :class:`ExportRecord` reads."""
    return {f"{variant}/{name}": value for name, value in metrics.items()}


@dataclass(frozen=True, kw_only=True)
class PromoteRecord(Record):
    """A verdict on a registered version, or a rollback, and what came of it."""

    STEP: ClassVar[Step] = Step.PROMOTE

    candidate: str
    champion: str
    alias: str
    reason: str = ""
    passed: bool = False
    outcome: str = ""
    forced: str = ""


class Outcome(StrEnum):
    """What came of a promotion or a rollback, the tag ``ner.outcome`` of its run."""

    PROMOTED = "promoted"
    FORCED = "forced"
    REFUSED = "refused"
    DRY_RUN = "dry run"
    ROLLED_BACK = "rolled back"
    HELD = "held"
    """The candidate had the alias already when it was to get it: another run was faster."""


@dataclass(frozen=True, kw_only=True)
class SweepRecord(_OnDataset):
    """A study, its best trial and the registered version of its best final model."""

    STEP: ClassVar[Step] = Step.SWEEP

    study: str
    best_trial: int = -1
    best_trial_run: str = ""
    best_params: str = ""
    best_train_run: str = ""
    registered_version: str = ""


@dataclass(frozen=True, kw_only=True)
class JoinRecord(Record):
    """A machine that runs trials of a sweep of another machine."""

    STEP: ClassVar[Step] = Step.SWEEP_JOIN

    study: str
    sweep_run: str
    data_run: str


@dataclass(frozen=True, kw_only=True)
class TrialRecord(Record):
    """A trial of a study; ``trial_params`` is JSON, ``trial_state`` as in the sweep's table."""

    STEP: ClassVar[Step] = Step.TRIAL

    study: str
    trial_number: int
    trial_params: str
    trial_state: str = "running"
    trial_reason: str = ""

    def with_state(self, state: str, reason: object = "") -> Self:
        """Return the record in another state, for a reason that is cut to one line."""
        return replace(self, trial_state=state, trial_reason=one_line(reason, limit=1000))


def trial_runs(experiment_id: str, study: str) -> list[RunSummary]:
    """Return the runs of a study's trials."""
    return runs_with_tags(experiment_id, {STEP_TAG: Step.TRIAL, "study": study})


@dataclass(frozen=True, kw_only=True)
class CompareRecord(Record):
    """A report of several train runs; ``compared_runs`` holds their ids, commas between."""

    STEP: ClassVar[Step] = Step.COMPARE

    dataset: str
    dataset_fingerprint: str
    compared_runs: str


@dataclass(frozen=True, kw_only=True)
class RobustnessRecord(_OnDataset):
    """Scores of a model on perturbed sentences."""

    STEP: ClassVar[Step] = Step.ROBUSTNESS

    model: str


@dataclass(frozen=True, kw_only=True)
class PromptRecord(_OnDataset):
    """Scores of a language model; ``prompt`` names the registered prompt of a child run."""

    STEP: ClassVar[Step] = Step.PROMPT

    endpoint: str = ""
    prompt: str = ""
    language_model: str = ""


@dataclass(frozen=True, kw_only=True)
class PredictRecord(Record):
    """A corpus that a model tagged."""

    STEP: ClassVar[Step] = Step.PREDICT

    model: str
    model_id: str
    model_fingerprint: str
    input: str
    output: str


@dataclass(frozen=True, kw_only=True)
class MainRecord(Record):
    """The best preset of the main job, its train run and the registered version."""

    STEP: ClassVar[Step] = Step.MAIN

    dataset: str
    dataset_fingerprint: str
    best_preset: str
    best_train_run: str
    registered_version: str = ""


class DatasetFields(TypedDict):
    """The fields of a record that name the prepared dataset a step works on."""

    data_run: str
    dataset: str
    dataset_fingerprint: str


RECORDS: tuple[type[Record], ...] = (
    DataRecord,
    TrainRecord,
    EvaluateRecord,
    ExportRecord,
    PromoteRecord,
    SweepRecord,
    JoinRecord,
    TrialRecord,
    CompareRecord,
    RobustnessRecord,
    PromptRecord,
    PredictRecord,
    MainRecord,
)
"""One record for each step."""


@dataclass(frozen=True, kw_only=True)
class VersionOrigin:
    """Where a registered version comes from, as tags of the version; empty fields are unknown."""

    variant: str = ""
    export_run: str = ""
    train_run: str = ""
    evaluate_run: str = ""
    model: str = ""
    preset: str = ""

    def tags(self) -> dict[str, str]:
        """Return the tags of the version."""
        values = {entry.name: str(getattr(self, entry.name)) for entry in fields(self)}
        return {name: value for name, value in values.items() if value}

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> Self:
        """Return the origin that :meth:`tags` described."""
        names = {entry.name for entry in fields(cls)}
        return cls(**{name: value for name, value in tags.items() if name in names})


def logged_model_uri(run_id: str) -> str:
    """Return the address of the model that a train or export run logged.

    Raises:
        TrackingError: there is no such run.
        ModelError: the run logged no model.
    """
    run = read_run(run_id)
    if run.step not in (Step.TRAIN, Step.EXPORT) or not run.tags.get("model_uri"):
        raise ModelError(
            f"run {run_id} ({run.step or FOREIGN}) logged no model: give a train or export run"
        )
    return run.tags["model_uri"]


def dataset_of(run_id: str) -> DataRecord | None:
    """Return the dataset that a run worked on, None where the run has none.

    Raises:
        TrackingError: there is no such run.
    """
    tags = read_run(run_id).tags
    names = ("data_run", "dataset", "dataset_fingerprint")
    if any(name not in tags for name in names):
        return None
    return DataRecord(
        run_id=tags["data_run"],
        dataset=tags["dataset"],
        dataset_fingerprint=tags["dataset_fingerprint"],
    )


def note_children(run: Run, children: Mapping[str, str]) -> None:
    """Note in a run which runs its parts are, by name, whether they were made or reused."""
    run.set_tags({f"child.{name}": run_id for name, run_id in children.items()})


def note_preset(run: Run, preset: str) -> None:
    """Note in a run which preset its settings came from."""
    run.preset = preset_name(preset)
    run.set_tags({"preset": run.preset})


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """The training that a model comes from, and the variant of an exported one.

    What is not known is empty.
    """

    preset: str = ""
    seed: str = ""
    variant: str = ""
    train_run: str = ""

    @property
    def label(self) -> str:
        """A short name of the model, without its seed."""
        return " ".join(filter(None, (self.preset, self.variant)))

    @property
    def fields(self) -> "LineageFields":
        """The fields of a record of what is made from the model."""
        return {"preset": self.preset, "seed": self.seed}


class LineageFields(TypedDict):
    """The fields of a record that name the training it goes back to."""

    preset: str
    seed: str


def lineage_of(run_id: str | None, variant: str = "") -> Lineage:
    """Return the lineage of a model that a train or export run made.

    Args:
        run_id: the id of the run; None: the model comes from no run.
        variant: the variant of its files; empty: that which the export run serves.

    Raises:
        TrackingError: there is no such run.
    """
    if run_id is None:
        return Lineage()
    run = read_run(run_id)
    return Lineage(
        preset=run.tags.get("preset", ""),
        seed=run.tags.get("seed", ""),
        variant=variant or run.tags.get("served_variant", ""),
        train_run=run_id if run.step == Step.TRAIN else run.tags.get("train_run", ""),
    )


def seed_text(seed: str) -> str:
    """Return a seed as the names of runs show it, empty without one."""
    return f"seed {seed}" if seed else ""


def resume_key(run_id: str) -> str:
    """Return the cache key that a run began with, empty without one."""
    return read_run(run_id).tags.get("cache_key", "")


def _has_default(entry: Field[Any]) -> bool:
    return entry.default is not MISSING or entry.default_factory is not MISSING


def _to_text(value: str | bool | int | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _from_text(text: str, type_: type) -> str | bool | int | float:
    if type_ is bool:
        return text == "true"
    return type_(text)  # type: ignore[no-any-return]
