"""The rule by which a candidate replaces the champion."""

import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import PromoteConfig
from ner_mlflow.evaluation.promotion import RAW_TEXTS, Contender, Measured, judge

CONFIG: PromoteConfig = load_config().promote
RANDOM = np.random.default_rng(3)
GOLD = RANDOM.poisson(0.3, (1500, 2))


def counts(recall: float, seed: int = 5) -> NDArray[np.int64]:
    correct = np.random.default_rng(seed).binomial(GOLD, recall)
    return np.stack([correct, correct, GOLD], axis=-1)


CHAMPION = Contender("models:/m/1", "same", measured=Measured(counts(0.80), 10.0, 1000))


def candidate(
    recall: float = 0.80, latency_p50_ms: float = 10.0, size_bytes: int = 1000
) -> Contender:
    return Contender(
        "models:/m/2", "same", measured=Measured(counts(recall), latency_p50_ms, size_bytes)
    )


def test_the_first_candidate_needs_only_a_proof() -> None:
    assert judge(candidate(), None, CONFIG).passed
    assert not judge(replace(candidate(), proof_failures=("F1 lost",)), None, CONFIG).passed


def test_a_better_candidate_passes_and_the_verdict_states_its_gain() -> None:
    verdict = judge(candidate(0.9), CHAMPION, CONFIG)
    assert verdict.passed
    assert "F1 is 0.0" in verdict.reason
    assert "higher on given words" in verdict.reason
    assert all(check.passed for check in verdict.checks)


def test_the_verdict_says_that_raw_texts_decided() -> None:
    verdict = judge(candidate(0.9), CHAMPION, CONFIG, RAW_TEXTS)
    assert "higher on raw texts" in verdict.reason
    assert verdict.checks[2].evidence.startswith("on raw texts 0.")
    equal = judge(candidate(), CHAMPION, CONFIG, RAW_TEXTS)
    assert "on raw texts F1 +0.0000; required is" in equal.reason


def test_an_equal_candidate_does_not_pass() -> None:
    verdict = judge(candidate(), CHAMPION, CONFIG)
    assert not verdict.passed
    assert verdict.reason.startswith("it is no improvement: on given words F1 +0.0000")


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"latency_p50_ms": 7.5}, {"latency_p50_ms": 7.6}),
        ({"size_bytes": 800}, {"size_bytes": 801}),
    ],
)
def test_an_equal_f1_passes_with_latency_or_size_within_the_margin(
    better: dict[str, float], worse: dict[str, float]
) -> None:
    assert judge(candidate(**better), CHAMPION, CONFIG).passed  # type: ignore[arg-type]
    assert not judge(candidate(**worse), CHAMPION, CONFIG).passed  # type: ignore[arg-type]


def test_speed_and_size_count_only_within_the_tolerance_of_f1() -> None:
    better, worse = (
        judge(candidate(recall), CHAMPION, CONFIG).checks[2].evidence for recall in (0.80, 0.798)
    )
    assert better.endswith("+0.0000, p = 1.0000")
    lost = -float(worse.split(": ")[1].split(",")[0])
    assert 0 < lost < 0.02

    def passes(f1_tolerance: float) -> bool:
        config = CONFIG.model_copy(update={"f1_tolerance": f1_tolerance, "significance_level": 0.0})
        return judge(candidate(0.798, latency_p50_ms=1.0, size_bytes=100), CHAMPION, config).passed

    assert passes(lost + 1e-4)
    assert not passes(lost - 1e-4)


def test_speed_does_not_outweigh_a_significantly_lower_f1() -> None:
    verdict = judge(
        candidate(0.7, latency_p50_ms=1.0),
        CHAMPION,
        CONFIG.model_copy(update={"f1_tolerance": 0.5}),
    )
    assert not verdict.passed
    assert re.fullmatch(
        r"F1 is significantly lower on given words, 0\.\d{4} against 0\.\d{4}, p 0\.\d{4}",
        verdict.reason,
    )


def test_the_margin_comes_from_the_settings() -> None:
    gain = judge(candidate(0.82), CHAMPION, CONFIG)
    assert gain.passed
    assert not judge(
        candidate(0.82), CHAMPION, CONFIG.model_copy(update={"min_f1_gain": 0.2})
    ).passed


def test_models_of_different_datasets_are_not_compared() -> None:
    verdict = judge(Contender("models:/m/2", "other"), CHAMPION, CONFIG)
    assert not verdict.passed
    assert verdict.reason == "it was made from another dataset (other and same)"
    unknown = judge(Contender("models:/m/2", ""), Contender("models:/m/1", ""), CONFIG)
    assert not unknown.passed
    assert "unknown of models:/m/2 and unknown of models:/m/1" in unknown.reason


def test_a_failed_proof_fails_a_better_candidate() -> None:
    verdict = judge(replace(candidate(0.9), proof_failures=("the files differ",)), CHAMPION, CONFIG)
    assert not verdict.passed
    assert verdict.reason == "the files differ"
    assert set(verdict.table["passed"]) == {"yes", "no"}
