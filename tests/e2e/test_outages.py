"""Work goes on while the tracking server is away, slow or broken, and nothing is lost."""

import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

import mlflow
import pytest
from clocks import run_module_and_set_clock_back
from conftest import (
    QUICK_SERVER,
    PostgreSQL,
    entry_point,
    free_port,
    server_command,
    user_environment,
)
from crashes import start
from faulty_proxy import Fault, FaultyProxy
from mlflow.entities import LoggedModelStatus

from ner_mlflow.cli.command import UNDELIVERED
from ner_mlflow.paths import CACHE_VARIABLE

STEPS_OF_MAIN = {"main": 1, "data": 1, "train": 1, "evaluate": 2, "export": 1}
"""Runs of main by step. There is one of promote too, unless the version had to wait: then it gets
the alias without one."""
LONGEST_STANDSTILL_S = 5.0


@pytest.fixture
def proxy(server: str) -> Iterator[FaultyProxy]:
    with FaultyProxy(server).running() as proxy:
        yield proxy


@pytest.fixture
def cache(tmp_path: Path) -> dict[str, str]:
    return {CACHE_VARIABLE: str(tmp_path / "cache")}


def wait_until_it_answers(address: str) -> None:
    for _ in range(240):
        with suppress(OSError):
            urllib.request.urlopen(f"{address}/health", timeout=2).close()
            return
        time.sleep(0.5)
    pytest.fail(f"{address} does not answer")


def run_main(address: str, preset: Path, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return entry_point(address, "main", "--presets", str(preset), "--epochs", "2", env=env)


def assert_whole(address: str) -> None:
    """Check that a server has exactly the runs of main, each with all that it logged, once."""
    mlflow.set_tracking_uri(address)
    client = mlflow.MlflowClient()
    runs = mlflow.search_runs(["0"], output_format="list")
    steps = Counter(run.data.tags["ner.step"] for run in runs)
    assert steps.pop("promote", 0) <= 1
    assert steps == STEPS_OF_MAIN
    assert [run for run in runs if run.info.status != "FINISHED"] == []
    for run in runs:
        for key in run.data.metrics:
            history = client.get_metric_history(run.info.run_id, key)
            places = [(metric.step, metric.timestamp) for metric in history]
            assert len(places) == len(set(places)), (key, places)
        files = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert "provenance.yaml" in files
        assert not any("10ca11d0" in value for value in ids_in(run))
    models = client.search_logged_models(["0"])
    assert {model.status for model in models} == {LoggedModelStatus.READY}
    assert len(models) == 3  # trained, served, ONNX
    versions = client.search_model_versions("name = 'it-ner'")
    assert len(versions) == 1
    assert versions[0].description
    assert client.get_model_version_by_alias("it-ner", "champion").version == versions[0].version
    answer = mlflow.pyfunc.load_model("models:/it-ner@champion").predict(["Ubuntu 22.04"])
    assert len(answer) == 1


def ids_in(run: "mlflow.entities.Run") -> list[str]:
    tags = {key: value for key, value in run.data.tags.items() if key != "ner.client_id"}
    return [*tags.values(), *run.data.params.values()]


def outboxes(cache: dict[str, str]) -> list[Path]:
    return list(Path(cache[CACHE_VARIABLE]).glob("outbox/*/outbox.sqlite"))


def test_main_runs_without_its_server_and_sync_delivers_everything_once(
    server: str, proxy: FaultyProxy, cache: dict[str, str], tiny_preset: Path
) -> None:
    proxy.choose = lambda *_: Fault.DROPPED
    done = run_main(proxy.address, tiny_preset, cache)
    assert done.returncode == UNDELIVERED, done.stderr
    assert "Traceback" not in done.stderr
    assert "work goes on" in done.stderr
    assert f"kept in {outboxes(cache)[0].parent}" in done.stderr
    assert "It is not registered yet" in done.stdout
    shown = entry_point(proxy.address, "sync", "--show", "true", env=cache).stdout
    assert len(re.findall("FINISHED", shown)) == sum(STEPS_OF_MAIN.values()), shown
    away = entry_point(proxy.address, "sync", env=cache)
    assert away.returncode == 1
    assert "does not answer" in away.stderr
    proxy.choose = lambda *_: Fault.NONE
    delivered = entry_point(proxy.address, "sync", env=cache)
    assert "6 runs" in delivered.stdout, delivered.stderr
    assert_whole(server)
    assert outboxes(cache) == []
    assert "0 runs" in entry_point(proxy.address, "sync", env=cache).stdout


@pytest.mark.slow
def test_what_was_delivered_is_reused_under_its_new_ids(
    server: str, proxy: FaultyProxy, cache: dict[str, str], tiny_preset: Path
) -> None:
    proxy.choose = lambda *_: Fault.DROPPED
    assert run_main(proxy.address, tiny_preset, cache).returncode == UNDELIVERED
    proxy.choose = lambda *_: Fault.NONE
    again = run_main(proxy.address, tiny_preset, cache)  # delivers first
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("reused") == 5, again.stderr
    mlflow.set_tracking_uri(server)
    assert len(mlflow.MlflowClient().search_model_versions("name = 'it-ner'")) == 1


@pytest.mark.slow
def test_main_logs_everything_once_through_a_network_that_loses_requests_and_answers(
    server: str, proxy: FaultyProxy, cache: dict[str, str], tiny_preset: Path
) -> None:
    faults = random.Random(13).choices(
        [Fault.NONE, Fault.DROPPED, Fault.ANSWER_LOST, Fault.ERROR], [85, 5, 5, 5], k=10_000
    )
    proxy.choose = lambda number, _: faults[number % len(faults)]
    done = run_main(proxy.address, tiny_preset, cache)
    assert "Traceback" not in done.stderr
    proxy.choose = lambda *_: Fault.NONE
    if done.returncode:
        assert done.returncode == UNDELIVERED, done.stderr
        assert entry_point(proxy.address, "sync", env=cache).returncode == 0
    assert_whole(server)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "away_s", "epochs"),
    [(Fault.DROPPED, 40, 40), (Fault.HANGING, 180, 160), (Fault.ERROR, 60, 60)],
)
def test_a_training_stands_still_for_seconds_only_when_its_server_goes_away(
    fault: Fault,
    away_s: float,
    epochs: int,
    server: str,
    proxy: FaultyProxy,
    cache: dict[str, str],
    tiny_preset: Path,
    tmp_path: Path,
) -> None:
    with (tmp_path / "stderr").open("w") as stderr:
        command = [sys.executable, "-m", "entrypoints.train", "--preset", str(tiny_preset)]
        length = ["--epochs", str(epochs), "--train.early_stopping_patience", str(epochs)]
        process = subprocess.Popen(
            [*command, *length],
            env={**user_environment(proxy.address, **cache), "PYTHONUNBUFFERED": "1"},
            stderr=stderr,
            stdout=subprocess.DEVNULL,
        )
        begin, last, seen = 0.0, 0.0, 0
        gaps: list[float] = []
        while process.poll() is None:
            done = (tmp_path / "stderr").read_text().count(": loss ")
            now = time.monotonic()
            if done > seen:
                seen, gaps, last = done, [*gaps, now - last if last else 0], now
            if done >= 3 and not begin:
                begin, proxy.choose = now, lambda *_: fault
            if begin and now - begin > away_s:
                proxy.choose = lambda *_: Fault.NONE
            time.sleep(0.05)
    proxy.choose = lambda *_: Fault.NONE
    usual = sorted(gaps)[len(gaps) // 2]
    assert max(gaps) < usual + LONGEST_STANDSTILL_S, gaps
    assert process.returncode in (0, UNDELIVERED), (tmp_path / "stderr").read_text()
    entry_point(proxy.address, "sync", env=cache)
    mlflow.set_tracking_uri(server)
    (run,) = mlflow.search_runs(["0"], "tags.`ner.step` = 'train'", output_format="list")
    assert run.info.status == "FINISHED"
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "validation/f1")
    steps = [metric.step for metric in history]
    assert len(steps) == len(set(steps)) == seen


