"""Fitting: it learns, the same seed gives the same weights, what is saved reloads to the same logits."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import Config
from ner_mlflow.data.sample import generate_sample
from ner_mlflow.errors import ModelError
from ner_mlflow.evaluation.scores import score
from ner_mlflow.modeling.averaging import WeightAverage
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.modeling.checkpoint import load_adapter, load_model
from ner_mlflow.modeling.fit import CHECKPOINTS, TrainResult, fit, has_checkpoint
from ner_mlflow.modeling.predict import torch_tagger
from ner_mlflow.modeling.trainer import parameter_groups
from ner_mlflow.provenance import file_sha256
from ner_mlflow.tagging.label_schema import LabelSchema

CORPUS = generate_sample(13)
SCHEMA = LabelSchema(("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION"))
SENTENCES = [sentence.tokens for sentence in CORPUS["test"][:40]]


@dataclass(frozen=True)
class Fitted:
    """A result with what was logged on the way."""

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
    """Stands for a kill."""


def fitted(
    backbone: Path,
    folder: Path,
    sentences: int = 200,
    cut_at_step: int | None = None,
    **overrides: object,
) -> Fitted:
    config = config_of(backbone, **overrides)
    model = build_model(resolve_backbone(str(backbone)), config.model, SCHEMA, config.train.seed)
    logged: list[tuple[dict[str, float], int]] = []

    def on_log(metrics: Mapping[str, float], step: int) -> None:
        if cut_at_step is not None and step >= cut_at_step:
            raise PowerCutError
        logged.append((dict(metrics), step))

    return Fitted(
        fit(
            model,
            CORPUS["train"][:sentences],
            CORPUS["validation"][:60],
            SCHEMA,
            config.train,
            folder,
            on_log,
        ),
        logged,
    )


@pytest.fixture(scope="module")
def lora(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    return fitted(
        tiny_backbone,
        tmp_path_factory.mktemp("lora"),
        **{"model.adaptation": "lora", "model.lora_rank": 4, "train.epochs": 2},
    )


def test_the_adapter_reloads_to_the_logits_of_the_merged_model(
    tiny_backbone: Path, lora: Fitted
) -> None:
    assert lora.result.adapter_folder is not None
    whole, adapter = (
        load_model(lora.result.model_folder),
        load_adapter(lora.result.adapter_folder, resolve_backbone(str(tiny_backbone))),
    )
    by_whole = torch_tagger(whole.network, whole.tokenizer, whole.spec).log_probabilities(SENTENCES)
    by_adapter = torch_tagger(adapter.network, adapter.tokenizer, adapter.spec).log_probabilities(
        SENTENCES
    )
    assert max(float(np.abs(a - b).max()) for a, b in zip(by_whole, by_adapter, strict=True)) < 1e-4
    assert np.concatenate(by_whole).std() > 0.1


def test_what_is_saved_scores_as_the_best_epoch_did(tiny_backbone: Path, tmp_path: Path) -> None:
    result = fitted(tiny_backbone, tmp_path, sentences=600, **{"train.epochs": 6}).result
    saved = load_model(result.model_folder)
    validation = CORPUS["validation"][:60]
    tagged = torch_tagger(saved.network, saved.tokenizer, saved.spec).tag(
        [sentence.tokens for sentence in validation]
    )
    found = score([sentence.tags for sentence in validation], [tags.tags for tags in tagged])["f1"]
    assert found == pytest.approx(
        result.metrics["best_validation/f1"], abs=0.03
    )  # bf16 there, fp32 here
    assert found > 0.2


def test_an_adapter_knows_its_base_and_refuses_another(tiny_backbone: Path, lora: Fitted) -> None:
    assert lora.result.adapter_folder is not None
    with pytest.raises(ModelError, match=r"trained on .*: give that backbone"):
        load_adapter(lora.result.adapter_folder, resolve_backbone("minilm"))


def test_lora_trains_few_weights_and_saves_few_bytes(lora: Fitted) -> None:
    assert lora.result.adapter_folder is not None
    assert (
        lora.result.metrics["parameters/trainable"] < 0.5 * lora.result.metrics["parameters/total"]
    )
    whole, adapter = (
        sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        for folder in (lora.result.model_folder, lora.result.adapter_folder)
    )
    assert adapter < 0.5 * whole


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    hashes = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        result = fitted(
            tiny_backbone, tmp_path / name, sentences=60, **{"train.seed": seed, "train.epochs": 1}
        ).result
        hashes.append(file_sha256(result.model_folder / "model.safetensors"))
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_best_epoch_is_kept_and_early_stopping_ends_it(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    # A rate that destroys what was learned: F1 cannot rise for ever.
    run = fitted(
        tiny_backbone,
        tmp_path,
        sentences=120,
        **{"train.learning_rate": 0.5, "train.epochs": 30, "train.early_stopping_patience": 1},
    )
    scores = [metrics["validation/f1"] for metrics, _ in run.logged if "validation/f1" in metrics]
    assert len(scores) < 30
    assert run.result.metrics["train/epochs_run"] == len(scores)
    assert run.result.metrics["best_validation/f1"] == max(scores)
    saved = load_model(run.result.model_folder)
    tagged = torch_tagger(saved.network, saved.tokenizer, saved.spec).tag(
        [sentence.tokens for sentence in CORPUS["validation"][:60]]
    )
    assert len(tagged) == 60


def test_what_is_logged_has_steps_and_a_learning_rate_that_rises_and_falls(lora: Fitted) -> None:
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
            "model.max_length=4096, but backbone .* sees 128 subwords: set 128 or less",
        ),
        (
            {"model.adaptation": "lora", "model.lora_targets": ["qkv"]},
            r"model.lora_targets \['qkv'\] for backbone .*: choose among all, attention, query_value, or layers: dense, key, ",
        ),
    ],
)
def test_settings_that_do_not_fit_the_backbone_are_refused(
    tiny_backbone: Path, overrides: dict[str, object], message: str
) -> None:
    config = config_of(tiny_backbone, **overrides)
    with pytest.raises(ModelError, match=message):
        build_model(resolve_backbone(str(tiny_backbone)), config.model, SCHEMA, 1)


def weights_of(run: Fitted) -> str:
    return file_sha256(run.result.model_folder / "model.safetensors")


@pytest.mark.parametrize(
    "overrides",
    [
        {"train.ema_decay": 0.9},
        {"train.batching": "sentences"},
        {
            "model.adaptation": "lora",
            "model.lora_rank": 4,
            "model.lora_dropout": 0.1,
            "train.repeat_factor_threshold": 0.2,
        },
    ],
    ids=["average", "sentences", "lora"],
)
@pytest.mark.parametrize(
    "cut_at_step",
    [7, 14, 24],
    ids=["within the first epoch", "in the second", "at the end of the third"],
)
def test_an_interrupted_training_ends_with_the_weights_of_an_uninterrupted_one(
    tiny_backbone: Path, tmp_path: Path, overrides: dict[str, object], cut_at_step: int
) -> None:
    settings = {"sentences": 128, "train.epochs": 3, "train.checkpoint_steps": 3, **overrides}
    with pytest.raises(PowerCutError):
        fitted(tiny_backbone, tmp_path / "cut", cut_at_step=cut_at_step, **settings)  # type: ignore[arg-type]
    assert has_checkpoint(tmp_path / "cut")
    resumed = fitted(tiny_backbone, tmp_path / "cut", **settings)  # type: ignore[arg-type]
    whole = fitted(tiny_backbone, tmp_path / "whole", **settings)  # type: ignore[arg-type]
    assert weights_of(resumed) == weights_of(whole)
    assert (
        resumed.result.metrics["best_validation/f1"] == whole.result.metrics["best_validation/f1"]
    )
    assert resumed.result.metrics["train/epochs_run"] == whole.result.metrics["train/epochs_run"]
    # It did go on, and not begin again.
    assert min(step for _, step in resumed.logged) > min(step for _, step in whole.logged)


def test_a_checkpoint_that_was_not_written_to_its_end_is_not_taken(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    settings = {"sentences": 128, "train.epochs": 2}
    with pytest.raises(PowerCutError):
        fitted(tiny_backbone, tmp_path / "cut", cut_at_step=14, **settings)  # type: ignore[arg-type]
    half = tmp_path / "cut" / CHECKPOINTS / "checkpoint-11"
    half.mkdir()
    (half / "weights.safetensors").write_bytes(b"half")
    whole = fitted(tiny_backbone, tmp_path / "whole", **settings)  # type: ignore[arg-type]
    assert weights_of(fitted(tiny_backbone, tmp_path / "cut", **settings)) == weights_of(whole)  # type: ignore[arg-type]


def test_a_training_that_had_ended_is_not_repeated(tiny_backbone: Path, tmp_path: Path) -> None:
    first = fitted(tiny_backbone, tmp_path, sentences=60, **{"train.epochs": 1})
    again = fitted(tiny_backbone, tmp_path, sentences=60, **{"train.epochs": 1})
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
    result = fitted(tiny_backbone, tmp_path, sentences=400, **settings).result  # type: ignore[arg-type]
    checkpoints = [load_model(result.model_folder)]
    if result.adapter_folder:
        checkpoints.append(
            load_adapter(result.adapter_folder, resolve_backbone(str(tiny_backbone)))
        )
    for checkpoint in checkpoints:
        tagger = torch_tagger(checkpoint.network, checkpoint.tokenizer, checkpoint.spec)
        lower, upper = tagger.log_probabilities([["we", "use", "java"], ["WE", "Use", "jaVa"]])
        assert float(np.abs(lower - upper).max()) > 1e-2
    plain = fitted(
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


def test_the_average_follows_and_gives_the_weights_back() -> None:
    network = torch.nn.Linear(2, 1, bias=False)
    average = WeightAverage(network, 0.5)
    with torch.no_grad():
        network.weight.fill_(0.0)
        average.update()
        network.weight.fill_(8.0)
        average.update()
    before = network.weight.clone()
    with average.applied():
        inside = network.weight.clone()
    assert torch.equal(network.weight, before)
    assert 0 < inside[0, 0].item() < 8


def test_weights_that_are_not_whole_are_refused(lora: Fitted, tmp_path: Path) -> None:
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
        match=r"the weights lack classifier\.bias, classifier\.weight \(2 in all\): train the model again",
    ):
        load_model(folder)
    save_file(
        {**weights, "classifier.bias": weights["classifier.bias"][:-1].clone()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(ModelError, match="no loadable safetensors weights"):
        load_model(folder)
    whole = (lora.result.model_folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="no loadable safetensors weights"):
        load_model(folder)


@pytest.mark.parametrize(("rank", "ratio"), [(1, 0.5), (6, 0.25), (51, 0.5)])
def test_adapters_weigh_what_the_setting_says(rank: int, ratio: float, tiny_backbone: Path) -> None:
    config = config_of(
        tiny_backbone,
        **{"model.adaptation": "lora", "model.lora_rank": rank, "model.lora_alpha_ratio": ratio},
    )
    model = build_model(resolve_backbone(str(tiny_backbone)), config.model, SCHEMA, 1)
    weighed = {
        module.scaling["default"]
        for module in model.network.modules()
        if isinstance(module, LoraLayer)
    }
    assert weighed == {ratio}
