"""The CPUs of a process: affinity and the quotas of control groups."""

import os
from pathlib import Path

import pytest

from ner_mlflow.cpus import usable_cpus


@pytest.fixture(autouse=True)
def eight_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def member_of(root: Path, *lines: str) -> Path:
    """Return a membership file; by default of a process in the root group."""
    path = root.parent / "membership"
    path.write_text("".join(f"{line}\n" for line in lines or ("0::/",)))
    return path


def write_v2(root: Path, text: str, group: str = "") -> None:
    (root / group).mkdir(parents=True, exist_ok=True)
    (root / group / "cpu.max").write_text(text)


def write_v1(root: Path, quota: str, period: str = "100000\n", group: str = "") -> None:
    folder = root / "cpu" / group
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.cfs_quota_us").write_text(quota)
    (folder / "cpu.cfs_period_us").write_text(period)


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
    root: Path, text: str, cpus: int
) -> None:
    write_v2(root, text)
    assert usable_cpus(root, member_of(root)) == cpus


@pytest.mark.parametrize(
    ("quota", "period", "cpus"),
    [("-1\n", "100000\n", 8), ("250000\n", "100000\n", 3), ("1000\n", "0\n", 8)],
)
def test_a_quota_of_version_1_limits_the_cpus_too(
    root: Path, quota: str, period: str, cpus: int
) -> None:
    write_v1(root, quota, period)
    assert usable_cpus(root, member_of(root)) == cpus


def test_the_smallest_quota_of_a_group_and_those_above_it_counts(root: Path) -> None:
    membership = member_of(root, "0::/batch.slice/job-7")
    write_v2(root, "max 100000\n", "batch.slice/job-7")
    write_v2(root, "500000 100000\n", "batch.slice")
    assert usable_cpus(root, membership) == 5
    write_v2(root, "300000 100000\n", "batch.slice/job-7")
    assert usable_cpus(root, membership) == 3
    write_v2(root, "100000 100000\n", "batch.slice/job-8")
    assert usable_cpus(root, membership) == 3


def test_a_group_of_version_1_is_found_by_its_path(root: Path) -> None:
    write_v1(root, "-1\n")
    write_v1(root, "400000\n", group="docker/0123")
    assert usable_cpus(root, member_of(root, "4:cpu,cpuacct:/docker/0123", "3:memory:/")) == 4


def test_without_control_groups_affinity_alone_counts(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path / "nothing", tmp_path / "nothing") == 8


def test_a_process_bound_to_one_cpu_may_use_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert usable_cpus(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, before)
