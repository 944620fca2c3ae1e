"""The registered model on a Spark cluster of two workers: the same rows as here."""

import json
from pathlib import Path

import pandas as pd
import pytest
from conftest import entry_point, mlflow_run

pytest.importorskip("pyspark", reason="the extra spark is not installed")

CLUSTER = "local-cluster[2,1,1024]"
"""Spark's standalone cluster on this machine: two worker processes of one core and 1024 MiB each."""


@pytest.mark.slow
def test_rows_from_a_cluster_are_those_from_here(tiny_preset: Path, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    main = mlflow_run(store, "-P", f"presets={tiny_preset}", cwd=tmp_path)
    assert main.returncode == 0, main.stderr
    rows = [{"id": number, "text": f"I upgraded to Ubuntu 22.{number} ." if number % 3 else ""} for number in range(400)]
    source = tmp_path / "in.jsonl"
    source.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    here = entry_point(store, "predict", "--input", str(source), "--output", str(tmp_path / "here.parquet"))
    assert here.returncode == 0, here.stderr
    there = mlflow_run(
        store, "-e", "predict", "-P", f"input={source}", "-P", f"output={tmp_path / 'there'}", "-P", "engine=spark", "-P", f"spark_master={CLUSTER}"
    )
    assert there.returncode == 0, there.stderr
    assert "400 texts in " in there.stdout
    one, other = (pd.read_parquet(tmp_path / name).sort_values("id").to_dict("records") for name in ("here.parquet", "there"))
    assert [row["text"] for row in one] == [row["text"] for row in other]
    assert sum(len(row["entities"]) for row in one) > 100
    for first, second in zip(one, other, strict=True):
        assert [(e["text"], e["label"], e["start"], e["end"]) for e in first["entities"]] == [
            (e["text"], e["label"], e["start"], e["end"]) for e in second["entities"]
        ]
        assert [e["score"] for e in first["entities"]] == pytest.approx([e["score"] for e in second["entities"]], abs=1e-3)
