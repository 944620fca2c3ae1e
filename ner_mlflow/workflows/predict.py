"""The `predict` step: tag a whole corpus, as a stream on this machine or on a Spark cluster."""

import logging
import time
from pathlib import Path

from ..config.schema import PredictConfig
from ..data.rows import ENTITIES, file_format, open_row_writer, read_rows
from ..errors import ModelError
from ..provenance import peak_rss_bytes
from ..tagging.recognizer import EntityRecognizer, load_tagger
from ..tracking.models import FoundModel
from ..tracking.records import PredictRecord
from ..tracking.run import Run
from ..tracking.spark import predict_on_spark

log = logging.getLogger(__name__)

PROGRESS_S = 10
"""Seconds between two lines of progress."""


def run_predict(
    run: Run, config: PredictConfig, model: FoundModel, source: str, output: str
) -> dict[str, float]:
    """Write the rows of a corpus, each with a column :data:`ENTITIES`, to a new file or folder.

    Args:
        run: the open run, which receives counts and throughput.
        config: the column with the texts, and the engine.
        model: an exported model; on Spark one that is logged.
        source: JSONL or Parquet; a path, or on Spark any address that the cluster reads.
        output: the same, or on Spark a folder of Parquet files.

    Returns:
        The metrics, as logged.

    Raises:
        DataError: the source cannot be read, or the output exists.
        ModelError: the model is not an exported one.
    """
    if not model.is_onnx:
        raise ModelError(
            f"model {model.address} is not exported: run export on it, "
            "and give the registered model"
        )
    run.log_config(predict=config)
    PredictRecord(
        run_id=run.id,
        model=model.address,
        model_id=model.model_id or "",
        model_fingerprint=model.fingerprint,
        input=source,
        output=output,
    ).write(run)
    if config.engine == "spark":
        metrics = _predict_on_cluster(config, model, source, output)
    else:
        metrics = _predict_here(config, model, Path(source), Path(output))
    run.log_metrics(metrics)
    return metrics


def _predict_here(
    config: PredictConfig, model: FoundModel, source: Path, output: Path
) -> dict[str, float]:
    recognizer = EntityRecognizer(load_tagger(model.folder, config.threads))
    column = config.text_column
    texts = entities = characters = 0
    with open_row_writer(output, like=source) as writer:
        started = reported = time.perf_counter()
        for rows in read_rows(source, config.batch_rows, column):
            recognized = recognizer.recognize_rows(row[column] for row in rows)
            pairs = zip(rows, recognized, strict=True)
            writer.write([{**row, ENTITIES: of_row} for row, of_row in pairs])
            texts += len(rows)
            entities += sum(map(len, recognized))
            characters += sum(len(row[column]) for row in rows)
            if time.perf_counter() - reported > PROGRESS_S:
                reported = time.perf_counter()
                log.info("%d texts, %.0f per second", texts, texts / (reported - started))
        seconds = time.perf_counter() - started
    return {
        "texts": texts,
        "entities": entities,
        "characters": characters,
        "seconds": seconds,
        "texts_per_s": texts / seconds,
        "characters_per_s": characters / seconds,
        "peak_rss_bytes": float(peak_rss_bytes()),
    }


def _predict_on_cluster(
    config: PredictConfig, model: FoundModel, source: str, output: str
) -> dict[str, float]:
    if model.model_id is None:
        raise ModelError(
            f"model {model.address} is a folder: on Spark give one that MLflow can load, "
            "such as models:/NAME@ALIAS"
        )
    texts, seconds = predict_on_spark(
        config.spark_master,
        model.address,
        _absolute(source),
        file_format(Path(source)),
        _absolute(output),
        config.text_column,
        ENTITIES,
        config.threads,
    )
    return {"texts": texts, "seconds": seconds, "texts_per_s": texts / seconds}


def _absolute(address: str) -> str:
    return address if "://" in address else str(Path(address).absolute())
