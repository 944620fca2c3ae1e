"""Relative latency does not depend on what else the machine does."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import BertConfig, BertModel

from ner_mlflow.config.loading import load_config
from ner_mlflow.cpus import usable_cpus
from ner_mlflow.data.sample import generate_sample
from ner_mlflow.exporting.relative_latency import RelativeLatency
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.modeling.checkpoint import Checkpoint, load_model, save_model
from ner_mlflow.tagging.label_schema import LabelSchema

SENTENCES = [sentence.tokens for sentence in generate_sample(13)["validation"][:40]]
SETTINGS = load_config(
    overrides={"export.latency_runs": 120, "export.latency_warmup_runs": 20}
).export


def saved(backbone: Path, folder: Path, adaptation: str = "full") -> Checkpoint:
    config = load_config(
        overrides={
            "model.backbone": str(backbone),
            "model.max_length": 48,
            "model.adaptation": adaptation,
        }
    )
    save_model(
        build_model(
            resolve_backbone(str(backbone)), config.model, LabelSchema(("OS", "VERSION")), 1
        ),
        folder,
    )
    return load_model(folder)


@pytest.fixture
def busy() -> Iterator[None]:
    """More work than the machine has cores for."""
    count = 2 * usable_cpus()
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    yield
    for process in spinning:
        process.kill()
        process.wait()


@pytest.fixture
def deeper_backbone(tiny_backbone: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "deeper"
    config = BertConfig.from_pretrained(tiny_backbone, num_hidden_layers=8)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((tiny_backbone / name).read_bytes())
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("busy")
def test_equal_networks_are_equally_fast_and_a_deeper_one_slower_on_a_busy_machine(
    tiny_backbone: Path, deeper_backbone: Path, tmp_path: Path
) -> None:
    relative = RelativeLatency(saved(tiny_backbone, tmp_path / "reference"), SENTENCES, SETTINGS)
    adapted = relative(saved(tiny_backbone, tmp_path / "adapted", "lora"))
    deeper = relative(saved(deeper_backbone, tmp_path / "layers"))
    assert adapted["latency/one_core/p50_ratio"] == pytest.approx(1.0, abs=0.15)
    assert 1.5 < deeper["latency/one_core/p50_ratio"] < 5
    assert deeper["latency/one_core/p50_ms"] > adapted["latency/one_core/p50_ms"]
