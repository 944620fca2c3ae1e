"""A process is alive as long as it holds its lock, however it ends."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ner_mlflow.sweeping.liveness import is_dead, liveness_name

CODE = """
import sys
from ner_mlflow.sweeping.liveness import liveness_name
print(liveness_name(), flush=True)
sys.stdin.read()
"""


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


def test_a_process_that_ends_by_itself_removes_its_file(
    process: subprocess.Popen[str], cache: Path
) -> None:
    name = name_of(process)
    assert list(cache.rglob(f"{name}.lock"))
    process.communicate("")
    assert not list(cache.rglob(f"{name}.lock"))


def test_a_process_without_a_file_here_may_run_on_another_machine() -> None:
    assert not is_dead("elsewhere")
