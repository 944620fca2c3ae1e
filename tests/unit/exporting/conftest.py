"""A small model that has learned the sample corpus, for tests of what an export loses."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import ExportConfig
from ner_mlflow.data.sample import generate_sample
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.modeling.checkpoint import Checkpoint, load_model, save_model
from ner_mlflow.tagging.encoding import IGNORED, WordEncoder, batches, collate, label_window, pad
from ner_mlflow.tagging.label_schema import LabelSchema

MAX_LENGTH = 48
EPOCHS = 8
SCHEMA = LabelSchema(("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION"))


@pytest.fixture(scope="session")
def export_settings() -> ExportConfig:
    """Settings with few measurements that serve fp32."""
    return load_config(
        overrides={
            "export.latency_runs": 4,
            "export.latency_warmup_runs": 0,
            "export.latency_length": 32,
            "export.served": ["fp32"],
        }
    ).export


@pytest.fixture(scope="session")
def sentences() -> dict[str, list[Sentence]]:
    """Sentences to train on, and others from the same templates for the proof."""
    sample = generate_sample(13)["train"]
    return {"train": sample[:400], "validation": sample[400:460]}


@pytest.fixture(scope="session")
def checkpoint(
    tiny_backbone: Path,
    sentences: dict[str, list[Sentence]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Checkpoint:
    """A model that tags most entities of the validation sentences."""
    config = load_config(
        overrides={
            "model.backbone": str(tiny_backbone),
            "model.max_length": MAX_LENGTH,
            "model.casing_embeddings": "never",
        }
    )
    folder = tmp_path_factory.mktemp("model")
    save_model(build_model(resolve_backbone(str(tiny_backbone)), config.model, SCHEMA, 1), folder)
    checkpoint = load_model(folder)
    _train(checkpoint, sentences["train"])
    return checkpoint


def _train(checkpoint: Checkpoint, sentences: list[Sentence]) -> None:
    generator = np.random.default_rng(1)
    torch.manual_seed(1)
    windows = WordEncoder(checkpoint.tokenizer, MAX_LENGTH).windows(
        [sentence.tokens for sentence in sentences]
    )
    labels = [
        label_window(window, [SCHEMA.ids[tag] for tag in sentences[window.sentence].tags])
        for window in windows
    ]
    parts = list(batches(windows, 512))
    optimizer = torch.optim.Adam(checkpoint.network.parameters(), lr=3e-3)
    for _ in range(EPOCHS):
        for index in generator.permutation(len(parts)):
            batch = parts[index]
            inputs = collate([windows[position] for position in batch], 0)
            logits = checkpoint.network(
                **{name: torch.from_numpy(values) for name, values in inputs.items()}
            ).logits
            gold = torch.from_numpy(pad([labels[position] for position in batch], IGNORED))
            loss = functional.cross_entropy(
                logits.flatten(0, 1), gold.flatten(), ignore_index=IGNORED
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
