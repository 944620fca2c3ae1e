"""Delete for good what users deleted, but nothing that a registered version needs.

usage: python -m deploy.collect_garbage [--older-than 30d] [--dry-run]

`mlflow gc` looks at no registry: it deletes a run or a model in the bin even if an alias points to
it. This command first asks the database what the registered versions need: their runs and models,
and the runs that their tags name, such as the data, the training and the evaluation (and so on).
Then it calls `mlflow gc` with the rest. It goes around three faults of `mlflow gc` 3.17:

- Without names it takes everything, and there is no way to name no run or no experiment.
- The models of a deleted experiment go without their files.
- An experiment goes even if `--run-ids` names other things.

The server must run, because artifacts are deleted through it.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psycopg
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from .common import (
    TRACKING_DATABASE,
    DeployError,
    connect,
    database_url,
    exclusive,
    run_command,
    run_program,
    setting,
)

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
NONE = "none"
"""Names no run and no model. `mlflow gc --all-workspaces` passes over unknown names."""
BATCH = 1000
"""Runs, and models, of one call of `mlflow gc`: a command line has an end."""
_ID = re.compile(r"\b(?:m-)?[0-9a-f]{32}\b")

VERSIONS = """
select v.name || '/' || v.version, v.run_id, v.source, tags.value
from model_versions v
left join model_version_tags tags
  on (tags.workspace, tags.name, tags.version) = (v.workspace, v.name, v.version)
where v.current_stage is distinct from 'Deleted_Internal'
"""
RUN_TAGS = "select run_uuid, value from tags where run_uuid = any(%s) and key not like 'mlflow.%%'"
MODEL_RUNS = "select model_id, source_run_id from logged_models where model_id = any(%s)"
DELETED_RUNS = """
select run_uuid from runs where lifecycle_stage = 'deleted' and deleted_time <= %s
"""
DELETED_MODELS = """
select model_id from logged_models
where lifecycle_stage = 'deleted' and last_updated_timestamp_ms <= %s
"""
DELETED_EXPERIMENTS = """
select e.experiment_id::text, e.name, e.last_update_time < %s,
  array(select run_uuid from runs where runs.experiment_id = e.experiment_id)
  || array(select model_id from logged_models m where m.experiment_id = e.experiment_id)
