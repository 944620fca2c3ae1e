"""Measure how much memory the served model takes for hostile texts, and how much of it it keeps.

Loads an exported folder in a fresh process as MLflow serves it and sends texts of ``--characters``
characters: each kind alone; ``--at-once`` texts of mixed kinds as one request; as many requests in
threads of their own; and 200,000 characters of dense punctuation, for their time. Growth is counted
from the memory of the process that has loaded the model, answered once and holds the texts:

- ``peak_bytes``: growth of resident memory at its peak, the answers included,
- ``kept_bytes``: growth that stays once the answers are dropped,
- ``answers_bytes``: the size of the answers, which the caller gets.

``processor_seconds`` are those of all threads.

usage: python -m benchmarks.service_memory EXPORTED_FOLDER [--characters 5_000_000] [--at-once 64]
                                           [--kinds dots prose ...] [--threads 0]
"""

import argparse
import gc
import json
import random
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
from mlflow.pyfunc import PythonModelContext

from ner_mlflow.data.sample import generate_sample
from ner_mlflow.provenance import git_commit, hardware, peak_rss_bytes
from ner_mlflow.tagging.pyfunc import ServedModel

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
    "lines_of_marks": _chunks(MARKS, 70, 80, "\n"),
    "marks_and_letters": _repeat("(a.b),[c]"),
    "code": _repeat('if (a[i] != b.c) { f(x, y); } // "d"\n'),
}
"""Texts of punctuation, whose time counts."""


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1])
    parser.add_argument("folder", type=Path, help="an exported model")
    parser.add_argument("--characters", type=int, default=5_000_000)
    parser.add_argument("--at-once", type=int, default=64, help="0: single texts only")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--threads", type=int, default=0, help="the model's; 0: all usable cores")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(_measure(arguments)))
        return
    result: dict[str, Any] = {"commit": git_commit(), "hardware": hardware()}
    for name in [*arguments.kinds, *(["request", "threads"] if arguments.at_once else []), "dense"]:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.service_memory", arguments.folder),
                *("--characters", str(arguments.characters), "--at-once", str(arguments.at_once)),
                *("--threads", str(arguments.threads), "--measure", name),
                *("--kinds", *arguments.kinds),
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
    model = ServedModel()
    model.load_context(
        PythonModelContext({"model": str(arguments.folder)}, {"threads": arguments.threads})
    )
    _rows(model, ["Ubuntu 22.04 runs nginx."] * 256)
    draw = random.Random(13)
    if arguments.measure == "dense":
        return {
            name: _answer(model, [[text(draw, DENSE_CHARACTERS)]]) for name, text in DENSE.items()
        }
    if arguments.measure in KINDS:
        return _answer(model, [[KINDS[arguments.measure](draw, arguments.characters)]])
    texts = [
        KINDS[arguments.kinds[index % len(arguments.kinds)]](draw, arguments.characters)
        for index in range(arguments.at_once)
    ]
    return _answer(model, [texts] if arguments.measure == "request" else [[text] for text in texts])


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
