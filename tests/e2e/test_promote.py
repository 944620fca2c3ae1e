"""Promotion and rollback in a real registry: there is one champion, with a recorded reason."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from conftest import entry_point, free_port, mlflow_run, runs
from mlflow.exceptions import MlflowException

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import Config
from ner_mlflow.errors import TrackingError
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.registry import (
    MOVE_TAG,
    RegisteredVersion,
    alias_holder,
    check_not_promoted_alias,
    find_version,
    move_alias,
)
from ner_mlflow.tracking.registry_lock import LOCK_TAG
from ner_mlflow.workflows.promote import Promotion, run_promote, run_rollback, try_promote

NAME = "it-ner"


@pytest.fixture(scope="module")
def store(tiny_preset: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry in which version 1 (two epochs) is the champion and 2 (six) the candidate."""
    folder = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    main = entry_point(uri, "main", "--presets", str(tiny_preset), "--epochs", "2", cwd=folder)
    assert main.returncode == 0, main.stderr
    for step in ("train", "export"):
        done = entry_point(uri, step, "--preset", str(tiny_preset))
        assert done.returncode == 0, done.stderr
    mlflow.set_tracking_uri(uri)
    yield uri
    mlflow.set_tracking_uri(None)


@pytest.fixture(scope="module")
def config(tiny_preset: Path) -> Config:
    return load_config(str(tiny_preset), {"promote.latency_runs": 8, "promote.resamples": 1000})


def champion() -> RegisteredVersion:
    holder = alias_holder(NAME, "champion")
    assert holder
    return holder


def promote(config: Config, candidate: str, **options: bool | str) -> Promotion:
    with open_run("promote", "promote") as run:
        return run_promote(run, config, NAME, candidate, "champion", **options)  # type: ignore[arg-type]


def test_promotion_force_and_rollback_move_the_champion(store: str, config: Config) -> None:
    tried = entry_point(store, "promote", "--dry_run", "true")
    assert tried.returncode == 0, tried.stderr
    assert "nothing changed: models:/it-ner/2 would be promoted" in tried.stdout
    assert champion().version == "1"

    done = mlflow_run(store, "-e", "promote")
    assert done.returncode == 0, done.stderr
    assert "models:/it-ner/2 is it-ner@champion now" in done.stdout
    now = champion()
    assert now.version == "2"
    assert now.tags["promoted_from"] == "1"
    assert now.tags["promotion_reason"].startswith("F1 is ")
    run = mlflow.get_run(now.tags["promotion_run"])
    assert run.data.tags["ner.step"] == "promote"
    evaluations = [
        evaluation
        for evaluation in runs(store, "evaluate")
        if evaluation.data.tags["ner.split"] == "validation"
    ]
    assert len(evaluations) == 2  # the test split is for reported figures only
    first, second = (evaluation.data.metrics["validation/f1"] for evaluation in evaluations)
    assert abs(first - second) > 0.002
    assert now.tags["promoted_by"] == run.data.tags["mlflow.user"]
    description = mlflow.MlflowClient().get_model_version(NAME, "2").description
    assert "champion after version 1, promoted by" in description

    refused = promote(config, "1")
    assert not refused.moved
    assert refused.reason.startswith("F1 is significantly lower on given words, 0.")
    assert champion().version == "2"
    with pytest.raises(TrackingError, match="is it-ner@champion already"):
        promote(config, "champion")

    assert promote(config, "1", force="the new one is slow on our machines").moved
    assert champion().version == "1"
    assert (
        champion()
        .tags["promotion_reason"]
        .startswith("forced (the new one is slow on our machines), although F1 is ")
    )

    dry = entry_point(store, "promote", "--rollback", "it was not", "--dry_run", "true")
    assert dry.returncode == 0, dry.stderr
    assert "nothing changed: it-ner@champion would be version 2 again" in dry.stdout
    assert champion().version == "1"
    done = mlflow_run(store, "-e", "promote", "-P", "rollback=it was not")
    assert done.returncode == 0, done.stderr
    assert "it-ner@champion is version 2 again, no longer 1" in done.stdout
    assert champion().version == "2"
    assert find_version(NAME, "1").tags["rolled_back_reason"] == "it was not"

    # Version 1 was the champion before version 2, and there was none before version 1.
    assert roll_back(config).version == "1"
    with pytest.raises(TrackingError, match="no champion before this one is known"):
        roll_back(config)


