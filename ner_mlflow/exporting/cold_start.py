"""Measure how long a fresh process takes to its first answer, and how much memory it needs."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil

from ..errors import ModelError
from ..provenance import peak_rss_bytes
from ..redaction import one_line

TEXT = "After the upgrade to Ubuntu 22.04 the NVIDIA driver crashes."
MANY_TEXTS = 1000
"""Enough texts to create everything that the recognizer creates on first use."""


def measure_cold_start(folder: Path) -> dict[str, float]:
    """Start a Python process that loads an exported model, answers one text, then many at once.

    Args:
        folder: the exported model.

    Returns:
        ``cold_start_ms``, from the start of the process to the first answer;
        ``cold_memory_bytes``, its resident memory then; and ``peak_memory_bytes``, its largest
        resident memory.

    Raises:
        ModelError: the process failed.
    """
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", __name__, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        elapsed_ms = (time.perf_counter() - started) * 1000
        last, errors = process.communicate()
    if process.returncode:
        raise ModelError(
            f"{folder}: a fresh process cannot answer with it ({one_line(errors[-300:])}): "
            "export the model again"
        )
    return {"cold_start_ms": elapsed_ms, **json.loads(first), **json.loads(last)}


def main() -> None:
    """Run in the process that :func:`measure_cold_start` starts."""
    from ..tagging.recognizer import EntityRecognizer, load_tagger

    recognizer = EntityRecognizer(load_tagger(Path(sys.argv[1])))
    recognizer.recognize_rows([TEXT])
    sys.stdout.write(json.dumps({"cold_memory_bytes": psutil.Process().memory_info().rss}) + "\n")
    sys.stdout.flush()
    recognizer.recognize_rows([TEXT] * MANY_TEXTS)
    sys.stdout.write(json.dumps({"peak_memory_bytes": peak_rss_bytes()}))


if __name__ == "__main__":
    main()
