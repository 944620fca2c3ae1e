"""Build the model to train: a backbone with a classifier and, for LoRA, with adapters."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from peft import LoraConfig, TaskType, get_peft_model
from tokenizers import Tokenizer
from torch import nn
from transformers import (
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)

from ..config.schema import ModelConfig
from ..errors import ModelError
from ..redaction import one_line
from ..tagging.casing import CASINGS
from ..tagging.iob2 import OUTSIDE
from ..tagging.label_schema import LabelSchema
from ..tagging.tagger import TaggerSpec
from .backbone import Backbone
from .cache import TrainingCache
from .crf import CRF, LinearChain
from .layers import choose_layers, keep_layers

log = logging.getLogger(__name__)

DROPOUTS = {
    "hidden_dropout": ("hidden_dropout_prob", "dropout", "mlp_dropout", "embedding_dropout"),
    "attention_dropout": ("attention_probs_dropout_prob", "attention_dropout"),
    "classifier_dropout": ("classifier_dropout", "seq_classif_dropout"),
}
"""Our setting -> its names in the architectures' configurations."""
POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert", "mpnet")
"""Architectures whose first two positions are reserved for padding."""
NO_REMOTE_CODE = {"trust_remote_code": False}
"""An argument of every call that loads from a folder.

Without it, transformers offers on a terminal to run the code in that folder.
"""
MAX_JSON_BYTES = 16_777_216
"""Largest JSON file of a backbone, vocabularies left aside; usual ones have a few kilobytes."""
MAX_VOCABULARY_BYTES = 268_435_456
"""Largest vocabulary; that of 256,000 subwords has 35 MB."""
VOCABULARIES = frozenset({"tokenizer.json", "vocab.json"})
REGION_SETTINGS = {
    "code_block": "code_blocks",
    "stack_trace": "stack_traces",
    "url": "urls",
    "mail_address": "mail_addresses",
    "path": "paths",
}
"""Kind of region -> our setting of its policy."""
TOKEN_TYPES = "token_type_embeddings"
CLASSIFIER = "classifier"
LORA_TARGETS = Path(__file__).with_name("lora_targets.yaml")


@dataclass(frozen=True)
class BuiltModel:
    """A model ready to train, with its tokenizer and its tagger's specification.

    Attributes:
        network: the model.
        tokenizer: its fast tokenizer.
        spec: how `Tagger` uses it.
        base_is_residual: True if the adapters were initialised with a part of the base weights that
            was subtracted from them (PiSSA).
    """

    network: nn.Module
    tokenizer: PreTrainedTokenizerBase
    spec: TaggerSpec
    base_is_residual: bool = False


def build_model(
    backbone: Backbone,
    config: ModelConfig,
    schema: LabelSchema,
    seed: int,
    cache: TrainingCache | None = None,
) -> BuiltModel:
    """Load a backbone in fp32, and add a newly initialised classifier and, for LoRA, adapters.

    With ``model.layers`` or ``model.kept_layers`` only some layers of the backbone are loaded.

    Args:
        backbone: the pretrained encoder.
        config: the settings.
        schema: the labels.
        seed: the seed of new weights.
        cache: backbone weights that earlier trainings of this process have read.

    Raises:
        ModelError: the architecture is not an encoder with a fast tokenizer, ``max_length`` exceeds
            its positions, it lacks layers to keep, or it lacks a LoRA target.
    """
    set_seed(seed)
    tokenizer = load_tokenizer(backbone.folder, backbone.name)
    model_config = load_model_config(backbone.folder, backbone.name, schema.labels)
    kept = _check_size(backbone.name, config, model_config)
    for setting, names in DROPOUTS.items():
        for name in names:
            if name in model_config.to_dict():
                setattr(model_config, name, getattr(config, setting))
    model_config.classifier_dropout = config.classifier_dropout
    if kept:
        log.info("keeping layers %s of backbone %s", ", ".join(map(str, kept)), backbone.name)
    network, missing = load_network(backbone, model_config, kept, cache)
    fresh = {CLASSIFIER, *(weight.rpartition(".")[0] for weight in missing)}
    casing_embeddings = _use_casing(config, tokenizer, network)
    if casing_embeddings:
        add_casing_embeddings(network, backbone.name)
        fresh.add(TOKEN_TYPES)
    spec = TaggerSpec(
        labels=schema.labels,
        max_length=config.max_length,
        pad_id=int(tokenizer.pad_token_id or 0),
        backbone=backbone.name,
        backbone_revision=backbone.revision,
        base_sha256=backbone.weights_sha256,
        adaptation=config.adaptation,
        kept_layers=kept,
        casing_embeddings=casing_embeddings,
        context_subwords=config.context_subwords,
        passage_sentences=config.passage_sentences,
        region_policies={
            kind: getattr(config, setting) for kind, setting in REGION_SETTINGS.items()
        },
        error_types=config.error_types,
    )
    lora = config.adaptation == "lora"
    model: nn.Module = _add_adapters(network, config, backbone, fresh) if lora else network
    if config.head == "crf":
        model.add_module(CRF, LinearChain(len(schema.labels)))
    return BuiltModel(model, tokenizer, spec, lora and config.lora_variant == "pissa")


