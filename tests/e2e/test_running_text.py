"""A corpus of raw texts is scored, proven and promoted on these texts, as users send them."""

import json
import random
from pathlib import Path

import mlflow
import pytest
from conftest import mlflow_run, runs

from ner_mlflow.config.loading import load_config
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.workflows.promote import run_promote

NAME = "raw-ner"
TEXTS = {"train": 160, "validation": 30, "test": 30}


def write_texts(folder: Path) -> Path:
    """Write texts of two sentences with entities at offsets of characters."""
    chance = random.Random(2)
    folder.mkdir()
    for split, count in TEXTS.items():
        rows = []
        for number in range(count):
            system = chance.choice(["Ubuntu", "Fedora", "Windows"])
            version = f"{chance.randint(1, 9)}.{chance.randint(0, 9)}"
            text = (
                f"The server runs on {system}.\nThe error began after {version}, number {number}."
            )
            labels = [
                [text.index(part), text.index(part) + len(part), type_]
                for part, type_ in ((system, "OS"), (version, "VERSION"))
            ]
            rows.append(json.dumps({"id": f"{split}-{number}", "text": text, "label": labels}))
        (folder / f"{split}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_raw_texts_are_scored_proven_and_decide_on_promotion(
    tiny_preset: Path, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    dataset = write_texts(tmp_path / "texts")
    options = [f"presets={tiny_preset}", f"dataset={dataset}", "label_map=keep", "epochs=4"]
    options.append(f"registered_model={NAME}")
    arguments = [part for option in options for part in ("-P", option)]
    done = mlflow_run(store, *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    evaluation, served = runs(store, "evaluate")
    metrics = evaluation.data.metrics
    assert {"raw/f1", "raw/f1_low", "raw/overlap_f1", "raw/OS/f1"} <= set(metrics)
    assert metrics["raw/support"] == 2 * TEXTS["test"]
    assert metrics["served/f1_lost"] == pytest.approx(metrics["test/f1"] - metrics["raw/f1"])
    assert not [name for name in metrics if name.startswith("standin/")]
    (export,) = runs(store, "export")
    proof = mlflow.load_table("tables/variants.json", run_ids=[export.info.run_id])
    assert {"validation_raw_f1", "validation_served_f1_lost"} <= set(proof.columns)
    (main,) = runs(store, "main")
    results = mlflow.load_table("tables/results.json", run_ids=[main.info.run_id])
    assert results["raw_f1"][0] == pytest.approx(metrics["raw/f1"])
    in_text = served.data.metrics["raw/f1"]
    assert main.data.metrics["raw/f1"] == in_text
    assert f"on raw texts it has {in_text:.4f}" in done.stdout

    client = mlflow.MlflowClient()
    first = client.get_model_version(NAME, "1")
    assert f"| test, raw texts&emsp; | {in_text:.4f}&emsp; |" in first.description
    client.create_model_version(NAME, first.source, tags=first.tags)
    config = load_config(str(tiny_preset), {"promote.latency_runs": 8, "promote.resamples": 200})
    with open_run("promote", "promote") as run:
        verdict = run_promote(run, config, NAME, "2", "champion", dry_run=True).verdict
    (evidence,) = (check.evidence for check in verdict.checks if "worse" in check.condition)
    assert evidence.startswith("on raw texts ")
    assert "on raw texts" in verdict.reason
