"""One process at a time sweeps a study; a killed one frees it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from studies import spec_of, wait_until

from ner_mlflow.errors import TrackingError
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.sweeping.study_lock import lock_study

HOLD = """
import sys
from ner_mlflow.config.loading import load_config
from ner_mlflow.sweeping.study_lock import lock_study
with lock_study("study", load_config("minilm_lora", {"sweep.storage": sys.argv[1]}).sweep):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time_sweeps_a_study_on_this_machine(cache: Path) -> None:
    check_lock("sqlite", cache)


def test_one_process_at_a_time_sweeps_a_study_on_machines_that_share_a_database(
    postgresql: str, tmp_path: Path
) -> None:
    check_lock(postgresql, tmp_path / "elsewhere")


def check_lock(storage: str, cache_of_holder: Path) -> None:
    config = spec_of(storage=storage).config
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, storage],
        cwd=ROOT,
        env={**os.environ, CACHE_VARIABLE: str(cache_of_holder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(TrackingError, match="another process sweeps it: help it with join=study"):
        lock_study("study", config).__enter__()
    with lock_study("another", config):
        pass
    holder.kill()
    holder.communicate()

    def free() -> bool:
        try:
            with lock_study("study", config):
                return True
        except TrackingError:
            return False

    wait_until(free)  # a server takes a moment to notice that a client is dead


def test_a_study_is_free_again_after_an_error() -> None:
    config = spec_of().config
    with pytest.raises(RuntimeError), lock_study("study", config):
        raise RuntimeError
    with lock_study("study", config):
        pass


def test_a_database_that_does_not_answer_is_named() -> None:
    config = spec_of(storage="postgresql://me:secret@127.0.0.1:1/none").config
    with pytest.raises(TrackingError, match=r"me:\*\*\*@127.0.0.1:1/none cannot be used"):
        lock_study("study", config).__enter__()
