"""The environment of torchrun gives the rank and the number of processes."""

import pytest

from ner_mlflow.modeling.processes import rank, world_size


def test_a_process_that_torchrun_started_has_a_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert (rank(), world_size()) == (1, 2)


def test_a_process_alone_is_the_first_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert (rank(), world_size()) == (0, 1)
