"""Splits of prepared datasets as MLflow's dataset inputs."""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.data.dataset_source import DatasetSource
from mlflow.data.dataset_source_registry import register_dataset_source
from mlflow.data.pandas_dataset import PandasDataset

from ..data.dataset import PreparedDataset
from .queries import download

DIGEST_LIMIT = 36
"""Characters of a dataset's digest that MLflow stores."""


class DataRunSource(DatasetSource):
    """A split in the artifacts of a data run.

    MLflow's own sources cannot name artifacts behind a tracking server's proxy.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri

    @staticmethod
    def _get_source_type() -> str:
        return "ner_mlflow_data_run"

    def load(self) -> Path:
        """Return the local path of the split's Parquet file, downloaded if necessary."""
        return download(self._uri)

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:  # noqa: ARG004  # MLflow's signature
        return False

    @classmethod
    def _resolve(cls, raw_source: Any) -> "DataRunSource":
        raise NotImplementedError(raw_source)

    def to_dict(self) -> dict[str, Any]:
        """Return what MLflow stores."""
        return {"uri": self._uri}

    @classmethod
    def from_dict(cls, source_dict: dict[Any, Any]) -> "DataRunSource":
        """Return the source that :meth:`to_dict` described."""
        return cls(source_dict["uri"])


register_dataset_source(DataRunSource)  # so that mlflow.data.get_source finds it


def split_as_mlflow_dataset(
    dataset: PreparedDataset, split: str, data_run_id: str
) -> PandasDataset:
    """Return a split as MLflow describes datasets, with the fingerprint as its digest."""
    frame = pd.DataFrame(
        {
            "tokens": [list(sentence.tokens) for sentence in dataset.corpus[split]],
            "tags": [list(sentence.tags) for sentence in dataset.corpus[split]],
        }
    )
    source = DataRunSource(f"runs:/{data_run_id}/dataset/{split}.parquet")
    digest = dataset.fingerprint[:DIGEST_LIMIT]
    return mlflow.data.from_pandas(frame, source, name=f"{dataset.name} {split}", digest=digest)
