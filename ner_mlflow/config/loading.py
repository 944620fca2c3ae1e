"""Resolve the configuration once: defaults, then a preset, then single settings."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ..errors import ConfigError
from ..paths import find_path
from ..redaction import shorten
from ..strict_yaml import YamlFile, read_yaml
from .schema import Config
from .settings import SECTIONS, SETTINGS, SHOWN, unknown_setting

PRESETS = Path(__file__).parent.parent / "presets"
BASE = "base"
"""Name of the file that lists every setting; it is generated and never read."""


def preset_names() -> list[str]:
    """Return the names of the presets that ship with the package."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml") if path.stem != BASE)


def preset_name(preset: str) -> str:
    """Return the name of a preset: of a shipped one, or of a file without its folder and suffix."""
    return Path(preset).stem


def load_config(preset: str | None = None, overrides: Mapping[str, Any] | None = None) -> Config:
    """Resolve defaults, preset and overrides.

    Args:
        preset: the name of a shipped preset, or the path of a YAML file with the same sections;
            None: the defaults as they are.
        overrides: values by dotted key, such as ``{"train.learning_rate": 1e-4}``.

    Raises:
        ConfigError: there is no such preset, a key is unknown, or a value does not fit.
    """
    values = Config().model_dump(mode="json")
    file = None if preset is None else _merge_preset(values, preset)
    return _resolve(values, overrides or {}, file)


def override(config: Config, overrides: Mapping[str, Any]) -> Config:
    """Return the configuration with other values by dotted key.

    Raises:
        ConfigError: a key is unknown, or a value does not fit.
    """
    return _resolve(config.model_dump(mode="json"), overrides)


def flatten(section: BaseModel, prefix: str = "") -> dict[str, Any]:
    """Return the values under dotted keys, in order."""
    return dict(_walk(section.model_dump(mode="json"), prefix))


def _walk(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict):
            yield from _walk(value, name)
        else:
            yield name, value


def _resolve(
    values: dict[str, Any], overrides: Mapping[str, Any], file: YamlFile | None = None
) -> Config:
    for key, value in overrides.items():
        _set(values, key, value)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(
            "; ".join(
                _place(problem, overrides, file) + _explain(problem) for problem in error.errors()
            )
        ) from error


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    if key in SECTIONS:
        raise ConfigError(_not_a_section(key, value))
    if key not in SETTINGS:
        raise ConfigError(unknown_setting(key))
    values[SETTINGS[key].section][SETTINGS[key].name] = value


def _merge_preset(values: dict[str, Any], preset: str) -> YamlFile:
    file = _read(_preset_path(preset))
    for section, settings in (file.value or {}).items():
        if section in SETTINGS:
            inner = f"{SETTINGS[section].section}: {{{SETTINGS[section].name}: VALUE}}"
            raise file.error(f"{section!r} joins a section and a setting: write {inner}", section)
        if section not in SECTIONS:
            raise file.error(unknown_setting(section), section)
        if not isinstance(settings, dict):
            raise file.error(_not_a_section(section, settings), section)
        for name, value in settings.items():
            try:
                _set(values, f"{section}.{name}", value)
            except ConfigError as error:
                raise file.error(str(error), section, name) from error
            _check_texts(file, section, name)
    return file


def _check_texts(file: YamlFile, section: str, name: str) -> None:
    """Check that YAML reads the text of a setting, or the texts of its list, as texts."""
    value, setting = file.value[section][name], SETTINGS[f"{section}.{name}"]
    if setting.type != "text":
        return
    listed = setting.is_list and isinstance(value, list)
    for index, item in enumerate(value if listed else [value]):
        keys = (section, name, index) if listed else (section, name)
        if not isinstance(item, (str, dict, list)):
            raise file.error(f"{setting.key}: {file.not_text(*keys)}", *keys)


def _not_a_section(section: str, value: Any) -> str:
    keys = ", ".join(f"{section}.{name}" for name in SECTIONS[section].model_fields)
    return f"{section!r} is a section, not a setting with the value {value!r}: set one of {keys}"


def _preset_path(preset: str) -> Path:
    path = find_path(str(PRESETS / f"{preset}.yaml")) or find_path(preset)
    if path is not None and path.is_file():
        return path
    raise ConfigError(
        f"no preset {preset!r}: give one of {', '.join(preset_names())}, or a YAML file that exists"
    )


def _read(path: Path) -> YamlFile:
    file = read_yaml(
        path,
        "preset",
        f"write sections of KEY: VALUE lines, as in {PRESETS / 'minilm_lora.yaml'}",
    )
    if not isinstance(file.value, dict | None):
        raise ConfigError(
            f"preset {path}: holds a {type(file.value).__name__}, not sections: write sections "
            "such as data, model and train with KEY: VALUE lines"
        )
    return file


def _place(problem: Mapping[str, Any], overrides: Mapping[str, Any], file: YamlFile | None) -> str:
    """Return the line of the preset that a wrong value stands in; empty: it stands elsewhere."""
    keys = problem["loc"][:2]
    if file is None or len(keys) < 2 or keys not in file.typed or ".".join(keys) in overrides:
        return ""
    return f"{file.name}:{file.typed[keys].line}: "


def _explain(problem: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    value = shorten(repr(problem["input"]), SHOWN)
    if problem["type"] == "tuple_type":
        return f"{key}: must be a list, such as [a, b], not {value}"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key}: {message[0].lower()}{message[1:]}, not {value}"
