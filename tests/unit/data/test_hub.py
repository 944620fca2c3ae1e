"""Which datasets are looked for on the hub; tests/e2e/test_hub.py reads some."""

from pathlib import Path

import pytest

from ner_mlflow.data.hub import hub_commit, is_hub_id


@pytest.mark.parametrize(
    "dataset",
    ["acme/ner", "acme/ner:de", "acme/ner-1.0", "acme/ner-1.0:v1.1", "tner/wnut2017", "a_b/c.d"],
)
def test_ids_of_the_hub_are_known(dataset: str) -> None:
    assert is_hub_id(dataset)


@pytest.mark.parametrize(
    "dataset",
    [
        *("sample", "acme/ner/x", "./ner", "../ner", "/acme/ner", "acme/", "acme/ner:", "a b/c"),
        *("data/train.conll", "data/train.jsonl", "data/TRAIN.CONLL", "data/test.conll.gz"),
        *("data/train.parquet,data/test.parquet", "x" * 300, ""),
    ],
)
def test_paths_are_no_ids(dataset: str) -> None:
    assert not is_hub_id(dataset)
    assert hub_commit(dataset, "main") is None


def test_a_folder_that_exists_is_no_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_hub_id("acme/ner")
    (tmp_path / "acme/ner").mkdir(parents=True)
    assert not is_hub_id("acme/ner")
