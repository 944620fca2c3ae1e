"""The `sync` step: deliver what earlier commands could not, or show it."""

import pandas as pd

from ..errors import TrackingError
from ..tracking.lifecycle import connect
from ..tracking.mirror import Mirror
from ..tracking.outbox import damaged_outboxes
from ..tracking.outbox_store import current_outboxes

COLUMNS = ["run", "status", "metrics", "waiting", "folder"]


def waiting_runs() -> pd.DataFrame:
    """Return the runs of which something waits for the tracking store, the oldest first.

    Returns:
        A row for each run: its name, its status, how many metrics it has, how many entries of its
        outbox wait, and the folder of its artifacts.
    """
    rows = []
    for outbox in current_outboxes():
        mirror, waiting = Mirror(outbox), len(outbox.waiting())
        rows += [
            (run.name, run.status, len(run.metrics), waiting, str(outbox.artifact_folder(run.id)))
            for run in mirror.runs.values()
        ]
    return pd.DataFrame(rows, columns=COLUMNS)


def run_sync() -> int:
    """Deliver what earlier commands left for the tracking store.

    Returns:
        The number of runs that were delivered.

    Raises:
        TrackingError: the store does not answer or refused something, or an outbox is damaged.
    """
    before = len(waiting_runs())
    connect(needed=True)
    if left := len(waiting_runs()):
        raise TrackingError(
            f"{left} runs still wait, see above and show=true: mend what the store refused, then "
            "run sync again"
        )
    if damaged := damaged_outboxes():
        raise damaged[0]
    return before
