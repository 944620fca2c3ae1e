"""A process is alive as long as it holds its lock, however it ends."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ner_mlflow import liveness
from ner_mlflow.liveness import dead_names, forget_old, is_dead, is_known, liveness_name
from ner_mlflow.paths import CACHE_VARIABLE

CODE = """
import sys
from ner_mlflow.liveness import liveness_name
print(liveness_name(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


def name_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_process_is_alive_to_itself_under_one_name() -> None:
    assert liveness_name() == liveness_name()
    assert not is_dead(liveness_name())


def test_a_killed_process_is_dead(process: subprocess.Popen[str]) -> None:
    name = name_of(process)
    assert name != liveness_name()
    assert not is_dead(name)
    process.kill()
    process.wait()
    assert is_dead(name)
    assert is_dead(name)  # the check leaves no lock behind
    assert dead_names() == {name}


def test_killed_processes_are_known_for_a_month(
    process: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = name_of(process)
    with monkeypatch.context() as later:
        later.setattr(liveness, "KEPT_S", -1)
        forget_old()
        assert is_known(name)  # it lives
    process.kill()
    process.wait()
    forget_old()
    assert is_known(name)
    monkeypatch.setattr(liveness, "KEPT_S", -1)
    forget_old()
    assert not is_known(name)


def test_a_process_that_ends_by_itself_removes_its_file(
    process: subprocess.Popen[str], cache: Path
) -> None:
    name = name_of(process)
    assert list(cache.rglob(f"{name}.lock"))
    process.communicate("")
    assert not list(cache.rglob(f"{name}.lock"))


def test_a_process_without_a_file_here_may_run_on_another_machine() -> None:
    assert not is_dead("elsewhere")
