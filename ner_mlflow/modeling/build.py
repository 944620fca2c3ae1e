"""Make the model that is trained: a backbone with a classifier over words, all weights or low-rank adapters."""

from dataclasses import dataclass

import torch
from peft import LoraConfig, TaskType, get_peft_model
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoConfig, AutoModelForTokenClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, set_seed

from ..config import ModelConfig
from ..errors import ModelError
from ..labels import LabelSchema
from ..tagger import TaggerSpec
from .backbone import Backbone

DROPOUTS = {
    "hidden_dropout": ("hidden_dropout_prob", "dropout"),
    "attention_dropout": ("attention_probs_dropout_prob", "attention_dropout"),
    "classifier_dropout": ("classifier_dropout", "seq_classif_dropout"),
}
"""Our setting -> what the architectures call it; a name is set where the architecture's configuration has it."""

POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert", "mpnet")
"""Architectures that keep their first two positions for padding."""


@dataclass(frozen=True)
class BuiltModel:
    """A model ready to fit, with its tokenizer and what `Tagger` must know of it."""

    network: nn.Module
    tokenizer: PreTrainedTokenizerBase
    spec: TaggerSpec


def build_model(backbone: Backbone, config: ModelConfig, schema: LabelSchema, seed: int) -> BuiltModel:
    """Load the backbone in fp32 and put a freshly initialised classifier, and adapters if asked for, on it.

    Raises:
        ModelError: the architecture is not an encoder with a fast tokenizer, the window is too long, or no layer is a LoRA target.
    """
    set_seed(seed)
    tokenizer = load_tokenizer(backbone)
    settings = AutoConfig.from_pretrained(
        backbone.folder,
        num_labels=len(schema.labels),
        id2label=dict(enumerate(schema.labels)),
        label2id=schema.ids,
    )
    reserved = 2 if settings.model_type in POSITIONS_AFTER_PADDING else 0
    longest = getattr(settings, "max_position_embeddings", config.max_length) - reserved
    if config.max_length > longest:
        raise ModelError(f"model.max_length={config.max_length}, but backbone {backbone.name!r} sees {longest} sub-tokens: set {longest} or less")
    for setting, names in DROPOUTS.items():
        for name in names:
            if name in settings.to_dict():
                setattr(settings, name, getattr(config, setting))
    settings.classifier_dropout = config.classifier_dropout
    network: nn.Module = AutoModelForTokenClassification.from_pretrained(backbone.folder, config=settings, dtype=torch.float32, use_safetensors=True)
    if config.adaptation == "lora":
        network = _with_adapters(network, config, backbone)
    spec = TaggerSpec(
        labels=schema.labels,
        max_length=config.max_length,
        pad_id=int(tokenizer.pad_token_id or 0),
        backbone=backbone.name,
        backbone_revision=backbone.revision,
        base_sha256=backbone.weights_sha256,
        adaptation=config.adaptation,
    )
    return BuiltModel(network, tokenizer, spec)


def load_tokenizer(backbone: Backbone) -> PreTrainedTokenizerBase:
    """The backbone's fast tokenizer, set to take words given apart.

    Raises:
        ModelError: it has no fast tokenizer.
    """
    # Byte-level BPE must see each word as if a blank stood before it; other tokenizers ignore the option.
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(backbone.folder, add_prefix_space=True)
    if not tokenizer.is_fast:
        raise ModelError(f"backbone {backbone.name!r} has no fast tokenizer (tokenizer.json): save one beside its weights")
    return tokenizer


def backend_tokenizer(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """The `tokenizers` object inside a fast tokenizer."""
    backend: Tokenizer = tokenizer.backend_tokenizer
    return backend


def count_parameters(network: nn.Module) -> dict[str, float]:
    """Numbers of weights: ``parameters/total`` and ``parameters/trainable``."""
    return {
        "parameters/total": sum(weight.numel() for weight in network.parameters()),
        "parameters/trainable": sum(weight.numel() for weight in network.parameters() if weight.requires_grad),
    }


def _with_adapters(network: PreTrainedModel, config: ModelConfig, backbone: Backbone) -> nn.Module:
    linear = {name.rpartition(".")[2] for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    if missing := set(config.lora_targets) - linear:
        raise ModelError(
            f"model.lora_targets {sorted(missing)} are not linear layers of backbone {backbone.name!r}, "
            f"which has {', '.join(sorted(linear))}: choose among these"
        )
    adapted: nn.Module = get_peft_model(
        network,
        LoraConfig(
            task_type=TaskType.TOKEN_CLS,
            r=config.lora_rank,
            lora_alpha=round(config.lora_rank * config.lora_alpha_ratio),
            lora_dropout=config.lora_dropout,
            target_modules=list(config.lora_targets),
            modules_to_save=["classifier"],
        ),
    )
    return adapted
