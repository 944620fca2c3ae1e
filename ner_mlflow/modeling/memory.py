"""How the C library keeps memory between training steps."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_TOP_PAD = -1, -2
"""Options of mallopt(3)."""
KEPT_BYTES = 2**31 - 1
PADDED_BYTES = 100 * 2**20


def keep_freed_memory() -> None:
    """Have glibc keep what is freed for what is allocated next.

    It hands the gradients of every step back to the system else, which gives them again page by page, zeroed: 0.1 to 0.2 of a CPU step.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        libc.mallopt(M_TOP_PAD, PADDED_BYTES)
