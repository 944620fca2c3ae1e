"""A team's server as deploy/ starts it: PostgreSQL, an S3 server, and `deploy/serve`."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import psycopg
from conftest import ROOT, Completed, free_port, run_postgresql

PAGE = ROOT / "docs" / "team-server.md"
SECRETS = {
    "PGPASSWORD": "planted-database-password",
    "AWS_SECRET_ACCESS_KEY": "planted-object-store-key",
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "planted-form-key",
    "MLFLOW_AUTH_ADMIN_PASSWORD": "planted-administrator-password",
}
"""Variable -> a value that must appear nowhere but in the environment."""


def page_command(module: str) -> list[str]:
    """Return the words after `python` of the page's first command that runs a module of deploy/."""
    match = re.search(rf"^(?:.* )?python (-m {module}\b.*)$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert match, f"{PAGE.name} has no command with {module}"
    return match[1].split()


@dataclass
class TeamServer:
    """A machine with the databases, the object store and the settings of server.env.

    Attributes:
        folder: the working folder; logs are in it.
        env: the variables of server.env and admin.env.
    """

    folder: Path
    env: dict[str, str]
    _server: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @property
    def address(self) -> str:
        """The address of the server on its machine."""
        return self.env["MLFLOW_TRACKING_URI"]

    @property
    def administrator(self) -> tuple[str, str]:
        """The administrator's name and password."""
        return self.env["MLFLOW_TRACKING_USERNAME"], self.env["MLFLOW_TRACKING_PASSWORD"]

    def environment(self) -> dict[str, str]:
        """Return the environment of the machine's commands."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**inherited, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true", **self.env}

    def run(self, *words: str) -> Completed:
        """Run ``python WORDS`` on the machine."""
        return subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def start(self) -> None:
        """Start `deploy/serve` and wait until it is healthy."""
        with (self.folder / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                [ROOT / "deploy" / "serve"],
                cwd=self.folder,
                env=self.environment(),
                stdout=log,
                stderr=log,
            )
        done = self.run("-m", "deploy.check", "--wait", "120")
        assert done.returncode == 0, done.stderr + self.log()

    def stop(self) -> None:
        """End the server."""
        if self._server:
            self._server.terminate()
            self._server.wait(120)  # it ends its workers first
            self._server = None

    def log(self) -> str:
        """Return what the server printed."""
        return (self.folder / "server.log").read_text("utf-8", "replace")

    def query(self, database: str, statement: str) -> list[tuple[object, ...]]:
        """Return the rows of a statement."""
        place = {"host": self.env["PGHOST"], "port": self.env["PGPORT"], "user": "mlflow"}
        with psycopg.connect(dbname=database, autocommit=True, **place) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def object_keys(self) -> set[str]:
        """Return the keys of all objects."""
        pages = s3(self.env).get_paginator("list_objects_v2").paginate(Bucket="mlflow")
        return {entry["Key"] for page in pages for entry in page.get("Contents", [])}


def s3(env: dict[str, str]) -> "boto3.client":
    """Return a client of the object store of a machine."""
    return boto3.client(
        "s3",
        endpoint_url=env["MLFLOW_S3_ENDPOINT_URL"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        region_name=env["AWS_DEFAULT_REGION"],
    )


@contextmanager
def run_s3(folder: Path) -> Iterator[str]:
    """Start an S3 server in memory, yield its address, and end it."""
    port = free_port()
    with (folder / "s3.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=log,
            stderr=log,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/moto-api/", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "s3.log").read_text()
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def team_server(folder: Path, backups: Path) -> Iterator[TeamServer]:
    """Prepare a machine: a role and two empty databases, and an empty bucket.

    Args:
        folder: the working folder.
        backups: the folder of backups, which outlives the machine.
    """
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        database = stack.enter_context(run_postgresql())
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute("create role mlflow login")
            connection.execute("create database mlflow owner mlflow")
            connection.execute((ROOT / "deploy" / "create_users_database.sql").read_bytes())
        port = free_port()
        env = {
            **SECRETS,
            "TRACKING_HOST": "mlflow.example.org",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(database.port),
            "PGUSER": "mlflow",
            "MLFLOW_ARTIFACTS_DESTINATION": "s3://mlflow/artifacts",
            "MLFLOW_S3_ENDPOINT_URL": stack.enter_context(run_s3(folder)),
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "mlflow",
            "BACKUP_FOLDER": str(backups),
            "MLFLOW_PORT": str(port),
            "MLFLOW_WORKERS": "1",
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}",
            "MLFLOW_TRACKING_USERNAME": "admin",
            "MLFLOW_TRACKING_PASSWORD": SECRETS["MLFLOW_AUTH_ADMIN_PASSWORD"],
        }
        s3(env).create_bucket(Bucket="mlflow")
        machine = TeamServer(folder, env)
        stack.callback(machine.stop)
        yield machine


def process_lines() -> str:
    """Return the command lines of all processes, as `ps` shows them to every user."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(file.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:  # it ended meanwhile
            continue
    return "\n".join(lines)


def dumped(value: object) -> str:
    """Return a value as JSON with sorted keys."""
    return json.dumps(value, sort_keys=True, indent=1, default=str)
