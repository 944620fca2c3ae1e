"""Exported models are timed in turns, on the same sentences."""

from pathlib import Path

from ner_mlflow.data.sentences import Sentence
from ner_mlflow.exporting.onnx_files import write_fp32
from ner_mlflow.exporting.side_by_side import time_side_by_side
from ner_mlflow.modeling.checkpoint import Checkpoint


def test_each_model_has_a_median_in_the_given_order(
    checkpoint: Checkpoint, sentences: dict[str, list[Sentence]], tmp_path: Path
) -> None:
    write_fp32(checkpoint, tmp_path / "fp32")
    # The first window of a long sentence is timed.
    words = [sentence.tokens for sentence in sentences["validation"][:3]] + [("Linux",) * 400]
    folders = {"second": tmp_path / "fp32", "first": tmp_path / "fp32"}
    times = time_side_by_side(folders, words, runs=5, warmup_runs=1).p50_ms
    assert list(times) == ["second", "first"]
    assert all(median_ms > 0 for median_ms in times.values())
