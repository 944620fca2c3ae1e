"""A Spark cluster of two workers predicts and sweeps as this machine does alone."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import mlflow
import pandas as pd
import psutil
import pytest
import yaml
from conftest import (
    ROOT,
    assert_no_run_is_running,
    entry_point,
    free_port,
    mlflow_run,
    runs,
    user_environment,
)
from pipelines import write_corpus

from ner_mlflow.paths import CACHE_VARIABLE

pytest.importorskip("pyspark", reason="the extra spark is not installed")

CLUSTER = "local-cluster[2,1,1024]"
"""A standalone cluster on this machine: two worker processes of one core and 1024 MiB each."""


@pytest.mark.slow
def test_a_cluster_predicts_the_rows_that_this_machine_predicts(
    tiny_preset: Path, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    main = mlflow_run(store, "-P", f"presets={tiny_preset}", cwd=tmp_path)
    assert main.returncode == 0, main.stderr
    rows = [
        {"id": number, "text": f"I upgraded to Ubuntu 22.{number} ." if number % 3 else ""}
        for number in range(400)
    ]
    source = tmp_path / "in.jsonl"
    source.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    alone = entry_point(
        store, "predict", "--input", str(source), "--output", str(tmp_path / "here.parquet")
    )
    assert alone.returncode == 0, alone.stderr
    on_cluster = mlflow_run(
        store,
        "-e",
        "predict",
        "-P",
        f"input={source}",
        "-P",
        f"output={tmp_path / 'there'}",
        "-P",
        "engine=spark",
        "-P",
        f"spark_master={CLUSTER}",
    )
    assert on_cluster.returncode == 0, on_cluster.stderr
    assert "400 texts in " in on_cluster.stdout
    local, remote = (
        pd.read_parquet(tmp_path / name).sort_values("id").to_dict("records")
        for name in ("here.parquet", "there")
    )
    assert [row["text"] for row in local] == [row["text"] for row in remote]
    assert sum(len(row["entities"]) for row in local) > 100
    for first, second in zip(local, remote, strict=True):
        assert [(e["text"], e["label"], e["start"], e["end"]) for e in first["entities"]] == [
            (e["text"], e["label"], e["start"], e["end"]) for e in second["entities"]
        ]
        assert [e["score"] for e in first["entities"]] == pytest.approx(
            [e["score"] for e in second["entities"]], abs=1e-3
        )

    # A failure states its cause and leaves nothing; an existing output is not overwritten.
    (tmp_path / "bad.jsonl").write_text('{"text": "fine"}\n{"text": null}\n' * 4)
    command = ["--engine", "spark", "--spark_master", CLUSTER]
    bad = entry_point(
        store,
        "predict",
        "--input",
        str(tmp_path / "bad.jsonl"),
        "--output",
        f"file://{tmp_path}/bad",
        *command,
    )
    assert bad.returncode == 1
    assert "row 0: nan is not text: send strings only" in bad.stderr.strip().splitlines()[-1]
    assert not list(tmp_path.glob("bad*[!l]"))
    again = entry_point(
        store, "predict", "--input", str(source), "--output", str(tmp_path / "there"), *command
    )
    assert again.returncode == 1
    assert f"output {tmp_path / 'there'} exists" in again.stderr
    by_scheme = entry_point(
        store,
        "predict",
        "--input",
        f"file://{source}",
        "--output",
        f"file://{tmp_path}/scheme",
        *command,
    )
    assert by_scheme.returncode == 0, by_scheme.stderr
    assert len(pd.read_parquet(tmp_path / "scheme")) == len(rows)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a standalone master with two workers of one core each.

    The workers' folders are ``tmp_path/worker-N``.
    """
    import pyspark

    launcher, port = Path(pyspark.__file__).parent / "bin" / "spark-class", free_port()
    address = f"spark://127.0.0.1:{port}"
    environment = user_environment("", PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1")
    with ExitStack() as stack:

        def start(role: str, name: str, *arguments: str) -> Path:
            log = tmp_path / f"{name}.log"
            command = [
                str(launcher),
                f"org.apache.spark.deploy.{role}",
                "--host",
                "127.0.0.1",
                "--webui-port",
                "0",
                *arguments,
            ]
            process = subprocess.Popen(
                command,
                env=environment,
                stdout=stack.enter_context(log.open("w")),
                stderr=subprocess.STDOUT,
            )
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)
            return log

        log = start("master.Master", "master", "--port", str(port))
        for number in (1, 2):
            start(
                "worker.Worker",
                f"worker-{number}",
                "--cores",
                "1",
                "--memory",
                "1g",
                "--work-dir",
                str(tmp_path / f"worker-{number}"),
                address,
            )
        deadline = time.monotonic() + 60
        while log.read_text().count("Registering worker") < 2:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield address


