"""Every setting is described, and every text of the command line is read as its value."""

import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.config.loading import flatten, load_config
from ner_mlflow.config.schema import Config
from ner_mlflow.config.settings import SETTINGS, Setting, parse_assignments
from ner_mlflow.errors import ConfigError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TEXT_KEY, LIST_KEY = "data.revision", "distill.teachers"


def test_every_setting_of_the_configuration_is_listed_in_order() -> None:
    assert list(SETTINGS) == list(flatten(Config()))
    assert {key: setting.default for key, setting in SETTINGS.items()} == flatten(Config())


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_a_setting_has_a_description_and_its_name_does_not_hide_its_unit(setting: Setting) -> None:
    assert setting.description
    assert not setting.description.endswith(".")
    for suffix, unit in {"_s": "seconds", "_ratio": "ratio", "epochs": "epochs"}.items():
        if setting.name.endswith(suffix):
            assert setting.unit == unit


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_a_default_as_it_is_shown_is_read_as_the_default(setting: Setting) -> None:
    value = setting.parse(setting.default_text())
    assert load_config(overrides={setting.key: value}) == Config()


@given(TEXT, st.lists(TEXT, max_size=3))
def test_a_value_as_one_types_it_is_read_as_the_value(text: str, items: list[str]) -> None:
    for key, value in ((TEXT_KEY, text), (LIST_KEY, items)):
        setting = SETTINGS[key]
        typed = setting.to_text(value)
        assert typed
        assert setting.parse(typed) == value


@pytest.mark.parametrize(
    ("key", "value", "typed"),
    [
        ("data.splits", ("train_de=train", "dev=validation"), "train_de=train,dev=validation"),
        ("data.splits", ("a,b=train",), '["a,b=train"]'),
        ("data.dataset", "my corpus", "my corpus"),
        ("data.tag_column", "", '""'),
        ("data.test_fraction", 0.25, "0.25"),
        ("train.gradient_checkpointing", True, "true"),
    ],
)
def test_a_value_is_typed_without_quotes_where_none_are_needed(
    key: str, value: object, typed: str
) -> None:
    assert SETTINGS[key].to_text(value) == typed
    given_value = list(value) if isinstance(value, tuple) else value
    read = load_config(overrides={key: SETTINGS[key].parse(typed)})
    assert read == load_config(overrides={key: given_value})


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_every_choice_of_a_setting_is_accepted_and_no_other(setting: Setting) -> None:
    for choice in setting.choices:
        value = [choice] if setting.is_list else choice
        problem = ""
        try:
            load_config(overrides={setting.key: value})
        except ConfigError as error:  # a contradiction to the default of another setting
            problem = str(error)
        assert not problem.startswith(setting.key)
    if setting.choices:
        wrong = ["nothing"] if setting.is_list else "nothing"
        with pytest.raises(ConfigError, match=re.escape(setting.key)):
            load_config(overrides={setting.key: wrong})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", ""),
        (" ", " "),
        ("123", "123"),
        ("1e5", "1e5"),
        ("null", "null"),
        ("2020-13-45", "2020-13-45"),
        ("my map.yaml", "my map.yaml"),
        ("my map #2.yaml", "my map #2.yaml"),
        ("a: b", "a: b"),
        ("[a", "[a"),
        ("@x", "@x"),
        ("'123'", "123"),
        ('"a\\nb"', "a\nb"),
        ('""', ""),
        ("'", "'"),
        ("'a' 'b'", "'a' 'b'"),
        ("http://x:1/v1", "http://x:1/v1"),
    ],
)
def test_text_is_taken_as_it_is_but_for_quotes(text: str, value: str) -> None:
    assert SETTINGS[TEXT_KEY].parse(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", []),
        ("[]", []),
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        (" a , b ,", ["a", "b"]),
        ("[a, b]", ["a", "b"]),
        ("['a,b', \"c d\", 12, 1e5, null]", ["a,b", "c d", "12", "1e5", "null"]),
        ("- a\n- b\n", ["a", "b"]),
        ("models:/x@y,runs:/1", ["models:/x@y", "runs:/1"]),
        ("/a b/c, /d", ["/a b/c", "/d"]),
    ],
)
def test_a_list_is_yaml_or_items_between_commas(text: str, value: list[str]) -> None:
    assert SETTINGS[LIST_KEY].parse(text) == value


@pytest.mark.parametrize("text", ["[a", "[a, b]]", "[" * 9000])
def test_a_broken_list_is_one_line_that_names_its_setting(text: str) -> None:
    with pytest.raises(ConfigError, match=r"distill\.teachers: .* is not a YAML list"):
        SETTINGS[LIST_KEY].parse(text)


def quoted(value: object) -> str:
    """Return a value as YAML on one line, every string in double quotes."""
    dumped: str = yaml.safe_dump(value, default_flow_style=True, default_style='"', width=10_000)
    return dumped.removesuffix("\n") if isinstance(value, str | list) else str(value).lower()


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([TEXT_KEY, LIST_KEY, "data.seed", "train.learning_rate", "prompt.json_schema"]),
    st.data(),
)
def test_a_value_written_as_yaml_is_read_as_that_value(key: str, data: st.DataObject) -> None:
    value: Any = data.draw(
        {
            TEXT_KEY: TEXT,
            LIST_KEY: st.lists(TEXT, max_size=4),
            "data.seed": st.integers(0, 10**18),
            "train.learning_rate": st.floats(0, 1e300, exclude_min=True),
            "prompt.json_schema": st.booleans(),
        }[key]
    )
    for text in (quoted(value), yaml.safe_dump(value).removesuffix("...\n").removesuffix("\n")):
        config = load_config(overrides={key: SETTINGS[key].parse(text)})
        assert flatten(config)[key] == value


@pytest.mark.parametrize(("text", "value"), [("013", 13), ("08", 8), ("1_000", 1000)])
def test_a_number_of_the_command_line_is_decimal(text: str, value: int) -> None:
    assert load_config(overrides=parse_assignments([f"train.seed={text}"])).train.seed == value
    listed = load_config(overrides=parse_assignments([f"sweep.final_seeds=[{text}]"]))
    assert listed.sweep.final_seeds == (value,)


def test_assignments_are_keys_and_values() -> None:
    texts = ["train.epochs=3", "data.dataset=a/b=c", "model.lora_targets=[query, value]"]
    assert parse_assignments(texts) == {
        "train.epochs": "3",
        "data.dataset": "a/b=c",
        "model.lora_targets": ["query", "value"],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.epochs", "'train.epochs' is not KEY=VALUE: write"),
        ("train.epoch=3", r"no setting 'train.epoch': did you mean train.epochs\?"),
        ("=3", "no setting ''"),
        ("model.lora_targets=[query", "model.lora_targets: .* not a YAML list"),
        ("model.lora_targets=[[query]]", "model.lora_targets: .* holds more than plain values"),
        ("model.lora_targets=[&a [x, x], *a]", "model.lora_targets: .* more than plain values"),
    ],
)
def test_a_wrong_assignment_is_one_line_that_names_it(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_assignments([text])
