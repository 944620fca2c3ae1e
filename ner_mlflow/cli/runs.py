"""Open the run of a command in the experiment of its dataset."""

from collections.abc import Iterator
from contextlib import contextmanager

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
    step: Step, given: GivenSettings, preset: str | None = None, resume: str | None = None
) -> Iterator[Run]:
    """Open the run of a step, in an experiment named by the dataset.

    Args:
        step: the step.
        given: the settings of the command line, which may name the dataset.
        preset: the settings to start from; None: the defaults.
        resume: the id of an interrupted run to resume.

    Raises:
        TrackingError: the tracking store cannot be used.
    """
    connect(needed=step in _NEED_STORE)
    experiment_id = None
    if resume is None:
        is_named = step in _MAKE_DATASETS or bool(given.text("data.dataset"))
        experiment_id = choose_experiment(_experiment_name(given, preset), not is_named)
    with open_run(step, str(step), resume, experiment_id) as run:
        yield run


def _experiment_name(given: GivenSettings, preset: str | None) -> str:
    try:
        return dataset_name(given.resolve(preset).data.dataset)
    except NerError:  # the step itself reports it, in its run
        return ""
