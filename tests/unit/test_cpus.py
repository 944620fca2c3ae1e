"""The CPUs of a process: affinity and the quotas of control groups."""

import os
from pathlib import Path

import pytest

from ner_mlflow.cpus import usable_cpus


@pytest.fixture
def eight_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))


def version_2(root: Path, text: str) -> Path:
    (root / "cpu.max").write_text(text)
    return root


def version_1(root: Path, quota: str, period: str = "100000\n") -> Path:
    (root / "cpu").mkdir()
    (root / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (root / "cpu" / "cpu.cfs_period_us").write_text(period)
    return root


@pytest.mark.usefixtures("eight_allowed")
@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("max 100000\n", 8),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("10000 100000\n", 1),
        ("1600000 100000\n", 8),
        ("", 8),
        ("nonsense\n", 8),
        ("many 100000\n", 8),
    ],
)
def test_a_quota_of_version_2_limits_the_cpus_and_is_rounded_up(
    tmp_path: Path, text: str, cpus: int
) -> None:
    assert usable_cpus(version_2(tmp_path, text)) == cpus


@pytest.mark.usefixtures("eight_allowed")
@pytest.mark.parametrize(
    ("quota", "period", "cpus"),
    [("-1\n", "100000\n", 8), ("250000\n", "100000\n", 3), ("1000\n", "0\n", 8)],
)
def test_a_quota_of_version_1_limits_the_cpus_too(
    tmp_path: Path, quota: str, period: str, cpus: int
) -> None:
    assert usable_cpus(version_1(tmp_path, quota, period)) == cpus


@pytest.mark.usefixtures("eight_allowed")
def test_without_control_groups_affinity_alone_counts(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path / "nothing") == 8


def test_a_process_bound_to_one_cpu_may_use_one(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert usable_cpus(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, before)