def load_network(
    backbone: Backbone,
    model_config: PretrainedConfig,
    kept: Sequence[int] = (),
    cache: TrainingCache | None = None,
) -> tuple[PreTrainedModel, set[str]]:
    """Load a backbone in fp32, with a newly initialised classifier.

    Args:
        backbone: the pretrained encoder.
        model_config: its configuration; changed to that of the network.
        kept: the numbers of the layers to keep, in order; empty: all.
        cache: backbone weights that earlier trainings of this process have read.

    Returns:
        The network, and the names of its weights that the backbone lacks.

    Raises:
        ModelError: the architecture is unknown, or the weights are broken.
    """
    options = {"config": model_config, "dtype": torch.float32, "output_loading_info": True}
    with _refuse_remote_code(backbone.name):
        if cache or kept:
            weights = (cache or TrainingCache()).base_weights(backbone)
            if kept:
                weights = keep_layers(weights, model_config, kept)
            # AutoModelForTokenClassification does not take weights in memory.
            network_class = MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING[type(model_config)]
            network, loading = network_class.from_pretrained(None, state_dict=weights, **options)
        else:
            network, loading = AutoModelForTokenClassification.from_pretrained(
                backbone.folder, use_safetensors=True, **NO_REMOTE_CODE, **options
            )
    return network, set(loading["missing_keys"])


def check_backbone(backbone: Backbone, config: ModelConfig) -> None:
    """Check what can be checked without reading weights: the settings fit the backbone's size.

    Raises:
        ModelError: the architecture is unknown, ``max_length`` exceeds its positions, or it lacks
            layers to keep.
    """
    model_config = load_model_config(backbone.folder, backbone.name, [OUTSIDE])
    _check_size(backbone.name, config, model_config)


def load_model_config(folder: Path, name: str, labels: Sequence[str]) -> PretrainedConfig:
    """Return the configuration in a folder, set to classify words into ``labels``.

    Args:
        folder: a saved model.
        name: the backbone's name in error messages.
        labels: the labels by id.

    Raises:
        ModelError: transformers has no such architecture, or the configuration is broken or larger
            than :data:`MAX_JSON_BYTES`.
    """
    _check_sizes(folder, name)
    with _refuse_remote_code(name):
        model_config: PretrainedConfig = AutoConfig.from_pretrained(
            folder,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: id_ for id_, label in enumerate(labels)},
            **NO_REMOTE_CODE,
        )
    return model_config


def _check_sizes(folder: Path, name: str) -> None:
    """Check that no JSON file of a model would fill the memory."""
    for path in sorted(folder.glob("*.json")):
        limit = MAX_VOCABULARY_BYTES if path.name in VOCABULARIES else MAX_JSON_BYTES
        if (size := path.stat().st_size) > limit:
            raise ModelError(
                f"backbone {name!r}: {path} has {size:,} bytes, and {limit:,} at most are read: "
                "choose another, or save it again with save_pretrained"
            )


@contextmanager
def _refuse_remote_code(name: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        # The architecture is unknown, or its code is beside the weights.
        raise ModelError(
            f"backbone {name!r}: transformers does not include this architecture, and code from a "
            f"folder or hub is never run ({one_line(error, limit=200)}): choose another"
        ) from error
    except Exception as error:  # transformers raises whatever a broken file makes it raise
        raise ModelError(
            f"backbone {name!r} cannot be loaded ({type(error).__name__}: "
            f"{one_line(error, limit=200)}): save it again with save_pretrained"
        ) from error


def load_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerBase:
    """Return the fast tokenizer in a folder, set up for sentences that are split into words.

    Args:
        folder: a saved tokenizer.
        name: the backbone's name in error messages.

    Raises:
        ModelError: there is no fast tokenizer, or one of its files is too large.
    """
    _check_sizes(folder, name)
    with _refuse_remote_code(name):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, **NO_REMOTE_CODE)
    if not tokenizer.is_fast:
        raise ModelError(
            f"backbone {name!r} has no fast tokenizer (tokenizer.json): save one beside its weights"
        )
    _add_prefix_spaces(backend_tokenizer(tokenizer))
    return tokenizer


