"""Back up the server: the databases, then the artifacts. It may run while the server does.

usage: python -m deploy.backup [--keep N]

The order is what makes a backup whole. Users come first, then runs and models, then artifacts:

- An object is written before the database that refers to it is read here, and nothing deletes it
  meanwhile (garbage collection waits for the same lock). So every artifact of the dump is copied.
  In the other order, a model logged between the two would be in the dump without its files.
- An experiment that was made between the two dumps has no grants in the backup, so only an
  administrator can read it. In the other order, a grant would wait for an experiment whose number
  the restored database gives to another one.
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .common import (
    TRACKING_DATABASE,
    USERS_DATABASE,
    DeployError,
    backup_folder,
    connect,
    exclusive,
    run_command,
    run_program,
)
from .objects import ObjectStore, StoredObject, back_up

POOL = "contents"
"""The folder of the artifacts' contents, which all backups share."""
MANIFEST = "backup.json"
ORDER = (USERS_DATABASE, TRACKING_DATABASE)
"""The databases in the order of their dumps."""


@dataclass(frozen=True)
class Backup:
    """A backup that was completed.

    Attributes:
        folder: its folder; the name is the time of its start in UTC.
        mlflow: the version of MLflow that made it.
        dumps: database -> SHA-256 of its dump.
        objects: the artifacts, or None if it holds the databases only.
    """

    folder: Path
    mlflow: str
    dumps: Mapping[str, str]
    objects: list[StoredObject] | None

    def dump(self, database: str) -> Path:
        """Return the file of a database's dump."""
        return self.folder / f"{database}.dump"


def make_backup(databases_only: bool = False) -> Backup:
    """Back up the databases, and the artifacts unless told not to.

    Returns:
        The backup. Its folder appears only when it is whole.

    Raises:
        DeployError: a part cannot be read or written.
    """
    root = backup_folder()
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    name = f"{now}-databases" if databases_only else now
    part = root / f".part-{name}"
    for old in root.glob(".part-*"):  # a backup that was killed; the lock is ours
        shutil.rmtree(old)
    if (root / name).exists():
        raise DeployError(f"backup {root / name} exists: wait a second")
    part.mkdir(mode=0o700)
    dumps = {}
    for database in ORDER:
        with connect(database):  # a clearer error than pg_dump's
            file = part / f"{database}.dump"
        run_program(
            "pg_dump", "--format=custom", "--no-owner", "--no-acl", f"--file={file}", database
        )
        dumps[database] = file_sha256(file)
    objects = None
    if not databases_only:
        pool = root / POOL
        pool.mkdir(exist_ok=True, mode=0o700)
        for old in pool.glob(".part-*"):
            old.unlink()
        whole = [backup.objects for backup in backups() if backup.objects is not None]
        earlier = {entry.key: entry for entry in whole[-1]} if whole else {}
        objects = list(back_up(ObjectStore(), pool, earlier))
    manifest: dict[str, Any] = {
        "mlflow": version("mlflow"),
        "dumps": dumps,
        "objects": None if objects is None else [entry.as_json() for entry in objects],
    }
    (part / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    part.rename(root / name)
    return read_backup(root / name)


def read_backup(folder: Path) -> Backup:
    """Return a backup by its folder.

    Raises:
        DeployError: there is none.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        objects = manifest["objects"]
        return Backup(
            folder,
            manifest["mlflow"],
            manifest["dumps"],
            None if objects is None else [StoredObject(**entry) for entry in objects],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeployError(
            f"{folder} is no whole backup ({type(error).__name__}): remove it, or name another one"
        ) from error


def backups() -> list[Backup]:
    """Return all backups, the oldest first."""
    return [read_backup(file.parent) for file in sorted(backup_folder().glob(f"*/{MANIFEST}"))]


def remove_old(keep: int) -> list[Path]:
    """Remove all but the newest whole backups, and contents that none refers to.

    Backups of the databases only, which `deploy.upgrade` makes, stay.

    Returns:
        The folders that were removed.
    """
    root = backup_folder()
    whole = [backup for backup in backups() if backup.objects is not None]
    removed = [backup.folder for backup in whole[: max(len(whole) - keep, 0)]]
    for folder in removed:
        shutil.rmtree(folder)
    used = {entry.sha256 for backup in backups() for entry in backup.objects or ()}
    for file in (root / POOL).glob("??/*"):
        if file.name not in used:
            file.unlink()
    return removed


def file_sha256(path: Path) -> str:
    """Return the SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    """Make a backup and remove the oldest ones."""
    parser = argparse.ArgumentParser(prog="python -m deploy.backup", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--keep", type=int, default=14, help="backups to keep (default: 14)")
    arguments = parser.parse_args()
    if arguments.keep < 1:
        raise DeployError(f"--keep {arguments.keep} would leave no backup: give 1 or more")
    with exclusive():
        backup = make_backup()
        removed = remove_old(arguments.keep)
    size_mb = sum(entry.size_bytes for entry in backup.objects or ()) / 1e6
    print(
        f"backup {backup.folder}: {len(ORDER)} databases, {len(backup.objects or ())} artifacts, "
        f"{size_mb:.1f} MB; {len(removed)} old ones removed"
    )


if __name__ == "__main__":
    run_command(main)
