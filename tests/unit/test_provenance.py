"""Fingerprints of steps, cache keys, and the provenance of a result."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ner_mlflow import provenance, source_code
from ner_mlflow.provenance import (
    cache_key,
    file_sha256,
    folder_sizes,
    git_commit,
    step_fingerprint,
)
from ner_mlflow.source_code import PACKAGE

Fingerprint = Callable[[str], str]


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package that tests can edit."""
    folder = tmp_path / "ner_mlflow"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(source_code, "PACKAGE", folder)
    monkeypatch.setattr(provenance, "PACKAGE", folder)
    return folder


@pytest.fixture
def fingerprint(copy: Path) -> Fingerprint:
    """The fingerprint of a step in the copy as it is now."""

    def compute(step: str) -> str:
        step_fingerprint.cache_clear()
        source_code._references.cache_clear()
        return step_fingerprint(str(copy / "workflows" / f"{step}.py"))

    return compute


def append(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("\n# edited\n")


@pytest.mark.parametrize(
    ("step", "edited"),
    [
        ("robustness", "workflows/robustness.py"),
        ("robustness", "evaluation/robustness.py"),
        ("robustness", "evaluation/counts.py"),
        ("robustness", "evaluation/perturbations.yaml"),
        ("robustness", "tagging/decoding.py"),
        ("export", "tracking/flavors.py"),
    ],
)
def test_a_step_depends_on_its_module_the_core_and_the_tables_that_it_reads(
    step: str, edited: str, copy: Path, fingerprint: Fingerprint
) -> None:
    before = fingerprint(step)
    append(copy / edited)
    assert fingerprint(step) != before


@pytest.mark.parametrize(
    "edited",
    [
        "tracking/registry.py",
        "workflows/train.py",
        "cli/robustness.py",
        "config/schema.py",
        "prompting/baseline.py",
        "prompting/prompts.yaml",
        "templates/study.html",
    ],
)
def test_a_step_does_not_depend_on_tracking_commands_or_parts_that_it_does_not_use(
    edited: str, copy: Path, fingerprint: Fingerprint
) -> None:
    before = fingerprint("robustness")
    append(copy / edited)
    assert fingerprint("robustness") == before


def test_an_evaluation_depends_on_the_templates_of_its_pages(
    copy: Path, fingerprint: Fingerprint
) -> None:
    before = fingerprint("evaluate")
    append(copy / "templates" / "sentences.html")
    after = fingerprint("evaluate")
    assert after != before
    append(copy / "templates" / "base.html")
    assert fingerprint("evaluate") != after


def test_a_cache_key_depends_on_values_their_order_and_their_bounds() -> None:
    keys = {cache_key(parts) for parts in (["ab", "c"], ["a", "bc"], ["c", "ab"], ["ab", "c", ""])}
    assert len(keys) == 4
    assert cache_key(["ab", 1]) == cache_key(["ab", "1"])


def test_files_are_hashed_and_measured(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_bytes(b"abc")
    (tmp_path / "c.txt").write_bytes(b"")
    assert folder_sizes(tmp_path) == {"a/b.txt": 3, "c.txt": 0}
    assert file_sha256(tmp_path / "a" / "b.txt") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_the_commit_is_marked_when_tracked_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.strip()

    def commit() -> str:
        git_commit.cache_clear()
        return git_commit()

    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "package")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit() == "unknown"
    git("init", "-q")
    (tmp_path / "file").write_text("a", encoding="utf-8")
    git("add", "file")
    git("commit", "-qm", "first")
    head = git("rev-parse", "HEAD")
    assert commit() == head
    (tmp_path / "untracked").write_text("b", encoding="utf-8")
    assert commit() == head
    (tmp_path / "file").write_text("c", encoding="utf-8")
    assert commit() == f"{head}-dirty"
    git_commit.cache_clear()


def test_peak_memory_counts_this_process_and_not_its_parent() -> None:
    megabyte = 1024 * 1024
    ballast = b"x" * (300 * megabyte)
    code = (
        "from ner_mlflow.provenance import peak_rss_bytes as peak\n"
        "before = peak()\n"
        f"block = b'x' * {100 * megabyte}\n"
        "del block\n"
        "print(before, peak())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert 0 < before < len(ballast)
    assert after >= before + 90 * megabyte


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other files of drivers")
def test_a_machine_without_the_driver_of_a_gpu_is_described_without_pytorch(
    tmp_path: Path,
) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from ner_mlflow import provenance\n"
        f"provenance.DEVICES = Path({str(tmp_path)!r})\n"
        "print(provenance.provenance()['hardware']['accelerator'], 'torch' in sys.modules)\n"
        "(provenance.DEVICES / 'nvidia0').touch()\n"
        "provenance.hardware.cache_clear()\n"
        "provenance.hardware()\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert done.stdout.split() == ["none", "False", "True"]
