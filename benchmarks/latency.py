"""Measure how long the served model takes for one sentence a call, against bare ONNX Runtime.

Logs an exported folder as the served model, in a store of its own, and loads it as MLflow does. All
contenders run the same file on the same sentences and take turns, so that each is alone:

- ``bare``: ONNX Runtime alone, with the session that the served model opens, on inputs made
  beforehand,
- ``recognize``: ``recognize(text)`` of the loaded model's recognizer,
- ``predict``: MLflow's ``predict([text])`` of the loaded model,
- ``rows``: the model's own ``predict``, without MLflow's wrappers.

Each number of ``--callers`` threads calls without a pause; p50 and p99 are those of all calls, in
milliseconds. Ratios are medians over the rounds, each of which has a block of every contender.

``load`` says how long fresh processes take to import MLflow, to load the model and to give a first
answer, and their memory then; ``checked`` is ``load_model(uri)``, and ``unchecked`` the same with
``suppress_warnings=True``, which leaves out MLflow's look at all installed packages.

usage: python -m benchmarks.latency EXPORTED_FOLDER [--texts FILE] [--sentences 300] [--rounds 7]
                                    [--callers 1 8] [--threads 0] [--loads 3]

``--texts`` is a JSONL file with a field ``text`` or a CoNLL file; without it, sentences of the
sample are used. ``--sentences`` 0: all.
"""

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from threading import Barrier
from typing import Any

import mlflow
import numpy as np

from ner_mlflow.data.sample import generate_sample
from ner_mlflow.exporting.bundle import write_code_bundle
from ner_mlflow.exporting.golden import golden_answers
from ner_mlflow.provenance import git_commit, hardware
from ner_mlflow.tagging.encoding import Inputs, collate
from ner_mlflow.tagging.engines import MODEL_FILE
from ner_mlflow.tagging.onnx_engine import onnx_session
from ner_mlflow.tagging.recognizer import TOKENIZER_FILE, EntityRecognizer, load_tagger
from ner_mlflow.tagging.tagger import TaggerSpec
from ner_mlflow.tagging.words import split_sentences
from ner_mlflow.tracking.flavors import EXAMPLE, log_served_model
from ner_mlflow.tracking.queries import download

SENTENCES = 300
CONTENDERS = ("bare", "recognize", "rows", "predict")

LOADS = ("checked", "unchecked")
_LOAD = """
import json, sys, time
times = [time.perf_counter()]
import mlflow
times.append(time.perf_counter())
model = mlflow.pyfunc.load_model(sys.argv[1], suppress_warnings=sys.argv[2] == "unchecked")
times.append(time.perf_counter())
model.predict(["After the upgrade to Ubuntu 22.04 the NVIDIA driver crashes."])
times.append(time.perf_counter())
import psutil
print(json.dumps([*times, psutil.Process().memory_info().rss]))
"""

Answer = Callable[[Any], Any]


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1])
    parser.add_argument("folder", type=Path, help="an exported model")
    add_text_options(parser)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--callers", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--threads", type=int, default=0, help="the model's; 0: all usable cores")
    parser.add_argument("--loads", type=int, default=3, help="fresh processes that load the model")
    arguments = parser.parse_args()
    texts = read_texts(arguments.texts, arguments.sentences)
    with tempfile.TemporaryDirectory(prefix="ner-mlflow-") as store:
        path = log_in_own_store(arguments.folder, Path(store))
        loads = {name: _load(path, name, arguments.loads) for name in LOADS}
        result = {
            str(callers): _measure(arguments, texts, path, callers) for callers in arguments.callers
        }
    figures = {"load": loads, "callers": result}
    print(json.dumps({"sentences": len(texts), **machine(), **figures}))


def add_text_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that :func:`read_texts` needs."""
    parser.add_argument("--texts", type=Path, help="JSONL with a field `text`, or CoNLL")
    parser.add_argument("--sentences", type=int, default=SENTENCES, help="0: all")


def read_texts(file: Path | None, most: int) -> list[str]:
    """Return the texts of a file, or sentences of the sample; ``most`` of them unless that is 0."""
    if file is None:
        texts = [" ".join(sentence.tokens) for sentence in generate_sample(13)["test"]]
    elif file.suffix == ".jsonl":
        texts = [json.loads(line)["text"] for line in file.open(encoding="utf-8")]
    else:
        blocks = file.read_text(encoding="utf-8").strip().split("\n\n")
        texts = [" ".join(line.split()[0] for line in block.splitlines()) for block in blocks]
    return texts[: most or None]


def log_in_own_store(folder: Path, store: Path) -> str:
    """Log an exported folder as the served model in a new store, and return the model's path."""
    mlflow.set_tracking_uri(f"sqlite:///{store}/mlflow.db")
    mlflow.create_experiment("latency", artifact_location=(store / "artifacts").as_uri())
    mlflow.set_experiment("latency")
    golden = golden_answers(EntityRecognizer(load_tagger(folder)), EXAMPLE)
    bundle = write_code_bundle(store / "code")
    with mlflow.start_run() as run:
        logged = log_served_model(run.info.run_id, folder, bundle, "served_model", golden, {})
    return str(download(logged.uri))


