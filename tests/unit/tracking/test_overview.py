"""What people are shown of a store is found by narrow searches, and a dead store is one line."""

import os
from dataclasses import replace

import mlflow
import pandas as pd
import pytest

from ner_mlflow.errors import TrackingError
from ner_mlflow.redaction import HIDDEN
from ner_mlflow.tracking import overview
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.overview import (
    find_run,
    find_runs,
    logged_frame,
    logged_table,
    logged_values,
    model_versions,
    promotions_of,
    registered_models,
)
from ner_mlflow.tracking.records import PromoteRecord, VersionOrigin
from ner_mlflow.tracking.registry import RegisteredVersion, move_alias
from ner_mlflow.tracking.steps import Step


def make_run(step: Step, name: str, **tags: str) -> str:
    with open_run(step, name) as run:
        run.set_tags(tags)
    return run.id


def names(step: Step, **tags: str) -> list[str]:
    return [run.name for run in find_runs(step, tags).runs]


def test_runs_are_found_by_step_and_tags_in_every_experiment(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(Step.EVALUATE, "first", model="models:/m-1")
    make_run(Step.TRAIN, "other step", model="models:/m-1")
    mlflow.create_experiment("another")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "another")
    make_run(Step.EVALUATE, "second", model="models:/m-2")
    assert names(Step.EVALUATE) == ["second", "first"]
    assert names(Step.EVALUATE, model="models:/m-1") == ["first"]
    assert names(Step.EVALUATE, model="models:/%") == ["second", "first"]
    assert names(Step.EVALUATE, model="models:/m-'1") == []
    assert names(Step.EVALUATE, model='models:/m-"1') == []


def test_a_page_of_runs_has_a_limit_and_leads_to_the_next(store: str) -> None:
    for number in range(3):
        make_run(Step.EVALUATE, str(number))
    page = find_runs(Step.EVALUATE, limit=2)
    assert [run.name for run in page.runs] == ["2", "1"]
    rest = find_runs(Step.EVALUATE, limit=2, token=page.next_token)
    assert [run.name for run in rest.runs] == ["0"]
    assert rest.next_token == ""


def test_runs_that_failed_are_found_only_if_wanted(store: str) -> None:
    with pytest.raises(ZeroDivisionError), open_run(Step.PROMOTE, "crashed"):
        raise ZeroDivisionError
    assert find_runs(Step.PROMOTE).runs == ()
    assert [run.status for run in find_runs(Step.PROMOTE, finished=False).runs] == ["FAILED"]


def test_what_a_run_logged_is_read_back_and_what_it_did_not_is_none(store: str) -> None:
    table = pd.DataFrame({"kind": ["typos"], "f1": [0.5]})
    with open_run(Step.ROBUSTNESS, "robustness") as run:
        run.log_table("robustness", table)
        run.log_frame("predictions", table)
        run.log_yaml("config", {"evaluate": {"split": "test"}})
    found = logged_table(run.id, "robustness")
    assert found is not None
    assert found.to_dict("records") == [{"kind": "typos", "f1": 0.5}]
    assert logged_frame(run.id, "predictions") is not None
    assert logged_values(run.id, "config") == {"evaluate": {"split": "test"}}
    assert logged_table(run.id, "nothing") is None
    assert logged_frame(run.id, "nothing") is None
    assert logged_values(run.id, "nothing") == {}
    assert find_run("0" * 32) is None


def test_a_model_has_its_aliases_their_history_and_its_versions(store: str) -> None:
    client = mlflow.MlflowClient()
    client.create_registered_model("it's ner")
    run_id = make_run(Step.EXPORT, "export")
    origin = VersionOrigin(variant="int8", export_run=run_id)
    for _ in range(2):
        client.create_model_version("it's ner", f"runs:/{run_id}/model", tags=origin.tags())
    version = RegisteredVersion("it's ner", "1", "", {})
    move_alias("champion", version, None, {"promotion_reason": "the first"}, "a note", 5)
    move_alias("champion", replace(version, version="2"), version, {}, "another", 5)
    (model,) = registered_models()
    assert (model.name, model.aliases) == ("it's ner", {"champion": "2"})
    assert model.histories == {"champion": ("1", "2")}
    latest, first = model_versions("it's ner")
    assert (latest.version, first.version, first.address) == ("2", "1", "models:/it's ner/1")
    assert first.origin == origin
    assert first.tags["promotion_reason"] == "the first"
    assert first.description == "a note"


def test_promotions_are_those_of_one_model(store: str) -> None:
    for name in ("it-ner", "it_ner", "it-ner-2"):
        with open_run(Step.PROMOTE, name) as run:
            PromoteRecord(
                run_id=run.id, candidate=f"models:/{name}/1", champion="none", alias="champion"
            ).write(run)
    assert [run.name for run in promotions_of("it_ner")] == ["it_ner"]


@pytest.mark.parametrize(
    "read",
    [
        overview.check_store,
        registered_models,
        lambda: model_versions("it-ner"),
        lambda: find_runs(Step.TRAIN),
        lambda: find_run("0" * 32),
        lambda: logged_table("0" * 32, "scores"),
    ],
)
def test_a_server_that_is_gone_is_one_line_without_its_password(
    store: str, monkeypatch: pytest.MonkeyPatch, read: object
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri("http://me:geheim123@127.0.0.1:9")
    mlflow.set_registry_uri(None)
    with pytest.raises(TrackingError) as raised:
        read()  # type: ignore[operator]
    message = str(raised.value)
    assert message.startswith(f"tracking server http://me:{HIDDEN}@127.0.0.1:9 does not answer")
    assert message.endswith("check that it runs, then try again")
    assert "geheim123" not in message
    assert "\n" not in message


def test_variables_that_the_user_set_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in overview.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    overview.set_up_reading()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
