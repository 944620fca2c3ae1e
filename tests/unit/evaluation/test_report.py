"""A report explains the scores of a split with tables, pages and plots."""

from dataclasses import dataclass

import numpy as np
import pytest
from readable_plots import assert_readable

from ner_mlflow.config.loading import load_config
from ner_mlflow.data.sample import generate_sample
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.evaluation.report import EvalReport, evaluate
from ner_mlflow.evaluation.scores import score
from ner_mlflow.tagging.label_schema import LabelSchema
from ner_mlflow.tagging.tagger import Tagged

SAMPLE = generate_sample(13)
SENTENCES = SAMPLE["test"][:60]
SCHEMA = LabelSchema(("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION"))
CONFIG = load_config(overrides={"evaluate.resamples": 200, "evaluate.error_pairs": 3}).evaluate


@dataclass(frozen=True)
class Reports:
    perfect: EvalReport
    flawed: EvalReport


def without_versions(sentence: Sentence) -> list[str]:
    return ["O" if tag.endswith("VERSION") else tag for tag in sentence.tags]


@pytest.fixture(scope="module")
def reports() -> Reports:
    def report(tags: list[list[str]]) -> EvalReport:
        predicted = [Tagged(row, np.full(len(row), 0.75, np.float32)) for row in tags]
        return evaluate(SENTENCES, predicted, SAMPLE["train"], SCHEMA, CONFIG)

    gold = [list(sentence.tags) for sentence in SENTENCES]
    return Reports(report(gold), report([without_versions(sentence) for sentence in SENTENCES]))


def test_a_perfect_prediction_has_no_errors(reports: Reports) -> None:
    metrics = reports.perfect.metrics
    assert metrics["test/f1"] == metrics["test/f1_low"] == metrics["test/f1_high"] == 1.0
    assert metrics["test/calibration_error"] == pytest.approx(0.25)
    assert len(reports.perfect.tables["error_pairs"]) == 0


def test_metrics_are_those_of_the_predictions(reports: Reports) -> None:
    gold = [list(sentence.tags) for sentence in SENTENCES]
    scores = score(gold, [without_versions(sentence) for sentence in SENTENCES])
    metrics = reports.flawed.metrics
    assert metrics["test/f1"] == pytest.approx(scores["f1"])
    assert metrics["test/f1_low"] < metrics["test/f1"] < metrics["test/f1_high"]
    assert metrics["test/VERSION/f1"] == 0.0
    assert metrics["test/OS/f1"] == 1.0
    assert metrics["test/semeval/partial/f1"] == pytest.approx(scores["f1"])


def test_predictions_are_kept_word_by_word(reports: Reports) -> None:
    rows = reports.flawed.predictions.to_dict("records")
    assert [tuple(row["tokens"]) for row in rows] == [sentence.tokens for sentence in SENTENCES]
    assert [tuple(row["gold"]) for row in rows] == [sentence.tags for sentence in SENTENCES]
    assert [list(row["predicted"]) for row in rows] == [without_versions(s) for s in SENTENCES]


def test_tables_pages_and_figures_explain_the_errors(reports: Reports) -> None:
    report = reports.flawed
    assert len(report.tables["error_pairs"]) <= 3
    assert len(report.tables["error_pairs"]) > 0
    assert {"scores", "semeval", "slices", "calibration"} <= set(report.tables)
    assert {"slices", "calibration", "token_confusion", "entity_confusion"} <= set(report.figures)
    assert all("<html" in page for page in report.pages.values())


def test_a_part_without_entities_has_no_metric_and_is_empty_in_the_tables() -> None:
    sentences = [Sentence(("all", "is", "well"), ("O", "O", "O"))] * 5
    predicted = [Tagged(["O"] * 3, np.full(3, 0.9, np.float32))] * 5
    report = evaluate(sentences, predicted, SAMPLE["train"], SCHEMA, CONFIG)
    assert not any(np.isnan(value) for value in report.metrics.values())
    assert not any("surface" in name or "calibration" in name for name in report.metrics)
    assert "test/OS/f1" not in report.metrics
    # All data have a score, so that a training on them can be ranked.
    names = ("test/f1", "test/f1_low", "test/f1_high")
    assert [report.metrics[name] for name in names] == [0, 0, 0]
    assert report.tables["slices"]["f1"].isna().all()
    for figure in report.figures.values():
        assert_readable(figure)


def test_the_figures_of_a_report_can_be_read(reports: Reports) -> None:
    for figure in reports.flawed.figures.values():
        assert_readable(figure)
