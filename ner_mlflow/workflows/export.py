"""The `export` step: write a fitted model as proven ONNX files and log the one to serve."""

import logging
from dataclasses import replace

from ..config.schema import ExportConfig
from ..data.running_text import RAW, STANDIN
from ..data.sentences import TRAIN, VALIDATION
from ..errors import DataError, ModelError
from ..exporting.bundle import engine_states, write_code_bundle
from ..exporting.golden import golden_answers
from ..exporting.onnx_files import read_onnx
from ..exporting.variants import ExportReport, export
from ..modeling.checkpoint import load_model
from ..modeling.predict import torch_tagger
from ..pages import escape_markdown
from ..provenance import cache_key, library_versions, step_fingerprint
from ..tagging.recognizer import EntityRecognizer, load_tagger
from ..tracking.flavors import EXAMPLE, log_onnx_model, log_served_model, model_name
from ..tracking.lifecycle import page_links
from ..tracking.models import FoundModel
from ..tracking.records import (
    ONNX_FOLDER,
    ExportRecord,
    dataset_of,
    seed_text,
    variant_metrics,
)
from ..tracking.run import Run, temporary_folder
from ..tracking.steps import Step
from .data import TrackedDataset
from .evaluate import check_schema

log = logging.getLogger(__name__)

GOLDEN_SENTENCES = 30
"""Sentences of validation whose answers are logged with the served model."""
TEXT_NAMES = {RAW: "running text", STANDIN: "a stand-in for running text (words joined)"}
"""How a description names each kind of running text."""


def run_export(
    run: Run, config: ExportConfig, model: FoundModel, data: TrackedDataset
) -> ExportRecord:
    """Export a model in an open run and prove it on validation.

    Raises:
        ModelError: the model is exported already, or no variant that may be served is proven.
        DataError: the model was trained on another dataset, or for other types.
    """
    if model.is_onnx:
        raise ModelError(
            f"model {model.address} is exported already: "
            "give the train run or PyTorch model that it was made from"
        )
    _check_trained_on(model, data)
    dataset = data.dataset
    train, validation = dataset.corpus[TRAIN], dataset.corpus[VALIDATION]
    run.log_config({"export": config})
    lineage = model.lineage
    seed = seed_text(lineage.seed)
    run.set_name(lineage.label, Step.EXPORT, dataset.name, seed)
    record = ExportRecord(
        run_id=run.id,
        model=model.address,
        train_run=model.run_id or "",
        **data.fields,
        **lineage.fields,
    )
    record.write(run)
    run.log_dataset(dataset, (VALIDATION,), data.run_id)
    checkpoint = load_model(model.folder)
    check_schema(torch_tagger(checkpoint.network, checkpoint.tokenizer, checkpoint.spec), data)
    metrics: dict[str, float] = {}
    with temporary_folder() as folder:
        report = export(checkpoint, train, validation, config, folder / ONNX_FOLDER)
        for variant in report.variants:
            metrics |= variant_metrics(variant.name, variant.metrics)
        run.log_metrics(metrics)
        for name, table in report.tables.items():
            run.log_table(name, table)
        for name, figure in report.figures.items():
            run.log_figure(name, figure)
        run.log_folder(folder / ONNX_FOLDER, ONNX_FOLDER)
        served = report.served
        texts = [*EXAMPLE, *(" ".join(s.tokens) for s in validation[:GOLDEN_SENTENCES])]
        golden = golden_answers(EntityRecognizer(load_tagger(served.folder)), texts)
        metadata = {
            "variant": served.name,
            "engine": served.engine.name,
            **({"precision": served.precision} if served.precision else {}),
            "types": list(checkpoint.spec.types),
            "dataset_fingerprint": dataset.fingerprint,
            **(
                {"float_layers": list(served.float_layers)}
                if served.float_layers is not None
                else {}
            ),
        }
        bundle = write_code_bundle(folder / "code", engine=served.engine)
        name = model_name(lineage.preset, dataset.name, seed, served.name)
        logged = log_served_model(run.id, served.folder, bundle, name, golden, metadata)
        graph = read_onnx(served.folder)
        onnx_model = log_onnx_model(run.id, graph, served.folder, model_name(name, "onnx"))
        fingerprint = FoundModel(served.folder, logged.uri).fingerprint
    record = replace(
        record,
        cache_key=export_cache_key(config, model, data),
        model_uri=logged.uri,
        onnx_model_uri=onnx_model.uri,
        served_variant=served.name,
        served_fingerprint=fingerprint,
        metrics=metrics,
    )
    record.write(run)
    log.info("served variant: %s", served.name)
    _describe(run, report)
    return record


def _describe(run: Run, report: ExportReport) -> None:
    columns = ["variant", "validation_f1", "size_bytes", "latency/real/p50_ms", "proof", "served"]
    pages = {"all figures": "variants.html", "F1 against cost": "tradeoff.png"}
    lead = escape_markdown(variants_in_words(report))
    run.describe(report.tables["variants"][columns], page_links(run, pages), lead)


def variants_in_words(report: ExportReport) -> str:
    """Return sentences that say which variant is served, and why others may not be."""
    served = report.served
    return " ".join(
        [
            f"{served.name} is served: {served.metrics['size_bytes'] / 1e6:.1f} MB, validation F1 "
            f"{served.metrics['validation_f1']:.4f}.",
            *(
                f"{variant.name} may not be served: {'; '.join(variant.failures)}."
                for variant in report.variants
                if variant.failures
            ),
        ]
    )


def warning_of_loss(export: ExportRecord, config: ExportConfig) -> str:
    """Return a sentence if the served variant loses more F1 in running text than the limit.

    Within the limit it is empty.
    """
    lost, limit = export.served_metrics["validation_served_f1_lost"], config.served_loss_limit
    if lost <= limit:
        return ""
    return (
        f"{export.served_variant} loses {lost:.4f} validation F1 from given words to "
        f"{TEXT_NAMES[export.text_kind]}, more than export.served_loss_limit={limit:g}."
    )


def _check_trained_on(model: FoundModel, data: TrackedDataset) -> None:
    """Check that a model was trained on a dataset.

    On another one, a proof, and promotions that build on it, would count sentences that the model
    may have been trained on.
    """
    trained_on = dataset_of(model.run_id) if model.run_id else None
    if trained_on and trained_on.dataset_fingerprint != data.dataset.fingerprint:
        raise DataError(
            f"data run {data.run_id} is not the dataset that {model.address} was trained on, which "
            f"is that of data run {trained_on.run_id}: give that one, or none"
        )


def export_cache_key(config: ExportConfig, model: FoundModel, data: TrackedDataset) -> str:
    """Return a key that is equal for equal code, libraries, settings, model and data."""
    code = step_fingerprint(__file__)
    settings, dataset = config.model_dump_json(), data.dataset.fingerprint
    engines = engine_states(config.engines)
    return cache_key(
        [Step.EXPORT, code, library_versions(), settings, model.identity, dataset, engines]
    )
