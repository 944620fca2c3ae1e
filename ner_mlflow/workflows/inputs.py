"""Find the inputs of a step: those that are named, or the latest; make them if there are none."""

import logging
import re

from ..config.schema import Config
from ..errors import TrackingError
from ..tracking.lifecycle import open_child
from ..tracking.models import FoundModel, find_model
from ..tracking.queries import latest_run
from ..tracking.records import dataset_of
from ..tracking.run import Run
from ..tracking.steps import Step
from .data import TrackedDataset, load_data, run_data

log = logging.getLogger(__name__)

LATEST = "latest"
_DATA_RUN = re.compile(r"(?:runs:/)?([0-9a-f]{32})(?:/dataset)?/?")


def find_data(run: Run, config: Config, address: str = LATEST) -> TrackedDataset:
    """Return the prepared dataset of a data run, or the latest; prepare it if there is none.

    Args:
        run: the open run, whose experiment is searched.
        config: the settings of a dataset that has to be prepared.
        address: a run id, ``runs:/ID`` or ``latest``.

    Raises:
        TrackingError: the address names no data run.
    """
    if address == LATEST:
        run_id = latest_run(Step.DATA, run.experiment_id)
        if run_id is None:
            log.info("data: no finished data run in this experiment: preparing it")
            with open_child(run, Step.DATA, f"data {config.data.dataset}") as child:
                return run_data(child, config)
        reason = "the latest finished"
    else:
        match = _DATA_RUN.fullmatch(address)
        if match is None:
            raise TrackingError(f"data_run {address!r}: must be a run id, runs:/ID or {LATEST!r}")
        run_id, reason = match.group(1), "as given"
    data = load_data(run_id)
    name, fingerprint = data.dataset.name, data.dataset.fingerprint[:12]
    log.info("data: run %s, %s (%s, fingerprint %s)", run_id, reason, name, fingerprint)
    return data


def find_trained(run: Run, config: Config, address: str = LATEST) -> FoundModel:
    """Return the model at an address, or of the latest train run; train one if there is none."""
    if address != LATEST:
        model = find_model(address)
        log.info("model: %s, as given", model.address)
        return model
    run_id = latest_run(Step.TRAIN, run.experiment_id)
    if run_id is None:
        from .train import run_train  # PyTorch takes seconds to import

        log.info("model: no finished train run in this experiment: training one")
        data = find_data(run, config)
        name = f"train {config.model.backbone} {config.model.adaptation}"
        with open_child(run, Step.TRAIN, name) as child:
            return find_model(run_train(child, config, data).model_uri)
    log.info("model: train run %s, the latest finished", run_id)
    return find_model(run_id)


def find_data_of_model(
    run: Run, config: Config, model: FoundModel, address: str = LATEST
) -> TrackedDataset:
    """Return the dataset that is named, or that of the model's run, or the latest."""
    if address == LATEST and model.run_id and (dataset := dataset_of(model.run_id)):
        return find_data(run, config, dataset.run_id)
    return find_data(run, config, address)
