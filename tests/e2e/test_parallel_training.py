"""Two processes that share each batch learn what one process learns from it."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from ner_mlflow.config.loading import load_config
from ner_mlflow.data.sample import generate_sample
from ner_mlflow.errors import TrackingError
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.modeling.callbacks import TrainingHooks
from ner_mlflow.modeling.dataset import TrainingData
from ner_mlflow.modeling.fit import TrainResult
from ner_mlflow.modeling.parallel import fit_in_processes
from ner_mlflow.tagging.label_schema import LabelSchema

CORPUS = generate_sample(13)
SCHEMA = LabelSchema(("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION"))
NO_DROPOUT = {f"model.{where}_dropout": 0.0 for where in ("hidden", "attention", "classifier")}
Curve = list[tuple[int, float]]


def train(
    processes: int, backbone: Path, folder: Path, **overrides: object
) -> tuple[TrainResult, dict[str, Curve]]:
    settings = {
        "model.max_length": 48,
        "train.learning_rate": 3e-3,
        "train.epochs": 2,
        "train.precision": "fp32",
        "train.checkpoint_steps": 5,
    }
    config = load_config(
        overrides={"train.processes": processes, **settings, **NO_DROPOUT, **overrides}
    )
    curves: dict[str, Curve] = {}

    def on_log(metrics: Mapping[str, float], step: int) -> None:
        for name, value in metrics.items():
            curves.setdefault(name, []).append((step, value))

    build = partial(build_model, resolve_backbone(str(backbone)), config.model, SCHEMA, 1)
    data = TrainingData(CORPUS["train"][:320], CORPUS["validation"][:60], SCHEMA)
    return fit_in_processes(build, data, config.train, folder, TrainingHooks(on_log)), curves


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param({}, id="plain"),
        pytest.param(
            {"train.ema_decay": 0.9, "model.head": "crf"}, id="crf", marks=pytest.mark.slow
        ),
        pytest.param(
            {"model.adaptation": "lora", "train.batching": "sentences"},
            id="lora",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_two_processes_have_the_loss_curve_of_one(
    overrides: dict[str, object], tiny_backbone: Path, tmp_path: Path
) -> None:
    (one, alone), (two, shared) = (
        train(processes, tiny_backbone, tmp_path / str(processes), **overrides)
        for processes in (1, 2)
    )
    assert [step for step, _ in shared["train/loss"]] == [step for step, _ in alone["train/loss"]]
    if "train.batching" not in overrides:  # with it each process draws other sentences
        np.testing.assert_allclose(
            [loss for _, loss in shared["train/loss"]],
            [loss for _, loss in alone["train/loss"]],
            rtol=1e-3,
        )
        np.testing.assert_allclose(
            [f1 for _, f1 in shared["validation/f1"]],
            [f1 for _, f1 in alone["validation/f1"]],
            atol=0.02,
        )
        weights, expected = (
            load_file(result.model_folder / "model.safetensors") for result in (two, one)
        )
        for name, weight in expected.items():
            np.testing.assert_allclose(weights[name], weight, atol=2e-3, err_msg=name)
    assert shared["train/loss"][-1][1] < 0.8 * shared["train/loss"][0][1]
    assert two.metrics["train/epochs_run"] == 2
    assert (two.adapter_folder is not None) == ("model.adaptation" in overrides)


@pytest.mark.slow
def test_a_failure_to_log_reaches_the_caller(tiny_backbone: Path, tmp_path: Path) -> None:
    config = load_config(
        overrides={"train.processes": 2, "model.max_length": 48, "train.epochs": 1}
    )
    build = partial(build_model, resolve_backbone(str(tiny_backbone)), config.model, SCHEMA, 1)

    def on_log(*_: object) -> None:
        raise TrackingError("the server went away")

    data = TrainingData(CORPUS["train"][:64], CORPUS["validation"][:10], SCHEMA)
    with pytest.raises(TrackingError, match="the server went away"):
        fit_in_processes(build, data, config.train, tmp_path, TrainingHooks(on_log))
