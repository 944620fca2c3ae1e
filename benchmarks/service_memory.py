"""Measure how much memory the served model takes for hostile texts, and how much of it it keeps.

Loads an exported folder in a fresh process as MLflow serves it and sends texts of ``--characters``
characters: each kind alone; ``--at-once`` texts of mixed kinds as one request (``request``); as
many requests in threads of their own (``threads``); one request over HTTP to MLflow's server
(``http``); and 200,000 characters of dense punctuation, for their time (``dense``). Growth is
counted from the memory of the process that has loaded the model, answered once and holds the texts.
The server of ``http`` gets the texts later, so its growth includes ``body_bytes``, the request.

- ``peak_bytes``: growth of resident memory at its peak, the answers included,
- ``kept_bytes``: growth that stays once the answers are dropped,
- ``answers_bytes``: the size of the answers, which the caller gets.

``processor_seconds`` are those of all threads. Of ``dense``, ``network_seconds`` are those of
ONNX Runtime alone, which read ``subwords``; they need ``--threads 1``. ``--dense`` chooses texts.

usage: python -m benchmarks.service_memory EXPORTED_FOLDER [--characters 5_000_000] [--at-once 64]
                                           [--kinds dots prose ...] [--threads 0]
                                           [--cases prose request threads http dense ...]
                                           [--dense code new_identifiers ...]
"""

import argparse
import gc
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import uvicorn
from mlflow.environment_variables import MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT
from mlflow.models import Model
from mlflow.pyfunc import PyFuncModel, PythonModelContext, scoring_server
from onnxruntime import InferenceSession

from ner_mlflow.data.sample import generate_sample
from ner_mlflow.provenance import git_commit, hardware, peak_rss_bytes
from ner_mlflow.tagging.encoding import Inputs
from ner_mlflow.tagging.pyfunc import ServedModel, check_requests

