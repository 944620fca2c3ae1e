"""Corpora: each format reads back what was written, and errors name file and line."""

import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.data.sample import generate_sample
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.data.sources import (
    READERS,
    SPLIT_NAMES,
    read_conll,
    read_corpus,
    read_jsonl,
    read_parquet,
)
from ner_mlflow.errors import DataError

NAMES = ["O", "B-OS", "I-OS"]
TAGS = st.sampled_from([*NAMES, "B-Data_Type", "I-a-b"])
WORDS = st.text(min_size=1, max_size=6).filter(
    lambda word: word.strip() and not set("\t\n") & set(word)
)
SENTENCES = st.lists(st.lists(st.tuples(WORDS, TAGS), min_size=1, max_size=4), max_size=4)
LINE = {"tokens": ["Windows", "10"], "ner_tags": ["B-OS", "I-OS"]}


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def jsonl(folder: Path, *rows: object, name: str = "train.jsonl") -> Path:
    return write(
        folder, name, "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    )


def parquet(folder: Path, rows: list[dict[str, object]], name: str = "train.parquet") -> Path:
    path = folder / name
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def pairs(sentences: list[Sentence]) -> list[list[tuple[str, str]]]:
    return [list(zip(sentence.tokens, sentence.tags, strict=True)) for sentence in sentences]


@pytest.mark.parametrize(
    "text",
    [
        "Windows\tB-OS\n10\tI-OS\n\nok\tO\n",
        "Windows\tB-OS\n10\tI-OS\n\nok\tO",
        "Windows B-OS\n10 I-OS\n\nok O\n",
        "Windows   B-OS\n 10  I-OS  \n  \nok O\n",
        "Windows NNP x B-OS\n10 CD y I-OS\n\nok JJ z O\n",
        "Windows\tNNP\tB-OS\n10\tCD\tI-OS\n\nok\tJJ\tO\n",
        "Windows\tB-OS\r\n10\tI-OS\r\n\r\nok\tO\r\n",
        "\ufeffWindows\tB-OS\n10\tI-OS\n\nok\tO\n",
        "\n\nWindows\tB-OS\n10\tI-OS\n \t \n\n\nok\tO \n\n",
    ],
    ids=[
        "tabs",
        "no last line end",
        "blanks",
        "many blanks",
        "columns",
        "tab columns",
        "crlf",
        "bom",
        "blank lines",
    ],
)
def test_conll_is_read_however_it_is_spaced(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, "x.conll", text)
    assert pairs(read_conll(path)) == [[("Windows", "B-OS"), ("10", "I-OS")], [("ok", "O")]]


def test_conll_sentences_know_their_first_line(tmp_path: Path) -> None:
    path = write(tmp_path, "x.conll", "\na\tO\nb\tO\n\n\nc\tO\n")
    assert [sentence.origin for sentence in read_conll(path)] == [f"{path}:2", f"{path}:6"]


def test_docstart_lines_begin_documents(tmp_path: Path) -> None:
    path = write(tmp_path, "x.conll", "a\tO\n-DOCSTART- -X- O\n\nb\tO\n\nc\tO\n-DOCSTART-\nd\tO\n")
    assert [(*sentence.tokens, sentence.document) for sentence in read_conll(path)] == [
        ("a", None),
        ("b", "x.conll#1"),
        ("c", "x.conll#1"),
        ("d", "x.conll#2"),
    ]


SPLITTERS = ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\u00a0"]


@pytest.mark.parametrize("character", SPLITTERS, ids=ascii)
def test_conll_tokens_may_contain_characters_that_python_takes_for_line_ends_or_blanks(
    tmp_path: Path, character: str
) -> None:
    path = write(tmp_path, "x.conll", f"a{character}b\tO\nc\tO\n")
    assert pairs(read_conll(path)) == [[(f"a{character}b", "O"), ("c", "O")]]


@pytest.mark.parametrize("character", SPLITTERS, ids=ascii)
def test_blank_separated_conll_does_not_split_at_unicode_spaces(
    tmp_path: Path, character: str
) -> None:
    path = write(tmp_path, "x.conll", f"a{character}b O\nc O\n")
    assert pairs(read_conll(path)) == [[(f"a{character}b", "O"), ("c", "O")]]


@settings(deadline=None, max_examples=60)
@given(
    SENTENCES.filter(
        lambda corpus: (
            not any(word.startswith("-DOCSTART-") for sentence in corpus for word, _ in sentence)
        )
    )
)
def test_written_conll_reads_back_equal(sentences: list[list[tuple[str, str]]]) -> None:
    text = "\n".join(
        "".join(f"{word}\t{tag}\n" for word, tag in sentence) for sentence in sentences
    )
    with tempfile.TemporaryDirectory() as folder:
        assert (
            pairs(read_conll(write(Path(folder), "x.conll", text.encode("utf-8-sig")))) == sentences
        )


@settings(deadline=None, max_examples=60)
@given(SENTENCES)
def test_written_jsonl_reads_back_equal(sentences: list[list[tuple[str, str]]]) -> None:
    rows = [
        {"tokens": [word for word, _ in sentence], "ner_tags": [tag for _, tag in sentence]}
        for sentence in sentences
    ]
    for ascii_only in (True, False):
        lines = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)
        with tempfile.TemporaryDirectory() as folder:
            assert pairs(read_jsonl(write(Path(folder), "x.jsonl", lines))) == sentences


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("a\tO\nb\n", ":2: ", "'b' has 1 column, a token and a tag are needed"),
        ("a\tO\n\tO\n", ":2: ", "a token and a tag are needed"),
        ("a\tO\nb\tX-OS\n", ":2: ", "tag 'X-OS' is not IOB2"),
        ("a\tO\n\nb\tB-\n", ":3: ", "tag 'B-' is not IOB2"),
        ("a\tO\nb\t\n", ":2: ", "tag '' is not IOB2"),
        ("a\tO\nb\tB-OS\tOS\n", ":2: ", "tag 'OS' is not IOB2"),
        (b"a\tO\n\nb\tO\nGr\xf6\xdfe\tO\n", ":4: ", "byte 0xf6 is not UTF-8"),
        (b"\xff\xfea\x00", ":1: ", "byte 0xff is not UTF-8"),
    ],
)
def test_a_broken_line_of_conll_is_named(
    tmp_path: Path, text: str | bytes, position: str, message: str
) -> None:
    path = write(tmp_path, "x.conll", text)
    with pytest.raises(DataError) as caught:
        read_conll(path)
    assert f"{path}{position}" in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tokens": ["a", "b", "c"], "ner_tags": ["O", "O"]}, "3 tokens but 2 tags"),
        ("{'tokens': []}", "not JSON"),
        ('{"tokens": ["a"]', "not JSON"),
        (["a", "O"], "a list, not an object"),
        ("3", "a int, not an object"),
        (
            {"tokens": ["a"], "tag": ["O"]},
            "no field 'ner_tags' or 'tags' or 'labels' among 'tokens', 'tag'",
        ),
        ({}, "no field 'tokens' or 'words' among none"),
        ({"tokens": "a b", "ner_tags": ["O", "O"]}, "must be lists"),
        ({"tokens": ["a"], "ner_tags": None}, "must be lists"),
        ({"tokens": [], "ner_tags": []}, "a sentence without tokens"),
        ({"tokens": [" "], "ner_tags": ["O"]}, "token ' ' is not text"),
        ({"tokens": [7], "ner_tags": ["O"]}, "token 7 is not text"),
        ({"tokens": ["a"], "ner_tags": ["OS"]}, "tag 'OS' is not IOB2"),
        ({"tokens": ["a"], "ner_tags": [1]}, "tag 1 is a number and nothing names it"),
        ({"tokens": ["a"], "ner_tags": [True]}, "tag True is neither a string nor a class number"),
        ({"tokens": ["a"], "ner_tags": [None]}, "tag None is neither"),
        ({"tokens": [""], "ner_tags": ["O"]}, "token '' is not text"),
        ({"tokens": [None], "ner_tags": ["O"]}, "token None is not text"),
        ({"tokens": [0], "ner_tags": ["O"]}, "token 0 is not text"),
        ({"tokens": [[]], "ner_tags": ["O"]}, "token [] is not text"),
        ({"tokens": ["\ud800"], "ner_tags": ["O"]}, "is not text: it holds half"),
        ({"tokens": ["a"], "ner_tags": ["B-\ud800"]}, "half of a surrogate pair"),
        ({"tokens": ["a"], "ner_tags": ["O"], "document": "\ud800"}, "half of a surrogate pair"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_row_without_a_sentence_is_named(tmp_path: Path, row: object, message: str) -> None:
    path = jsonl(tmp_path, LINE, "", row)
    with pytest.raises(DataError) as caught:
        read_jsonl(path)
    assert f"{path}:3: " in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_jsonl_fields_have_several_names(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path,
        {**LINE, "document": "post 7"},
        {"words": ["a"], "tags": ["O"], "doc_id": 7},
        {"tokens": ["a"], "labels": ["O"], "document_id": None},
    )
    sentences = read_jsonl(path)
    assert [sentence.tokens for sentence in sentences] == [("Windows", "10"), ("a",), ("a",)]
    assert [sentence.document for sentence in sentences] == ["post 7", "7", None]


def test_only_line_feeds_end_a_line_of_jsonl(tmp_path: Path) -> None:
    path = write(tmp_path, "x.jsonl", '{"tokens": ["a\u2028b\x85c"], "ner_tags": ["O"]}\r\n')
    assert pairs(read_jsonl(path)) == [[("a\u2028b\x85c", "O")]]


def test_parquet_with_strings(tmp_path: Path) -> None:
    path = parquet(tmp_path, [{**LINE, "document": "d"}])
    assert read_parquet(path) == [
        Sentence(("Windows", "10"), ("B-OS", "I-OS"), "d", f"{path}, row 0")
    ]


def test_parquet_with_class_labels(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    features = Features(
        {
            "id": Value("int64"),
            "tokens": List(Value("string")),
            "ner_tags": List(ClassLabel(names=NAMES)),
        }
    )
    rows = {"id": [0, 1], "tokens": [["Windows", "10", "x"], ["y"]], "ner_tags": [[1, 2, 0], [0]]}
    Dataset.from_dict(rows, features=features).to_parquet(path)
    assert pairs(read_parquet(path)) == [
        [("Windows", "B-OS"), ("10", "I-OS"), ("x", "O")],
        [("y", "O")],
    ]


def test_parquet_with_string_features_of_datasets(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    Dataset.from_list([LINE]).to_parquet(path)
    assert pairs(read_parquet(path)) == [[("Windows", "B-OS"), ("10", "I-OS")]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([LINE, {"tokens": ["a"], "ner_tags": ["O", "O"]}], "row 1: 1 tokens but 2 tags"),
        ([{"tokens": ["a"], "ner_tags": [1]}], "row 0: tag 1 is a number and nothing names it"),
        ([{"text": "a"}], "row 0: no field 'tokens' or 'words' among 'text'"),
        ([LINE, {"tokens": None, "ner_tags": None}], "row 1: tokens and tags must be lists"),
    ],
)
def test_a_parquet_row_without_a_sentence_is_named(
    tmp_path: Path, rows: list[dict[str, object]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_parquet(parquet(tmp_path, rows))


def test_a_class_number_without_a_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    features = Features(
        {"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=NAMES))}
    )
    Dataset.from_dict({"tokens": [["a"]], "ner_tags": [[-1]]}, features=features).to_parquet(path)
    with pytest.raises(DataError, match="row 0: tag -1 is outside the 3 class names"):
        read_parquet(path)


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"tokens,tags\n", b"PAR1" + bytes(100) + b"PAR1"]
)
def test_a_file_that_is_not_parquet_is_refused_on_one_line(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, "train.parquet", content)
    with pytest.raises(DataError, match="not a Parquet file") as caught:
        read_parquet(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "dev",
        "valid",
        "val",
        "validation",
        "Validation",
        "validation-00000-of-00001",
        "dev.v2",
        "val_small",
    ],
)
def test_a_folder_is_split_by_the_names_of_its_files(tmp_path: Path, name: str) -> None:
    for split, word in (("training", "a"), (name, "b"), ("testing", "c"), ("readme", "d")):
        write(tmp_path, f"{split}.conll", f"{word}\tO\n")
    write(tmp_path, "train.md", "# no corpus")
    assert {
        split: [sentence.tokens for sentence in sentences]
        for split, sentences in read_corpus(str(tmp_path)).items()
    } == {
        "train": [("a",)],
        "validation": [("b",)],
        "test": [("c",)],
    }


def test_every_split_name_is_read(tmp_path: Path) -> None:
    for name, split in SPLIT_NAMES.items():
        folder = tmp_path / name
        folder.mkdir()
        write(folder, f"{name}.conll", "a\tO\n")
        assert list(read_corpus(str(folder))) == [split]


def test_shards_of_a_split_are_joined_in_order(tmp_path: Path) -> None:
    for shard in (1, 0, 2):
        parquet(
            tmp_path,
            [{"tokens": [f"w{shard}"], "ner_tags": ["O"]}],
            f"train-0000{shard}-of-00003.parquet",
        )
    assert [sentence.tokens for sentence in read_corpus(str(tmp_path))["train"]] == [
        ("w0",),
        ("w1",),
        ("w2",),
    ]


@pytest.mark.parametrize("suffix", [".conll", ".iob2", ".bio", ".txt", ".tsv"])
def test_suffixes_of_conll(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path, f"train{suffix}", "a\tB-OS\n")
    assert pairs(read_corpus(str(path))["train"]) == [[("a", "B-OS")]]


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_suffixes_of_jsonl(tmp_path: Path, suffix: str) -> None:
    path = jsonl(tmp_path, LINE, name=f"train{suffix}")
    assert len(read_corpus(str(path))["train"]) == 1


def test_files_may_be_separated_by_commas(tmp_path: Path) -> None:
    first = jsonl(tmp_path, LINE, name="train.jsonl")
    second = write(tmp_path, "test.conll", "a\tO\n")
    third = parquet(tmp_path, [LINE], "train-2.parquet")
    corpus = read_corpus(f"{first}, {second},{third}")
    assert {split: len(sentences) for split, sentences in corpus.items()} == {"train": 2, "test": 1}


def test_a_single_file_is_train_unless_it_is_named_after_another_split(tmp_path: Path) -> None:
    assert list(read_corpus(str(write(tmp_path, "tickets.conll", "a\tO\n")))) == ["train"]
    assert list(read_corpus(str(write(tmp_path, "test.conll", "a\tO\n")))) == ["test"]


def test_of_several_files_each_must_name_its_split(tmp_path: Path) -> None:
    first, second = (write(tmp_path, name, "a\tO\n") for name in ("train.conll", "tickets.conll"))
    with pytest.raises(DataError, match=r"tickets.conll: its name begins with no split \(train, "):
        read_corpus(f"{first},{second}")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.conll", ""),
        ("dev.conll", "\n \n"),
        ("test.jsonl", "\n"),
        ("train.conll", "-DOCSTART- O\n"),
    ],
)
def test_an_empty_file_is_refused_by_split(tmp_path: Path, name: str, content: str) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(DataError, match=f"the {SPLIT_NAMES[path.stem]} split is empty"):
        read_corpus(str(path))