def _add_prefix_spaces(tokenizer: Tokenizer) -> None:
    """Let tokenizers that mark a space before a word see one before each word of a split sentence.

    transformers' ``add_prefix_space`` reaches only a few tokenizer classes, and not those loaded
    from a bare ``tokenizer.json``. Without the spaces granite loses 0.04 F1.
    """
    description = json.loads(tokenizer.to_str())
    pre_tokenizer = description["pre_tokenizer"] or {"type": None}
    is_sequence = pre_tokenizer["type"] == "Sequence"
    parts = pre_tokenizer["pretokenizers"] if is_sequence else [pre_tokenizer]
    for index, part in enumerate(parts):
        # After another pre-tokenizer, ByteLevel would add spaces within words.
        if part["type"] == "ByteLevel" and index == 0:
            part["add_prefix_space"] = True
        if part["type"] == "Metaspace":
            part["prepend_scheme"] = "always"
    tokenizer.pre_tokenizer = Tokenizer.from_str(json.dumps(description)).pre_tokenizer


def backend_tokenizer(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """Return the `tokenizers` object inside a fast tokenizer."""
    backend: Tokenizer = tokenizer.backend_tokenizer
    return backend


def _check_size(name: str, config: ModelConfig, model_config: PretrainedConfig) -> tuple[int, ...]:
    """Check positions and layers, and return the numbers of the layers to keep, empty for all."""
    reserved = 2 if model_config.model_type in POSITIONS_AFTER_PADDING else 0
    positions = getattr(model_config, "max_position_embeddings", config.max_length) - reserved
    if config.max_length > positions:
        raise ModelError(
            f"model.max_length={config.max_length}, but backbone {name!r} has {positions} "
            f"positions: set {positions} or less"
        )
    return choose_layers(config, model_config, name)


def count_parameters(network: nn.Module) -> dict[str, float]:
    """Return the metrics ``parameters/total`` and ``parameters/trainable``."""
    return {
        "parameters/total": sum(weight.numel() for weight in network.parameters()),
        "parameters/trainable": sum(
            weight.numel() for weight in network.parameters() if weight.requires_grad
        ),
    }


def add_casing_embeddings(network: PreTrainedModel, name: str) -> None:
    """Replace the token type embeddings by one embedding for each casing.

    Each starts as the embedding of type 0, the type of all subwords of a single sentence.

    Args:
        network: changed in place.
        name: the backbone's name in error messages.

    Raises:
        ModelError: the backbone has no token types.
    """
    token_types = _token_types(network)
    if token_types is None:
        raise ModelError(
            f"backbone {name!r} has no token types that could show casings: "
            "set model.casing_embeddings=never"
        )
    parent, old = token_types
    new = nn.Embedding(len(CASINGS), old.embedding_dim)
    with torch.no_grad():
        new.weight.copy_(old.weight[:1])
    setattr(parent, TOKEN_TYPES, new)
    network.config.type_vocab_size = len(CASINGS)


def _token_types(network: PreTrainedModel) -> tuple[nn.Module, nn.Embedding] | None:
    """Return the embedding of token types and the module that holds it, or None."""
    for name, module in network.named_modules():
        if name.endswith(f".{TOKEN_TYPES}") and isinstance(module, nn.Embedding):
            return network.get_submodule(name.removesuffix(f".{TOKEN_TYPES}")), module
    return None


def _use_casing(
    config: ModelConfig, tokenizer: PreTrainedTokenizerBase, network: PreTrainedModel
) -> bool:
    if config.casing_embeddings != "auto":
        return config.casing_embeddings == "always"
    lower_cases = tokenizer.tokenize("PostgreSQL") == tokenizer.tokenize("postgresql")
    return lower_cases and _token_types(network) is not None


def _add_adapters(
    network: PreTrainedModel, config: ModelConfig, backbone: Backbone, fresh: set[str]
) -> nn.Module:
    linear = {
        name.rpartition(".")[2]
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear)
    } - {CLASSIFIER}
    by_architecture: dict[str, dict[str, list[str]]] = yaml.safe_load(
        LORA_TARGETS.read_text(encoding="utf-8")
    )
    groups = by_architecture.get(network.config.model_type, {})
    targets = dict.fromkeys(
        layer for name in config.lora_targets for layer in groups.get(name, [name])
    )
    if unknown := sorted(set(targets) - linear):
        layers = ", ".join(sorted(linear))
        choices = f"{', '.join(groups)}, or layers: {layers}" if groups else f"layers: {layers}"
        raise ModelError(
            f"model.lora_targets {unknown} for backbone {backbone.name!r} "
            f"({network.config.model_type}): choose from {choices}"
        )
    adapted: nn.Module = get_peft_model(
        network,
        LoraConfig(
            task_type=TaskType.TOKEN_CLS,
            r=config.lora_rank,
            lora_alpha=config.lora_rank * config.lora_alpha_ratio,
            lora_dropout=config.lora_dropout,
            target_modules=list(targets),
            modules_to_save=sorted(fresh),
            use_dora=config.lora_variant == "dora",
            use_rslora=config.lora_variant == "rslora",
            init_lora_weights="pissa" if config.lora_variant == "pissa" else True,
        ),
    )
    return adapted
