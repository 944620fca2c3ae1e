"""What is installed: with hashes, without known vulnerabilities, and listed with a release."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from scripts.lock import LOCKS, locked, normalised

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["requirements.lock", "deploy/requirements.lock"])
def test_pip_installs_a_lock_file_by_its_hashes(name: str, tmp_path: Path) -> None:
    """pip downloads and checks all packages, gigabytes of CUDA libraries among them."""
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"),
            *("--require-hashes", "--no-cache-dir", "--quiet", "--report", str(report)),
            *("-r", str(ROOT / name)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    chosen = json.loads(report.read_text(encoding="utf-8"))["install"]
    versions = locked((ROOT / name).read_text(encoding="utf-8"))
    assert len(chosen) > 50
    for package in chosen:
        metadata = package["metadata"]
        assert metadata["version"] in versions[normalised(metadata["name"])]
        assert "sha256" in package["download_info"]["archive_info"]["hashes"]


def test_a_changed_hash_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"click==8.5.1 --hash=sha256:{'0' * 64}\n", encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"),
            *("--require-hashes", "-r", str(lock)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr


@pytest.mark.parametrize("name", LOCKS)
def test_no_locked_package_has_a_known_vulnerability(name: str) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes"),
            *("--progress-spinner", "off", "--format", "json", "-r", str(ROOT / name)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout.startswith("{"):
        pytest.skip(f"the vulnerability service does not answer: {done.stderr[-200:]}")
    packages = json.loads(done.stdout)["dependencies"]
    skipped = {entry["name"]: entry["skip_reason"] for entry in packages if "skip_reason" in entry}
    if len(skipped) == len(packages):
        pytest.skip(f"the vulnerability service knows no package: {next(iter(skipped.values()))}")
    assert skipped == {}
    found = {
        f"{entry['name']} {entry['version']}": [hole["id"] for hole in entry["vulns"]]
        for entry in packages
        if entry["vulns"]
    }
    assert found == {}


def test_the_release_lists_all_packages_in_a_valid_sbom(tmp_path: Path) -> None:
    workflow = ROOT / ".github" / "workflows" / "release.yml"
    steps = yaml.safe_load(workflow.read_text("utf-8"))["jobs"]["release"]["steps"]
    script = next(step["run"] for step in steps if "cyclonedx-py" in step.get("run", ""))
    install, command = script.splitlines()
    pin = re.fullmatch(r"python -m pip install (cyclonedx-bom==[\d.]+)", install)
    assert pin
    assert pin[1] in (ROOT / "requirements-dev.txt").read_text("utf-8").splitlines()
    program, *words = shlex.split(command)
    assert program == "cyclonedx-py"
    file = words[words.index("--output-file") + 1]
    assert file.startswith("dist/")  # all of dist/ is attached to the release
    words[words.index(file)] = str(tmp_path / "sbom.json")
    done = subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "sbom.json").read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    listed = json.loads(text)
    assert listed["metadata"]["component"]["name"] == "ner-mlflow"
    versions = locked((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    components = {(entry["name"], entry["version"]) for entry in listed["components"]}
    assert components == {(name, version) for name, all_ in versions.items() for version in all_}
