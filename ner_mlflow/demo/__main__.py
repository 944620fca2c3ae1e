"""Serve the showcase: `python -m ner_mlflow.demo HOST PORT`, as the command `demo` does.

Everything that the pages need is imported before the server listens, so that the first page need
not wait for it.
"""

import os
import sys
import threading
from importlib import import_module
from pathlib import Path

from .style import THEME

APP = Path(__file__).with_name("app.py")
NEEDED = (".annotations", ".charts", ".explorer", "..tracking.models", "..workflows.evaluate")
"""Modules that import all libraries of the pages."""
LOOPBACK = ("127.0.0.1", "localhost")
OPTIONS = {
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.maxUploadSize": "5",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "type",
    "runner.magicEnabled": "false",
    "logger.hideWelcomeMessage": "true",
    "logger.level": "warning",
    **THEME,
}
"""Options of Streamlit's server; the size of uploads is in MB."""


def main(host: str, port: str) -> None:
    """Serve until the process is ended, or the one that started it."""
    for name in NEEDED:
        import_module(name, __package__)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from streamlit.web.cli import main as streamlit

    options = {**OPTIONS, "server.address": host, "server.port": port}
    flags = [f"--{name}={value}" for name, value in options.items()]
    if host in LOOPBACK:  # other names for this machine may come from pages of other sites
        flags += [f"--server.allowedHosts={name}" for name in LOOPBACK]
    streamlit(["run", str(APP), *flags])


def _end_with_parent() -> None:
    """End this process when its standard input closes, which the parent holds open."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:3])