def roll_back(config: Config) -> RegisteredVersion:
    with open_run("promote", "rollback") as run:
        run_rollback(run, config, NAME, "champion", "once more")
    return champion()


def test_a_rollback_ignores_the_history_of_another_alias(store: str, config: Config) -> None:
    client = mlflow.MlflowClient()
    client.set_registered_model_alias(NAME, "champion", "1")
    promote(config, "2", force="try it")
    client.set_registered_model_alias(NAME, "staging", "2")
    with open_run("promote", "staging") as run:
        run_promote(run, config, NAME, "1", "staging", force="that of before")
    assert roll_back(config).version == "1"


def test_a_rollback_skips_a_deleted_version(store: str, config: Config) -> None:
    client = mlflow.MlflowClient()
    client.set_registered_model_alias(NAME, "passed", "1")
    deleted = client.create_model_version(NAME, find_version(NAME, "1").source)
    for version in (deleted.version, "2"):
        with open_run("promote", "passed") as run:
            run_promote(run, config, NAME, str(version), "passed", force="in turn")
    client.delete_model_version(NAME, deleted.version)
    with open_run("promote", "rollback") as run:
        run_rollback(run, config, NAME, "passed", "once more")
    holder = alias_holder(NAME, "passed")
    assert holder
    assert holder.version == "1"
    with (
        open_run("promote", "rollback") as run,
        pytest.raises(TrackingError, match="no champion before this one is known"),
    ):
        run_rollback(run, config, NAME, "passed", "and once more")


