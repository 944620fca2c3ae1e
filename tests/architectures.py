"""Tiny encoders of every architecture, and the sentences that they are trained and tried on."""

from pathlib import Path

import numpy as np
import torch
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

from ner_mlflow.data.sample import generate_sample
from ner_mlflow.modeling.backbone import Backbone, resolve_backbone
from ner_mlflow.modeling.checkpoint import Checkpoint
from ner_mlflow.modeling.dataset import TrainingData
from ner_mlflow.modeling.predict import torch_tagger
from ner_mlflow.tagging.label_schema import LabelSchema

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


def small(architecture: str, vocab_size: int, layers: int = 2) -> PreTrainedConfig:
    """Return the configuration of a small encoder."""
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
    config = configs[architecture]()
    config.num_hidden_layers = layers
    if hasattr(config, "layer_types"):
        pattern = ["full_attention", "sliding_attention", "sliding_attention"]
        config.layer_types = (pattern * layers)[:layers]
    return config


ARCHITECTURES = ["bert", "distilbert", "roberta", "electra", "mpnet", "deberta-v2", "modernbert"]


def backbone_of(architecture: str, tiny_backbone: Path, folder: Path, layers: int = 2) -> Backbone:
    """Write a random encoder into a folder, with the tokenizer of another one."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_backbone)
    torch.manual_seed(0)
    AutoModel.from_config(small(architecture, len(tokenizer), layers)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return resolve_backbone(str(folder))


def assert_equal_scores(first: Checkpoint, second: Checkpoint) -> None:
    scores = [
        torch_tagger(model.network, model.tokenizer, model.spec).log_probabilities(SENTENCES)
        for model in (first, second)
    ]
    for a, b in zip(*scores, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
