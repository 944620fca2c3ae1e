"""The only place that saves, merges and loads fitted models; weights are safetensors."""

from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model_state_dict
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoModelForTokenClassification, PreTrainedModel

from ..errors import ModelError
from ..tagging.tagger import TaggerSpec
from .backbone import Backbone
from .build import (
    NO_FOREIGN_CODE,
    BuiltModel,
    add_casing_embeddings,
    backend_tokenizer,
    load_settings,
    load_tokenizer,
)
from .crf import CRF, with_transitions


@dataclass(frozen=True)
class Checkpoint:
    """A fitted model in memory, ready to tag."""

    network: PreTrainedModel
    tokenizer: Tokenizer
    spec: TaggerSpec


def save_initial_adapter(model: BuiltModel, folder: Path) -> None:
    """Write adapters as they begin: where these are taken out of the base's weights (PiSSA), saving for the untouched base needs them."""
    assert isinstance(model.network, PeftModel)
    config = model.network.peft_config["default"]
    kept, config.init_lora_weights = config.init_lora_weights, True
    model.network.save_pretrained(folder, save_embedding_layers=False)
    config.init_lora_weights = kept


def save_adapter(model: BuiltModel, folder: Path, initial: Path | None = None) -> None:
    """Write adapters, classifier, tokenizer and what they were trained on (base name, revision, hash of its weights).

    ``initial`` is what :func:`save_initial_adapter` wrote; with it, adapters fit the base as it is, at twice the rank.
    """
    assert isinstance(model.network, PeftModel)
    model.network.peft_config["default"].base_model_name_or_path = model.spec.backbone
    model.network.peft_config["default"].revision = model.spec.backbone_revision
    state = get_peft_model_state_dict(model.network, save_embedding_layers=False)
    model.network.save_pretrained(
        folder,
        save_embedding_layers=False,
        path_initial_model_for_weight_conversion=initial and str(initial),
    )
    if initial:  # peft's conversion keeps the low-rank matrices alone (0.21)
        path = folder / SAFETENSORS_WEIGHTS_NAME
        save_file(
            {
                **{
                    name: weight.contiguous()
                    for name, weight in state.items()
                    if "lora_" not in name
                },
                **load_file(path),
            },
            path,
        )
    model.tokenizer.save_pretrained(folder)
    with_transitions(model.spec, model.network).save(folder)


def load_adapter(folder: Path, backbone: Backbone) -> Checkpoint:
    """Load adapters and classifier onto their backbone.

    Raises:
        ModelError: the backbone's weights are not those the adapters were trained on.
    """
    spec = TaggerSpec.load(folder)
    if backbone.weights_sha256 != spec.base_sha256:
        raise ModelError(
            f"{folder}: trained on {spec.backbone} {spec.backbone_revision} with weights {spec.base_sha256[:12]}, "
            f"not {backbone.weights_sha256[:12]}: give that backbone"
        )
    base, _ = _load_network(backbone.folder, spec)  # a backbone has no classifier
    if spec.casing_embeddings:
        add_casing_embeddings(base, backbone.name)
    network = PeftModel.from_pretrained(base, folder)
    return Checkpoint(
        network.eval(), backend_tokenizer(load_tokenizer(folder, spec.backbone)), spec
    )


def merged(network: nn.Module) -> PreTrainedModel:
    """The network with its adapters, if any, added into its weights."""
    if isinstance(network, PeftModel):
        network = network.merge_and_unload()
    assert isinstance(network, PreTrainedModel)
    return network


def save_model(model: BuiltModel, folder: Path) -> None:
    """Write the whole model, adapters merged, as transformers loads it, with its ``ner_model.json``, which holds what a
    conditional random field learned."""
    spec = with_transitions(model.spec, model.network)
    network = merged(model.network)
    network.save_pretrained(
        folder,
        state_dict={
            name: weight
            for name, weight in network.state_dict().items()
            if not name.startswith(f"{CRF}.")
        },
    )
    model.tokenizer.save_pretrained(folder)
    spec.save(folder)


def load_model(folder: Path) -> Checkpoint:
    """Load what :func:`save_model` wrote, in fp32 on the CPU, in evaluation mode.

    Raises:
        ModelError: the folder holds no such model, or not all of it.
    """
    spec = TaggerSpec.load(folder)
    network, missing = _load_network(folder, spec)
    if missing:
        raise ModelError(
            f"{folder}: the weights lack {', '.join(sorted(missing)[:3])} ({len(missing)} in all): train the model again"
        )
    return Checkpoint(
        network.eval(), backend_tokenizer(load_tokenizer(folder, spec.backbone)), spec
    )


def _load_network(folder: Path, spec: TaggerSpec) -> tuple[PreTrainedModel, set[str]]:
    """The network, and the names of the weights that the folder does not hold."""
    settings = load_settings(folder, spec.backbone, spec.labels)
    try:
        network, found = AutoModelForTokenClassification.from_pretrained(
            folder,
            config=settings,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            **NO_FOREIGN_CODE,
        )
    except (OSError, SafetensorError, RuntimeError) as error:  # RuntimeError: of other shapes
        raise ModelError(
            f"{folder}: no loadable safetensors weights ({' '.join(str(error).split())[:200]}): train the model again"
        ) from error
    return network, set(found["missing_keys"])
