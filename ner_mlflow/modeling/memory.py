"""What the libraries below PyTorch keep in memory between training steps."""

import ctypes
import os
import platform

M_TRIM_THRESHOLD, M_TOP_PAD = -1, -2
"""Options of mallopt(3)."""
KEPT_BYTES = 2**31 - 1
PADDED_BYTES = 100 * 2**20
KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""Variables that say how many kernels oneDNN, and what PyTorch has before it, keep; each is read at the first product in bf16."""
KEPT_KERNELS = 32


def keep_freed_memory() -> None:
    """Have glibc keep what is freed for what is allocated next.

    It hands the gradients of every step back to the system else, which gives them again page by page, zeroed: 0.1 to 0.2 of a CPU step.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        libc.mallopt(M_TOP_PAD, PADDED_BYTES)


def bound_kernel_caches() -> None:
    """Have few kernels kept for products in bf16 on a CPU; what the environment says goes before.

    One is made for each shape of its factors, of which batches of any length and every new LoRA rank bring many; each of the two caches keeps 1,024:
    in bf16, 10 trials of different ranks end 0.9 GB above what they need. A batch needs fewer than 32, and finding one among few is faster (docs/log.md).
    """
    for variable in KERNEL_CACHES:
        os.environ.setdefault(variable, str(KEPT_KERNELS))
