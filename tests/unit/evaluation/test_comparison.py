"""Comparison of models: the tables of the report, and the Pareto front."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.evaluation.comparison import ComparedModel, compare, pareto_front
from ner_mlflow.evaluation.counts import f1

TYPES = ("ERROR", "OS")


def model(
    name: str, recall: float, seed: int, recipe: str = "", latency_ms: float = 5.0
) -> ComparedModel:
    gold = np.random.default_rng(0).poisson(0.5, (800, 2))
    correct = np.random.default_rng(seed).binomial(gold, recall)
    counts = np.stack([correct, correct, gold], axis=-1)
    total = float(f1(counts.sum(axis=(0, 1))))
    scores = {
        "f1": total,
        "f1_low": total - 0.02,
        "f1_high": total + 0.02,
        "precision": 1.0,
        "recall": recall,
        "accuracy": 0.9,
        "OS/f1": 0.5,
    }
    words = pd.DataFrame(
        [[9, 0, 3], [1, 8, 5], [2, 0, 700]], index=[*TYPES, "O"], columns=[*TYPES, "O"]
    )
    files = pd.DataFrame(
        {
            "variant": ["fp32", "int8"],
            "size_mb": [90.0, 23.0],
            "latency_p50_ms": [latency_ms, latency_ms / 2],
        }
    )
    files = files.assign(
        validation_f1=[total, total - 0.01],
        validation_f1_low=total - 0.03,
        validation_f1_high=total + 0.02,
    )
    return ComparedModel(
        name, recipe or name, {"backbone": "minilm"}, scores, counts, words, variants=files
    )


def test_the_report_ranks_models_and_marks_those_that_are_significantly_worse() -> None:
    models = [
        model("worse", 0.6, 1),
        model("best", 0.84, 2, latency_ms=9.0),
        model("nearly", 0.79, 3),
    ]
    report = compare(models, TYPES, "three models", resamples=1000, seed=1)
    results = report.tables["results"]
    assert results["model"].tolist() == ["best", "nearly", "worse"]
    assert results["beaten"].tolist() == ["", "", "*"]
    assert report.tables["types"].columns.tolist() == ["entity", "count", "best", "nearly", "worse"]
    assert report.tables["types"]["count"].sum() == models[0].counts[..., 2].sum()
    confusions = report.tables["confusions"]
    assert confusions[confusions["model"] == "best"][
        ["gold", "predicted", "words"]
    ].to_numpy().tolist() == [
        ["OS", "O", 5],
        ["ERROR", "O", 3],
        ["O", "ERROR", 2],
        ["OS", "ERROR", 1],
    ]
    variants = report.tables["variants"]
    assert set(variants[variants["pareto_latency_p50_ms"]]["model"]) == {"best", "nearly"}
    assert {"intervals", "differences", "tradeoff"} == set(report.figures)
    low, high = report.figures["tradeoff"].axes[0].get_ylim()
    assert low <= variants["validation_f1_low"].min()
    assert high >= variants["validation_f1_high"].max()
    assert report.html().count("<img") == 3
    lines = report.markdown(["The verdict."]).splitlines()
    assert lines[2] == "The verdict."
    assert lines[8].startswith("| model | f1 | f1_low |")
    assert lines[10].startswith("| best | 0.")
    assert "## Dominant confusions" in lines


def test_f1_in_running_text_stands_beside_f1_on_given_words() -> None:
    scored = replace(model("a", 0.8, 1), text_scores={"raw_f1": 0.5, "raw_f1_low": 0.4})
    results = compare([scored, model("b", 0.6, 2)], TYPES, "texts", 200, 1).tables["results"]
    assert results["raw_f1"].tolist() == [0.5, pytest.approx(float("nan"), nan_ok=True)]
    assert list(results.columns).index("raw_f1_low") < list(results.columns).index("p_against_best")
    assert "raw_f1" not in compare([model("b", 0.6, 2)], TYPES, "words", 200, 1).tables["results"]


def test_the_best_model_is_chosen_by_validation_and_a_lone_one_has_no_differences() -> None:
    scored = [
        replace(model(name, recall, 1), facts={"validation_f1": validation_f1})
        for name, recall, validation_f1 in (
            ("first on test", 0.9, float("nan")),
            ("chosen", 0.7, 0.8),
            ("last", 0.6, 0.7),
        )
    ]
    assert compare(scored, TYPES, "three", 200, 1).best.name == "chosen"
    alone = compare(scored[:1], TYPES, "one", 200, 1)
    assert alone.best.name == "first on test"
    assert "Differences" not in alone.html()


def test_models_of_one_recipe_are_averaged_over_seeds() -> None:
    models = [
        model("a seed 1", 0.8, 1, recipe="a"),
        model("a seed 2", 0.75, 2, recipe="a"),
        model("b", 0.6, 3),
    ]
    seeds = compare(models, TYPES, "seeds", 200, 1).tables["seeds"]
    scores = [models[0].scores["f1"], models[1].scores["f1"]]
    assert seeds[["seeds", "f1_mean", "f1_standard_deviation"]].to_numpy().tolist() == [
        [2, pytest.approx(np.mean(scores)), pytest.approx(abs(scores[0] - scores[1]) / 2**0.5)]
    ]


def test_one_model_without_exported_files_has_a_report() -> None:
    alone = ComparedModel(
        "alone",
        "r",
        {},
        model("x", 0.7, 1).scores,
        model("x", 0.7, 1).counts,
        model("x", 0.7, 1).confusion,
    )
    report = compare([alone], TYPES, "one", 200, 1)
    assert "variants" not in report.tables
    assert report.tables["results"]["beaten"].tolist() == [""]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_a_point_is_on_the_front_unless_another_beats_it(points: list[tuple[int, int]]) -> None:
    front = pareto_front(
        np.array([cost for cost, _ in points], float), np.array([gain for _, gain in points], float)
    )
    for index, (cost, gain) in enumerate(points):
        beaten = any(c <= cost and g >= gain and (c, g) != (cost, gain) for c, g in points)
        assert front[index] == (not beaten)


def test_names_are_no_markup_in_the_markdown_of_a_report() -> None:
    hostile = "a|b [x](javascript:y) <img src=x>"
    report = compare([model(hostile, 0.8, 1)], TYPES, hostile, 200, 1)
    text = report.markdown([hostile])
    assert "<img" not in text
    assert "[x](" not in text.replace("\\[x\\](", "")
    header, _, *rows = [line for line in text.splitlines() if line.startswith("|")][:3]
    assert header.count("|") == rows[0].replace("\\|", "").count("|")
