"""Memory below PyTorch: freed memory is reused, and kernel caches are bounded."""

import os
import platform
import subprocess
import sys

import pytest

from ner_mlflow.modeling.memory import CACHED_KERNELS, KERNEL_CACHES, bound_kernel_caches

PAGE_FAULTS = """
import ctypes, resource, sys
from ner_mlflow.modeling.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
def fill():
    blocks = [ctypes.c_void_p(libc.malloc(100_000)) for _ in range(300)]
    for block in blocks:
        ctypes.memset(block, 1, 100_000)
    for block in blocks:
        libc.free(block)
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    """Return the page faults of allocating, filling and freeing 30 MB five times."""
    done = subprocess.run(
        [sys.executable, "-c", PAGE_FAULTS, mode], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone has mallopt")
def test_freed_memory_is_reused_without_page_faults() -> None:
    assert page_faults("keep") < page_faults("default") / 10


def test_kernel_caches_are_bounded_unless_the_environment_sets_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unset, users = KERNEL_CACHES
    monkeypatch.setenv(unset, "")  # restored after the test
    monkeypatch.delenv(unset)
    monkeypatch.setenv(users, "7")
    bound_kernel_caches()
    assert os.environ[unset] == str(CACHED_KERNELS)
    assert os.environ[users] == "7"
