"""Secrets in the environment, in addresses and in settings are written and printed nowhere."""

import base64
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
import pytest
from conftest import ROOT, StoreMaker, entry_point, run_tracking_server, user_environment
from llm_server import LlmServer, Request, Response

from ner_mlflow.tracking.lifecycle import connect

SECRETS = {
    "hub token": "hf_planted1",
    "key of the language model": "sk-planted2",
    "password of the server": "planted3",
    "password of a database": "plan'ted4",
    "password of the endpoint": "planted5",
    "key in the query": "planted6",
    "key of the store of artifacts": "planted7",
}
ENVIRONMENT = {
    "HF_TOKEN": SECRETS["hub token"],
    "MY_ENDPOINT": SECRETS["key of the language model"],
    "AWS_SECRET_ACCESS_KEY": SECRETS["key of the store of artifacts"],
}


def found_in(content: bytes) -> list[str]:
    encoded = {name: base64.b64encode(secret.encode()) for name, secret in SECRETS.items()}
    return [
        name
        for name, secret in SECRETS.items()
        if secret.encode() in content or encoded[name].rstrip(b"=") in content
    ]


@pytest.fixture
def server(make_store: StoreMaker, tmp_path: Path) -> Iterator[str]:
    """The address of a tracking server, with a user and a password in it."""
    with run_tracking_server(make_store(tmp_path), tmp_path) as address:
        yield address.replace("//", f"//me:{SECRETS['password of the server']}@")


def test_planted_secrets_are_found_nowhere(server: str, tmp_path: Path) -> None:
    def behave(request: Request, number: int) -> Response:
        if number % 2 == 0:
            return Response("[]")
        return Response(f"key {SECRETS['key of the language model']} is not of this model", 400)

    with LlmServer(behave) as llm:
        secrets = SECRETS["password of the endpoint"], SECRETS["key in the query"]
        endpoint = llm.base_url.replace("//", f"//me:{secrets[0]}@").replace("/v1", "/v1/")
        storage = f"postgresql://me:{SECRETS['password of a database']}@127.0.0.1:1/none"
        done = entry_point(
            server,
            "prompt",
            *("--prompts", "zero_shot", "--sentences", "6", "--prompt.concurrency", "1"),
            *("--base_url", endpoint, "--prompt.api_key_variable", "MY_ENDPOINT"),
            cwd=tmp_path,
            env={**ENVIRONMENT, "MLFLOW_TRACKING_USERNAME": "other"},
        )
        assert done.returncode == 0, done.stderr
        assert len(llm.requests) >= 6
        refused = entry_point(
            server,
            "prompt",
            *("--sentences", "1", "--base_url", f"http://127.0.0.1:9/v1?api-key={secrets[1]}"),
            *("--prompt.max_retries", "0"),
            cwd=tmp_path,
            env=ENVIRONMENT,
        )
        assert refused.returncode == 1
        assert "endpoint http://127.0.0.1:9/v1?api-key=*** does not answer" in refused.stderr
        lost = entry_point(
            server, "sweep", "--storage", storage, "--trials", "1", cwd=tmp_path, env=ENVIRONMENT
        )
        assert lost.returncode == 1
        assert "postgresql://me:***@127.0.0.1:1/none" in lost.stderr
    printed = "".join(one.stdout + one.stderr for one in (done, refused, lost))
    assert found_in(printed.encode()) == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"mlflow.db", "log", "config.yaml", "traces.json"} <= {path.name for path in files}
    assert {path.name: found for path in files if (found := found_in(path.read_bytes()))} == {}


def test_the_password_of_a_server_is_sent_and_never_an_argument() -> None:
    # The server lets nobody in without the password, and notes the processes of this machine.
    expected = base64.b64encode(f"me:{SECRETS['password of the server']}".encode()).decode()
    seen: list[bytes] = []
    authorized: list[bool] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def answer(self) -> None:
            authorized.append(self.headers["Authorization"] == f"Basic {expected}")
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):  # it has ended
                    seen.append(path.read_bytes())
            self.send_response(200 if self.path == "/health" and authorized[-1] else 401)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    address = f"http://me:{SECRETS['password of the server']}@127.0.0.1:{http.server_port}"
    done = subprocess.run(
        [sys.executable, "-m", "entrypoints.data"],
        cwd=ROOT,
        env=user_environment(address),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    http.shutdown()
    http.server_close()
    assert done.returncode == 1
    assert f"http://127.0.0.1:{http.server_port} cannot be used" in done.stderr
    assert len(authorized) >= 2
    assert all(authorized)
    assert found_in(b"\n".join(seen) + done.stdout.encode() + done.stderr.encode()) == []


def test_the_api_keeps_mlflow_from_printing_a_password(
    server: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", raising=False)
    mlflow.set_tracking_uri(server)
    connect()
    with mlflow.start_run():
        pass
    assert found_in("".join(capfd.readouterr()).encode()) == []


def test_a_fault_of_the_program_shows_no_secret() -> None:
    code = (
        "from ner_mlflow.cli.command import command\n"
        "@command('data')\n"
        "def data(given):\n"
        "    raise LookupError('at http://me:planted3@host/v1?api-key=planted6 with hf_planted1')\n"
        "data()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**user_environment("sqlite://"), **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "LookupError: at http://me:***@host/v1?api-key=*** with ***" in done.stderr
    assert found_in(done.stderr.encode()) == []
