"""What the runs of a store say about models: names, scores, and sentences about them."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from ..errors import TrackingError
from ..evaluation.comparison import pareto_front
from ..evaluation.conclusion import FEWEST_ENTITIES
from ..tracking.overview import ModelSummary, VersionSummary
from ..tracking.queries import RunSummary
from ..tracking.records import EvaluateRecord, ExportRecord, Outcome, PromoteRecord

CHAMPION = "champion"
"""The alias whose version a model is shown with first."""
NOT_TYPES = ("semeval/", "surface/")
"""Starts of scores that are no type's."""
LATENCIES = ("latency/real/p50_ms", "latency/p50_ms")
"""Names of a variant's median latency, the best first."""
_KINDS = {Outcome.PROMOTED: "good", Outcome.FORCED: "good", Outcome.REFUSED: "bad", "failed": "bad"}
_UNDECIDED = {"RUNNING": "running", "KILLED": "stopped"}
_VARIANT = re.compile(r"runs:/[0-9a-f]+/onnx/(?P<variant>[^/]+)")
_VERSION = re.compile(r"models:/(?P<name>[^/@]+)[/@](?P<version>[^/]+)")


@dataclass(frozen=True)
class Score:
    """An F1 and its confidence interval, from 0 to 1; the ends are NaN where none was computed."""

    f1: float
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        if math.isnan(self.low):
            return f"{self.f1:.3f}"
        return f"{self.f1:.3f} ({self.low:.3f}–{self.high:.3f})"

    @property
    def interval(self) -> str:
        """The interval in words, empty where there is none."""
        return "" if math.isnan(self.low) else f"95 % interval {self.low:.3f} to {self.high:.3f}"


@dataclass(frozen=True)
class TypeScore:
    """The score of one entity type, and the number of its gold entities."""

    type: str
    score: Score
    support: int


@dataclass(frozen=True)
class Scored:
    """A model's scores on one split, as an evaluate run tracked them.

    Attributes:
        run: the run.
        record: its record.
        name: a short name of the model.
        score: F1 on given words.
        types: F1 of each type that has gold or predicted entities.
        text_score: F1 in running text; None if it was not scored.
    """

    run: RunSummary
    record: EvaluateRecord
    name: str
    score: Score
    types: tuple[TypeScore, ...]
    text_score: Score | None

    @property
    def weakest(self) -> TypeScore | None:
        """The type whose F1 is lowest; None where fewer than two have enough gold entities."""
        known = [type_ for type_ in self.types if type_.support >= FEWEST_ENTITIES]
        return min(known, key=lambda type_: type_.score.f1) if len(known) > 1 else None

    @property
    def group(self) -> tuple[str, str, str]:
        """What scores must share to be compared: dataset, its fingerprint, and split."""
        record = self.record
        return record.dataset, record.dataset_fingerprint, record.split

    @property
    def trained(self) -> str:
        """What the model and its exported files share: their training, or else the address."""
        return self.record.train_run or self.record.model

    @property
    def is_file(self) -> bool:
        """Whether an exported file was scored, not the model that it was made from."""
        return bool(self.record.variant or _VARIANT.match(self.record.model))


@dataclass(frozen=True)
class Variant:
    """An exported file as its export run measured it; ``latency_ms`` is NaN if it was not timed."""

    run: RunSummary
    address: str
    model: str
    variant: str
    score: Score
    size_mb: float
    latency_ms: float
    served: bool

    @property
    def name(self) -> str:
        """The model and the variant."""
        return f"{self.model} {self.variant}"


@dataclass(frozen=True)
class Promotion:
    """One decision about an alias."""

    when_ms: int
    candidate: str
    champion: str
    alias: str
    outcome: str
    reason: str
    run_id: str

    @property
    def kind(self) -> str:
        """``good`` if the candidate got the alias, ``bad`` if it was refused, else empty."""
        return _KINDS.get(self.outcome, "")


def scored(run: RunSummary) -> Scored | None:
    """Return the scores of an evaluate run, None if it scored no model."""
    try:
        record = EvaluateRecord.from_run(run)
    except TrackingError:  # it compares several models, or ended early
        return None
    scores = record.scores
    if "f1" not in scores:
        return None
    types = [
        name.removesuffix("/support")
        for name in scores
        if name.endswith("/support") and not name.startswith(NOT_TYPES)
    ]
    return Scored(
        run,
        record,
        model_name(run, record.model),
        _score(scores, ""),
        tuple(
            TypeScore(type_, _score(scores, f"{type_}/"), round(scores[f"{type_}/support"]))
            for type_ in sorted(types)
        ),
        _score(record.text_scores, "") if record.text_kind else None,
    )


