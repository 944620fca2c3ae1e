"""Trainings of one process share weights, encoded sentences and distillation targets."""

from pathlib import Path

import torch

from ner_mlflow.config.loading import load_config
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import BuiltModel, backend_tokenizer, build_model
from ner_mlflow.modeling.cache import CACHED_SPLITS, TrainingCache
from ner_mlflow.tagging.label_schema import LabelSchema

SENTENCES = [("we", "use", "Java"), ("it", "crashed")]


def built(backbone: Path, cache: TrainingCache | None = None, **overrides: object) -> BuiltModel:
    config = load_config(overrides={"model.max_length": 64, **overrides})
    return build_model(
        resolve_backbone(str(backbone)), config.model, LabelSchema(("OS",)), 1, cache
    )


def test_cached_weights_build_the_same_model_each_time(tiny_backbone: Path) -> None:
    cache = TrainingCache()
    expected = built(tiny_backbone).network.state_dict()
    for _ in range(2):
        network = built(tiny_backbone, cache).network
        weights = network.state_dict()
        assert weights.keys() == expected.keys()
        assert all(torch.equal(weights[name], expected[name]) for name in expected)
        with torch.no_grad():
            for weight in network.parameters():  # a training changes its own copy only
                weight.zero_()


def test_models_with_equal_inputs_share_encoded_sentences(tiny_backbone: Path) -> None:
    cache = TrainingCache()
    model, same = built(tiny_backbone), built(tiny_backbone, **{"model.hidden_dropout": 0.3})
    shorter = built(tiny_backbone, **{"model.max_length": 32})
    encoder, same_encoder, other = (
        cache.encoder(each.spec, backend_tokenizer(each.tokenizer))
        for each in (model, same, shorter)
    )
    assert encoder is same_encoder
    assert encoder is not other
    windows = encoder.windows(SENTENCES, ["a", "a"])
    assert encoder.windows(list(SENTENCES), ["a", "a"]) is windows
    assert encoder.windows(SENTENCES, ["a", "b"]) is not windows
    fresh = model.spec.encoder(backend_tokenizer(model.tokenizer)).windows(SENTENCES)
    assert [window.input_ids.tolist() for window in windows] == [
        window.input_ids.tolist() for window in fresh
    ]


def test_an_encoder_drops_the_oldest_sentences(tiny_backbone: Path) -> None:
    model = built(tiny_backbone)
    encoder = TrainingCache().encoder(model.spec, backend_tokenizer(model.tokenizer))
    first = encoder.windows([("first",)])
    for number in range(CACHED_SPLITS - 1):
        encoder.windows([(str(number),)])
    assert encoder.windows([("first",)]) is first
    encoder.windows([("one", "more")])
    assert encoder.windows([("first",)]) is not first


def test_targets_are_computed_once_for_a_key() -> None:
    cache, computed = TrainingCache(), list[str]()

    def targets(key: str) -> str:
        return cache.targets(key, lambda: computed.append(key) or f"targets {key}")

    assert [targets(key) for key in ("a", "a", "b")] == ["targets a", "targets a", "targets b"]
    assert computed == ["a", "b"]
