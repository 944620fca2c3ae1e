"""Latency: each contender and each input is timed equally often."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ner_mlflow.exporting.latency import interleaved_latency_ms, model_loader
from ner_mlflow.exporting.onnx_files import write_fp32
from ner_mlflow.modeling.checkpoint import Checkpoint


def test_each_contender_is_timed_as_often_as_configured(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    ids = np.arange(5, 15)[None, :]
    inputs = [{"input_ids": ids, "attention_mask": np.ones_like(ids)}]
    write_fp32(checkpoint, tmp_path / "fp32")
    loader = model_loader(tmp_path / "fp32")
    contenders = {"first": (loader, inputs), "second": (loader, inputs)}
    times = interleaved_latency_ms(contenders, runs=11, warmup_runs=1)
    assert {name: len(values) for name, values in times.items()} == dict.fromkeys(contenders, 11)
    assert all(value > 0 for values in times.values() for value in values)


def test_every_input_is_timed_as_often_as_any_other() -> None:
    inputs = [{"input_ids": np.array([[number]])} for number in range(16)]
    seen: list[int] = []

    def load() -> Callable[[dict[str, np.ndarray]], np.ndarray]:
        return lambda chosen: np.array(seen.append(int(chosen["input_ids"][0, 0])))

    interleaved_latency_ms({"one": (load, inputs)}, runs=16, warmup_runs=0)
    assert seen == list(range(16))
    seen.clear()
    interleaved_latency_ms({"one": (load, inputs)}, runs=48, warmup_runs=0)
    assert Counter(seen) == dict.fromkeys(range(16), 3)
