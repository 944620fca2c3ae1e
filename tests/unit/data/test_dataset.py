"""The prepared dataset on disk: it loads as it was saved, and changed files are refused."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.data.dataset import (
    COLUMNS,
    SCHEMA_FILE,
    PreparedDataset,
    fingerprint,
    load_dataset,
    save_dataset,
)
from ner_mlflow.data.sentences import SPLITS, TEST, TRAIN, VALIDATION, Corpus, Sentence
from ner_mlflow.errors import DataError
from ner_mlflow.tagging.iob2 import repair
from ner_mlflow.tagging.label_schema import LabelSchema

SCHEMA = LabelSchema(("OS", "SOFTWARE"))
WORDS = st.lists(st.tuples(st.text(min_size=1), st.sampled_from(SCHEMA.labels)), max_size=5)


def build(
    words: list[tuple[str, str]], document: str | None, origin: str, gaps: list[str]
) -> Sentence:
    """Return a sentence, which has a text if there is a gap for each word."""
    tokens = tuple(word for word, _ in words)
    tags = tuple(repair([tag for _, tag in words]))
    if len(gaps) < len(words):
        return Sentence(tokens, tags, document, origin)
    text, starts = "", []
    for token, gap in zip(tokens, gaps, strict=False):
        starts.append(len(text))
        text += token + gap
    return Sentence(tokens, tags, document, origin, text, tuple(starts))


SENTENCES = st.builds(
    build,
    WORDS,
    st.one_of(st.none(), st.text()),
    st.text(),
    st.lists(st.sampled_from(["", " ", "\n\n"]), max_size=5),
)


def dataset(corpus: Corpus, schema: LabelSchema = SCHEMA) -> PreparedDataset:
    return PreparedDataset("tickets", corpus, schema, fingerprint(corpus, schema))


def example() -> Corpus:
    first = Sentence(("Windows", "10", "läuft"), ("B-OS", "I-OS", "O"), "post 1", "a:1")
    return {
        TRAIN: [first, Sentence(("Bash",), ("B-SOFTWARE",), None, "a:5")],
        VALIDATION: [Sentence(("x",), ("O",))],
        TEST: [Sentence(("y", "z"), ("O", "B-OS"))],
    }


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    save_dataset(dataset(example()), folder)
    return folder


@settings(deadline=None, max_examples=40)
@given(st.fixed_dictionaries({split: st.lists(SENTENCES, max_size=3) for split in SPLITS}))
def test_a_saved_dataset_loads_as_it_was(corpus: Corpus) -> None:
    with tempfile.TemporaryDirectory() as folder:
        save_dataset(dataset(corpus), Path(folder, "deep", "er"))
        assert load_dataset(Path(folder, "deep", "er")) == dataset(corpus)


def test_weakly_labelled_sentences_are_told_from_gold_ones(tmp_path: Path) -> None:
    corpus = example()
    whole = replace(dataset(corpus), weak_sentences=1)
    save_dataset(whole, tmp_path / "dataset")
    loaded = load_dataset(tmp_path / "dataset")
    assert loaded == whole
    assert list(loaded.gold_train) == corpus[TRAIN][:1]
    assert list(loaded.weak_train) == corpus[TRAIN][1:]
    assert list(dataset(corpus).gold_train) == corpus[TRAIN]
    assert loaded.fingerprint == dataset(corpus).fingerprint


def test_a_dataset_is_one_file_a_split_and_the_schema(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == [
        "schema.json",
        "test.parquet",
        "train.parquet",
        "validation.parquet",
    ]
    assert [path.name for path in saved.parent.iterdir()] == ["dataset"]


CHANGES: dict[str, Callable[[Corpus], object]] = {
    "token": lambda c: c[TRAIN].__setitem__(
        0, replace(c[TRAIN][0], tokens=("Windows", "11", "läuft"))
    ),
    "tag": lambda c: c[TRAIN].__setitem__(0, replace(c[TRAIN][0], tags=("B-OS", "B-OS", "O"))),
    "document": lambda c: c[TRAIN].__setitem__(0, replace(c[TRAIN][0], document="post 2")),
    "no document": lambda c: c[TRAIN].__setitem__(0, replace(c[TRAIN][0], document=None)),
    "empty document": lambda c: c[TRAIN].__setitem__(1, replace(c[TRAIN][1], document="")),
    "order of sentences": lambda c: c[TRAIN].reverse(),
    "repeated sentence": lambda c: c[TRAIN].append(c[TRAIN][0]),
    "missing sentence": lambda c: c[TEST].pop(),
    "moved sentence": lambda c: c[VALIDATION].append(c[TEST].pop()),
    "moved to the next split": lambda c: c[VALIDATION].insert(0, c[TRAIN].pop()),
    "exchanged splits": lambda c: c.update({VALIDATION: c[TEST], TEST: c[VALIDATION]}),
    "text": lambda c: c[TEST].__setitem__(0, replace(c[TEST][0], text="y z", starts=(0, 2))),
    "joined words": lambda c: c[TEST].__setitem__(0, Sentence(("y z",), ("O",))),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_the_fingerprint_changes_with_the_content(change: Callable[[Corpus], object]) -> None:
    corpus = example()
    change(corpus)
    assert fingerprint(corpus, SCHEMA) != fingerprint(example(), SCHEMA)


def test_the_fingerprint_changes_with_the_text_between_words() -> None:
    texts = [("y z", (0, 2)), ("y\nz", (0, 2)), (" y z", (1, 3)), ("yz", (0, 1)), (None, None)]
    found = set()
    for text, starts in texts:
        corpus = example()
        corpus[TEST][0] = replace(corpus[TEST][0], text=text, starts=starts)
        found.add(fingerprint(corpus, SCHEMA))
    assert len(found) == len(texts)


def test_the_fingerprint_changes_with_the_labels() -> None:
    schemas = [SCHEMA, LabelSchema(("OS", "SOFTWARE", "X")), LabelSchema(("OS", "SOFTWARES"))]
    assert len({fingerprint(example(), schema) for schema in schemas}) == 3


def test_the_fingerprint_does_not_change_with_the_origin() -> None:
    moved = {
        split: [replace(sentence, origin="elsewhere:7") for sentence in sentences]
        for split, sentences in example().items()
    }
    assert fingerprint(moved, SCHEMA) == fingerprint(example(), SCHEMA)


def test_the_fingerprint_does_not_change_with_the_order_of_splits() -> None:
    assert fingerprint(dict(reversed(example().items())), SCHEMA) == fingerprint(example(), SCHEMA)


def replaced_train(folder: Path) -> None:
    rows = [{"tokens": ["Linux"], "tags": ["B-OS"], "document": None, "origin": ""}]
    pq.write_table(pa.Table.from_pylist(rows, schema=COLUMNS), folder / "train.parquet")


def cut_train(folder: Path) -> None:
    content = (folder / "train.parquet").read_bytes()
    (folder / "train.parquet").write_bytes(content[: len(content) // 2])


def swapped(folder: Path) -> None:
    content = (folder / "validation.parquet").read_bytes()
    (folder / "train.parquet").write_bytes(content)


def foreign_columns(folder: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), folder / "train.parquet")


def foreign_types(folder: Path) -> None:
    pq.write_table(pa.table({"tokens": [1]}), folder / "train.parquet")


def flipped_byte(folder: Path) -> None:
    content = (folder / "train.parquet").read_bytes()
    (folder / "train.parquet").write_bytes(content.replace(b"Windows", b"Win\xffows"))


def schema_values(**changes: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = folder / SCHEMA_FILE
        path.write_text(
            json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}),
            encoding="utf-8",
        )

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: (folder / SCHEMA_FILE).unlink(),
            "no schema.json, so not a prepared dataset",
        ),
        (lambda folder: (folder / "train.parquet").unlink(), "train.parquet: cannot be read"),
        (lambda folder: (folder / "test.parquet").unlink(), "test.parquet: cannot be read"),
        (lambda folder: (folder / "test.parquet").write_bytes(b""), "test.parquet: cannot be read"),
        (cut_train, "train.parquet: cannot be read"),
        (replaced_train, "of the content is not that in schema.json"),
        (swapped, "of the content is not that in schema.json"),
        (schema_values(types=["OS"]), "of the content is not that in schema.json"),
        (
            schema_values(fingerprint="0" * 64),
            r"of the content is not that in schema.json \(000000000000\)",
        ),
        (schema_values(format=1), "format 1, this version reads 2: run the data step again"),
        (schema_values(format=None), "format None, this version reads 2"),
        (flipped_byte, "run the data step again"),
        (foreign_columns, "run the data step again"),
        (foreign_types, "run the data step again"),
        (lambda folder: (folder / SCHEMA_FILE).write_text("{"), "run the data step again"),
        (lambda folder: (folder / SCHEMA_FILE).write_text("[]"), "run the data step again"),
        (
            lambda folder: (folder / SCHEMA_FILE).write_text('{"format": 1}'),
            "run the data step again",
        ),
    ],
)
def test_a_damaged_dataset_is_refused_on_one_line(
    saved: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(saved)
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(saved)
    assert str(saved) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a prepared dataset"):
        load_dataset(tmp_path / "nothing")


def test_a_failing_save_leaves_no_folder_behind(tmp_path: Path) -> None:
    corpus = example()
    bad = {**corpus, TEST: [Sentence(("\ud800",), ("O",))]}
    with pytest.raises(UnicodeEncodeError):
        save_dataset(PreparedDataset("tickets", bad, SCHEMA, "0" * 64), tmp_path / "dataset")
    assert list(tmp_path.iterdir()) == []


def test_saving_over_a_dataset_fails_and_leaves_it_as_it_was(saved: Path) -> None:
    other = {**example(), TEST: []}
    with pytest.raises(OSError, match="not empty"):
        save_dataset(dataset(other), saved)
    assert load_dataset(saved) == dataset(example())
    assert [path.name for path in saved.parent.iterdir()] == ["dataset"]