DENSE_CHARACTERS = 200_000
MARKS = "()[]{}<>.,:;!?'\"`*_-+=/\\|@#$%^&~"
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _repeat(pattern: str) -> Callable[[random.Random, int], str]:
    return lambda _, characters: (pattern * (characters // len(pattern) + 1))[:characters]


def _join(pieces: Iterator[str], separator: str, characters: int) -> str:
    parts: list[str] = []
    length = 0
    while length < characters:
        parts.append(next(pieces))
        length += len(parts[-1]) + len(separator)
    return separator.join(parts)[:characters]


def _chunks(
    alphabet: str, shortest: int, longest: int, separator: str
) -> Callable[[random.Random, int], str]:
    def text(draw: random.Random, characters: int) -> str:
        chunks = iter(
            lambda: "".join(draw.choices(alphabet, k=draw.randint(shortest, longest))), None
        )
        return _join(chunks, separator, characters)

    return text


def _prose(draw: random.Random, characters: int) -> str:
    sentences = [" ".join(sentence.tokens) for sentence in generate_sample(13)["train"]]
    numbered = iter(lambda: f"{draw.choice(sentences)} It is ticket {draw.getrandbits(32)}.", None)
    return _join(numbered, " ", characters)


def _with_emoji(draw: random.Random, characters: int) -> str:
    return f"\U0001f600 {_prose(draw, characters - 2)}"


def _code(draw: random.Random, characters: int) -> str:
    lines = iter(
        lambda: 'if ({}[{}] != {}.{}) {{ {}({}, {}); }} // "{}"'.format(
            *draw.choices(LETTERS, k=8)
        ),
        None,
    )
    return _join(lines, "\n", characters)


def _new_identifiers(draw: random.Random, characters: int) -> str:
    numbers = draw.sample(range(26 * 1000, 26**2 * 1000), characters // 4)
    names = iter(f"{LETTERS[n // 26_000]}{LETTERS[n // 1000 % 26]}{n % 1000}" for n in numbers)
    ends = iter(lambda: draw.choice(["", "", "", " ", " ", "\n"]), None)
    value = iter(lambda: draw.randrange(100_000), None)
    calls = (
        f"{a}.{b}({c}[{d}]={next(value)})->{e};{next(ends)}"
        for a, b, c, d, e in zip(names, names, names, names, names, strict=False)
    )
    return _join(calls, "", characters)


def _base64(draw: random.Random, characters: int) -> str:
    encoded = b64encode(draw.randbytes(characters)).decode()
    lines = (encoded[start : start + 76] for start in range(0, len(encoded), 76))
    return "\n".join(lines)[:characters]


KINDS: dict[str, Callable[[random.Random, int], str]] = {
    "dots": _repeat("."),
    "brackets": _repeat("("),
    "letters": _repeat("a"),
    "digits": _repeat("1"),
    "emoji": _repeat("\U0001f600"),
    "cjk": _repeat("数据库崩溃了"),
    "a_dots": _repeat("a."),
    "bracket_letters": _repeat("(a"),
    "half_surrogates": _repeat("\ud800"),
    "words": _repeat("a "),
    "sentences": _repeat("a. "),
    "lines": _repeat("A\n"),
    "blank_lines": _repeat("\n"),
    "spaced_emoji": _repeat("\U0001f600 "),
    "prose": _prose,
    "prose_with_emoji": _with_emoji,
    "new_words": _chunks(LETTERS, 8, 24, " "),
    "long_words": _chunks(LETTERS, 900, 1100, " "),
    "long_emoji_words": _chunks("\U0001f600\U0001f601\U0001f602\U0001f603", 900, 1100, " "),
    "dense_chunks": _chunks(MARKS + "ab1", 50, 64, " "),
    "dense_long_chunks": _chunks(MARKS + "ab1", 3000, 4096, " "),
    "base64": _base64,
}
"""Texts by name: functions of a source of randomness and a number of characters."""
DENSE: dict[str, Callable[[random.Random, int], str]] = {
    "marks": _chunks(MARKS, DENSE_CHARACTERS, DENSE_CHARACTERS, " "),
    "spaced_marks": _repeat("; ) ( . , "),
    "random_spaced_marks": _chunks(MARKS, 1, 1, " "),
    "lines_of_marks": _chunks(MARKS, 70, 80, "\n"),
    "short_lines_of_marks": _chunks(MARKS, 5, 15, "\n"),
    "marks_and_letters": _repeat("(a.b),[c]"),
    "code": _repeat('if (a[i] != b.c) { f(x, y); } // "d"\n'),
    "new_code": _code,
    "new_identifiers": _new_identifiers,
}
"""Texts of punctuation, whose time counts."""


WARM_UP = ["Ubuntu 22.04 runs nginx."] * 256
CASES = ("request", "threads", "http", "dense")


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1])
    parser.add_argument("folder", type=Path, help="an exported model")
    parser.add_argument("--characters", type=int, default=5_000_000)
    parser.add_argument("--at-once", type=int, default=64, help="0: single texts only")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--threads", type=int, default=0, help="the model's; 0: all usable cores")
    parser.add_argument("--cases", nargs="*", choices=[*KINDS, *CASES], help="default: all")
    parser.add_argument("--dense", nargs="*", choices=DENSE, default=list(DENSE))
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure == "serve":
        _serve(arguments)
        return
    if arguments.measure:
        print(json.dumps(_measure(arguments)))
        return
    result: dict[str, Any] = {"commit": git_commit(), "hardware": hardware()}
    mixed = [case for case in CASES if arguments.at_once or case == "dense"]
    for name in arguments.cases or [*arguments.kinds, *mixed]:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.service_memory", arguments.folder),
                *("--characters", str(arguments.characters), "--at-once", str(arguments.at_once)),
                *("--threads", str(arguments.threads), "--measure", name),
                *("--kinds", *arguments.kinds, "--dense", *arguments.dense),
            ],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        result[name] = json.loads(done.stdout.splitlines()[-1])
        print(name, result[name], flush=True)
    print(json.dumps(result))


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure one case in this process."""
    if arguments.measure == "http":
        return _http(arguments)
    model = _load(arguments)
    draw = random.Random(13)
    if arguments.measure == "dense":
        return {
            name: _with_network(model, DENSE[name](draw, DENSE_CHARACTERS))
            for name in arguments.dense
        }
    if arguments.measure in KINDS:
        return _answer(model, [[KINDS[arguments.measure](draw, arguments.characters)]])
    texts = _mixed(arguments)
    return _answer(model, [texts] if arguments.measure == "request" else [[text] for text in texts])


def _with_network(model: ServedModel, text: str) -> dict[str, float]:
    """Send a text, and return its figures with the share of ONNX Runtime."""
    run = InferenceSession.run
    seconds = subwords = 0.0

    def timed(session: InferenceSession, names: list[str], inputs: Inputs) -> Any:
        nonlocal seconds, subwords
        started = time.process_time()
        outputs = run(session, names, inputs)
        seconds += time.process_time() - started
        subwords += float(inputs["attention_mask"].sum())
        return outputs

    with patch.object(InferenceSession, "run", timed):
        answer = _answer(model, [[text]])
    return {**answer, "network_seconds": round(seconds, 2), "subwords": int(subwords)}


def _load(arguments: argparse.Namespace) -> ServedModel:
    model = ServedModel()
    model.load_context(
        PythonModelContext({"model": str(arguments.folder)}, {"threads": arguments.threads})
    )
    _rows(model, WARM_UP)
    return model


def _mixed(arguments: argparse.Namespace) -> list[str]:
    draw = random.Random(13)
    return [
        KINDS[arguments.kinds[index % len(arguments.kinds)]](draw, arguments.characters)
        for index in range(arguments.at_once)
    ]


def _serve(arguments: argparse.Namespace) -> None:
    """Serve the model as MLflow serves it, until the process is ended."""
    model = _load(arguments)
    check_requests(scoring_server)

    class Implementation:
        def predict(self, data: Any, params: Any = None) -> Any:
            predict: Callable[..., Any] = model.predict
            return predict(None, data, params)

    app = scoring_server.init(PyFuncModel(Model(), Implementation()))
    uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="error")


def _http(arguments: argparse.Namespace) -> dict[str, Any]:
    """Send one request to a server of its own, and return seconds and bytes of the server."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    body = json.dumps({"inputs": _mixed(arguments)}, ensure_ascii=False).encode(
        errors="surrogatepass"
    )
    command = [*sys.orig_argv, "--port", str(port)]
    command[command.index("http", command.index("--measure"))] = "serve"
    environment = {**os.environ, MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT.name: "36000"}
    with subprocess.Popen(command, env=environment) as process:
        server = psutil.Process(process.pid)
        try:
            while not server.net_connections():
                time.sleep(0.1)
            _post(port, json.dumps({"inputs": WARM_UP}).encode())
            before = server.memory_info().rss
            Path(f"/proc/{server.pid}/clear_refs").write_text("5", encoding="ascii")
            started, times = time.perf_counter(), server.cpu_times()
            entities, size = _post(port, body)
            seconds, after = time.perf_counter() - started, server.cpu_times()
            status = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
            peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
            return {
                "seconds": round(seconds, 2),
                "processor_seconds": round(after.user + after.system - sum(times[:2]), 2),
                "peak_bytes": peak - before,
                "kept_bytes": server.memory_info().rss - before,
                "body_bytes": len(body),
                "answers_bytes": size,
                "entities": entities,
            }
        finally:
            process.terminate()


