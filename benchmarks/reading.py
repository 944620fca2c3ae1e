"""Measure how fast corpora are read, and how much memory a large file needs.

Speed is the ratio to a plain reader of CoNLL files in this module, which splits lines at tabs and
makes one :class:`Sentence` of each block: no recognition, no checks, no counts. Both take turns.

Memory: writes a JSONL file of ``--bytes`` bytes with sentences of the corpus, in each of which one
word is unlike any other, and reads it in a fresh process. The result is the growth of that
process's peak memory over the size of the same words and tags as Arrow lists of strings.

usage: python -m benchmarks.reading DATASET [--rounds 7] [--bytes 2_000_000_000] [--step read|data]
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa

from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.dataset import PreparedDataset, fingerprint, save_dataset
from ner_mlflow.data.prepare import prepare
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.data.statistics import statistics as count_statistics
from ner_mlflow.provenance import git_commit, hardware, peak_rss_bytes

BATCH_ROWS = 65_536


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1])
    parser.add_argument("dataset", help="a folder of two-column CoNLL files")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--bytes", type=int, default=2_000_000_000, help="0: no large file")
    parser.add_argument("--step", choices=("read", "data"), default="read")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure_memory(Path(arguments.measure), arguments.step)))
        return
    result: dict[str, object] = {"commit": git_commit(), "hardware": hardware()}
    files = sorted(Path(arguments.dataset).glob("*.conll"))
    config = DataConfig(dataset=arguments.dataset, label_map="keep")
    ours, reference = take_turns(
        arguments.rounds,
        lambda: read_corpus(config).corpus,
        lambda: [read_plainly(file) for file in files],
    )
    result |= {
        "seconds": ours,
        "reference_seconds": reference,
        "speed_ratio": reference / ours,
    }
    if arguments.bytes:
        with tempfile.TemporaryDirectory(prefix="ner-mlflow-") as folder:
            write_large_file(config, Path(folder) / "train.jsonl", arguments.bytes)
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "benchmarks.reading", arguments.dataset),
                    *("--measure", folder, "--step", arguments.step),
                ],
                check=True,
                capture_output=True,
                text=True,
            )
        result |= json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(result))


def take_turns(rounds: int, *calls: Callable[[], object]) -> list[float]:
    """Return the median seconds of each call; the calls take turns."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, times in zip(calls, seconds, strict=True):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
    return [statistics.median(times) for times in seconds]


def read_plainly(path: Path) -> list[Sentence]:
    """Return the sentences of a file of two columns."""
    sentences = []
    tokens: list[str] = []
    tags: list[str] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            text = line.decode("utf-8").rstrip("\r\n")
            if text:
                token, _, tag = text.partition("\t")
                tokens.append(token)
                tags.append(tag)
            elif tokens:
                sentences.append(
                    Sentence(tuple(tokens), tuple(tags), None, f"{path}:{number - len(tokens)}")
                )
                tokens, tags = [], []
    return sentences


def write_large_file(config: DataConfig, path: Path, size_bytes: int) -> None:
    """Write token rows until the file has this size."""
    sentences = [
        (list(sentence.tokens), list(sentence.tags))
        for split in read_corpus(config).corpus.values()
        for sentence in split
    ]
    draw, written = random.Random(13), 0
    with path.open("w", encoding="utf-8") as file:
        while written < size_bytes:
            tokens, tags = draw.choice(sentences)
            tokens = list(tokens)
            tokens[draw.randrange(len(tokens))] = f"w{draw.getrandbits(40):x}"
            written += file.write(json.dumps({"tokens": tokens, "ner_tags": tags}) + "\n")


def measure_memory(folder: Path, step: str) -> dict[str, float]:
    """Read the file in this folder, or also prepare and save it as ``data`` does."""
    before, started = peak_rss_bytes(), time.perf_counter()
    config = DataConfig(dataset=str(folder), label_map="keep")
    reading = read_corpus(config)
    if step == "data":
        preparation = prepare(reading.corpus, config, reading.findings)
        digest = fingerprint(preparation.corpus, preparation.schema)
        dataset = PreparedDataset("large", preparation.corpus, preparation.schema, digest)
        count_statistics(preparation)
        save_dataset(dataset, folder / "prepared")
    seconds, grown = time.perf_counter() - started, peak_rss_bytes() - before
    sentences = iter(reading.corpus["train"])
    arrow_bytes = 0
    while batch := list(islice(sentences, BATCH_ROWS)):
        arrow_bytes += as_arrow(batch).nbytes
    return {
        "sentences": float(len(reading.corpus["train"])),
        "large_file_seconds": seconds,
        "arrow_bytes": float(arrow_bytes),
        "grown_bytes": float(grown),
        "memory_ratio": grown / arrow_bytes,
    }


def as_arrow(sentences: Sequence[Sentence]) -> pa.Table:
    """Return words and tags as lists of strings."""
    type_ = pa.list_(pa.string())
    return pa.table(
        {
            "tokens": pa.array([sentence.tokens for sentence in sentences], type_),
            "tags": pa.array([sentence.tags for sentence in sentences], type_),
        }
    )


if __name__ == "__main__":
    main()
