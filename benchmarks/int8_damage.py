"""Measure what int8 costs in F1 and brings in speed, with and without mended layers.

Exports each trained model to fp32, to int8 as ONNX Runtime quantises it ("plain"), and to int8 as
`export` writes it, and scores all three on validation. Then the three files tag the same sentences
in turns in one process, each on one core; the ratio of CPU times is that of speeds, and other work
on the machine changes it little. The test split is not read.

usage: python -m benchmarks.int8_damage CORPUS MODEL [MODEL ...] [--rounds 7] [--timed 512]
                                        [--set export.int8_damage_limit=0.001]

CORPUS is a value of `data.dataset`; MODEL is the folder of a trained model, merged if it is LoRA.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import ExportConfig
from ner_mlflow.config.settings import parse_assignments
from ner_mlflow.data.prepare import prepare
from ner_mlflow.data.sentences import TRAIN, VALIDATION, Corpus, Sentence
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.evaluation.scores import score_tagger
from ner_mlflow.exporting.onnx_files import write_fp32
from ner_mlflow.exporting.variants import write_int8_variant
from ner_mlflow.logs import show_progress
from ner_mlflow.modeling.checkpoint import load_model
from ner_mlflow.provenance import hardware
from ner_mlflow.tagging.encoding import batches, collate
from ner_mlflow.tagging.engines import MODEL_FILE
from ner_mlflow.tagging.onnx_engine import onnx_forward, onnx_session
from ner_mlflow.tagging.recognizer import TOKENIZER_FILE, load_tagger
from ner_mlflow.tagging.tagger import TaggerSpec

UNLIMITED = sys.float_info.max
BATCH_SUBWORDS = 2048


def main() -> None:
    """Measure and print; the last line is one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus")
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--timed", type=int, default=512, help="sentences tagged in each turn")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    show_progress()
    config = load_config(
        overrides={"data.dataset": arguments.corpus, **parse_assignments(arguments.set)}
    )
    corpus = prepare(read_corpus(config.data).corpus, config.data).corpus
    models = {}
    for model in arguments.models:
        with tempfile.TemporaryDirectory(prefix="ner-mlflow-") as folder:
            models[str(model)] = _measure(
                model, corpus, config.export, Path(folder), arguments.rounds, arguments.timed
            )
        print(json.dumps({str(model): models[str(model)]}), flush=True)
    print(
        json.dumps(
            {
                "models": models,
                "largest_f1_loss": max(model["f1_loss"]["int8"] for model in models.values()),
                "smallest_speed_ratio": min(
                    model["speed_ratio_to_fp32"]["int8"]["median"] for model in models.values()
                ),
                "damage_limit_nats": config.export.int8_damage_limit,
                "hardware": hardware(),
            }
        )
    )


def _measure(
    model: Path,
    corpus: Corpus,
    config: ExportConfig,
    folder: Path,
    rounds: int,
    timed: int,
) -> dict[str, Any]:
    checkpoint = load_model(model)
    train, validation = corpus[TRAIN], corpus[VALIDATION]
    fp32 = folder / "fp32"
    write_fp32(checkpoint, fp32)
    unlimited = config.model_copy(
        update={"int8_damage_limit": UNLIMITED, "int8_damage_sentences": 1}
    )
    write_int8_variant(checkpoint, fp32, folder / "plain", train, validation, unlimited)
    started = time.process_time()
    int8 = write_int8_variant(checkpoint, fp32, folder / "int8", train, validation, config)
    seconds = time.process_time() - started
    folders = {name: folder / name for name in ("fp32", "plain", "int8")}
    f1 = {name: score_tagger(load_tagger(path), validation)["f1"] for name, path in folders.items()}
    ratios = _speed_ratios(folders, validation[:timed], rounds)
    return {
        "validation_f1": f1,
        "f1_loss": {name: f1["fp32"] - f1[name] for name in ("plain", "int8")},
        "damage_nats": {"plain": int8.damage_before_nats, "int8": int8.damage_nats},
        "float_layers": int8.float_layers,
        "rescaled_layers": int8.rescaled_layers,
        "model_size_bytes": {
            name: (path / MODEL_FILE).stat().st_size for name, path in folders.items()
        },
        "same_file_as_plain": (folders["int8"] / MODEL_FILE).read_bytes()
        == (folders["plain"] / MODEL_FILE).read_bytes(),
        "speed_ratio_to_fp32": ratios,
        "export_cpu_s": seconds,
    }


def _speed_ratios(
    folders: Mapping[str, Path], sentences: Sequence[Sentence], rounds: int
) -> dict[str, dict[str, float]]:
    spec = TaggerSpec.load(folders["fp32"])
    tokenizer = Tokenizer.from_file(str(folders["fp32"] / TOKENIZER_FILE))
    windows = spec.encoder(tokenizer).windows([sentence.tokens for sentence in sentences])
    inputs = [
        collate([windows[index] for index in batch], spec.pad_id)
        for batch in batches(windows, BATCH_SUBWORDS)
    ]
    forwards = {
        name: onnx_forward(onnx_session(path / MODEL_FILE, threads=1))
        for name, path in folders.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in forwards}
    for round_ in range(-1, rounds):  # the first one warms up
        # Alternate the order, so that no contender always follows the same one.
        for name in list(forwards)[:: 1 if round_ % 2 else -1]:
            started = time.process_time()
            for batch in inputs:
                forwards[name](batch)
            if round_ >= 0:
                seconds[name].append(time.process_time() - started)
    reference = np.array(seconds["fp32"])
    return {
        name: {
            "median": float(np.median(reference / values)),
            "low": float(np.min(reference / values)),
            "high": float(np.max(reference / values)),
        }
        for name, values in seconds.items()
        if name != "fp32"
    }


if __name__ == "__main__":
    main()
