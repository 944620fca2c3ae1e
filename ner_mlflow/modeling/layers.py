"""Keep some layers of a pretrained encoder, so that a student is smaller and faster than it.

Which layers, and where an architecture has them, is in ``layers.yaml``.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor
from transformers import PretrainedConfig

from ..config.schema import ModelConfig
from ..errors import ModelError

TABLE = Path(__file__).with_name("layers.yaml")


def choose_layers(
    config: ModelConfig, model_config: PretrainedConfig, name: str
) -> tuple[int, ...]:
    """Return the numbers of the layers to keep, in order; empty if all layers stay.

    Args:
        config: how many layers to keep, or which ones.
        model_config: the encoder's configuration.
        name: the backbone's name in error messages.

    Raises:
        ModelError: the encoder does not have these layers, or the table knows neither its
            architecture nor how to choose that many.
    """
    if not config.layers and not config.kept_layers:
        return ()
    setting = (
        f"model.kept_layers={list(config.kept_layers)}"
        if config.kept_layers
        else f"model.layers={config.layers}"
    )
    table = _read_table()
    depth = int(model_config.num_hidden_layers)
    architecture = table["architectures"].get(model_config.model_type)
    if architecture is None:
        raise ModelError(
            f"{setting}, but where {model_config.model_type} (backbone {name!r}) has its layers is "
            f"not known: choose a backbone of {', '.join(table['architectures'])}, or set "
            "model.layers=0 and model.kept_layers=[] to keep all layers"
        )
    choices = {**table["choices"].get(depth, {}), depth: list(range(depth))}
    if not config.kept_layers and config.layers not in choices:
        known = ", ".join(map(str, sorted(choices)))
        raise ModelError(
            f"{setting}, but backbone {name!r} has {depth} layers, of which {TABLE.name} can "
            f"choose {known}: set one of these, or list the layers to keep as model.kept_layers"
        )
    kept = config.kept_layers or tuple(choices[config.layers])
    if kept[-1] >= depth:
        raise ModelError(
            f"{setting}, but backbone {name!r} has {depth} layers: list layers from 0 to "
            f"{depth - 1}"
        )
    if architecture.get("first") and kept[0] != 0:
        raise ModelError(
            f"{setting} leaves out layer 0, and the first layer of {model_config.model_type} "
            f"(backbone {name!r}) has weights that the others lack: add 0"
        )
    return () if len(kept) == depth else kept


def keep_layers(
    weights: Mapping[str, Tensor], model_config: PretrainedConfig, kept: Sequence[int]
) -> dict[str, Tensor]:
    """Return the weights of an encoder with some of its layers, numbered from 0.

    Args:
        weights: the weights of the whole encoder by name.
        model_config: its configuration, which becomes that of the smaller encoder.
        kept: the numbers of the layers to keep, in order; at least one.
    """
    architecture = _read_table()["architectures"][model_config.model_type]
    for name in architecture.get("by_layer", ()):
        if (values := getattr(model_config, name, None)) is not None:
            setattr(model_config, name, [values[layer] for layer in kept])
    model_config.num_hidden_layers = len(kept)
    numbered = re.compile(rf"((?:^|\.){re.escape(architecture['layers'])}\.)(\d+)(?=\.)")
    new_numbers = {layer: number for number, layer in enumerate(kept)}
    smaller = {}
    for name, weight in weights.items():
        match = numbered.search(name)
        if match is None:
            smaller[name] = weight
        elif (number := new_numbers.get(int(match[2]))) is not None:
            smaller[f"{name[: match.start()]}{match[1]}{number}{name[match.end() :]}"] = weight
    return smaller


def _read_table() -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return table
