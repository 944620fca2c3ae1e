"""Training: it learns, is reproducible, resumes, and saves the best epoch."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import Config
from ner_mlflow.data.sample import generate_sample
from ner_mlflow.errors import ModelError
from ner_mlflow.evaluation.scores import score
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.modeling.callbacks import TrainingHooks
from ner_mlflow.modeling.checkpoint import load_adapter, load_model
from ner_mlflow.modeling.dataset import TrainingData
from ner_mlflow.modeling.fit import CHECKPOINTS, TrainResult, fit, has_checkpoint
from ner_mlflow.modeling.predict import torch_tagger
from ner_mlflow.modeling.trainer import parameter_groups
from ner_mlflow.provenance import file_sha256
from ner_mlflow.tagging.label_schema import LabelSchema

CORPUS = generate_sample(13)
SCHEMA = LabelSchema(("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION"))
SENTENCES = [sentence.tokens for sentence in CORPUS["test"][:40]]


DATA = TrainingData(CORPUS["train"][:200], CORPUS["validation"][:60], SCHEMA)


@dataclass(frozen=True)
class Training:
    """A result with its logged metrics and their steps."""

    result: TrainResult
    logged: list[tuple[dict[str, float], int]]


def config_of(backbone: Path, **overrides: object) -> Config:
    return load_config(
        overrides={
            "model.backbone": str(backbone),
            "model.max_length": 64,
            "train.learning_rate": 3e-3,
            "train.batch_size": 16,
            **overrides,
        }
    )


class PowerCutError(Exception):
    """Simulates a killed process."""


def train(
    backbone: Path,
    folder: Path,
    sentences: int = 200,
    cut_at_step: int | None = None,
    **overrides: object,
) -> Training:
    config = config_of(backbone, **overrides)
    model = build_model(resolve_backbone(str(backbone)), config.model, SCHEMA, config.train.seed)
    logged: list[tuple[dict[str, float], int]] = []

    def on_log(metrics: Mapping[str, float], step: int) -> None:
        if cut_at_step is not None and step >= cut_at_step:
            raise PowerCutError
        logged.append((dict(metrics), step))

    data = replace(DATA, train=CORPUS["train"][:sentences])
    return Training(fit(model, data, config.train, folder, TrainingHooks(on_log)), logged)


@pytest.fixture(scope="module")
def lora(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Training:
    return train(
        tiny_backbone,
        tmp_path_factory.mktemp("lora"),
        **{"model.adaptation": "lora", "model.lora_rank": 4, "train.epochs": 2},
    )


def test_the_adapter_reloads_to_the_logits_of_the_merged_model(
    tiny_backbone: Path, lora: Training
) -> None:
    assert lora.result.adapter_folder is not None
    merged, adapted = (
        np.concatenate(
            torch_tagger(model.network, model.tokenizer, model.spec).log_probabilities(SENTENCES)
        )
        for model in (
            load_model(lora.result.model_folder),
            load_adapter(lora.result.adapter_folder, resolve_backbone(str(tiny_backbone))),
        )
    )
    np.testing.assert_allclose(merged, adapted, atol=1e-4)
    assert merged.std() > 0.1


def test_an_adapter_is_refused_on_another_backbone(tiny_backbone: Path, lora: Training) -> None:
    assert lora.result.adapter_folder is not None
    with pytest.raises(ModelError, match=r"trained on .*: give that backbone"):
        load_adapter(lora.result.adapter_folder, resolve_backbone("minilm"))


def test_lora_trains_few_weights_and_saves_few_bytes(lora: Training) -> None:
    assert lora.result.adapter_folder is not None
    assert (
        lora.result.metrics["parameters/trainable"] < 0.5 * lora.result.metrics["parameters/total"]
    )
    merged, adapter = (
        sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        for folder in (lora.result.model_folder, lora.result.adapter_folder)
    )
    assert adapter < 0.5 * merged


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    hashes = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        result = train(
            tiny_backbone, tmp_path / name, sentences=60, **{"train.seed": seed, "train.epochs": 1}
        ).result
        hashes.append(file_sha256(result.model_folder / "model.safetensors"))
    assert hashes[0] == hashes[1] != hashes[2]


def validation_f1(folder: Path) -> float:
    saved = load_model(folder)
    tagged = torch_tagger(saved.network, saved.tokenizer, saved.spec).tag(
        [sentence.tokens for sentence in DATA.validation]
    )
    gold = [sentence.tags for sentence in DATA.validation]
    return score(gold, [tags.tags for tags in tagged])["f1"]


def test_the_best_epoch_is_saved_and_early_stopping_ends_the_training(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    config = config_of(
        tiny_backbone,
        **{
            "train.epochs": 30,
            "train.early_stopping_patience": 3,
            "train.precision": "fp32",
            "train.thresholds": "none",  # they are chosen after the best epoch
            "train.repeat_factor_threshold": 0.5,
        },
    )
    model = build_model(resolve_backbone(str(tiny_backbone)), config.model, SCHEMA, 1)
    scores: list[float] = []

    def break_after_learning(epoch: int, f1: float) -> None:
        scores.append(f1)
        if f1 > 0.2:
            for weight in model.network.parameters():
                weight.data.zero_()

    data = replace(DATA, train=CORPUS["train"][:600])
    hooks = TrainingHooks(on_epoch=break_after_learning)
    result = fit(model, data, config.train, tmp_path, hooks)
    best = max(scores)
    assert scores[-1] < best - 0.2
    assert result.metrics["train/epochs_run"] == len(scores) < 30
    assert result.metrics["train/best_epoch"] == scores.index(best) + 1
    assert result.metrics["best_validation/f1"] == best
    assert validation_f1(result.model_folder) == pytest.approx(best, abs=1e-6)


def test_logged_steps_increase_and_the_learning_rate_falls_at_the_end(lora: Training) -> None:
    rates = [
        (step, metrics["train/learning_rate"])
        for metrics, step in lora.logged
        if "train/learning_rate" in metrics
    ]
    assert [step for step, _ in rates] == sorted(step for step, _ in rates)
    assert rates[-1][1] < max(rate for _, rate in rates)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"model.max_length": 4096},
            "model.max_length=4096, but backbone .* has 128 positions: set 128 or less",
        ),
        (
            {"model.adaptation": "lora", "model.lora_targets": ["qkv"]},
            r"model.lora_targets \['qkv'\] for backbone .*: "
            "choose from all, attention, query_value, or layers: dense, key, ",
        ),
    ],
)
def test_settings_that_do_not_fit_the_backbone_are_refused(
    tiny_backbone: Path, overrides: dict[str, object], message: str
) -> None:
    config = config_of(tiny_backbone, **overrides)
    with pytest.raises(ModelError, match=message):
        build_model(resolve_backbone(str(tiny_backbone)), config.model, SCHEMA, 1)


def weights_of(run: Training) -> str:
    return file_sha256(run.result.model_folder / "model.safetensors")


INTERRUPTED: dict[str, dict[str, object]] = {
    "average": {"train.ema_decay": 0.9},
    "sentences": {"train.batching": "sentences"},
    "lora": {
        "model.adaptation": "lora",
        "model.lora_rank": 4,
        "model.lora_dropout": 0.1,
        "train.repeat_factor_threshold": 0.2,
    },
}


@pytest.fixture(scope="module")
def uninterrupted(
    tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Training]:
    """A function that returns the complete training of a name in ``INTERRUPTED``."""

    @cache
    def complete(name: str) -> Training:
        return train(tiny_backbone, tmp_path_factory.mktemp(name), **interrupted_settings(name))

    return complete


def interrupted_settings(name: str) -> dict[str, Any]:
    return {
        "sentences": 128,
        "train.epochs": 3,
        "train.checkpoint_steps": 3,
        **INTERRUPTED[name],
    }


@pytest.mark.parametrize(
    ("name", "cut_at_step"),
    [
        pytest.param("average", 7, id="average, within the first epoch"),
        pytest.param("average", 14, id="average, in the second epoch"),
        pytest.param("average", 24, id="average, at the end of the third epoch"),
        pytest.param("sentences", 14, id="sentences, in the second epoch"),
        pytest.param("lora", 14, id="lora, in the second epoch"),
        *(
            pytest.param(name, step, marks=pytest.mark.slow, id=f"{name}, step {step}")
            for name in ("sentences", "lora")
            for step in (7, 24)
        ),
    ],
)
def test_an_interrupted_training_ends_with_the_weights_of_an_uninterrupted_one(
    tiny_backbone: Path,
    tmp_path: Path,
    uninterrupted: Callable[[str], Training],
    name: str,
    cut_at_step: int,
) -> None:
    settings = interrupted_settings(name)
    with pytest.raises(PowerCutError):
        train(tiny_backbone, tmp_path, cut_at_step=cut_at_step, **settings)
    assert has_checkpoint(tmp_path)
    resumed = train(tiny_backbone, tmp_path, **settings)
    complete = uninterrupted(name)
    assert weights_of(resumed) == weights_of(complete)
    for metric in ("best_validation/f1", "train/epochs_run"):
        assert resumed.result.metrics[metric] == complete.result.metrics[metric]
    # It resumed, and did not start again.
    assert min(step for _, step in resumed.logged) > min(step for _, step in complete.logged)


def test_an_incomplete_checkpoint_is_ignored(tiny_backbone: Path, tmp_path: Path) -> None:
    settings = {"sentences": 128, "train.epochs": 2}
    with pytest.raises(PowerCutError):
        train(tiny_backbone, tmp_path / "cut", cut_at_step=14, **settings)  # type: ignore[arg-type]
    incomplete = tmp_path / "cut" / CHECKPOINTS / "checkpoint-11"
    incomplete.mkdir()
    (incomplete / "weights.safetensors").write_bytes(b"half")
    complete = train(tiny_backbone, tmp_path / "complete", **settings)  # type: ignore[arg-type]
    resumed = train(tiny_backbone, tmp_path / "cut", **settings)  # type: ignore[arg-type]
    assert weights_of(resumed) == weights_of(complete)


def test_a_finished_training_is_not_repeated(tiny_backbone: Path, tmp_path: Path) -> None:
    first = train(tiny_backbone, tmp_path, sentences=60, **{"train.epochs": 1})
    again = train(tiny_backbone, tmp_path, sentences=60, **{"train.epochs": 1})
    assert again.logged == []
    assert weights_of(again) == weights_of(first)
    assert again.result.metrics["best_validation/f1"] == first.result.metrics["best_validation/f1"]


@pytest.mark.parametrize("adaptation", ["full", "lora"])
def test_casing_reaches_the_model_and_survives_saving(
    tiny_backbone: Path, tmp_path: Path, adaptation: str
) -> None:
    settings = {
        "model.casing_embeddings": "always",
        "model.adaptation": adaptation,
        "model.lora_rank": 4,
        "train.epochs": 3,
    }
    result = train(tiny_backbone, tmp_path, sentences=400, **settings).result  # type: ignore[arg-type]
    checkpoints = [load_model(result.model_folder)]
    if result.adapter_folder:
        checkpoints.append(
            load_adapter(result.adapter_folder, resolve_backbone(str(tiny_backbone)))
        )
    for checkpoint in checkpoints:
        tagger = torch_tagger(checkpoint.network, checkpoint.tokenizer, checkpoint.spec)
        lower, upper = tagger.log_probabilities([["we", "use", "java"], ["WE", "Use", "jaVa"]])
        assert float(np.abs(lower - upper).max()) > 1e-2
    plain = train(
        tiny_backbone,
        tmp_path / "plain",
        sentences=60,
        **{"train.epochs": 1, "model.casing_embeddings": "never"},
    ).result
    saved = load_model(plain.model_folder)
    lower, upper = torch_tagger(saved.network, saved.tokenizer, saved.spec).log_probabilities(
        [["we", "use", "java"], ["WE", "Use", "jaVa"]]
    )
    np.testing.assert_allclose(lower, upper, atol=1e-5)


def test_learning_rates_fall_with_depth(tiny_backbone: Path) -> None:
    config = config_of(
        tiny_backbone,
        **{
            "train.layerwise_lr_decay": 0.5,
            "train.classifier_lr_multiplier": 10.0,
            "train.learning_rate": 0.001,
        },
    )
    network = build_model(resolve_backbone(str(tiny_backbone)), config.model, SCHEMA, 1).network
    names = {id(weight): name for name, weight in network.named_parameters()}
    rates = {
        names[id(weight)]: group["lr"]
        for group in parameter_groups(network, config.train, decayed=set())
        for weight in group["params"]
    }
    assert set(rates) == set(names.values())
    for name, rate in rates.items():
        expected = (
            0.01
            if "classifier" in name
            else 0.001
            if "layer.1" in name
            else 0.0005
            if "layer.0" in name
            else 0.00025
        )
        assert rate == pytest.approx(expected), name


def test_incomplete_weights_are_refused(lora: Training, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(lora.result.model_folder, folder)
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: weight for name, weight in weights.items() if not name.startswith("classifier.")},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(
        ModelError,
        match=r"the weights lack classifier\.bias, classifier\.weight \(2 in all\): train the",
    ):
        load_model(folder)
    save_file(
        {**weights, "classifier.bias": weights["classifier.bias"][:-1].clone()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(ModelError, match="no loadable safetensors weights"):
        load_model(folder)
    content = (lora.result.model_folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="no loadable safetensors weights"):
        load_model(folder)


@pytest.mark.parametrize(("rank", "ratio"), [(1, 0.5), (6, 0.25), (51, 0.5)])
def test_adapters_are_scaled_by_the_alpha_ratio(
    rank: int, ratio: float, tiny_backbone: Path
) -> None:
    config = config_of(
        tiny_backbone,
        **{"model.adaptation": "lora", "model.lora_rank": rank, "model.lora_alpha_ratio": ratio},
    )
    model = build_model(resolve_backbone(str(tiny_backbone)), config.model, SCHEMA, 1)
    scalings = {
        module.scaling["default"]
        for module in model.network.modules()
        if isinstance(module, LoraLayer)
    }
    assert scalings == {ratio}
