"""Is the server healthy? It answers, refuses strangers, and reaches its database.

usage: python -m deploy.check [--wait SECONDS]

A login with a wrong password must be refused (401): for that, the server has to look into its
database of users. `/health` alone does not show that users can log in.
"""

import argparse
import base64
import os
import secrets
import time
import urllib.error
import urllib.request

from .common import DeployError, run_command

TIMEOUT_S = 10


def problem(address: str) -> str:
    """Return what is wrong with the server at an address, or an empty text."""
    wrong = base64.b64encode(f"nobody:{secrets.token_hex()}".encode()).decode()
    page = f"{address}/api/2.0/mlflow/users/current"
    request = urllib.request.Request(page, headers={"Authorization": f"Basic {wrong}"})
    try:
        urllib.request.urlopen(f"{address}/health", timeout=TIMEOUT_S).close()
        urllib.request.urlopen(request, timeout=TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        return "" if error.code == 401 else f"{error.url} answers {error.code}"
    except OSError as error:
        return f"{address} does not answer ({error})"
    return "anyone may log in"


def main() -> None:
    """Check the server, and wait for it if asked to."""
    parser = argparse.ArgumentParser(prog="python -m deploy.check", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--wait", type=float, default=0, help="seconds to wait until it is healthy")
    deadline = time.monotonic() + parser.parse_args().wait
    address = f"http://127.0.0.1:{os.environ.get('MLFLOW_PORT', '5000')}"
    while found := problem(address):
        if time.monotonic() > deadline:
            raise DeployError(f"the server is not healthy: {found}: see its log")
        time.sleep(1)


if __name__ == "__main__":
    run_command(main)
