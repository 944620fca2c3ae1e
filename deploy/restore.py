"""Restore a backup: the artifacts, then the databases. The server must be stopped.

usage: python -m deploy.restore BACKUP [--databases-only] [--replace]

BACKUP is the name of a folder in BACKUP_FOLDER, or `latest`. Everything is checked against its
SHA-256 before anything is written. Artifacts come first, so that no database ever refers to a file
that is not there; users come last, so that nobody can log in before the rest is whole. Each
database is restored in one transaction: it is as before, or as in the backup.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from .backup import ORDER, POOL, Backup, backups, file_sha256, read_backup
from .common import (
    DeployError,
    assert_server_is_stopped,
    backup_folder,
    connect,
    exclusive,
    run_command,
    run_program,
)
from .objects import ObjectStore, pool_file

EMPTY = """
do $$
declare name text;
begin
  for name in select tablename from pg_tables where schemaname = 'public' loop
    execute format('drop table public.%I cascade', name);
  end loop;
  for name in select oid::regprocedure from pg_proc where pronamespace = 'public'::regnamespace loop
    execute format('drop routine %s cascade', name);
  end loop;
end $$;
"""
"""Drops what MLflow's migrations make: tables, with their indexes, sequences and triggers, and
functions."""


def find_backup(name: str, databases_only: bool = False) -> Backup:
    """Return a backup by its name, or the latest whole one.

    Raises:
        DeployError: there is none, or it lacks the artifacts.
    """
    if name == "latest":
        whole = [entry for entry in backups() if databases_only or entry.objects is not None]
        if not whole:
            raise DeployError(f"{backup_folder()} holds no backup: make one by deploy.backup")
        return whole[-1]
    if Path(name).name != name:
        raise DeployError(f"backup {name!r} is not the name of a folder in {backup_folder()}")
    backup = read_backup(backup_folder() / name)
    if backup.objects is None and not databases_only:
        raise DeployError(f"backup {name} holds the databases only: add --databases-only")
    return backup


def check_backup(backup: Backup, databases_only: bool) -> None:
    """Check the content of a backup.

    Raises:
        DeployError: a file is missing or differs.
    """
    files = {backup.dump(database): sha256 for database, sha256 in backup.dumps.items()}
    if not databases_only:
        pool = backup_folder() / POOL
        files |= {pool_file(pool, entry.sha256): entry.sha256 for entry in backup.objects or ()}
    for path, sha256 in files.items():
        if not path.is_file() or file_sha256(path) != sha256:
            state = "differs from its SHA-256" if path.is_file() else "is missing"
            raise DeployError(f"{path} {state}: restore an earlier backup, or another copy of it")


def restore_databases(backup: Backup) -> None:
    """Replace both databases by those of a backup, each in one transaction.

    Raises:
        DeployError: a database refuses; it is as it was before.
    """
    for database in reversed(ORDER):
        # By way of a file: a pipe that broke would look like the end of the dump.
        with TemporaryDirectory(dir=backup_folder(), prefix=".restore-") as folder:
            script = f"{folder}/restore.sql"
            dump = str(backup.dump(database))
            run_program("pg_restore", "--no-owner", "--no-acl", f"--file={script}", dump)
            run_program(
                "psql",
                "--no-psqlrc",
                "--quiet",
                "--single-transaction",
                "--set=ON_ERROR_STOP=1",
                f"--dbname={database}",
                f"--command={EMPTY}",
                f"--file={script}",
            )


def assert_empty(databases_only: bool) -> None:
    """Check that a restore overwrites nothing.

    Raises:
        DeployError: a database has tables, or the object store has artifacts.
    """
    way_out = "give empty ones, or --replace to overwrite them"
    for database in ORDER:
        with connect(database) as connection:
            query = "select count(*) from pg_tables where schemaname = 'public'"
            (count,) = connection.execute(query).fetchone() or (0,)
        if count:
            raise DeployError(f"database {database} has {count} tables: {way_out}")
    if not databases_only and (count := len(ObjectStore().objects())):
        place = ObjectStore().destination
        raise DeployError(f"{place} holds {count} artifacts: {way_out}")


def main() -> None:
    """Restore a backup."""
    parser = argparse.ArgumentParser(prog="python -m deploy.restore", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("backup", help="name of the backup, or latest")
    parser.add_argument("--databases-only", action="store_true", help="leave the artifacts alone")
    parser.add_argument(
        "--replace",
        action="store_true",
        help="overwrite what is there; artifacts that the backup lacks stay",
    )
    arguments = parser.parse_args()
    databases_only = arguments.databases_only
    with exclusive():
        backup = find_backup(arguments.backup, databases_only)
        assert_server_is_stopped()
        if not arguments.replace:
            assert_empty(databases_only)
        check_backup(backup, databases_only)
        count = 0
        if not databases_only:
            store = ObjectStore()
            for entry in backup.objects or ():
                store.upload(entry.key, pool_file(backup_folder() / POOL, entry.sha256))
                count += 1
        restore_databases(backup)
    print(
        f"restored {backup.folder}: {len(ORDER)} databases, {count} artifacts; MLflow "
        f"{backup.mlflow} made it"
    )


if __name__ == "__main__":
    run_command(main)