UP_S, DOWN_S = 12.0, 6.0
"""How long a server that is killed again and again is up, and away."""


def run_while_killing(
    store: "KilledServer | PostgreSQL", cache: dict[str, str], module: str, *arguments: str
) -> None:
    """Run a command while its store is killed and started again, then deliver what is left.

    What the command says, and its exit status, are checked.
    """
    command = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env=user_environment(store.url, **cache),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(command.communicate)
        kills = 0
        while not wait([ended], timeout=UP_S).done:
            store.stop()
            kills += 1
            wait([ended], timeout=DOWN_S)
            store.start()
        error = ended.result()[1]
    assert command.returncode in (0, UNDELIVERED), error
    assert error.count("Traceback") == 0, error
    assert kills, error  # else nothing was tried
    if isinstance(store, KilledServer):
        wait_until_it_answers(store.url)
    done = entry_point(store.url, "sync", env=cache)
    assert done.returncode == 0, done.stderr


class KilledServer:
    """An `mlflow server` that is killed and started again at the same address."""

    def __init__(self, store: str, folder: Path) -> None:
        self._folder, self._store, self._port = folder, store, free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        """Start it, and do not wait for it."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*server_command(self._store, self._folder), "--port", str(self._port)],
                cwd=self._folder,
                env=user_environment(self._store, **QUICK_SERVER),
                stdout=log,
                stderr=log,
                process_group=0,
            )

    def stop(self) -> None:
        """Kill all its processes."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@pytest.fixture(params=["sqlite", "postgresql"])
