"""A search space is a file; its errors are reported before any work."""

from pathlib import Path

import pytest
import yaml

from ner_mlflow.config.loading import load_config, override
from ner_mlflow.errors import ConfigError
from ner_mlflow.sweeping.space import Space, read_space, space_names

PRESETS = {"lora": "minilm_lora", "full": "minilm_full"}


@pytest.mark.parametrize("name", space_names())
def test_shipped_spaces_fit_their_presets(name: str) -> None:
    teachers = {"distill.teachers": ["some"]} if name == "distill" else {}
    config = load_config(PRESETS.get(name, "minilm_full"), teachers)
    space = read_space(name, config)
    assert Space.from_json(space.to_json()) == space
    assert len({str(point) for point in space.grid(0)}) == len(space.grid(0))
    if name in PRESETS:
        point = space.point(config)
        assert point is not None
        assert space.overrides(point)["train.learning_rate"] == config.train.learning_rate


def test_a_space_that_excludes_the_preset_has_no_point_of_it() -> None:
    config = load_config("minilm_lora", {"model.lora_rank": 128})
    assert read_space("lora", config).point(config) is None
    config = load_config("minilm_lora", {"model.lora_alpha_ratio": 0.3})
    assert read_space("lora", config).point(config) is None


def test_a_number_that_yaml_reads_as_text_equals_the_preset_s_number(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(
        "train.learning_rate: {type: categorical, choices: [1e-4, 8.7e-4]}\n", encoding="utf-8"
    )
    config = load_config("minilm_lora")
    space = read_space(str(path), config)
    point = space.point(config)
    assert point is not None
    assert (
        override(config, space.overrides(point)).train.learning_rate == config.train.learning_rate
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.epochs: {type: int, low: 2024-02-30, high: 3}", ":1: 2024-02-30 is read as a date"),
        ("train.epochs: {type: int, low: 1, high: 010}", ":1: 010 is read as .* 8: write 10"),
        (
            "train.epochs: {type: int, low: 1, high: 2}\ntrain.epochs: 3",
            ":2: key 'train.epochs' is",
        ),
    ],
)
def test_a_value_that_yaml_would_read_as_another_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"search space .*space\.yaml{message}"):
        read_space(str(path), load_config("minilm_lora"))


def test_a_grid_has_every_value(tmp_path: Path) -> None:
    entries = {
        "train.learning_rate": {
            "type": "float",
            "low": 1e-4,
            "high": 1e-2,
            "log": True,
            "grid_points": 3,
        },
        "model.lora_rank": {"type": "int", "low": 4, "high": 20, "log": True},
        "train.batch_size": {"type": "int", "low": 8, "high": 16, "step": 4},
        "model.lora_dropout": {"type": "float", "low": 0.0, "high": 0.2, "step": 0.1},
        "model.lora_targets": {
            "type": "categorical",
            "choices": {"all": ["all"], "two": ["query", "value"]},
        },
    }
    space = space_of(tmp_path, entries)
    values = {key: sorted({point[key] for point in space.grid(7)}, key=str) for key in entries}
    assert values["train.learning_rate"] == pytest.approx([0.0001, 0.001, 0.01])
    assert values["model.lora_rank"] == [16, 4, 8]
    assert values["train.batch_size"] == [12, 16, 8]
    assert values["model.lora_dropout"] == [0.0, 0.1, 0.2]
    assert len(space.grid(7)) == 3 * 3 * 3 * 3 * 2
    assert space.grid(7) == space.grid(7) != space.grid(8)
    assert {str(space.overrides(point)["model.lora_targets"]) for point in space.grid(7)} == {
        "['all']",
        "['query', 'value']",
    }


