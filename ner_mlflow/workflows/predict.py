"""The `predict` step: tag a whole corpus, as a stream on this machine or on a Spark cluster."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path, PurePath

import pandas as pd

from ..atomic import atomic_file
from ..config.schema import PredictConfig
from ..data.annotated import predicted_texts
from ..data.formats.registry import find_output
from ..data.rows import ENTITIES, Row, check_new_file, file_format, open_row_writer, read_rows
from ..errors import ModelError
from ..pages import escape_markdown
from ..provenance import peak_rss_bytes
from ..redaction import redact
from ..tagging.recognizer import EntityRecognizer, load_tagger
from ..tracking.models import FoundModel
from ..tracking.records import PredictRecord
from ..tracking.run import Run
from ..tracking.spark import predict_on_spark
from ..tracking.steps import Step

log = logging.getLogger(__name__)

PROGRESS_S = 10
"""Seconds between two lines of progress."""
DESCRIBED = ("texts", "entities", "seconds", "texts_per_s")
"""Metrics that the run's first page shows; a cluster does not count entities."""
ROW_FORMATS = ("auto", "jsonl", "parquet")
"""Formats that keep the columns of the input."""


def run_predict(
    run: Run, config: PredictConfig, model: FoundModel, source: str, output: str
) -> dict[str, float]:
    """Write the rows of a corpus, each with a column :data:`ENTITIES`, to a new file or folder.

    Formats other than rows get the texts with their ids and entities.

    Args:
        run: the open run, which receives counts and throughput.
        config: the column with the texts, the engine, and the format of the output.
        model: an exported model; on Spark one that is logged.
        source: JSONL or Parquet; a path, or on Spark any address that the cluster reads.
        output: the same, or on Spark a folder of Parquet files.

    Returns:
        The metrics, as logged.

    Raises:
        DataError: the source cannot be read, the output exists, or its name does not fit its
            format.
        ModelError: the model is not an exported one.
    """
    if not model.is_onnx:
        raise ModelError(
            f"model {model.address} is not exported: run export on it, "
            "and give the registered model"
        )
    run.set_name(model.lineage.label, Step.PREDICT, PurePath(source).name)
    run.log_config({"predict": config})
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
    lead = f"{source} was tagged by {model.address}; the entities are in {output}."
    shown = {name: metrics[name] for name in DESCRIBED if name in metrics}
    run.describe(pd.DataFrame([shown]), lead=escape_markdown(redact(lead)))
    return metrics


def _predict_here(
    config: PredictConfig, model: FoundModel, source: Path, output: Path
) -> dict[str, float]:
    if config.format != "auto":
        write = find_output(output, config.format).write
    check_new_file(output)
    tagging = _Tagging(config, EntityRecognizer(load_tagger(model.folder, config.threads)))
    if config.format in ROW_FORMATS:
        with open_row_writer(output, like=source) as writer:
            for rows in tagging.tag(source):
                writer.write(rows)
    else:
        tagged = (row for rows in tagging.tag(source) for row in rows)
        with atomic_file(output) as part:
            write(part, predicted_texts(tagged, config.text_column))
    return tagging.metrics()


class _Tagging:
    """Tags the rows of a file, and measures it."""

    def __init__(self, config: PredictConfig, recognizer: EntityRecognizer) -> None:
        self._config = config
        self._recognizer = recognizer
        self._counts = {"texts": 0, "entities": 0, "characters": 0}
        self._started = time.perf_counter()

    def tag(self, source: Path) -> Iterator[list[Row]]:
        """Yield batches of the rows with their entities."""
        column, counts = self._config.text_column, self._counts
        self._started = reported = time.perf_counter()
        for rows in read_rows(source, self._config.batch_rows, column):
            recognized = self._recognizer.recognize_rows([row[column] for row in rows])
            pairs = zip(rows, recognized, strict=True)
            yield [{**row, ENTITIES: of_row} for row, of_row in pairs]
            counts["texts"] += len(rows)
            counts["entities"] += sum(map(len, recognized))
            counts["characters"] += sum(len(row[column]) for row in rows)
            if time.perf_counter() - reported > PROGRESS_S:
                reported = time.perf_counter()
                rate = counts["texts"] / (reported - self._started)
                log.info("%d texts, %.0f per second", counts["texts"], rate)

    def metrics(self) -> dict[str, float]:
        """Return the counts and the rates since tagging began."""
        seconds = time.perf_counter() - self._started
        return {
            **{name: float(count) for name, count in self._counts.items()},
            "seconds": seconds,
            "texts_per_s": self._counts["texts"] / seconds,
            "characters_per_s": self._counts["characters"] / seconds,
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
