"""Runs become names, scores and decisions that people can read."""

import math
from dataclasses import replace

import pytest

from ner_mlflow.demo.standing import (
    alias_of,
    count_models,
    date,
    differing,
    distinct,
    latest_of_each,
    model_name,
    on_front,
    promotion,
    scored,
    variants,
)
from ner_mlflow.tracking.overview import ModelSummary
from ner_mlflow.tracking.queries import RunSummary

ON = {"data_run": "d", "dataset": "dinge", "dataset_fingerprint": "f"}
EVALUATE = RunSummary(
    id="abcdef0123",
    experiment_id="0",
    name="klein · evaluate",
    status="FINISHED",
    parent="",
    started_ms=0,
    params={},
    tags={"step": "evaluate", "model": "models:/m-1", "split": "test", "preset": "klein", **ON},
    metrics={
        "test/f1": 0.8,
        "test/f1_low": 0.7,
        "test/f1_high": 0.9,
        "test/support": 122,
        "test/Gerät/f1": 0.9,
        "test/Gerät/support": 80,
        "test/a b/f1": 0.5,
        "test/a b/f1_low": 0.2,
        "test/a b/f1_high": 0.6,
        "test/a b/support": 40,
        "test/nie/f1": 0.0,
        "test/nie/support": 2,
        "test/semeval/strict/f1": 0.8,
        "test/surface/seen/f1": 1.0,
        "raw/f1": 0.75,
    },
)


def run(step: str, metrics: dict[str, float] | None = None, **tags: str) -> RunSummary:
    return replace(EVALUATE, tags={"step": step, **ON, **tags}, metrics=metrics or {})


def test_an_evaluation_has_the_types_of_its_dataset_and_a_weakest_one() -> None:
    found = scored(EVALUATE)
    assert found is not None
    assert [type_.type for type_ in found.types] == ["Gerät", "a b", "nie"]
    assert str(found.score) == "0.800 (0.700–0.900)"
    assert found.weakest is not None
    assert (found.weakest.type, found.weakest.support) == ("a b", 40)
    assert found.text_score is not None
    assert (str(found.text_score), found.text_score.interval) == ("0.750", "")
    assert found.group == ("dinge", "f", "test")
    assert not found.is_file


def test_a_run_that_scored_no_model_is_left_out() -> None:
    assert scored(run("evaluate", model="m")) is None  # it ended before its split was known
    assert scored(run("evaluate", model="m", split="test")) is None
    assert scored(run("train")) is None


@pytest.mark.parametrize(
    ("tags", "address", "name"),
    [
        ({"preset": "klein"}, "models:/m-1", "klein"),
        ({"preset": "klein", "variant": "int8"}, "models:/m-1", "klein int8"),
        ({"preset": "klein"}, "runs:/0a/onnx/fp32", "klein fp32"),
        ({}, "models:/it-ner/3", "it-ner version 3"),
        ({}, "models:/m-1", "klein · evaluate"),
    ],
)
def test_a_model_is_named_by_preset_and_variant(
    tags: dict[str, str], address: str, name: str
) -> None:
    assert model_name(run("evaluate", **tags), address) == name


def test_equal_names_are_told_apart_by_seed_and_then_by_run() -> None:
    runs = [
        replace(run("evaluate", seed="1"), id="1" * 32),
        replace(run("evaluate", seed="2"), id="2" * 32),
        replace(run("evaluate", seed="2"), id="3" * 32),
        replace(run("evaluate"), id="4" * 32),
    ]
    assert distinct(runs, ["a", "a", "a", "b"]) == [
        "a · seed 1",
        "a · seed 2 · 222222",
        "a · seed 2 · 333333",
        "b",
    ]


def test_of_each_model_the_first_evaluation_on_a_dataset_stays() -> None:
    first, again = scored(EVALUATE), scored(replace(EVALUATE, id="later"))
    other = scored(replace(EVALUATE, tags={**EVALUATE.tags, "split": "test", "model": "m"}))
    assert first
    assert again
    assert other
    assert latest_of_each([first, again, other]) == [first, other]


