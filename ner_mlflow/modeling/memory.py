"""Bound the memory that libraries below PyTorch hold between training steps."""

import ctypes
import os
import platform

M_TRIM_THRESHOLD, M_TOP_PAD = -1, -2
"""Options of mallopt(3)."""
TRIM_THRESHOLD_BYTES = 2**31 - 1
TOP_PAD_BYTES = 100 * 2**20
KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""Variables for the number of kernels in oneDNN's cache, and in PyTorch's cache above it.

Both are read at the first matrix product in bf16.
"""
CACHED_KERNELS = 32


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next allocation.

    By default it returns the gradients of every step to the system, which hands the pages out
    again one by one and zeroed. That takes 10 to 20 % of a step on a CPU.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES)
        libc.mallopt(M_TOP_PAD, TOP_PAD_BYTES)


def bound_kernel_caches() -> None:
    """Limit the caches of kernels for products in bf16 on a CPU, unless the environment sets them.

    A kernel is compiled for each pair of matrix shapes, and batches of any length and each new
    LoRA rank bring new shapes. By default each cache keeps 1024 kernels: in bf16, 10 trials of
    different ranks end 0.9 GB above what they need. A batch needs fewer than 32, and a lookup
    among few is faster (docs/experiments/sweeps.md).
    """
    for variable in KERNEL_CACHES:
        os.environ.setdefault(variable, str(CACHED_KERNELS))
