"""Count the CPUs that this process may use."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUP_ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def usable_cpus(cgroup_root: Path = CGROUP_ROOT, membership: Path = MEMBERSHIP) -> int:
    """Return how many CPUs this process may use, at least 1.

    The count respects the process's CPU affinity and the CPU quotas of its control group and of the
    groups above it (version 1 or 2), as containers and batch systems set them. A quota of 1.5 CPUs
    counts as 2.

    Args:
        cgroup_root: the folder where control groups are mounted.
        membership: the file that names the process's groups, with lines ``ID:CONTROLLERS:PATH``.
    """
    allowed = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quotas = (quota for folder in _groups(cgroup_root, membership) for quota in _quota(folder))
    return max(1, min([allowed, *map(math.ceil, quotas)]))


def _groups(root: Path, membership: Path) -> Iterator[Path]:
    """Yield the folders of the process's groups, from the mount points down.

    In a container the group itself is often mounted at the root, and the paths in the membership
    file may not exist.
    """
    mounts = [root, root / "cpu"]  # version 2, version 1
    yield from mounts
    for line in (_read(membership) or "").splitlines():
        _, _, group = line.split(":", 2)
        for part in [PurePosixPath(group), *PurePosixPath(group).parents]:
            name = str(part).lstrip("/")
            if name:
                yield from (mount / name for mount in mounts)


def _quota(folder: Path) -> Iterator[float]:
    """Yield a group's quota in CPUs, unless it is unlimited (``max``, or -1 in version 1)."""
    texts = [
        _read(folder / "cpu.max"),
        f"{_read(folder / 'cpu.cfs_quota_us')} {_read(folder / 'cpu.cfs_period_us')}",
    ]
    for text in texts:
        try:
            quota, period = map(int, (text or "").split())
        except ValueError:
            continue
        if quota > 0 and period > 0:
            yield quota / period


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