def _post(port: int, body: bytes) -> tuple[int, int]:
    """Send a request and return the entities and the bytes of the answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    entities = size = 0
    kept = b""
    while block := answer.read(1 << 20):
        size += len(block)
        block = kept + block
        entities += block.count(b'"label"')
        kept = block[1 - len(b'"label"') :]
    return entities, size


def _rows(model: ServedModel, texts: list[str]) -> list[list[dict[str, Any]]]:
    predict: Callable[..., Any] = model.predict
    rows: list[list[dict[str, Any]]] = predict(None, texts)
    return rows


def _answer(model: ServedModel, requests: list[list[str]]) -> dict[str, float]:
    """Send requests, all at the same time, and return seconds and bytes."""
    gc.collect()
    before = psutil.Process().memory_info().rss
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    started, processor_started = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(len(requests)) as pool:
        answers = list(pool.map(lambda texts: _rows(model, texts), requests))
    seconds, peak = time.perf_counter() - started, peak_rss_bytes() - before
    processor_seconds = time.process_time() - processor_started
    entities = [entity for answer in answers for row in answer for entity in row]
    size = sum(sys.getsizeof(value) for entity in entities for value in (entity, *entity.values()))
    count = len(entities)
    del answers, entities
    gc.collect()
    return {
        "seconds": round(seconds, 2),
        "processor_seconds": round(processor_seconds, 2),
        "peak_bytes": peak,
        "kept_bytes": psutil.Process().memory_info().rss - before,
        "answers_bytes": size,
        "entities": count,
    }


if __name__ == "__main__":
    main()
