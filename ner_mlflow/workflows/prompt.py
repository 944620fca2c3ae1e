"""The `prompt` step: a language model asked by several prompts, scored as any model, beside one of ours if wanted."""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..config.schema import EvaluateConfig, PromptConfig
from ..data.sentences import TRAIN, Sentence
from ..errors import ConfigError, DataError, TrackingError
from ..evaluation.comparison import pairwise_differences
from ..evaluation.counts import entity_counts
from ..evaluation.report import EvalReport, evaluate
from ..evaluation.scores import predict
from ..modeling.loading import open_tagger
from ..prompting.answers import answer_schema
from ..prompting.baseline import (
    PROMPTS,
    choose_examples,
    choose_subset,
    extract_entities,
    extraction_metrics,
    extraction_table,
    has_sentence_slot,
)
from ..prompting.client import connect_endpoint
from ..tagging.tagger import Tagged
from ..tracking.models import FoundModel
from ..tracking.prompts import finish_traces, registered_prompt, traced
from ..tracking.runs import Run
from .data import DataRef
from .evaluate import PREDICTIONS, check_schema
from .steps import PROMPT_STEP

log = logging.getLogger(__name__)

PREFIX = "ner-"
UNSURE = ("calibration",)
"""What an answer without probabilities cannot be scored for."""


def run_prompt(
    run: Run,
    config: PromptConfig,
    evaluation: EvaluateConfig,
    data: DataRef,
    against: FoundModel | None,
) -> pd.DataFrame:
    """Ask by each prompt in a run below an open one, and compare.

    Args:
        run: the open run.
        config: endpoint, prompts, subset.
        evaluation: the split, and how its scores are shown.
        data: the dataset; examples are of its train split alone.
        against: a model of ours that is scored on the same sentences.

    Returns:
        One row a prompt, and one for ``against``, the best F1 first.

    Raises:
        ConfigError: no such prompt.
        ModelError: the endpoint cannot answer.
    """
    if unknown := [
        name for name in config.prompts if name not in PROMPTS and not name.startswith("prompts:/")
    ]:
        raise ConfigError(
            f"prompt.prompts {', '.join(unknown)}: neither {', '.join(PROMPTS)} nor prompts:/NAME/VERSION"
        )
    dataset, split = data.dataset, evaluation.split
    run.log_config(prompt=config, evaluate=evaluation)
    run.set_tags(
        {
            "data_run": data.run_id,
            "dataset_fingerprint": dataset.fingerprint,
            "dataset": dataset.name,
            "endpoint": config.base_url,
        }
    )
    sentences = choose_subset(dataset.corpus[split], config.sentences, config.seed)
    if not sentences:
        raise DataError(f"data run {data.run_id}: {split} is empty: choose another split")
    run.log_dataset(dataset, (split,), data.run_id)
    rows, predictions = [], {}
    for name in config.prompts:
        with run.child(PROMPT_STEP, f"prompt {name}") as child:
            child.set_tags({"data_run": data.run_id, "dataset_fingerprint": dataset.fingerprint})
            report, metrics = _asked(child, name, config, evaluation, sentences, data)
            predictions[name] = report
            rows.append(
                {
                    "model": f"{config.model}, {name}",
                    "key": name,
                    **_shown(report.metrics, split),
                    **metrics,
                    "run": child.id,
                }
            )
    if against:
        tagger = open_tagger(against.folder, evaluation.batch_subwords)
        check_schema(tagger, data)
        report = evaluate(
            sentences, predict(tagger, sentences), dataset.corpus[TRAIN], dataset.schema, evaluation
        )
        predictions[against.address] = report
        rows.append(
            {
                "model": against.address,
                "key": against.address,
                **_shown(report.metrics, split),
                "run": against.run_id,
            }
        )
    table = pd.DataFrame(rows).sort_values("f1", ascending=False, ignore_index=True)
    order = table["key"].tolist()
    counts = {
        key: entity_counts(
            predictions[key].predictions["gold"].tolist(),
            predictions[key].predictions["predicted"].tolist(),
            dataset.schema.types,
        )
        for key in order
    }
    differences = pairwise_differences(counts, evaluation.resamples, evaluation.seed)
    p_values = {
        row["other"]: row["p_value"]
        for row in differences.to_dict("records")
        if row["model"] == order[0]
    }
    table.insert(3, "p_against_best", [p_values.get(key, np.nan) for key in order])
    table = table.drop(columns="key")
    run.log_table("prompts", table)
    run.log_table("differences", differences)
    run.describe(table.drop(columns="run"))
    return table


def _asked(
    run: Run,
    name: str,
    config: PromptConfig,
    evaluation: EvaluateConfig,
    sentences: Sequence[Sentence],
    data: DataRef,
) -> tuple[EvalReport, dict[str, float]]:
    dataset = data.dataset
    types = dataset.schema.types
    prompt = registered_prompt(
        name if name.startswith("prompts:/") else f"{PREFIX}{name}", PROMPTS.get(name)
    )
    if not has_sentence_slot(prompt.template):
        raise TrackingError(
            f"prompt {prompt.uri} shows no sentence: write {{{{ sentence }}}} where it is to stand"
        )
    run.set_tags({"prompt": prompt.uri, "language_model": config.model})
    examples = choose_examples(dataset.corpus[TRAIN], types, config.examples, config.seed)
    log.info("asking %s about %d sentences by %s", config.model, len(sentences), prompt.uri)
    complete = traced(connect_endpoint(config, answer_schema(types)), run.id, config.model)
    extractions = extract_entities(
        sentences, prompt.template, examples, types, complete, config.concurrency
    )
    finish_traces()
    answers = [
        Tagged(extraction.tags, np.ones(len(extraction.tags), np.float32))
        for extraction in extractions
    ]
    report = evaluate(sentences, answers, dataset.corpus[TRAIN], dataset.schema, evaluation)
    metrics = extraction_metrics(extractions, config.input_price, config.output_price)
    scores = {
        key: value
        for key, value in report.metrics.items()
        if not key.removeprefix(f"{evaluation.split}/").startswith(UNSURE)
    }
    run.log_metrics({**scores, **{f"prompt/{key}": value for key, value in metrics.items()}})
    run.log_frame(PREDICTIONS, report.predictions)
    run.log_table("answers", extraction_table(sentences, extractions))
    for key, table in report.tables.items():
        if key not in UNSURE and key not in report.pages:
            run.log_table(key, table)
    for key, page in report.pages.items():
        run.log_page(key, page)
    for key, figure in report.figures.items():
        if key not in UNSURE:
            run.log_figure(key, figure)
    log.info(
        "%s: %s F1 %.4f, invalid answers %.3f",
        name,
        evaluation.split,
        scores[f"{evaluation.split}/f1"],
        metrics["invalid_answer_rate"],
    )
    return report, metrics


def _shown(metrics: dict[str, float], split: str) -> dict[str, float]:
    return {
        name: metrics[f"{split}/{name}"]
        for name in ("f1", "f1_low", "f1_high", "precision", "recall")
    }
