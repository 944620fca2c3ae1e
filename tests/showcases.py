"""Stores for the tests of the showcase: one of real steps, and one full of markup."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from streamlit.testing.v1 import AppTest

import ner_mlflow
from ner_mlflow.config.loading import load_config
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.models import find_model
from ner_mlflow.tracking.records import EvaluateRecord, TrainRecord, VersionOrigin
from ner_mlflow.tracking.run import Run
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.promote import run_promote
from ner_mlflow.workflows.robustness import run_robustness

MODEL = "ding-ner"
"""Name of the registered model."""
OpenPage = Callable[[str], AppTest]
"""A function that opens a page by the name of its file."""
TYPES = ("Gerät", "Zahl")
"""Types that no part of the package knows."""
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)> **bold** [x](javascript:alert(3))"
"""A name that is markup, in HTML and in Markdown."""


@dataclass(frozen=True)
class Showcase:
    """A store of real steps: two trainings, the first a good one and the champion."""

    store: str
    data_run: str
    trained: tuple[TrainRecord, ...]
    evaluated: tuple[EvaluateRecord, ...]


def build_store(store: str, folder: Path, backbone: Path) -> Showcase:
    """Fill an empty store: data, two models, their scores, exports and promotions, robustness."""
    corpus = _write_corpus(folder / "corpus")
    settings: dict[str, dict[str, Any]] = {
        "data": {"label_map": "keep"},
        "model": {"backbone": str(backbone), "max_length": 32},
        "train": {"learning_rate": 5e-3, "batch_size": 8},
        "evaluate": {"resamples": 100},
        "export": {
            "variants": ["fp32", "int8"],
            "served": ["int8", "fp32"],
            "f1_tolerance": 1.0,
            "resamples": 100,
            "latency_length": 8,
            "latency_runs": 4,
            "latency_warmup_runs": 0,
            "throughput_sentences": 12,
        },
        "robustness": {"kinds": ["casing", "typos"], "sentences": 8},
        "promote": {"latency_runs": 4, "resamples": 100, "max_latency_ratio": 0.01},
    }
    preset = folder / "klein.yaml"
    preset.write_text(json.dumps(settings), encoding="utf-8")
    config = load_config(str(preset))
    of_steps = {
        f"{section}.{name}": value
        for section in ("evaluate", "export")
        for name, value in settings[section].items()
    }
    data = ner_mlflow.prepare(str(corpus), preset=str(preset))
    trained, evaluated = [], []
    for epochs, rate in ((6, 5e-3), (1, 1e-5)):
        how = {"train.epochs": epochs, "train.learning_rate": rate}
        record = ner_mlflow.train(data, preset=str(preset), settings=how)
        trained.append(record)
        evaluated.append(ner_mlflow.evaluate(record, settings=of_steps))
        exported = ner_mlflow.export(
            record, registered_model=MODEL, alias="candidate", settings=of_steps
        )
        with open_run(Step.PROMOTE, "promote") as run:
            run_promote(run, config, MODEL, "candidate", "champion")
    with open_run(Step.ROBUSTNESS, "robustness") as run:
        model = find_model(exported.model_uri)
        run_robustness(run, config.robustness, config.evaluate, model, data)
    return Showcase(store, data.run_id, tuple(trained), tuple(evaluated))


def build_hostile_store() -> None:
    """Fill MLflow's store with runs and a model whose names, texts and types are markup."""
    tokens, tags = [[EVIL, "runs"]] * 3, [[f"B-{EVIL}", "O"]] * 3
    with open_run(Step.EVALUATE, EVIL) as run:
        record = EvaluateRecord(
            run_id=run.id,
            data_run="0" * 32,
            dataset=EVIL,
            dataset_fingerprint="f" * 64,
            model="runs:/none",
            split="test",
        )
        record.write(run)
        run.log_metrics({"test/f1": 0.5, "test/f1_low": 0.4, "test/f1_high": 0.6})
        _log_predictions(run, tokens, tags, [tags[0], ["O", f"B-{EVIL}"], ["O", "O"]])
    client = mlflow.MlflowClient()
    client.create_registered_model(MODEL)
    origin = VersionOrigin(variant="int8", evaluate_run=run.id, preset=EVIL)
    tags_of_version = {**origin.tags(), "promotion_reason": EVIL, "promoted_by": EVIL}
    version = client.create_model_version(
        MODEL, f"runs:/{run.id}/model", tags=tags_of_version, description=EVIL
    )
    client.set_registered_model_alias(MODEL, "champion", version.version)
    with open_run(Step.PROMOTE, EVIL) as run:
        run.set_tags(
            {
                "candidate": f"models:/{MODEL}/1",
                "champion": EVIL,
                "alias": "champion",
                "reason": EVIL,
                "outcome": "promoted",
                "passed": "true",
            }
        )


def _log_predictions(
    run: Run,
    tokens: Sequence[Sequence[str]],
    gold: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
) -> None:
    frame = pd.DataFrame({"tokens": tokens, "gold": gold, "predicted": predicted})
    run.log_frame("predictions", frame)


def _write_corpus(folder: Path) -> Path:
    folder.mkdir()
    for split, count in (("train", 60), ("validation", 12), ("test", 12)):
        lines = [
            f"I\tO\nuse\tO\nUbuntu\tB-Gerät\n{number}.04\tB-Zahl\n{split}\tO\n"
            for number in range(count)
        ]
        (folder / f"{split}.conll").write_text("\n".join(lines), encoding="utf-8")
    return folder


def text_of(app: AppTest) -> str:
    """Return all HTML and Markdown of a page."""
    parts = [element.proto.body for element in app.get("html")]
    for kind in ("markdown", "error", "warning"):
        parts += [element.value for element in app.get(kind)]
    return "\n".join(parts)
