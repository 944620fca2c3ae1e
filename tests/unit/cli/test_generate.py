"""The files that are derived from the configuration and the commands are up to date."""

import re
from pathlib import Path

import click
import pytest
import yaml

from ner_mlflow.cli.console import STEPS, load_command
from ner_mlflow.cli.generate import COMMAND, WIDTH, generate
from ner_mlflow.cli.options import SettingOption
from ner_mlflow.config.loading import load_config, preset_names
from ner_mlflow.config.settings import SETTINGS
from ner_mlflow.data.formats.registry import FORMATS

FILES = generate()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_generated_file_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == FILES[path], f"run {COMMAND}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_is_described_in_base_and_on_the_page(path: Path) -> None:
    if path.name not in ("MLproject", "formats.md", "presets.md"):
        text = " ".join(FILES[path].replace("\n  # ", " ").replace("\\|", "|").split())
        for setting in SETTINGS.values():
            assert " ".join(setting.description.split()) in text


def test_every_format_is_on_its_page_with_an_example() -> None:
    (page,) = [text for path, text in FILES.items() if path.name == "formats.md"]
    for format_ in FORMATS.values():
        assert f"| `{format_.name}` |" in page
        assert f"\n## {format_.title}\n" in page
        assert f"```text\n{format_.example.rstrip()}\n```\n" in page


def test_every_preset_is_on_its_page_with_what_differs_and_nothing_else() -> None:
    (page,) = [text for path, text in FILES.items() if path.name == "presets.md"]
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert list(sections) == preset_names()
    lora = dict(re.findall(r"^\| `([\w.]+)` \| `(.+?)` \|", sections["minilm_lora"], re.MULTILINE))
    assert lora["model.lora_rank"] == "51"
    assert lora["train.epochs"] == "8"
    assert "train.label_smoothing" not in lora
    for name, section in sections.items():
        config = load_config(name).model_dump(mode="json")
        for key, default in re.findall(r"^\| `([\w.]+)` .* `(.+?)` \|$", section, re.MULTILINE):
            assert SETTINGS[key].default_text() == default
            assert config[SETTINGS[key].section][SETTINGS[key].name] != SETTINGS[key].default


def test_base_holds_the_defaults() -> None:
    (base,) = [text for path, text in FILES.items() if path.name == "base.yaml"]
    values = yaml.safe_load(base)
    for setting in SETTINGS.values():
        assert values[setting.section][setting.name] == setting.default


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_lines_fit_but_for_tables_and_examples_of_files(path: Path) -> None:
    examples = {line for format_ in FORMATS.values() for line in format_.example.splitlines()}
    lines = [line for line in FILES[path].splitlines() if line not in examples]
    assert [line for line in lines if len(line) > WIDTH and not line.startswith("|")] == []


@pytest.mark.parametrize("step", STEPS)
def test_the_help_of_a_step_explains_every_option_and_hides_the_dotted_ones(step: str) -> None:
    command = load_command(step)
    text = command.get_help(click.Context(command, info_name=step))
    options, _, epilog = text.partition("Every setting")
    for option in command.params:
        assert isinstance(option, click.Option)
        assert option.help
        is_dotted = isinstance(option, SettingOption) and option.is_dotted
        assert (f"\n  {option.opts[0]} " in options) != is_dotted
    assert "docs/settings.md" in epilog
