"""Search spaces: YAML files of settings by dotted key, each with its possible values."""

import itertools
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial, TrialState, create_trial
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from ..config.loading import flatten, override
from ..config.schema import Config, Float, Integer, Section
from ..config.settings import SETTINGS, SHOWN
from ..errors import ConfigError
from ..paths import find_path
from ..redaction import shorten
from ..strict_yaml import YamlFile, read_yaml

SPACES = Path(__file__).parent.parent / "spaces"
SECTIONS = ("model", "train", "distill")
"""Sections that a trial may change: they make a model, and leave its data and scores alone."""
NEEDS = {"model.lora_": ("model.adaptation", "lora"), "distill.": ("distill.teachers", "a teacher")}
"""Prefix of a key -> the setting that it depends on, and the value that this setting must have."""
Scalar = str | bool | int | float
_EXAMPLE = "train.learning_rate: {type: float, low: 1.0e-4, high: 1.0e-3, log: true}"


class FloatRange(Section):
    """Numbers from ``low`` to ``high``, both included."""

    type: Literal["float"]
    low: Float
    high: Float
    log: bool = False
    step: Annotated[Float, Field(gt=0)] | None = None
    grid_points: Annotated[Integer, Field(ge=2)] = 4

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check_range(self.low, self.high, self.log, self.step is not None)
        return self

    def distribution(self) -> BaseDistribution:
        """Return the distribution that Optuna samples from."""
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def suggest(self, trial: Trial, key: str) -> Any:
        """Return the value that Optuna chooses for a trial."""
        return trial.suggest_float(key, self.low, self.high, log=self.log, step=self.step)

    def grid(self) -> list[Any]:
        """Return the values of a grid."""
        if self.step:
            return [
                round(self.low + index * self.step, 12)
                for index in range(int((self.high - self.low) / self.step + 1e-9) + 1)
            ]
        points = (np.geomspace if self.log else np.linspace)(self.low, self.high, self.grid_points)
        return [min(max(float(point), self.low), self.high) for point in points]

    def ends(self) -> list[Any]:
        """Return the values to validate; if they are valid, all are."""
        return [self.low, self.high]


