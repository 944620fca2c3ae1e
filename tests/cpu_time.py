"""Stop what takes too much CPU time."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def limit_cpu_time(seconds: float) -> Iterator[None]:
    """Stop the block after ``seconds`` of CPU time, so that a slow input fails its test."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s of CPU time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
