"""The public Python API: the steps as functions, each tracked as a run of its own.

Runs go to the tracking store and experiment that MLflow's environment variables, or
``mlflow.set_tracking_uri`` and ``mlflow.set_experiment``, name. Inside ``mlflow.start_run()`` they
are child runs of that run.
"""

from collections.abc import Mapping
from typing import Any

from .config.loading import load_config
from .config.schema import Config
from .tagging.recognizer import EntityRecognizer, load_tagger
from .tracking.lifecycle import open_run_or_child
from .tracking.models import find_model
from .tracking.records import EvaluateRecord, ExportRecord, TrainRecord, note_preset
from .tracking.registration import check_registered_name
from .tracking.registry import check_not_promoted_alias
from .tracking.steps import Step
from .workflows.data import TrackedDataset, load_data, run_data
from .workflows.evaluate import run_evaluate
from .workflows.export import run_export
from .workflows.inputs import LATEST, find_data_of_model
from .workflows.register import evaluate_served, register_served

Settings = Mapping[str, Any]
"""Values by dotted key, such as ``{"train.epochs": 3}``; docs/settings.md lists the keys."""
Model = str | TrainRecord | ExportRecord
"""A model: a record, a run id, ``runs:/ID``, ``models:/NAME@ALIAS`` or a folder."""
DEFAULT_PRESET = "minilm_full"


def prepare(
    dataset: str, *, preset: str = DEFAULT_PRESET, settings: Settings | None = None
) -> TrackedDataset:
    """Prepare a dataset: read, relabel, check and split a corpus, and log it.

    Args:
        dataset: ``sample``, a hub id (``owner/name``), a folder, or files with commas between.
        preset: the settings to start from: the name of a shipped preset, or a YAML file.
        settings: further settings, such as ``{"data.label_map": "keep"}``.

    Returns:
        The prepared dataset, and the id of the run that holds it.

    Raises:
        ConfigError: a setting is unknown or does not fit.
        DataError: the corpus cannot be read.
        TrackingError: the tracking store cannot be used.
    """
    config = _config(preset, {**(settings or {}), "data.dataset": dataset})
    with open_run_or_child(Step.DATA, f"data {dataset}") as run:
        return run_data(run, config)


def train(
    data: TrackedDataset | str, *, preset: str = DEFAULT_PRESET, settings: Settings | None = None
) -> TrainRecord:
    """Train a model on a prepared dataset, and log it.

    Args:
        data: what :func:`prepare` returned, or the id of a data run.
        preset: the settings to start from: the name of a shipped preset, or a YAML file.
        settings: further settings, such as ``{"train.epochs": 3}``.

    Returns:
        The record of the run; ``model_uri`` is the address of the logged model.

    Raises:
        ConfigError: a setting is unknown or does not fit.
        ModelError: the backbone cannot be used.
        TrackingError: the tracking store cannot be used.
    """
    from .workflows.train import run_train  # PyTorch takes seconds to import

    config = _config(preset, settings)
    with open_run_or_child(Step.TRAIN, f"train {preset}") as run:
        note_preset(run, preset)
        return run_train(run, config, _data(data))


def evaluate(
    model: Model,
    data: TrackedDataset | str | None = None,
    *,
    split: str = "test",
    settings: Settings | None = None,
) -> EvaluateRecord:
    """Score a model on a split, and log scores, errors and their pages.

    Args:
        model: the model.
        data: the dataset, or the id of its data run; None: the one that the model was made with.
        split: ``train``, ``validation`` or ``test``.
        settings: further settings, such as ``{"evaluate.resamples": 1000}``.

    Returns:
        The record of the run; ``scores`` holds ``f1``, ``f1_low``, ``OS/f1`` and so on.

    Raises:
        DataError: the dataset has other entity types than the model.
        ModelError: there is no such model.
        TrackingError: the tracking store cannot be used.
    """
    config = _config(DEFAULT_PRESET, {**(settings or {}), "evaluate.split": split})
    local = find_model(_address(model))
    with open_run_or_child(Step.EVALUATE, f"evaluate {local.address}") as run:
        dataset = _data(data) if data else find_data_of_model(run, config, local, LATEST)
        return run_evaluate(run, config.evaluate, local, dataset).record


def export(
    model: Model,
    data: TrackedDataset | str | None = None,
    *,
    registered_model: str | None = None,
    alias: str | None = None,
    settings: Settings | None = None,
) -> ExportRecord:
    """Export a trained model to ONNX files, each proven on validation, and log the one to serve.

    Args:
        model: a trained model.
        data: the dataset, or the id of its data run; None: the one that the model was made with.
        registered_model: the name in the model registry that the served model gets; None: none.
        alias: the alias that the registered version gets; None: none.
        settings: further settings, such as ``{"export.variants": ["fp32"]}``.

    Returns:
        The record of the run; ``model_uri`` is the address of the served model.

    Raises:
        DataError: the model was trained on another dataset.
        ModelError: there is no such model, or no variant that may be served is proven.
        TrackingError: the tracking store or the registry cannot be used.
    """
    config = _config(DEFAULT_PRESET, settings)
    if registered_model:
        check_registered_name(registered_model, alias)
        if alias:
            check_not_promoted_alias(registered_model, alias)
    local = find_model(_address(model))
    with open_run_or_child(Step.EXPORT, f"export {local.address}") as run:
        dataset = _data(data) if data else find_data_of_model(run, config, local, LATEST)
        record = run_export(run, config.export, local, dataset)
        if registered_model:
            served = evaluate_served(run, record, config.evaluate, dataset)
            register_served(run, record, served, dataset, registered_model, alias, config)
    return record


def load_recognizer(model: Model, *, threads: int = 0) -> EntityRecognizer:
    """Load an exported model as a recognizer of entities in texts; needs no PyTorch.

    Args:
        model: an exported model.
        threads: threads to compute with; 0: all cores.

    Returns:
        A recognizer; ``recognize(text)`` returns the entities of a text, with offsets in code
        points, and ``recognize(texts)`` yields those of each text.

    Raises:
        ModelError: there is no such model, or it is not an exported one.
    """
    return EntityRecognizer(load_tagger(find_model(_address(model)).folder, threads))


def _config(preset: str, settings: Settings | None) -> Config:
    return load_config(preset, settings or {})


def _data(data: TrackedDataset | str) -> TrackedDataset:
    return load_data(data) if isinstance(data, str) else data


def _address(model: Model) -> str:
    return model if isinstance(model, str) else model.model_uri