from experiments e where e.lifecycle_stage = 'deleted'
"""
MODELS_OF_EXPERIMENTS = """
select e.experiment_id::text, e.workspace, m.model_id, m.lifecycle_stage = 'active'
from logged_models m join experiments e using (experiment_id)
where e.experiment_id::text = any(%s)
"""


@dataclass(frozen=True)
class Garbage:
    """What may go.

    Attributes:
        runs: ids of deleted runs.
        models: ids of deleted logged models.
        experiments: ids of deleted experiments.
        contents: the models of these experiments: experiment, its workspace, model, and whether the
            model is not deleted itself.
        kept: deleted runs and models that stay -> the version that needs them.
    """

    runs: list[str]
    models: list[str]
    experiments: list[str]
    contents: list[tuple[str, str, str, bool]]
    kept: Mapping[str, str]


def needed_by_versions(connection: psycopg.Connection) -> dict[str, str]:
    """Return the ids of runs and models that registered versions need -> a version."""
    needed: dict[str, str] = {}
    found: dict[str, str] = {}
    for version, run_id, source, tag in connection.execute(VERSIONS):
        found |= dict.fromkeys(_ids([run_id, source, tag]), str(version))
    while found:
        needed |= found
        names = list(found)
        rows = [*connection.execute(RUN_TAGS, [names]), *connection.execute(MODEL_RUNS, [names])]
        found = {
            reference: needed[name]
            for name, text in rows
            for reference in _ids([text])
            if reference not in needed
        }
    return needed


def find_garbage(connection: psycopg.Connection, older_than_s: float) -> Garbage:
    """Return what was deleted longer ago than some seconds and no registered version needs.

    Raises:
        DeployError: a deleted experiment holds what a version needs.
    """
    before_ms = int((time.time() - older_than_s) * 1000)
    needed = needed_by_versions(connection)
    experiments = []
    for experiment, name, is_old, content in connection.execute(DELETED_EXPERIMENTS, [before_ms]):
        for item in content:
            if item in needed:
                raise DeployError(
                    f"experiment {name} is deleted, but version {needed[item]} needs its {item}: "
                    f"mlflow experiments restore --experiment-id {experiment}, or delete the "
                    "version; nothing was deleted"
                )
        if is_old:
            experiments.append(experiment)
    runs, models = (
        [name for (name,) in connection.execute(query, [before_ms])]
        for query in (DELETED_RUNS, DELETED_MODELS)
    )
    return Garbage(
        [name for name in runs if name not in needed],
        [name for name in models if name not in needed],
        experiments,
        [tuple(row) for row in connection.execute(MODELS_OF_EXPERIMENTS, [experiments])],
        {name: needed[name] for name in [*runs, *models] if name in needed},
    )


def collect(garbage: Garbage, older_than: str) -> None:
    """Delete garbage for good.

    Raises:
        DeployError: MLflow refuses.
    """
    gc = [sys.executable, "-m", "mlflow", "gc", "--all-workspaces"]
    gc += ["--backend-store-uri", database_url(TRACKING_DATABASE)]
    for _, workspace, model, is_active in garbage.contents:
        if is_active:
            _put_into_the_bin(model, workspace)
    for experiment in garbage.experiments:
        models = [model for place, _, model, _ in garbage.contents if place == experiment]
        named = ["--run-ids", NONE, "--logged-model-ids", ",".join(models) or NONE]
        run_program(*gc, *named, "--experiment-ids", experiment)
    with connect(TRACKING_DATABASE) as connection:  # what went with the experiments is gone
        query = "select run_uuid from runs union select model_id from logged_models"
        left = {name for (name,) in connection.execute(query)}
    runs = [name for name in garbage.runs if name in left]
    models = [name for name in garbage.models if name in left]
    for start in range(0, max(len(runs), len(models)), BATCH):
        named = ["--run-ids", ",".join(runs[start : start + BATCH]) or NONE]
        named += ["--logged-model-ids", ",".join(models[start : start + BATCH]) or NONE]
        run_program(*gc, "--older-than", older_than, *named)


def _put_into_the_bin(model: str, workspace: str) -> None:
    os.environ["MLFLOW_WORKSPACE"] = workspace
    try:
        MlflowClient().delete_logged_model(model)
    except MlflowException as error:
        reason = " ".join(str(error).split())
        raise DeployError(f"model {model} cannot be deleted ({reason})") from error
    finally:
        del os.environ["MLFLOW_WORKSPACE"]


def seconds_of(text: str) -> float:
    """Return the seconds of a duration such as ``30d``, ``12h``, ``5m`` or ``0s``.

    Raises:
        DeployError: it is none.
    """
    match = re.fullmatch(r"(\d+)([dhms])", text)
    if not match:
        raise DeployError(f"--older-than {text!r} is no duration: give one such as 30d or 12h")
    return int(match[1]) * SECONDS[match[2]]


def _ids(texts: Iterable[str | None]) -> set[str]:
    return {name for text in texts for name in _ID.findall(text or "")}


def main() -> None:
    """Collect garbage."""
    parser = argparse.ArgumentParser(prog="python -m deploy.collect_garbage", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--older-than", default="30d", help="time since deletion (default: 30d)")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    arguments = parser.parse_args()
    older_than_s = seconds_of(arguments.older_than)
    setting("MLFLOW_TRACKING_URI")
    setting("MLFLOW_TRACKING_USERNAME")
    with exclusive():
        with connect(TRACKING_DATABASE) as connection:
            connection.autocommit = False
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            garbage = find_garbage(connection, older_than_s)
        for name, version in garbage.kept.items():
            print(f"{name} stays: version {version} needs it")
        if not arguments.dry_run:
            collect(garbage, arguments.older_than)
    models = {*garbage.models, *(model for _, _, model, _ in garbage.contents)}
    print(
        f"{'would delete' if arguments.dry_run else 'deleted'} {len(garbage.runs)} runs, "
        f"{len(models)} models and {len(garbage.experiments)} "
        "experiments for good"
    )


if __name__ == "__main__":
    run_command(main)
