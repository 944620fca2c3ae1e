"""A service that gets 64 hostile texts at once answers all of them in bounded memory."""

import json
import random
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import mlflow
import psutil
import pytest
from backbones import export_untrained
from conftest import StoreMaker, run_server

from benchmarks.service_memory import KINDS
from ner_mlflow.exporting.bundle import write_code_bundle
from ner_mlflow.exporting.golden import golden_answers
from ner_mlflow.tagging.recognizer import EntityRecognizer, load_tagger
from ner_mlflow.tagging.tagger import TaggerSpec
from ner_mlflow.tracking.flavors import EXAMPLE, log_served_model

TEXTS, CHARACTERS = 64, 5_000_000
HOSTILE = ("dots", "brackets", "letters", "prose")
ENTITIES_PER_MEGABYTE = 14_000
"""As many as a trained model finds in the sample's prose; an untrained one finds more."""
MEGABYTE = 1_000_000


def keep_few_entities(folder: Path) -> None:
    """Set the threshold of a random model so that it answers as many entities as a trained one."""
    recognizer = EntityRecognizer(load_tagger(folder))
    (entities,) = recognizer.recognize([KINDS["prose"](random.Random(13), MEGABYTE)])
    scores = sorted((entity.score for entity in entities), reverse=True)
    spec = json.loads((folder / TaggerSpec.FILE).read_text())
    spec["thresholds"] = {"OS": scores[ENTITIES_PER_MEGABYTE]}
    (folder / TaggerSpec.FILE).write_text(json.dumps(spec))


def served_model(folder: Path, code: Path) -> str:
    """Log an exported folder and return its address."""
    answers = golden_answers(EntityRecognizer(load_tagger(folder)), EXAMPLE)
    run_id = mlflow.MlflowClient().create_run("0").info.run_id
    logged = log_served_model(run_id, folder, write_code_bundle(code), "served", answers, {})
    return str(logged.uri)


def peak_bytes(address: str) -> int:
    """Return the largest resident memory so far of the process that serves an address."""
    status = Path(f"/proc/{service_of(address)}/status").read_text().splitlines()
    (line,) = (line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def service_of(address: str) -> int:
    """Return the process that serves an address."""
    port = int(address.rpartition(":")[2])
    (service,) = {
        process.pid
        for process in psutil.Process().children(recursive=True)
        if any(
            connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
            for connection in process.net_connections()
        )
    }
    return service


def reset_peak(address: str) -> int:
    """Let the peak of the process that serves an address begin anew, and return it."""
    Path(f"/proc/{service_of(address)}/clear_refs").write_text("5", encoding="ascii")
    return peak_bytes(address)


@contextmanager
def serve(tiny_backbone: Path, store: str, folder: Path) -> Iterator[str]:
    """Serve a random model that answers as many entities as a trained one; yield its address."""
    exported = export_untrained(tiny_backbone, folder / "exported", 128)
    keep_few_entities(exported)
    command = [
        *(sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"),
        *("--model-uri", served_model(exported, folder / "code"), "--timeout", "3000"),
    ]
    with run_server(command, "/ping", folder, store) as address:
        yield address


def entities_of(address: str, body: bytes) -> int:
    """Send a request and return the number of entities of its answers."""
    request = urllib.request.Request(
        f"{address}/invocations", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=3000) as answer:
        blocks = iter(lambda: answer.read(MEGABYTE), b"")
        return sum(block.count(b'"label"') for block in blocks)


@pytest.mark.slow
def test_a_service_answers_64_hostile_texts_at_once_within_a_gigabyte(
    tiny_backbone: Path, make_store: StoreMaker, tmp_path: Path
) -> None:
    draw = random.Random(13)
    bodies = [json.dumps({"inputs": [KINDS[kind](draw, CHARACTERS)]}).encode() for kind in HOSTILE]
    with serve(tiny_backbone, make_store(tmp_path), tmp_path) as address:
        with ThreadPoolExecutor(TEXTS) as pool:
            counts = list(
                pool.map(
                    lambda number: entities_of(address, bodies[number % len(bodies)]), range(TEXTS)
                )
            )
        prose = counts[HOSTILE.index("prose") :: len(HOSTILE)]
        assert len(set(prose)) == 1
        assert prose[0] > 0.9 * ENTITIES_PER_MEGABYTE * CHARACTERS / MEGABYTE
        assert peak_bytes(address) < 1e9


@pytest.mark.slow
def test_a_service_answers_one_request_of_64_hostile_texts_in_little_memory_beside_it(
    tiny_backbone: Path, make_store: StoreMaker, tmp_path: Path
) -> None:
    draw = random.Random(13)
    texts = [KINDS[kind](draw, MEGABYTE) for kind in (*HOSTILE[:-1], "prose_with_emoji")]
    body = json.dumps({"inputs": texts * (TEXTS // len(texts))}, ensure_ascii=False).encode()
    with serve(tiny_backbone, make_store(tmp_path), tmp_path) as address:
        entities_of(address, json.dumps({"inputs": ["Ubuntu 22.04 runs nginx."] * 256}).encode())
        before = reset_peak(address)
        found = entities_of(address, body)
        assert found > 0.9 * ENTITIES_PER_MEGABYTE * TEXTS / len(texts)
        # MLflow's server joins the blocks of a request, so for a moment it is in memory twice.
        assert peak_bytes(address) - before < 2 * len(body) + 150 * MEGABYTE
