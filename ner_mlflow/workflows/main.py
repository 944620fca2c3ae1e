"""The main job: data, then training, evaluation and export of each variant, a comparison, a registered model."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..config.loading import load_config, preset_name
from ..config.schema import Config
from ..errors import ConfigError
from ..modeling.backbone import resolve_backbone
from ..tagging.label_schema import LabelSchema
from ..tracking.flavors import LoggedModel
from ..tracking.models import FoundModel, check_registered_name, find_model, register
from ..tracking.registry import alias_holder
from ..tracking.runs import Run, read_metrics, read_tags, reusable_run
from . import evaluate, export, promote, train
from .data import DataRef, data_cache_key, load_data, run_data
from .distillation import find_teachers
from .steps import DATA_STEP, EVALUATE_STEP, EXPORT_STEP, PROMOTE_STEP, TRAIN_STEP

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Variant:
    """What came out for one preset; the ids are those of the runs."""

    preset: str
    train_run: str
    evaluate_run: str
    export_run: str
    metrics: Mapping[str, float]
    served_uri: str
    served_variant: str
    schema: LabelSchema


@dataclass(frozen=True)
class Comparison:
    """The table that ``main`` ends with, the best variant by validation F1, its registered version, and why it did not get the
    alias, where it did not."""

    table: pd.DataFrame
    best: Variant
    version: str
    not_promoted: str


def run_main(
    run: Run,
    presets: Sequence[str],
    overrides: Mapping[str, Any],
    registered_model: str,
    alias: str,
) -> Comparison:
    """Do all steps for each preset below an open run; what did not change since a finished run is reused."""
    check_registered_name(registered_model, alias)
    configs = {preset_name(preset): load_config(preset, overrides) for preset in presets}
    if len(configs) < len(presets):
        raise ConfigError(f"presets {', '.join(presets)}: two have the same name: rename a file")
    backbones = {
        preset: resolve_backbone(config.model.backbone, config.model.revision)
        for preset, config in configs.items()
    }
    teachers = {preset: find_teachers(config.distill) for preset, config in configs.items()}
    run.log_config(**configs)
    variants = []
    for number, (preset, config) in enumerate(configs.items(), start=1):
        log.info("— variant %d of %d: %s —", number, len(configs), preset)
        steps = Steps(run, preset)
        data = steps.data(config)
        inputs = (config, data, train.TrainInputs(backbones[preset], teachers[preset]))
        train_run = steps.do(
            TRAIN_STEP,
            train.train_cache_key(*inputs),
            lambda child, inputs=inputs: train.run_train(child, *inputs),  # type: ignore[misc]
            find_resumable=train.resumable_run,
        )
        variants.append(judged(steps, preset, config, train_run, data))
    best = max(variants, key=lambda variant: variant.metrics["best_validation/f1"])
    table = comparison_table(variants, best)
    run.log_table("comparison", table)
    run.describe(table.drop(columns=["train_run", "fp32_size_mb", "fp32_latency_p50_ms"]))
    run.log_metrics(
        {
            name: value
            for name, value in best.metrics.items()
            if name.startswith(("best_validation/", "test/")) and name.endswith("/f1")
        }
    )
    version = registered(best, registered_model, None)
    not_promoted = _not_promoted(run, configs[best.preset], registered_model, version, alias)
    run.set_tags(
        {
            "best_preset": best.preset,
            "best_train_run": best.train_run,
            "registered_version": f"models:/{registered_model}/{version}",
        }
    )
    return Comparison(table, best, version, not_promoted)


def comparison_table(variants: Sequence[Variant], best: Variant) -> pd.DataFrame:
    """One row a variant: validation and test F1, test F1 by type, size and latency of the served file."""
    rows = []
    for variant in variants:
        served = variant.served_variant
        rows.append(
            {
                "preset": variant.preset,
                "best": "*" if variant is best else "",
                "validation_f1": variant.metrics["best_validation/f1"],
                "test_f1": variant.metrics["test/f1"],
                **{
                    f"{type_}_f1": variant.metrics.get(f"test/{type_}/f1", 0.0)
                    for type_ in variant.schema.types
                },
                "served": served,
                "size_mb": variant.metrics[f"{served}/size_bytes"] / 1e6,
                "latency_p50_ms": variant.metrics[f"{served}/latency/real/p50_ms"],
                "fp32_size_mb": variant.metrics["fp32/size_bytes"] / 1e6,
                "fp32_latency_p50_ms": variant.metrics["fp32/latency/real/p50_ms"],
                "train_run": variant.train_run,
            }
        )
    return pd.DataFrame(rows)


class Steps:
    """Runs the steps of one variant as child runs, or finds them done."""

    def __init__(self, parent: Run, preset: str) -> None:
        self._parent = parent
        self._preset = preset

    def data(self, config: Config) -> DataRef:
        """The dataset, as it was prepared before or prepared now."""
        run_id = self.do(
            DATA_STEP,
            data_cache_key(config.data),
            lambda child: run_data(child, config.data),
            config.data.dataset,
        )
        return load_data(run_id)

    def do(
        self,
        step: str,
        cache_key: str,
        work: Callable[[Run], Any],
        name: str | None = None,
        find_resumable: Callable[[str, str], AbstractContextManager[str | None]] = lambda *_: (
            nullcontext()
        ),
    ) -> str:
        """The id of a finished run of the step: reused, interrupted before and brought to its end, or new."""
        name = f"{step} {name or self._preset}"
        run_id = reusable_run(step, cache_key, self._parent.experiment_id)
        if run_id:
            log.info("%s: unchanged since run %s, reused", name, run_id)
        else:
            with find_resumable(cache_key, self._parent.experiment_id) as interrupted:
                log.info(
                    "%s%s",
                    name,
                    f": going on with interrupted run {interrupted}" if interrupted else "",
                )
                with self._parent.child(step, name, resume=interrupted) as child:
                    child.set_tags({"preset": self._preset})
                    work(child)
            run_id = child.id
        self._parent.set_tags({f"child.{name}": run_id})
        return run_id


def judged(steps: Steps, preset: str, config: Config, train_run: str, data: DataRef) -> Variant:
    """Evaluate and export what a train run made, unless that is done."""
    model: FoundModel = find_model(train_run)
    evaluate_run = steps.do(
        EVALUATE_STEP,
        evaluate.evaluate_cache_key(config.evaluate, model, data),
        lambda child: evaluate.run_evaluate(child, config.evaluate, model, data),
    )
    export_run = steps.do(
        EXPORT_STEP,
        export.export_cache_key(config.export, model, data),
        lambda child: export.run_export(child, config.export, model, data),
    )
    tags = read_tags(export_run)
    return Variant(
        preset=preset,
        train_run=train_run,
        evaluate_run=evaluate_run,
        export_run=export_run,
        metrics={
            **read_metrics(train_run),
            **read_metrics(evaluate_run),
            **read_metrics(export_run),
        },
        served_uri=tags["model_uri"],
        served_variant=tags["served_variant"],
        schema=data.dataset.schema,
    )


def _not_promoted(run: Run, config: Config, name: str, version: str, alias: str) -> str:
    """Give a version the alias, if it has it already, nobody has it, or it may take its place; else say why not."""
    holder = alias_holder(name, alias)
    if holder and holder.version == version:
        return ""
    with run.child(PROMOTE_STEP, f"promote {name}/{version}") as child:
        return promote.attempt(child, config, name, version, alias)


def registered(best: Variant, name: str, alias: str | None) -> str:
    """Register what a variant serves, and give it the alias, if there is one; the version."""
    model = LoggedModel(best.served_uri.removeprefix("models:/"), best.served_uri)
    tags = {
        "preset": best.preset,
        "variant": best.served_variant,
        "train_run": best.train_run,
        "evaluate_run": best.evaluate_run,
        "export_run": best.export_run,
    }
    description = (
        f"{best.preset}, {best.served_variant}: F1 {best.metrics['best_validation/f1']:.4f} on validation, {best.metrics['test/f1']:.4f} on test. "
        f"Send texts, get entities with character offsets: {', '.join(best.schema.types)}."
    )
    return register(model, name, alias, tags, description)
