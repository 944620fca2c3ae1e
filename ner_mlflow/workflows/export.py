"""The `export` step: a fitted model in, proven ONNX files and a served model logged."""

import logging
from dataclasses import dataclass

from ..config.schema import ExportConfig
from ..data.sentences import TRAIN, VALIDATION
from ..errors import DataError, ModelError
from ..export.bundle import write_code_bundle
from ..export.golden import golden_answers
from ..export.onnx_files import read_onnx
from ..export.variants import export
from ..modeling.checkpoint import load_model
from ..modeling.predict import torch_tagger
from ..provenance import cache_key, library_versions, step_fingerprint
from ..tagging.recognizer import EntityRecognizer, load_tagger
from ..tracking.flavors import EXAMPLE, LoggedModel, log_onnx_model, log_served_model
from ..tracking.models import MODEL_URI_TAG, FoundModel
from ..tracking.runs import Run, read_tags, work_folder
from .data import DataRef
from .evaluate import check_schema
from .steps import EXPORT_STEP

log = logging.getLogger(__name__)

GOLDEN_SENTENCES = 30
"""Of validation, whose answers are logged with the served model."""


@dataclass(frozen=True)
class Exported:
    """The logged served model, and which variant it is."""

    model: LoggedModel
    variant: str


def run_export(run: Run, config: ExportConfig, model: FoundModel, data: DataRef) -> Exported:
    """Export a model in an open run; validation is what it is proven on.

    Raises:
        ModelError: the model is an ONNX model already, or nothing that may be served is proven.
        DataError: the model was trained on another dataset, or for other types.
    """
    if model.is_onnx:
        raise ModelError(
            f"model {model.address} is exported already: give the train run or PyTorch model it was made from"
        )
    _check_trained_on(model, data)
    run.log_config(export=config)
    run.set_tags(
        {
            "model": model.address,
            "data_run": data.run_id,
            "dataset_fingerprint": data.dataset.fingerprint,
            "dataset": data.dataset.name,
        }
    )
    run.log_dataset(data.dataset, (VALIDATION,), data.run_id)
    checkpoint = load_model(model.folder)
    check_schema(torch_tagger(checkpoint.network, checkpoint.tokenizer, checkpoint.spec), data)
    with work_folder() as folder:
        report = export(
            checkpoint,
            data.dataset.corpus[TRAIN],
            data.dataset.corpus[VALIDATION],
            config,
            folder / "onnx",
        )
        for variant in report.variants:
            run.log_metrics(
                {f"{variant.name}/{name}": value for name, value in variant.metrics.items()}
            )
        for name, table in report.tables.items():
            run.log_table(name, table)
        for name, figure in report.figures.items():
            run.log_figure(name, figure)
        run.log_folder(folder / "onnx", "onnx")
        texts = [
            *EXAMPLE,
            *(
                " ".join(sentence.tokens)
                for sentence in data.dataset.corpus[VALIDATION][:GOLDEN_SENTENCES]
            ),
        ]
        golden = golden_answers(EntityRecognizer(load_tagger(report.served.folder)), texts)
        metadata = {
            "variant": report.served.name,
            "types": list(checkpoint.spec.types),
            "dataset_fingerprint": data.dataset.fingerprint,
        }
        logged = log_served_model(
            report.served.folder,
            write_code_bundle(folder / "code"),
            "served_model",
            golden,
            metadata,
        )
        onnx_model = log_onnx_model(
            read_onnx(report.served.folder), report.served.folder, "onnx_model"
        )
        served_fingerprint = FoundModel(report.served.folder, logged.uri).fingerprint
    run.set_tags(
        {
            MODEL_URI_TAG: logged.uri,
            "served_variant": report.served.name,
            "served_fingerprint": served_fingerprint,
        }
    )
    run.set_tags({"onnx_model_uri": onnx_model.uri})
    run.set_tags({"cache_key": export_cache_key(config, model, data)})
    log.info("served variant: %s", report.served.name)
    return Exported(logged, report.served.name)


def _check_trained_on(model: FoundModel, data: DataRef) -> None:
    # A proof, and promotions that build on it, would count sentences that the model may have been trained on.
    trained_on = read_tags(model.run_id) if model.run_id else {}
    if trained_on.get("dataset_fingerprint", data.dataset.fingerprint) != data.dataset.fingerprint:
        raise DataError(
            f"data run {data.run_id} is not the dataset that {model.address} was trained on, which is that of data run {trained_on['data_run']}: "
            "give that one, or none"
        )


def export_cache_key(config: ExportConfig, model: FoundModel, data: DataRef) -> str:
    """Equal for equal code, libraries, settings, model and data."""
    return cache_key(
        [
            EXPORT_STEP,
            step_fingerprint(__file__),
            library_versions(),
            config.model_dump_json(),
            model.address,
            data.dataset.fingerprint,
        ]
    )