def test_a_parquet_file_without_rows_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    pq.write_table(pa.Table.from_pylist([LINE]).slice(0, 0), path)
    with pytest.raises(DataError, match="the train split is empty"):
        read_corpus(str(path))


@pytest.mark.parametrize("name", ["train.csv", "train", "train.CONLL"])
def test_an_unknown_suffix_lists_the_known_ones(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, "a\tO\n")
    with pytest.raises(DataError) as caught:
        read_corpus(str(path))
    assert all(suffix in str(caught.value) for suffix in READERS)
    assert repr(path.suffix) in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "missing.conll",
        "missing/train.conll",
        "no/such/folder",
        "/no/such",
        "missing",
        "missing/",
        "./missing",
        "../missing",
    ],
)
def test_a_missing_path_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="no such file or folder") as caught:
        read_corpus(name)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_of_several_files_the_missing_one_is_named(tmp_path: Path) -> None:
    first = write(tmp_path, "train.conll", "a\tO\n")
    with pytest.raises(DataError, match=f"no such file or folder: {tmp_path / 'test.conll'}"):
        read_corpus(f"{first},{tmp_path / 'test.conll'}")


def test_a_path_too_long_for_the_file_system_is_missing() -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        read_corpus("x" * 300)


def test_a_folder_named_like_a_file_of_a_split_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "train.conll", "a\tO\n")
    (tmp_path / "test.conll").mkdir()
    assert list(read_corpus(str(tmp_path))) == ["train"]


def test_a_folder_without_split_files_is_refused_with_an_example(tmp_path: Path) -> None:
    write(tmp_path, "tickets.conll", "a\tO\n")
    with pytest.raises(
        DataError, match=r"no file named after a split: expected e\.g\. train\.conll"
    ):
        read_corpus(str(tmp_path))


def test_the_sample_needs_no_files() -> None:
    assert read_corpus("sample", sample_seed=7) == generate_sample(7)
