"""Open the run of a command in the experiment of its dataset."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..config.schema import Config
from ..data.sources import dataset_name
from ..errors import NerError
from ..tracking.lifecycle import choose_experiment, connect, open_run
from ..tracking.run import Run
from ..tracking.steps import Step
from .options import GivenSettings

_MAKE_DATASETS = (Step.MAIN, Step.DATA)
"""Steps that begin with a corpus. The others go on in the experiment of the latest run, unless the
command line names a dataset."""
_NEED_STORE = (Step.COMPARE, Step.PROMOTE)
"""Steps that read the store and make nothing of their own, so cannot run while it is away."""


@contextmanager
def open_step(
    step: Step, given: GivenSettings, preset: str | None = None
) -> Iterator[tuple[Run, Config]]:
    """Open the run of a step, in an experiment named by the dataset, and resolve its settings.

    Settings that cannot be resolved fail the run, so that it says why.

    Args:
        step: the step.
        given: the settings of the command line, which may name the dataset.
        preset: the settings to start from; None: the defaults.

    Yields:
        The run and the settings.

    Raises:
        TrackingError: the tracking store cannot be used.
        ConfigError: the settings cannot be resolved.
    """
    connect(needed=step in _NEED_STORE)
    config = _resolve(given, preset)
    is_named = step in _MAKE_DATASETS or bool(given.text("data.dataset"))
    experiment_id = choose_experiment(_experiment_name(config), not is_named)
    with open_run(step, str(step), experiment_id=experiment_id) as run:
        if isinstance(config, NerError):
            raise config
        yield run, config


def _resolve(given: GivenSettings, preset: str | None) -> Config | NerError:
    try:
        return given.resolve(preset)
    except NerError as error:
        return error


def _experiment_name(config: Config | NerError) -> str:
    """Return the name of the dataset, empty if there is none that can be read."""
    if isinstance(config, NerError):
        return ""
    try:
        return dataset_name(config.data.dataset)
    except NerError:  # the step itself reports it, in its run
        return ""
