"""`sweep` as a user runs it: each trial has a run and a state, and an interrupted sweep resumes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
import yaml
from conftest import (
    ROOT,
    Completed,
    StoreMaker,
    assert_no_run_is_running,
    entry_point,
    mlflow_run,
    runs,
    user_environment,
)
from mlflow.entities import Run

from ner_mlflow.paths import CACHE_VARIABLE

STATUSES = {
    "complete": "FINISHED",
    "pruned": "KILLED",
    "failed": "FAILED",
    "lost": "KILLED",
    "interrupted": "KILLED",
}
TOO_LONG = 512
"""More subwords than the tiny backbone takes: a trial of this length fails."""


@pytest.fixture
def store(make_store: StoreMaker, tmp_path: Path) -> str:
    return make_store(tmp_path)


@pytest.fixture
def here(tmp_path: Path) -> dict[str, str]:
    return {CACHE_VARIABLE: str(tmp_path / "cache")}


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spaces") / "tiny.yaml"
    entries = {
        "train.learning_rate": {
            "type": "float",
            "low": 1e-6,
            "high": 4e-3,
            "log": True,
            "grid_points": 3,
        },
        "model.max_length": {"type": "categorical", "choices": [64, TOO_LONG]},
    }
    path.write_text(yaml.safe_dump(entries), encoding="utf-8")
    return path


def artifacts(run: Run) -> set[str]:
    return {entry.path for entry in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)}


def check_success(done: Completed) -> Completed:
    assert done.returncode == 0, done.stderr
    return done


def test_a_sweep_from_its_space_to_a_registered_model(
    tiny_preset: Path, space: Path, store: str, here: dict[str, str]
) -> None:
    options = {
        "preset": tiny_preset,
        "space": space,
        "sampler": "grid",
        "study": "tiny",
        "epochs": 4,
        "jobs": 2,
        "final_seeds": "13,14",
        "seed": 3,
    }
    check_success(
        mlflow_run(
            store,
            "-e",
            "sweep",
            *(word for name, value in options.items() for word in ("-P", f"{name}={value}")),
            env=here,
        )
    )
    (parent,) = runs(store, "sweep")
    trials = runs(store, "trial")
    assert parent.info.status == "FINISHED"
    assert len(trials) == 6
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {parent.info.run_id}
    study = parent.data.tags["ner.study"]
    assert parent.info.run_name.startswith("sweep · ")
    assert {run.info.run_name for run in trials} == {f"trial {n} · {study}" for n in range(6)}
    states = Counter(run.data.tags["ner.trial_state"] for run in trials)
    assert states["failed"] == 3
    assert states["complete"] >= 1
    assert states["pruned"] >= 1
    assert {run.data.tags["ner.trial_state"]: run.info.status for run in trials} == {
        state: STATUSES[state] for state in states
    }
    for run in trials:
        tried = json.loads(run.data.tags["ner.trial_params"])
        assert float(run.data.params["train.learning_rate"]) == tried["train.learning_rate"]
        if tried["model.max_length"] == TOO_LONG:
            assert f"model.max_length={TOO_LONG}" in run.data.tags["ner.trial_reason"]
        elif run.data.tags["ner.trial_state"] == "pruned":
            assert "too far behind other trials" in run.data.tags["ner.trial_reason"]
            assert (
                1
                <= len(mlflow.MlflowClient().get_metric_history(run.info.run_id, "validation/f1"))
                < 4
            )
        else:
            assert {
                "train/loss",
                "best_validation/f1",
                "parameters/total",
                "size_bytes/model",
            } <= set(run.data.metrics)
            assert {"provenance.yaml", "config.yaml", "training_curves.png"} <= artifacts(run)
            assert run.data.tags["ner.model_uri"].startswith("models:/")
            assert run.inputs.dataset_inputs
    # The contour needs two parameters that differ among these few trials.
    names = {"history", "parameters"} if states["complete"] > 1 else set()
    assert {
        "trials.html",
        "plots.html",
        "best.yaml",
        "space.yaml",
        "final.html",
        *(f"{name}.png" for name in names),
    } <= artifacts(parent)
    best = mlflow.get_run(parent.data.tags["ner.best_trial_run"])
    assert best.data.metrics["best_validation/f1"] == max(
        run.data.metrics["best_validation/f1"]
        for run in trials
        if run.data.tags["ner.trial_state"] == "complete"
    )
    assert best.data.metrics["best_validation/f1"] == parent.data.metrics["best_validation/f1"]
    version = mlflow.MlflowClient().get_model_version_by_alias("it-ner", "candidate")
    assert parent.data.tags["ner.registered_version"] == f"models:/it-ner/{version.version}"
    finals = {run.data.params["train.seed"]: run for run in runs(store, "train")}
    assert set(finals) == {"13", "14"}
    assert version.tags["train_run"] == parent.data.tags["ner.best_train_run"]
    # Trained again, alone and with the same seed, the best trial's settings give the same model.
    assert (
        finals["13"].data.metrics["best_validation/f1"] == best.data.metrics["best_validation/f1"]
    )
    assert len(mlflow.pyfunc.load_model("models:/it-ner@candidate").predict(["Ubuntu 22.04"])) == 1

    again = check_success(
        entry_point(
            store,
            "sweep",
            *(word for name, value in options.items() for word in (f"--{name}", str(value))),
            env=here,
        )
    )
    assert "0 of them new" in again.stderr
    assert again.stderr.count("reused") == 8
    assert len(runs(store, "trial")) == 6
    assert {run.data.tags["mlflow.parentRunId"] for run in runs(store, "trial")} == {
        runs(store, "sweep")[1].info.run_id
    }
    other = entry_point(
        store,
        "sweep",
        "--preset",
        str(tiny_preset),
        "--space",
        str(space),
        "--study",
        "tiny",
        "--epochs",
        "3",
        env=here,
    )
    assert other.returncode == 1
    assert (
        "sweep.study 'tiny' was begun with other code, settings, sampler, space, data "
        "or in another experiment" in other.stderr
    )


def start_sweep(
    store: str, folder: Path, here: dict[str, str], *arguments: str
) -> subprocess.Popen[bytes]:
    with (folder / "log").open("a") as log:
        command = [sys.executable, "-m", "entrypoints.sweep", *arguments]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=user_environment(store, **here),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def wait_until(
    condition: Callable[[], bool], process: subprocess.Popen[bytes], folder: Path
) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.2)


def small_sweep(tiny_preset: Path, space: Path, *more: str) -> list[str]:
    return [
        "--preset",
        str(tiny_preset),
        "--space",
        str(space),
        "--sampler",
        "grid",
        "--pruner",
        "none",
        "--final_seeds",
        "[]",
        "--sweep.log_models",
        "false",
        *more,
    ]


def kill_driver(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGKILL)  # its workers notice that and end


def interrupt_group(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does on Ctrl-C


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop", "status"),
    [(kill_driver, -signal.SIGKILL), (interrupt_group, 130)],
)
def test_a_stopped_sweep_is_marked_and_resumes(
    stop: Callable[[subprocess.Popen[bytes]], None],
    status: int,
    tiny_preset: Path,
    space: Path,
    store: str,
    here: dict[str, str],
    tmp_path: Path,
) -> None:
    arguments = small_sweep(tiny_preset, space, "--jobs", "2", "--epochs", "3")
    process = start_sweep(store, tmp_path, here, *arguments)
    wait_until(
        lambda: (tmp_path / "log").read_text().count("validation F1") >= 2, process, tmp_path
    )
    stop(process)
    assert process.wait(120) == status
    if stop is interrupt_group:
        assert_no_run_is_running(store)
        assert runs(store, "sweep")[0].info.status == "KILLED"
        assert "Traceback" not in (tmp_path / "log").read_text()
    again = check_success(entry_point(store, "sweep", *arguments, env=here))
    assert_no_run_is_running(store)
    trials = runs(store, "trial")
    states = Counter(run.data.tags["ner.trial_state"] for run in trials)
    assert states["complete"] == 3
    assert states["failed"] == 3
    assert sum(states.values()) - 6 <= 2  # one running trial for each worker
    assert sum(states.values()) > 6, again.stderr
    assert {
        run.info.status
        for run in trials
        if run.data.tags["ner.trial_state"] not in ("complete", "failed")
    } == {"KILLED"}
    tried = [
        run.data.tags["ner.trial_params"]
        for run in trials
        if run.data.tags["ner.trial_state"] in ("complete", "failed")
    ]
    assert len(set(tried)) == 6
    first, second = runs(store, "sweep")
    assert (first.info.status, second.info.status) == ("KILLED", "FINISHED")
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {second.info.run_id}


@pytest.mark.slow  # 40 s
def test_ctrl_c_on_mlflow_run_ends_the_sweep_and_its_trials(
    tiny_preset: Path, space: Path, store: str, here: dict[str, str], tmp_path: Path
) -> None:
    settings = {
        "preset": tiny_preset,
        "space": space,
        "sampler": "grid",
        "pruner": "none",
        "final_seeds": "[]",
        "jobs": 2,
        "epochs": 4,
    }
    command = [
        "mlflow",
        "run",
        str(ROOT),
        "--env-manager",
        "local",
        "-e",
        "sweep",
        *(w for name, value in settings.items() for w in ("-P", f"{name}={value}")),
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=user_environment(store, **here),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    wait_until(
        lambda: (tmp_path / "log").read_text().count("validation F1") >= 2, process, tmp_path
    )
    interrupt_group(process)
    assert process.wait(120) != 0
    assert_no_run_is_running(store)
    output = (tmp_path / "log").read_text()
    assert "error: interrupted" in output
    assert "Traceback" not in output
    (parent,) = runs(store, "sweep")
    # MLflow 3.17 may overwrite our KILLED, since it does not notice that the run has ended.
    assert parent.info.status in ("KILLED", "FAILED")
    ended_early = [
        run for run in runs(store, "trial") if run.data.tags["ner.trial_state"] == "interrupted"
    ]
    assert ended_early
    assert {run.info.status for run in ended_early} == {"KILLED"}


@pytest.mark.slow
def test_another_machine_joins_over_postgresql_and_no_password_is_printed(
    postgresql: str, tiny_preset: Path, store: str, here: dict[str, str], tmp_path: Path
) -> None:
    storage = postgresql.replace("@", ":secret7@")
    space = tmp_path / "rates.yaml"
    space.write_text(
        "train.learning_rate: {type: float, low: 1.0e-4, high: 4.0e-3, log: true}\n",
        encoding="utf-8",
    )
    settings = {
        "storage": storage,
        "study": "shared",
        "trials": 12,
        "sampler": "random",
        "epochs": 8,
        "trial_epochs": 0,
    }
    process = start_sweep(
        store,
        tmp_path,
        here,
        *small_sweep(
            tiny_preset,
            space,
            *(word for name, value in settings.items() for word in (f"--{name}", str(value))),
        ),
    )
    wait_until(lambda: "trial 0: " in (tmp_path / "log").read_text(), process, tmp_path)
    elsewhere = {CACHE_VARIABLE: str(tmp_path / "elsewhere")}
    joined = check_success(
        entry_point(store, "sweep", "--join", "shared", "--storage", storage, env=elsewhere)
    )
    assert process.wait(300) == 0, (tmp_path / "log").read_text()
    (parent,) = runs(store, "sweep")
    (helper,) = runs(store, "sweep join")
    trials = runs(store, "trial")
    assert Counter(run.data.tags["ner.trial_state"] for run in trials) == {"complete": 12}
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {parent.info.run_id}
    assert helper.data.tags["ner.sweep_run"] == parent.info.run_id
    assert "trial " in joined.stderr
    output = [(tmp_path / "log").read_text(), joined.stderr, joined.stdout]
    output += [str(run.to_dictionary()) for run in (parent, helper, *trials)]
    output += [file.read_text(errors="replace") for file in tmp_path.rglob("*.yaml")]
    assert not any("secret7" in text for text in output)
    missing = entry_point(store, "sweep", "--join", "sharde", "--storage", storage, env=elsewhere)
    assert missing.returncode == 1
    assert "no sweep has begun a study of that name in postgresql" in missing.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--space", "loar"],
            "sweep.space 'loar' is neither one of distill, full, lora nor a YAML file",
        ),
        (
            ["--space", "lora", "--preset", "minilm_full"],
            "model.lora_rank has no effect with model.adaptation=full",
        ),
        (
            ["--objectives", "validation_f1,size"],
            "pruner=hyperband compares trials by validation F1 alone",
        ),
        (
            ["--storage", "postgresql://me:secret7@127.0.0.1:1/none"],
            "sweep.storage postgresql://me:***@127.0.0.1:1/none cannot be used",
        ),
        (
            ["--train.processes", "2", "--train.batch_size", "16"],
            "train.processes=2: a trial runs in one process",
        ),
        (["--alias", "latest"], "alias 'latest'"),
    ],
)
def test_an_error_before_any_trial_is_one_line(
    arguments: list[str], words: str, store: str, here: dict[str, str]
) -> None:
    done = entry_point(store, "sweep", *arguments, env=here)
    assert done.returncode == 1
    assert words in done.stderr
    assert "secret7" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert runs(store, "trial") == []
