"""Measure how much of the machine other processes use while something is timed."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

log = logging.getLogger(__name__)

HIGH_LOAD = 0.2
"""Share of the machine's CPU time from which other processes' work is warned of."""


@dataclass
class OtherLoad:
    """The share of the machine's CPU time that other processes used, from 0 to 1."""

    share: float = 0.0


@contextmanager
def watch_other_load(what: str) -> Iterator[OtherLoad]:
    """Measure the load by other processes while the block runs, and warn if it is high.

    Args:
        what: what is timed, for the warning.

    Yields:
        The load, known when the block has ended. The block's own child processes count as others.
    """
    load = OtherLoad()
    before, own_before, started = _busy_s(), _own_s(), time.monotonic()
    yield load
    wall_s = time.monotonic() - started
    others_s = _busy_s() - before - (_own_s() - own_before)
    load.share = min(max(others_s / (wall_s * (psutil.cpu_count() or 1)), 0.0), 1.0)
    if load.share >= HIGH_LOAD:
        log.warning(
            "other processes used %.0f %% of this machine while %s: trust the ratios, and measure "
            "again for absolute times",
            100 * load.share,
            what,
        )


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system)


def _own_s() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)
