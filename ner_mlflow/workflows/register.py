"""Register the model that an export serves, with a card made from what was tracked."""

import logging
from collections.abc import Iterable, Mapping
from importlib.metadata import version

from ..config.schema import EvaluateConfig, ExportConfig
from ..data.running_text import RAW, STANDIN
from ..data.sentences import VALIDATION
from ..exporting.model_card import ModelFacts, ServedScores, describe_card, model_card
from ..provenance import git_commit
from ..tracking.lifecycle import run_link
from ..tracking.models import CARD_LIMIT, add_model_card, find_model, register
from ..tracking.queries import read_run
from ..tracking.records import DataRecord, EvaluateRecord, ExportRecord, TrainRecord, VersionOrigin
from ..tracking.run import Run
from ..tracking.steps import Step
from .data import TrackedDataset
from .evaluate import evaluate_once
from .export import warning_of_loss

log = logging.getLogger(__name__)

TEXT_NAMES = {RAW: "raw texts", STANDIN: "texts joined from its words, a stand-in for running text"}
"""How a card names each kind of running text."""
VERSIONS = ("mlflow", "onnxruntime", "tokenizers", "transformers", "torch")
FEWEST_ENTITIES = 10


def register_served(
    run: Run,
    export: ExportRecord,
    served: EvaluateRecord,
    data: TrackedDataset,
    name: str,
    alias: str | None,
    config: ExportConfig,
) -> str:
    """Register the model that an export serves; give it the alias, if there is one.

    Its card is stored with the logged model as ``README.md`` and in the run as ``model_card.md``,
    and is the version's description. A loss from given words to running text beyond
    ``config.served_loss_limit`` is logged, and the card says so.

    Args:
        run: the open run.
        export: the export.
        served: the evaluation of the file that it serves.
        data: the dataset of both.
        name: the name of the registered model.
        alias: the alias; None: none.
        config: the limit.

    Returns:
        The version.
    """
    train = _train_record(export)
    origin = VersionOrigin(
        preset=export.preset,
        variant=export.served_variant,
        train_run=train.run_id if train else "",
        evaluate_run=served.run_id,
        export_run=export.run_id,
        model=export.model,
    )
    warning = warning_of_loss(export, config)

    def describe(address: str) -> str:
        facts = _facts(export, served, train, data, address, name, warning)
        card = model_card(facts)
        add_model_card(export.model_uri, str(card))
        run.log_markdown("model_card", str(card.text).strip())
        link = run_link(run.experiment_id, served.run_id)
        return f"{describe_card(card, CARD_LIMIT)}\n\n[Evaluation of this file]({link})"

    return register(export.model_uri, name, alias, origin, describe)


def evaluate_served(
    run: Run, export: ExportRecord, config: EvaluateConfig, data: TrackedDataset
) -> EvaluateRecord:
    """Score the file that an export serves, in a run below ``run`` unless it was scored before."""
    return evaluate_once(run, config, find_model(export.model_uri), data).record


def _train_record(export: ExportRecord) -> TrainRecord | None:
    run_id = find_model(export.model).run_id
    if run_id is None or read_run(run_id).step != Step.TRAIN:
        return None
    return TrainRecord.read(run_id)


def _facts(
    export: ExportRecord,
    served: EvaluateRecord,
    train: TrainRecord | None,
    data: TrackedDataset,
    address: str,
    name: str,
    warning: str,
) -> ModelFacts:
    types, proof = data.dataset.schema.types, export.served_metrics
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
            proof["validation_f1_low"],
            proof["validation_f1_high"],
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
        address=address,
        types=types,
        variant=export.served_variant,
        size_mb=proof["size_bytes"] / 1e6,
        dataset=export.dataset,
        dataset_fingerprint=export.dataset_fingerprint,
        dataset_license=DataRecord.read(export.data_run).license,
        split=served.split,
        scores=scores,
        type_scores=by_type,
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
    limits.append(f"{export.served_variant} loses {lost:.4f} validation F1 against PyTorch.")
    return limits
