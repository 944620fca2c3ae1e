"""Splits as inputs of runs: MLflow gives back their Parquet file, digest and source."""

import json

import mlflow
import pandas as pd
import pytest

from ner_mlflow.data.dataset import PreparedDataset, fingerprint, save_dataset
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.errors import TrackingError
from ner_mlflow.tagging.label_schema import LabelSchema
from ner_mlflow.tracking.datasets import DIGEST_LIMIT, DataRunSource, describe_split
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.run import temporary_folder
from ner_mlflow.tracking.steps import Step

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture
def dataset() -> PreparedDataset:
    sentences = [Sentence(("Linux", "runs"), ("B-OS", "O"))]
    corpus = dict.fromkeys(("train", "validation", "test"), sentences)
    schema = LabelSchema(("OS",))
    return PreparedDataset("tiny", corpus, schema, fingerprint(corpus, schema))


def test_a_logged_input_leads_back_to_the_split(dataset: PreparedDataset) -> None:
    with open_run(Step.DATA, "data") as run:
        with temporary_folder() as folder:
            save_dataset(dataset, folder / "dataset")
            run.log_folder(folder / "dataset", "dataset")
        run.log_dataset(dataset, ("validation",), run.id)
    (logged,) = mlflow.get_run(run.id).inputs.dataset_inputs
    assert logged.dataset.name == "tiny validation"
    assert logged.dataset.digest == dataset.fingerprint[:DIGEST_LIMIT]
    assert logged.dataset.source_type == DataRunSource._get_source_type()
    source = mlflow.data.get_source(logged)
    assert isinstance(source, DataRunSource)
    frame = pd.read_parquet(source.load())
    assert [list(words) for words in frame["tokens"]] == [["Linux", "runs"]]


def test_a_split_is_described_by_its_columns_and_its_number_of_sentences(
    dataset: PreparedDataset,
) -> None:
    described = describe_split(dataset, "test", "0" * 32)
    assert described.schema.input_names() == ["tokens", "tags"]
    assert json.loads(described.to_dict()["profile"]) == {"num_rows": 1}
    assert described.source.to_dict() == {"uri": f"runs:/{'0' * 32}/dataset/test.parquet"}
    assert DataRunSource.from_dict(described.source.to_dict()).to_dict() == (
        described.source.to_dict()
    )


def test_a_split_of_a_deleted_run_is_named() -> None:
    source = DataRunSource(f"runs:/{'0' * 32}/dataset/test.parquet")
    with pytest.raises(TrackingError, match=r"runs:/0+/dataset/test\.parquet: no such artifact"):
        source.load()
