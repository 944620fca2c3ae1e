"""Call a function repeatedly in a thread while something long runs."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def repeating(action: Callable[[], None], every_s: float, complaint: str) -> Iterator[None]:
    """Call ``action`` at once and then every ``every_s`` seconds while the block runs.

    A thread makes the calls. An error of ``action`` is logged after ``complaint``; the calls
    continue.
    """
    ended = threading.Event()

    def repeat() -> None:
        while True:
            try:
                action()
            except Exception as error:
                log.warning("%s (%s)", complaint, type(error).__name__)
            if ended.wait(every_s):
                return

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