class IntRange(Section):
    """Integers from ``low`` to ``high``, both included."""

    type: Literal["int"]
    low: Integer
    high: Integer
    log: bool = False
    step: Annotated[Integer, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check_range(self.low, self.high, self.log, self.step > 1)
        return self

    def distribution(self) -> BaseDistribution:
        """Return the distribution that Optuna samples from."""
        return IntDistribution(self.low, self.high, log=self.log, step=self.step)

    def suggest(self, trial: Trial, key: str) -> Any:
        """Return the value that Optuna chooses for a trial."""
        return trial.suggest_int(key, self.low, self.high, log=self.log, step=self.step)

    def grid(self) -> list[Any]:
        """Return the values of a grid."""
        if self.log:
            return [self.low * 2**power for power in range((self.high // self.low).bit_length())]
        return list(range(self.low, self.high + 1, self.step))

    def ends(self) -> list[Any]:
        """Return the values to validate; if they are valid, all are."""
        return [self.low, self.high]


class Choices(Section):
    """Values without an order; values that are lists have names."""

    type: Literal["categorical"]
    choices: (
        Annotated[list[Scalar], Field(min_length=1)]
        | Annotated[dict[str, Any], Field(min_length=1)]
    )

    def distribution(self) -> BaseDistribution:
        """Return the distribution that Optuna samples from."""
        return CategoricalDistribution(list(self.choices))

    def suggest(self, trial: Trial, key: str) -> Any:
        """Return the value that Optuna chooses for a trial."""
        return trial.suggest_categorical(key, list(self.choices))

    def grid(self) -> list[Any]:
        """Return the values of a grid."""
        return list(self.choices)

    def ends(self) -> list[Any]:
        """Return the values to validate; if they are valid, all are."""
        return list(self.choices)

    def value(self, chosen: Any) -> Any:
        """Return the value of a chosen name."""
        return self.choices[chosen] if isinstance(self.choices, dict) else chosen


Entry = Annotated[FloatRange | IntRange | Choices, Field(discriminator="type")]
_FILE = TypeAdapter(dict[str, Entry])


@dataclass(frozen=True)
class Space:
    """A search space: its name, and its entries by dotted key in the file's order."""

    name: str
    entries: Mapping[str, Entry]

    def to_json(self) -> dict[str, Any]:
        """Return the space as values that :meth:`from_json` reads."""
        return {
            "name": self.name,
            "entries": {key: entry.model_dump(mode="json") for key, entry in self.entries.items()},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the space that :meth:`to_json` wrote."""
        return cls(values["name"], _FILE.validate_python(values["entries"]))

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the distributions that Optuna samples from, by dotted key."""
        return {key: entry.distribution() for key, entry in self.entries.items()}

    def overrides(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of the parameters that Optuna chose, by dotted key."""
        return {
            key: entry.value(chosen[key]) if isinstance(entry, Choices) else chosen[key]
            for key, entry in self.entries.items()
        }

    def grid(self, seed: int) -> list[dict[str, Any]]:
        """Return all combinations of the entries' grids, in a seeded order."""
        points = [
            dict(zip(self.entries, values, strict=True))
            for values in itertools.product(*(entry.grid() for entry in self.entries.values()))
        ]
        random.Random(seed).shuffle(points)
        return points

    def point(self, config: Config) -> dict[str, Any] | None:
        """Return the configuration's own values as parameters; None if the space excludes them."""
        values, params = flatten(config), dict[str, Any]()
        for key, entry in self.entries.items():
            if not isinstance(entry, Choices):
                params[key] = values[key]
                continue
            matches = [
                choice
                for choice in entry.choices
                if _as_set(config, key, entry.value(choice)) == values[key]
            ]
            if not matches:
                return None
            params[key] = matches[0]
        try:
            create_trial(
                state=TrialState.WAITING, params=params, distributions=self.distributions()
            )
        except ValueError:  # a number outside its range
            return None
        return params


def _as_set(config: Config, key: str, value: Any) -> Any:
    """Return a value as the configuration parses it; YAML reads 1e-4 as text, for example."""
    return flatten(override(config, {key: value}))[key]


def space_names() -> list[str]:
    """Return the names of the search spaces that ship with the package."""
    return sorted(path.stem for path in SPACES.glob("*.yaml"))


def read_space(name: str, config: Config) -> Space:
    """Read a shipped search space or a YAML file, and validate its values against a configuration.

    Raises:
        ConfigError: there is no such space; a key is no setting of a training, or has no effect
            with this configuration; or a value is invalid.
    """
    path = find_path(str(SPACES / f"{name}.yaml")) or find_path(name)
    if path is None or not path.is_file():
        raise ConfigError(
            f"sweep.space {name!r} is neither one of {', '.join(space_names())} nor a YAML file"
        )
    file = read_yaml(path, "search space", f"write it as {SPACES / 'lora.yaml'} is written")
    if not file.value or not isinstance(file.value, dict):
        held = "no setting" if not file.value else f"a {type(file.value).__name__}, not settings"
        raise ConfigError(f"{file.name}: holds {held}: write for example {_EXAMPLE}")
    for key, value in file.value.items():
        _check_shape(file, key, value)
    try:
        entries = _FILE.validate_python(file.value)
    except ValidationError as error:
        raise ConfigError("; ".join(_explanations(error, file))) from error
    for key, entry in entries.items():
        _check_entry(file, key, entry, entries, config)
    return Space(path.stem, entries)


def _are_plain(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, Scalar) for value in values)


def _check_shape(file: YamlFile, key: str, value: Any) -> None:
    """Check what the types of the entries would refuse in words of their own."""
    prefixes = tuple(f"{section}." for section in SECTIONS)
    settings = [setting for setting in SETTINGS if setting.startswith(prefixes)]
    if key not in settings:
        raise file.error(
            f"{key!r} is no setting of a training: give one of {', '.join(settings)}", key
        )
    if not isinstance(value, dict) or "type" not in value:
        raise file.error(f"{key} has no type: write for example {_EXAMPLE}", key)
    choices = value.get("choices", {})
    if not isinstance(choices, dict) and not _are_plain(choices):
        raise file.error(
            f"{key}: choices {shorten(repr(choices))} is not a list of plain values: write "
            "[a, b], or {name: value} if values are lists",
            *(key, "choices"),
        )


def _check_entry(
    file: YamlFile, key: str, entry: Entry, entries: Mapping[str, Entry], config: Config
) -> None:
    for prefix, (setting, needed) in NEEDS.items():
        if not key.startswith(prefix) or setting in entries:
            continue
        value = flatten(config)[setting]
        has_teachers = setting == "distill.teachers" and value
        if value != needed and not has_teachers:
            raise file.error(
                f"{key} has no effect with {setting}={value}: set {setting} to {needed}, or remove "
                "the key",
                key,
            )
    known: list[Any] = []
    for value in entry.ends():
        try:
            parsed = _as_set(
                config, key, entry.value(value) if isinstance(entry, Choices) else value
            )
        except ConfigError as error:
            raise file.error(
                f"{key} cannot be {value!r} ({error}): change it there", key
            ) from error
        if parsed in known:
            raise file.error(f"{key}: {value!r} is {parsed!r} a second time: remove one", key)
        known.append(parsed)


def _check_range(low: float, high: float, log: bool, stepped: bool) -> None:
    if low >= high:
        raise ValueError(f"low={low} must be below high={high}")
    if log and low <= 0:
        raise ValueError(f"low={low} must be above 0 with log")
    if log and stepped:
        raise ValueError("log and step exclude each other: leave one")


def _explanations(error: ValidationError, file: YamlFile) -> Iterable[str]:
    for problem in error.errors():
        key = str(problem["loc"][0])
        location = ".".join([key, *map(str, problem["loc"][2:])])  # the second is the type
        place = f"{file.name}:{file.typed[key,].line}: {location}"
        message = problem["msg"].removeprefix("Value error, ")
        yield (
            f"{place}: {message}"
            if problem["type"] == "value_error"
            else f"{place}: {message}, not {shorten(repr(problem['input']), SHOWN)}"
        )