def killed_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KilledServer]:
    """A server to kill, on each database."""
    store = f"sqlite:///{tmp_path / 'server.db'}"
    if request.param == "postgresql":
        store = request.getfixturevalue("postgresql")
    server = KilledServer(store, tmp_path)
    yield server
    server.stop()


@pytest.mark.slow
def test_a_server_that_is_killed_and_restarted_again_and_again_gets_everything_once(
    killed_server: KilledServer, cache: dict[str, str], tiny_preset: Path
) -> None:
    arguments = ("--presets", str(tiny_preset), "--epochs", "2")
    run_while_killing(killed_server, cache, "entrypoints.main", *arguments)
    assert_whole(killed_server.url)


@pytest.mark.slow
def test_a_database_that_is_killed_and_restarted_again_and_again_gets_everything_once(
    postgresql_server: PostgreSQL, cache: dict[str, str], tiny_preset: Path
) -> None:
    arguments = ("--presets", str(tiny_preset), "--epochs", "2")
    run_while_killing(postgresql_server, cache, "entrypoints.main", *arguments)
    assert_whole(postgresql_server.url)


@pytest.mark.slow
def test_a_sweep_loses_no_trial_while_its_server_is_killed_and_restarted(
    killed_server: KilledServer, cache: dict[str, str], tiny_preset: Path, tmp_path: Path
) -> None:
    trials = 6
    space = tmp_path / "space.yaml"
    space.write_text("train.learning_rate: {type: float, low: 1e-5, high: 1e-3, log: true}")
    run_while_killing(
        killed_server,
        cache,
        *("entrypoints.sweep", "--preset", str(tiny_preset), "--trials", str(trials)),
        *("--space", str(space), "--sampler", "random", "--pruner", "none"),
        *("--epochs", "2", "--final_seeds", "[]"),
    )
    mlflow.set_tracking_uri(killed_server.url)
    runs = mlflow.search_runs(["0"], output_format="list")
    assert {run.info.status for run in runs} == {"FINISHED"}
    steps = Counter(run.data.tags["ner.step"] for run in runs)
    assert (steps["sweep"], steps["trial"], steps["data"]) == (1, trials, 1)
    (sweep,) = [run for run in runs if run.data.tags["ner.step"] == "sweep"]
    best = mlflow.get_run(sweep.data.tags["ner.best_trial_run"])
    assert best.data.tags["mlflow.parentRunId"] == sweep.info.run_id
    assert "trials.html" in {
        file.path for file in mlflow.MlflowClient().list_artifacts(sweep.info.run_id)
    }


@pytest.mark.slow
def test_an_artifact_store_that_cannot_be_written_stops_no_training(
    server: str, cache: dict[str, str], tiny_preset: Path, tmp_path: Path
) -> None:
    (tmp_path / "artifacts").write_text("a file where the server needs a folder")
    done = entry_point(server, "train", "--preset", str(tiny_preset), "--epochs", "1", env=cache)
    assert done.returncode == UNDELIVERED, done.stderr
    assert "Traceback" not in done.stderr
    (tmp_path / "artifacts").unlink()
    assert entry_point(server, "sync", env=cache).returncode == 0
    mlflow.set_tracking_uri(server)
    (run,) = mlflow.search_runs(["0"], "tags.`ner.step` = 'train'", output_format="list")
    assert run.info.status == "FINISHED"
    assert mlflow.pyfunc.load_model(run.data.tags["ner.model_uri"]).predict(["Ubuntu"])


@pytest.mark.slow
def test_a_clock_that_is_set_back_during_main_loses_nothing_and_keeps_the_order(
    server: str, cache: dict[str, str], tiny_preset: Path, tmp_path: Path
) -> None:
    arguments = ("--presets", str(tiny_preset), "--epochs", "2")
    main = start(
        run_module_and_set_clock_back,
        *(": loss ", "entrypoints.main", *arguments),
        env=user_environment(server, **cache),
        log=tmp_path / "main.log",
    )
    main.join(300)
    assert main.exitcode == 0, (tmp_path / "main.log").read_text()
    assert_whole(server)
    client = mlflow.MlflowClient()
    runs = mlflow.search_runs(["0"], output_format="list")
    by_id = {run.info.run_id: run.info for run in runs}
    for run in runs:
        assert run.info.start_time <= run.info.end_time
        if parent := by_id.get(run.data.tags.get("mlflow.parentRunId")):
            assert parent.start_time <= run.info.start_time
            assert run.info.end_time <= parent.end_time
        for key in run.data.metrics:
            history = client.get_metric_history(run.info.run_id, key)
            values = sorted(history, key=lambda metric: metric.step)
            times = [metric.timestamp for metric in values]
            assert times == sorted(times), key
            assert run.info.start_time <= times[0]
    assert outboxes(cache) == []
