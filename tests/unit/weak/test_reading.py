"""Documents are cut into the same sentences on one core and on several."""

import json
from functools import partial
from pathlib import Path
from random import Random

import pytest

from ner_mlflow.config.schema import WeakConfig
from ner_mlflow.data.findings import Findings
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.weak import reading
from ner_mlflow.weak.reading import SentenceReader, cut_on_all_cores

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
    reader = SentenceReader(WeakConfig(source=source, **settings), findings, cut_chunks)
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


def test_no_more_documents_are_read_than_asked_for(tmp_path: Path) -> None:
    source = write(tmp_path / "texts.jsonl", 50)
    assert read(source, 1, sample=8)[1].counts["documents"] == 8
    assert read(source, 1, sample=0)[1].counts["documents"] == 50
