"""One set of pins, written in four files."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if "==" in line]


def test_requirements_are_the_pins_of_pyproject() -> None:
    assert (
        pins((ROOT / "requirements.txt").read_text(encoding="utf-8")) == PYPROJECT["dependencies"]
    )


def test_development_requirements_are_the_pins_of_the_extra_dev() -> None:
    assert (
        pins((ROOT / "requirements-dev.txt").read_text(encoding="utf-8"))
        == PYPROJECT["optional-dependencies"]["dev"]
    )


def test_conda_builds_the_same_pins() -> None:
    environment = yaml.safe_load((ROOT / "conda.yaml").read_text(encoding="utf-8"))
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip == PYPROJECT["dependencies"]


def test_every_dependency_is_pinned_to_one_version() -> None:
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in PYPROJECT["dependencies"])


def test_pre_commit_runs_the_pinned_ruff_and_mypy() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {hook["language"] for repository in hooks["repos"] for hook in repository["hooks"]} == {
        "system"
    }
