"""Measure the HTTP service of the served model against the same model behind a plain handler.

Logs an exported folder as the served model, in a store of its own. The servers take turns:

- ``plain``: a FastAPI handler that passes the texts to the recognizer and its answers on,
- ``mlflow``: ``mlflow models serve`` as docs/serving.md gives it,
- ``mlflow_quiet``: the same without uvicorn's log of requests (``UVICORN_ACCESS_LOG=false``),
- ``mlflow_workers``: without the log, and with a process of one thread for each core.

Each of ``--clients`` connections sends one sentence after the other and waits for each answer; p50
and p99 are in milliseconds, and the client's own work is part of them. Ratios are medians over the
rounds.

usage: python -m benchmarks.http_latency EXPORTED_FOLDER [--texts FILE] [--sentences 300]
                                         [--rounds 3] [--clients 1 8 64] [--seconds 2]
                                         [--servers plain mlflow mlflow_quiet mlflow_workers]
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from signal import SIGTERM
from socket import create_connection, socket
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.latency import add_text_options, log_in_own_store, machine, read_texts
from ner_mlflow.cpus import usable_cpus

if TYPE_CHECKING:
    from fastapi import FastAPI

MODEL_PATH = "NER_MLFLOW_BENCHMARK_MODEL"
"""Environment variable with the path of the model that :func:`plain` serves."""
WARM_UP_S = 0.5
START_S = 60


class Server(NamedTuple):
    """Arguments of ``python -m`` (``{model}`` and ``{cores}`` are filled in) and its environment.

    Workers load their models after the port is open, so a server gets ``settle_s`` seconds for it.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = {}
    settle_s: float = 0.0


MLFLOW = ("mlflow", "models", "serve", "-m", "{model}", "--env-manager", "local")
QUIET = {"UVICORN_ACCESS_LOG": "false"}
SERVERS = {
    "plain": Server(("uvicorn", "--factory", "benchmarks.http_latency:plain", "--no-access-log")),
    "mlflow": Server(MLFLOW),
    "mlflow_quiet": Server(MLFLOW, QUIET),
    "mlflow_workers": Server(
        (*MLFLOW, "--workers", "{cores}"),
        {**QUIET, "SERVING_MODEL_CONFIG": json.dumps({"threads": 1})},
        settle_s=6,
    ),
}


class Measured(NamedTuple):
    """The milliseconds of each request, and requests per second."""

    times: list[float]
    rate: float


def plain() -> "FastAPI":
    """Return the smallest service of the model."""
    import mlflow
    from fastapi import FastAPI
    from fastapi.responses import JSONResponse

    model = mlflow.pyfunc.load_model(os.environ[MODEL_PATH], suppress_warnings=True)
    recognizer = model.unwrap_python_model().recognizer
    app = FastAPI()

    @app.post("/invocations")
    def invocations(body: dict[str, list[str]]) -> JSONResponse:
        return JSONResponse({"predictions": recognizer.recognize_rows(body["inputs"])})

    return app


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1])
    parser.add_argument("folder", type=Path, help="an exported model")
    add_text_options(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each block")
    parser.add_argument("--servers", nargs="*", choices=SERVERS, default=list(SERVERS))
    arguments = parser.parse_args()
    requests = [_request(text) for text in read_texts(arguments.texts, arguments.sentences)]
    measured: dict[tuple[int, str], list[Measured]] = {
        (clients, name): [] for clients in arguments.clients for name in arguments.servers
    }
    with tempfile.TemporaryDirectory(prefix="ner-mlflow-") as store:
        path = log_in_own_store(arguments.folder, Path(store))
        for _ in range(arguments.rounds):
            for name in arguments.servers:
                with _started(SERVERS[name], path, Path(store) / "server.log") as port:
                    for clients in arguments.clients:
                        asyncio.run(_load(port, requests, clients, WARM_UP_S))
                        block = asyncio.run(_load(port, requests, clients, arguments.seconds))
                        measured[clients, name].append(block)
                        p50, rate = np.median(block.times), block.rate
                        print(f"{name}, {clients} clients: {p50:.2f} ms, {rate:.0f}/s", flush=True)
    result = {
        str(clients): _summary(
            {name: measured[clients, name] for name in arguments.servers}, arguments.servers[0]
        )
        for clients in arguments.clients
    }
    print(json.dumps({"sentences": len(requests), **machine(), "clients": result}))


def _request(text: str) -> bytes:
    body = json.dumps({"inputs": [text]}).encode()
    head = (
        "POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@contextmanager
def _started(server: Server, model: str, log: Path) -> Iterator[int]:
    """Yield the port of a server once it listens, and end it afterwards."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    programs = str(Path(sys.executable).parent)  # MLflow starts uvicorn by its name
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
        MODEL_PATH: model,
        **server.environment,
    }
    fields = {"model": model, "cores": str(usable_cpus())}
    command = [argument.format(**fields) for argument in server.arguments]
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--port", str(port)],
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(process, port, log)
        time.sleep(server.settle_s)
        yield port
    finally:
        if process.poll() is None:
            os.killpg(process.pid, SIGTERM)
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the server does not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.1)


async def _load(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Measured:
    times: list[float] = []
    turns = count()
    started = time.perf_counter()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < started + seconds:
            request = requests[next(turns) % len(requests)]
            sent = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"the server answers {head!r}")
            lower = head.lower()
            begin = lower.index(b"content-length:") + len(b"content-length:")
            await reader.readexactly(int(lower[begin : lower.index(b"\r", begin)]))
            times.append((time.perf_counter() - sent) * 1000)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return Measured(times, len(times) / (time.perf_counter() - started))


def _summary(measured: Mapping[str, Sequence[Measured]], base: str) -> dict[str, Any]:
    def over_base(name: str, value: Any) -> float:
        pairs = zip(measured[name], measured[base], strict=True)
        return round(median(float(value(block) / value(of_base)) for block, of_base in pairs), 3)

    result: dict[str, Any] = {}
    for name, blocks in measured.items():
        times = np.concatenate([block.times for block in blocks])
        result[name] = {
            "p50_ms": round(float(np.median(times)), 2),
            "p99_ms": round(float(np.quantile(times, 0.99)), 2),
            "requests_per_s": round(median(block.rate for block in blocks), 1),
            f"p50_over_{base}": over_base(name, lambda block: np.median(block.times)),
            f"p99_over_{base}": over_base(name, lambda block: np.quantile(block.times, 0.99)),
            f"rate_over_{base}": over_base(name, lambda block: block.rate),
        }
    return result


if __name__ == "__main__":
    main()
