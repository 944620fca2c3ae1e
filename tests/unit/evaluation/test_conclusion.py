"""The sentences on top of a report say what a reader needs to decide."""

from dataclasses import replace

import numpy as np
import pandas as pd

from ner_mlflow.evaluation.comparison import ComparedModel, ComparisonReport, ServedFile, compare
from ner_mlflow.evaluation.conclusion import Registration, conclude

TYPES = ("OS", "VERSION")
SERVED = ServedFile(
    "int8", 24.2, {"f1": 0.7, "f1_low": 0.6, "f1_high": 0.8}, 0.0153, "raw", {"f1": 0.55}
)


def model(name: str, validation_f1: float, recall: float, **changes: object) -> ComparedModel:
    gold = np.random.default_rng(0).poisson(0.5, (400, 2))
    correct = np.random.default_rng(1).binomial(gold, recall)
    return replace(
        ComparedModel(
            name,
            name,
            {"validation_f1": validation_f1},
            {"f1": recall, "f1_low": recall - 0.1, "f1_high": 1.0, "OS/f1": 0.9, "VERSION/f1": 0.4},
            np.stack([correct, correct, gold], axis=-1),
            pd.DataFrame([[1]], index=["O"], columns=["O"]),
        ),
        **changes,  # type: ignore[arg-type]
    )


def report(*models: ComparedModel) -> ComparisonReport:
    return compare(models, TYPES, "models", 200, 1)


def test_the_best_is_chosen_by_validation_and_the_difference_is_judged() -> None:
    compared = report(model("a", 0.8, 0.5), model("b", 0.7, 0.9), model("c", 0.6, 0.2))
    best, weakest = conclude(compared, "test")
    assert best.startswith("a has the best validation F1 (0.8000) of 3 models: test F1 0.5000 (")
    assert "This is 0.4000 below b (p 0.005), which is significant." in best
    assert weakest.startswith("Its weakest type is VERSION: F1 0.4000 on ")


def test_a_difference_that_may_be_chance_is_called_so() -> None:
    sentences = conclude(report(model("a", 0.8, 0.6), model("b", 0.7, 0.6)), "test")
    assert "which is not significant, so either may be the better one." in sentences[0]


def test_one_model_is_described_with_its_served_file_and_its_registration() -> None:
    compared = report(model("a", 0.8, 0.7153, served=SERVED))
    registration = Registration("models:/it-ner/3", "champion", False, "refused: F1 is lower")
    sentences = conclude(compared, "test", registration)
    assert sentences[0].startswith("a was trained: test F1 0.7153")
    assert sentences[2] == (
        "The served file (int8, 24 MB) has test F1 0.7000 (95 % interval 0.6000 to 0.8000), 0.0153 "
        "below the PyTorch model; on raw texts it has 0.5500."
    )
    assert sentences[3] == (
        "It is registered as models:/it-ner/3 and is not the champion: refused: F1 is lower."
    )


def test_a_file_without_scores_is_said_to_have_none() -> None:
    compared = report(model("a", 0.8, 0.7, served=ServedFile("fp32", 90.0, {})))
    assert conclude(compared, "test")[-1] == (
        "The served file (fp32, 90 MB) was not scored on test."
    )


def test_rare_types_are_not_called_the_weakest() -> None:
    few = model("a", 0.8, 0.7)
    counts = few.counts.copy()
    counts[:, 1] = 0
    assert len(conclude(report(replace(few, counts=counts)), "test")) == 1
