"""A function is called repeatedly, also after it failed."""

import logging
import threading

import pytest
from studies import wait_until

from ner_mlflow.sweeping.background import repeating


def test_an_error_is_logged_and_the_calls_continue(caplog: pytest.LogCaptureFixture) -> None:
    threads: list[threading.Thread] = []

    def fail_once() -> None:
        threads.append(threading.current_thread())
        if len(threads) == 1:
            raise OSError("no network")

    with caplog.at_level(logging.WARNING), repeating(fail_once, 0.01, "no heartbeat"):
        wait_until(lambda: len(threads) >= 3)
    assert caplog.messages == ["no heartbeat (OSError)"]
    assert threads[0] is not threading.current_thread()
    assert not threads[0].is_alive()


def test_the_first_call_does_not_wait() -> None:
    called = threading.Event()
    with repeating(called.set, 3600, ""):
        assert called.wait(30)
