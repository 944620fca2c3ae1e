"""Splits of prepared datasets as MLflow's dataset inputs."""

import json
from pathlib import Path
from typing import Any

from mlflow.data.dataset_source import DatasetSource
from mlflow.data.dataset_source_registry import register_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.types.schema import Array, ColSpec, DataType, Schema

from ..data.dataset import PreparedDataset
from .queries import download

DIGEST_LIMIT = 36
"""Characters of a dataset's digest that MLflow stores."""
SCHEMA = Schema([ColSpec(Array(DataType.string), name) for name in ("tokens", "tags")])


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


class SplitDataset(MetaDataset):
    """A split as MLflow describes datasets: schema and number of rows, without the rows.

    MLflow's own class for tables would hold all words as Python objects.
    """

    def __init__(self, source: DatasetSource, name: str, digest: str, sentences: int) -> None:
        super().__init__(source, name, digest, SCHEMA)
        self._sentences = sentences

    @property
    def profile(self) -> dict[str, int]:
        """The number of rows."""
        return {"num_rows": self._sentences}

    def to_dict(self) -> dict[str, str]:
        """Return what MLflow stores."""
        return {**super().to_dict(), "profile": json.dumps(self.profile)}


def describe_split(dataset: PreparedDataset, split: str, data_run_id: str) -> SplitDataset:
    """Return a split as MLflow describes datasets, with the fingerprint as its digest."""
    source = DataRunSource(f"runs:/{data_run_id}/dataset/{split}.parquet")
    digest = dataset.fingerprint[:DIGEST_LIMIT]
    return SplitDataset(source, f"{dataset.name} {split}", digest, len(dataset.corpus[split]))
