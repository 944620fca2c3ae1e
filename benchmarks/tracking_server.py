"""An `mlflow server` of this machine for the benchmarks."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_server


@contextmanager
def tracking_server(database: str, folder: Path) -> Iterator[str]:
    """Start an `mlflow server` with one worker, yield its address, and end it.

    Args:
        database: the address of its database.
        folder: where it keeps artifacts, in ``artifacts``, and its output, in ``server.log``.
    """
    with create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    address = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database),
        *("--artifacts-destination", str(folder / "artifacts"), "--workers", "1", "--port", port),
    ]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=log,
            stderr=log,
        )
    try:
        while True:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=2).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise RuntimeError("the mlflow server did not start") from None
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait()
