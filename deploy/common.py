"""What the commands share: errors of one line, settings, a lock, PostgreSQL's programs."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

TRACKING_DATABASE = "mlflow"
"""The database of runs, models and artifacts' places; `serve` names it too."""
USERS_DATABASE = "mlflow_auth"
"""The database of users and roles; `basic_auth.ini` names it too."""


class DeployError(Exception):
    """What went wrong, on one line with a way out."""


def run_command(main: Callable[[], None]) -> None:
    """Run a command's main function; a ``DeployError`` ends it with one line and status 1."""
    try:
        main()
    except DeployError as error:
        sys.exit(f"error: {error}")


def setting(name: str) -> str:
    """Return an environment variable of server.env or admin.env.

    Raises:
        DeployError: it is not set.
    """
    value = os.environ.get(name, "")
    if not value:
        raise DeployError(f"{name} is not set: give it in server.env or admin.env")
    return value


def database_url(name: str) -> str:
    """Return a database's address for SQLAlchemy; host, user and password are libpq's variables."""
    return f"postgresql+psycopg:///{name}"


def connect(database: str) -> psycopg.Connection:
    """Connect to a database.

    Raises:
        DeployError: it does not answer, or refuses the user.
    """
    try:
        return psycopg.connect(dbname=database, autocommit=True, connect_timeout=10)
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise DeployError(
            f"database {database} cannot be used ({reason}): check PGHOST, PGUSER and PGPASSWORD"
        ) from error


def assert_server_is_stopped() -> None:
    """Check that nobody else is connected to the databases.

    Raises:
        DeployError: somebody is.
    """
    for database in (TRACKING_DATABASE, USERS_DATABASE):
        with connect(database) as connection:
            query = (
                "select count(*) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
                " and usename is not null"  # autovacuum has no user
            )
            (count,) = connection.execute(query).fetchone() or (0,)
        if count:
            raise DeployError(
                f"database {database} has {count} other connections: stop the server first"
            )


def backup_folder() -> Path:
    """Return the folder of all backups, and make it if there is none.

    Raises:
        DeployError: it cannot be made.
    """
    folder = Path(setting("BACKUP_FOLDER"))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise DeployError(f"BACKUP_FOLDER={folder} cannot be made ({error.strerror})") from error
    return folder


@contextmanager
def exclusive() -> Iterator[None]:
    """Let no other backup, restore, upgrade or garbage collection run meanwhile.

    Raises:
        DeployError: one runs.
    """
    with (backup_folder() / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DeployError(
                "a backup, restore, upgrade or garbage collection runs: wait until it has ended"
            ) from error
        yield


def run_program(*command: str) -> str:
    """Run a program and return what it printed on standard output.

    Raises:
        DeployError: it is not installed, or failed; its last error says why.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise DeployError(
            f"{command[0]} is not installed: install PostgreSQL's client programs"
        ) from error
    except OSError as error:  # such as a list of names that is too long
        raise DeployError(f"{command[0]} cannot be started: {error.strerror}") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        errors = [line for line in lines if "error" in line.lower()] or lines
        raise DeployError(f"{command[0]} failed: {errors[-1]}")
    return done.stdout
