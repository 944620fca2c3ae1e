"""Register the model that an export serves, with a card made from what was tracked."""

import logging
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from huggingface_hub import ModelCard

from ..config.schema import Config, EvaluateConfig
from ..data.running_text import RAW, STANDIN
from ..data.sentences import VALIDATION
from ..evaluation.conclusion import FEWEST_ENTITIES
from ..exporting.hub_folder import push_hub_folder, write_hub_folder
from ..exporting.model_card import ModelFacts, ServedScores, describe_card, model_card
from ..exporting.variants import CONFIDENCE_LEVEL
from ..provenance import git_commit
from ..tracking.lifecycle import run_link
from ..tracking.models import find_model
from ..tracking.queries import download, read_run
from ..tracking.records import DataRecord, EvaluateRecord, ExportRecord, TrainRecord, VersionOrigin
from ..tracking.registration import CARD_LIMIT, add_model_card, register
from ..tracking.run import Run, temporary_folder
from ..tracking.steps import Step
from .data import TrackedDataset
from .evaluate import evaluate_once
from .export import warning_of_loss

log = logging.getLogger(__name__)

TEXT_NAMES = {RAW: "raw texts", STANDIN: "texts joined from its words, a stand-in for running text"}
"""How a card names each kind of running text."""
VERSIONS = ("mlflow", "onnxruntime", "tokenizers", "transformers", "torch")


def register_served(
    run: Run,
    export: ExportRecord,
    served: EvaluateRecord,
    data: TrackedDataset,
    name: str,
    alias: str | None,
    config: Config,
    first_alias: str | None = None,
) -> str | None:
    """Register the model that an export serves; give it the alias, if there is one.

    Its card is stored with the logged model as ``README.md`` and in the run as ``model_card.md``,
    and is the version's description. A loss from given words to running text beyond
    ``export.served_loss_limit`` is logged, and the card says so.

    Args:
        run: the open run.
        export: the export.
        served: the evaluation of the file that it serves.
        data: the dataset of both.
        name: the name of the registered model.
        alias: the alias; None: none.
        config: the limit, and the confidence level of the scores' intervals.
        first_alias: an alias that a version that had to wait gets, unless another version has it.

    Returns:
        The version; None if it waits until the tracking store answers.
    """
    warn_of_loss(export, config)
    train = train_record(export)
    origin = VersionOrigin(
        preset=export.preset,
        variant=export.served_variant,
        train_run=train.run_id if train else "",
        evaluate_run=served.run_id,
        export_run=export.run_id,
        model=export.model,
    )

    def describe(address: str) -> str:
        card = card_of(export, served, data, name, f'"{address}"', config)
        add_model_card(export.model_uri, str(card))
        run.log_markdown("model_card", str(card.text).strip())
        link = run_link(run.experiment_id, served.run_id)
        return f"{describe_card(card, CARD_LIMIT)}\n\n[Evaluation of this file]({link})"

    timeout_s = config.promote.lock_timeout_s
    return register(export.model_uri, name, alias, origin, describe, timeout_s, first_alias)


def warn_of_loss(export: ExportRecord, config: Config) -> None:
    """Log a loss from given words to running text beyond ``export.served_loss_limit``."""
    if warning := warning_of_loss(export, config.export):
        log.warning("%s", warning)


def card_of(
    export: ExportRecord,
    served: EvaluateRecord,
    data: TrackedDataset,
    name: str,
    location: str,
    config: Config,
) -> ModelCard:
    """Return the card of the model that an export serves.

    Args:
        export: the export.
        served: the evaluation of the file that it serves.
        data: the dataset of both.
        name: the name on top.
        location: the Python expression that ``mlflow.pyfunc.load_model`` takes.
        config: the limit of the loss that the card warns of, and the confidence level of the
            scores' intervals.
    """
    warning = warning_of_loss(export, config.export)
    level = config.evaluate.confidence_level
    return model_card(
        _facts(export, served, train_record(export), data, location, name, warning, level)
    )


def evaluate_served(
    run: Run, export: ExportRecord, config: EvaluateConfig, data: TrackedDataset
) -> EvaluateRecord:
    """Score the file that an export serves, in a run below ``run`` unless it was scored before."""
    return evaluate_once(run, config, find_model(export.model_uri), data).record


