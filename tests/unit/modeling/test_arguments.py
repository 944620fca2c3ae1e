"""The Trainer's arguments: what each setting becomes."""

from pathlib import Path

import pytest
import torch
from transformers import TrainingArguments

from ner_mlflow.config.loading import load_config
from ner_mlflow.modeling.arguments import DTYPES, resolve_precision, training_arguments
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.tagging.label_schema import LabelSchema

WINDOWS = 1600


def arguments_of(
    backbone: Path, folder: Path, precision: str = "fp32", **overrides: object
) -> TrainingArguments:
    config = load_config(overrides={"model.max_length": 64, "train.batch_size": 16, **overrides})
    model = build_model(resolve_backbone(str(backbone)), config.model, LabelSchema(("OS",)), 1)
    return training_arguments(model, config.train, precision, folder, WINDOWS)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_given_precision_is_used(precision: str) -> None:
    assert resolve_precision(precision) == precision


def test_auto_precision_is_one_that_the_machine_computes() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = DTYPES[resolve_precision("auto")] or torch.float32
    matrix = torch.eye(4, device=device, dtype=dtype)
    assert torch.equal(matrix @ matrix, matrix)


def test_settings_reach_the_trainer(tiny_backbone: Path, tmp_path: Path) -> None:
    arguments = arguments_of(
        tiny_backbone,
        tmp_path,
        "bf16",
        **{
            "train.learning_rate": 2e-4,
            "train.epochs": 7,
            "train.schedule": "linear",
            "train.warmup_ratio": 0.2,
            "train.weight_decay": 0.03,
            "train.max_grad_norm": 0.5,
            "train.gradient_checkpointing": True,
            "train.seed": 5,
        },
    )
    assert arguments.output_dir == str(tmp_path)
    assert (arguments.learning_rate, arguments.num_train_epochs, arguments.seed) == (2e-4, 7, 5)
    assert arguments.lr_scheduler_type == "linear"
    assert arguments.get_warmup_steps(100) == 20
    assert (arguments.weight_decay, arguments.max_grad_norm) == (0.03, 0.5)
    assert arguments.bf16
    assert not arguments.fp16
    assert arguments.activation_checkpointing
    assert arguments.report_to == []  # runs are logged by this package


def test_losses_are_logged_ten_times_an_epoch(tiny_backbone: Path, tmp_path: Path) -> None:
    assert arguments_of(tiny_backbone, tmp_path).logging_steps == WINDOWS // 16 // 10
    few = arguments_of(tiny_backbone, tmp_path, **{"train.batch_size": 1600})
    assert few.logging_steps == 1


def test_unused_parameters_are_not_searched_for_with_a_conditional_random_field(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    assert arguments_of(tiny_backbone, tmp_path).ddp_find_unused_parameters
    crf = arguments_of(tiny_backbone, tmp_path, **{"model.head": "crf"})
    assert not crf.ddp_find_unused_parameters
