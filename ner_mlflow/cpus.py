"""Count the CPUs that this process may use."""

import math
import os
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")


def usable_cpus(cgroup_root: Path = CGROUP_ROOT) -> int:
    """Return how many CPUs this process may use, at least 1.

    The count respects the process's CPU affinity and the CPU quota of its control group (version 1
    or 2), as containers set it. A quota of 1.5 CPUs counts as 2.
    """
    allowed = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota = _quota_v2(cgroup_root) or _quota_v1(cgroup_root)
    return max(1, allowed if quota is None else min(allowed, math.ceil(quota)))


def _quota_v2(root: Path) -> float | None:
    """Return the CPUs of ``cpu.max``, which holds ``QUOTA PERIOD`` or ``max PERIOD``."""
    text = _read(root / "cpu.max")
    return _ratio(*text.split()) if text and len(text.split()) == 2 else None


def _quota_v1(root: Path) -> float | None:
    quota = _read(root / "cpu" / "cpu.cfs_quota_us")
    period = _read(root / "cpu" / "cpu.cfs_period_us")
    return _ratio(quota, period) if quota and period else None


def _ratio(quota: str, period: str) -> float | None:
    """Return quota over period; None where no limit is set (``max`` or -1)."""
    try:
        microseconds, period_microseconds = int(quota), int(period)
    except ValueError:
        return None
    limited = microseconds > 0 and period_microseconds > 0
    return microseconds / period_microseconds if limited else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