def write_to_hub(
    run: Run,
    export: ExportRecord,
    served: EvaluateRecord,
    data: TrackedDataset,
    config: Config,
    folder: str,
    repository: str,
) -> str:
    """Write the served model of an export and its card to a folder, a hub repository, or both.

    Args:
        run: the open run; its tag ``hub_commit`` names what was uploaded.
        export: the export.
        served: the evaluation of the file that it serves.
        data: the dataset of both.
        config: the limit of the loss that the card warns of, and the confidence level of the
            scores' intervals.
        folder: a new or empty folder; empty: none is kept.
        repository: ``owner/name``; empty: nothing is uploaded.

    Returns:
        The address of the commit, or the folder.

    Raises:
        ModelError: the hub refused, or cannot be reached.
    """
    name = repository or Path(folder).name
    location = f'snapshot_download("{repository}")' if repository else f'"{folder}"'
    card = card_of(export, served, data, name, location, config)
    with temporary_folder() as temporary:
        target = Path(folder) if folder else temporary / "hub"
        write_hub_folder(download(export.model_uri), card, target)
        if not repository:
            return str(target)
        log.info("uploading to %s", repository)
        commit = push_hub_folder(target, repository)
    run.set_tags({"hub_commit": commit})
    return commit


def train_record(export: ExportRecord) -> TrainRecord | None:
    """Return the record of the training that an export comes from, None if it is not tracked."""
    run = read_run(export.train_run) if export.train_run else None
    return TrainRecord.from_run(run) if run and run.step == Step.TRAIN else None


def _facts(
    export: ExportRecord,
    served: EvaluateRecord,
    train: TrainRecord | None,
    data: TrackedDataset,
    location: str,
    name: str,
    warning: str,
    confidence_level: float,
) -> ModelFacts:
    types, proof = data.dataset.schema.types, export.served_metrics
    # The proof has intervals of its own level.
    has_level = confidence_level == CONFIDENCE_LEVEL
    by_type = [
        ServedScores(
            type_,
            served.scores[f"{type_}/f1"],
            served.scores.get(f"{type_}/f1_low"),
            served.scores.get(f"{type_}/f1_high"),
            int(served.scores.get(f"{type_}/support", 0)),
        )
        for type_ in types
        if f"{type_}/f1" in served.scores
    ]
    scores = [
        _score(f"{served.split}, given words", served.scores),
        *(
            [_score(f"{served.split}, {TEXT_NAMES[served.text_kind]}", served.text_scores)]
            if served.text_kind
            else []
        ),
        ServedScores(
            f"{VALIDATION}, given words",
            proof["validation_f1"],
            proof["validation_f1_low"] if has_level else None,
            proof["validation_f1_high"] if has_level else None,
        ),
    ]
    runs = {
        "train": train.run_id if train else "",
        "evaluate": served.run_id,
        "export": export.run_id,
        "data": export.data_run,
    }
    return ModelFacts(
        name=name,
        location=location,
        types=types,
        variant=export.served_variant,
        size_mb=proof["size_bytes"] / 1e6,
        dataset=export.dataset,
        dataset_fingerprint=export.dataset_fingerprint,
        dataset_license=DataRecord.read(export.data_run).license,
        split=served.split,
        scores=scores,
        type_scores=by_type,
        confidence_level=confidence_level,
        preset=export.preset,
        seed=export.seed,
        backbone=f"{train.backbone} ({train.backbone_revision})" if train else "",
        backbone_license=train.backbone_license if train else "",
        limits=[*_limits(by_type, export), *([warning] if warning else [])],
        runs={step: run_id for step, run_id in runs.items() if run_id},
        versions={"commit": git_commit(), **{library: version(library) for library in VERSIONS}},
    )


def _score(measured_on: str, scores: Mapping[str, float]) -> ServedScores:
    support = scores.get("support")
    return ServedScores(
        measured_on,
        scores["f1"],
        scores.get("f1_low"),
        scores.get("f1_high"),
        None if support is None else int(support),
    )


def _limits(by_type: Iterable[ServedScores], export: ExportRecord) -> list[str]:
    limits = []
    scored = [score for score in by_type if (score.entities or 0) >= FEWEST_ENTITIES]
    if len(scored) > 1:
        weakest = min(scored, key=lambda score: score.f1)
        limits.append(f"The weakest type is {weakest.measured_on} (F1 {weakest.f1:.4f}).")
    lost = export.served_metrics["validation_f1_loss"]
    compared = "equal to"
    if round(lost, 4):
        compared = f"{abs(lost):.4f} {'below' if lost > 0 else 'above'}"
    limits.append(f"Validation F1 of {export.served_variant} is {compared} that of PyTorch.")
    return limits
