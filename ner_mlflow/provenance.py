"""Record where a result comes from: code, libraries, hardware, and hashes of their states."""

import hashlib
import platform
import resource
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from .source_code import PACKAGE, fingerprint, import_closure, source_files
from .version import __version__

NOT_IN_RESULTS = (
    *("logs", "provenance", "redaction", "source_code", "version"),
    *("cli", "config", "tracking", "workflows"),
)
"""Rooms that a step's result does not depend on, beside the step's own module."""
IN_RESULTS = ("tracking/flavors.py",)
"""Modules in these rooms that a result does depend on."""
LIBRARIES = (
    "torch",
    "transformers",
    "peft",
    "datasets",
    "tokenizers",
    "seqeval",
    "onnx",
    "onnxruntime",
    "mlflow",
    "numpy",
)
VECTOR_FLAGS = frozenset(
    (
        *("avx2", "fma", "avx_vnni", "avx_vnni_int8", "avx512f", "avx512_vnni", "avx512_bf16"),
        *("avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
        *("asimd", "asimddp", "sve", "sve2", "bf16", "i8mm", "sme"),
    )
)
"""Instructions of x86 and Arm on which the speed of matrix products depends.

Ratios of speeds hold for processors with the same ones.
"""
DEVICES = Path("/dev")
DRIVER_FILES = ("nvidia*", "nvhost*", "kfd", "dxg")
"""Files of drivers below :data:`DEVICES`, on Linux, through which PyTorch finds a GPU: NVIDIA's,
also on Tegra, AMD's, and that of Windows' subsystem. Without one of them there is none."""


def file_sha256(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_sizes(folder: Path) -> dict[str, int]:
    """Return the size in bytes of every file below a folder, by relative path."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@cache
def code_fingerprint() -> str:
    """Return the SHA-256 (hex) of all source and data files of the package."""
    return fingerprint(source_files())


@cache
def step_fingerprint(module: str) -> str:
    """Return the SHA-256 (hex) of the files that a step's result depends on.

    These are the step's own module, the core modules that it imports, and those of
    :data:`IN_RESULTS` that it imports. The source of settings is left out, because a cache key
    holds their values. The source that finds and records results is left out, because it does not
    change them.

    Args:
        module: the ``__file__`` of the step in ``workflows/``.
    """
    step = Path(module).relative_to(PACKAGE).as_posix()
    return fingerprint(import_closure(step, without=NOT_IN_RESULTS, keep=IN_RESULTS))


@cache
def git_commit() -> str:
    """Return the commit of the checkout, or ``unknown`` outside one.

    The suffix ``-dirty`` marks tracked files that differ from the commit.
    """
    try:
        options: dict[str, Any] = {
            "cwd": PACKAGE.parent,
            "capture_output": True,
            "text": True,
            "check": True,
        }
        commit = subprocess.run(["git", "rev-parse", "HEAD"], **options).stdout.strip()
        changes = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"], **options
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}-dirty" if changes else commit


@cache
def library_versions() -> dict[str, str]:
    """Return the installed versions of the libraries that can change a result."""
    return {name: version(name) for name in LIBRARIES}


@cache
def hardware() -> dict[str, str]:
    """Return processor, its vector instructions, cores, memory, accelerator and platform."""
    return {
        "cpu": _cpu_field("model name") or platform.processor() or platform.machine(),
        "cpu_flags": " ".join(
            flag
            for flag in (_cpu_field("flags") or _cpu_field("Features")).split()
            if flag in VECTOR_FLAGS
        ),
        "cpu_cores": str(psutil.cpu_count(logical=True)),
        "memory_bytes": str(psutil.virtual_memory().total),
        "accelerator": _accelerator(),
        "platform": platform.platform(),
        "python": platform.python_version(),
    }


def peak_rss_bytes() -> int:
    """Return the peak resident memory of this process, in bytes.

    On Linux ``getrusage`` also counts the peak of the parent process before the fork; the value in
    ``/proc`` does not.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kibibytes) * 1024


def provenance() -> dict[str, Any]:
    """Return the provenance that is logged with every run."""
    return {
        "package_version": __version__,
        "git_commit": git_commit(),
        "code_fingerprint": code_fingerprint(),
        "libraries": library_versions(),
        "hardware": hardware(),
    }


def cache_key(parts: Iterable[Any]) -> str:
    """Return the SHA-256 (hex) of the values that determine a step's result.

    A result can be reused for an equal key.
    """
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()


def _accelerator() -> str:
    """Return the name of the first device that PyTorch computes on besides the processor."""
    if platform.system() == "Linux" and not any(
        next(DEVICES.glob(pattern), None) for pattern in DRIVER_FILES
    ):
        return "none"  # told without PyTorch, which takes seconds to import
    import torch

    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else "none"


def _cpu_field(name: str) -> str:
    """Return what Linux says of the first processor; empty: it does not, or is not Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