def test_the_files_of_an_export_have_their_costs() -> None:
    metrics = {
        "int8/validation_f1": 0.7,
        "int8/size_bytes": 2e6,
        "int8/latency/real/p50_ms": 1.5,
        "fp32/validation_f1": 0.8,
        "fp32/size_bytes": 8e6,
        "seconds": 3.0,
    }
    found = variants(run("export", metrics, model="m", served_variant="int8", preset="klein"))
    assert [(file.name, file.size_mb, file.served) for file in found] == [
        ("klein int8", 2.0, True),
        ("klein fp32", 8.0, False),
    ]
    assert found[0].latency_ms == 1.5
    assert math.isnan(found[1].latency_ms)
    assert found[0].address == "runs:/abcdef0123/onnx/int8"
    assert variants(run("train")) == []


def test_the_pareto_front_leaves_out_files_without_a_cost() -> None:
    assert on_front([1.0, 2.0, 3.0, math.nan], [0.7, 0.9, 0.8, 1.0]) == [True, True, False, False]


@pytest.mark.parametrize(
    ("tags", "status", "outcome", "kind"),
    [
        ({"outcome": "promoted"}, "FINISHED", "promoted", "good"),
        ({"outcome": "forced"}, "FINISHED", "forced", "good"),
        ({"outcome": "refused"}, "FINISHED", "refused", "bad"),
        ({"outcome": "dry run"}, "FINISHED", "dry run", ""),
        ({"outcome": "rolled back"}, "FINISHED", "rolled back", ""),
        ({"error": "the store failed"}, "FAILED", "failed", "bad"),
        ({}, "RUNNING", "running", ""),
    ],
)
def test_a_decision_has_an_outcome(
    tags: dict[str, str], status: str, outcome: str, kind: str
) -> None:
    tags = {"candidate": "models:/it-ner/2", "champion": "none", "alias": "champion", **tags}
    found = promotion(replace(run("promote", **tags), status=status))
    assert found is not None
    assert (found.outcome, found.kind) == (outcome, kind)
    assert found.reason == tags.get("error", "")
    assert promotion(run("promote")) is None


@pytest.mark.parametrize(
    ("aliases", "histories", "alias"),
    [
        ({"candidate": "3", "champion": "2"}, {}, "champion"),
        ({"candidate": "3", "prod": "2"}, {"prod": ("1", "2")}, "prod"),
        ({"b": "3", "a": "2"}, {}, "a"),
        ({}, {}, ""),
    ],
)
def test_a_model_is_shown_with_its_champion(
    aliases: dict[str, str], histories: dict[str, tuple[str, ...]], alias: str
) -> None:
    assert alias_of(ModelSummary("it-ner", aliases, histories, 0)) == alias


def test_settings_that_differ_are_shown_with_the_base() -> None:
    logged = {"train.epochs": 3, "train.seed": 13, "data.splits": ["a", "b"], "gone.key": 1}
    base = {"train.epochs": 5, "train.seed": 13, "data.splits": ()}
    assert differing(logged, base) == [
        ("train.epochs", "3", "5"),
        ("data.splits", "[a, b]", "[]"),
        ("gone.key", "1", "–"),
    ]


def test_models_and_their_files_are_counted_apart() -> None:
    tags = {**EVALUATE.tags, "train_run": "t" * 32}
    model = scored(replace(EVALUATE, tags=tags))
    address = f"runs:/{'e' * 32}/onnx/int8"
    file = scored(replace(EVALUATE, tags={**tags, "model": address, "variant": "int8"}))
    alone = scored(EVALUATE)
    assert model
    assert file
    assert alone
    assert (model.trained, file.trained, alone.trained) == ("t" * 32, "t" * 32, "models:/m-1")
    assert count_models([model, file, alone]) == "2 models and 1 exported file"
    assert count_models([file, file]) == "2 exported files"


def test_times_are_in_utc() -> None:
    assert date(0) == "1970-01-01 00:00"
