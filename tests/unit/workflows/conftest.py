"""One finished pipeline, for tests of what is made of its runs."""

import json
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from pipelines import Finished, write_corpus

from ner_mlflow.config.loading import load_config
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.pipeline import Pipeline
from ner_mlflow.workflows.train import find_inputs


@pytest.fixture(scope="session")
def finished_pipeline(
    make_store: Callable[[Path], str],
    tiny_backbone: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Finished:
    folder = tmp_path_factory.mktemp("pipeline")
    settings = {
        "data": {"dataset": str(write_corpus(folder / "corpus")), "label_map": "keep"},
        "model": {"backbone": str(tiny_backbone), "max_length": 32},
        "train": {"epochs": 2, "learning_rate": 3e-3, "batch_size": 8},
        "evaluate": {"resamples": 100},
        "export": {
            "variants": ["fp32"],
            "served": ["fp32"],
            "resamples": 100,
            "latency_length": 8,
            "latency_runs": 4,
            "latency_warmup_runs": 0,
            "throughput_sentences": 12,
        },
    }
    preset = folder / "small.yaml"
    preset.write_text(json.dumps(settings), encoding="utf-8")
    config = load_config(str(preset))
    store = make_store(folder)
    with pytest.MonkeyPatch.context() as patch, open_run(Step.MAIN, "main") as parent:
        patch.setenv(CACHE_VARIABLE, str(folder / "cache"))
        pipeline = Pipeline(parent, "small")
        data = pipeline.prepare(config)
        trained = pipeline.train(config, data, find_inputs(config))
        result = pipeline.evaluate_and_export(config, trained, data)
    return Finished(store, preset, config, parent.id, data, result)


@pytest.fixture
def finished(
    finished_pipeline: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Finished:
    """The finished pipeline, whose store is MLflow's store while the test runs."""
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    mlflow.set_tracking_uri(finished_pipeline.store)
    return finished_pipeline
