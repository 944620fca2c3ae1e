"""Compare the speed and F1 of our training with those of the study's recipe.

It trains one backbone on one corpus in one process, first by the study's recipe with the plain
transformers Trainer, then by ours. The study's recipe is fp32 on a CPU and fp16 on a GPU, batches
of 16 in random order, each padded to its longest sentence, and gradient checkpointing. Both run
for the same number of epochs, with our learning rate. It prints the training speed of each in real
subwords (without padding) per second, validation not counted, and the validation F1 of the best
epoch.

usage: python -m benchmarks.training DATASET [--preset minilm_full] [--epochs 5]
    [--set train.batch_size=32] ...
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from transformers import (
    DataCollatorForTokenClassification,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import Config
from ner_mlflow.config.settings import parse_assignments
from ner_mlflow.data.prepare import Preparation, prepare
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.evaluation.scores import score_tagger
from ner_mlflow.logs import show_progress
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import backend_tokenizer, build_model
from ner_mlflow.modeling.dataset import TrainingData
from ner_mlflow.modeling.fit import fit
from ner_mlflow.modeling.predict import torch_tagger
from ner_mlflow.modeling.training_text import training_text
from ner_mlflow.provenance import hardware
from ner_mlflow.tagging.encoding import label_window
from ner_mlflow.tagging.label_schema import LabelSchema

STUDY_BATCH_SIZE = 16
STUDY_WARMUP_RATIO = 0.06


def main() -> None:
    """Train by both recipes, and print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset")
    parser.add_argument("--preset", default="minilm_full")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    show_progress()
    overrides = {
        "data.dataset": arguments.dataset,
        "train.epochs": arguments.epochs,
        **parse_assignments(arguments.set),
    }
    config = load_config(arguments.preset, overrides)
    preparation = prepare(read_corpus(config.data).corpus, config.data)
    reference = train_reference(
        config, preparation.corpus["train"], preparation.corpus["validation"], preparation.schema
    )
    print("reference:", reference, flush=True)
    metrics = train_ours(config, preparation)
    ours = {"f1": metrics["best_validation/f1"], "subwords_per_s": metrics["train/subwords_per_s"]}
    print("ours:", ours, flush=True)
    result = {
        "ratio": ours["subwords_per_s"] / reference["subwords_per_s"],
        **{
            f"{name}_{recipe}": values[name]
            for recipe, values in (("ours", ours), ("reference", reference))
            for name in ("f1", "subwords_per_s")
        },
        "epochs": config.train.epochs,
        "preset": arguments.preset,
        "set": arguments.set,
        "hardware": hardware(),
    }
    print(json.dumps(result))


def train_ours(
    config: Config,
    preparation: Preparation,
    measure: Callable[[Path], dict[str, float]] | None = None,
) -> dict[str, float]:
    """Train as the `train` step does, and return the metrics.

    Args:
        config: the settings.
        preparation: the prepared corpus.
        measure: returns further metrics of the trained model in a folder.
    """
    backbone = resolve_backbone(config.model.backbone, config.model.revision)
    model = build_model(backbone, config.model, preparation.schema, config.train.seed)
    corpus = preparation.corpus
    train = training_text(corpus["train"], preparation.schema.types, config.model, config.train)
    data = TrainingData(train, corpus["validation"], preparation.schema)
    with tempfile.TemporaryDirectory() as folder:
        result = fit(model, data, config.train, Path(folder))
        return {**result.metrics, **(measure(result.model_folder) if measure else {})}


def train_reference(
    config: Config, train: Sequence[Sentence], validation: Sequence[Sentence], schema: LabelSchema
) -> dict[str, float]:
    """Train by the study's recipe, and return the best validation F1 and the speed."""
    model = build_model(
        resolve_backbone(config.model.backbone),
        config.model.model_copy(update={"casing_embeddings": "never"}),
        schema,
        config.train.seed,
    )
    windows = model.spec.encoder(backend_tokenizer(model.tokenizer)).windows(
        [sentence.tokens for sentence in train]
    )
    rows = [
        {
            "input_ids": window.input_ids.tolist(),
            "labels": label_window(
                window, [schema.ids[tag] for tag in train[window.sentence].tags]
            ).tolist(),
        }
        for window in windows
    ]
    scorer = _Scorer(
        lambda: score_tagger(
            torch_tagger(model.network, backend_tokenizer(model.tokenizer), model.spec), validation
        )["f1"]
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model.network,
            train_dataset=rows,
            data_collator=DataCollatorForTokenClassification(model.tokenizer),
            callbacks=[scorer],
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=config.train.epochs,
                per_device_train_batch_size=STUDY_BATCH_SIZE,
                learning_rate=config.train.learning_rate,
                weight_decay=config.train.weight_decay,
                warmup_steps=STUDY_WARMUP_RATIO,
                activation_checkpointing=True,
                fp16=torch.cuda.is_available(),
                use_cpu=not torch.cuda.is_available(),
                seed=config.train.seed,
                eval_strategy="no",
                save_strategy="no",
                logging_steps=100,
                disable_tqdm=True,
                report_to=[],
            ),
        )
        trainer.remove_callback(PrinterCallback)
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started - scorer.seconds
    subwords = config.train.epochs * sum(len(window.input_ids) for window in windows)
    return {"f1": max(scorer.f1), "subwords_per_s": subwords / seconds}


class _Scorer(TrainerCallback):  # type: ignore[misc]  # untyped in transformers
    """A callback that scores validation after each epoch, and measures the time this takes."""

    def __init__(self, score: Callable[[], float]) -> None:
        self._score = score
        self.f1: list[float] = []
        self.seconds = 0.0

    def on_epoch_end(self, *_: object, **__: object) -> None:
        """Score validation."""
        started = time.perf_counter()
        self.f1.append(self._score())
        self.seconds += time.perf_counter() - started
        print(f"reference: epoch {len(self.f1)}, validation F1 {self.f1[-1]:.4f}", flush=True)


if __name__ == "__main__":
    main()
