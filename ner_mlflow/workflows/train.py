"""The `train` step: a prepared dataset in, a fitted model logged."""

import logging

from ..config import Config
from ..data.sentences import TEST, TRAIN, VALIDATION
from ..errors import DataError
from ..modeling.backbone import Backbone, resolve_backbone
from ..modeling.build import build_model
from ..modeling.fit import fit, resolve_precision
from ..provenance import cache_key, code_fingerprint, folder_sizes, library_versions
from ..tracking.models import MODEL_URI_TAG, log_transformers_model
from ..tracking.runs import Run, work_folder
from .prepare import DataRef

log = logging.getLogger(__name__)

STEP = "train"
CODE = ("bio.py", "decoding.py", "encoding.py", "tagger.py", "modeling", "evaluation/scores.py")


def run_train(run: Run, config: Config, data: DataRef, backbone: Backbone | None = None) -> str:
    """Fit a model in an open run.

    Returns:
        The address of the logged model.
    """
    dataset = data.dataset
    run.log_config(model=config.model, train=config.train)
    run.set_tags({"data_run": data.run_id, "dataset_fingerprint": dataset.fingerprint, "dataset": dataset.name})
    if overlap := {sentence.tokens for sentence in dataset.corpus[TRAIN]} & {sentence.tokens for sentence in dataset.corpus[TEST]}:
        log.warning("%d different train sentences also stand in test: test scores flatter the model", len(overlap))
    if not dataset.corpus[VALIDATION]:
        raise DataError(f"data run {data.run_id}: validation is empty, so no epoch can be chosen: prepare it with a validation split")
    run.log_dataset(dataset, (TRAIN, VALIDATION), data.run_id)
    backbone = backbone or resolve_backbone(config.model.backbone, config.model.revision)
    model = build_model(backbone, config.model, dataset.schema, config.train.seed)
    with work_folder() as folder:
        result = fit(model, dataset.corpus[TRAIN], dataset.corpus[VALIDATION], dataset.schema, config.train, folder, run.log_metrics)
        sizes = {f"model/{name}": size for name, size in folder_sizes(result.model_folder).items()}
        if result.adapter_folder:
            sizes |= {f"adapter/{name}": size for name, size in folder_sizes(result.adapter_folder).items()}
            run.log_folder(result.adapter_folder, "adapter")
        logged = log_transformers_model(result.model_folder, "model")
    for name, figure in result.figures.items():
        run.log_figure(name, figure)
    run.log_metrics({f"size_bytes/{name}": float(size) for name, size in sizes.items()})
    for part in {name.partition("/")[0] for name in sizes}:
        run.log_metrics({f"size_bytes/{part}": float(sum(size for name, size in sizes.items() if name.startswith(f"{part}/")))})
    run.log_metrics(result.metrics, model_id=logged.id)
    run.set_tags(
        {
            MODEL_URI_TAG: logged.uri,
            "backbone": backbone.name,
            "backbone_revision": backbone.revision,
            "backbone_sha256": backbone.weights_sha256,
            "precision": resolve_precision(config.train.precision),
            "cache_key": train_cache_key(config, data, backbone),
        }
    )
    return logged.uri


def train_cache_key(config: Config, data: DataRef, backbone: Backbone) -> str:
    """Equal for equal code, libraries, settings, data and backbone."""
    return cache_key(
        [
            STEP,
            code_fingerprint(*CODE),
            library_versions(),
            config.model.model_dump_json(),
            config.train.model_dump_json(),
            data.dataset.fingerprint,
            backbone.weights_sha256,
        ]
    )
