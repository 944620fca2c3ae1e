"""Write the card of a model: what it is, what its served file reaches, its limits, its origin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ..pages import escape_markdown, markdown_table, spaced_tables

TEMPLATE = Path(__file__).parent.parent / "templates" / "model_card.md"
UNKNOWN_LICENSE = "not stated"
LIBRARY = "mlflow"
TASK = "token-classification"
NO_RANGE = "–"


@dataclass(frozen=True)
class ServedScores:
    """Strict F1 of the served file on one set of texts, with its interval.

    Attributes:
        measured_on: what it was measured on, in words.
        f1: with ``low`` and ``high`` as its interval.
        entities: the number of gold entities; None where it is unknown.
    """

    measured_on: str
    f1: float
    low: float | None = None
    high: float | None = None
    entities: int | None = None


@dataclass(frozen=True)
class ModelFacts:
    """What a card says of a model.

    Attributes:
        name: the registered or repository name.
        location: the Python expression that ``mlflow.pyfunc.load_model`` takes.
        types: the entity types.
        confidence_level: that of the intervals of ``scores`` and ``type_scores``.
        preset: the settings that the training began with; empty if unknown.
        seed: the seed of the training.
        variant: the variant that is served.
        size_mb: the size of its files, in MB.
        dataset: the name of the dataset.
        dataset_fingerprint: of the dataset.
        dataset_license: the licence of the dataset; empty: not stated.
        backbone: the pretrained encoder, with its revision.
        backbone_license: its licence; empty: not stated.
        split: the split of ``scores``.
        scores: of the served file itself, the most important first.
        type_scores: the same by entity type, on ``split``.
        f1_lost: F1 that the file lost against PyTorch on validation.
        limits: further sentences on what the model is not good at.
        runs: step -> id of its run.
        versions: library -> version, and the commit.
    """

    name: str
    location: str
    types: Sequence[str]
    variant: str
    size_mb: float
    dataset: str
    dataset_fingerprint: str
    split: str
    scores: Sequence[ServedScores]
    type_scores: Sequence[ServedScores] = ()
    f1_lost: float = 0.0
    confidence_level: float = 0.95
    preset: str = ""
    seed: str = ""
    dataset_license: str = ""
    backbone: str = ""
    backbone_license: str = ""
    limits: Sequence[str] = ()
    runs: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def model_card(facts: ModelFacts) -> ModelCard:
    """Return the card as Hugging Face's hub shows it: metadata with a model index, and Markdown."""
    results = [
        EvalResult(
            task_type=TASK,
            dataset_type=facts.dataset,
            dataset_name=f"{facts.dataset} ({score.measured_on})",
            dataset_split=facts.split,
            metric_type="f1",
            metric_name="strict entity F1",
            metric_value=round(score.f1, 4),
        )
        for score in facts.scores
    ]
    data = ModelCardData(
        license=_hub_license(facts),
        library_name=LIBRARY,
        pipeline_tag=TASK,
        tags=["named-entity-recognition", "onnx"],
        datasets=[facts.dataset] if "/" in facts.dataset else None,
        model_name=facts.name,
        eval_results=results or None,
    )
    return ModelCard.from_template(
        data,
        template_path=str(TEMPLATE),
        facts=facts,
        escape=escape_markdown,
        dataset_license=facts.dataset_license or UNKNOWN_LICENSE,
        backbone_license=facts.backbone_license or UNKNOWN_LICENSE,
        scores=markdown_table(_table(facts.scores, "measured on", facts.confidence_level)),
        type_scores=markdown_table(_table(facts.type_scores, "type", facts.confidence_level)),
    )


def describe_card(card: ModelCard, limit: int) -> str:
    """Return the Markdown of a card without its metadata, cut to a number of characters.

    It is cut at the end of a line, and says so.
    """
    text = spaced_tables(str(card.text).strip())
    if len(text) <= limit:
        return text
    note = "\n\n(The whole card is README.md of the logged model.)"
    return text[: limit - len(note)].rpartition("\n")[0].rstrip() + note


def _hub_license(facts: ModelFacts) -> str:
    """Return the licence of the model's repository: that of the backbone, if it is stated.

    The licence of the data may limit the use of the model too; the card states both.
    """
    return facts.backbone_license or "other"


def _table(scores: Sequence[ServedScores], name: str, confidence_level: float) -> pd.DataFrame:
    interval = f"{100 * confidence_level:g} % interval"
    return pd.DataFrame(
        [
            {
                name: score.measured_on,
                "F1": f"{score.f1:.4f}",
                interval: NO_RANGE
                if score.low is None or score.high is None
                else f"{score.low:.4f} to {score.high:.4f}",
                "entities": NO_RANGE if score.entities is None else f"{score.entities:,}",
            }
            for score in scores
        ]
    )
