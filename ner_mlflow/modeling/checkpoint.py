"""Save, merge and load trained models; all weights are safetensors."""

from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model_state_dict
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoModelForTokenClassification, PreTrainedModel

from ..errors import ModelError
from ..redaction import one_line
from ..tagging.tagger import TaggerSpec
from .backbone import Backbone
from .build import (
    NO_REMOTE_CODE,
    BuiltModel,
    add_casing_embeddings,
    backend_tokenizer,
    load_model_config,
    load_network,
    load_tokenizer,
)
from .crf import CRF, with_transitions


@dataclass(frozen=True)
class Checkpoint:
    """A trained model in memory, ready to tag."""

    network: PreTrainedModel
    tokenizer: Tokenizer
    spec: TaggerSpec


def save_initial_adapter(model: BuiltModel, folder: Path) -> None:
    """Write the initial adapters of a model whose base is a residual (PiSSA).

    :func:`save_adapter` needs them to express the trained adapters over the original base.
    """
    assert isinstance(model.network, PeftModel)
    config = model.network.peft_config["default"]
    init_lora_weights, config.init_lora_weights = config.init_lora_weights, True
    model.network.save_pretrained(folder, save_embedding_layers=False)
    config.init_lora_weights = init_lora_weights


def save_adapter(model: BuiltModel, folder: Path, initial: Path | None = None) -> None:
    """Write the adapters, classifier and tokenizer, with the name, revision and hash of the base.

    Args:
        model: the trained model.
        folder: where to write.
        initial: the folder of :func:`save_initial_adapter`, if the base is a residual. The adapters
            are then converted to the original base, which doubles their rank.
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
    if initial:  # peft's conversion drops all but the low-rank matrices (0.21)
        path = folder / SAFETENSORS_WEIGHTS_NAME
        others = {
            name: weight.contiguous() for name, weight in state.items() if "lora_" not in name
        }
        save_file({**others, **load_file(path)}, path)
    model.tokenizer.save_pretrained(folder)
    with_transitions(model.spec, model.network).save(folder)


def load_adapter(folder: Path, backbone: Backbone) -> Checkpoint:
    """Load adapters and classifier onto their backbone.

    Raises:
        ModelError: the adapters were trained on a backbone with other weights.
    """
    spec = TaggerSpec.load(folder)
    if backbone.weights_sha256 != spec.base_sha256:
        raise ModelError(
            f"{folder}: trained on {spec.backbone} {spec.backbone_revision} with weights "
            f"{spec.base_sha256[:12]}, not {backbone.weights_sha256[:12]}: give that backbone"
        )
    model_config = load_model_config(backbone.folder, backbone.name, spec.labels)
    base, _ = load_network(backbone, model_config, spec.kept_layers)  # it has no classifier
    if spec.casing_embeddings:
        add_casing_embeddings(base, backbone.name)
    network = PeftModel.from_pretrained(base, folder)
    return Checkpoint(
        network.eval(), backend_tokenizer(load_tokenizer(folder, spec.backbone)), spec
    )


def merge_adapters(network: nn.Module) -> PreTrainedModel:
    """Merge the adapters, if there are any, into the weights, and return the network."""
    if isinstance(network, PeftModel):
        network = network.merge_and_unload()
    assert isinstance(network, PreTrainedModel)
    return network


def save_model(model: BuiltModel, folder: Path) -> None:
    """Write the complete model, adapters merged, in transformers' format.

    The transitions of a conditional random field are in ``ner_model.json``.
    """
    spec = with_transitions(model.spec, model.network)
    network = merge_adapters(model.network)
    weights = {
        name: weight
        for name, weight in network.state_dict().items()
        if not name.startswith(f"{CRF}.")
    }
    network.save_pretrained(folder, state_dict=weights)
    model.tokenizer.save_pretrained(folder)
    spec.save(folder)


def load_model(folder: Path) -> Checkpoint:
    """Load a model that :func:`save_model` wrote, in fp32 on the CPU, in evaluation mode.

    Raises:
        ModelError: the folder holds no such model, or a part of it is missing.
    """
    spec = TaggerSpec.load(folder)
    network, missing = _load_network(folder, spec)
    if missing:
        raise ModelError(
            f"{folder}: the weights lack {', '.join(sorted(missing)[:3])} ({len(missing)} in all): "
            "train the model again"
        )
    return Checkpoint(
        network.eval(), backend_tokenizer(load_tokenizer(folder, spec.backbone)), spec
    )


def _load_network(folder: Path, spec: TaggerSpec) -> tuple[PreTrainedModel, set[str]]:
    """Return the network and the names of the weights that the folder lacks."""
    model_config = load_model_config(folder, spec.backbone, spec.labels)
    try:
        network, loading = AutoModelForTokenClassification.from_pretrained(
            folder,
            config=model_config,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            **NO_REMOTE_CODE,
        )
    except Exception as error:  # transformers raises whatever a broken file makes it raise
        raise ModelError(
            f"{folder}: no loadable safetensors weights ({one_line(error, limit=200)}): "
            "train the model again"
        ) from error
    return network, set(loading["missing_keys"])
