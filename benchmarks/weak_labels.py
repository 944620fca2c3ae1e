"""Measure the speed and the memory of weak labelling by rules.

Documents are generated: issues of several sentences, a third with code, a tenth repeated. They are
read, cleaned, compared, cut and labelled as the `data` step does, where every sentence is labelled.
The reference is a straightforward loop over documents and over compiled regular expressions, one
for each name and pattern of the same rules. The peak RSS is that of all processes together, once
for few documents and once for many.

usage: python -m benchmarks.weak_labels [--documents 1000000] [--few 10000] [--reference 200]
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from random import Random

import psutil

from ner_mlflow.config.schema import WeakConfig
from ner_mlflow.cpus import usable_cpus
from ner_mlflow.data.findings import Findings
from ner_mlflow.provenance import hardware
from ner_mlflow.weak.reading import SentenceReader
from ner_mlflow.weak.rules import RulesLabeler, load_rules

RULES = "it5"
BATCH_SENTENCES = 2048
WATCH_S = 0.2
NAMES = ("Python", "nginx", "Firefox", "Ubuntu", "Docker", "MySQL", "Windows 10", "Kubernetes")
TEXT = """after the update of my server it does not start any more and I see this message in the
log when we run the job with default settings users report that requests time out because one worker
waits for a lock which another holds please tell us how to find out what happens"""
WORDS = TEXT.split()
SPACE = r"\s?"


def main() -> None:
    """Generate documents, measure, and print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--reference", type=int, default=200)
    parser.add_argument("--label", type=Path, default=None, help="(of its own use)")
    arguments = parser.parse_args()
    if arguments.label:
        print(json.dumps(label(arguments.label)))
        return
    with tempfile.TemporaryDirectory() as folder:
        runs = {}
        for name, count in (("few", arguments.few), ("many", arguments.documents)):
            path = Path(folder) / f"{name}.jsonl"
            generate(path, count)
            runs[name] = run_alone(path)
            print(name, runs[name], flush=True)
        reference = search_in_a_loop(Path(folder) / "few.jsonl", arguments.reference)
    speed = runs["many"]["documents_per_s"]
    print(
        json.dumps(
            {
                "ratio": speed / reference["documents_per_s"],
                "documents_per_s": speed,
                "peak_rss_ratio": runs["many"]["peak_rss_bytes"] / runs["few"]["peak_rss_bytes"],
                "reference": reference,
                **{f"{name}_documents": values for name, values in runs.items()},
                "workers": usable_cpus(),
                "hardware": hardware(),
            }
        )
    )


def generate(path: Path, count: int) -> None:
    """Write documents as JSON lines."""
    random = Random(13)
    text = ""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            if number % 10 != 9:
                text = " ".join(
                    f"{' '.join(random.choices(WORDS, k=random.randint(5, 14)))} "
                    f"{random.choice(NAMES)} {random.randint(1, 20)}.{random.randint(0, 9)}."
                    for _ in range(random.randint(3, 9))
                )
                if number % 3 == 0:
                    text += f"\n```\nrun --job {number}\n```\n"
            file.write(json.dumps({"text": text}) + "\n")


def run_alone(path: Path) -> dict[str, float]:
    """Label the documents of a file in a process of its own, and watch its memory."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.weak_labels", "--label", str(path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    peak = 0
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        rss = 0
        for each in (watched, *watched.children(recursive=True)):
            try:
                rss += each.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        peak = max(peak, rss)
        time.sleep(WATCH_S)
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    if process.returncode:
        raise RuntimeError(f"labelling {path} ended with status {process.returncode}")
    return {**json.loads(lines[-1]), "peak_rss_bytes": peak}


def label(path: Path) -> dict[str, float]:
    """Label all sentences of the documents of a file; return counts and the speed."""
    labeler = RulesLabeler(load_rules(RULES))
    reader = SentenceReader(WeakConfig(source=str(path), sample=0), Findings())
    start, spans = time.perf_counter(), 0
    sentences = reader.sentences()
    while batch := list(islice(sentences, BATCH_SENTENCES)):
        spans += sum(map(len, labeler.label(batch)))
    seconds = time.perf_counter() - start
    documents = reader.counts["documents"]
    return {**reader.counts, "spans": spans, "documents_per_s": documents / seconds}


def search_in_a_loop(path: Path, count: int) -> dict[str, float]:
    """Search the first documents for every name and pattern, each by its own expression."""
    rules = load_rules(RULES)
    patterns = [
        re.compile(
            rf"(?<!\w){SPACE.join(map(re.escape, name))}(?!\w)",
            0 if gazetteer.is_exact else re.IGNORECASE,
        )
        for gazetteer in rules.gazetteers
        for name in gazetteer.names
    ]
    patterns += [re.compile(pattern.word.pattern.removeprefix("^")) for pattern in rules.patterns]
    with path.open(encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for _, line in zip(range(count), file, strict=False)]
    start = time.perf_counter()
    spans = sum(len(pattern.findall(text)) for text in texts for pattern in patterns)
    seconds = time.perf_counter() - start
    return {"patterns": len(patterns), "spans": spans, "documents_per_s": len(texts) / seconds}


if __name__ == "__main__":
    main()
