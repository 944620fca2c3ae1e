"""From nothing to the first answer: how long a fresh process takes with a model, and how much memory."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil

from ..errors import ModelError

TEXT = "After the upgrade to Ubuntu 22.04 the NVIDIA driver crashes."


def cold_start(folder: Path) -> dict[str, float]:
    """Start a Python process that loads an exported model and answers once.

    Returns:
        ``cold_start_ms`` from the start of the process to the answer, and the ``cold_memory_bytes`` that it holds then.

    Raises:
        ModelError: it did not answer.
    """
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", __name__, str(folder)], capture_output=True, text=True, check=False)
    elapsed_ms = (time.perf_counter() - started) * 1000
    if done.returncode:
        raise ModelError(f"{folder}: a fresh process cannot answer with it ({' '.join(done.stderr.split())[-300:]})")
    return {"cold_start_ms": elapsed_ms, **json.loads(done.stdout)}


def main() -> None:
    """The process that :func:`cold_start` starts."""
    from ..serving.recognizer import EntityRecognizer, load_tagger

    EntityRecognizer(load_tagger(Path(sys.argv[1]))).recognize_rows([TEXT])
    sys.stdout.write(json.dumps({"cold_memory_bytes": psutil.Process().memory_info().rss}))


if __name__ == "__main__":
    main()
