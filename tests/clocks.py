"""A machine's clock that is set back while a process works."""

import logging
import time

import pytest
from crashes import run_module

HOUR_S = 3600.0


def set_clock_back(patch: pytest.MonkeyPatch, seconds: float = HOUR_S) -> None:
    """Have this process read an earlier time; times of files stay as they are."""
    real, real_ns = time.time, time.time_ns
    patch.setattr(time, "time", lambda: real() - seconds)
    patch.setattr(time, "time_ns", lambda: real_ns() - round(seconds * 1e9))


def run_module_and_set_clock_back(line: str, module: str, *arguments: str) -> None:
    """Run ``python -m MODULE ARGUMENTS``, and set the clock back when it logs a line.

    Args:
        line: a part of the line.
        module: the module.
        arguments: its arguments.
    """

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if line in record.getMessage():
                logging.getLogger("ner_mlflow").removeHandler(self)
                set_clock_back(pytest.MonkeyPatch())

    logging.getLogger("ner_mlflow").addHandler(Handler())
    run_module(module, *arguments)
