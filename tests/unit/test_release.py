"""What a release needs: one version everywhere, and workflows that call what exists."""

import re
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from ner_mlflow.version import __version__
from scripts.check_release import SOURCES, differences

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = [
    path
    for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    if path.stem != "config"
]


def copy_sources(folder: Path, changelog: str) -> Path:
    for name in SOURCES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "CHANGELOG.md").write_text(changelog, encoding="utf-8")
    return folder


def test_the_citation_names_the_version_of_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert {"cff-version", "message", "title", "authors", "license"} <= citation.keys()


def test_a_tag_is_released_if_it_is_the_version_everywhere(tmp_path: Path) -> None:
    folder = copy_sources(tmp_path, f"## Unreleased\n\n## {__version__}\n")
    assert differences(f"v{__version__}", folder) == []


def test_another_tag_is_refused_with_the_files_that_differ(tmp_path: Path) -> None:
    folder = copy_sources(tmp_path, "## Unreleased\n")
    problems = differences(f"v{__version__}", folder)
    assert problems == [
        f"CHANGELOG.md has no version, the tag is v{__version__}: change one of them"
    ]
    assert len(differences("v9.9.9", folder)) == len(SOURCES)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_the_command_of_ci_and_names_no_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    assert any(step.get("run") == ".ci/run" for step in steps)
    assert re.findall(r"https?://[^$\s]+", text) == []
    assert all(
        re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in steps if "uses" in step
    )


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_a_form_asks_each_question_under_a_name_of_its_own(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    names = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(set(names)) == len(names) > 0
