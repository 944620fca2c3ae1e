"""`main` is killed at random moments; the same command then ends well, and nothing is left over."""

import json
import os
import random
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import mlflow
import pytest
from conftest import (
    Completed,
    StoreMaker,
    assert_no_run_is_running,
    entry_point,
    run_tracking_server,
    runs,
    user_environment,
)
from crashes import cpu_seconds, run_module, start

from ner_mlflow.atomic import SCRATCH_PREFIX
from ner_mlflow.exporting.golden import answers_match
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.tracking.flavors import GOLDEN_FILE
from ner_mlflow.tracking.models import find_model
from ner_mlflow.tracking.queries import download
from ner_mlflow.tracking.records import DataRecord
from ner_mlflow.tracking.registry_notes import split_notes
from ner_mlflow.workflows.data import load_data

NAME = "it-ner"
STEPS = ("data", "train", "evaluate", "export", "promote", "main")
KILLS = 5
SLOW_KILLS = 50
PARTS = 10
CPU_S = 12
"""Seconds of CPU time that `main` takes about, where nothing is done yet."""


class Place:
    """A store, a cache and a temporary folder of their own, in which `main` is started."""

    def __init__(self, store: str, folder: Path, preset: Path) -> None:
        self.store = store
        self.cache, self.temporary = folder / "cache", folder / "temporary"
        self.log = folder / "log"
        self.temporary.mkdir(parents=True, exist_ok=True)
        self.variables = {CACHE_VARIABLE: str(self.cache), "TMPDIR": str(self.temporary)}
        # Small checkpoints, so that a killed training resumes.
        self.arguments = [
            "--presets",
            str(preset),
            "--epochs",
            "2",
            "--train.checkpoint_steps",
            "4",
        ]

    def main(self) -> Completed:
        """Run `main` to its end."""
        return entry_point(self.store, "main", *self.arguments, env=self.variables)

    def kill_after(self, seconds: float) -> bool:
        """Start `main` and kill its processes once it has used so much CPU time.

        Returns:
            Whether it had ended before.
        """
        env = user_environment(self.store, **self.variables)
        process = start(run_module, "entrypoints.main", *self.arguments, env=env, log=self.log)
        while cpu_seconds(process) < seconds and process.exitcode is None:
            time.sleep(0.01)
        if process.exitcode is None and process.pid:
            with suppress(ProcessLookupError):  # it ended in this moment
                os.killpg(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL), self.log.read_text()
        return process.exitcode == 0

    def check(self, mains: int, promotions: int = 1) -> None:
        """Check that the store and the folders hold whole results only, and each once."""
        mlflow.set_tracking_uri(self.store)
        assert_no_run_is_running(self.store)
        for run in runs(self.store, "data"):
            if run.info.status == "FINISHED":
                assert load_data(run.info.run_id).dataset.fingerprint == (
                    DataRecord.read(run.info.run_id).dataset_fingerprint
                )
        for run in (*runs(self.store, "train"), *runs(self.store, "export")):
            if run.info.status == "FINISHED":
                assert find_model(run.info.run_id).fingerprint
        for step in STEPS:
            finished = [run for run in runs(self.store, step) if run.info.status == "FINISHED"]
            most = {"evaluate": 2, "main": mains, "promote": promotions}.get(step, 1)
            assert len(finished) <= most, [run.data.tags.get("ner.outcome") for run in finished]
        client = mlflow.MlflowClient()
        (version,) = client.search_model_versions(f"name = '{NAME}'")
        model = client.get_registered_model(NAME)
        assert {alias: str(number) for alias, number in model.aliases.items()} == {"champion": "1"}
        assert model.tags == {"ner.history.champion": "1"}
        text, notes = split_notes(version.description)
        assert text
        assert len(notes) == 1
        served = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
        path = download(version.source) / "artifacts" / GOLDEN_FILE
        golden = json.loads(path.read_text(encoding="utf-8"))
        for sentence, answer in list(golden.items())[:3]:
            assert answers_match(served.predict([sentence])[0], answer)
        assert [path for path in self.temporary.iterdir() if SCRATCH_PREFIX in path.name] == []
        left = [path for path in self.cache.rglob("*") if path.is_file()]
        assert {path.parent.name for path in left} <= {"processes"}, left


