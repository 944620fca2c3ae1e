"""Shards are put in order; what is no shard is not taken for one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.data.shards import has_total, natural_order, order_of_shards
from ner_mlflow.errors import DataError


@pytest.mark.parametrize(
    "names",
    [
        ["train_1.tsv", "train_2.tsv", "train_10.tsv"],
        ["train.part1.jsonl", "train.part2.jsonl"],
        ["train1.conll", "train02.conll"],
        ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"],
        ["train-1-of-2.parquet", "train-2-of-2.parquet"],
        ["x/0000.parquet", "x/0001.parquet"],
        ["conll2003_train_1", "conll2003_train_2"],
    ],
)
def test_numbers_give_the_order_of_shards(names: list[str]) -> None:
    assert order_of_shards(names) == list(range(len(names)))
    assert order_of_shards(names[::-1]) == list(reversed(range(len(names))))


@pytest.mark.parametrize(
    "names",
    [
        ["test.txt", "test_predictions.txt"],
        ["train.tsv", "train.jsonl"],
        ["train.tsv", "train.tsv.gz"],
        ["train.tsv", "train_2.tsv"],
        ["train_1.tsv", "train_2.jsonl"],
        ["train_1.tsv", "train_01.tsv"],
        ["train_en.tsv", "train_de.tsv"],
        ["test_2020.tsv", "test_2021.tsv"],
        ["a1-train1.tsv", "a2-train2.tsv"],
        ["train_v1.tsv", "train_v2.tsv"],
        ["train.Version-1.tsv", "train.Version-2.tsv"],
        ["train_fold0.tsv", "train_fold1.tsv"],
        ["train_5shot.tsv", "train_10shot.tsv"],
        ["train-10k.tsv", "train-50k.tsv"],
        ["train-0-of-2.parquet", "train-0-of-3.parquet"],
        ["de/train-0-of-1.parquet", "en/train-0-of-1.parquet"],
    ],
)
def test_other_files_are_no_shards(names: list[str]) -> None:
    assert order_of_shards(names) is None


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train-00001-of-00002.parquet"], r"1 of 2 shards are missing \(train-00000-of-00002"),
        (["t-1-of-4", "t-4-of-4"], r"t-1-of-4: 2 of 4 shards are missing \(t-2-of-4, t-3-of-4\)"),
        (["t-0-of-9999999999999"], r"9999999999998 of 9999999999999 shards .* \.\.\.\)"),
    ],
)
def test_a_missing_shard_is_named(names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        order_of_shards(names)


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=8, unique=True), st.booleans())
def test_shards_are_in_the_order_of_their_numbers(numbers: list[int], padded: bool) -> None:
    names = [f"train_{number:07d}.tsv" if padded else f"train_{number}.tsv" for number in numbers]
    order = order_of_shards(names)
    if order is None:  # years, in which nothing is padded
        assert all(1900 <= number < 2100 for number in numbers)
    else:
        assert [numbers[index] for index in order] == sorted(numbers)


def test_names_that_tell_the_number_of_shards() -> None:
    assert has_total("train-00000-of-00002.parquet")
    assert has_total("test_1_OF_3.conll")
    assert not has_total("train_1.tsv")
    assert not has_total("1of3")


def test_numbers_within_names_sort_by_value() -> None:
    names = ["b", "a10", "A2", "a1"]
    assert sorted(names, key=lambda name: natural_order(Path(name))) == ["a1", "A2", "a10", "b"]
