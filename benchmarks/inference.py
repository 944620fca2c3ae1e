"""Compare the speed of the served model with a transformers pipeline and with bare ONNX Runtime.

Takes the model of an export run and real sentences (the test split of the dataset that it was
trained on). All contenders use all cores and take turns:

(a) the transformers token-classification pipeline with the same weights, in batches;
(b) ONNX Runtime alone on the same file, the upper limit: without text or decoding, on sentences
    tokenised beforehand and sorted by length, with the fastest batch size, and with all cores on
    each batch or a core for each batch, whichever is faster;
ours: `predict` of the served model as MLflow loads it, from texts to entities with offsets.

Also measures one sentence a call against (b) with all cores, and how long a fresh process takes to
import MLflow and load the model.

usage: python -m benchmarks.inference [EXPORT_RUN] [--sentences 3000] [--rounds 3]
                                      [--int8 int8] [--fp32 fp32]
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from tokenizers import Tokenizer
from transformers import pipeline

from ner_mlflow.cpus import usable_cpus
from ner_mlflow.data.sentences import TEST
from ner_mlflow.exporting.bundle import write_code_bundle
from ner_mlflow.exporting.golden import golden_answers
from ner_mlflow.provenance import hardware
from ner_mlflow.tagging.encoding import Inputs, batches, collate
from ner_mlflow.tagging.recognizer import (
    MODEL_FILE,
    TOKENIZER_FILE,
    EntityRecognizer,
    load_tagger,
    onnx_forward,
    onnx_session,
)
from ner_mlflow.tagging.tagger import TaggerSpec
from ner_mlflow.tracking.flavors import EXAMPLE, log_served_model
from ner_mlflow.tracking.models import find_model
from ner_mlflow.tracking.queries import download, latest_run
from ner_mlflow.tracking.records import ExportRecord
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.data import load_data

PIPELINE_BATCH_SIZE = 32
BATCH_SUBWORDS = (128, 256, 512, 1024, 2048, 4096)
SINGLE_SENTENCES = 200
WARM_UP_SENTENCES = 128
"""Sentences that each contender answers before it is timed; enough to start all its threads."""
DEFAULT_EXPERIMENT = "0"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("export_run", nargs="?", default="")
    parser.add_argument("--sentences", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--int8", default="int8", help="the exported variant to use as int8")
    parser.add_argument("--fp32", default="fp32", help="the exported variant to use as fp32")
    arguments = parser.parse_args()
    run_id = arguments.export_run or latest_run(Step.EXPORT, DEFAULT_EXPERIMENT)
    if run_id is None:
        raise SystemExit("no export run here: run main first, or name one")
    export = ExportRecord.read(run_id)
    corpus = load_data(export.data_run).dataset.corpus
    texts = [" ".join(sentence.tokens) for sentence in corpus[TEST]][: arguments.sentences]
    torch_folder = find_model(export.model).folder
    folders = {
        name: download(f"runs:/{run_id}/onnx/{variant}")
        for name, variant in (("int8", arguments.int8), ("fp32", arguments.fp32))
    }
    with tempfile.TemporaryDirectory(prefix="ner-mlflow-") as stores:
        served = {
            name: _log_served(folder, Path(stores) / name) for name, folder in folders.items()
        }
        print(json.dumps(_measure(arguments, texts, torch_folder, folders, served)))


def _measure(
    arguments: argparse.Namespace,
    texts: Sequence[str],
    torch_folder: Path,
    folders: Mapping[str, Path],
    served: Mapping[str, str],
) -> dict[str, Any]:
    frame = pd.DataFrame({"text": texts})
    contenders: dict[str, Callable[[], Callable[[], Any]]] = {
        "pipeline": lambda: _pipeline(torch_folder, texts)
    }
    for name, folder in folders.items():
        best = _best_bare(folder, texts)
        print(
            f"{name}: bare ONNX Runtime is fastest in batches of {best[0]} subwords, "
            f"{'a core for each batch' if best[1] else 'all cores on each batch'}",
            flush=True,
        )
        contenders[f"bare_{name}"] = lambda folder=folder, best=best: _bare(folder, texts, *best)  # type: ignore[misc]
        contenders[f"ours_{name}"] = lambda name=name: _predictor(served[name], frame)  # type: ignore[misc]
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(arguments.rounds):
        for name, load in contenders.items():
            answer = load()  # only this contender is loaded, because idle thread pools spin
            started = time.perf_counter()
            answer()
            seconds[name].append(time.perf_counter() - started)
            print(
                f"round {round_ + 1}, {name}: "
                f"{len(texts) / seconds[name][-1]:.0f} sentences per second",
                flush=True,
            )
    rate = {name: len(texts) / float(np.median(values)) for name, values in seconds.items()}
    loads = [_load(served["int8"]) for _ in range(arguments.rounds)]
    singles = _single_p50_ms(
        folders["int8"], served["int8"], texts[:SINGLE_SENTENCES], arguments.rounds
    )
    return {
        "ratio_int8_to_pipeline": rate["ours_int8"] / rate["pipeline"],
        "ratio_fp32_to_pipeline": rate["ours_fp32"] / rate["pipeline"],
        "ratio_to_bare_onnxruntime": rate["ours_int8"] / rate["bare_int8"],
        "ratio_to_bare_onnxruntime_fp32": rate["ours_fp32"] / rate["bare_fp32"],
        "ratio_single_p50_to_bare_onnxruntime": singles["ours"] / singles["bare"],
        "sentences_per_s": rate,
        "single_p50_ms": singles,
        "load_s": float(np.median([load["seconds"] for load in loads])),
        "load_memory_bytes": max(load["memory_bytes"] for load in loads),
        "sentences": len(texts),
        "variants": {"int8": arguments.int8, "fp32": arguments.fp32},
        "hardware": hardware(),
    }


def _log_served(folder: Path, store: Path) -> str:
    """Log a folder as the served model in a store of its own, and return its local path."""
    store.mkdir()
    mlflow.set_tracking_uri(f"sqlite:///{store}/mlflow.db")
    mlflow.create_experiment("inference", artifact_location=(store / "artifacts").as_uri())
    mlflow.set_experiment("inference")
    golden = golden_answers(EntityRecognizer(load_tagger(folder)), EXAMPLE)
    bundle = write_code_bundle(store / "code")
    with mlflow.start_run() as run:
        logged = log_served_model(run.info.run_id, folder, bundle, "served_model", golden, {})
    return str(download(logged.uri))


def _predictor(path: str, frame: pd.DataFrame) -> Callable[[], Any]:
    model = mlflow.pyfunc.load_model(path)
    model.predict(frame[:WARM_UP_SENTENCES])
    return lambda: model.predict(frame)


def _pipeline(folder: Path, texts: Sequence[str]) -> Callable[[], Any]:
    recognizer = pipeline(
        "token-classification",
        model=str(folder),
        device="cpu",
        aggregation_strategy="simple",
        trust_remote_code=False,
    )
    recognizer(texts[:WARM_UP_SENTENCES], batch_size=PIPELINE_BATCH_SIZE)
    return lambda: recognizer(texts, batch_size=PIPELINE_BATCH_SIZE)


def _inputs(folder: Path, texts: Sequence[str], batch_subwords: int) -> list[Inputs]:
    spec = TaggerSpec.load(folder)
    windows = spec.encoder(Tokenizer.from_file(str(folder / TOKENIZER_FILE))).windows(
        [text.split(" ") for text in texts]
    )
    return [
        collate([windows[index] for index in batch], spec.pad_id)
        for batch in batches(windows, batch_subwords)
    ]


def _bare(
    folder: Path, texts: Sequence[str], batch_subwords: int, core_a_batch: bool
) -> Callable[[], Any]:
    cores = usable_cpus()
    forward = onnx_forward(onnx_session(folder / MODEL_FILE, threads=1 if core_a_batch else 0))
    inputs = _inputs(folder, texts, batch_subwords)
    forward(inputs[-1])
    if not core_a_batch:
        return lambda: [forward(batch) for batch in inputs]
    pool = ThreadPoolExecutor(cores)
    list(pool.map(forward, inputs[:cores]))
    return lambda: list(pool.map(forward, inputs))


def _best_bare(folder: Path, texts: Sequence[str]) -> tuple[int, bool]:
    seconds = dict.fromkeys(itertools.product(BATCH_SUBWORDS, (False, True)), float("inf"))
    for choice in [*seconds, *seconds]:  # twice: one measurement may fall into a slow moment
        answer = _bare(folder, texts, *choice)
        started = time.perf_counter()
        answer()
        seconds[choice] = min(seconds[choice], time.perf_counter() - started)
        del answer
    return min(seconds, key=lambda choice: seconds[choice])


def _load(path: str) -> dict[str, float]:
    """Measure seconds and memory of a fresh process that imports MLflow and loads the model."""
    code = (
        "import json, sys, time\n"
        "started = time.perf_counter()\n"
        "import mlflow\n"
        "mlflow.pyfunc.load_model(sys.argv[1])\n"
        "seconds = time.perf_counter() - started\n"
        "import psutil\n"
        "memory_bytes = psutil.Process().memory_info().rss\n"
        "print(json.dumps({'seconds': seconds, 'memory_bytes': memory_bytes}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    loaded: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return loaded


def _single_p50_ms(folder: Path, path: str, texts: Sequence[str], rounds: int) -> dict[str, float]:
    """Time calls with one sentence each: the served model's `predict`, and ONNX Runtime alone."""
    times: dict[str, list[float]] = {"ours": [], "bare": []}
    inputs = _inputs(folder, texts, 1)
    rows = [pd.DataFrame({"text": [text]}) for text in texts]
    for _ in range(rounds):
        model = mlflow.pyfunc.load_model(path)
        times["ours"] += _each_ms(model.predict, rows)
        del model
        times["bare"] += _each_ms(onnx_forward(onnx_session(folder / MODEL_FILE)), inputs)
    return {name: float(np.median(values)) for name, values in times.items()}


def _each_ms(answer: Callable[[Any], Any], inputs: Sequence[Any]) -> list[float]:
    for value in inputs[:20]:
        answer(value)
    times = []
    for value in inputs:
        started = time.perf_counter()
        answer(value)
        times.append((time.perf_counter() - started) * 1000)
    return times


if __name__ == "__main__":
    main()
