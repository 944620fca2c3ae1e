"""A proxy before a tracking server that fails as networks and servers do."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
HOP_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


class Fault(Enum):
    """What the proxy does with a request."""

    NONE = auto()
    DROPPED = auto()
    """The connection ends before the server got the request."""
    ANSWER_LOST = auto()
    """The server does what it is asked, and the connection ends before its answer."""
    ERROR = auto()
    """The answer is 500; the server does not get the request."""
    HANGING = auto()
    """There is no answer until the fault ends; then the connection does."""


class FaultyProxy:
    """A proxy whose faults are chosen by request.

    Attributes:
        choose: request number, path -> the fault.
        requests: how many requests there were.
        address: the proxy's address.
    """

    def __init__(self, server: str) -> None:
        self.choose: Callable[[int, str], Fault] = lambda *_: Fault.NONE
        self.requests = 0
        self._lock = threading.Lock()
        self._server = urlsplit(server)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _forward(self) -> None:
                proxy._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        for method in METHODS:
            setattr(Handler, f"do_{method}", Handler._forward)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_port}"

    @contextmanager
    def running(self) -> Iterator["FaultyProxy"]:
        """Serve while the block runs."""
        thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.choose = lambda *_: Fault.DROPPED
            self._http.shutdown()
            self._http.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.requests += 1
            number = self.requests
        length = int(handler.headers.get("Content-Length") or 0)
        if handler.headers.get("Transfer-Encoding") == "chunked":
            body = _read_chunks(handler)
        else:
            body = handler.rfile.read(length)
        fault = self.choose(number, handler.path)
        while fault is Fault.HANGING:
            time.sleep(0.05)
            if self.choose(number, handler.path) is not Fault.HANGING:
                fault = Fault.DROPPED
        if fault is Fault.DROPPED:
            handler.close_connection = True
            return
        if fault is Fault.ERROR:
            handler.send_error(500)
            return
        status, headers, answer = self._ask(handler, body)
        if fault is Fault.ANSWER_LOST:
            handler.close_connection = True
            return
        handler.send_response(status)
        for name, value in headers:
            if name.lower() not in HOP_HEADERS:
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(answer)

    def _ask(
        self, handler: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(
            self._server.hostname or "", self._server.port, timeout=60
        )
        headers = {
            name: value
            for name, value in handler.headers.items()
            if name.lower() not in {*HOP_HEADERS, "host"}
        }
        try:
            connection.request(handler.command, handler.path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        except OSError:  # the server is not there
            return 502, [], b""
        finally:
            connection.close()


def _read_chunks(handler: BaseHTTPRequestHandler) -> bytes:
    body = b""
    while size := int(handler.rfile.readline().strip(), 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return body
