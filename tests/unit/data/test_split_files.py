"""Each readable file of a corpus goes to its split, is left out by name, or is an error."""

import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.findings import Findings
from ner_mlflow.data.sentences import TEST, TRAIN, VALIDATION
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.data.split_files import FILES_LEFT_OUT, corpus_paths, files_read, find_split_files
from ner_mlflow.data.split_names import SPLIT_NAMES
from ner_mlflow.errors import DataError

CONLL = "Windows\tB-OS\n10\tI-OS\n\nok\tO\n"
ROW = {"tokens": ["Windows", "10"], "ner_tags": ["B-OS", "I-OS"]}
JSONL = json.dumps(ROW) + "\n"


def write(folder: Path, *names: str, content: str | bytes = CONLL) -> None:
    """Write files, by default of CoNLL, or of the format that their suffix names."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist([ROW]), path)
        elif path.suffix == ".jsonl":
            path.write_text(JSONL)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)


def find(dataset: Path | str, *splits: str, **settings: str) -> tuple[dict[str, list[str]], str]:
    """Return the names of the files of each split, and the text about those left out."""
    findings = Findings()
    config = DataConfig.model_validate({"dataset": str(dataset), "splits": splits, **settings})
    found: dict[str, list[str]] = {}
    for file in find_split_files(config, findings):
        name = os.path.relpath(file.path, dataset) if Path(dataset).is_dir() else file.path.name
        found.setdefault(file.split, []).append(name)
    return found, findings.facts.get(("", FILES_LEFT_OUT), "")


def refusal(dataset: Path | str, *splits: str) -> str:
    """Return the message of the error, which is one line."""
    with pytest.raises(DataError) as caught:
        find(dataset, *splits)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train.conll", "dev.conll", "test.conll"),
        ("eng.train", "eng.testa", "eng.testb"),
        ("NER-de-train.tsv", "NER-de-dev.tsv", "NER-de-test.tsv"),
        ("train.tsv", "devel.tsv", "test.tsv"),
        ("TRAIN.CONLL", "DEV.CONLL", "TEST.CONLL"),
        ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"),
        ("train.parquet", "valid.jsonl", "test-00000-of-00001.parquet"),
    ],
)
def test_files_with_the_names_of_known_corpora_are_found(
    tmp_path: Path, train: str, validation: str, test: str
) -> None:
    write(tmp_path, train, validation, test)
    assert find(tmp_path) == ({TRAIN: [train], VALIDATION: [validation], TEST: [test]}, "")


@pytest.mark.parametrize("name", SPLIT_NAMES)
def test_every_split_name_is_read(tmp_path: Path, name: str) -> None:
    write(tmp_path, f"{name}.conll")
    assert list(read_corpus(DataConfig(dataset=str(tmp_path))).corpus) == [SPLIT_NAMES[name]]


def test_gzipped_files_are_read(tmp_path: Path) -> None:
    write(tmp_path, "train.conll")
    write(tmp_path, "test.conll.gz", content=gzip.compress(b"Debian\tB-OS\n"))
    reading = read_corpus(DataConfig(dataset=str(tmp_path)))
    assert [sentence.tokens for sentence in reading.corpus["test"]] == [("Debian",)]


def test_the_corpus_is_read_by_split(tmp_path: Path) -> None:
    for name, word in (("test", "c"), ("training", "a"), ("dev.v2", "b")):
        write(tmp_path, f"{name}.conll", content=f"{word}\tO\n")
    reading = read_corpus(DataConfig(dataset=str(tmp_path)))
    assert {split: rows[0].tokens for split, rows in reading.corpus.items()} == {
        TRAIN: ("a",),
        VALIDATION: ("b",),
        TEST: ("c",),
    }
    assert list(reading.corpus) == [TRAIN, VALIDATION, TEST]
    assert [file.path.name for file in reading.files] == [
        "training.conll",
        "dev.v2.conll",
        "test.conll",
    ]


def test_a_name_with_words_of_two_splits_is_left_out_by_name(tmp_path: Path) -> None:
    write(tmp_path, "train.tsv", "train_dev.tsv", "devel.tsv", "test.tsv")
    found, left_out = find(tmp_path)
    assert found == {TRAIN: ["train.tsv"], VALIDATION: ["devel.tsv"], TEST: ["test.tsv"]}
    assert left_out == (
        f"{tmp_path / 'train_dev.tsv'} (its name matches several splits, train and validation)"
    )


def test_a_readable_file_that_tells_no_split_is_left_out_by_name(tmp_path: Path) -> None:
    write(tmp_path, "train.conll", "tickets.conll", "more.jsonl")
    findings = Findings()
    find_split_files(DataConfig(dataset=str(tmp_path)), findings)
    assert [str(finding) for finding in findings] == [
        f"files that belong to no split: 2 ({tmp_path / 'more.jsonl'} (its name matches no split); "
        f"{tmp_path / 'tickets.conll'} (its name matches no split))"
    ]


def test_all_files_that_are_left_out_are_named(tmp_path: Path) -> None:
    names = [f"{letter}.conll" for letter in "abcdefghijk"]
    write(tmp_path, "train.conll", *names)
    _, left_out = find(tmp_path)
    assert all(name in left_out for name in names)


def test_files_that_are_no_corpus_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "train.conll")
    write(tmp_path, "README.md", "LICENSE", "convert.py", content="two words\nand O\n")
    write(tmp_path, "labels.txt", content="B-OS\nI-OS\nO\n")
    write(tmp_path, "picture.png", content=b"\x89PNG\0\0")
    write(tmp_path, ".hidden.conll", ".git/train.conll", "__pycache__/train.conll")
    assert find(tmp_path) == ({TRAIN: ["train.conll"]}, "")


def test_a_file_named_after_a_split_that_no_format_reads_is_left_out_by_name(
    tmp_path: Path,
) -> None:
    write(tmp_path, "train.conll")
    write(tmp_path, "train.md", "test.sh", content="# no corpus\n")
    write(tmp_path, "test.png", content=b"\x89PNG\0\0")
    found, left_out = find(tmp_path)
    assert found == {TRAIN: ["train.conll"]}
    for name in ("train.md", "test.sh", "test.png"):
        assert (
            f"{name} (its name matches a split, but no format recognises its content)" in left_out
        )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("test.jsonl.gz", b"no archive", "archive"),
        ("test.json", b'{"tokens": ["a"', r"test\.json:1: not JSON"),
        ("test.json", b'{"text_of": "a"}\n', r"test\.json: of no known format"),
        ("test.parquet", b"PAR1", "not a Parquet file"),
        ("test.jsonl", b"\n", "the test split is empty"),
        ("test.conll", b"", "the test split is empty"),
        ("test.conll", b"a\tO\nb\tO\nWindows\tB-OS\n10\n", r"test\.conll:4: .*'10'"),
    ],
)
def test_the_only_file_of_a_split_is_refused_if_it_cannot_be_read(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    write(tmp_path, "train.conll")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_corpus(DataConfig(dataset=str(tmp_path)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "names",
    [
        ("train-0-of-3.parquet", "train-1-of-3.parquet", "train-2-of-3.parquet"),
        ("train_1.conll", "train_2.conll", "train_10.conll"),
        ("train.part1.jsonl", "train.part2.jsonl"),
        ("train1.conll", "train2.conll"),
    ],
)
def test_numbered_shards_are_joined_in_natural_order(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    write(tmp_path, *names[::-1])
    assert find(tmp_path) == ({TRAIN: list(names)}, "")


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    write(tmp_path, "train-00001-of-00002.parquet", "test.conll")
    assert "1 of 2 shards are missing (train-00000-of-00002.parquet)" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("test.txt", "test_predictions.txt"),
        ("test.jsonl", "test.tsv"),
        ("test_2020.conll", "test_2021.conll"),
        ("TEST.conll", "test.conll"),
    ],
)
def test_several_files_of_a_split_are_refused_with_the_way_out(
    tmp_path: Path, first: str, second: str
) -> None:
    write(tmp_path, first, second, "train.txt")
    message = refusal(tmp_path)
    assert f"2 files of {tmp_path} are test by their names ({first}, {second})" in message
    way_out = message.rpartition("splits=")[2]
    assert way_out == f"train.txt=train,{first}=test"
    found, left_out = find(tmp_path, *way_out.split(","))
    assert found == {TRAIN: ["train.txt"], TEST: [first]}
    assert left_out == f"{tmp_path / second} (the setting splits names others)"


def test_splits_name_files_in_their_order_and_leave_out_others(tmp_path: Path) -> None:
    write(tmp_path, "b.conll", "a.conll", "train.conll", "sub/x.jsonl")
    found, left_out = find(tmp_path, "b.conll=train", "sub/x.jsonl=test", "a.conll=train")
    assert found == {TRAIN: ["b.conll", "a.conll"], TEST: ["sub/x.jsonl"]}
    assert left_out == f"{tmp_path / 'train.conll'} (the setting splits names others)"


def test_splits_take_folders_and_patterns(tmp_path: Path) -> None:
    write(tmp_path, "gold/a.conll", "gold/b.conll", "silver/c.conll", "silver/d.jsonl")
    found, left_out = find(tmp_path, "gold=test", "silver/*.conll=train")
    assert found == {TRAIN: ["silver/c.conll"], TEST: ["gold/a.conll", "gold/b.conll"]}
    assert "d.jsonl" in left_out


def test_a_file_that_splits_name_and_is_not_there_is_refused_with_what_is(tmp_path: Path) -> None:
    write(tmp_path, "train.conll", "sub/x.jsonl")
    message = refusal(tmp_path, "dev.conll=train")
    assert "no file 'dev.conll'" in message
    assert message.endswith("there is train.conll, sub/x.jsonl")
    message = refusal(tmp_path / "train.conll", "dev.conll=train")
    assert message.endswith("there is train.conll")


def test_a_file_is_not_of_two_splits(tmp_path: Path) -> None:
    write(tmp_path, "a.conll")
    assert "would be train and test" in refusal(tmp_path, "a.conll=train", "*.conll=test")


def test_splits_name_listed_files(tmp_path: Path) -> None:
    write(tmp_path, "a.conll", "b.conll")
    dataset = f"{tmp_path / 'a.conll'},{tmp_path / 'b.conll'}"
    assert find(dataset, "a.conll=train", f"{tmp_path / 'b.conll'}=test") == (
        {TRAIN: ["a.conll"], TEST: ["b.conll"]},
        "",
    )


def test_the_only_sub_folder_with_splits_is_entered(tmp_path: Path) -> None:
    write(tmp_path, "data/train.conll", "data/test.conll", "notes/tickets.conll", "tickets.conll")
    write(tmp_path, "README.md", content="# A corpus\n")
    findings = Findings()
    files = find_split_files(DataConfig(dataset=str(tmp_path)), findings)
    assert [file.path.parent.name for file in files] == ["data", "data"]
    assert findings.count("folder_entered") == 1
    assert findings.count("file_left_out") == 2
    title = "folders that were read instead of the folder above, which holds no split"
    assert f"{title}: 1 ({tmp_path / 'data'})" in [str(finding) for finding in findings]


@pytest.mark.parametrize(
    ("name", "content"), [("train.jsonl", b'{"tokens": ["a"'), ("train-1.txt", b"prose\nalone\n")]
)
def test_a_broken_file_of_a_split_is_not_replaced_by_those_of_a_sub_folder(
    tmp_path: Path, name: str, content: bytes
) -> None:
    write(tmp_path, "old/train.conll", "old/test.conll")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        read_corpus(DataConfig(dataset=str(tmp_path)))


def test_other_files_that_name_a_split_do_not_hide_a_sub_folder(tmp_path: Path) -> None:
    write(tmp_path, "data/train.conll")
    write(tmp_path, "train_config.json", content='{"epochs": 3}')
    assert find(tmp_path)[0] == {TRAIN: ["data/train.conll"]}


def test_several_sub_folders_with_splits_are_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, "de/train.conll", "en/train.conll", "en/test.conll")
    assert refusal(tmp_path) == (
        f"dataset {str(tmp_path)!r}: several sub-folders hold splits (de, en): choose one, "
        f"dataset={tmp_path / 'de'}"
    )


def test_files_below_those_of_the_splits_are_left_out_by_name(tmp_path: Path) -> None:
    write(tmp_path, "train.conll", "old/train.conll", "old/2019/test.conll")
    write(tmp_path, "old/notes.py", content="x = 1\n")
    found, left_out = find(tmp_path)
    assert found == {TRAIN: ["train.conll"]}
    assert left_out.count("it is in a sub-folder") == 2


@pytest.mark.parametrize("folder", ["", "corpus"])
def test_sub_folders_may_be_named_after_splits(tmp_path: Path, folder: str) -> None:
    write(tmp_path / folder, "train/a.conll", "dev/b.conll", "Test/0000.parquet")
    write(tmp_path / folder, "Test/0001.parquet", "other/x.conll", "train_dev/y.conll")
    found, left_out = find(tmp_path / folder)
    assert found == {
        TRAIN: ["train/a.conll"],
        VALIDATION: ["dev/b.conll"],
        TEST: ["Test/0000.parquet", "Test/0001.parquet"],
    }
    assert "x.conll (it is beside the folder that holds the splits)" in left_out
    assert "y.conll (its folder's name matches several splits)" in left_out
    assert find(tmp_path)[0].keys() == found.keys()


def test_several_files_of_a_folder_of_a_split_are_refused_with_a_pattern(tmp_path: Path) -> None:
    names = [f"train/{letter}.conll" for letter in "abcdefg"]
    write(tmp_path, *names, "test/x.conll")
    message = refusal(tmp_path)
    assert message.endswith("splits=train/*=train,test/x.conll=test")
    assert find(tmp_path, "train/*=train", "test/x.conll=test")[0][TRAIN] == names


def test_a_folder_without_split_files_is_refused_with_an_example(tmp_path: Path) -> None:
    write(tmp_path, "tickets.conll")
    write(tmp_path, "wishes.conll")
    message = refusal(tmp_path)
    assert "no file named after a split: expected e.g. train.conll" in message
    assert f"{tmp_path} holds tickets.conll, wishes.conll" in message
    assert message.endswith("rename the files, or assign them by splits=NAME=SPLIT")
    assert find(tmp_path, "tickets.conll=train")[0] == {TRAIN: ["tickets.conll"]}


def test_the_only_corpus_of_a_folder_is_train_and_is_told(tmp_path: Path) -> None:
    write(tmp_path, "tickets.conll")
    (tmp_path / "README.md").write_text("Tickets of 2024.", encoding="utf-8")
    findings = Findings()
    (file,) = find_split_files(DataConfig(dataset=str(tmp_path)), findings)
    assert (file.path.name, file.split) == ("tickets.conll", TRAIN)
    assert findings.count("only_file_is_train") == 1


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "holds nothing" in refusal(tmp_path)


def test_a_folder_named_like_a_file_of_a_split_is_no_file(tmp_path: Path) -> None:
    write(tmp_path, "train.conll")
    (tmp_path / "test.conll").mkdir()
    assert find(tmp_path)[0] == {TRAIN: ["train.conll"]}


def test_a_single_file_is_train_unless_it_is_named_after_another_split(tmp_path: Path) -> None:
    write(tmp_path, "tickets.conll", "test.conll", "train_dev.conll")
    assert find(tmp_path / "tickets.conll")[0] == {TRAIN: ["tickets.conll"]}
    assert find(tmp_path / "test.conll")[0] == {TEST: ["test.conll"]}
    assert find(tmp_path / "train_dev.conll")[0] == {TRAIN: ["train_dev.conll"]}
    assert find(tmp_path / "test.conll", "test.conll=train")[0] == {TRAIN: ["test.conll"]}


def test_files_may_be_listed_with_commas(tmp_path: Path) -> None:
    write(tmp_path, "train.jsonl", "test.conll", "train-2.parquet")
    first, second, third = (
        tmp_path / name for name in ("train.jsonl", "test.conll", "train-2.parquet")
    )
    assert find(f"{first}, {second},{third},")[0] == {
        TRAIN: ["train.jsonl", "train-2.parquet"],
        TEST: ["test.conll"],
    }
    assert "is given twice" in refusal(f"{first},{first}")


def test_of_listed_files_each_must_tell_its_split(tmp_path: Path) -> None:
    write(tmp_path, "train.conll", "tickets.conll")
    message = refusal(f"{tmp_path / 'train.conll'},{tmp_path / 'tickets.conll'}")
    assert "tickets.conll: its name matches no split (train, validation, test)" in message
    assert message.endswith("splits=train.conll=train,tickets.conll=train")


def test_listed_files_may_lie_in_folders_named_after_splits(tmp_path: Path) -> None:
    write(tmp_path, "train/data.conll", "test/data.conll")
    dataset = f"{tmp_path / 'train/data.conll'},{tmp_path / 'test/data.conll'}"
    assert find(dataset)[0] == {TRAIN: ["data.conll"], TEST: ["data.conll"]}
    assert find(f"{tmp_path / 'train'},{tmp_path / 'test'}")[0] == find(dataset)[0]


def test_a_path_may_hold_commas(tmp_path: Path) -> None:
    write(tmp_path, "a, b,c/train.conll", "a, b,c/test.conll")
    folder = tmp_path / "a, b,c"
    assert find(folder)[0].keys() == {TRAIN, TEST}
    listed = f"{folder / 'train.conll'}, {folder / 'test.conll'}"
    assert corpus_paths(listed) == [folder / "train.conll", folder / "test.conll"]
    assert find(listed)[0].keys() == {TRAIN, TEST}


def test_a_tilde_is_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "corpus/train.conll")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert corpus_paths("~/corpus") == [tmp_path / "corpus"]


@pytest.mark.parametrize(
    "name",
    [
        *("missing.conll", "missing/train.conll", "no/such/folder", "/no/such", "missing"),
        *("missing/", "./missing", "../missing", "x" * 300, "~nobody-of-this-name/x", "a\0b"),
    ],
)
def test_a_missing_path_is_named_with_the_absolute_path_that_was_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    message = refusal(name)
    assert repr(name) in message
    tried = os.path.normpath(tmp_path / name.replace("\0", ""))
    assert f"no such file or folder: {tried}" in message
    assert "under mlflow run is the project's: give an absolute path" in message


def test_of_listed_files_the_missing_one_is_named(tmp_path: Path) -> None:
    write(tmp_path, "train.conll")
    message = refusal(f"{tmp_path / 'train.conll'},{tmp_path / 'test.conll'}")
    assert f"no such file or folder: {tmp_path / 'test.conll'}" in message


def test_a_link_is_followed_and_a_broken_one_named(tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/x.conll")
    corpus = tmp_path / "corpus"
    write(corpus, "test.conll")
    (corpus / "train.conll").symlink_to(tmp_path / "elsewhere/x.conll")
    (corpus / "notes.txt").symlink_to(tmp_path / "gone.txt")
    (corpus / "loop").symlink_to(corpus)
    assert find(corpus)[0].keys() == {TRAIN, TEST}
    (corpus / "dev.conll").symlink_to(tmp_path / "gone.conll")
    assert f"dev.conll: a link to {tmp_path / 'gone.conll'}, which is not there" in refusal(corpus)
    assert "which is not there" in refusal(corpus / "dev.conll")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_or_folder_without_the_right_to_read_is_named(tmp_path: Path) -> None:
    write(tmp_path, "train.conll", "below/test.conll")
    (tmp_path / "train.conll").chmod(0)
    assert "train.conll: cannot be read" in refusal(tmp_path)
    assert "train.conll: cannot be read" in refusal(tmp_path / "train.conll")
    (tmp_path / "below").chmod(0)
    try:
        assert "below: cannot be read" in refusal(tmp_path / "below")
        assert "permission denied" in refusal(tmp_path / "below" / "test.conll")
    finally:
        (tmp_path / "below").chmod(0o755)


def test_the_format_may_be_given(tmp_path: Path) -> None:
    write(tmp_path, "train.dat", content="Windows\n")
    files = find_split_files(DataConfig(dataset=str(tmp_path), source_format="conll"), Findings())
    assert [file.format.name for file in files] == ["conll"]


DOCUMENT = {"ann": "T1\tOS 0 7\tWindows\n", "txt": "Windows 10\n"}


def write_brat(folder: Path, *names: str) -> None:
    for name in names:
        for suffix, content in DOCUMENT.items():
            write(folder, f"{name}.{suffix}", content=content)


def test_a_folder_of_brat_documents_is_train(tmp_path: Path) -> None:
    write_brat(tmp_path / "corpus", "doc-1", "doc-10", "doc-2", "train and test")
    found, left_out = find(tmp_path / "corpus")
    assert found == {TRAIN: ["doc-1.ann", "doc-2.ann", "doc-10.ann", "train and test.ann"]}
    assert left_out == ""


def test_brat_folders_named_after_splits_hold_documents_of_any_name(tmp_path: Path) -> None:
    write_brat(tmp_path, "train/a", "train/a test plan", "dev/b", "test/training")
    write(tmp_path, "annotation.conf", content="[entities]\nOS\n")
    found, left_out = find(tmp_path)
    assert found == {
        TRAIN: ["train/a test plan.ann", "train/a.ann"],
        VALIDATION: ["dev/b.ann"],
        TEST: ["test/training.ann"],
    }
    assert left_out == ""


def test_brat_documents_named_after_splits_are_those(tmp_path: Path) -> None:
    write_brat(tmp_path, "train_1", "train_x", "test")
    assert find(tmp_path)[0] == {TRAIN: ["train_1.ann", "train_x.ann"], TEST: ["test.ann"]}


def test_brat_beside_other_files_of_its_split_is_refused(tmp_path: Path) -> None:
    write_brat(tmp_path, "a")
    write(tmp_path, "train.conll")
    assert "2 files of" in refusal(tmp_path)


def test_the_text_beside_brat_annotations_is_read_with_them(tmp_path: Path) -> None:
    write_brat(tmp_path, "a")
    assert files_read(tmp_path / "a.ann") == [tmp_path / "a.ann", tmp_path / "a.txt"]
    assert files_read(tmp_path / "a.txt") == [tmp_path / "a.txt"]
