"""What a step works on: what is named, else the experiment's latest, else made on the spot; it says which."""

import logging
import re

from ..config.schema import Config
from ..errors import TrackingError
from ..tracking.models import FoundModel, find_model
from ..tracking.runs import Run, latest_run, read_tags
from .data import DataRef, load_data, run_data
from .steps import DATA_STEP, TRAIN_STEP

log = logging.getLogger(__name__)

LATEST = "latest"


def find_data(run: Run, config: Config, address: str = LATEST) -> DataRef:
    """The prepared dataset of a data run, of ``runs:/ID``, or the latest; made when there is none."""
    if address == LATEST:
        run_id = latest_run(DATA_STEP, run.experiment_id)
        if run_id is None:
            log.info(
                "data: no finished data run in this experiment, so %s is prepared",
                config.data.dataset,
            )
            with run.child(DATA_STEP, f"data {config.data.dataset}") as child:
                return run_data(child, config.data)
        why = "the latest finished"
    else:
        match = re.fullmatch(r"(?:runs:/)?([0-9a-f]{32})(?:/dataset)?/?", address)
        if match is None:
            raise TrackingError(f"data_run {address!r}: must be a run id, runs:/ID or {LATEST!r}")
        run_id, why = match.group(1), "as given"
        step = read_tags(run_id).get("step")
        if step != DATA_STEP:
            raise TrackingError(
                f"run {run_id} is a {step or 'foreign'} run, not a data run: give the id of a data run"
            )
    data = load_data(run_id)
    log.info(
        "data: run %s, %s (%s, fingerprint %s)",
        run_id,
        why,
        data.dataset.name,
        data.dataset.fingerprint[:12],
    )
    return data


def find_trained(run: Run, config: Config, address: str = LATEST) -> FoundModel:
    """The model at an address, or of the latest train run; trained when there is none."""
    if address != LATEST:
        model = find_model(address)
        log.info("model: %s, as given", model.address)
        return model
    run_id = latest_run(TRAIN_STEP, run.experiment_id)
    if run_id is None:
        from . import train  # here and not above: it takes seconds to load

        log.info("model: no finished train run in this experiment, so one is trained")
        data = find_data(run, config)
        with run.child(
            TRAIN_STEP, f"train {config.model.backbone} {config.model.adaptation}"
        ) as child:
            return find_model(train.run_train(child, config, data))
    log.info("model: train run %s, the latest finished", run_id)
    return find_model(run_id)


def find_data_of_model(
    run: Run, config: Config, model: FoundModel, address: str = LATEST
) -> DataRef:
    """The dataset that is named, else the one the model was made with, else the latest."""
    if address == LATEST and model.run_id and (data_run := read_tags(model.run_id).get("data_run")):
        return find_data(run, config, data_run)
    return find_data(run, config, address)
