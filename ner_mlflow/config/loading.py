"""Resolve the configuration once: base, then a preset, then what the command line gives.

``presets/base.yaml`` holds every key and its default, a preset (a name or a YAML file) what differs. An unknown key is an
error.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from ..errors import ConfigError
from ..paths import find_path
from .schema import Config

PRESETS = Path(__file__).parent.parent / "presets"


def preset_names() -> list[str]:
    """The presets that ship with the package."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml") if path.stem != "base")


def preset_name(preset: str) -> str:
    """What a preset is called: a shipped one's name, or a file's name without its folder and suffix."""
    return Path(preset).stem


def load_config(preset: str | None = None, overrides: Mapping[str, Any] | None = None) -> Config:
    """Resolve base, preset and overrides.

    Args:
        preset: the name of a shipped preset, or the path of a YAML file with the same sections; None: base as it is.
        overrides: values by dotted key, such as ``{"train.learning_rate": 1e-4}``.

    Raises:
        ConfigError: no such preset, an unknown key, or a value that does not fit.
    """
    resolved = _read(PRESETS / "base.yaml")
    if preset is not None:
        _merge(resolved, _read(_preset_path(preset)), where=f"preset {preset}")
    return _overridden(resolved, overrides or {})


def override(config: Config, overrides: Mapping[str, Any]) -> Config:
    """The configuration with other values by dotted key.

    Raises:
        ConfigError: an unknown key, or a value that does not fit.
    """
    return _overridden(config.model_dump(mode="json"), overrides)


def _overridden(resolved: dict[str, Any], overrides: Mapping[str, Any]) -> Config:
    for key, value in overrides.items():
        *parents, leaf = key.split(".")
        nested: dict[str, Any] = {leaf: value}
        for parent in reversed(parents):
            nested = {parent: nested}
        _merge(resolved, nested, where="override")
    try:
        return Config.model_validate(resolved)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(problem) for problem in error.errors())) from error


def parse_overrides(text: str) -> dict[str, Any]:
    """Parse ``"train.epochs=3 model.lora_targets=[query,value]"``: dotted keys, YAML values, blanks between.

    Raises:
        ConfigError: a word has no ``=``, or its value is not YAML.
    """
    overrides: dict[str, Any] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ConfigError(
                f"override {word!r} is not key=value: write e.g. train.weight_decay=0.1"
            )
        try:
            overrides[key] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigError(f"override {word!r}: {value!r} is not a YAML value") from error
    return overrides


def flatten(section: BaseModel, prefix: str = "") -> dict[str, Any]:
    """The values under dotted keys, in order."""
    return dict(_walk(section.model_dump(mode="json"), prefix))


def _walk(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict):
            yield from _walk(value, name)
        else:
            yield name, value


def _preset_path(preset: str) -> Path:
    path = find_path(str(PRESETS / f"{preset}.yaml")) or find_path(preset)
    if path is not None and path.is_file():
        return path
    raise ConfigError(
        f"preset {preset!r} is neither one of {', '.join(preset_names())} nor a YAML file"
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (
        yaml.YAMLError,
        ValueError,
    ) as error:  # ValueError: not UTF-8, or a date that does not exist
        raise ConfigError(f"preset {path}: not YAML ({' '.join(str(error).split())})") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"preset {path}: must hold sections such as data, model and train, not a {type(values).__name__}"
        )
    return values


def _merge(base: dict[str, Any], change: Mapping[str, Any], where: str, prefix: str = "") -> None:
    for key, value in change.items():
        name = f"{prefix}{key}"
        if key not in base:
            raise ConfigError(f"{where}: no setting {name!r}; known here: {', '.join(base)}")
        if isinstance(base[key], dict):
            if not isinstance(value, dict):
                raise ConfigError(
                    f"{where}: {name!r} is a section, not a value: set one of {', '.join(f'{name}.{inner}' for inner in base[key])}"
                )
            _merge(base[key], value, where, f"{name}.")
        else:
            base[key] = value


def _explain(problem: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{place}: {message}"
    return f"{place}: {message[0].lower()}{message[1:]}, not {problem['input']!r}"
