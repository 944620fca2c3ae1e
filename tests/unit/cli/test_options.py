"""Options: MLproject passes every parameter on, and each value is read as it was given."""

import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.projects._project_spec import load_project

from ner_mlflow.cli.console import SCRIPTS, STEPS, load_command
from ner_mlflow.cli.options import GivenSettings, SettingOption
from ner_mlflow.config.loading import flatten
from ner_mlflow.errors import ConfigError

ROOT = Path(__file__).parents[3]
PROJECT = yaml.safe_load((ROOT / "MLproject").read_text(encoding="utf-8"))
WORDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12
)
VALUES = {
    "data.dataset": WORDS,
    "data.revision": st.one_of(WORDS, st.sampled_from(["", "1e5", "no", "--data.seed", "{x}"])),
    "data.label_map": WORDS.map(lambda name: f"my {name} map.yaml"),
    "data.seed": st.integers(0, 10**18),
    "train.learning_rate": st.floats(0, 1e300, exclude_min=True),
    "train.gradient_checkpointing": st.booleans(),
    "distill.teachers": st.lists(WORDS, max_size=3),
    "model.lora_targets": st.lists(WORDS, min_size=1, max_size=3),
    "sweep.final_seeds": st.lists(st.integers(0, 10**9), max_size=3),
}


def options_of(step: str) -> dict[str, click.Option]:
    return {
        option.opts[0].removeprefix("--"): option
        for option in load_command(step).params
        if isinstance(option, click.Option) and not option.hidden
    }


def read_command(step: str, parameters: dict[str, str]) -> GivenSettings:
    """Return the settings that a step gets when `mlflow run -P` is called with these parameters."""
    entry_point = load_project(str(ROOT)).get_entry_point(step)
    words = shlex.split(entry_point.compute_command(parameters, None))
    command = load_command(step)
    context = command.make_context(step, words[words.index(f"entrypoints.{SCRIPTS[step]}") + 1 :])
    texts = [
        (option, context.params[option.name])
        for option in command.params
        if isinstance(option, SettingOption)
    ]
    return GivenSettings(tuple((option, text) for option, text in texts if option.is_given(text)))


def test_every_step_is_an_entry_point_with_a_script() -> None:
    scripts = {path.stem for path in (ROOT / "entrypoints").glob("*.py")} - {"__init__"}
    assert {SCRIPTS[step] for step in STEPS} == scripts
    assert set(STEPS) == set(PROJECT["entry_points"])


@pytest.mark.parametrize("step", STEPS)
def test_parameters_and_defaults_are_those_of_the_command(step: str) -> None:
    parameters = PROJECT["entry_points"][step]["parameters"]
    defaults = {name: option.default for name, option in options_of(step).items()}
    assert {name: parameter["default"] for name, parameter in parameters.items()} == {
        name: default if isinstance(default, str) else "" for name, default in defaults.items()
    }


@pytest.mark.parametrize("step", STEPS)
def test_mlflow_run_without_parameters_gives_no_setting(step: str) -> None:
    assert read_command(step, {}).values() == {}


@pytest.mark.parametrize("step", STEPS)
def test_every_setting_is_an_undeclared_parameter_of_every_step(step: str) -> None:
    given_settings = read_command(step, {"train.weight_decay": "0.1", "distill.teachers": "[a, b]"})
    config = given_settings.resolve("minilm_full")
    assert config.train.weight_decay == 0.1
    assert config.distill.teachers == ("a", "b")


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(VALUES)), st.data())
def test_any_value_survives_the_way_through_mlflow_run(key: str, data: st.DataObject) -> None:
    value: Any = data.draw(VALUES[key])
    texts = [yaml.safe_dump(value).removesuffix("...\n").removesuffix("\n")]
    if isinstance(value, str):
        texts = [yaml.safe_dump(value, default_style='"', width=10_000).removesuffix("\n")]
        if value[:1] not in ("'", '"'):
            texts.append(value)
    for text in texts:
        try:
            config = read_command("train", {key: text}).resolve("minilm_full")
        except ConfigError:  # an empty text is no dataset; the message is tested elsewhere
            assert value == ""
        else:
            assert flatten(config)[key] == value


def test_an_empty_value_of_a_declared_parameter_is_not_given() -> None:
    given_settings = read_command("data", {"revision": "", "dataset": ""})
    assert given_settings.values() == {}


def test_an_empty_value_under_the_dotted_key_is_the_empty_text() -> None:
    given_settings = read_command("sweep", {"sweep.study": "", "distill.unlabelled": ""})
    assert given_settings.values() == {"sweep.study": "", "distill.unlabelled": ""}


def test_the_short_name_and_the_dotted_key_may_agree() -> None:
    given_settings = read_command("data", {"seed": "3", "data.seed": "3"})
    assert given_settings.values() == {"data.seed": "3"}


def test_the_short_name_and_the_dotted_key_may_not_differ() -> None:
    given_settings = read_command("data", {"seed": "3", "data.seed": "4"})
    with pytest.raises(ConfigError, match=r"data\.seed has two values, --.*seed '3' and --.*'4'"):
        given_settings.values()


def test_an_unknown_dotted_key_is_one_line_that_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"train\.weight_decy.*did you mean train\.weight_decay"):
        read_command("train", {"train.weight_decy": "0.1"})


def test_the_console_reads_dotted_keys_with_an_equals_sign() -> None:
    context = load_command("data").make_context("data", ["--data.dataset=a=b", "--data.seed=3"])
    assert context.params["data__dataset"] == "a=b"
    assert context.params["data__seed"] == "3"
