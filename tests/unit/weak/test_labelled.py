"""Labelled sentences are written for other programs, whole or not at all."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ner_mlflow.data.sentences import Sentence
from ner_mlflow.weak.labelled import labelled_table, write_labelled

SENTENCES = [
    Sentence(
        ("I", "run", "nginx"), ("O", "?", "B-SOFTWARE"), "a#1/0", "a:1", "I run nginx", (0, 2, 6)
    ),
    Sentence(("Bash",), ("B-SOFTWARE",)),
]


def test_a_row_holds_a_sentence_its_tags_and_its_place(tmp_path: Path) -> None:
    write_labelled(labelled_table(SENTENCES), tmp_path / "deep" / "out")
    first, second = pq.read_table(tmp_path / "deep" / "out").to_pylist()
    assert first == {
        "number": 0,
        "document": "a#1/0",
        "origin": "a:1",
        "text": "I run nginx",
        "tokens": ["I", "run", "nginx"],
        "starts": [0, 2, 6],
        "tags": ["O", "?", "B-SOFTWARE"],
    }
    assert (second["number"], second["document"], second["starts"]) == (1, None, None)


def test_a_folder_that_holds_files_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(OSError, match="out"):
        write_labelled(labelled_table(SENTENCES), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