def begin_sweep(
    tiny_preset: Path, cluster: str, store: str, tmp_path: Path
) -> tuple[subprocess.Popen[bytes], dict[str, str]]:
    """Start a sweep of six trials, wait until one has seen two epochs, and return its settings.

    Three of the trials fail.
    """
    space = tmp_path / "space.yaml"
    entries = {
        "train.learning_rate": {
            "type": "float",
            "low": 1e-4,
            "high": 4e-3,
            "log": True,
            "grid_points": 3,
        },
        # The tiny backbone does not take 512 subwords: these trials fail.
        "model.max_length": {"type": "categorical", "choices": [64, 512]},
    }
    space.write_text(yaml.safe_dump(entries), encoding="utf-8")
    options = {
        "preset": tiny_preset,
        "space": space,
        "sampler": "grid",
        "pruner": "none",
        "engine": "spark",
        "spark_master": cluster,
        "study": "far",
    }
    options |= {"epochs": 12, "trial_epochs": 0, "final_seeds": "[]"}
    settings = {name: str(value) for name, value in options.items()}
    arguments = [word for name, value in settings.items() for word in (f"--{name}", value)]
    command = [sys.executable, "-m", "entrypoints.sweep", *arguments]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=user_environment(store, **here(tmp_path)),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + 300
    while not training(tmp_path):
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.1)
    return process, settings


def here(tmp_path: Path) -> dict[str, str]:
    return {CACHE_VARIABLE: str(tmp_path / "cache"), "PYSPARK_PYTHON": sys.executable}


def training(tmp_path: Path) -> list[Path]:
    """Return the folders of executors that have completed a second epoch."""
    return [
        file.parent
        for file in tmp_path.glob("worker-*/*/*/stderr")
        if "epoch 2 of 12" in file.read_text()
    ]