def test_a_registry_that_fails_is_not_taken_for_an_empty_one(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri(f"http://127.0.0.1:{free_port()}")
    try:
        with pytest.raises(MlflowException, match=r"exceeded|refused|Max retries"):
            check_not_promoted_alias(NAME, "champion")
        with pytest.raises(MlflowException, match=r"exceeded|refused|Max retries"):
            find_version(NAME, "3")
    finally:
        mlflow.set_tracking_uri(store)


def test_only_promote_moves_an_alias_that_was_promoted_before(
    store: str, tiny_preset: Path, config: Config
) -> None:
    mlflow.MlflowClient().set_registered_model_alias(NAME, "champion", "1")
    promote(config, "2", force="so that it has a history")
    done = entry_point(store, "export", "--preset", str(tiny_preset), "--alias", "champion")
    assert done.returncode == 1
    assert (
        done.stderr.strip().splitlines()[-1].startswith("error: only promote moves it-ner@champion")
    )
    assert champion().version == "2"


def test_a_promotion_is_refused_after_another_one_moved_the_alias(
    store: str, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow.MlflowClient().set_registered_model_alias(NAME, "champion", "1")

    def meanwhile(*arguments: Any, **more: Any) -> None:
        mlflow.MlflowClient().set_registered_model_alias(NAME, "champion", copy.version)
        move_alias(*arguments, **more)

    copy = mlflow.MlflowClient().create_model_version(NAME, find_version(NAME, "1").source)
    monkeypatch.setattr("ner_mlflow.workflows.promote.move_alias", meanwhile)
    try:
        with open_run("promote", "promote") as run:
            moved, refused = try_promote(run, config, NAME, "2", "champion")
    finally:
        mlflow.MlflowClient().set_registered_model_alias(NAME, "champion", "1")
        mlflow.MlflowClient().delete_model_version(NAME, copy.version)
    assert "was moved by another process: version 1 had it when version 2 was compared" in refused
    assert not moved
    assert mlflow.get_run(run.id).data.tags["ner.outcome"] == "refused"


def test_main_does_not_give_the_alias_to_a_worse_model(store: str, tiny_preset: Path) -> None:
    mlflow.MlflowClient().set_registered_model_alias(NAME, "champion", "2")
    again = entry_point(store, "main", "--presets", str(tiny_preset), "--epochs", "2")
    assert again.returncode == 0, again.stderr
    assert (
        "It is registered as models:/it-ner/1 and is not the champion: refused: F1 is "
        "significantly lower on given words, 0." in again.stdout
    )
    assert champion().version == "2"
    refusal = "models:/it-ner/1 does not become it-ner@champion, refused: F1 is "
    alone = mlflow_run(store, "-e", "promote", "-P", "candidate=1")
    assert alone.returncode == 0, alone.stderr
    assert refusal in alone.stdout
    assert "to promote it all the same: force='the reason why'" in alone.stdout
    strict = entry_point(store, "promote", "--candidate", "1", "--fail_if_refused", "true")
    assert strict.returncode == 1
    assert f"error: {refusal}" in strict.stderr
    for run in runs(store, "promote")[-2:]:
        assert (run.info.status, run.data.tags["ner.outcome"]) == ("FINISHED", "refused")


def test_files_that_differ_from_the_proven_ones_are_not_promoted(
    store: str, config: Config
) -> None:
    mlflow.MlflowClient().set_registered_model_alias(NAME, "champion", "1")
    proven = find_version(NAME, "2").tags["export_run"]
    try:
        mlflow.MlflowClient().set_model_version_tag(
            NAME, "2", "export_run", find_version(NAME, "1").tags["export_run"]
        )
        refused = promote(config, "2")
        assert not refused.moved
        assert "the files of models:/it-ner/2 are not those that export run" in refused.reason
    finally:
        mlflow.MlflowClient().set_model_version_tag(NAME, "2", "export_run", proven)


def test_one_of_several_racing_promotions_wins_and_the_others_are_refused(store: str) -> None:
    client = mlflow.MlflowClient()
    source = find_version(NAME, "1").source
    versions = [
        find_version(NAME, str(client.create_model_version(NAME, source).version)) for _ in range(4)
    ]
    client.set_registered_model_alias(NAME, "raced", "1")
    held = alias_holder(NAME, "raced")
    start = threading.Barrier(len(versions))
    outcomes: dict[str, str] = {}

    def race(version: RegisteredVersion) -> None:
        start.wait()
        try:
            move_alias("raced", version, held, {"won": "yes"}, "won the race", timeout_s=60)
            outcomes[version.version] = "won"
        except TrackingError as error:
            outcomes[version.version] = str(error)

    threads = [threading.Thread(target=race, args=(version,)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [version for version, outcome in outcomes.items() if outcome == "won"]
    assert len(winners) == 1, outcomes
    assert len(outcomes) == len(versions)
    assert all(
        "was moved by another process" in outcome
        for outcome in outcomes.values()
        if outcome != "won"
    )
    holder = alias_holder(NAME, "raced")
    assert holder
    assert holder.version == winners[0]
    assert [
        version.version
        for version in versions
        if find_version(NAME, version.version).tags.get("won")
    ] == winners
    assert not [
        key
        for key in client.get_registered_model(NAME).tags
        if key.startswith((LOCK_TAG, MOVE_TAG))
    ]


def test_a_version_that_does_not_exist_is_named(store: str) -> None:
    with pytest.raises(TrackingError, match="no version '99' of registered model 'it-ner'"):
        find_version(NAME, "99")
    done = entry_point(store, "promote", "--registered_model", "unknown")
    assert done.returncode == 1
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith("error: no version 'candidate' of registered model 'unknown'")
    )
    with pytest.raises(TrackingError, match="there is no registered model 'unknown'"):
        alias_holder("unknown", "champion")
