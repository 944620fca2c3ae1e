"""Show what the tracking store holds, in a browser."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import click

from ..errors import ConfigError, NerError
from ..start_up import importing
from ..tracking.adoption import RUN_VARIABLE, adopted_run
from ..tracking.steps import Step
from .command import command, set_up_logging
from .options import GivenSettings, option

ANY_ADDRESS = ("0.0.0.0", "::", "")
"""Hosts that stand for all addresses of this machine."""
START_S = 120
"""Seconds in which the pages have to answer."""
HEALTH = "/_stcore/health"


@command("demo")
@option("host", "127.0.0.1", "address to listen at; 0.0.0.0 lets other machines in")
@option("port", "8501", "port to listen at; 0: any free one")
def demo(host: str, port: str, given: GivenSettings) -> None:
    """Show models, their scores and errors, and try them, in a browser.

    Reads the tracking store that MLFLOW_TRACKING_URI names, and changes nothing in it. Needs
    Streamlit: pip install 'ner-mlflow[demo]'. Ctrl-C ends it.
    """
    if given.texts:
        flag = given.texts[0][0].flag
        raise ConfigError(f"option {flag}: demo has no settings: leave it out")
    if find_spec("streamlit") is None:
        raise ConfigError(
            "Streamlit is not installed, which demo needs: pip install 'ner-mlflow[demo]'"
        )
    number = _free_port(host, port)
    with importing():  # `demo --help` need not wait for MLflow
        from ..tracking.lifecycle import connect, open_run
    if adopted_run():
        set_up_logging()
        with open_run(Step.DEMO, "demo"):
            _serve(host, number)
    else:
        connect(needed=True)
        _serve(host, number)


def _serve(host: str, port: int) -> None:
    """Serve the pages until Ctrl-C or SIGTERM."""
    address = f"http://{'127.0.0.1' if host in ANY_ADDRESS else host}:{port}"
    with _server(host, port) as server:
        try:
            _wait_until_it_answers(server, address)
            click.echo(f"the showcase runs until Ctrl-C\nopen next: {address}")
            server.wait()
            raise NerError(
                f"the showcase ended with status {server.returncode}: see its messages above"
            )
        except KeyboardInterrupt:  # its normal end
            return


@contextmanager
def _server(host: str, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the pages in a process of their own, and end it with the block."""
    from ..tracking.overview import ENVIRONMENT, store_uri

    environment = {**ENVIRONMENT, **os.environ, "MLFLOW_TRACKING_URI": store_uri()}
    environment.pop(RUN_VARIABLE, None)
    # Its input stays open as long as this process lives. In a session of its own it does not get
    # the terminal's Ctrl-C, so that this process alone ends it.
    server = subprocess.Popen(
        [sys.executable, "-m", "ner_mlflow.demo", host, str(port)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield server
    finally:
        server.kill()  # it only reads, so nothing is lost, and the run can end at once
        server.wait()


def _wait_until_it_answers(server: "subprocess.Popen[bytes]", address: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise NerError(
                f"the showcase ended with status {server.returncode}: see its messages above"
            )
        try:
            with urllib.request.urlopen(address + HEALTH, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise NerError(f"the showcase does not answer at {address} after {START_S} s: try again")


def _free_port(host: str, port: str) -> int:
    """Return the port to listen at.

    Raises:
        ConfigError: it is no port, it is taken, or the host is no address of this machine.
    """
    if not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"port {port!r}: give a number from 0 to 65535")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, int(port)))
            return int(probe.getsockname()[1])
    except OSError as error:
        raise ConfigError(
            f"host {host!r}, port {port}: cannot be listened at ({error.strerror or error}): "
            "give another port, or port=0"
        ) from error
