"""Measure how well training and inference use a GPU.

Trains `granite_full`, and a BERT of base size (12 layers of 768) with random weights, in bf16 on
one GPU: subwords per second, the share of the GPU's arithmetic that this is (the peak is that of a
large matrix product), and the share of the subwords of its batches that is padding. With two GPUs
the same is trained in two processes. Then the first model is exported, and ONNX Runtime computes
its fp32 and fp16 files in turns on the GPU, if its build can: subwords per second, the F1 of both,
and the largest difference of a logit.

Takes a few minutes on a data-centre GPU. Without a GPU it runs on the processor, which tests the
script and nothing else: give few --sentences.

usage: python -m benchmarks.gpu DATASET [--backbone FOLDER] [--tokenizer-of minilm] [--epochs 2]
    [--batch-size 128] [--sentences 0] [--layers 12] [--rounds 3]
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from transformers import BertConfig, BertModel

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import Config
from ner_mlflow.data.prepare import Preparation, prepare
from ner_mlflow.data.sentences import TRAIN, VALIDATION
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.evaluation.scores import score_tagger
from ner_mlflow.exporting.onnx_files import write_fp16, write_fp32
from ner_mlflow.exporting.variants import max_logit_difference
from ner_mlflow.logs import show_progress
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model, load_tokenizer
from ner_mlflow.modeling.checkpoint import load_model
from ner_mlflow.modeling.dataset import TrainingData
from ner_mlflow.modeling.parallel import fit_in_processes
from ner_mlflow.modeling.sampling import SubwordBatches
from ner_mlflow.provenance import git_commit, hardware
from ner_mlflow.tagging.engines import MODEL_FILE
from ner_mlflow.tagging.onnx_engine import CPU, onnx_forward, onnx_session
from ner_mlflow.tagging.tagger import Tagger

CUDA = "CUDAExecutionProvider"
BASE = "base size, random weights"
BATCH_SUBWORDS = 16_384
"""Padded subwords of a batch of inference."""
SHOWN = ("train/subwords_per_s", "train/model_flops_utilisation", "best_validation/f1")


def main() -> None:
    """Train, export and print; the last line is one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset")
    parser.add_argument("--backbone", default="")
    parser.add_argument("--tokenizer-of", default="minilm")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--sentences", type=int, default=0)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    show_progress()
    overrides: dict[str, Any] = {
        "data.dataset": arguments.dataset,
        "train.epochs": arguments.epochs,
        "train.batch_size": arguments.batch_size,
        **({"model.backbone": arguments.backbone} if arguments.backbone else {}),
    }
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        base = write_base_encoder(arguments.tokenizer_of, arguments.layers, folder / "base")
        granite = load_config("granite_full", overrides)
        of_base_size = load_config("granite_full", {**overrides, "model.backbone": str(base)})
        preparation = prepare(read_corpus(granite.data).corpus, granite.data)
        for name, config in (("granite_full", granite), (BASE, of_base_size)):
            for processes in (1, 2) if torch.cuda.device_count() > 1 else (1,):
                key = f"{name}, processes: {processes}"
                results[key] = train(
                    config, preparation, processes, arguments.sentences, folder / key
                )
                print(key, results[key], flush=True)
        files = compare_files(
            folder / "granite_full, processes: 1" / "model",
            preparation,
            arguments.sentences,
            arguments.rounds,
        )
    print(
        json.dumps(
            {
                "training": results,
                "onnx": files,
                "batch_size": arguments.batch_size,
                "commit": git_commit(),
                "hardware": hardware(),
            }
        )
    )


def write_base_encoder(tokenizer_of: str, layers: int, folder: Path) -> Path:
    """Write a BERT of base size with random weights, and the tokenizer of another backbone."""
    tokenizer = load_tokenizer(resolve_backbone(tokenizer_of).folder, tokenizer_of)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(tokenizer), num_hidden_layers=layers)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def train(
    config: Config, preparation: Preparation, processes: int, sentences: int, folder: Path
) -> dict[str, float]:
    """Train in a number of processes, and return the speed and the share of padding."""
    backbone = resolve_backbone(config.model.backbone, config.model.revision)
    build = partial(build_model, backbone, config.model, preparation.schema, config.train.seed)
    limit = sentences or None
    data = TrainingData(
        list(preparation.corpus[TRAIN])[:limit],
        list(preparation.corpus[VALIDATION])[:limit],
        preparation.schema,
    )
    settings = config.train.model_copy(update={"processes": processes})
    metrics = fit_in_processes(build, data, settings, folder).metrics
    model = load_model(folder / "model")
    windows = model.spec.encoder(model.tokenizer).windows([row.tokens for row in data.train])
    lengths = np.array([len(window.input_ids) for window in windows])
    return {
        **{name: metrics[name] for name in SHOWN if name in metrics},
        "padding": padding_share(lengths, config.train.batch_size, config.train.seed),
    }


def padding_share(lengths: np.ndarray[Any, Any], batch_size: int, seed: int) -> float:
    """Return the share of the subwords of an epoch's batches that is padding."""
    padded = sum(
        len(batch) * int(lengths[batch].max())
        for batch in SubwordBatches(lengths.tolist(), batch_size, seed)
    )
    return 1 - float(lengths.sum()) / padded


def compare_files(
    model: Path, preparation: Preparation, sentences: int, rounds: int
) -> Mapping[str, float]:
    """Time the fp32 and the fp16 file of a model in turns, and compare their answers."""
    provider = CUDA if CUDA in onnxruntime.get_available_providers() else CPU
    validation = list(preparation.corpus[VALIDATION])[: sentences or None]
    checkpoint = load_model(model)
    folders = {name: model.parent / name for name in ("fp32", "fp16")}
    write_fp32(checkpoint, folders["fp32"])
    write_fp16(checkpoint, folders["fp32"], folders["fp16"])
    forwards = {
        name: onnx_forward(onnx_session(path / MODEL_FILE, provider=provider), 1)
        for name, path in folders.items()
    }
    taggers = {
        name: Tagger(forward, checkpoint.tokenizer, checkpoint.spec, BATCH_SUBWORDS)
        for name, forward in forwards.items()
    }
    result = {
        f"{name}/f1": score_tagger(tagger, validation)["f1"] for name, tagger in taggers.items()
    }
    tokens = [sentence.tokens for sentence in validation]
    windows = checkpoint.spec.encoder(checkpoint.tokenizer).windows(tokens)
    subwords = sum(len(window.input_ids) for window in windows)
    fastest = dict.fromkeys(taggers, float("inf"))
    for _ in range(rounds):
        for name, tagger in taggers.items():
            started = time.perf_counter()
            tagger.log_probabilities(tokens)
            fastest[name] = min(fastest[name], time.perf_counter() - started)
    return {
        **result,
        **{f"{name}/subwords_per_s": subwords / seconds for name, seconds in fastest.items()},
        "ratio": fastest["fp32"] / fastest["fp16"],
        "max_logit_difference": max_logit_difference(
            forwards["fp32"], forwards["fp16"], windows, checkpoint.spec.pad_id
        ),
        "on_gpu": float(provider == CUDA),
    }


if __name__ == "__main__":
    main()
