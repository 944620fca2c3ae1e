"""The artifacts' objects: listed, copied into a pool of files named by their SHA-256, and back."""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from .common import DeployError, setting

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class StoredObject:
    """An object, and where its content lies in a backup.

    Attributes:
        key: its key, without the prefix of the artifacts.
        size_bytes: its size.
        version: the store's mark of its content (entity tag) and the time of its last change.
        sha256: the hash of its content (hex), the name of the file that holds it.
    """

    key: str
    size_bytes: int
    version: str
    sha256: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return its fields."""
        return asdict(self)


class ObjectStore:
    """The bucket and prefix of ``MLFLOW_ARTIFACTS_DESTINATION``."""

    def __init__(self) -> None:
        self.destination = setting("MLFLOW_ARTIFACTS_DESTINATION")
        address = urlparse(self.destination)
        if address.scheme != "s3" or not address.netloc:
            raise DeployError(
                f"MLFLOW_ARTIFACTS_DESTINATION={self.destination} is not s3://BUCKET/PREFIX: "
                "back up another kind of store by its own tools"
            )
        self._bucket = address.netloc
        self._prefix = address.path.strip("/") + "/" if address.path.strip("/") else ""
        endpoint = os.environ.get("MLFLOW_S3_ENDPOINT_URL") or None
        self._client = boto3.client("s3", endpoint_url=endpoint)

    def objects(self) -> list[StoredObject]:
        """Return all objects below the prefix, without hashes.

        Raises:
            DeployError: the store does not answer, or refuses the key.
        """
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            return [
                StoredObject(
                    entry["Key"].removeprefix(self._prefix),
                    entry["Size"],
                    f"{entry['ETag']} {entry['LastModified'].isoformat()}",
                )
                for page in pages
                for entry in page.get("Contents", [])
            ]
        except (BotoCoreError, ClientError) as error:
            raise self._error("listed", error) from error

    def download(self, key: str, pool: Path) -> str | None:
        """Copy an object into a pool and return its SHA-256; None if there is no such object.

        Raises:
            DeployError: it cannot be read.
        """
        try:
            body = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"]
            digest = hashlib.sha256()
            with tempfile.NamedTemporaryFile(dir=pool, prefix=".part-", delete=False) as file:
                for block in body.iter_chunks(BLOCK_BYTES):
                    digest.update(block)
                    file.write(block)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise self._error("read", error, key) from error
        except BotoCoreError as error:
            raise self._error("read", error, key) from error
        target = pool_file(pool, digest.hexdigest())
        target.parent.mkdir(exist_ok=True)
        Path(file.name).rename(target)
        return digest.hexdigest()

    def upload(self, key: str, file: Path) -> None:
        """Write an object with the content of a file.

        Raises:
            DeployError: it cannot be written.
        """
        try:
            self._client.upload_file(str(file), self._bucket, self._prefix + key)
        except (BotoCoreError, ClientError, boto3.exceptions.S3UploadFailedError) as error:
            raise self._error("written", error, key) from error

    def _error(self, what: str, error: Exception, key: str = "") -> DeployError:
        reason = " ".join(str(error).split())
        place = f"{self.destination}/{key}" if key else self.destination
        return DeployError(
            f"{place} cannot be {what} ({reason}): check MLFLOW_S3_ENDPOINT_URL and the key"
        )


def pool_file(pool: Path, sha256: str) -> Path:
    """Return the file of a pool that holds a content."""
    return pool / sha256[:2] / sha256


def back_up(
    store: ObjectStore, pool: Path, earlier: Mapping[str, StoredObject]
) -> Iterator[StoredObject]:
    """Copy all objects into a pool; yield each with its hash.

    An object that did not change since an earlier backup is not read again.

    Args:
        store: where they are.
        pool: the folder of their contents.
        earlier: the objects of the backup before, by key.
    """
    for entry in store.objects():
        known = earlier.get(entry.key)
        if (
            known
            and (known.size_bytes, known.version) == (entry.size_bytes, entry.version)
            and pool_file(pool, known.sha256).is_file()
        ):
            yield known
            continue
        sha256 = store.download(entry.key, pool)
        if sha256 is None:
            print(f"{entry.key} was deleted meanwhile")
        else:
            yield StoredObject(entry.key, entry.size_bytes, entry.version, sha256)
