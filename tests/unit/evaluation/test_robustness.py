"""Robustness: F1 lost by kind and severity of perturbation."""

import pytest

from ner_mlflow.data.sample import generate_sample
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.evaluation.perturbations import PERTURBATIONS
from ner_mlflow.evaluation.robustness import perturb_all, score_perturbations

POOLS = {"OS": [("Arch", "Linux"), ("BeOS",)], "VERSION": [("9", ".", "9")]}
SAMPLE = generate_sample(13)


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_a_higher_severity_changes_more(kind: str) -> None:
    unchanged = [
        sum(
            new.tokens == old.tokens
            for new, old in zip(
                perturb_all(SAMPLE["test"], kind, severity, POOLS, 1), SAMPLE["test"], strict=True
            )
        )
        for severity in (1, 2, 3)
    ]
    assert len(SAMPLE["test"]) > unchanged[0] > unchanged[1] > unchanged[2]


def test_a_model_that_reads_only_casing_loses_only_by_casing() -> None:
    sentences = [
        Sentence(("I", "use", "Ubuntu", ",", "the", "best"), ("O", "O", "B-OS", "O", "O", "O"))
    ] * 600

    def predict(changed: list[Sentence]) -> list[list[str]]:
        return [
            ["B-OS" if word == "Ubuntu" else "O" for word in sentence.tokens]
            for sentence in changed
        ]

    rows = list(
        score_perturbations(
            sentences,
            predict,
            ["OS"],
            ["casing", "articles"],
            {},
            seed=1,
            resamples=200,
            confidence=0.95,
        )
    )  # type: ignore[arg-type]
    assert [(row["kind"], row["severity"]) for row in rows] == [
        ("clean", 0),
        *((kind, s) for kind in ("casing", "articles") for s in (1, 2, 3)),
    ]
    drops = [float(row["f1_drop"]) for row in rows]
    assert drops[0] == 0 < drops[1] < drops[2] < drops[3]
    assert drops[4:] == [0.0, 0.0, 0.0]
