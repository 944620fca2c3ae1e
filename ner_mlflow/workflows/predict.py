"""The `predict` step: a whole corpus through a registered model, streaming here or on a Spark cluster."""

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


def run_predict(
    run: Run, config: PredictConfig, model: FoundModel, source: str, output: str
) -> dict[str, float]:
    """Write the rows of ``source`` with a column :data:`ENTITIES` to ``output``, in an open run.

    Args:
        run: receives counts and throughput.
        config: the column with the texts, and the engine.
        model: an exported model; on Spark one that is logged.
        source: JSONL or Parquet; a path, or on Spark any address that the cluster reads.
        output: the same, or on Spark a folder of Parquet files.

    Returns:
        The metrics, as logged.

    Raises:
        DataError: the source cannot be read, or the output exists.
        ModelError: the model is no exported one.
    """
    if not model.is_onnx:
        raise ModelError(
            f"model {model.address} is not exported: run export on it, and give the registered model"
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
    metrics = (
        _on_spark(config, model, source, output)
        if config.engine == "spark"
        else _here(config, model, Path(source), Path(output))
    )
    run.log_metrics(metrics)
    return metrics


def _here(config: PredictConfig, model: FoundModel, source: Path, output: Path) -> dict[str, float]:
    recognizer = EntityRecognizer(load_tagger(model.folder, config.threads))
    rows = entities = characters = 0
    with open_row_writer(output, like=source) as writer:
        started = said = time.perf_counter()
        for batch in read_rows(source, config.batch_rows, config.text_column):
            found = recognizer.recognize_rows(row[config.text_column] for row in batch)
            writer.write(
                [{**row, ENTITIES: answer} for row, answer in zip(batch, found, strict=True)]
            )
            rows += len(batch)
            entities += sum(map(len, found))
            characters += sum(len(row[config.text_column]) for row in batch)
            if time.perf_counter() - said > PROGRESS_S:
                said = time.perf_counter()
                log.info("%d texts, %.0f a second", rows, rows / (said - started))
        seconds = time.perf_counter() - started
    return {
        "texts": rows,
        "entities": entities,
        "characters": characters,
        "seconds": seconds,
        "texts_per_s": rows / seconds,
        "characters_per_s": characters / seconds,
        "peak_rss_bytes": float(peak_rss_bytes()),
    }


def _on_spark(
    config: PredictConfig, model: FoundModel, source: str, output: str
) -> dict[str, float]:
    if model.model_id is None:
        raise ModelError(
            f"model {model.address} is a folder: on Spark give one that MLflow can load, such as models:/NAME@ALIAS"
        )
    arguments = (
        _absolute(source),
        file_format(Path(source)),
        _absolute(output),
        config.text_column,
        ENTITIES,
        config.threads,
    )
    rows, seconds = predict_on_spark(config.spark_master, model.address, *arguments)
    return {"texts": rows, "seconds": seconds, "texts_per_s": rows / seconds}


def _absolute(address: str) -> str:
    return address if "://" in address else str(Path(address).absolute())
