"""Presets load, mistakes are one line that names the key, dumps load again."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.config.loading import (
    PRESETS,
    flatten,
    load_config,
    preset_name,
    preset_names,
)
from ner_mlflow.config.schema import Config
from ner_mlflow.errors import ConfigError

TEXT = st.text(min_size=1, max_size=12)
OVERRIDES = st.fixed_dictionaries(
    {},
    optional={
        "data.dataset": TEXT,
        "data.revision": st.one_of(
            TEXT, st.sampled_from(["1e5", "no", "null", "2020-01-01", "0123"])
        ),
        "data.seed": st.integers(0, 10**20),
        "data.test_fraction": st.floats(0, 1, exclude_max=True),
        "model.lora_targets": st.lists(TEXT, min_size=1, max_size=3),
        "train.learning_rate": st.floats(0, 1e300, exclude_min=True),
        "train.gradient_checkpointing": st.booleans(),
        "evaluate.split": st.sampled_from(["train", "validation", "test"]),
        "export.served": st.sampled_from([["fp32"], ["int8", "fp32"], ["fp16"]]),
    },
)


def keys(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def preset_file(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_loads_and_is_named_after_its_adaptation(preset: str) -> None:
    config = load_config(preset)
    text = (PRESETS / f"{preset}.yaml").read_text(encoding="utf-8")
    changed = list(keys(yaml.safe_load(text)))
    assert preset.removesuffix("_weak").endswith(config.model.adaptation)
    assert changed
    assert set(changed) <= set(flatten(config))


def test_the_presets_of_the_study_and_the_embedded_ones_ship() -> None:
    assert preset_names() == [
        "bert_full",
        "bert_full_weak",
        "bert_lora",
        "distil_full",
        "granite_full",
        "granite_full_weak",
        "minilm_full",
        "minilm_full_weak",
        "minilm_lora",
        "minilm_lora_weak",
        "minilm_small_full",
    ]


@pytest.mark.parametrize("preset", [name for name in preset_names() if name.endswith("_weak")])
def test_a_weak_preset_differs_from_its_base_in_weak_supervision_alone(preset: str) -> None:
    weak, base = load_config(preset), load_config(preset.removesuffix("_weak"))
    assert weak.weak.source
    assert weak.model_copy(update={"weak": base.weak}) == base


def test_the_documentation_names_the_shipped_presets() -> None:
    page = (PRESETS.parents[1] / "docs" / "presets.md").read_text(encoding="utf-8")
    assert all(f"## {name}\n" in page for name in preset_names())


def test_the_configuration_without_arguments_is_the_base() -> None:
    base = yaml.safe_load((PRESETS / "base.yaml").read_text(encoding="utf-8"))
    assert Config.model_validate(base) == Config() == load_config() == load_config("base")


@pytest.mark.parametrize("preset", ["bert_lora", "mine/bert_lora.yaml", "bert_lora.yaml"])
def test_a_preset_is_called_by_the_name_of_its_file(preset: str) -> None:
    assert preset_name(preset) == "bert_lora"


def test_a_preset_changes_only_the_settings_that_it_has(tmp_path: Path) -> None:
    base, mine = (
        flatten(load_config()),
        flatten(load_config(preset_file(tmp_path, "train: {epochs: 9}\ndata:\n  seed: 1\n"))),
    )
    assert {key: mine[key] for key in base if mine[key] != base[key]} == {
        "train.epochs": 9,
        "data.seed": 1,
    }


def test_overrides_win_over_the_preset(tmp_path: Path) -> None:
    config = load_config(
        preset_file(tmp_path, "train: {epochs: 9, batch_size: 4}"), {"train.epochs": 2}
    )
    assert (config.train.epochs, config.train.batch_size) == (2, 4)


def test_an_empty_preset_is_base(tmp_path: Path) -> None:
    assert load_config(preset_file(tmp_path, "# nothing\n")) == load_config()


def test_a_list_replaces_a_list() -> None:
    assert load_config(overrides={"model.lora_targets": ["query"]}).model.lora_targets == ("query",)


WRONG = [
    ("train.epoch", 3, r"no setting 'train.epoch': did you mean train.epochs\?"),
    ("train.lora_rank", 3, r"no setting 'train.lora_rank': did you mean model.lora_rank\?"),
    ("trian.epochs", 3, r"no setting 'trian.epochs': did you mean train.epochs\?"),
    ("epochs", 3, r"no setting 'epochs': did you mean train.epochs\?"),
    ("train.xyz", 3, "no setting 'train.xyz': give one of train.learning_rate, train.epochs, "),
    ("", 3, "no setting '': give one of data, weak, model, train, "),
    ("train.epochs.more", 3, "no setting 'train.epochs.more'"),
    ("train", 3, "'train' is a section, not a setting.*set one of train.learning_rate"),
    ("export", None, "'export' is a section"),
    ("train.epochs", "many", "train.epochs: .*integer.*not 'many'"),
    ("train.epochs", 2.5, r"train.epochs: .*not 2\.5"),
    ("train.epochs", None, "train.epochs: .*not None"),
    ("distill.unlabelled", "texts.jsonl", "distill: unlabelled=texts.jsonl needs teachers"),
    ("train.repeat_factor_threshold", 1.5, "train.repeat_factor_threshold: .*not 1.5"),
    ("train.epochs", 0, "train.epochs: .*greater than or equal to 1, not 0"),
    ("train.learning_rate", -1e-4, r"train.learning_rate: .*not -0\.0001"),
    ("train.weight_decay", float("nan"), "train.weight_decay: .*not nan"),
    (
        "train.gradient_checkpointing",
        "perhaps",
        "train.gradient_checkpointing: .*boolean.*not 'perhaps'",
    ),
    ("train.precision", "fp8", "train.precision: .*'bf16'.*not 'fp8'"),
    ("data.test_fraction", 1.0, r"data.test_fraction: .*less than 1, not 1\.0"),
    ("data.dataset", "", "data.dataset: .*not ''"),
    ("data.oversample_factor", 0.5, r"data.oversample_factor: .*not 0\.5"),
    ("model.adaptation", "quantum", "model.adaptation: .*'lora'.*not 'quantum'"),
    ("model.revision", 123, "model.revision: .*string, not 123"),
    ("model.lora_targets", "query", "model.lora_targets: .*not 'query'"),
    ("evaluate.split", "dev", "evaluate.split: .*not 'dev'"),
    ("export.variants", ["fp32", "int4"], r"export.variants.1: .*not 'int4'"),
    ("export.variants", ["int8"], r"export: variants \['int8'\] lack fp32"),
    ("export.variants", ["fp32"], r"export: served \['int8'\] is not among variants \['fp32'\]"),
    ("export.served", [], "export.served: "),
    ("train.epochs", True, "train.epochs: .*not True"),
    ("train.learning_rate", float("inf"), "learning_rate"),
]


@pytest.mark.parametrize(("key", "value", "message"), WRONG)
def test_a_wrong_override_is_one_line_that_names_it(key: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(overrides={key: value})
    assert "\n" not in str(caught.value)


def test_all_wrong_values_are_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"train.epochs: .*; evaluate.split: "):
        load_config(overrides={"train.epochs": 0, "evaluate.split": "dev"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: [1", r"mine\.yaml: not YAML .*: write sections"),
        ("- train", r"mine\.yaml: holds a list, not sections: write sections"),
        ("train", "holds a str, not sections"),
        (
            "train: 3",
            r"preset .*mine\.yaml:1: 'train' is a section, not a setting with the value 3",
        ),
        ("train: {epoch: 3}", r"mine\.yaml:1: no setting 'train.epoch': did you mean train.epochs"),
        ("train: {1: 3}", r"mine\.yaml:1: key 1 is read as the number 1: put it in quotes"),
        ("train: {epochs: {more: 3}}", "train.epochs: .*not {'more': 3}"),
        ("trian: {epochs: 3}", r"mine\.yaml:1: no setting 'trian': did you mean train\?"),
        ("train:\n  seed: 013", r"mine\.yaml:2: 013 is read as the octal number 11: write 13"),
        ("train:\n  seed: 1:30", r"mine\.yaml:2: 1:30 is read as 90, in base 60: put it in"),
        ("train: {seed: 1}\ntrain: {epochs: 2}", r"mine\.yaml:2: key 'train' is given a second"),
        ("data:\n  revision: NO", r"mine\.yaml:2: NO is read as false: .*put it in quotes"),
        ("data:\n  revision: 1.10", r"mine\.yaml:2: data\.revision: 1\.10 is read as the number"),
        ("data:\n  revision: true", r"mine\.yaml:2: data\.revision: true is read as true: put"),
        ("data:\n  revision:", r"mine\.yaml:2: data\.revision: nothing is written: write \"\""),
        ("distill:\n  teachers:\n  - a\n  - 7", r"mine\.yaml:4: distill\.teachers: 7 is read as"),
        ("train:", "'train' is a section"),
        ("train: {epochs: x}", "train.epochs: .*not 'x'"),
        ("[]", "holds a list"),
        ("data: {revision: 2020-13-45}", "mine.yaml"),
        (
            "train.epochs: 3",
            r"mine\.yaml:1: 'train.epochs' joins a section and a setting: write train: {epochs: V",
        ),
        (
            "train:\n  epochs: 2.5",
            r"^preset .*mine\.yaml:2: train\.epochs: input should be a valid",
        ),
        (
            "weak:\n  labeler: rules",
            r"mine\.yaml:2: weak\.labeler: must be a list, such as \[a, b\], not 'rules'",
        ),
    ],
)
def test_a_wrong_preset_is_one_line_that_names_it(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(preset_file(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_an_override_is_not_told_as_a_line_of_the_preset(tmp_path: Path) -> None:
    preset = preset_file(tmp_path, "train:\n  epochs: x\n  seed: x")
    with pytest.raises(ConfigError) as caught:
        load_config(preset, {"train.epochs": "y"})
    first, second = str(caught.value).split("; ")
    assert re.fullmatch("train.epochs: .* not 'y'", first)
    assert second.startswith(f"preset {preset}:3: train.seed: ")


def test_a_preset_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"data: {dataset: \xff}")
    with pytest.raises(ConfigError, match=r"mine\.yaml: not YAML"):
        load_config(str(path))


@pytest.mark.parametrize(
    "preset",
    [
        "bert_huge",
        "",
        "a\0b",
        "missing/mine.yaml",
        "x" * 300,
    ],
)
def test_an_unknown_preset_lists_the_known_ones(preset: str) -> None:
    with pytest.raises(
        ConfigError,
        match="bert_full, bert_full_weak, bert_lora, distil_full, granite_full, ",
    ) as caught:
        load_config(preset)
    assert repr(preset) in str(caught.value)


@pytest.mark.parametrize("preset", preset_names())
def test_a_dumped_preset_loads_as_the_same_configuration(tmp_path: Path, preset: str) -> None:
    config = load_config(preset)
    assert load_config(preset_file(tmp_path, config.to_yaml())) == config
    assert list(keys(yaml.safe_load(config.to_yaml()))) == list(flatten(config))


@settings(deadline=None, max_examples=30)
@given(OVERRIDES)
def test_a_dumped_configuration_loads_as_the_same(overrides: dict[str, Any]) -> None:
    if "fp16" in overrides.get("export.served", []):
        overrides["export.variants"] = ["fp16", "fp32"]
    config = load_config(overrides=overrides)
    with tempfile.TemporaryDirectory() as folder:
        again = load_config(preset_file(Path(folder), config.to_yaml()))
    assert again == config
    flat = flatten(again)
    assert {key: flat[key] for key in overrides} == overrides


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_config().train.epochs = 3  # type: ignore[misc]


def test_flattened_keys_are_dotted_and_may_have_a_prefix() -> None:
    config = load_config()
    assert flatten(config)["train.epochs"] == config.train.epochs
    assert flatten(config.train, "fit")["fit.epochs"] == config.train.epochs
    assert flatten(config)["export.variants"] == ["fp32", "fp16", "int8"]