def kill_main_at(place: Place, seconds: Sequence[float]) -> None:
    """Start `main` again and again and kill it each time, then run it to its end twice."""
    ended = 0
    for moment in seconds:
        ended += place.kill_after(moment)
    assert ended < len(seconds)  # else it was never killed at work
    for _ in range(2):
        done = place.main()
        assert done.returncode == 0, done.stderr
    place.check(ended + 2)


def moments(count: int, seed: int) -> list[float]:
    """Return random moments: the first of the whole course, the others of what may be left."""
    generator = random.Random(seed)
    whole, rest = generator.uniform(0, CPU_S), range(count - 1)
    return [whole, *(generator.uniform(0, CPU_S / 2) for _ in rest)]


def test_main_ends_well_after_kills_at_random_moments(
    make_store: StoreMaker, tiny_preset: Path, tmp_path: Path
) -> None:
    kill_main_at(Place(make_store(tmp_path), tmp_path, tiny_preset), moments(KILLS, 13))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_main_ends_well_after_kills_at_many_random_moments(
    part: int, tiny_preset: Path, tmp_path: Path
) -> None:
    # Each part begins with a store that does not exist.
    store = f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}"
    kill_main_at(Place(store, tmp_path, tiny_preset), moments(SLOW_KILLS // PARTS, part))


def run_together(places: Sequence[Place]) -> None:
    with ThreadPoolExecutor(len(places)) as pool:
        for done in pool.map(Place.main, places):
            assert done.returncode == 0, done.stderr
            assert "database is locked" not in done.stderr


def assert_metrics_are_whole(store: str) -> None:
    """Check that all train runs have as many values of each metric."""
    mlflow.set_tracking_uri(store)
    client = mlflow.MlflowClient()
    counts = {
        tuple(
            (name, len(client.get_metric_history(run.info.run_id, name)))
            for name in ("train/loss", "train/learning_rate", "validation/f1")
        )
        for run in runs(store, "train")
    }
    assert len(counts) == 1, counts


@pytest.mark.slow
def test_four_mains_on_one_fresh_sqlite_file(tiny_preset: Path, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}"
    places = [Place(store, tmp_path / str(number), tiny_preset) for number in range(4)]
    run_together(places)
    check_champion(store)


@pytest.mark.slow
def test_eight_mains_on_one_server(
    make_store: StoreMaker, tiny_preset: Path, tmp_path: Path
) -> None:
    store = make_store(tmp_path)
    with run_tracking_server(store, tmp_path, workers=2) as server:
        run_together([Place(server, tmp_path / str(number), tiny_preset) for number in range(8)])
        check_champion(server)
    assert "database is locked" not in (tmp_path / "log").read_text()


def check_champion(store: str) -> None:
    """Check that each model has one version, and one of them is the champion."""
    assert_no_run_is_running(store)
    assert_metrics_are_whole(store)
    client = mlflow.MlflowClient()
    versions = client.search_model_versions(f"name = '{NAME}'")
    sources = [version.source for version in versions]
    assert len(set(sources)) == len(sources)
    assert all(split_notes(version.description)[0] for version in versions)
    model = client.get_registered_model(NAME)
    history = model.tags["ner.history.champion"].split(",")
    assert str(model.aliases["champion"]) == history[-1]
    assert list(model.tags) == ["ner.history.champion"]


@pytest.mark.slow
def test_four_mains_on_one_result(
    make_store: StoreMaker, tiny_preset: Path, tmp_path: Path
) -> None:
    store = make_store(tmp_path)
    first = Place(store, tmp_path / "first", tiny_preset)
    assert first.main().returncode == 0
    mlflow.set_tracking_uri(store)
    mlflow.MlflowClient().delete_registered_model(NAME)
    started = time.time()
    run_together([Place(store, tmp_path / str(number), tiny_preset) for number in range(4)])
    first.check(mains=5, promotions=5)
    assert time.time() - started < 600
