"""Evaluations are made once, read back with their predictions, and compared pair by pair."""

import math

import mlflow
import numpy as np
import pandas as pd
import pytest
from pipelines import Finished

from ner_mlflow.data.dataset import PreparedDataset, fingerprint
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.errors import DataError
from ner_mlflow.evaluation.counts import f1
from ner_mlflow.evaluation.scores import score
from ner_mlflow.evaluation.text_scores import strict_counts
from ner_mlflow.modeling.loading import open_tagger
from ner_mlflow.tagging.label_schema import LabelSchema
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.models import find_model
from ner_mlflow.tracking.queries import finished_runs
from ner_mlflow.tracking.records import EvaluateRecord
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.data import TrackedDataset
from ner_mlflow.workflows.evaluate import (
    best_in_words,
    check_schema,
    evaluate_once,
    load_evaluation,
    p_values_against,
    prediction_counts,
    run_evaluate,
    run_evaluate_several,
)


def test_logged_predictions_give_the_logged_scores(finished: Finished) -> None:
    evaluation = load_evaluation(finished.result.evaluate)
    sentences = finished.data.dataset.corpus["test"]
    gold, predicted = (evaluation.predictions[name].tolist() for name in ("gold", "predicted"))
    assert [tuple(tags) for tags in gold] == [sentence.tags for sentence in sentences]
    scores = score([list(tags) for tags in gold], [list(tags) for tags in predicted])
    assert evaluation.record.scores["f1"] == pytest.approx(scores["f1"])
    counts = prediction_counts(evaluation.predictions, finished.data.dataset.schema.types)
    assert len(counts) == len(sentences)


def test_a_dataset_without_raw_texts_is_scored_on_a_stand_in(finished: Finished) -> None:
    evaluation = load_evaluation(finished.result.evaluate)
    metrics = evaluation.record.metrics
    assert {"standin/f1", "standin/OS/f1", "standin/OS/support", "standin/overlap_f1"} <= set(
        metrics
    )
    assert not [name for name in metrics if name.startswith("raw/")]
    assert metrics["served/f1_lost"] == pytest.approx(metrics["test/f1"] - metrics["standin/f1"])
    assert metrics["standin/f1_low"] <= metrics["standin/f1"] <= metrics["standin/f1_high"]
    first = evaluation.answers[0]
    assert first.text == "I use Ubuntu 0.04 test"
    assert [first.text[entity.start : entity.end] for entity in first.gold] == ["Ubuntu", "0.04"]
    # The stored answers give the logged scores, so tests of significance can be made of them.
    counts = strict_counts(evaluation.answers, finished.data.dataset.schema.types)
    assert len(counts) == len(finished.data.dataset.corpus["test"])
    assert float(f1(counts.sum(axis=(0, 1)))) == pytest.approx(metrics["standin/f1"])
    run_id = evaluation.record.run_id
    files = {entry.path for entry in mlflow.artifacts.list_artifacts(run_id=run_id)}
    assert {"texts.parquet", "text_scores.html"} <= files


def test_a_dataset_with_raw_texts_is_scored_on_them(finished: Finished) -> None:
    text = "I use <b>Ubuntu</b> (7.04)."
    tokens = ("I", "use", "<b>", "Ubuntu", "</b>", "(", "7.04", ")", ".")
    starts = (0, 2, 6, 9, 15, 20, 21, 25, 26)
    tags = ("O", "O", "O", "B-OS", "O", "O", "B-VERSION", "O", "O")
    sentences = [Sentence(tokens, tags, f"d{n}", f"t:{n}", text, starts) for n in range(3)]
    corpus = dict.fromkeys(("train", "validation", "test"), sentences)
    schema = finished.data.dataset.schema
    dataset = PreparedDataset("raw", corpus, schema, fingerprint(corpus, schema))
    with open_run(Step.EVALUATE, "evaluate") as run:
        evaluation = run_evaluate(
            run,
            finished.config.evaluate,
            find_model(finished.result.export.model_uri),
            TrackedDataset("0" * 32, dataset),
        )
    mlflow.MlflowClient().delete_run(run.id)
    assert [(answer.name, answer.text) for answer in evaluation.answers] == [
        ("d0", text),
        ("d1", text),
        ("d2", text),
    ]
    assert {"raw/f1", "raw/support"} <= set(evaluation.record.metrics)
    assert not [name for name in evaluation.record.metrics if name.startswith("standin/")]
    assert evaluation.record.text_scores["support"] == 6


