"""Make the model that is trained: a backbone with a classifier over words, all weights or low-rank adapters."""

import json
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
from ..tagging.casing import CASINGS
from ..tagging.label_schema import LabelSchema
from ..tagging.tagger import TaggerSpec
from .backbone import Backbone
from .cache import TrainingCache
from .crf import CRF, LinearChain

DROPOUTS = {
    "hidden_dropout": ("hidden_dropout_prob", "dropout", "mlp_dropout", "embedding_dropout"),
    "attention_dropout": ("attention_probs_dropout_prob", "attention_dropout"),
    "classifier_dropout": ("classifier_dropout", "seq_classif_dropout"),
}
"""Our setting -> what the architectures call it; a name is set where the architecture's configuration has it."""

POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert", "mpnet")
"""Architectures that keep their first two positions for padding."""


NO_FOREIGN_CODE = {"trust_remote_code": False}
"""Given wherever something is loaded: without it, transformers asks on a terminal whether to run the code in a model's folder."""
TOKEN_TYPES = "token_type_embeddings"
CLASSIFIER = "classifier"
LORA_TARGETS = Path(__file__).with_name("lora_targets.yaml")


@dataclass(frozen=True)
class BuiltModel:
    """A model ready to fit, with its tokenizer and what `Tagger` must know of it.

    ``takes_from_base`` says that the adapters begin as a part of the base's weights, which was taken out of them.
    """

    network: nn.Module
    tokenizer: PreTrainedTokenizerBase
    spec: TaggerSpec
    takes_from_base: bool = False


def build_model(
    backbone: Backbone,
    config: ModelConfig,
    schema: LabelSchema,
    seed: int,
    cache: TrainingCache | None = None,
) -> BuiltModel:
    """Load the backbone in fp32 and put a freshly initialised classifier, and adapters if asked for, on it.

    With ``cache`` the weights are those it holds, not read again.

    Raises:
        ModelError: the architecture is not an encoder with a fast tokenizer, the window is too long, or no layer is a LoRA target.
    """
    set_seed(seed)
    tokenizer = load_tokenizer(backbone.folder, backbone.name)
    settings = load_settings(backbone.folder, backbone.name, schema.labels)
    reserved = 2 if settings.model_type in POSITIONS_AFTER_PADDING else 0
    longest = getattr(settings, "max_position_embeddings", config.max_length) - reserved
    if config.max_length > longest:
        raise ModelError(
            f"model.max_length={config.max_length}, but backbone {backbone.name!r} sees {longest} subwords: set {longest} or less"
        )
    for setting, names in DROPOUTS.items():
        for name in names:
            if name in settings.to_dict():
                setattr(settings, name, getattr(config, setting))
    settings.classifier_dropout = config.classifier_dropout
    how = {"config": settings, "dtype": torch.float32, "output_loading_info": True}
    if cache:
        kind = MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING[
            type(settings)
        ]  # the automatic class takes no weights in memory
        network, loading = kind.from_pretrained(
            None, state_dict=cache.base_weights(backbone), **how
        )
    else:
        network, loading = AutoModelForTokenClassification.from_pretrained(
            backbone.folder, use_safetensors=True, **NO_FOREIGN_CODE, **how
        )
    fresh = {CLASSIFIER, *(weight.rpartition(".")[0] for weight in loading["missing_keys"])}
    casing_embeddings = _wants_casing(config, tokenizer, network)
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
        casing_embeddings=casing_embeddings,
        context_subwords=config.context_subwords,
    )
    lora = config.adaptation == "lora"
    built: nn.Module = _with_adapters(network, config, backbone, fresh) if lora else network
    if config.head == "crf":
        built.add_module(CRF, LinearChain(len(schema.labels)))
    return BuiltModel(
        built, tokenizer, spec, takes_from_base=lora and config.lora_variant == "pissa"
    )


def load_settings(folder: Path, name: str, labels: Sequence[str]) -> PretrainedConfig:
    """The configuration in a folder, set to classify words into ``labels``.

    Raises:
        ModelError: the architecture of ``name`` is none that transformers has.
    """
    with _foreign_code_refused(name):
        settings: PretrainedConfig = AutoConfig.from_pretrained(
            folder,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: id_ for id_, label in enumerate(labels)},
            **NO_FOREIGN_CODE,
        )
    return settings


