"""The `evaluate` step: one model or several and a prepared dataset in, scores, errors and differences logged."""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..config.schema import EvaluateConfig
from ..data.sentences import TRAIN
from ..errors import DataError
from ..evaluation.comparison import SIGNIFICANCE_LEVEL, pairwise_differences
from ..evaluation.counts import entity_counts
from ..evaluation.plots import plot_differences
from ..evaluation.report import evaluate
from ..evaluation.scores import predict
from ..modeling.loading import open_tagger
from ..provenance import cache_key, library_versions, step_fingerprint
from ..tagging.tagger import Tagger
from ..tracking.models import FoundModel
from ..tracking.runs import Run, download, read_metrics, reusable_run
from .data import DataRef
from .steps import EVALUATE_STEP

log = logging.getLogger(__name__)

PREDICTIONS = "predictions"


def run_evaluate(
    run: Run, config: EvaluateConfig, model: FoundModel, data: DataRef
) -> dict[str, float]:
    """Score a model in an open run.

    Returns:
        The metrics, as logged.

    Raises:
        DataError: the dataset has other entity types than the model.
    """
    dataset = data.dataset
    run.log_config(evaluate=config)
    run.set_tags(
        {
            "model": model.address,
            "data_run": data.run_id,
            "dataset_fingerprint": dataset.fingerprint,
            "dataset": dataset.name,
        }
    )
    tagger = open_tagger(model.folder, config.batch_subwords)
    check_schema(tagger, data)
    sentences = dataset.corpus[config.split]
    run.log_dataset(dataset, (config.split,), data.run_id)
    log.info("tagging %d sentences of %s", len(sentences), config.split)
    report = evaluate(
        sentences, predict(tagger, sentences), dataset.corpus[TRAIN], dataset.schema, config
    )
    run.log_metrics(report.metrics, model_id=model.model_id)
    run.log_frame(PREDICTIONS, report.predictions)
    for name, table in report.tables.items():
        # The worst sentences are a page of their own, coloured; their table goes beside it.
        run.log_table(name if name not in report.pages else f"{name}_table", table)
    for name, page in report.pages.items():
        run.log_page(name, page)
    for name, figure in report.figures.items():
        run.log_figure(name, figure)
    run.set_tags({"cache_key": evaluate_cache_key(config, model, data)})
    f1, low, high = (
        report.metrics[f"{config.split}/{name}"] for name in ("f1", "f1_low", "f1_high")
    )
    log.info(
        "%s F1 %.4f (%.0f %% interval %.4f to %.4f)",
        config.split,
        f1,
        100 * config.confidence_level,
        low,
        high,
    )
    return report.metrics


def run_evaluate_several(
    run: Run, config: EvaluateConfig, models: Sequence[FoundModel], data: DataRef
) -> pd.DataFrame:
    """Score models below an open run, each in a run of its own or as it was scored before, and test each pair for a difference.

    Returns:
        One row a model, the best F1 first: the scores, and the p-value of the difference to the best.
    """
    run.log_config(evaluate=config)
    run.set_tags(
        {
            "data_run": data.run_id,
            "dataset_fingerprint": data.dataset.fingerprint,
            "dataset": data.dataset.name,
        }
    )
    runs = {model.address: evaluated(run, config, model, data) for model in models}
    scores = {address: read_metrics(run_id) for address, run_id in runs.items()}
    order = sorted(runs, key=lambda address: -scores[address][f"{config.split}/f1"])
    predictions = {address: read_predictions(runs[address]) for address in order}
    counts = {
        address: entity_counts(
            frame["gold"].tolist(), frame["predicted"].tolist(), data.dataset.schema.types
        )
        for address, frame in predictions.items()
    }
    differences = pairwise_differences(counts, config.resamples, config.seed)
    against_best = {
        row["other"]: row["p_value"]
        for row in differences.to_dict("records")
        if row["model"] == order[0]
    }
    table = pd.DataFrame(
        [
            {
                "model": address,
                **{
                    name: scores[address][f"{config.split}/{name}"]
                    for name in (
                        "f1",
                        "f1_low",
                        "f1_high",
                        "precision",
                        "recall",
                        "calibration_error",
                    )
                },
                **{
                    f"{type_}_f1": scores[address].get(f"{config.split}/{type_}/f1", 0.0)
                    for type_ in data.dataset.schema.types
                },
                "p_against_best": against_best.get(address, np.nan),
                "run": runs[address],
            }
            for address in order
        ]
    )
    run.log_table("models", table)
    run.log_table("differences", differences)
    run.log_figure("differences", plot_differences(differences, order, SIGNIFICANCE_LEVEL))
    run.describe(table.drop(columns=["run"]))
    return table


def evaluated(run: Run, config: EvaluateConfig, model: FoundModel, data: DataRef) -> str:
    """The id of the run that scored a model: an earlier one, or one that is opened below ``run``."""
    run_id = reusable_run(EVALUATE_STEP, evaluate_cache_key(config, model, data), run.experiment_id)
    if run_id:
        log.info("%s: scored before in run %s", model.address, run_id)
        return run_id
    with run.child(EVALUATE_STEP, f"evaluate {model.address}") as child:
        run_evaluate(child, config, model, data)
    return child.id


def read_predictions(run_id: str) -> pd.DataFrame:
    """What an evaluate run logged of each sentence: ``tokens``, ``gold``, ``predicted`` and ``probabilities``, each a list."""
    return pd.read_parquet(download(f"runs:/{run_id}/{PREDICTIONS}.parquet"))


def check_schema(tagger: Tagger, data: DataRef) -> None:
    """Refuse a dataset whose entity types are not the model's."""
    if tagger.labels != data.dataset.schema.labels:
        raise DataError(
            f"data run {data.run_id} has the types {', '.join(data.dataset.schema.types)}, the model {', '.join(tagger.spec.types)}: "
            "give data prepared with the model's label map"
        )


def evaluate_cache_key(config: EvaluateConfig, model: FoundModel, data: DataRef) -> str:
    """Equal for equal code, libraries, settings, model and data."""
    return cache_key(
        [
            EVALUATE_STEP,
            step_fingerprint(__file__),
            library_versions(),
            config.model_dump_json(),
            model.fingerprint,
            data.dataset.fingerprint,
        ]
    )
