"""A registered model on a Spark cluster, as a column function that MLflow makes."""

import time
from pathlib import Path

import mlflow

from ..errors import ConfigError, DataError, ModelError
from ..serving.pyfunc import AS_JSON

ENTITIES_TYPE = "array<struct<text:string,label:string,start:bigint,end:bigint,score:double>>"
READERS = {"jsonl": "json", "parquet": "parquet"}
"""File format -> Spark's name of it."""


def predict_on_spark(master: str, model_uri: str, source: str, file_format: str, output: str, text_column: str, column: str, threads: int) -> tuple[int, float]:
    """Add the column of a model's answers to a table, on a cluster; ``output`` becomes a folder of Parquet files.

    Source and output must be addresses that the cluster's machines see, and its Pythons need what the model's requirements name.

    Returns:
        Rows written, and the seconds from the first to the last of them.

    Raises:
        ConfigError: pyspark is not installed.
        ModelError: the model cannot answer in one string a text.
        DataError: Spark cannot read the source or write the output.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
        from pyspark.sql.functions import col, from_json
    except ImportError as error:
        raise ConfigError("engine=spark needs pyspark: pip install -e '.[spark]', and Java 17") from error
    signature = mlflow.models.get_model_info(model_uri).signature
    if signature is None or signature.params is None or AS_JSON not in [param.name for param in signature.params]:
        raise ModelError(f"model {model_uri} was exported before it could answer Spark: export it again")
    if Path(output).exists():
        raise DataError(f"output {output} exists: name another, or remove it")
    spark = SparkSession.builder.master(master).appName("ner_mlflow predict").config("spark.ui.showConsoleProgress", "true").getOrCreate()
    try:
        table = spark.read.format(READERS[file_format]).load(source)
        if text_column not in table.columns:
            raise DataError(f"input {source}: no column {text_column!r} among {', '.join(table.columns)}: give the name of the texts as text_column")
        options = {"params": {AS_JSON: True}, "model_config": {"threads": threads or 1}}
        recognize = mlflow.pyfunc.spark_udf(spark, model_uri, result_type="string", env_manager="local", **options)
        cores = spark.sparkContext.defaultParallelism
        if table.rdd.getNumPartitions() < cores:  # a small file is one partition, which one core would tag
            table = table.repartition(cores)
        started = time.perf_counter()
        table.withColumn(column, from_json(recognize(col(text_column)), ENTITIES_TYPE)).write.parquet(output)
        seconds = time.perf_counter() - started
        return spark.read.parquet(output).count(), seconds
    except PySparkException as error:
        raise DataError(f"Spark at {master} failed on {source}: {' '.join(str(error).split())[:500]}") from error
    finally:
        spark.stop()
