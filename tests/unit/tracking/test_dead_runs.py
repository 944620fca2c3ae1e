"""The next command ends the runs of processes that were killed on this machine, and no others."""

from pathlib import Path

import mlflow
import pytest
from clocks import set_clock_back
from conftest import user_environment
from crashes import kill, open_runs_and_wait, start, wait_for

from ner_mlflow.errors import TrackingError
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.tracking.dead_runs import PROCESS_TAG, end_dead_run, end_dead_runs
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.queries import interrupted_runs, read_run
from ner_mlflow.tracking.steps import Step


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(folder))
    return folder


def running() -> dict[str, str]:
    """Return the ids of the runs that are running, by name."""
    found = mlflow.search_runs(["0"], "attributes.status = 'RUNNING'", output_format="list")
    return {run.info.run_name: run.info.run_id for run in found}


def test_the_runs_of_a_killed_process_end_as_killed_at_the_next_command(
    store: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = mlflow.MlflowClient()
    env = user_environment(store, **{CACHE_VARIABLE: str(cache)})
    processes = [
        start(open_runs_and_wait, name, env=env, log=tmp_path / f"{name}.log")
        for name in ("killed", "alive")
    ]
    client.create_run("0", run_name="of MLflow")
    client.create_run("0", run_name="elsewhere", tags={PROCESS_TAG: "of another machine"})
    wait_for(lambda: {"killed child", "alive child"} <= set(running()))
    kill(processes[0])
    set_clock_back(monkeypatch)  # changes neither who is dead nor when a run began
    before = running()
    resumed = before["killed child"]
    with open_run(Step.DATA, "next"):
        assert set(running()) == {"alive", "alive child", "of MLflow", "elsewhere", "next"}
    for name in ("killed", "killed child"):
        summary = read_run(before[name])
        assert summary.status == "KILLED"
        info = client.get_run(before[name]).info
        assert info.start_time <= info.end_time
        assert summary.tags["error"].startswith("its process was killed")
    # They can be resumed as before, and then belong to the process that resumes them.
    assert interrupted_runs(Step.TRAIN)[0] in (resumed, before["alive child"])
    assert resumed in interrupted_runs(Step.TRAIN)
    with open_run(Step.TRAIN, "resumed", resume=resumed):
        assert end_dead_runs() == []
        assert read_run(resumed).status == "RUNNING"
    assert read_run(resumed).status == "FINISHED"
    kill(processes[1])


def test_a_run_ends_as_killed_with_a_reason_and_tags(store: str) -> None:
    run_id = mlflow.MlflowClient().create_run("0").info.run_id
    end_dead_run(run_id, "its process ended", {"trial_state": "lost"})
    summary = read_run(run_id)
    assert summary.status == "KILLED"
    assert (summary.tags["error"], summary.tags["trial_state"]) == ("its process ended", "lost")


def test_a_cache_folder_that_cannot_be_written_is_named(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    with (
        pytest.raises(TrackingError, match=r"cache folder .*/file/cache cannot be written \("),
        open_run(Step.DATA, "data"),
    ):
        pass
    assert running() == {}
