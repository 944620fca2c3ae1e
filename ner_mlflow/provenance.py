"""Where a result comes from: code, libraries, hardware, and the hashes that tell one state from another."""

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
"""Modules of these rooms that it does depend on."""
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


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_sizes(folder: Path) -> dict[str, int]:
    """Bytes of every file under a folder, by path relative to it."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@cache
def code_fingerprint() -> str:
    """SHA-256 (hex) of the whole package's source and tables."""
    return fingerprint(source_files())


@cache
def step_fingerprint(module: str) -> str:
    """SHA-256 (hex) of the files that a step's result depends on.

    These are the step's own module, all of the core that it imports, and how its models are logged.
    Settings count by their values, which a cache key holds, and not by the source that declares
    them; how a result is found and written down does not change it.

    Args:
        module: the ``__file__`` of the step in ``workflows/``.
    """
    step = Path(module).relative_to(PACKAGE).as_posix()
    return fingerprint(import_closure(step, without=NOT_IN_RESULTS, though=IN_RESULTS))


@cache
def git_commit() -> str:
    """The checkout's commit, ``-dirty`` when files differ from it; ``unknown`` outside a checkout."""
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
    """Installed versions of the libraries that can change a result."""
    return {name: version(name) for name in LIBRARIES}


@cache
def hardware() -> dict[str, str]:
    """Processor, cores, memory and accelerator of this machine."""
    import torch

    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "cpu": _cpu_model(),
        "cpu_cores": str(psutil.cpu_count(logical=True)),
        "memory_bytes": str(psutil.virtual_memory().total),
        "accelerator": accelerator,
        "platform": platform.platform(),
        "python": platform.python_version(),
    }


def peak_rss_bytes() -> int:
    """The most memory that this process has held; not what a larger one held that started it, which ``getrusage`` counts too on Linux."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:  # no Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kibibytes) * 1024


def provenance() -> dict[str, Any]:
    """All of it, as logged with every run."""
    return {
        "package_version": __version__,
        "git_commit": git_commit(),
        "code_fingerprint": code_fingerprint(),
        "libraries": library_versions(),
        "hardware": hardware(),
    }


def cache_key(parts: Iterable[Any]) -> str:
    """SHA-256 (hex) of what determines a step's result; equal keys mean that the result can be reused."""
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
