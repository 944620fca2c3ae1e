"""Names of other libraries that are private there and have no public equivalent.

``tests/unit/test_private_names.py`` states what each function relies on, and fails when a new
version of the library breaks it.
"""

from collections.abc import Iterator
from typing import Any

UNFINISHED_ARTIFACT = ".artifact.uploading."
"""What the name of a file begins with while MLflow writes it as an artifact on this machine."""


def trial_id(trial: Any) -> Any:
    """Return the storage's id of an Optuna trial, an ``optuna.Trial`` or a ``FrozenTrial``.

    Storages take this id in their public methods. ``get_trial_id_from_study_id_trial_number`` is
    public as well, but ``MlflowStorage`` does not implement it.
    """
    return trial._trial_id


def attention_implementation(network: Any) -> str:
    """Return the name of a transformers model's attention, to restore it after a change.

    ``set_attn_implementation`` is public and has no counterpart that reads.
    """
    name: str = network.config._attn_implementation
    return name


def takes_custom_attention(network: Any) -> bool:
    """Return whether a transformers model calls the attention of ``AttentionInterface``."""
    return bool(network._supports_attention_backend)


def hadoop_path(session: Any, address: str) -> tuple[Any, Any]:
    """Return an address as Hadoop's ``Path``, and the ``FileSystem`` that holds it.

    PySpark reads and writes tables on Hadoop's file systems, but has no Python function that
    renames or deletes a folder there.

    Args:
        session: a ``pyspark.sql.SparkSession`` with a JVM of its own (no Spark Connect).
        address: a path, or a URL such as ``hdfs://...`` and ``s3a://...``.
    """
    path = session._jvm.org.apache.hadoop.fs.Path(address)
    return path, path.getFileSystem(session._jsc.hadoopConfiguration())


def hadoop_files(session: Any, address: str) -> Iterator[tuple[str, int, int]]:
    """Yield the file at an address, or the files of a folder and its sub-folders, in any order.

    Each comes as its address, its size in bytes, and when it was changed, in milliseconds of Unix
    time. There are none if there is nothing at the address.

    Args:
        session: as that of :func:`hadoop_path`.
        address: likewise.
    """
    path, files = hadoop_path(session, address)
    if not files.exists(path):
        return
    found = files.listFiles(path, True)
    while found.hasNext():
        status = found.next()
        yield status.getPath().toString(), status.getLen(), status.getModificationTime()
