"""The `robustness` step: score a model on perturbed sentences and log how much F1 each costs."""

import logging
from collections.abc import Sequence

import pandas as pd

from ..config.schema import EvaluateConfig, RobustnessConfig
from ..data.sentences import SPLITS, TRAIN, Sentence
from ..errors import ConfigError, DataError
from ..evaluation.perturbations import PERTURBATIONS, unseen_entities
from ..evaluation.robustness import perturb_all, plot_robustness, score_perturbations
from ..evaluation.scores import predict
from ..modeling.loading import open_tagger
from ..pages import escape_markdown
from ..tracking.lifecycle import page_links
from ..tracking.models import FoundModel
from ..tracking.records import RobustnessRecord, seed_text
from ..tracking.run import Run
from ..tracking.steps import Step
from .data import TrackedDataset
from .evaluate import check_schema

log = logging.getLogger(__name__)


def run_robustness(
    run: Run,
    config: RobustnessConfig,
    evaluation: EvaluateConfig,
    model: FoundModel,
    data: TrackedDataset,
) -> pd.DataFrame:
    """Score a model on perturbed sentences in an open run.

    Returns:
        The table of :func:`~ner_mlflow.evaluation.robustness.score_perturbations`.

    Raises:
        ConfigError: there is no such perturbation.
        DataError: the dataset has other entity types than the model.
    """
    kinds = config.kinds or tuple(PERTURBATIONS)
    if unknown := [kind for kind in kinds if kind not in PERTURBATIONS]:
        raise ConfigError(
            f"robustness.kinds {', '.join(unknown)}: no such perturbation: "
            f"give some of {', '.join(PERTURBATIONS)}"
        )
    run.log_config({"robustness": config, "evaluate": evaluation})
    dataset, split = data.dataset, evaluation.split
    lineage = model.lineage
    run.set_name(lineage.label, Step.ROBUSTNESS, dataset.name, seed_text(lineage.seed))
    RobustnessRecord(run_id=run.id, model=model.address, **data.fields).write(run)
    tagger = open_tagger(model.folder, evaluation.batch_subwords)
    check_schema(tagger, data)
    run.log_dataset(dataset, (split,), data.run_id)
    sentences = dataset.corpus[split][: config.sentences or None]
    if not sentences:
        raise DataError(f"data run {data.run_id}: {split} is empty: choose another split")
    others = [s for other in SPLITS if other != TRAIN for s in dataset.corpus[other]]
    pools = unseen_entities(dataset.corpus[TRAIN], others)

    def predict_tags(perturbed: Sequence[Sentence]) -> list[list[str]]:
        return [tagged.tags for tagged in predict(tagger, perturbed)]

    rows = []
    for row in score_perturbations(
        sentences,
        predict_tags,
        dataset.schema.types,
        kinds,
        pools,
        config.seed,
        evaluation.resamples,
        evaluation.confidence_level,
    ):
        rows.append(row)
        f1, drop = float(row["f1"]), float(row["f1_drop"])
        log.info("%s, severity %s: F1 %.4f (%+.4f)", row["kind"], row["severity"], f1, -drop)
    table = pd.DataFrame(rows)
    metrics = {
        f"{split}/robustness/{row['kind']}_{row['severity']}/f1_drop": float(row["f1_drop"])
        for row in rows[1:]
    }
    run.log_metrics({f"{split}/f1": float(rows[0]["f1"]), **metrics}, model_id=model.model_id)
    changes = [PERTURBATIONS[str(row["kind"])].changes if row["severity"] else "" for row in rows]
    run.log_table("robustness", table.assign(changes=changes))
    title = f"F1 lost on perturbed sentences, {split} of {dataset.name}"
    note = f"n = {len(sentences):,} sentences"
    run.log_figure("robustness", plot_robustness(table, title, note))
    run.log_table("changes", _examples(sentences, kinds, pools, config))
    pages = {"plot": "robustness.png", "table": "robustness.html", "examples": "changes.html"}
    run.describe(table, page_links(run, pages), _worst_in_words(table))
    return table


def _worst_in_words(table: pd.DataFrame) -> str:
    """Return Markdown that names the perturbation that costs most F1."""
    clean, *perturbed = table.to_dict("records")
    worst = max(perturbed, key=lambda row: float(row["f1_drop"]))
    kind = str(worst["kind"]).replace("_", " ")
    return escape_markdown(
        f"F1 is {clean['f1']:.4f} without changes. It falls most by {kind}, severity "
        f"{worst['severity']}: to {worst['f1']:.4f}."
    )


def _examples(
    sentences: Sequence[Sentence],
    kinds: Sequence[str],
    pools: dict[str, list[tuple[str, ...]]],
    config: RobustnessConfig,
) -> pd.DataFrame:
    """Return the first sentences that each kind changes at its highest severity."""
    rows = []
    for kind in kinds:
        severity = len(PERTURBATIONS[kind].rates)
        perturbed = perturb_all(sentences, kind, severity, pools, config.seed)
        pairs = [
            (before, after)
            for before, after in zip(sentences, perturbed, strict=True)
            if before.tokens != after.tokens
        ]
        rows += [
            (kind, " ".join(before.tokens), " ".join(after.tokens), " ".join(after.tags))
            for before, after in pairs[: config.examples]
        ]
    return pd.DataFrame(rows, columns=["kind", "sentence", "changed", "tags"])
