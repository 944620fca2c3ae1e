"""Times go on when the machine's clock is set back, and follow it when it is set forward."""

import time

import pytest
from clocks import HOUR_S, set_clock_back
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.tracking.steady_clock import SteadyClock


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def test_a_clock_that_is_right_is_not_corrected() -> None:
    clock = SteadyClock()
    before = wall_ms()
    assert before <= clock.now_ms() <= wall_ms()
    assert clock.corrected_ms(before - 5000) == before - 5000


def test_time_goes_on_after_the_clock_was_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SteadyClock()
    before = clock.now_ms()
    set_clock_back(monkeypatch)
    read = wall_ms()
    assert 0 <= clock.corrected_ms(read) - before < 1000
    assert clock.corrected_ms(before) == before  # read before the clock was set back
    time.sleep(0.05)
    assert clock.now_ms() - before >= 50


def test_a_clock_that_is_set_right_again_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SteadyClock()
    with monkeypatch.context() as patch:
        set_clock_back(patch)
        assert clock.now_ms() > wall_ms() + HOUR_S * 999
    assert abs(clock.now_ms() - wall_ms()) < 1000
    set_clock_back(monkeypatch, -HOUR_S)  # set forward
    assert abs(clock.now_ms() - wall_ms()) < 1000


@given(st.lists(st.floats(-1e6, 1e6), max_size=8))
def test_the_time_goes_back_by_a_correction_at_most(
    steps: list[float],
) -> None:
    clock, last = SteadyClock(), 0
    with pytest.MonkeyPatch.context() as patch:
        for seconds in steps:
            set_clock_back(patch, seconds)
            now = clock.now_ms()
            assert now >= last - 1001  # a second back is what a clock may be corrected by
            last = now
