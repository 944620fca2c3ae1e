"""Runs are found by step, tags, cache key and status, in a defined order."""

from contextlib import suppress
from pathlib import Path

import mlflow
import pytest

from ner_mlflow.errors import TrackingError
from ner_mlflow.tracking.lifecycle import open_child, open_run
from ner_mlflow.tracking.queries import (
    NO_RUN,
    download,
    finished_runs,
    interrupted_runs,
    latest_run,
    read_run,
    reusable_run,
    run_status,
    runs_with_tags,
    store_address,
)
from ner_mlflow.tracking.steps import Step


def finish(step: Step, name: str, **tags: str) -> str:
    """Make a finished run and return its id."""
    with open_run(step, name) as run:
        run.set_tags(tags)
    return run.id


def interrupt(step: Step, name: str, **tags: str) -> str:
    """Make a run that Ctrl-C ends and return its id."""
    with suppress(KeyboardInterrupt), open_run(step, name) as run:
        run.set_tags(tags)
        raise KeyboardInterrupt
    return run.id


def test_a_summary_holds_the_tags_of_this_package_without_their_prefix(store: str) -> None:
    with open_run(Step.MAIN, "parent") as parent, open_child(parent, Step.TRAIN, "child") as child:
        child.set_tags({"colour": "red"})
        child.log_metrics({"f1": 0.5})
    summary = read_run(child.id)
    assert (summary.name, summary.status, summary.step) == ("child", "FINISHED", "train")
    assert summary.parent == parent.id
    assert summary.tags["colour"] == "red"
    assert not any(name.startswith(("ner.", "mlflow.")) for name in summary.tags)
    assert summary.metrics["f1"] == 0.5
    assert read_run(parent.id).parent == ""


def test_a_run_of_another_program_has_no_step(store: str) -> None:
    run_id = mlflow.MlflowClient().create_run("0").info.run_id
    assert read_run(run_id).step == ""


def test_the_status_of_a_run_that_does_not_exist_is_missing(store: str) -> None:
    assert run_status(finish(Step.DATA, "data")) == "FINISHED"
    assert run_status("0" * 32) == NO_RUN


def test_the_latest_finished_run_of_a_step_is_found(store: str) -> None:
    assert latest_run(Step.TRAIN, "0") is None
    first = finish(Step.TRAIN, "train", preset="a")
    second = finish(Step.TRAIN, "train", preset="b")
    finish(Step.DATA, "data")
    interrupt(Step.TRAIN, "train", preset="b")
    assert latest_run(Step.TRAIN, "0") == second
    assert latest_run(Step.TRAIN, "0", preset="a") == first


def test_the_first_finished_run_with_a_cache_key_is_reused(store: str) -> None:
    interrupt(Step.TRAIN, "train", cache_key="k")
    first = finish(Step.TRAIN, "train", cache_key="k")
    finish(Step.TRAIN, "train", cache_key="k")
    finish(Step.EVALUATE, "evaluate", cache_key="other")
    assert reusable_run(Step.TRAIN, "k", "0") == first
    assert reusable_run(Step.EVALUATE, "k", "0") is None
    elsewhere = mlflow.create_experiment("elsewhere")
    assert reusable_run(Step.TRAIN, "k", elsewhere) is None


def test_interrupted_runs_are_listed_from_the_last(store: str) -> None:
    first = interrupt(Step.TRAIN, "train", cache_key="k")
    second = interrupt(Step.TRAIN, "train", cache_key="other")
    finish(Step.TRAIN, "train", cache_key="k")
    assert interrupted_runs(Step.TRAIN) == [second, first]
    assert interrupted_runs(Step.TRAIN, cache_key="k", experiment_id="0") == [first]
    assert interrupted_runs(Step.DATA) == []


def test_finished_runs_may_be_named(store: str) -> None:
    first, second = finish(Step.TRAIN, "train"), finish(Step.TRAIN, "train")
    killed, data = interrupt(Step.TRAIN, "train"), finish(Step.DATA, "data")
    assert [run.id for run in finished_runs(Step.TRAIN, "0")] == [second, first]
    assert [run.id for run in finished_runs(Step.TRAIN, "0", [first, second])] == [first, second]
    with pytest.raises(TrackingError, match=f"run {data} is a FINISHED data run: give the id of a"):
        finished_runs(Step.TRAIN, "0", [data])
    with pytest.raises(TrackingError, match=f"run {killed} is a KILLED train run"):
        finished_runs(Step.TRAIN, "0", [killed])


def test_runs_have_all_the_tags_that_are_given(store: str) -> None:
    run_id = finish(Step.TRIAL, "trial", study="a", trial_number="1")
    finish(Step.TRIAL, "trial", study="b", trial_number="1")
    tags = {"study": "a", "trial_number": 1}
    assert [run.id for run in runs_with_tags("0", tags)] == [run_id]


def test_an_artifact_is_downloaded_and_a_missing_one_is_named(store: str, tmp_path: Path) -> None:
    with open_run(Step.DATA, "data") as run:
        run.log_text("note.txt", "a note")
    assert download(f"runs:/{run.id}/note.txt").read_text() == "a note"
    with pytest.raises(TrackingError, match=r"runs:/.*/none\.txt: no such artifact .*check the"):
        download(f"runs:/{run.id}/none.txt")


def test_the_address_of_the_store_hides_its_password(store: str) -> None:
    assert store_address() == store
    mlflow.set_tracking_uri("postgresql://me:hunter2@host/db")
    assert store_address() == "postgresql://me:***@host/db"
