"""Registration in a real registry: one version, one note and one history, through kills and races.

The registry is SQLite, alone and behind `mlflow server`.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import mlflow
import pytest
from conftest import StoreMaker, run_tracking_server, user_environment
from crashes import register_and_promote, roll_back, start
from killing_proxy import KillingProxy, killing_proxy
from mlflow.entities.model_registry import ModelVersion

from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.tracking.registry import settle
from ner_mlflow.tracking.registry_notes import split_notes

REGISTRY = ("/registered-models/", "/model-versions/", "/logged-models/")
PROCESSES = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registration")


@pytest.fixture(scope="module")
def sqlite(make_store: StoreMaker, folder: Path) -> str:
    os.environ[CACHE_VARIABLE] = str(folder / "cache")
    return make_store(folder)


@pytest.fixture(scope="module")
def proxy(sqlite: str, folder: Path) -> Iterator[KillingProxy]:
    """A proxy before an `mlflow server`."""
    with (
        run_tracking_server(sqlite, folder) as server,
        killing_proxy(server, *REGISTRY) as proxy,
    ):
        yield proxy


def environment(store: str) -> Mapping[str, str]:
    return user_environment(store, **{CACHE_VARIABLE: os.environ[CACHE_VARIABLE]})


def log_model(name: str) -> str:
    """Return the address of a new logged model, which has no files: none are read here."""
    client = mlflow.MlflowClient()
    model = client.create_logged_model("0", name)
    client.finalize_logged_model(model.model_id, "READY")
    return f"models:/{model.model_id}"


def versions_of(name: str) -> list[ModelVersion]:
    found: list[ModelVersion] = mlflow.MlflowClient().search_model_versions(f"name = '{name}'")
    return sorted(found, key=lambda version: int(version.version))


def assert_registered_once(name: str, second: str) -> None:
    """Check that version 2 of a model is the only one of its source, and became the champion."""
    client = mlflow.MlflowClient()
    model = client.get_registered_model(name)
    assert {alias: str(number) for alias, number in model.aliases.items()} == {
        "candidate": "2",
        "champion": "2",
    }
    assert model.tags == {"ner.history.champion": "1,2"}
    _, version = versions_of(name)
    assert version.source == second
    text, notes = split_notes(version.description)
    assert text == f"card of models:/{name}/2"
    assert [note.partition(": ")[2] for note in notes] == ["champion, promoted: better."]
    assert version.tags["preset"] == "p"
    assert version.tags["promotion_reason"] == "better"
    links = client.get_logged_model(second.removeprefix("models:/")).tags["mlflow.modelVersions"]
    assert [(link["name"], str(link["version"])) for link in json.loads(links)] == [(name, "2")]


@pytest.mark.slow
def test_a_registration_that_is_killed_after_any_request_is_completed_by_the_next(
    proxy: KillingProxy, sqlite: str, folder: Path
) -> None:
    env, number, survived = environment(proxy.address), 0, False
    while not survived:
        number += 1
        name, log = f"killed-{number}", folder / "process.log"
        mlflow.set_tracking_uri(sqlite)
        register_and_promote(name, log_model("first"))
        second = log_model("second")
        proxy.aim(number, after=True)
        process = start(register_and_promote, name, second, env=env, log=log)
        proxy.pid = process.pid or 0
        process.join(60)
        survived = process.exitcode == 0
        assert survived or process.exitcode == -9, log.read_text()
        register_and_promote(name, second)
        assert_registered_once(name, second)
    assert number > 12, proxy.requests  # it was killed after each of so many changes


@pytest.mark.slow
def test_a_rollback_that_is_killed_after_any_request_is_completed_by_the_next(
    proxy: KillingProxy, sqlite: str, folder: Path
) -> None:
    env, number, survived = environment(proxy.address), 0, False
    while not survived:
        number += 1
        name, log = f"returned-{number}", folder / "process.log"
        mlflow.set_tracking_uri(sqlite)
        for model in ("first", "second"):
            register_and_promote(name, log_model(model))
        proxy.aim(number, after=True)
        process = start(roll_back, name, env=env, log=log)
        proxy.pid = process.pid or 0
        process.join(60)
        survived = process.exitcode == 0
        assert survived or process.exitcode == -9, log.read_text()
        roll_back(name)
        model = mlflow.MlflowClient().get_registered_model(name)
        assert str(model.aliases["champion"]) == "1"
        assert model.tags == {"ner.history.champion": "1"}
        first, second = versions_of(name)
        assert (first.tags["restored"], second.tags["rolled_back"]) == ("yes", "yes")
        assert first.description.count("champion again.") == 1
    assert number > 6, proxy.requests


@pytest.mark.parametrize("through", ["sqlite", "server"])
def test_one_model_that_several_processes_register_has_one_version(
    through: str, proxy: KillingProxy, sqlite: str, folder: Path
) -> None:
    name = f"raced-{through}"
    mlflow.set_tracking_uri(sqlite)
    register_and_promote(name, log_model("first"))
    second = log_model("second")
    env = environment(proxy.address if through == "server" else sqlite)
    logs = [folder / f"{through}-{number}.log" for number in range(PROCESSES)]
    processes = [start(register_and_promote, name, second, env=env, log=log) for log in logs]
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * PROCESSES, [
        log.read_text() for log in logs
    ]
    assert_registered_once(name, second)


def test_processes_that_register_different_models_get_a_version_each(
    sqlite: str, folder: Path
) -> None:
    mlflow.set_tracking_uri(sqlite)
    sources = [log_model(f"model {number}") for number in range(PROCESSES)]
    logs = [folder / f"different-{number}.log" for number in range(PROCESSES)]
    env = environment(sqlite)
    processes = [
        start(register_and_promote, "different", source, env=env, log=log)
        for source, log in zip(sources, logs, strict=True)
    ]
    for process in processes:
        process.join(120)
    settle("different", 5)
    versions = versions_of("different")
    assert sorted(version.source for version in versions) == sorted(sources)
    assert all(split_notes(version.description)[0] for version in versions)
    model = mlflow.MlflowClient().get_registered_model("different")
    history = model.tags["ner.history.champion"].split(",")
    assert str(model.aliases["champion"]) == history[-1]
    assert len(set(history)) == len(history)
    assert list(model.tags) == ["ner.history.champion"]