def test_an_equal_evaluation_is_not_made_again(finished: Finished) -> None:
    model = find_model(finished.result.train.model_uri)
    before = len(finished_runs(Step.EVALUATE, "0"))
    with open_run(Step.PROMOTE, "promote") as run:
        again = evaluate_once(run, finished.config.evaluate, model, finished.data)
    assert again.record == finished.result.evaluate
    assert len(finished_runs(Step.EVALUATE, "0")) == before


def test_several_models_are_compared_pair_by_pair(finished: Finished) -> None:
    models = [
        find_model(finished.result.train.model_uri),
        find_model(finished.result.export.model_uri),
    ]
    config = finished.config.evaluate
    with open_run(Step.EVALUATE, "evaluate") as run:
        table = run_evaluate_several(run, config, models, finished.data)
    assert set(table["model"]) == {model.address for model in models}
    # A model and the file made from it say that they are of one training.
    records = [EvaluateRecord.read(run_id) for run_id in table["run"]]
    assert {record.train_run for record in records} == {finished.result.train.run_id}
    assert sorted(bool(record.variant) for record in records) == [False, True]
    assert table["f1"].is_monotonic_decreasing
    assert table["standin_f1"].between(table["standin_f1_low"], table["standin_f1_high"]).all()
    # The exported model answers as the trained one does.
    assert table["f1"].tolist() == pytest.approx([finished.result.evaluate.scores["f1"]] * 2)
    assert np.isnan(table["p_against_best"][0])
    assert table["p_against_best"][1] == 1.0
    files = {entry.path for entry in mlflow.artifacts.list_artifacts(run_id=run.id)}
    assert {"models.html", "differences.html", "differences.png"} <= files


def test_the_best_model_is_named_with_its_rival() -> None:
    rows = [("runs:/a", 0.9, math.nan), ("runs:/b", 0.85, 0.03), ("runs:/c", 0.7, 0.001)]
    table = pd.DataFrame(rows, columns=["model", "f1", "p_against_best"])
    assert best_in_words(table, "test of sample") == (
        "runs:/a has the best F1, 0.9000 on test of sample; runs:/b has 0.8500. The difference is "
        "significant (p = 0.0300)."
    )
    assert best_in_words(table[:1], "test of x") == "runs:/a has the best F1, 0.9000 on test of x."
    unsure = best_in_words(table.assign(p_against_best=0.3), "test of x")
    assert "The difference may be chance (p = 0.3000)." in unsure


def test_p_values_are_found_by_the_other_model() -> None:
    rows = [
        {"model": "a", "other": "b", "p_value": 0.2},
        {"model": "b", "other": "c", "p_value": 0.3},
    ]
    assert p_values_against(pd.DataFrame(rows), "a") == {"b": 0.2}


def test_data_of_other_types_is_refused(finished: Finished) -> None:
    sentences = [Sentence(("Acme",), ("B-ORG",))]
    corpus = dict.fromkeys(("train", "validation", "test"), sentences)
    schema = LabelSchema(("ORG",))
    other = TrackedDataset(
        "0" * 32, PreparedDataset("other", corpus, schema, fingerprint(corpus, schema))
    )
    tagger = open_tagger(find_model(finished.result.export.model_uri).folder, 512)
    check_schema(tagger, finished.data)
    with pytest.raises(DataError, match="has the types ORG, the model OS, VERSION: give data"):
        check_schema(tagger, other)
