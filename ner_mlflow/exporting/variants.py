"""Export a trained model in all variants, and prove each against PyTorch."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..config.schema import ExportConfig, Variant
from ..data.running_text import KIND_NAMES, RunningTexts, running_texts
from ..data.sentences import Sentence
from ..errors import ModelError
from ..evaluation.comparison import pareto_front
from ..evaluation.counts import entity_counts
from ..evaluation.plots import plot_tradeoff
from ..evaluation.scores import predict, score, score_tagger
from ..evaluation.significance import bootstrap_intervals
from ..evaluation.text_answers import answer_texts
from ..evaluation.text_scores import score_texts
from ..modeling.checkpoint import Checkpoint
from ..modeling.predict import torch_forward, torch_tagger
from ..provenance import folder_sizes, hardware
from ..tagging.encoding import Window, batches, collate
from ..tagging.engines import DEFAULT, MODEL_FILE, Engine, engine_of, find_engine, write_engine
from ..tagging.recognizer import EntityRecognizer, load_tagger
from ..tagging.tagger import Forward, Tagger
from .cold_start import measure_cold_start
from .dynamic_int8 import DynamicInt8
from .latency import interleaved_latency_ms, latency_inputs, model_loader, summarize_ms
from .machine_load import watch_other_load
from .onnx_files import WRITERS_FROM_FP32, write_fp32, write_int8, write_int8_static
from .throughput import sentences_per_s

log = logging.getLogger(__name__)

PARITY_SENTENCES = 256
PARITY_BATCH_SUBWORDS = 1024
CONFIDENCE_LEVEL = 0.95
ENGINE_ROUNDS = 3
"""Turns of each variant and engine where the speed decides which is served."""


@dataclass(frozen=True)
class VariantReport:
    """An exported variant with its proof.

    Attributes:
        name: the variant, and the engine unless it is ONNX Runtime.
        variant: the variant.
        engine: the library that computes it.
        folder: its files.
        metrics: scores, differences from PyTorch, bytes, latencies and speed.
        failures: the tolerances that it exceeds, in words; empty means proven.
        float_layers: the layers of int8 that stayed in fp32; None for other variants.
        precision: the type in which an engine other than ONNX Runtime computes it here; None for
            ONNX Runtime.
    """

    name: str
    variant: Variant
    engine: Engine
    folder: Path
    metrics: dict[str, float]
    failures: tuple[str, ...]
    float_layers: tuple[str, ...] | None = None
    precision: str | None = None


@dataclass(frozen=True)
class ExportReport:
    """All exported variants, the one to serve, and tables and figures by the names to log."""

    variants: tuple[VariantReport, ...]
    served: VariantReport
    tables: dict[str, pd.DataFrame]
    figures: dict[str, Figure]


def export(
    checkpoint: Checkpoint,
    train: Sequence[Sentence],
    validation: Sequence[Sentence],
    config: ExportConfig,
    folder: Path,
) -> ExportReport:
    """Write each variant, prove it on validation, time it, and choose the variant to serve.

    Args:
        checkpoint: the trained model.
        train: calibration sentences of int8_static.
        validation: sentences that every variant is proven on, by their words and as running text.
        config: variants, engines, tolerances, and numbers of measurements.
        folder: a new folder; each variant gets a subfolder of its name, and another one for each
            engine that is tried with it beside ONNX Runtime.

    Raises:
        ModelError: no variant of ``config.served`` is proven, or an engine is not installed.
    """
    check_engines(config)
    log.info("exporting %s", ", ".join(config.variants))
    tables, int8 = _write_files(checkpoint, train, validation, config, folder)
    exported: dict[str, Variant] = {
        **{variant: variant for variant in config.variants},
        **_write_for_engines(config, folder),
    }
    folders = {name: folder / name for name in exported}
    sentences = [sentence.tokens for sentence in validation]
    texts = running_texts(validation)
    reference_f1 = score_tagger(
        torch_tagger(checkpoint.network, checkpoint.tokenizer, checkpoint.spec), validation
    )["f1"]
    windows = checkpoint.spec.encoder(checkpoint.tokenizer).windows(sentences[:PARITY_SENTENCES])
    timings = _time_variants(checkpoint, sentences, config, folders)
    rates = sentences_per_s(
        folders,
        sentences[: config.throughput_sentences],
        ENGINE_ROUNDS if len(config.engines) > 1 else 1,
    )
    reports = []
    for name, variant in exported.items():
        log.info("proving %s on %d sentences", name, len(validation))
        engine = engine_of(folders[name])
        difference = max_logit_difference(
            torch_forward(checkpoint.network),
            engine.open(folders[name] / MODEL_FILE),
            windows,
            checkpoint.spec.pad_id,
        )
        tagger = load_tagger(folders[name])
        scores = _score_variant(tagger, validation, texts, config)
        metrics = {
            **scores,
            "validation_f1_loss": reference_f1 - scores["validation_f1"],
            "max_logit_difference": difference,
            **_measure_size(folders[name]),
            **timings[name],
            "sentences_per_s": rates[name],
            **measure_cold_start(folders[name]),
            **(_count_mended(int8) if variant == "int8" and int8 else {}),
        }
        reports.append(
            VariantReport(
                name,
                variant,
                engine,
                folders[name],
                metrics,
                _find_failures(name, metrics, config),
                int8.float_layers if variant == "int8" and int8 else None,
                None if engine.name == DEFAULT else engine.precision,
            )
        )
        log.info(
            "%s: %.1f MB, validation F1 %.4f (PyTorch %.4f), on %s %.4f",
            name,
            metrics["size_bytes"] / 1e6,
            metrics["validation_f1"],
            reference_f1,
            KIND_NAMES[texts.kind],
            metrics[f"validation_{texts.kind}_f1"],
        )
        if reports[-1].failures:
            log.warning("%s: its proof fails: %s", name, "; ".join(reports[-1].failures))
    served = choose_served(reports, config)
    tables["variants"] = _tabulate(reports, served)
    return ExportReport(
        tuple(reports), served, tables, {"tradeoff": _plot_tradeoff(reports, len(validation))}
    )


def _tabulate(reports: Sequence[VariantReport], served: VariantReport) -> pd.DataFrame:
    machine = {
        name: value
        for name, value in hardware().items()
        if name in ("cpu", "cpu_flags", "cpu_cores", "accelerator")
    }
    return pd.DataFrame(
        [
            {
                "variant": report.name,
                "engine": report.engine.name,
                "precision": report.precision,
                **report.metrics,
                "float_layers": None
                if report.float_layers is None
                else ", ".join(report.float_layers) or "none",
                "proof": "; ".join(report.failures) or "holds",
                "served": report is served,
                **machine,
            }
            for report in reports
        ]
    )


def check_engines(config: ExportConfig) -> None:
    """Check that all engines of an export are installed.

    Raises:
        ModelError: one is not.
    """
    for name in config.engines:
        find_engine(name).check()


def _write_for_engines(config: ExportConfig, folder: Path) -> dict[str, Variant]:
    """Write the folders for engines other than ONNX Runtime; return their variants by name."""
    exported: dict[str, Variant] = {}
    for engine in map(find_engine, config.engines):
        for variant in config.variants:
            if variant in engine.variants:
                name = f"{variant}_{engine.name}"
                exported[name] = variant
                shutil.copytree(folder / variant, folder / name)
                write_engine(folder / name, engine)
    return exported


def _write_files(
    checkpoint: Checkpoint,
    train: Sequence[Sentence],
    validation: Sequence[Sentence],
    config: ExportConfig,
    folder: Path,
) -> tuple[dict[str, pd.DataFrame], DynamicInt8 | None]:
    """Write all variants; return tables of the damage of layers, and what was done for int8."""
    fp32 = folder / "fp32"
    write_fp32(checkpoint, fp32)
    tables = {}
    int8 = None
    for variant in config.variants:
        log.info("writing %s", variant)
        if variant in WRITERS_FROM_FP32:
            WRITERS_FROM_FP32[variant](checkpoint, fp32, folder / variant)
        elif variant == "int8":
            int8 = write_int8_variant(checkpoint, fp32, folder / variant, train, validation, config)
            tables["int8_damage"] = pd.DataFrame(int8.layers)
        elif variant == "int8_static":
            calibration = checkpoint.spec.encoder(checkpoint.tokenizer).windows(
                [sentence.tokens for sentence in train[: config.calibration_sentences]]
            )
            damage = write_int8_static(
                checkpoint, fp32, folder / variant, calibration, config.static_damage_ratio
            )
            tables["int8_static_damage"] = pd.DataFrame(
                damage.items(), columns=["layer", "mean_logit_difference"]
            )
    return tables, int8


def write_int8_variant(
    checkpoint: Checkpoint,
    fp32: Path,
    folder: Path,
    train: Sequence[Sentence],
    validation: Sequence[Sentence],
    config: ExportConfig,
) -> DynamicInt8:
    """Write the variant int8, mended as far as ``config.int8_damage_limit`` demands.

    Args:
        checkpoint: the trained model.
        fp32: the folder of the variant fp32.
        folder: a new folder.
        train: sentences by which layers are rescaled.
        validation: sentences on which the damage is measured; their tags are not read.
        config: the limit and the numbers of sentences.
    """
    encoder = checkpoint.spec.encoder(checkpoint.tokenizer)
    calibration, judged = (
        encoder.windows([sentence.tokens for sentence in _spread(sentences, count)])
        for sentences, count in (
            (train, config.calibration_sentences),
            (validation, config.int8_damage_sentences),
        )
    )
    return write_int8(checkpoint, fp32, folder, calibration, judged, config.int8_damage_limit)


def _spread(sentences: Sequence[Sentence], count: int) -> Sequence[Sentence]:
    """Return sentences from all parts of a corpus; neighbours are often of one text."""
    return sentences[:: max(1, len(sentences) // count)][:count]


def _count_mended(int8: DynamicInt8) -> dict[str, float]:
    return {
        "damage_nats": int8.damage_nats,
        "damage_before_nats": int8.damage_before_nats,
        "rescaled_layers": float(len(int8.rescaled_layers)),
        "float_layers": float(len(int8.float_layers)),
    }


def _score_variant(
    tagger: Tagger, validation: Sequence[Sentence], texts: RunningTexts, config: ExportConfig
) -> dict[str, float]:
    gold, predicted = (
        [sentence.tags for sentence in validation],
        [tagged.tags for tagged in predict(tagger, validation)],
    )
    counts = entity_counts(gold, predicted, tagger.spec.types).sum(axis=1, keepdims=True)
    interval = bootstrap_intervals(counts, config.resamples, CONFIDENCE_LEVEL, config.seed)[
        0
    ].of_all
    f1 = score(gold, predicted)["f1"]
    in_text = score_texts(
        answer_texts(EntityRecognizer(tagger), texts.texts),
        tagger.spec.types,
        config.resamples,
        CONFIDENCE_LEVEL,
        config.seed,
    )
    return {
        "validation_f1": f1,
        "validation_f1_low": interval.low,
        "validation_f1_high": interval.high,
        **{
            f"validation_{texts.kind}_{name}": in_text[name] for name in ("f1", "f1_low", "f1_high")
        },
        "validation_served_f1_lost": f1 - in_text["f1"],
    }


def _measure_size(folder: Path) -> dict[str, float]:
    sizes = folder_sizes(folder)
    model_size = sum(size for name, size in sizes.items() if name.startswith(MODEL_FILE))
    return {"size_bytes": float(sum(sizes.values())), "model_size_bytes": float(model_size)}


def _plot_tradeoff(reports: Sequence[VariantReport], sentences: int) -> Figure:
    variants = pd.DataFrame(
        [
            {
                "model": report.name,
                "variant": report.name,
                **{
                    name: report.metrics[name]
                    for name in ("validation_f1", "validation_f1_low", "validation_f1_high")
                },
                "size_mb": report.metrics["size_bytes"] / 1e6,
                "latency_p50_ms": report.metrics["latency/real/p50_ms"],
            }
            for report in reports
        ]
    )
    for cost in ("latency_p50_ms", "size_mb"):
        variants[f"pareto_{cost}"] = pareto_front(
            variants[cost].to_numpy(), variants["validation_f1"].to_numpy()
        )
    return plot_tradeoff(variants, CONFIDENCE_LEVEL, f"n = {sentences:,} validation sentences")


def max_logit_difference(
    reference: Forward, forward: Forward, windows: Sequence[Window], pad_id: int
) -> float:
    """Return the largest difference of a logit that is not padding, over padded batches."""
    largest = 0.0
    for batch in batches(windows, PARITY_BATCH_SUBWORDS):
        inputs = collate([windows[index] for index in batch], pad_id)
        difference = np.abs(reference(inputs) - forward(inputs))
        largest = max(largest, float(difference[inputs["attention_mask"] == 1].max()))
    return largest


def _time_variants(
    checkpoint: Checkpoint,
    sentences: Sequence[Sequence[str]],
    config: ExportConfig,
    folders: Mapping[str, Path],
) -> dict[str, dict[str, float]]:
    timings: dict[str, dict[str, float]] = {name: {} for name in folders}
    loaders = {name: model_loader(folder) for name, folder in folders.items()}
    windows = checkpoint.spec.encoder(checkpoint.tokenizer).windows(
        sentences[: config.latency_runs]
    )
    for inputs_name, inputs in latency_inputs(windows, config.latency_length).items():
        log.info("timing %s in turns, inputs %s", ", ".join(loaders), inputs_name)
        with watch_other_load("variants were timed") as other:
            times = interleaved_latency_ms(
                {name: (load, inputs) for name, load in loaders.items()},
                config.latency_runs,
                config.latency_warmup_runs,
            )
        for name in folders:
            timings[name][f"latency/{inputs_name}/other_load"] = other.share
            timings[name] |= {
                f"latency/{inputs_name}/{figure}": value
                for figure, value in summarize_ms(times[name]).items()
            }
    return timings


def _find_failures(name: str, metrics: dict[str, float], config: ExportConfig) -> tuple[str, ...]:
    failures = []
    if name == "fp32" and not metrics["max_logit_difference"] <= config.logit_tolerance:
        failures.append(
            f"logits differ by {metrics['max_logit_difference']:.2g}, "
            f"more than {config.logit_tolerance}"
        )
    if not metrics["validation_f1_loss"] <= config.f1_tolerance:
        failures.append(
            f"validation F1 is {metrics['validation_f1_loss']:.4f} lower, "
            f"more than {config.f1_tolerance}"
        )
    return tuple(failures)


def choose_served(reports: Sequence[VariantReport], config: ExportConfig) -> VariantReport:
    """Return the first of ``config.served`` that is proven, or with several engines the fastest.

    The fastest is among those that lose at most ``config.engine_f1_tolerance`` against fp32 in
    ONNX Runtime. If none does, the first one that is proven is returned.

    Raises:
        ModelError: none is proven.
    """
    wanted = [
        report for variant in config.served for report in reports if report.variant == variant
    ]
    proven = [report for report in wanted if not report.failures]
    if not proven:
        reasons = "; ".join(f"{report.name}: {', '.join(report.failures)}" for report in wanted)
        raise ModelError(
            f"no variant can be served ({reasons}): serve another, "
            "or raise export.f1_tolerance if the loss is acceptable"
        )
    if len(config.engines) == 1:
        return proven[0]
    fp32_f1 = next(report for report in reports if report.name == "fp32").metrics["validation_f1"]
    close = [
        report
        for report in proven
        if fp32_f1 - report.metrics["validation_f1"] <= config.engine_f1_tolerance
    ]
    return max(close or proven[:1], key=lambda report: report.metrics["sentences_per_s"])
