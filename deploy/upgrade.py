"""Bring the databases to the installed MLflow's schema. The server must be stopped.

usage: python -m deploy.upgrade

Both databases are backed up first. If a step fails, they are restored at once. To go back later,
install the earlier requirements and run the command that the last line of the output names.
"""

import sys
from importlib.metadata import version

from .backup import make_backup
from .common import (
    TRACKING_DATABASE,
    USERS_DATABASE,
    DeployError,
    assert_server_is_stopped,
    database_url,
    exclusive,
    run_command,
    run_program,
)
from .restore import restore_databases

STEPS = (
    ("mlflow", "db", "upgrade", database_url(TRACKING_DATABASE)),
    ("mlflow.server.auth", "db", "upgrade", "--url", database_url(USERS_DATABASE)),
)
"""The modules that migrate the two databases, with their arguments."""


def main() -> None:
    """Upgrade both databases, or leave them as they are."""
    if sys.argv[1:]:
        sys.exit((__doc__ or "").split("\n\n")[1])
    with exclusive():
        assert_server_is_stopped()
        backup = make_backup(databases_only=True)
        try:
            for module, *arguments in STEPS:
                run_program(sys.executable, "-m", module, *arguments)
        except DeployError as error:
            restore_databases(backup)
            raise DeployError(
                f"{error}: both databases are as they were before: start the server with the "
                "earlier requirements"
            ) from error
    print(
        f"both databases fit MLflow {version('mlflow')}; the way back: python -m deploy.restore "
        f"{backup.folder.name} --databases-only --replace"
    )


if __name__ == "__main__":
    run_command(main)
