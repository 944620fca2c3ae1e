"""Measure how long the first page of the showcase takes on a store of many runs.

The benchmark fills a store with copies of a few runs (nine in ten are trials of sweeps), starts
`ner-mlflow demo` on it, and opens the page in Chromium. The store is a new SQLite file, or the
empty database at the address of --database; with --server an `mlflow server` stands before it. Time
runs from the request to the verdict on the page; ``script_s`` is the server's part of it, without a
browser. The caches of the browser and of the server are empty at first; the next loads find the
server's cache filled.

usage: python -m benchmarks.showcase [--runs 5000] [--browser /usr/bin/chromium] [--loads 3]
                                     [--database postgresql://USER@HOST/NAME] [--server]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import create_engine, inspect, text
from streamlit.testing.v1 import AppTest

from benchmarks.tracking_server import tracking_server
from ner_mlflow.demo.__main__ import APP, NEEDED
from ner_mlflow.provenance import git_commit, hardware
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.records import EvaluateRecord, PromoteRecord, TrialRecord, VersionOrigin
from ner_mlflow.tracking.registry import RegisteredVersion, move_alias
from ner_mlflow.tracking.steps import Step

MODEL = "it-ner"
TYPES = ("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION")
SCORES = ("f1", "f1_low", "f1_high", "precision", "recall", "support")
TABLES = ("runs", "tags", "params", "latest_metrics", "metrics")
COPIES = {Step.TRIAL: 0.9, Step.EVALUATE: 0.09, Step.PROMOTE: 0.01}
"""Step -> its share of the runs."""
VERDICT = f"{MODEL} version 1 is the champion"


def main() -> None:
    """Time the page and print the result as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--loads", type=int, default=3)
    parser.add_argument("--database", default="", help="an empty database; default: SQLite")
    parser.add_argument("--server", action="store_true", help="read it through an mlflow server")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        database = arguments.database or f"sqlite:///{Path(folder) / 'mlflow.db'}"
        mlflow.set_tracking_uri(database)
        templates = make_templates()
        for step, share in COPIES.items():
            copy_runs(database, templates[step], round(arguments.runs * share))
        print(f"{count_runs(database):,} runs", file=sys.stderr)
        store = database
        if arguments.server:
            store = servers.enter_context(tracking_server(database, Path(folder)))
        mlflow.set_tracking_uri(store)
        script_s, script_cpu = time_script()
        with served(store) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=arguments.browser, args=["--no-sandbox"]
            )
            seconds = [time_page(browser, address) for _ in range(arguments.loads)]
            browser.close()
        result = {
            "seconds": round(seconds[0], 2),
            "script_s": round(script_s, 2),
            "script_cpu_share": round(script_cpu / script_s, 2),
            "next_loads_s": [round(value, 2) for value in seconds[1:]],
            "runs": count_runs(database),
            "store": urlsplit(database).scheme + " through a server" * arguments.server,
            "load_average": round(os.getloadavg()[0], 2),
            "commit": git_commit(),
            "hardware": hardware(),
        }
    print(json.dumps(result))


def make_templates() -> dict[Step, str]:
    """Make one run of each step, and a registered version that was promoted; return run ids."""
    scores = {f"test/{name}": 0.8 for name in SCORES}
    scores |= {f"test/{type_}/{name}": 0.8 for type_ in TYPES for name in SCORES}
    with open_run(Step.EVALUATE, "evaluate") as evaluation:
        EvaluateRecord(
            run_id=evaluation.id,
            data_run="0" * 32,
            dataset="sample",
            dataset_fingerprint="f" * 64,
            model="models:/m-0",
            split="test",
            variant="int8",
            preset="minilm_full",
        ).write(evaluation)
        evaluation.log_metrics({**scores, "raw/f1": 0.78, "raw/f1_low": 0.7, "raw/f1_high": 0.82})
    client = mlflow.MlflowClient()
    client.create_registered_model(MODEL)
    origin = VersionOrigin(variant="int8", evaluate_run=evaluation.id)
    source = f"runs:/{evaluation.id}/model"
    version = client.create_model_version(MODEL, source, tags=origin.tags())
    registered = RegisteredVersion(MODEL, str(version.version), source, {})
    move_alias("champion", registered, None, {"promotion_reason": "the first"}, "the first", 5)
    with open_run(Step.PROMOTE, "promote") as promotion:
        PromoteRecord(
            run_id=promotion.id,
            candidate=registered.address,
            champion="none",
            alias="champion",
            outcome="promoted",
            reason="the first",
        ).write(promotion)
    with open_run(Step.TRIAL, "trial") as trial:
        TrialRecord(run_id=trial.id, study="study", trial_number=0, trial_params="{}").write(trial)
        trial.log_metrics({f"validation/{name}": 0.7 for name in scores})
    return {
        Step.EVALUATE: evaluation.id,
        Step.PROMOTE: promotion.id,
        Step.TRIAL: trial.id,
    }


def copy_runs(database: str, run_id: str, copies: int) -> None:
    """Copy a run of a store many times, with all that is in the database."""
    engine = create_engine(database)
    rows = [{"copy": uuid.uuid4().hex, "run": run_id} for _ in range(copies)]
    with engine.begin() as connection:
        for table in TABLES:
            names = [str(column["name"]) for column in inspect(connection).get_columns(table)]
            chosen = ", ".join(":copy" if name == "run_uuid" else name for name in names)
            statement = text(
                f"insert into {table} ({', '.join(names)}) "
                f"select {chosen} from {table} where run_uuid = :run"
            )
            connection.execute(statement, rows)
    engine.dispose()


def count_runs(database: str) -> int:
    """Return the number of runs in a store."""
    engine = create_engine(database)
    with engine.connect() as connection:
        count = int(connection.execute(text("select count(*) from runs")).scalar_one())
    engine.dispose()
    return count


@contextmanager
def served(store: str) -> Iterator[str]:
    """Serve the showcase of a store and yield its address."""
    command: Sequence[str] = (
        sys.executable,
        *("-c", "from ner_mlflow.cli.console import main; main()"),
        *("demo", "--port", "0"),
    )
    environment = {**os.environ, "MLFLOW_TRACKING_URI": store}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("open next: "):
                yield line.removeprefix("open next: ").strip()
                return
        raise RuntimeError("the showcase did not start: see its messages above")
    finally:
        process.terminate()
        process.wait()


def time_script() -> tuple[float, float]:
    """Return wall and processor seconds of the first page without a browser, caches empty."""
    for name in NEEDED:
        import_module(name, "ner_mlflow.demo")
    started, cpu = time.perf_counter(), time.process_time()
    app = AppTest.from_file(APP, default_timeout=60).run()
    assert not app.exception
    return time.perf_counter() - started, time.process_time() - cpu


def time_page(browser: Browser, address: str) -> float:
    """Return the seconds from the request to the verdict on the first page."""
    context = browser.new_context()
    page = context.new_page()
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.get_by_role("heading", name=VERDICT).wait_for(timeout=60_000)
    seconds = time.perf_counter() - started
    context.close()
    return seconds


if __name__ == "__main__":
    main()
