"""Throughput: each model tags the same sentences in turns."""

from pathlib import Path

from ner_mlflow.data.sentences import Sentence
from ner_mlflow.exporting.onnx_files import write_fp32
from ner_mlflow.exporting.throughput import sentences_per_s
from ner_mlflow.modeling.checkpoint import Checkpoint


def test_each_model_has_a_speed_in_the_given_order(
    checkpoint: Checkpoint, sentences: dict[str, list[Sentence]], tmp_path: Path
) -> None:
    write_fp32(checkpoint, tmp_path / "fp32")
    words = [sentence.tokens for sentence in sentences["validation"]]
    folders = {"second": tmp_path / "fp32", "first": tmp_path / "fp32"}
    rates = sentences_per_s(folders, words, rounds=2)
    assert list(rates) == ["second", "first"]
    assert all(rate > 0 for rate in rates.values())
