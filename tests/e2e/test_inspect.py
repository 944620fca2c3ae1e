"""`inspect` under `mlflow run`: the run holds the page and no dataset, and no step takes it up."""

import re
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from conftest import ROOT, assert_no_run_is_running, mlflow_run, runs, user_environment
from mlflow.entities import Run
from pipelines import write_corpus

from ner_mlflow.tracking.queries import latest_run
from ner_mlflow.tracking.steps import Step


def artifacts(run: Run) -> set[str]:
    return {entry.path for entry in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)}


def test_the_run_of_mlflow_run_holds_the_page_and_is_no_data_run(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    corpus = write_corpus(tmp_path / "my corpus")
    done = mlflow_run(store, "-e", "inspect", "-P", f"dataset={corpus}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 splits, 84 sentences, 2 types" in done.stdout
    command = f"mlflow run . --env-manager local -P 'dataset={corpus}' -P label_map=it5"
    assert command in done.stdout
    (run,) = runs(store, "inspect")
    assert run.info.status == "FINISHED"
    assert run.info.run_name == f"inspect {corpus}"
    assert artifacts(run) == {"card.html", "provenance.yaml"}
    assert not run.inputs.dataset_inputs
    assert not any(tag.startswith("ner.dataset") for tag in run.data.tags)
    page = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/card.html")
    assert "Ubuntu<sub>OS</sub>" in page
    assert latest_run(Step.DATA, run.info.experiment_id) is None
    assert len(mlflow.search_runs(["0"], output_format="list")) == 1
    assert_no_run_is_running(store)


def test_a_refused_corpus_fails_the_run_that_holds_the_page(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    corpus = write_corpus(tmp_path / "corpus")
    (corpus / "test.conll").unlink()
    (corpus / "test.jsonl").write_text('{"tokens": ["a"], "ner_tags": []}\n', encoding="utf-8")
    done = mlflow_run(store, "-e", "inspect", "-P", f"dataset={corpus}", cwd=tmp_path)
    assert done.returncode != 0
    assert "60 sentences" in done.stdout
    assert len(re.findall(r"^error: .*test\.jsonl:1: 1 tokens", done.stderr, re.MULTILINE)) == 1
    (run,) = runs(store, "inspect")
    assert run.info.status == "FAILED"
    assert "test.jsonl:1" in run.data.tags["ner.error"]
    assert "card.html" in artifacts(run)


@pytest.mark.parametrize("script", ["inspect_corpus", "data"])
@pytest.mark.parametrize("by_path", [True, False])
def test_scripts_are_called_by_path_or_as_modules(script: str, by_path: bool) -> None:
    names = [f"entrypoints/{script}.py"] if by_path else ["-m", f"entrypoints.{script}"]
    done = subprocess.run(
        [sys.executable, *names, "--help"],
        cwd=ROOT,
        env=user_environment("sqlite://", PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout
