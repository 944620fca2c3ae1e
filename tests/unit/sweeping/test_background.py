"""A function is called again and again, also after it failed."""

import logging
import threading

import pytest
from studies import wait_until

from ner_mlflow.sweeping.background import repeating


def test_an_error_is_logged_and_the_calls_continue(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def fail_once() -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            raise OSError("no network")

    before = threading.active_count()
    with caplog.at_level(logging.WARNING), repeating(fail_once, 0.01, "no heartbeat"):
        wait_until(lambda: len(calls) >= 3)
    assert caplog.messages == ["no heartbeat (OSError)"]
    assert threading.active_count() == before


def test_the_first_call_does_not_wait() -> None:
    called = threading.Event()
    with repeating(called.set, 3600, ""):
        assert called.wait(30)