def space_of(folder: Path, entries: object) -> Space:
    path = folder / "space.yaml"
    path.write_text(yaml.safe_dump(entries), encoding="utf-8")
    return read_space(str(path), load_config("minilm_lora"))


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (
            {"train.learning_rat": {"type": "float", "low": 0.1, "high": 0.2}},
            "'train.learning_rat' is no setting of a training: give one of model.backbone",
        ),
        (
            {"data.seed": {"type": "int", "low": 1, "high": 2}},
            "'data.seed' is no setting of a training",
        ),
        ({"train.epochs": {"type": "float", "low": 1.5, "high": 2}}, "train.epochs cannot be 1.5"),
        (
            {"train.learning_rate": {"type": "float", "low": -1, "high": 2}},
            "train.learning_rate cannot be -1.0",
        ),
        ({"model.lora_rank": {"type": "int", "low": 8, "high": 4}}, "low=8 must be below high=4"),
        (
            {"model.lora_rank": {"type": "int", "low": 0, "high": 4, "log": True}},
            "low=0 must be above 0 with log",
        ),
        (
            {
                "train.learning_rate": {
                    "type": "float",
                    "low": 0.1,
                    "high": 1,
                    "log": True,
                    "step": 0.1,
                }
            },
            "log and step exclude each other",
        ),
        (
            {"model.lora_rank": {"type": "int", "low": 4, "hihg": 8}},
            "hihg: Extra inputs are not permitted",
        ),
        ({"model.lora_rank": {"type": "integer", "low": 4, "high": 8}}, "'int', 'categorical'"),
        ({"model.lora_rank": 8}, "model.lora_rank"),
        (
            {"train.schedule": {"type": "categorical", "choices": ["cosine", "cosin"]}},
            "train.schedule cannot be 'cosin'",
        ),
        (
            {"model.lora_targets": {"type": "categorical", "choices": [["query"]]}},
            "model.lora_targets",
        ),
        ({"train.schedule": {"type": "categorical", "choices": []}}, "at least 1"),
        (
            {"distill.weight": {"type": "float", "low": 0.1, "high": 0.9}},
            "distill.weight has no effect with distill.teachers=[]",
        ),
        ([1, 2], "holds a list, not settings: write for example train.learning_rate: {type: float"),
        (None, "holds no setting: write for example train.learning_rate: {type: float"),
        ({}, "holds no setting"),
        (
            {"train": {"epochs": {}}},
            "space.yaml:1: 'train' is no setting of a training: give one of",
        ),
        (
            {"train.learning_rate": {"low": 0.1, "high": 0.2}},
            "space.yaml:1: train.learning_rate has no type: write for example train.",
        ),
        (
            {"model.lora_rank": {"type": "int", "low": 2, "high": 4.5}},
            "space.yaml:1: model.lora_rank.high: Input should be a valid integer",
        ),
        (
            {"model.lora_targets": {"type": "categorical", "choices": [["query"]]}},
            "space.yaml:2: model.lora_targets: choices [['query']] is not a list of plain values: "
            "write [a, b], or {name: value} if values are lists",
        ),
        (
            {"train.learning_rate": {"type": "categorical", "choices": ["1e-4", 0.0001]}},
            "train.learning_rate: 0.0001 is 0.0001 a second time: remove one",
        ),
    ],
)
def test_an_error_names_the_file_the_key_and_the_way_out(
    tmp_path: Path, entries: object, words: str
) -> None:
    with pytest.raises(ConfigError) as error:
        space_of(tmp_path, entries)
    assert str(tmp_path / "space.yaml") in str(error.value)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_space_of_adapters_needs_adapters() -> None:
    with pytest.raises(
        ConfigError,
        match=r"lora_rank has no effect with model.adaptation=full: set model.adaptation to lora",
    ):
        read_space("lora", load_config("minilm_full"))
    with pytest.raises(ConfigError, match="neither one of distill, full, lora nor a YAML file"):
        read_space("loar", load_config("minilm_lora"))


def test_a_file_that_is_not_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"broken\.yaml: not YAML"):
        read_space(str(tmp_path / "broken.yaml"), load_config("minilm_lora"))
