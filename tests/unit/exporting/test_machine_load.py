"""The work of other processes is seen while something is timed, and warned of."""

import subprocess
import sys
import time

import psutil
import pytest

from ner_mlflow.exporting import machine_load
from ner_mlflow.exporting.machine_load import HIGH_LOAD, watch_other_load

BUSY = "while True: pass"


def test_work_of_others_is_measured_and_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    others = [
        subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(psutil.cpu_count() or 1)
    ]
    try:
        with watch_other_load("models were timed") as load:
            time.sleep(2)
    finally:
        for other in others:
            other.kill()
            other.wait()
    assert load.share > HIGH_LOAD
    (warning,) = [record.message for record in caplog.records]
    assert "of this machine while models were timed" in warning


def test_own_work_is_not_that_of_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # In a second of a machine that other tests use as well, only the difference can be predicted.
    own, busy = iter([10.0, 10.9]), iter([100.0, 100.9])
    monkeypatch.setattr(machine_load, "_own_s", lambda: next(own))
    monkeypatch.setattr(machine_load, "_busy_s", lambda: next(busy))
    with watch_other_load("this test ran") as load:
        time.sleep(0.1)
    assert load.share == pytest.approx(0)
    assert not caplog.records
