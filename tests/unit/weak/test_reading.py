"""Documents are cut into the same sentences on one core and on several."""

import json
import multiprocessing
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

import pytest

from ner_mlflow.config.schema import WeakConfig
from ner_mlflow.data.findings import Findings
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.weak import reading
from ner_mlflow.weak.documents import Document
from ner_mlflow.weak.reading import (
    CutDocument,
    SentenceReader,
    cut_chunk,
    cut_on_all_cores,
    read_and_cut,
)
from ner_mlflow.weak.skipped import EXCERPT_CHARACTERS, SkippedDocuments

WORDS = [*("cache", "queue", "worker", "proxy", "ticket", "shard", "mirror", "token", "batch")]


def write(path: Path, count: int) -> str:
    random = Random(1)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            text = (
                f"The {' '.join(random.choices(WORDS, k=6))} is slow since {number} days.\n"
                f"```\ncode {number}\n```\nPlease restart the {random.choice(WORDS)} again."
            )
            file.write(json.dumps({"text": text if number % 7 else "ok"}) + "\n")
    return str(path)


def read(source: str, workers: int, **settings: int) -> tuple[list[Sentence], SentenceReader, str]:
    findings = Findings()
    cut_chunks = partial(cut_on_all_cores, workers=workers)
    cut_source = partial(read_and_cut, cut_chunks=cut_chunks)
    reader = SentenceReader(WeakConfig(source=source, **settings), findings, cut_source)
    return list(reader.sentences()), reader, "\n".join(map(str, findings))


def test_workers_change_neither_sentences_nor_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "FEW_CHUNKS", 2)
    monkeypatch.setattr(reading, "CHUNK_DOCUMENTS", 16)
    source = write(tmp_path / "texts.jsonl", 200)
    alone, one, found = read(source, 1)
    shared, two, found_by_two = read(source, 2)
    assert shared == alone
    assert (two.counts, found_by_two) == (one.counts, found)
    assert two.removed().equals(one.removed())
    assert one.counts == {"documents": 200, "used_documents": 171, "sentences": 342}
    assert "documents that have too few words: 29" in found
    assert "too short or too long" not in found


def test_sentences_of_a_length_that_teaches_nothing_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    text = f"We run the cache on two hosts.\n\nOk then\n\n{'the word ' * 100}"
    path.write_text(json.dumps({"text": text}) + "\n", encoding="utf-8")
    sentences, reader, found = read(str(path), 1)
    assert (len(sentences), reader.counts["sentences"]) == (1, 3)
    assert "sentences without labels that are too short or too long to learn from: 2" in found


def test_a_sample_is_of_the_whole_source_and_the_same_with_any_number_of_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "texts.jsonl", 50)
    sentences, reader, _ = read(source, 1, sample=8)
    assert reader.counts["documents"] == 8
    assert max(int(str(s.document).split(":")[-1]) for s in sentences) > 8
    monkeypatch.setattr(reading, "FEW_CHUNKS", 1)
    monkeypatch.setattr(reading, "CHUNK_DOCUMENTS", 2)
    assert read(source, 2, sample=8)[0] == sentences
    assert read(source, 1, sample=8, seed=1)[0] != sentences
    assert read(source, 1, sample=0)[1].counts["documents"] == 50


def test_every_document_that_is_left_out_is_listed_with_its_place_and_beginning(
    tmp_path: Path,
) -> None:
    good = "We restart the worker of the queue every night at ten."
    rows: list[object] = [
        {"text": good},
        {"text": f"{good}!"},
        {"text": "ok"},
        {"text": None},
        {"repo": "a/b", "issue_number": 3, "events": [{"author": "ci[bot]", "text": "Built."}]},
        ["no", "object"],
        {"text": "Der Server startet nicht, weil der Dienst und die Datei nicht da sind."},
    ]
    lines = [json.dumps(row).encode() for row in rows]
    lines += [b'{"text": "password: hunter2', b'{"text": "caf\xe9"}']
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(lines))
    _, reader, _ = read(str(path), 1)
    table = reader.skipped.table()
    listed = [tuple(row) for row in table[["reason", "document", "excerpt"]].to_numpy()]
    assert listed == [
        ("bot", "a/b#3/0", "Built."),
        ("duplicate", "a.jsonl:2", f"{good}!"),
        ("invalid_utf8", "a.jsonl:9", '{"text": "caf\ufffd"}'),
        ("no_text", "a.jsonl:4", ""),
        ("not_english", "a.jsonl:7", rows[6]["text"]),  # type: ignore[call-overload, index]
        ("not_json", "a.jsonl:8", '{"text": "password: ***'),
        ("not_object", "a.jsonl:6", "['no', 'object']"),
        ("too_short", "a.jsonl:3", "ok"),
    ]
    assert table["place"][0] == f"{path}:5, event 0"
    assert table["detail"][2] == "(byte 0xe9)"


