"""A language model server on a loopback port: the chat part of OpenAI's HTTP protocol.

``LlmServer(behave)`` calls ``behave(request, number)`` for each ``POST /v1/chat/completions``, with
the parsed body and the number of earlier requests; it returns a :class:`Response`. Requests are
recorded in ``requests`` with their headers and times.
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
class Response:
    """An answer with ``text``, an error if ``status`` is not 200, or the ``raw`` bytes."""

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
    def __init__(self, behave: Callable[[Request, int], Response]) -> None:
        self._behave = behave
        self._lock = threading.Lock()
        self.requests: list[Received] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path != "/v1/chat/completions":
                    self._send(Response(status=404))
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
                response = outer._behave(body, number)
                time.sleep(response.delay_s)
                self._send(response)

            def _send(self, response: Response) -> None:
                answer: dict[str, Any] = {
                    "error": {
                        "message": response.text or f"status {response.status}",
                        "type": "error",
                        "code": None,
                    }
                }
                if response.status == 200:
                    answer = {
                        "id": "chatcmpl-1",
                        "object": "chat.completion",
                        "created": 1,
                        "model": "test",
                        "choices": [
                            {
                                "index": 0,
                                "finish_reason": "stop",
                                "message": {"role": "assistant", "content": response.text},
                            }
                        ],
                        "usage": {
                            "prompt_tokens": 100,
                            "completion_tokens": 10,
                            "total_tokens": 110,
                        },
                    }
                content = response.raw or json.dumps(answer).encode()
                try:
                    self.send_response(response.status)
                    for name, value in {
                        "Content-Type": "application/json",
                        "Content-Length": str(len(content)),
                        **response.headers,
                    }.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)
                except (BrokenPipeError, ConnectionResetError):  # the client timed out
                    pass

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
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
