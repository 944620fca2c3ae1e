"""Encoders of every architecture are trained, saved, loaded and exported."""

from pathlib import Path

import pytest
from architectures import ARCHITECTURES, DATA, SCHEMA, SENTENCES, assert_equal_scores, backbone_of

from ner_mlflow.config.loading import load_config
from ner_mlflow.exporting.onnx_files import write_fp32, write_int8
from ner_mlflow.exporting.variants import max_logit_difference
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.modeling.callbacks import TrainingHooks
from ner_mlflow.modeling.checkpoint import Checkpoint, load_adapter, load_model
from ner_mlflow.modeling.fit import fit
from ner_mlflow.modeling.predict import torch_forward
from ner_mlflow.tagging.encoding import Window
from ner_mlflow.tagging.engines import MODEL_FILE
from ner_mlflow.tagging.onnx_engine import onnx_forward, onnx_session


def assert_equal_export(saved: Checkpoint, folder: Path) -> list[Window]:
    """Export a model to fp32, check that its logits stay as they are, and return its windows."""
    write_fp32(saved, folder)
    windows = saved.spec.encoder(saved.tokenizer).windows(SENTENCES)
    exported = onnx_forward(onnx_session(folder / MODEL_FILE))
    assert (
        max_logit_difference(torch_forward(saved.network), exported, windows, saved.spec.pad_id)
        < 1e-3
    )
    return windows


LIKE_BERT = ("distilbert", "electra", "mpnet")
"""Architectures whose modules differ from BERT's in little more than names."""


@pytest.mark.parametrize(
    "architecture",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in LIKE_BERT else [])
        for name in ARCHITECTURES
    ],
)
def test_an_architecture_is_trained_in_full_and_with_adapters_and_is_exported(
    architecture: str, tiny_backbone: Path, tmp_path: Path
) -> None:
    backbone = backbone_of(architecture, tiny_backbone, tmp_path / "backbone")
    for adaptation in ("full", "lora"):
        settings = {
            "model.max_length": 48,
            "model.adaptation": adaptation,
            "model.lora_rank": 4,
            "train.epochs": 1,
            "train.learning_rate": 3e-3,
            "train.batch_size": 8,
        }
        config = load_config(overrides=settings)
        model = build_model(backbone, config.model, SCHEMA, 1)
        logs: list[dict[str, float]] = []
        result = fit(
            model,
            DATA,
            config.train,
            tmp_path / adaptation,
            TrainingHooks(on_log=lambda metrics, _, logs=logs: logs.append(dict(metrics))),
        )
        losses = [metrics["train/loss"] for metrics in logs if "train/loss" in metrics]
        assert losses[-1] < 0.8 * losses[0]
        saved = load_model(result.model_folder)
        if result.adapter_folder:
            assert_equal_scores(saved, load_adapter(result.adapter_folder, backbone))
    windows = assert_equal_export(saved, tmp_path / "onnx")
    plain, mended = (
        write_int8(saved, tmp_path / "onnx", tmp_path / name, windows, windows, limit_nats)
        for name, limit_nats in (("plain", 1000.0), ("mended", 1e-9))
    )
    assert plain.float_layers == plain.rescaled_layers == ()
    assert plain.damage_nats == plain.damage_before_nats > 1e-9
    assert mended.damage_nats <= 1e-9
    assert mended.float_layers


@pytest.mark.parametrize("variant", ["dora", "rslora", "pissa"])
def test_the_adapter_of_a_lora_variant_fits_the_original_base(
    variant: str, tiny_backbone: Path, tmp_path: Path
) -> None:
    backbone = resolve_backbone(str(tiny_backbone))
    settings = {
        "model.max_length": 48,
        "model.adaptation": "lora",
        "model.lora_rank": 4,
        "model.lora_variant": variant,
        "train.epochs": 1,
    }
    config = load_config(overrides={**settings, "train.learning_rate": 3e-3})
    model = build_model(backbone, config.model, SCHEMA, 1)
    result = fit(model, DATA, config.train, tmp_path)
    assert result.adapter_folder is not None
    assert_equal_scores(
        load_model(result.model_folder), load_adapter(result.adapter_folder, backbone)
    )


@pytest.mark.slow  # 10 s
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_student_with_one_of_two_layers_is_trained_and_exported(
    architecture: str, tiny_backbone: Path, tmp_path: Path
) -> None:
    backbone = backbone_of(architecture, tiny_backbone, tmp_path / "backbone")
    settings = {"model.max_length": 48, "model.kept_layers": [0], "train.epochs": 1}
    config = load_config(overrides={**settings, "train.learning_rate": 3e-3})
    result = fit(build_model(backbone, config.model, SCHEMA, 1), DATA, config.train, tmp_path)
    saved = load_model(result.model_folder)
    assert saved.network.config.num_hidden_layers == 1
    assert_equal_export(saved, tmp_path / "onnx")