def test_documents_that_were_not_sampled_are_not_called_left_out(tmp_path: Path) -> None:
    _, reader, found = read(write(tmp_path / "texts.jsonl", 50), 1, sample=8)
    assert len(reader.skipped.table()) < 8
    assert "too few words: 7" not in found


def test_examples_of_what_was_removed_hold_no_secrets(tmp_path: Path) -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    lines = [
        f"AWS_SECRET_ACCESS_KEY={secret}",
        f"git clone https://me:{'hunter2' * 20}@host/x.git",
        "password: hunter2",
        f"echo {secret}",
        f"{'make all; ' * 11} token=hunter2hunter2",
    ]
    with (tmp_path / "a.jsonl").open("w", encoding="utf-8") as file:
        for number, line in enumerate(lines):
            text = f"The {WORDS[number]} is slow.\n```\n{line}\n```\nIt fails at {WORDS[-number]}."
            file.write(json.dumps({"text": text}) + "\n")
    _, reader, _ = read(str(tmp_path / "a.jsonl"), 1)
    (examples,) = reader.removed()["examples"]
    assert len(examples.splitlines()) == len(lines)
    assert not re.search("hunter|wJal|EXAM", examples)
    assert "``` AWS_SECRET_ACCESS_KEY=*** ```" in examples
    assert max(map(len, examples.splitlines())) <= EXCERPT_CHARACTERS


# Worker processes

CUT = """
import multiprocessing, time
from itertools import repeat
from ner_mlflow.weak import reading
from ner_mlflow.weak.documents import Document

reading.FEW_CHUNKS = 1
chunk = [Document("1", "The queue of the worker is slow since Monday.", "a.txt")]
"""
COUNT = "print(len(list(reading.cut_on_all_cores(repeat(chunk, 9), 2))))\n"


@pytest.mark.parametrize(
    ("is_file", "reason"),
    [
        (True, "a worker process ended (a script must make its calls below `if __name__ == "),
        (False, "worker processes cannot read the script <stdin> again"),
    ],
)
def test_a_script_that_workers_cannot_import_is_warned_and_goes_on_alone(
    tmp_path: Path, is_file: bool, reason: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(CUT + COUNT, encoding="utf-8")
    with script.open(encoding="utf-8") as content:
        run = subprocess.run(
            [sys.executable, str(script) if is_file else "-"],
            stdin=content,
            env={"PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
    assert run.stdout == "9\n"
    assert run.stderr.count("goes on alone") == run.stderr.count(reason) == 1
    assert "Traceback" not in run.stderr or is_file


def test_killed_workers_cost_no_document(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reading, "FEW_CHUNKS", 1)
    chunks = [[Document(str(i), f"The {WORDS[i]} is slow today.", "a")] for i in range(9)]
    cutting = cut_on_all_cores(iter(chunks), 2)
    cut = [next(cutting), next(cutting)]
    for process in multiprocessing.active_children():
        process.kill()
        process.join()
    sentences = [document.sentences for (document,) in (*cut, *cutting)]
    assert sentences == [document.sentences for (document,) in map(cut_chunk, chunks)]
    assert caplog.text.count("goes on alone") == 1


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    lines = [
        "cutting = reading.cut_on_all_cores(repeat(chunk), 2)",
        "for _ in range(4): next(cutting)",
        "print(len(multiprocessing.active_children()), flush=True)",
        "time.sleep(99)",
    ]
    guarded = "".join(f"    {line}\n" for line in lines)
    script.write_text(f"{CUT}if __name__ == '__main__':\n{guarded}", encoding="utf-8")
    environment = {"PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(
        [sys.executable, str(script)], env=environment, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "2\n"
        parent.kill()
        # The workers share its standard output, which ends with the last of them.
        parent.communicate(timeout=20)


def test_a_chunk_is_limited_by_its_characters_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_CHARACTERS", 100)
    sizes = []

    def cut(chunks: Iterator[list[Document]]) -> Iterator[list[CutDocument]]:
        for chunk in chunks:
            sizes.append([len(document.text) for document in chunk])
            yield cut_chunk(chunk)

    texts = [{"text": "x" * size} for size in (60, 60, 30, 250, 99, 1, 5)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, texts)), encoding="utf-8")
    list(read_and_cut(WeakConfig(source=str(path)), SkippedDocuments(Findings()), cut))
    assert sizes == [[60, 60], [30, 250], [99, 1], [5]]
