"""The train step: teachers and hooks reach the training, and a failed one can be resumed."""

import json
from collections.abc import Mapping
from pathlib import Path

import mlflow
import pytest
from conftest import StoreMaker

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import Config
from ner_mlflow.modeling.cache import TrainingCache
from ner_mlflow.modeling.callbacks import TrainingHooks
from ner_mlflow.modeling.fit import has_checkpoint
from ner_mlflow.paths import CACHE_VARIABLE, training_folder
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.workflows.inputs import find_data
from ner_mlflow.workflows.train import TrainInputs, find_inputs, run_train, train_cache_key


@pytest.fixture(autouse=True)
def store(make_store: StoreMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    make_store(tmp_path)


def settings_of(tiny_preset: Path, folder: Path, **overrides: object) -> Config:
    lines = {
        split: [
            f"I\tO\nuse\tO\nUbuntu\tB-OS\n{number}.04\tB-VERSION\n{split}\tO\n"
            for number in range(40)
        ]
        for split in ("train", "validation", "test")
    }
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for split, sentences in lines.items():
        (corpus / f"{split}.conll").write_text("\n".join(sentences), encoding="utf-8")
    settings = {"data.dataset": str(corpus), "train.epochs": 2}
    return load_config(str(tiny_preset), {**settings, **overrides})


def metrics_of(run_id: str) -> Mapping[str, float]:
    metrics: Mapping[str, float] = mlflow.get_run(run_id).data.metrics
    return metrics


def test_a_student_trains_on_the_sentences_that_its_teacher_labels(
    tiny_preset: Path, tmp_path: Path
) -> None:
    config = settings_of(tiny_preset, tmp_path)
    texts = tmp_path / "texts.jsonl"
    texts.write_text(json.dumps({"text": "We wait for Ubuntu ."}), encoding="utf-8")
    with open_run("train", "teacher") as teacher:
        data = find_data(teacher, config)
        run_train(teacher, config, data)
    distill = {
        "distill.teachers": [teacher.id],
        "distill.unlabelled": str(texts),
        "distill.confidence": 0.0,
    }
    student_config = settings_of(tiny_preset, tmp_path, **distill)
    inputs = find_inputs(student_config)
    assert [model.run_id for model in inputs.teachers] == [teacher.id]
    cache = TrainingCache()
    with open_run("train", "student") as student:
        run_train(
            student,
            student_config,
            data,
            TrainInputs(inputs.backbone, inputs.teachers, cache),
            log_model=False,
        )
    assert metrics_of(student.id)["distill/confident_sentences"] == 1
    assert "distill/confident_sentences" not in metrics_of(teacher.id)
    without_teachers = TrainInputs(inputs.backbone)
    assert train_cache_key(student_config, data, inputs) != train_cache_key(
        student_config, data, without_teachers
    )


def test_hooks_receive_what_the_run_logs(tiny_preset: Path, tmp_path: Path) -> None:
    config = settings_of(tiny_preset, tmp_path)
    logged: dict[str, float] = {}
    with open_run("train", "hooks") as run:
        data = find_data(run, config)
        hooks = TrainingHooks(on_log=lambda metrics, _: logged.update(metrics))
        run_train(run, config, data, hooks=hooks, log_model=False)
    assert {"train/loss", "validation/f1"} <= set(logged)
    metrics = metrics_of(run.id)
    assert {name: metrics[name] for name in logged} == logged


@pytest.mark.parametrize("ended_by", ["on_log", "on_epoch"])
def test_a_failed_training_can_be_resumed_unless_hooks_can_end_it(
    tiny_preset: Path, tmp_path: Path, ended_by: str
) -> None:
    config = settings_of(tiny_preset, tmp_path, **{"train.epochs": 3})
    epochs: list[float] = []

    def fail_in_the_second_epoch(metrics: Mapping[str, float], _: int) -> None:
        epochs.extend(value for name, value in metrics.items() if name == "validation/f1")
        if len(epochs) > 1:
            raise InterruptedError

    def end_after_the_second_epoch(epoch: int, _: float) -> None:
        if epoch > 1:
            raise InterruptedError

    hooks = (
        TrainingHooks(on_log=fail_in_the_second_epoch)
        if ended_by == "on_log"
        else TrainingHooks(on_epoch=end_after_the_second_epoch)
    )
    with pytest.raises(InterruptedError), open_run("train", "failed") as run:
        run_train(run, config, find_data(run, config), hooks=hooks)
    assert has_checkpoint(training_folder(run.id)) is (ended_by == "on_log")
