"""An HTTP proxy before a server that kills a process before or after one of its requests."""

import os
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHANGES = ("POST", "PATCH", "PUT", "DELETE")
READS = ("/search", "/get")
"""Ends of paths of requests that change nothing, whatever their method."""
DROPPED = {"connection", "content-length", "host", "transfer-encoding"}


@dataclass
class KillingProxy:
    """A proxy; ``requests`` lists the changes that passed.

    Attributes:
        address: its address.
        paths: it counts changes below paths with one of these parts.
        pid: the process to kill; 0: none.
        number: the change at which it is killed, from 1.
        after: it is killed after the server answered, and not before the server sees the change.
    """

    address: str = ""
    paths: tuple[str, ...] = ()
    pid: int = 0
    number: int = 0
    after: bool = False
    requests: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def aim(self, number: int, after: bool) -> None:
        """Kill the process that ``pid`` is set to later at a change."""
        self.pid, self.number, self.after, self.requests = 0, number, after, []

    def count(self, method: str, path: str) -> bool:
        """Note a request, and return whether the process is to be killed at it."""
        path = path.partition("?")[0]
        if method not in CHANGES or path.endswith(READS):
            return False
        if not any(part in path for part in self.paths):
            return False
        with self.lock:
            self.requests.append(f"{method} {path}")
            return bool(self.pid) and len(self.requests) == self.number

    def kill(self) -> None:
        """Kill the process."""
        os.kill(self.pid, signal.SIGKILL)


@contextmanager
def killing_proxy(server: str, *paths: str) -> Iterator[KillingProxy]:
    """Run a proxy before a server.

    Args:
        server: the server's address.
        paths: see :class:`KillingProxy`.
    """
    proxy = KillingProxy(paths=paths)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            is_last = proxy.count(self.command, self.path)
            if is_last and not proxy.after:
                proxy.kill()
                self.close_connection = True
                return
            headers = {
                name: value for name, value in self.headers.items() if name.lower() not in DROPPED
            }
            request = urllib.request.Request(
                f"{server}{self.path}", data=body or None, headers=headers, method=self.command
            )
            try:
                answer = urllib.request.urlopen(request, timeout=60)
            except urllib.error.HTTPError as error:
                answer = error
            with answer:
                content = answer.read()
            if is_last:
                proxy.kill()
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in DROPPED:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.daemon_threads = True
        proxy.address = f"http://127.0.0.1:{listener.server_address[1]}"
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown()
            thread.join()
