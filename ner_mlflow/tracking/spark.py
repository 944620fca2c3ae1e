"""Spark sessions, a registered model as a column function, and chunks of work on a cluster."""

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import mlflow

from ..errors import ConfigError, DataError, ModelError
from ..private_names import hadoop_path
from ..redaction import one_line
from ..tagging.pyfunc import AS_JSON

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")
ENTITIES_TYPE = "array<struct<text:string,label:string,start:bigint,end:bigint,score:double>>"
READERS = {"jsonl": "json", "parquet": "parquet"}
"""File format -> Spark's name of it."""
JOBS_FOR_CORE = 2
"""Chunks for each of the cluster's cores that are sent ahead."""
_PYTHON_ERROR = re.compile(
    r"^(?!java\.|org\.apache\.|py4j\.)((?:\w+\.)*\w*(?:Error|Exception): .+)$", re.MULTILINE
)
"""The last line of a Python traceback within a Java one."""


@contextmanager
def spark_session(
    master: str, name: str, settings: Mapping[str, str] | None = None
) -> Iterator[Any]:
    """Open a session on a cluster while the block runs.

    Raises:
        ConfigError: pyspark is not installed, or the cluster does not answer.
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
        raise ConfigError(
            f"spark_master {master!r} gives no session ({one_line(error)}): "
            "give the address of a running master, and install Java 17"
        ) from error
    try:
        yield session
    finally:
        session.stop()


def map_on_spark(
    chunks: Iterator[Chunk], spark: Any, function: Callable[[Chunk], Result]
) -> Iterator[Result]:
    """Yield what a function returns for each chunk, in order, computed on a cluster.

    The driver reads the chunks. Each is a job of its own, and :data:`JOBS_FOR_CORE` jobs for each
    core are under way or wait to be taken, so one slow chunk stops no core, and as many chunks and
    results are in the driver's memory at most. Spark computes a chunk again if its worker is lost.
    The Pythons of the cluster's machines need this package.

    Args:
        chunks: the chunks; they and the results must be picklable.
        spark: the session.
        function: of a module that the cluster's Pythons can import.

    Raises:
        DataError: the cluster failed.
    """
    context = spark.sparkContext
    jobs = (partial(_job, context, function, chunk) for chunk in chunks)
    with cause_of(f"Spark at {context.master} failed"):
        yield from in_order(jobs, JOBS_FOR_CORE * context.defaultParallelism, context)


def _job(context: Any, function: Callable[[Chunk], Result], chunk: Chunk) -> Result:
    results: list[Result] = context.parallelize([chunk], 1).map(function).collect()
    return results[0]


def in_order(jobs: Iterable[Callable[[], Result]], most: int, context: Any) -> Iterator[Result]:
    """Yield the result of each job, in order; jobs are begun before the results of earlier ones
    are there.

    Args:
        jobs: functions that run a job of Spark and return its result.
        most: jobs that are under way, or whose results wait, at most.
        context: the session's context; its jobs are cancelled if the results are no longer wanted.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(most) as pool:
        try:
            for job in jobs:
                waiting.append(pool.submit(job))
                if len(waiting) == most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            if waiting:
                pool.shutdown(wait=False, cancel_futures=True)
                context.cancelAllJobs()


@contextmanager
def cause_of(what: str) -> Iterator[None]:
    """Turn an error of Spark within the block into an error that begins with ``what``.

    Raises:
        DataError: Spark failed.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise DataError(f"{what}: {_cause(error)}: look into the logs of its workers") from error


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
    """Add the column of a model's entities to a table, on a cluster.

    The cluster's machines must see the source and the output (paths, ``hdfs://``, ``s3a://``), and
    their Pythons need the packages of the model's requirements.

    Args:
        master: the cluster's master.
        model_uri: the model.
        source: the table's address.
        file_format: a key of :data:`READERS`.
        output: the address of a folder of Parquet files, which appears once all are written.
        text_column: the column of texts.
        column: the column to add.
        threads: threads of each of the cluster's Python processes, 0 for one.

    Returns:
        The number of rows, and the seconds from the first to the last of them.

    Raises:
        ConfigError: see :func:`spark_session`.
        ModelError: the model cannot return its entities as a string.
        DataError: Spark cannot read the source or write the output, or the output exists.
    """
    signature = mlflow.models.get_model_info(model_uri).signature
    params = signature.params if signature is not None else None
    if params is None or AS_JSON not in [param.name for param in params]:
        raise ModelError(
            f"model {model_uri} was exported before models could run on Spark: export it again"
        )
    with spark_session(master, "ner_mlflow predict") as spark:
        from pyspark.errors import PySparkException
        from pyspark.sql.functions import col, from_json

        try:
            with atomic_folder(spark, output) as part:
                table = spark.read.format(READERS[file_format]).load(source)
                if text_column not in table.columns:
                    raise DataError(
                        f"input {source}: no column {text_column!r} among "
                        f"{', '.join(table.columns)}: give the column of texts as text_column"
                    )
                if column in table.columns:
                    raise DataError(
                        f"input {source}: has a column {column!r} already, "
                        "the name of the column to add: rename it"
                    )
                recognize = mlflow.pyfunc.spark_udf(
                    spark,
                    model_uri,
                    result_type="string",
                    env_manager="local",
                    params={AS_JSON: True},
                    model_config={"threads": threads or 1},
                )
                # Spark reads a small file as one partition, which would occupy only one core.
                cores = spark.sparkContext.defaultParallelism
                if table.rdd.getNumPartitions() < cores:
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
def atomic_folder(spark: Any, output: str) -> Iterator[str]:
    """Yield the address of a folder that is renamed to ``output`` once the block ends without an
    error, and deleted otherwise; on any of Spark's file systems.

    Raises:
        DataError: ``output`` exists.
    """
    output = output.rstrip("/")
    path, files = hadoop_path(spark, output)
    part, _ = hadoop_path(spark, f"{output}.part")
    check_output(spark, output)
    try:
        files.delete(part, True)  # left by a call that was killed
        yield f"{output}.part"
        if not files.rename(part, path):
            raise DataError(f"output {output} appeared meanwhile: name another, or remove it")
    finally:
        files.delete(part, True)


def check_output(spark: Any, output: str) -> None:
    """Refuse an output that exists.

    Raises:
        DataError: it does.
    """
    path, files = hadoop_path(spark, output)
    if files.exists(path):
        raise existing_output(output)


def existing_output(output: str) -> DataError:
    """Return the error of an output that exists."""
    return DataError(f"output {output} exists: name another, or remove it")


def _cause(error: Exception) -> str:
    """Return the last error of an executor's Python, or the beginning of Spark's message."""
    python_errors = _PYTHON_ERROR.findall(str(error))
    return one_line(python_errors[-1] if python_errors else error, limit=500)
