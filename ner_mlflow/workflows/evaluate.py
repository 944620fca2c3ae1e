"""The `evaluate` step: a model and a prepared dataset in, scores and errors logged."""

import logging

from ..config import EvaluateConfig
from ..errors import DataError
from ..evaluation.report import evaluate
from ..evaluation.scores import predict
from ..provenance import cache_key, code_fingerprint
from ..tagger import Tagger
from ..tracking.models import FoundModel
from ..tracking.runs import Run
from .models import open_tagger
from .prepare import DataRef

log = logging.getLogger(__name__)

STEP = "evaluate"
CODE = ("bio.py", "casing.py", "decoding.py", "encoding.py", "tagger.py", "evaluation", "modeling/predict.py")


def run_evaluate(run: Run, config: EvaluateConfig, model: FoundModel, data: DataRef) -> dict[str, float]:
    """Score a model in an open run.

    Returns:
        The metrics, as logged.

    Raises:
        DataError: the dataset has other entity types than the model.
    """
    dataset = data.dataset
    run.log_config(evaluate=config)
    run.set_tags({"model": model.address, "data_run": data.run_id, "dataset_fingerprint": dataset.fingerprint, "dataset": dataset.name})
    tagger = open_tagger(model, config.batch_tokens)
    check_schema(tagger, data)
    sentences = dataset.corpus[config.split]
    run.log_dataset(dataset, (config.split,), data.run_id)
    log.info("tagging %d sentences of %s", len(sentences), config.split)
    report = evaluate(sentences, predict(tagger, sentences), dataset.schema, config)
    run.log_metrics(report.metrics, model_id=model.model_id)
    for name, table in report.tables.items():
        # The worst sentences are a page of their own, coloured; their table goes beside it.
        run.log_table(name if name not in report.pages else f"{name}_table", table)
    for name, page in report.pages.items():
        run.log_page(name, page)
    for name, figure in report.figures.items():
        run.log_figure(name, figure)
    run.set_tags({"cache_key": evaluate_cache_key(config, model, data)})
    log.info("%s F1 %.4f", config.split, report.metrics[f"{config.split}/f1"])
    return report.metrics


def check_schema(tagger: Tagger, data: DataRef) -> None:
    """Refuse a dataset whose entity types are not the model's."""
    if tagger.labels != data.dataset.schema.labels:
        raise DataError(
            f"data run {data.run_id} has the types {', '.join(data.dataset.schema.types)}, the model {', '.join(tagger.spec.types)}: "
            "give data prepared with the model's label table"
        )


def evaluate_cache_key(config: EvaluateConfig, model: FoundModel, data: DataRef) -> str:
    """Equal for equal code, settings, model and data."""
    return cache_key([STEP, code_fingerprint(*CODE), config.model_dump_json(), model.address, data.dataset.fingerprint])
