"""Keeping layers: the kept ones have the backbone's weights, in every architecture, and reload."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import yaml
from architectures import SCHEMA, assert_equal_scores, backbone_of, small
from torch import nn
from transformers import AutoModel, AutoModelForTokenClassification, PreTrainedModel

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import ModelConfig
from ner_mlflow.errors import ConfigError, ModelError
from ner_mlflow.modeling.backbone import Backbone
from ner_mlflow.modeling.build import build_model, check_backbone
from ner_mlflow.modeling.cache import TrainingCache
from ner_mlflow.modeling.checkpoint import load_adapter, load_model, save_adapter, save_model
from ner_mlflow.modeling.layers import TABLE

DEPTH = 6
ARCHITECTURES = ["bert", "distilbert", "roberta", "deberta-v2", "modernbert"]


@pytest.fixture(scope="module")
def backbone(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return backbone_of("bert", tiny_backbone, tmp_path_factory.mktemp("deep"), DEPTH)


def model_config(**settings: object) -> ModelConfig:
    overrides = {f"model.{name}": value for name, value in settings.items()}
    return load_config(overrides={"model.max_length": 48, **overrides}).model


def layers_of(network: PreTrainedModel) -> nn.ModuleList:
    (layers,) = (
        module
        for module in network.base_model.modules()
        if isinstance(module, nn.ModuleList) and len(module) == network.config.num_hidden_layers
    )
    return layers


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_student_has_the_kept_layers_of_its_backbone_and_reloads_anywhere(
    architecture: str, tiny_backbone: Path, tmp_path: Path
) -> None:
    whole = backbone_of(architecture, tiny_backbone, tmp_path / "backbone", DEPTH)
    built = build_model(whole, model_config(layers=3), SCHEMA, 1)
    save_model(built, tmp_path / "model")
    teacher = AutoModel.from_pretrained(whole.folder)
    anywhere = AutoModelForTokenClassification.from_pretrained(tmp_path / "model")
    for network in (built.network, anywhere):
        for layer, number in zip(layers_of(network), (0, 2, 5), strict=True):
            expected = layers_of(teacher)[number].state_dict()
            weights = layer.state_dict()
            assert weights.keys() == expected.keys()
            assert all(torch.equal(weights[name], expected[name]) for name in expected)
        table = teacher.get_input_embeddings().weight
        assert torch.equal(network.get_input_embeddings().weight, table)
    if architecture == "modernbert":
        assert anywhere.config.layer_types == [
            "full_attention",
            "sliding_attention",
            "sliding_attention",
        ]
    assert built.spec.kept_layers == (0, 2, 5)
    loaded = load_model(tmp_path / "model")
    assert loaded.spec == built.spec
    assert_equal_scores(replace(loaded, network=built.network.eval()), loaded)


def test_all_layers_are_the_backbone_itself(backbone: Backbone) -> None:
    models = [
        build_model(backbone, model_config(**settings), SCHEMA, 1)
        for settings in ({}, {"layers": DEPTH}, {"kept_layers": list(range(DEPTH))})
    ]
    weights = [model.network.state_dict() for model in models]
    for model, others in zip(models, weights, strict=True):
        assert model.spec.kept_layers == ()
        assert all(torch.equal(weights[0][name], others[name]) for name in weights[0])


def test_listed_layers_are_kept_and_the_cache_stays_whole(backbone: Backbone) -> None:
    cache = TrainingCache()
    teacher = AutoModel.from_pretrained(backbone.folder)
    for kept in ((1, 4), (3,), (1, 4)):
        built = build_model(backbone, model_config(kept_layers=kept), SCHEMA, 1, cache)
        assert built.spec.kept_layers == kept
        for layer, number in zip(layers_of(built.network), kept, strict=True):
            expected = layers_of(teacher)[number].state_dict()
            assert all(torch.equal(expected[name], layer.state_dict()[name]) for name in expected)


def test_adapters_on_kept_layers_reload_on_the_whole_backbone(
    backbone: Backbone, tmp_path: Path
) -> None:
    config = model_config(layers=2, adaptation="lora", lora_rank=4)
    built = build_model(backbone, config, SCHEMA, 1)
    with torch.no_grad():
        for name, weight in built.network.named_parameters():
            if "lora_B" in name:  # as if trained: they start at 0
                weight.normal_()
    save_adapter(built, tmp_path / "adapter")
    save_model(built, tmp_path / "model")
    assert_equal_scores(
        load_model(tmp_path / "model"), load_adapter(tmp_path / "adapter", backbone)
    )


@pytest.mark.parametrize(
    ("architecture", "settings", "message"),
    [
        (
            "bert",
            {"layers": 7},
            r"model\.layers=7, but backbone .* has 6 layers, of which layers\.yaml can choose "
            r"1, 2, 3, 4, 5, 6: set one of these, or list the layers to keep as model\.kept_layers",
        ),
        (
            "bert",
            {"kept_layers": [0, 6]},
            r"model\.kept_layers=\[0, 6\], but backbone .* has 6 layers: list layers from 0 to 5",
        ),
        (
            "modernbert",
            {"kept_layers": [1, 2]},
            r"model\.kept_layers=\[1, 2\] leaves out layer 0, .* weights that the others lack: add",
        ),
        (
            "albert",
            {"layers": 3},
            r"model\.layers=3, but where albert .* has its layers is not known: choose a backbone "
            r"of bert, .*, or set model\.layers=0",
        ),
    ],
)
def test_layers_that_cannot_be_kept_are_refused_before_weights_are_read(
    architecture: str,
    settings: dict[str, object],
    message: str,
    backbone: Backbone,
    tiny_backbone: Path,
    tmp_path: Path,
) -> None:
    known = "modernbert" if architecture == "modernbert" else "bert"
    config = small(known, 100, DEPTH).to_dict() | {"model_type": architecture}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        check_backbone(replace(backbone, folder=tmp_path), model_config(**settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kept_layers": [2, 0]}, "must rise: sort it, without duplicates"),
        ({"kept_layers": [1, 1]}, "must rise"),
        ({"kept_layers": [-1]}, "kept_layers"),
        ({"kept_layers": [0, 2], "layers": 3}, r"layers=3, but .* are 2: leave layers at 0"),
        ({"layers": -1}, "layers"),
    ],
)
def test_settings_of_layers_that_contradict_are_refused(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        model_config(**settings)


def test_the_table_spaces_layers_evenly_from_the_first_to_the_last() -> None:
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    for depth, choices in table["choices"].items():
        for count, kept in choices.items():
            assert len(kept) == count < depth
            assert kept[0] == 0
            gaps = [after - before for before, after in pairwise(kept)]
            assert not gaps or (kept[-1] == depth - 1 and max(gaps) - min(gaps) <= 1)
