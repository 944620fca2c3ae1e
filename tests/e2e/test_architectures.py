"""Encoders of every architecture are trained, saved, loaded and exported."""

from pathlib import Path

import numpy as np
import pytest
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    PreTrainedConfig,
    RobertaConfig,
)

from ner_mlflow.config.loading import load_config
from ner_mlflow.data.sample import generate_sample
from ner_mlflow.exporting.onnx_files import write_fp32
from ner_mlflow.exporting.variants import max_logit_difference
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.modeling.callbacks import TrainingHooks
from ner_mlflow.modeling.checkpoint import Checkpoint, load_adapter, load_model
from ner_mlflow.modeling.dataset import TrainingData
from ner_mlflow.modeling.fit import fit
from ner_mlflow.modeling.predict import torch_forward, torch_tagger
from ner_mlflow.tagging.label_schema import LabelSchema
from ner_mlflow.tagging.recognizer import MODEL_FILE, onnx_forward, onnx_session

CORPUS = generate_sample(13)
SCHEMA = LabelSchema(("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION"))
DATA = TrainingData(CORPUS["train"][:320], CORPUS["validation"][:20], SCHEMA)
SENTENCES = [sentence.tokens for sentence in CORPUS["test"][:20]]
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 130,
}


def small(architecture: str, vocab_size: int) -> PreTrainedConfig:
    common = {"vocab_size": vocab_size, "pad_token_id": 0}
    special = {"bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}
    configs = {
        "bert": lambda: BertConfig(**common, **SMALL),
        "distilbert": lambda: DistilBertConfig(
            **common, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=130
        ),
        "roberta": lambda: RobertaConfig(**common, **SMALL, type_vocab_size=1),
        "electra": lambda: ElectraConfig(**common, **SMALL, embedding_size=16),
        "mpnet": lambda: MPNetConfig(**common, **SMALL),
        "deberta-v2": lambda: DebertaV2Config(
            **common,
            **SMALL,
            relative_attention=True,
            pos_att_type=["p2c", "c2p"],
            position_buckets=32,
            share_att_key=False,
            norm_rel_ebd="layer_norm",
        ),
        "modernbert": lambda: ModernBertConfig(
            **common, **SMALL, **special, global_attn_every_n_layers=2, local_attention=16
        ),
    }
    return configs[architecture]()


ARCHITECTURES = ["bert", "distilbert", "roberta", "electra", "mpnet", "deberta-v2", "modernbert"]


def backbone_of(architecture: str, tiny_backbone: Path, folder: Path) -> Path:
    tokenizer = AutoTokenizer.from_pretrained(tiny_backbone)
    AutoModel.from_config(small(architecture, len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def assert_equal_scores(first: Checkpoint, second: Checkpoint) -> None:
    scores = [
        torch_tagger(model.network, model.tokenizer, model.spec).log_probabilities(SENTENCES)
        for model in (first, second)
    ]
    for a, b in zip(*scores, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_architecture_is_trained_in_full_and_with_adapters_and_is_exported(
    architecture: str, tiny_backbone: Path, tmp_path: Path
) -> None:
    backbone = resolve_backbone(
        str(backbone_of(architecture, tiny_backbone, tmp_path / "backbone"))
    )
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
    write_fp32(saved, tmp_path / "onnx")
    windows = saved.spec.encoder(saved.tokenizer).windows(SENTENCES)
    exported = onnx_forward(onnx_session(tmp_path / "onnx" / MODEL_FILE))
    assert (
        max_logit_difference(torch_forward(saved.network), exported, windows, saved.spec.pad_id)
        < 1e-3
    )


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
