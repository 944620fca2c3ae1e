"""Trainings are keyed by what their result depends on, and resume only with the same of it."""

from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from pipelines import Finished

from ner_mlflow.config.loading import load_config
from ner_mlflow.data.dataset import PreparedDataset, fingerprint
from ner_mlflow.errors import DataError, ModelError, TrackingError
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.queries import read_run
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.train import (
    find_inputs,
    interrupted_inputs,
    interrupted_run,
    resumable_run,
    run_train,
    train_cache_key,
)


def test_the_record_describes_the_backbone_and_the_sizes(finished: Finished) -> None:
    train, backbone = finished.result.train, find_inputs(finished.config).backbone
    assert train.backbone == backbone.name
    assert train.backbone_sha256 == backbone.weights_sha256
    assert train.precision in ("fp32", "bf16", "fp16")
    sizes = [size for name, size in train.metrics.items() if name.startswith("size_bytes/model/")]
    assert sum(sizes) == train.metrics["size_bytes/model"] > 0
    names = {entry.path for entry in mlflow.artifacts.list_artifacts(run_id=train.run_id)}
    assert {"config.yaml", "training_curves.png"} <= names


@pytest.mark.parametrize(
    "settings",
    [{"model.layers": 5}, {"model.kept_layers": [2]}, {"model.max_length": 4096}],
    ids=lambda settings: next(iter(settings)),
)
def test_a_backbone_of_another_size_is_refused_before_teachers_are_sought(
    settings: dict[str, object], tiny_backbone: Path
) -> None:
    config = load_config(
        overrides={
            "model.backbone": str(tiny_backbone),
            "distill.teachers": ["no such teacher"],
            "model.max_length": 64,
            **settings,
        }
    )
    with pytest.raises(ModelError, match=rf"{next(iter(settings))}=.*backbone"):
        find_inputs(config)


def test_the_trained_model_answers_through_mlflow_as_the_served_one(finished: Finished) -> None:
    uri = finished.result.train.model_uri
    trained = mlflow.pyfunc.load_model(uri)
    served = mlflow.pyfunc.load_model(finished.result.export.model_uri)
    texts = [
        text
        for number in range(20)
        for text in (
            f"I use Ubuntu {number}.04 test",
            f"(Ubuntu), {number}.04! Use foo() or C++ on ubuntu-{number}? Ubuntu's {number}.04.",
            f"I use\n\nUBUNTU \ud83d{number}.04 {'test ' * 40}Ubuntu {number}.04",
        )
    ]
    answers: list[set[tuple[int, str, int, int]]] = []
    for model in (trained, served):
        rows = enumerate(model.predict(texts))
        answers.append(
            {(row, e["label"], e["start"], e["end"]) for row, entities in rows for e in entities}
        )
    ours, expected = answers
    assert len(expected) > len(texts)
    assert 2 * len(ours & expected) / (len(ours) + len(expected)) > 0.99
    # A pipeline of transformers would answer with parts of words, and cut words in another way.
    assert "transformers" not in mlflow.models.get_model_info(uri).flavors


def test_the_cache_key_follows_settings_data_and_teachers(finished: Finished) -> None:
    config, data = finished.config, finished.data
    inputs = find_inputs(config)
    key = train_cache_key(config, data, inputs)
    assert key == finished.result.train.cache_key
    other_seed = load_config(str(finished.preset), {"train.seed": 99})
    assert train_cache_key(other_seed, data, inputs) != key
    evaluated_otherwise = load_config(str(finished.preset), {"evaluate.error_pairs": 7})
    assert train_cache_key(evaluated_otherwise, data, inputs) == key
    other_data = replace(data, dataset=replace(data.dataset, fingerprint="f" * 64))
    assert train_cache_key(config, other_data, inputs) != key


def test_an_interrupted_run_does_not_resume_with_other_settings(finished: Finished) -> None:
    message = "started with other code, libraries, settings or data"
    with open_run(Step.TRAIN, "train") as run:
        run.set_tags({"cache_key": "another"})
        with pytest.raises(TrackingError, match=message):
            run_train(run, finished.config, finished.data)
    mlflow.MlflowClient().delete_run(run.id)


def test_a_dataset_without_validation_sentences_is_refused(finished: Finished) -> None:
    dataset = finished.data.dataset
    corpus = {**dataset.corpus, "validation": []}
    empty = PreparedDataset("empty", corpus, dataset.schema, fingerprint(corpus, dataset.schema))
    with (
        pytest.raises(DataError, match="validation is empty, so no epoch can be chosen"),
        open_run(Step.TRAIN, "train") as run,
    ):
        run_train(run, finished.config, replace(finished.data, dataset=empty))
    assert read_run(run.id).status == "FAILED"


def test_the_settings_and_data_of_a_run_are_read_back(finished: Finished) -> None:
    config, data = interrupted_inputs(finished.result.train.run_id)
    assert (config.model, config.train) == (finished.config.model, finished.config.train)
    assert data == finished.data


def test_without_a_checkpoint_no_run_resumes(finished: Finished) -> None:
    with resumable_run("no such key", "0") as run_id:
        assert run_id is None
    with (
        pytest.raises(TrackingError, match="no such interrupted train run with a checkpoint under"),
        interrupted_run("latest"),
    ):
        pass
