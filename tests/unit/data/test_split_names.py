"""Names of files and hub splits tell their split, however people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.split_names import (
    SPLIT_NAMES,
    chosen_splits,
    listed,
    split_of_name,
    splits_of_name,
)
from ner_mlflow.errors import DataError


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.conll", "train"),
        ("training.tsv", "train"),
        ("eng.train", "train"),
        ("eng.testa", "validation"),
        ("eng.testb", "test"),
        ("esp.testb", "test"),
        ("testa.txt", "validation"),
        ("NER-de-train.tsv", "train"),
        ("NER-de-dev.tsv", "validation"),
        ("en_ewt-ud-dev.conllu", "validation"),
        ("wnut17train.conll", "train"),
        ("emerging.dev.conll", "validation"),
        ("emerging.test.annotated", "test"),
        ("DEV.CONLL", "validation"),
        ("Test.Conll.GZ", "test"),
        ("devel.tsv", "validation"),
        ("development.jsonl", "validation"),
        ("valid.txt", "validation"),
        ("val_small.jsonl", "validation"),
        ("train-00000-of-00001.parquet", "train"),
        ("ner_train.jsonl", "train"),
        ("test1.conll", "test"),
        ("testset.conll", "test"),
        ("traindata.tsv", "train"),
        ("NCBItrainset_corpus.txt", "train"),
        ("NERTrain.txt", "train"),
        ("conllTestA.txt", "validation"),
        ("DevSet.txt", "validation"),
        ("train_en", "train"),
    ],
)
def test_a_name_tells_its_split(name: str, split: str) -> None:
    assert split_of_name(name) == split


@pytest.mark.parametrize(
    "name",
    [
        *("README.md", "tickets.conll", "latest.conll", "contest.tsv", "Eval.txt", "invalid.conll"),
        *("metadata.jsonl", "strain.txt", "device.tsv", "labels.txt", "unlabeled.txt", ""),
        *("trainer.conll", "attest.txt", "validate.py", "devops.conll"),
    ],
)
def test_other_names_tell_none(name: str) -> None:
    assert splits_of_name(name) == ()


@pytest.mark.parametrize(
    "name", ["train_dev.tsv", "dev-test", "test_train.conll", "TrainDev.tsv", "train.testa"]
)
def test_a_name_with_words_of_two_splits_tells_none_of_them(name: str) -> None:
    assert split_of_name(name) is None
    assert len(splits_of_name(name)) == 2


@given(
    word=st.sampled_from(sorted(SPLIT_NAMES)),
    before=st.sampled_from(["", "ner-", "x.", "corpus_v2_", "wnut17", "2003 "]),
    after=st.sampled_from(["", ".conll", "-00001-of-00004.parquet", "_en.tsv.gz", "2"]),
    change=st.sampled_from([str.lower, str.upper, str.title]),
)
def test_words_around_a_split_and_its_case_do_not_matter(
    word: str, before: str, after: str, change: object
) -> None:
    assert callable(change)
    assert split_of_name(change(before + word + after)) == SPLIT_NAMES[word]


@given(st.text())
def test_any_name_tells_at_most_three_splits(name: str) -> None:
    assert len(splits_of_name(name)) <= 3


def test_the_setting_names_the_split_of_each_file() -> None:
    config = DataConfig(splits=("a=b.tsv=train", "dev.tsv = validation"))
    assert chosen_splits(config) == {"a=b.tsv": "train", "dev.tsv": "validation"}


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (("train.tsv",), "'train.tsv' is not NAME=SPLIT"),
        (("=train",), "'=train' is not NAME=SPLIT"),
        (("a.tsv=dev",), r"names the split 'dev': write a.tsv= and one of train, validation, test"),
        (("a.tsv=train", "a.tsv=test"), "'a.tsv' is given twice"),
    ],
)
def test_an_item_that_names_no_split_is_refused(items: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        chosen_splits(DataConfig(splits=items))


def test_a_long_list_of_names_is_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(range(20)).endswith("11 and 8 more")
