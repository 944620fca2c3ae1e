"""Options of the commands, and the settings that a command line gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from ..config.loading import load_config, preset_names
from ..config.schema import Config
from ..config.settings import SETTINGS, Setting
from ..errors import ConfigError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
_METAVARS = {
    "text": "TEXT",
    "integer": "INTEGER",
    "number": "NUMBER",
    "true or false": "[true|false]",
}


class SettingOption(click.Option):
    """An option for a setting: a short one such as ``--epochs``, or ``--train.epochs``, hidden.

    The value stays text until the configuration is resolved, which alone checks it.
    """

    name: str

    def __init__(self, declarations: Sequence[str], setting: Setting) -> None:
        """
        Args:
            declarations: the option with its dashes.
            setting: the setting that the option gives.
        """
        (self.flag,) = declarations
        self.setting = setting
        self.is_dotted = "." in self.flag
        super().__init__(
            [self.flag, self.flag.removeprefix("--").replace(".", "__")],
            hidden=self.is_dotted,
            metavar=_metavar(setting),
            help=f"{setting.description}  [{_reference(setting)}]",
        )

    def is_given(self, text: str | None) -> bool:
        """Return whether a value gives the setting.

        An empty text gives none, since `mlflow run` passes every declared parameter. Only the
        dotted option takes it as a value.
        """
        return text is not None and (self.is_dotted or text != "")


@dataclass(frozen=True)
class GivenSettings:
    """The settings that a command line gives: each option with its text."""

    texts: tuple[tuple[SettingOption, str], ...]

    def text(self, key: str) -> str:
        """Return what was typed for a setting, or an empty text."""
        texts = [text for option, text in self.texts if option.setting.key == key]
        return texts[-1] if texts else ""

    def values(self) -> dict[str, Any]:
        """Return the values by dotted key.

        Raises:
            ConfigError: a setting has two different values, or a list is not readable.
        """
        values: dict[str, Any] = {}
        sources: dict[str, str] = {}
        for option, text in self.texts:
            key, value = option.setting.key, option.setting.parse(text)
            source = f"{option.flag} {text!r}"
            if key in values and values[key] != value:
                raise ConfigError(
                    f"{key} has two values, {sources[key]} and {source}: give one of them"
                )
            values[key], sources[key] = value, source
        return values

    def resolve(self, preset: str | None) -> Config:
        """Resolve the configuration: defaults, preset, command line.

        Raises:
            ConfigError: as of :meth:`values` and :func:`load_config`.
        """
        return load_config(preset, self.values())


def setting(name: str, key: str) -> Decorator:
    """Add the option ``--name`` for the setting at a dotted key."""

    return click.option(f"--{name}", cls=SettingOption, setting=SETTINGS[key])


SOURCE_SETTINGS = (
    *("dataset", "revision", "splits", "source_format"),
    *("token_column", "tag_column", "text_column", "tag_names"),
    *("scheme", "untyped_type", "overlaps", "invalid_spans", "offset_unit", "blank_tokens"),
    *("label_map", "unknown_tags", "invalid_tags"),
)
"""Settings of the section ``data`` that say how a corpus is read."""


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each of :data:`SOURCE_SETTINGS`."""
    for name in reversed(SOURCE_SETTINGS):
        command = setting(name, f"data.{name}")(command)
    return command


WEAK_SETTINGS = ("source", "sample", "ratio", "labeler", "min_precision", "gold")
"""Settings of the section ``weak`` with an option of their own."""


def weak_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each of :data:`WEAK_SETTINGS`, such as ``--weak_source``."""
    for name in reversed(WEAK_SETTINGS):
        command = setting(f"weak_{name}", f"weak.{name}")(command)
    return command


def option(name: str, default: str, help_text: str) -> Decorator:
    """Add an option that is no setting."""
    return click.option(f"--{name}", default=default, show_default=default != "", help=help_text)


def flag(name: str, help_text: str) -> Decorator:
    """Add an option that is true or false, and false by default."""
    return click.option(
        f"--{name}", default="false", type=click.BOOL, help=f"{help_text}  [default: false]"
    )


def preset_option(default: str) -> Decorator:
    """Add the option ``--preset``."""
    return option(
        "preset", default, f"settings to start from: {', '.join(preset_names())}, or a YAML file"
    )


data_run_option = option(
    "data_run",
    "latest",
    "prepared dataset: the id of a data run, runs:/ID, or latest (prepared if there is none)",
)


def split_list(text: str, name: str) -> list[str]:
    """Return the distinct parts of a text between its commas.

    Raises:
        ConfigError: there is none.
    """
    parts = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not parts:
        raise ConfigError(f"{name} {text!r} is empty: give one value, or several between commas")
    return parts


def _metavar(setting: Setting) -> str:
    if setting.is_list:
        return "LIST"
    return f"[{'|'.join(setting.choices)}]" if setting.choices else _METAVARS[setting.type]


def _reference(setting: Setting) -> str:
    unit = f" ({setting.unit})" if setting.unit else ""
    return f"{setting.key}; base: {setting.default_text()}{unit}"
