"""Collect garbage rarely while a process imports its libraries.

Imported modules stay, so there is little garbage among them. Searching them as often as Python does
takes a fifth of the start of a command, seconds with PyTorch.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

IMPORTING = (50_000, 10, 10)
"""Thresholds of the collector while modules are imported."""
RUNNING = gc.get_threshold()
"""Python's own thresholds."""


def begin_imports() -> None:
    """Collect garbage rarely until :func:`end_imports`."""
    gc.set_threshold(*IMPORTING)


def end_imports() -> None:
    """Collect garbage as Python does, and leave out what was imported so far."""
    gc.freeze()
    gc.set_threshold(*RUNNING)


@contextmanager
def importing() -> Iterator[None]:
    """Collect garbage rarely within the block, which imports what a command's help does without."""
    begin_imports()
    try:
        yield
    finally:
        end_imports()