def model_name(run: RunSummary, address: str) -> str:
    """Return a short name of the model at an address that a run worked on, without its seed."""
    match = _VARIANT.match(address)
    variant = run.tags.get("variant", "") or (match["variant"] if match else "")
    name = " ".join(filter(None, (run.tags.get("preset", ""), variant)))
    return name or _version_of(address) or run.name or address


def distinct(runs: Sequence[RunSummary], names: Sequence[str]) -> list[str]:
    """Return names of which no two are equal.

    Equal ones get the seed of their training, and if that does not help the start of their run's
    id.
    """
    seeds = [f"seed {run.tags['seed']}" if run.tags.get("seed") else "" for run in runs]
    found = list(names)
    for extras in (seeds, [run.id[:6] for run in runs]):
        counts, wanted = Counter(found), list(extras)
        found = [
            f"{name} · {extra}" if counts[name] > 1 and extra else name
            for name, extra in zip(found, wanted, strict=True)
        ]
    return found


def count_models(all_scored: Sequence[Scored]) -> str:
    """Return how many trained models and how many exported files were scored, in words."""
    files = sum(one.is_file for one in all_scored)
    counts = ((len(all_scored) - files, "model"), (files, "exported file"))
    return " and ".join(f"{count} {name}{'s' * (count != 1)}" for count, name in counts if count)


def latest_of_each(all_scored: Iterable[Scored]) -> list[Scored]:
    """Return the first of each model, dataset and split; the given order is the latest first."""
    kept: dict[tuple[str, ...], Scored] = {}
    for one in all_scored:
        kept.setdefault((one.record.model, *one.group), one)
    return list(kept.values())


def variants(run: RunSummary) -> list[Variant]:
    """Return the files of an export run, empty if it ended early."""
    try:
        record = ExportRecord.from_run(run)
    except TrackingError:
        return []
    name = model_name(run, record.model)
    found = []
    for variant, metrics in record.variants.items():
        latency = next((metrics[key] for key in LATENCIES if key in metrics), math.nan)
        found.append(
            Variant(
                run,
                record.variant_uri(variant),
                name.removesuffix(f" {variant}"),
                variant,
                Score(
                    metrics["validation_f1"],
                    metrics.get("validation_f1_low", math.nan),
                    metrics.get("validation_f1_high", math.nan),
                ),
                metrics.get("size_bytes", math.nan) / 1e6,
                latency,
                variant == record.served_variant,
            )
        )
    return found


def on_front(costs: Sequence[float], gains: Sequence[float]) -> list[bool]:
    """Return whether each point is on the Pareto front; one without a cost is not."""
    known = [index for index, cost in enumerate(costs) if not math.isnan(cost)]
    front = pareto_front(
        np.array([costs[index] for index in known], dtype=float),
        np.array([gains[index] for index in known], dtype=float),
    )
    best = {index for index, is_best in zip(known, front, strict=True) if is_best}
    return [index in best for index in range(len(costs))]


def alias_of(model: ModelSummary) -> str:
    """Return the alias that a model is shown with; empty: it has none."""
    if CHAMPION in model.aliases:
        return CHAMPION
    promoted = [alias for alias in model.aliases if alias in model.histories]
    return next(iter([*promoted, *sorted(model.aliases)]), "")


def promotion(run: RunSummary) -> Promotion | None:
    """Return the decision that a promote run tracked, None if it ended before it made one."""
    try:
        record = PromoteRecord.from_run(run)
    except TrackingError:
        return None
    outcome = record.outcome or _UNDECIDED.get(run.status, "failed")
    reason = record.reason or run.tags.get("error", "")
    return Promotion(
        run.started_ms,
        record.candidate,
        record.champion,
        record.alias,
        outcome,
        reason,
        run.id,
    )


def date(milliseconds: int) -> str:
    """Return a time in UTC, to the minute."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def version_label(version: VersionSummary, model: ModelSummary) -> str:
    """Return a version with its aliases."""
    aliases = [alias for alias, number in model.aliases.items() if number == version.version]
    return " · ".join([f"{version.name} version {version.version}", *sorted(aliases)])


def differing(
    config: Mapping[str, object], defaults: Mapping[str, object]
) -> list[tuple[str, ...]]:
    """Return key, value and default of the settings that differ from the defaults."""
    return [
        (key, _text(value), _text(defaults[key]) if key in defaults else "–")
        for key, value in config.items()
        if key not in defaults or _text(value) != _text(defaults[key])
    ]


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value)


def _score(scores: Mapping[str, float], prefix: str) -> Score:
    low, high = (scores.get(f"{prefix}f1_{end}", math.nan) for end in ("low", "high"))
    return Score(scores.get(f"{prefix}f1", math.nan), low, high)


def _version_of(address: str) -> str:
    match = _VERSION.match(address)
    if match:
        return f"{match['name']} version {match['version']}"
    return ""
