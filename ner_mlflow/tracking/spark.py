"""Spark clusters, and a registered model on one, as a column function that MLflow makes."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import mlflow

from ..errors import ConfigError, DataError, ModelError
from ..tagging.pyfunc import AS_JSON

ENTITIES_TYPE = "array<struct<text:string,label:string,start:bigint,end:bigint,score:double>>"
READERS = {"jsonl": "json", "parquet": "parquet"}
"""File format -> Spark's name of it."""
_PYTHON_ERROR = re.compile(
    r"^(?!java\.|org\.apache\.|py4j\.)((?:\w+\.)*\w*(?:Error|Exception): .+)$", re.MULTILINE
)


@contextmanager
def spark_session(
    master: str, name: str, settings: Mapping[str, str] | None = None
) -> Iterator[Any]:
    """A session on a cluster, which ends with the block.

    Raises:
        ConfigError: pyspark is not installed, or there is no such cluster.
    """
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ConfigError(
            "engine=spark needs pyspark: pip install -e '.[spark]', and Java 17"
        ) from error
    builder = (
        SparkSession.builder.master(master)
        .appName(name)
        .config("spark.ui.showConsoleProgress", "true")
    )
    for key, value in (settings or {}).items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
    except (PySparkException, Py4JError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"spark_master {master!r} gives no session ({reason}): give the address of a master that runs, and have Java 17"
        ) from error
    try:
        yield session
    finally:
        session.stop()


def predict_on_spark(
    master: str,
    model_uri: str,
    source: str,
    file_format: str,
    output: str,
    text_column: str,
    column: str,
    threads: int,
) -> tuple[int, float]:
    """Add the column of a model's answers to a table, on a cluster; ``output`` becomes a folder of Parquet files, once all are written.

    Source and output must be addresses that the cluster's machines see (paths, ``hdfs://``, ``s3a://``), and its Pythons need what the
    model's requirements name.

    Returns:
        Rows written, and the seconds from the first to the last of them.

    Raises:
        ConfigError: see :func:`spark_session`.
        ModelError: the model cannot answer in one string a text.
        DataError: Spark cannot read the source or write the output, or the output exists.
    """
    signature = mlflow.models.get_model_info(model_uri).signature
    if (
        signature is None
        or signature.params is None
        or AS_JSON not in [param.name for param in signature.params]
    ):
        raise ModelError(
            f"model {model_uri} was exported before it could answer Spark: export it again"
        )
    with spark_session(master, "ner_mlflow predict") as spark:
        from pyspark.errors import PySparkException
        from pyspark.sql.functions import col, from_json

        try:
            with _appearing(spark, output) as part:
                table = spark.read.format(READERS[file_format]).load(source)
                if text_column not in table.columns:
                    raise DataError(
                        f"input {source}: no column {text_column!r} among {', '.join(table.columns)}: give the name of the texts as text_column"
                    )
                if column in table.columns:
                    raise DataError(
                        f"input {source}: has a column {column!r} already, which the answers are to be called: rename it"
                    )
                options = {"params": {AS_JSON: True}, "model_config": {"threads": threads or 1}}
                recognize = mlflow.pyfunc.spark_udf(
                    spark, model_uri, result_type="string", env_manager="local", **options
                )
                cores = spark.sparkContext.defaultParallelism
                if (
                    table.rdd.getNumPartitions() < cores
                ):  # a small file is one partition, which one core would tag
                    table = table.repartition(cores)
                started = time.perf_counter()
                table.withColumn(
                    column, from_json(recognize(col(text_column)), ENTITIES_TYPE)
                ).write.parquet(part)
                seconds = time.perf_counter() - started
            return spark.read.parquet(output).count(), seconds
        except PySparkException as error:
            raise DataError(f"Spark at {master} failed on {source}: {_cause(error)}") from error


@contextmanager
def _appearing(spark: Any, output: str) -> Iterator[str]:
    """The address of a folder that becomes ``output`` when the block has ended well, and goes when it has not; on any of Spark's file systems."""
    output = output.rstrip("/")
    path, part = (
        spark._jvm.org.apache.hadoop.fs.Path(address) for address in (output, f"{output}.part")
    )
    files = path.getFileSystem(spark._jsc.hadoopConfiguration())
    if files.exists(path):
        raise DataError(f"output {output} exists: name another, or remove it")
    try:
        files.delete(part, True)  # of a call that was killed
        yield f"{output}.part"
        if not files.rename(part, path):
            raise DataError(f"output {output} appeared meanwhile: name another, or remove it")
    finally:
        files.delete(part, True)


def _cause(error: Exception) -> str:
    """What an executor's Python said last, where it said something; else the beginning of what Spark says."""
    said = _PYTHON_ERROR.findall(str(error))
    return " ".join((said[-1] if said else str(error)).split())[:500]
