"""Compare the speed of the served model with other ways to compute the same weights.

Takes the model of an export run and real sentences (the test split of the dataset that it was
trained on). All contenders use all cores and take turns:

(a) the transformers token-classification pipeline with the same weights, in batches;
(b) the engine alone on the same file, the upper limit: without text or decoding, on sentences
    tokenised beforehand and sorted by length, with the fastest batch size, and with all cores on
    each batch or a core for each batch, whichever is faster;
(c) where OpenVINO is installed, the best peer: OpenVINO with the fp32 file, in bf16 where the
    processor has it, from texts to spans; and its own static int8 if NNCF is installed, or on
    PYTHONPATH;
ours: `predict` of the served model as MLflow loads it, from texts to entities with offsets. With
    OpenVINO there is one more served model, fp32 with that engine.

Also measures one sentence a call against (b) with all cores, how long a fresh process takes to
import MLflow and load the model, and of each file the F1 on validation and the share of the
subwords of these sentences that have the tag of fp32 in ONNX Runtime.

usage: python -m benchmarks.inference [EXPORT_RUN] [--sentences 3000] [--rounds 3]
                                      [--int8 int8] [--fp32 fp32] [--only bare_fp32,ours_fp32]
"""

import argparse
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import mlflow
import numpy as np
import pandas as pd
from tokenizers import Tokenizer
from transformers import pipeline

from benchmarks.latency import each_ms
from ner_mlflow.cpus import usable_cpus
from ner_mlflow.data.sentences import TEST, TRAIN, VALIDATION, Corpus
from ner_mlflow.evaluation.scores import score_tagger
from ner_mlflow.exporting.bundle import write_code_bundle
from ner_mlflow.exporting.golden import golden_answers
from ner_mlflow.provenance import hardware
from ner_mlflow.tagging.encoding import Inputs, batches, collate
from ner_mlflow.tagging.engines import MODEL_FILE, engine_of, find_engine, write_engine
from ner_mlflow.tagging.recognizer import TOKENIZER_FILE, EntityRecognizer, load_tagger
from ner_mlflow.tagging.tagger import Tagger, TaggerSpec
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
SEARCHED_SHARE = 4
"""One sentence in so many is computed to find the fastest size of batches."""
CALIBRATION_SENTENCES = 300
DEFAULT_EXPERIMENT = "0"
RATIOS = {
    "ratio_int8_to_pipeline": ("ours_int8", ("pipeline",)),
    "ratio_fp32_to_pipeline": ("ours_fp32", ("pipeline",)),
    "ratio_openvino_to_pipeline": ("ours_openvino", ("pipeline",)),
    "ratio_to_bare_onnxruntime": ("ours_int8", ("bare_int8",)),
    "ratio_to_bare_onnxruntime_fp32": ("ours_fp32", ("bare_fp32",)),
    "ratio_to_bare_openvino": ("ours_openvino", ("bare_openvino",)),
    "ratio_int8_to_best_peer": ("ours_int8", ("peer", "peer_int8")),
    "ratio_fp32_to_best_peer": ("ours_fp32", ("peer", "peer_int8")),
    "ratio_openvino_to_best_peer": ("ours_openvino", ("peer", "peer_int8")),
}
"""Ratio -> the contender, and those of which the fastest is compared with it."""
Choice = TypeVar("Choice")
Contenders = dict[str, Callable[[], Callable[[], Any]]]
"""Name -> a function that loads a contender and returns its call."""