@contextmanager
def _foreign_code_refused(name: str) -> Iterator[None]:
    try:
        yield
    except (
        ValueError
    ) as error:  # an unknown architecture, or one whose code lies beside the weights
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"backbone {name!r}: transformers has no such architecture of its own, and code from a folder or hub is never run ({reason}): choose another"
        ) from error


def load_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerBase:
    """The fast tokenizer in a folder, set to take words given apart.

    Raises:
        ModelError: backbone ``name`` has no fast tokenizer.
    """
    with _foreign_code_refused(name):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, **NO_FOREIGN_CODE
        )
    if not tokenizer.is_fast:
        raise ModelError(
            f"backbone {name!r} has no fast tokenizer (tokenizer.json): save one beside its weights"
        )
    _put_blanks_before_words(backend_tokenizer(tokenizer))
    return tokenizer


def _put_blanks_before_words(tokenizer: Tokenizer) -> None:
    """Let tokenizers that tell words by the blank before them see one before each word: given apart, words have none.

    transformers' own option (``add_prefix_space``) reaches a few tokenizer classes only, not one loaded from a bare
    ``tokenizer.json``; without the blanks granite loses 0.04 F1.
    """
    description = json.loads(tokenizer.to_str())
    whole = description["pre_tokenizer"] or {"type": None}
    for place, part in enumerate(
        whole["pretokenizers"] if whole["type"] == "Sequence" else [whole]
    ):
        if (
            part["type"] == "ByteLevel" and place == 0
        ):  # behind another, it would put blanks inside words
            part["add_prefix_space"] = True
        if part["type"] == "Metaspace":
            part["prepend_scheme"] = "always"
    tokenizer.pre_tokenizer = Tokenizer.from_str(json.dumps(description)).pre_tokenizer


def backend_tokenizer(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """The `tokenizers` object inside a fast tokenizer."""
    backend: Tokenizer = tokenizer.backend_tokenizer
    return backend


def count_parameters(network: nn.Module) -> dict[str, float]:
    """Numbers of weights: ``parameters/total`` and ``parameters/trainable``."""
    return {
        "parameters/total": sum(weight.numel() for weight in network.parameters()),
        "parameters/trainable": sum(
            weight.numel() for weight in network.parameters() if weight.requires_grad
        ),
    }


def add_casing_embeddings(network: PreTrainedModel, name: str) -> None:
    """Make token types stand for casings; all begin as type 0, which is all that one sentence ever showed the encoder.

    Raises:
        ModelError: the backbone ``name`` has no token types.
    """
    place = _token_types(network)
    if place is None:
        raise ModelError(
            f"backbone {name!r} has no token types that could show casings: set model.casing_embeddings=never"
        )
    parent, old = place
    new = nn.Embedding(len(CASINGS), old.embedding_dim)
    with torch.no_grad():
        new.weight.copy_(old.weight[:1])
    setattr(parent, TOKEN_TYPES, new)
    network.config.type_vocab_size = len(CASINGS)


def _token_types(network: PreTrainedModel) -> tuple[nn.Module, nn.Embedding] | None:
    for name, module in network.named_modules():
        if name.endswith(f".{TOKEN_TYPES}") and isinstance(module, nn.Embedding):
            return network.get_submodule(name.removesuffix(f".{TOKEN_TYPES}")), module
    return None


def _wants_casing(
    config: ModelConfig, tokenizer: PreTrainedTokenizerBase, network: PreTrainedModel
) -> bool:
    if config.casing_embeddings != "auto":
        return config.casing_embeddings == "always"
    # A lower-casing tokenizer cuts both in the same pieces.
    alike = tokenizer.tokenize("PostgreSQL") == tokenizer.tokenize("postgresql")
    return alike and _token_types(network) is not None


def _with_adapters(
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
    if set(targets) - linear:
        known = (
            f"{', '.join(groups)}, or layers: {', '.join(sorted(linear))}"
            if groups
            else f"its linear layers: {', '.join(sorted(linear))}"
        )
        raise ModelError(
            f"model.lora_targets {sorted(set(targets) - linear)} for backbone {backbone.name!r} ({network.config.model_type}): choose among {known}"
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