@pytest.mark.slow
def test_a_sweep_on_a_cluster_loses_no_trial_and_repeats_none(
    cluster: str, tiny_preset: Path, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    process, settings = begin_sweep(tiny_preset, cluster, store, tmp_path)
    (backend,) = [
        executor
        for executor in psutil.process_iter(["cwd", "cmdline"])
        if executor.info["cwd"] == str(training(tmp_path)[0])
        and "java" in executor.info["cmdline"][0]
    ]
    for child in backend.children(recursive=True):
        os.kill(child.pid, signal.SIGKILL)
    assert process.wait(300) == 0, (tmp_path / "log").read_text()
    assert_no_run_is_running(store)
    assert len({folder.parent.parent for folder in training(tmp_path)}) == 2
    (parent,) = runs(store, "sweep")
    states = Counter(run.data.tags["ner.trial_state"] for run in runs(store, "trial"))
    assert states == {"complete": 3, "failed": 3, "lost": 1}
    assert {run.data.tags["mlflow.parentRunId"] for run in runs(store, "trial")} == {
        parent.info.run_id
    }
    assert {
        run.info.status
        for run in runs(store, "trial")
        if run.data.tags["ner.trial_state"] == "lost"
    } == {"KILLED"}
    tried = {
        run.data.tags["ner.trial_params"]
        for run in runs(store, "trial")
        if run.data.tags["ner.trial_state"] != "lost"
    }
    assert len(tried) == 6
    best = max(
        run.data.metrics["best_validation/f1"]
        for run in runs(store, "trial")
        if run.data.tags["ner.trial_state"] == "complete"
    )
    assert parent.data.metrics["best_validation/f1"] == best > 0
    assert parent.data.metrics["trials/complete"] == 3
    artifacts = {entry.path for entry in mlflow.artifacts.list_artifacts(run_id=parent.info.run_id)}
    assert {
        "trials.html",
        "plots.html",
        "best.yaml",
        "history.png",
        "parameters.png",
    } <= artifacts

    again = mlflow_run(
        store,
        "-e",
        "sweep",
        *(word for name, value in settings.items() for word in ("-P", f"{name}={value}")),
        env=here(tmp_path),
    )
    assert again.returncode == 0, again.stderr
    assert "6 trials, 0 of them new" in again.stderr
    assert len(runs(store, "trial")) == 7
    assert_no_run_is_running(store)


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_sweep_on_a_cluster_whose_driver_ended_resumes_later(
    end: signal.Signals, cluster: str, tiny_preset: Path, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    process, settings = begin_sweep(tiny_preset, cluster, store, tmp_path)
    if end == signal.SIGINT:  # Ctrl-C reaches the driver's JVM too
        os.killpg(process.pid, end)
        assert process.wait(120) == 130, (tmp_path / "log").read_text()
        assert_no_run_is_running(store)
    else:
        process.kill()
        process.wait(10)
    again = entry_point(
        store,
        "sweep",
        *(word for name, value in settings.items() for word in (f"--{name}", value)),
        env=here(tmp_path),
    )
    assert again.returncode == 0, again.stderr
    assert_no_run_is_running(store)
    states = Counter(run.data.tags["ner.trial_state"] for run in runs(store, "trial"))
    assert (states["complete"], states["failed"]) == (3, 3)
    assert 1 <= states["lost"] <= 2
    assert sorted(run.info.status for run in runs(store, "sweep")) == ["FINISHED", "KILLED"]


@pytest.mark.slow  # Spark tries for a minute
def test_a_cluster_that_does_not_answer_ends_in_one_line(tiny_preset: Path, tmp_path: Path) -> None:
    master = f"spark://127.0.0.1:{free_port()}"
    arguments = [
        "--preset",
        str(tiny_preset),
        "--space",
        "full",
        "--engine",
        "spark",
        "--spark_master",
        master,
    ]
    done = entry_point(
        f"sqlite:///{tmp_path / 'mlflow.db'}", "sweep", *arguments, env=here(tmp_path)
    )
    assert done.returncode == 1
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith(f"error: spark_master '{master}' gives no session")
    )


def working_executors(tmp_path: Path) -> list[psutil.Process]:
    """Return the executors of the workers in this folder that have started Python."""
    return [
        process
        for process in psutil.process_iter(["cwd", "cmdline"])
        if (process.info["cwd"] or "").startswith(str(tmp_path / "worker-"))
        and "java" in (process.info["cmdline"] or [""])[0]
        and process.children()
    ]


def write_texts(path: Path, count: int) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            text = (
                f"Since build {number} the job number {number * 7} fails on Ubuntu {number}.04 "
                f"with error {number * 13}.\n```\nrun {number}\n```\nPlease look at it soon."
            )
            file.write(f"{json.dumps({'text': text if number % 9 else 'ok'})}\n" * (1 + number % 2))
    return path


@pytest.mark.slow
def test_a_cluster_labels_weakly_as_this_machine_does_even_if_a_worker_is_killed(
    cluster: str, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    corpus, texts = write_corpus(tmp_path / "corpus"), write_texts(tmp_path / "texts.jsonl", 20_000)
    arguments = ["--dataset", str(corpus), "--weak_source", str(texts), "--weak_sample", "0"]
    alone = entry_point(store, "data", *arguments)
    assert alone.returncode == 0, alone.stderr
    command = [sys.executable, "-m", "entrypoints.data", *arguments]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--weak.engine", "spark", "--weak.spark_master", cluster],
            cwd=ROOT,
            env=user_environment(store, **here(tmp_path)),
            stdout=log,
            stderr=log,
        )
    deadline = time.monotonic() + 120
    while not (executors := working_executors(tmp_path)):
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.05)
    executors[0].kill()
    assert process.wait(300) == 0, (tmp_path / "log").read_text()
    first, second = runs(store, "data")
    fingerprints = {run.data.tags["ner.dataset_fingerprint"] for run in (first, second)}
    assert len(fingerprints) == 1
    assert len(list(tmp_path.glob("worker-*/app-*/*"))) == 3  # one executor was replaced
    for name in ("weak/added", "weak/sentences", "changes/train/weak_duplicate"):
        assert first.data.metrics[name] == second.data.metrics[name] > 0
    assert_no_run_is_running(store)