def main() -> None:
    """Measure and print; the last line is one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("export_run", nargs="?", default="")
    parser.add_argument("--sentences", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--int8", default="int8", help="the exported variant to use as int8")
    parser.add_argument("--fp32", default="fp32", help="the exported variant to use as fp32")
    parser.add_argument(
        "--only",
        default="",
        help="contenders, or load, single and fidelity, separated by commas; nothing else is "
        "measured",
    )
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
    only = frozenset(filter(None, arguments.only.split(",")))
    with tempfile.TemporaryDirectory(prefix="ner-mlflow-") as scratch:
        peers: dict[str, Path] = {}
        if find_spec("openvino"):
            peers["peer"] = folders["fp32"] / MODEL_FILE
            folders["openvino"] = _with_engine(folders["fp32"], "openvino", Path(scratch))
            quantized = Path(scratch) / "static_int8.xml"
            wanted = not only or {"peer_int8", "fidelity"} & only
            if wanted and _quantize(folders["fp32"], corpus, quantized):
                peers["peer_int8"] = quantized
        served = {
            name: _log_served(folder, Path(scratch) / f"store_{name}")
            for name, folder in folders.items()
            if not only or {f"ours_{name}", "load", "single"} & only
        }
        contenders = {
            "pipeline": lambda: _pipeline(torch_folder, texts),
            **_contenders(folders, peers, served, texts, only),
        }
        if only:
            contenders = {name: load for name, load in contenders.items() if name in only}
        rate = _sentences_per_s(contenders, len(texts), arguments.rounds)
        result = {
            **_ratios(rate),
            "sentences_per_s": rate,
            "sentences": len(texts),
            "rounds": arguments.rounds,
            "variants": {"int8": arguments.int8, "fp32": arguments.fp32},
            "hardware": hardware(),
        }
        if not only or "load" in only:
            result |= _measure_load(served["int8"], arguments.rounds)
        if not only or "single" in only:
            result |= _measure_singles(folders, served, texts, arguments.rounds)
        if not only or "fidelity" in only:
            result["fidelity"] = _fidelity(folders, peers, corpus)
    print(json.dumps(result))


def _contenders(
    folders: Mapping[str, Path],
    peers: Mapping[str, Path],
    served: Mapping[str, str],
    texts: Sequence[str],
    only: frozenset[str],
) -> Contenders:
    frame = pd.DataFrame({"text": texts})
    contenders: Contenders = {}
    for name, file in peers.items():
        if not only or name in only:
            size = _best_peer_batch(folders["fp32"], file, texts[::SEARCHED_SHARE])
            print(f"{name}: fastest in batches of {size} subwords", flush=True)
            contenders[name] = partial(_peer, folders["fp32"], file, size, texts)
    for name, folder in folders.items():
        if name in served:
            contenders[f"ours_{name}"] = partial(_predictor, served[name], frame)
        if not only or f"bare_{name}" in only:
            best = _best_bare(folder, texts[::SEARCHED_SHARE])
            print(
                f"{name}: the bare engine is fastest in batches of {best[0]} subwords, "
                f"{'a core for each batch' if best[1] else 'all cores on each batch'}",
                flush=True,
            )
            contenders[f"bare_{name}"] = partial(_bare, folder, texts, *best)
    return contenders


def _sentences_per_s(contenders: Contenders, sentences: int, rounds: int) -> dict[str, float]:
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(rounds):
        # Alternate the order, so that no contender always follows the same one.
        for name in list(contenders)[:: -1 if round_ % 2 else 1]:
            answer = contenders[name]()  # only this one is loaded, because idle thread pools spin
            started = time.perf_counter()
            answer()
            rates[name].append(sentences / (time.perf_counter() - started))
            del answer
            print(
                f"round {round_ + 1}, {name}: {rates[name][-1]:.0f} sentences per second",
                flush=True,
            )
    return {name: float(np.median(values)) for name, values in rates.items()}


def _ratios(rate: Mapping[str, float]) -> dict[str, float]:
    ratios = {}
    for name, (ours, others) in RATIOS.items():
        measured = [rate[other] for other in others if other in rate]
        if ours in rate and measured:
            ratios[name] = rate[ours] / max(measured)
    return ratios


def _measure_load(served: str, rounds: int) -> dict[str, float]:
    loads = [_load(served) for _ in range(rounds)]
    return {
        "load_s": float(np.median([load["seconds"] for load in loads])),
        "load_memory_bytes": max(load["memory_bytes"] for load in loads),
    }


def _measure_singles(
    folders: Mapping[str, Path], served: Mapping[str, str], texts: Sequence[str], rounds: int
) -> dict[str, Any]:
    singles = {
        name: _single_p50_ms(folders[name], served[name], texts[:SINGLE_SENTENCES], rounds)
        for name in folders
    }
    return {
        "ratio_single_p50_to_bare_onnxruntime": singles["int8"]["ours"] / singles["int8"]["bare"],
        "single_p50_ms": singles,
    }


def _fidelity(
    folders: Mapping[str, Path], peers: Mapping[str, Path], corpus: Corpus
) -> dict[str, dict[str, float]]:
    """Return the F1 of each file on validation, and its share of tags that are those of fp32.

    The F1 of our files is that of their own batches: int8 has one scale for a batch.
    """
    taggers = {name: load_tagger(folder) for name, folder in folders.items()}
    spec = TaggerSpec.load(folders["fp32"])
    tokenizer = Tokenizer.from_file(str(folders["fp32"] / TOKENIZER_FILE))
    forwards = {
        name: engine_of(folder).open(folder / MODEL_FILE) for name, folder in folders.items()
    }
    if peers:
        from .openvino_peer import forward_of

        peer_forwards = {name: forward_of(file) for name, file in peers.items()}
        forwards |= peer_forwards
        taggers |= {
            name: Tagger(forward, tokenizer, spec) for name, forward in peer_forwards.items()
        }
    texts = [" ".join(sentence.tokens) for sentence in corpus[VALIDATION]]
    inputs = _inputs(folders["fp32"], texts, engine_of(folders["fp32"]).batch_subwords)
    masks = [batch["attention_mask"] == 1 for batch in inputs]
    tags = {
        name: np.concatenate(
            [forward(batch).argmax(-1)[mask] for batch, mask in zip(inputs, masks, strict=True)]
        )
        for name, forward in forwards.items()
    }
    return {
        name: {
            "validation_f1": score_tagger(tagger, corpus[VALIDATION])["f1"],
            "equal_tags": float(np.mean(tags[name] == tags["fp32"])),
        }
        for name, tagger in taggers.items()
    }


def _with_engine(folder: Path, engine: str, scratch: Path) -> Path:
    """Return a copy of an exported model that names another engine."""
    copy = scratch / f"{folder.name}_{engine}"
    shutil.copytree(folder, copy)
    write_engine(copy, find_engine(engine))
    return copy


def _quantize(fp32: Path, corpus: Corpus, target: Path) -> bool:
    from .openvino_peer import quantize

    sentences = corpus[TRAIN][:: max(1, len(corpus[TRAIN]) // CALIBRATION_SENTENCES)]
    texts = [" ".join(sentence.tokens) for sentence in sentences[:CALIBRATION_SENTENCES]]
    if quantize(fp32 / MODEL_FILE, _inputs(fp32, texts, 1), target):
        return True
    print("no static int8 of OpenVINO: NNCF, which makes it, is not installed", flush=True)
    return False


def _peer(
    folder: Path, model_file: Path, batch_subwords: int, texts: Sequence[str]
) -> Callable[[], Any]:
    from .openvino_peer import peer

    recognize = peer(folder, model_file, batch_subwords)
    recognize(texts[:WARM_UP_SENTENCES])
    return lambda: recognize(texts)


def _best_peer_batch(folder: Path, model_file: Path, texts: Sequence[str]) -> int:
    from .openvino_peer import BATCH_SUBWORDS as SIZES

    return _fastest({(size,): partial(_peer, folder, model_file, size, texts) for size in SIZES})[0]


def _log_served(folder: Path, store: Path) -> str:
    """Log a folder as the served model in a store of its own, and return its local path."""
    store.mkdir()
    mlflow.set_tracking_uri(f"sqlite:///{store}/mlflow.db")
    mlflow.create_experiment("inference", artifact_location=(store / "artifacts").as_uri())
    mlflow.set_experiment("inference")
    golden = golden_answers(EntityRecognizer(load_tagger(folder)), EXAMPLE)
    bundle = write_code_bundle(store / "code", engine=engine_of(folder))
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
    forward = engine_of(folder).open(
        folder / MODEL_FILE,
        threads=1 if core_a_batch else 0,
        at_once=cores if core_a_batch else 1,
    )
    inputs = _inputs(folder, texts, batch_subwords)
    forward(inputs[-1])
    if not core_a_batch:
        return lambda: [forward(batch) for batch in inputs]
    pool = ThreadPoolExecutor(cores)
    list(pool.map(forward, inputs[:cores]))
    return lambda: list(pool.map(forward, inputs))


def _best_bare(folder: Path, texts: Sequence[str]) -> tuple[int, bool]:
    return _fastest(
        {
            choice: partial(_bare, folder, texts, *choice)
            for choice in itertools.product(BATCH_SUBWORDS, (False, True))
        }
    )


def _fastest(contenders: Mapping[Choice, Callable[[], Callable[[], Any]]]) -> Choice:
    seconds: dict[Choice, float] = {}
    for choice, load in contenders.items():
        answer = load()
        times = []
        for _ in range(2):  # one measurement may fall into a slow moment
            started = time.perf_counter()
            answer()
            times.append(time.perf_counter() - started)
        seconds[choice] = min(times)
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
    """Time calls with one sentence each: the served model's `predict`, and its engine alone."""
    times: dict[str, list[float]] = {"ours": [], "bare": []}
    inputs = _inputs(folder, texts, 1)
    rows = [pd.DataFrame({"text": [text]}) for text in texts]
    for _ in range(rounds):
        model = mlflow.pyfunc.load_model(path)
        times["ours"] += _each_ms(model.predict, rows)
        del model
        bare = engine_of(folder).open(folder / MODEL_FILE, at_once=1)
        times["bare"] += _each_ms(bare, inputs)
        del bare
    return {name: float(np.median(values)) for name, values in times.items()}


def _each_ms(answer: Callable[[Any], Any], inputs: Sequence[Any]) -> list[float]:
    each_ms(answer, inputs[:20])  # warms up
    return each_ms(answer, inputs)


if __name__ == "__main__":
    main()
