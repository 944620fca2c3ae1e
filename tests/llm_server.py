"""A language model on a loopback port that speaks the chat part of OpenAI's HTTP protocol and answers what a test wants.

``LlmServer(behave)`` calls ``behave(request, number)`` for each ``POST /v1/chat/completions``, with the parsed body and how many came
before; it returns a :class:`Says`. Requests, with their headers and times, are kept in ``requests``.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Request = dict[str, Any]


@dataclass(frozen=True)
class Says:
    """An answer: a text, or with another ``status`` an error, or ``raw`` as it is; ``delay_s`` before it, ``headers`` with it."""

    text: str = ""
    status: int = 200
    delay_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes = b""


@dataclass(frozen=True)
class Received:
    body: Request
    headers: dict[str, str]
    at_s: float


class LlmServer:
    def __init__(self, behave: Callable[[Request, int], Says]) -> None:
        self._behave = behave
        self._lock = threading.Lock()
        self.requests: list[Received] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path != "/v1/chat/completions":
                    self._send(Says(status=404))
                    return
                with outer._lock:
                    number = len(outer.requests)
                    outer.requests.append(
                        Received(
                            body,
                            {name.lower(): value for name, value in self.headers.items()},
                            time.monotonic(),
                        )
                    )
                says = outer._behave(body, number)
                time.sleep(says.delay_s)
                self._send(says)

            def _send(self, says: Says) -> None:
                answer: dict[str, Any] = {
                    "error": {
                        "message": says.text or f"status {says.status}",
                        "type": "error",
                        "code": None,
                    }
                }
                if says.status == 200:
                    answer = {
                        "id": "chatcmpl-1",
                        "object": "chat.completion",
                        "created": 1,
                        "model": "test",
                        "choices": [
                            {
                                "index": 0,
                                "finish_reason": "stop",
                                "message": {"role": "assistant", "content": says.text},
                            }
                        ],
                        "usage": {
                            "prompt_tokens": 100,
                            "completion_tokens": 10,
                            "total_tokens": 110,
                        },
                    }
                content = says.raw or json.dumps(answer).encode()
                try:
                    self.send_response(says.status)
                    for name, value in {
                        "Content-Type": "application/json",
                        "Content-Length": str(len(content)),
                        **says.headers,
                    }.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)
                except (BrokenPipeError, ConnectionResetError):  # the client did not wait
                    pass

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