def machine() -> dict[str, Any]:
    """Return commit and machine."""
    return {"commit": git_commit(), "hardware": hardware()}


def _load(path: str, name: str, processes: int) -> dict[str, float]:
    """Return the medians of seconds and bytes of fresh processes that load the model."""
    rows = []
    for _ in range(processes):
        command = [sys.executable, "-c", _LOAD, path, name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        *times, memory = json.loads(done.stdout.splitlines()[-1])
        rows.append([*np.diff(times), times[2] - times[0], memory])
    names = ("import_s", "load_s", "first_answer_s", "import_and_load_s", "memory_bytes")
    result = dict(zip(names, np.median(rows, axis=0).round(3).tolist(), strict=True))
    print(f"load, {name}: {json.dumps(result)}", flush=True)
    return result


def _measure(
    arguments: argparse.Namespace, texts: Sequence[str], path: str, callers: int
) -> dict[str, Any]:
    times: dict[str, list[list[float]]] = {name: [] for name in CONTENDERS}
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(arguments.rounds):
        for name in CONTENDERS:  # only this one is loaded, because idle threads of sessions spin
            answer, inputs = _contender(name, arguments, texts, path)
            _call_all(answer, inputs[:50], callers)
            started = time.perf_counter()
            times[name].append(_call_all(answer, inputs, callers))
            rates[name].append(len(times[name][-1]) / (time.perf_counter() - started))
            del answer
            gc.collect()
    result: dict[str, Any] = {
        name: {
            "p50_ms": round(float(np.median(np.concatenate(times[name]))), 3),
            "p99_ms": round(float(np.quantile(np.concatenate(times[name]), 0.99)), 3),
            "calls_per_s": round(median(rates[name]), 1),
        }
        for name in CONTENDERS
    }
    for share, label in ((0.5, "p50"), (0.99, "p99")):
        result[f"{label}_over_bare"] = {
            name: round(
                median(
                    float(np.quantile(of_contender, share) / np.quantile(bare, share))
                    for of_contender, bare in zip(times[name], times["bare"], strict=True)
                ),
                3,
            )
            for name in CONTENDERS[1:]
        }
    print(f"{callers} callers: {json.dumps(result)}", flush=True)
    return result


def _contender(
    name: str, arguments: argparse.Namespace, texts: Sequence[str], path: str
) -> tuple[Answer, Sequence[Any]]:
    if name == "bare":
        session = onnx_session(arguments.folder / MODEL_FILE, arguments.threads)
        return lambda inputs: session.run(["logits"], inputs), _inputs(arguments.folder, texts)
    config = {"threads": arguments.threads}
    model = mlflow.pyfunc.load_model(path, suppress_warnings=True, model_config=config)
    if name == "predict":
        return lambda text: model.predict([text]), texts
    served = model.unwrap_python_model()
    if name == "rows":
        return lambda text: served.predict(None, [text]), texts
    recognize: Answer = served.recognizer.recognize
    return recognize, texts


def _inputs(folder: Path, texts: Sequence[str]) -> list[Inputs]:
    """Return the inputs of the first window of each text's first sentence."""
    import tokenizers

    spec = TaggerSpec.load(folder)
    encoder = spec.encoder(tokenizers.Tokenizer.from_file(str(folder / TOKENIZER_FILE)))
    return [
        collate(encoder.windows([sentences[0].texts])[:1], spec.pad_id)
        for text in texts
        if (sentences := split_sentences(text))
    ]


def _call_all(answer: Answer, inputs: Sequence[Any], callers: int) -> list[float]:
    """Let callers send inputs, together each of them twice, and return the milliseconds."""
    if callers == 1:
        return each_ms(answer, inputs)
    together = Barrier(callers)
    count = max(1, 2 * len(inputs) // callers)

    def caller(number: int) -> list[float]:
        begin = len(inputs) * number // callers  # they do not send the same text at the same time
        mine = [*inputs[begin:], *inputs[:begin]][:count]
        together.wait()
        return each_ms(answer, mine)

    with ThreadPoolExecutor(callers) as pool:
        return [ms for times in pool.map(caller, range(callers)) for ms in times]


def each_ms(answer: Answer, inputs: Sequence[Any]) -> list[float]:
    """Return the milliseconds that the answer to each input takes."""
    times = []
    for value in inputs:
        started = time.perf_counter()
        answer(value)
        times.append((time.perf_counter() - started) * 1000)
    return times


if __name__ == "__main__":
    main()
