"""The `prompt` step: query a language model with several prompts and score it like any model."""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..config.schema import EvaluateConfig, PromptConfig
from ..data.dataset import PreparedDataset
from ..data.sentences import Sentence
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
from ..redaction import redact_address
from ..tagging.tagger import Tagged
from ..tracking.lifecycle import open_child, page_links
from ..tracking.models import FoundModel
from ..tracking.prompts import find_prompt, flush_traces, trace_calls
from ..tracking.records import PromptRecord
from ..tracking.run import Run
from ..tracking.steps import Step
from .data import TrackedDataset
from .evaluate import PREDICTIONS, best_in_words, check_schema, log_report, p_values_against

log = logging.getLogger(__name__)

PREFIX = "ner-"
"""Start of the names of shipped prompts in MLflow's registry."""
NEED_PROBABILITIES = ("calibration",)
"""Tables, figures and metrics that need probabilities, which a language model does not give."""
DESCRIBED = ("model", "f1", "f1_low", "f1_high", "p_against_best", "invalid_answer_rate")
"""Columns of the table in the run's description; a wide one would widen MLflow's whole page."""
SHOWN_SCORES = ("f1", "f1_low", "f1_high", "precision", "recall")


def run_prompt(
    run: Run,
    config: PromptConfig,
    evaluation: EvaluateConfig,
    data: TrackedDataset,
    against: FoundModel | None,
) -> pd.DataFrame:
    """Query a language model with each prompt, in a run below an open one, and compare the prompts.

    Args:
        run: the open run.
        config: endpoint, prompts, subset.
        evaluation: the split, and how its scores are shown.
        data: the dataset; examples in prompts are sentences of its train split.
        against: a trained model that is scored on the same sentences; None: none.

    Returns:
        One row a prompt, and one for ``against``, the best F1 first.

    Raises:
        ConfigError: there is no such prompt.
        ModelError: the endpoint cannot answer.
    """
    shipped = ", ".join(PROMPTS)
    for name in config.prompts:
        if name not in PROMPTS and not name.startswith("prompts:/"):
            raise ConfigError(
                f"prompt.prompts {name!r}: neither {shipped} nor prompts:/NAME/VERSION"
            )
    dataset, split = data.dataset, evaluation.split
    types = dataset.schema.types
    run.set_name(config.model, Step.PROMPT, dataset.name)
    run.log_config({"prompt": config, "evaluate": evaluation})
    endpoint = redact_address(config.base_url)
    record = PromptRecord(run_id=run.id, endpoint=endpoint, **data.fields)
    record.write(run)
    sentences = choose_subset(dataset.corpus[split], config.sentences, config.seed)
    if not sentences:
        raise DataError(f"data run {data.run_id}: {split} is empty: choose another split")
    run.log_dataset(dataset, (split,), data.run_id)
    rows, reports = [], {}
    for name in config.prompts:
        with open_child(run, Step.PROMPT, f"prompt {name}") as child:
            report, metrics = _query(child, name, config, evaluation, sentences, data)
        reports[name] = report
        model = f"{config.model}, {name}"
        shown = _shown_scores(report, split)
        rows.append({"model": model, "key": name, **shown, **metrics, "run": child.id})
    if against:
        address = against.address
        tagger = open_tagger(against.folder, evaluation.batch_subwords)
        check_schema(tagger, data)
        predicted = predict(tagger, sentences)
        report = _evaluate(sentences, predicted, dataset, evaluation)
        reports[address] = report
        shown = _shown_scores(report, split)
        rows.append({"model": address, "key": address, **shown, "run": against.run_id})
    table = pd.DataFrame(rows).sort_values("f1", ascending=False, ignore_index=True)
    order = table["key"].tolist()
    counts = {}
    for key in order:
        frame = reports[key].predictions
        gold, predicted_tags = frame["gold"].tolist(), frame["predicted"].tolist()
        counts[key] = entity_counts(gold, predicted_tags, types)
    differences = pairwise_differences(counts, evaluation.resamples, evaluation.seed)
    p_values = p_values_against(differences, order[0])
    table.insert(3, "p_against_best", [p_values.get(key, np.nan) for key in order])
    table = table.drop(columns="key")
    run.log_table("prompts", table)
    run.log_table("differences", differences)
    pages = {"prompts": "prompts.html", "differences": "differences.html"}
    lead = best_in_words(table, f"{len(sentences):,} sentences of {split} of {dataset.name}")
    run.describe(table[[*DESCRIBED]], page_links(run, pages), lead)
    return table


def _query(
    run: Run,
    name: str,
    config: PromptConfig,
    evaluation: EvaluateConfig,
    sentences: Sequence[Sentence],
    data: TrackedDataset,
) -> tuple[EvalReport, dict[str, float]]:
    dataset, split = data.dataset, evaluation.split
    types = dataset.schema.types
    registered_name = name if name.startswith("prompts:/") else f"{PREFIX}{name}"
    prompt = find_prompt(registered_name, PROMPTS.get(name))
    if not has_sentence_slot(prompt.template):
        raise TrackingError(
            f"prompt {prompt.uri} does not show the sentence: write {{{{ sentence }}}} into it"
        )
    PromptRecord(
        run_id=run.id,
        endpoint=redact_address(config.base_url),
        prompt=prompt.uri,
        language_model=config.model,
        **data.fields,
    ).write(run)
    examples = choose_examples(dataset.gold_train, types, config.examples, config.seed)
    log.info("querying %s about %d sentences by %s", config.model, len(sentences), prompt.uri)
    complete = trace_calls(connect_endpoint(config, answer_schema(types)), run.id, config.model)
    extractions = extract_entities(
        sentences, prompt.template, examples, types, complete, config.concurrency
    )
    flush_traces()
    answers = [
        Tagged(extraction.tags, np.ones(len(extraction.tags), np.float32))
        for extraction in extractions
    ]
    report = _evaluate(sentences, answers, dataset, evaluation)
    metrics = extraction_metrics(extractions, config.input_price, config.output_price)
    scores = {
        key: value
        for key, value in report.metrics.items()
        if not key.removeprefix(f"{split}/").startswith(NEED_PROBABILITIES)
    }
    run.log_metrics({**scores, **{f"prompt/{key}": value for key, value in metrics.items()}})
    run.log_frame(PREDICTIONS, report.predictions)
    run.log_table("answers", extraction_table(sentences, extractions))
    log_report(run, report, without=NEED_PROBABILITIES)
    f1, invalid = scores[f"{split}/f1"], metrics["invalid_answer_rate"]
    log.info("%s: %s F1 %.4f, invalid answers %.3f", name, split, f1, invalid)
    lead = f"{split} F1 {f1:.4f} on {len(sentences):,} sentences; {invalid:.1%} invalid answers."
    pages = {"answers": "answers.html", "errors": "errors.html"}
    run.describe(report.tables["scores"], page_links(run, pages), lead)
    return report, metrics


def _shown_scores(report: EvalReport, split: str) -> dict[str, float]:
    return {name: report.metrics[f"{split}/{name}"] for name in SHOWN_SCORES}


def _evaluate(
    sentences: Sequence[Sentence],
    predicted: Sequence[Tagged],
    dataset: PreparedDataset,
    config: EvaluateConfig,
) -> EvalReport:
    return evaluate(
        sentences, predicted, dataset.gold_train, dataset.schema, config, dataset.weak_train
    )
