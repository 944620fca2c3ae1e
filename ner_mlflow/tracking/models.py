"""Find models by their address, and register proven ones."""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from ..errors import ModelError, TrackingError
from ..exporting.hub_folder import CARD_FILE
from ..modeling.loading import is_onnx_model
from ..provenance import cache_key, file_sha256
from ..redaction import one_line
from ..tagging.tagger import TaggerSpec
from .delivery import CLIENT_ID_TAG, MODEL_MARK
from .outbox import Kind, with_store_ids
from .outbox_store import current_store
from .queries import download
from .records import Lineage, VersionOrigin, lineage_of, logged_model_uri
from .registry import check_not_promoted_alias, finish_moves
from .registry_lock import lock_model
from .registry_notes import split_notes, with_text
from .remote import StoreAwayError, asking_store, is_away
from .run import temporary_folder

log = logging.getLogger(__name__)

CARD_LIMIT = 3500
"""Characters of a model card in a version's description; promotions add lines."""


@dataclass(frozen=True)
class FoundModel:
    """A model on this disk.

    ``folder`` holds its ``ner_model.json``; ``address`` is where it was found; ``model_id`` and
    ``run_id`` name the logged model and the run that it came from, where it has these.
    """

    folder: Path
    address: str
    model_id: str | None = None
    run_id: str | None = None

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 (hex) of the names and contents of its files."""
        return cache_key(
            f"{path.name} {file_sha256(path)}"
            for path in sorted(self.folder.iterdir())
            if path.is_file()
        )

    @cached_property
    def lineage(self) -> Lineage:
        """The training that it comes from, as far as its run is known."""
        of_run = self.address.startswith("runs:/")
        return lineage_of(self.run_id, self.folder.name if of_run and self.is_onnx else "")

    @cached_property
    def identity(self) -> str:
        """What names a logged model for good; the address of any other.

        It is the id that its machine gave it. The store gives another one to a model that it gets
        later.
        """
        if self.model_id is None:
            return self.address
        tags = mlflow.MlflowClient().get_logged_model(self.model_id).tags
        return str(tags.get(CLIENT_ID_TAG) or self.model_id.removeprefix(MODEL_MARK))

    @property
    def is_onnx(self) -> bool:
        """True for an exported model, false for a PyTorch one."""
        return is_onnx_model(self.folder)


def find_model(address: str) -> FoundModel:
    """Return the model at a run id, ``runs:/ID[/PATH]``, ``models:/...`` or a folder.

    Raises:
        TrackingError: there is no such run or model.
        ModelError: it is not a model of this platform.
    """
    if Path(address).is_dir():
        return FoundModel(_model_folder(Path(address)), address)
    uri = address
    if re.fullmatch(r"[0-9a-f]{32}", address) or re.fullmatch(r"runs:/[0-9a-f]{32}/?", address):
        uri = logged_model_uri(address.removeprefix("runs:/").rstrip("/"))
    elif not address.startswith(("runs:/", "models:/")):
        raise ModelError(
            f"model {address!r} is neither a folder that exists, nor a run id, runs:/ID or "
            "models:/NAME@ALIAS: give one of these"
        )
    folder = _model_folder(download(uri))
    if uri.startswith("runs:/"):  # files of a run, such as a variant, are not a logged model
        return FoundModel(folder, uri, run_id=uri.removeprefix("runs:/").partition("/")[0])
    info = mlflow.models.get_model_info(uri)
    return FoundModel(folder, uri, info.model_id, info.run_id)


def register(
    model_uri: str,
    name: str,
    alias: str | None,
    origin: VersionOrigin,
    describe: Callable[[str], str],
    timeout_s: float = 60.0,
    first_alias: str | None = None,
) -> str | None:
    """Give a proven logged model a version in the registry, once, and then the alias.

    Of processes that register one model at the same time, one makes the version. A process that
    comes after one that was killed does what that one left undone. If the store does not take the
    model now, it is registered when it does.

    Args:
        model_uri: the address of the logged model; a model that has a version keeps it.
        name: the name of the registered model.
        alias: the alias that the version gets; None: none.
        origin: where the model comes from, written as tags of a new version.
        describe: returns the description of a version by its address. A version that has a
            description keeps it.
        timeout_s: seconds to wait for other processes that change this registered model.
        first_alias: an alias that a version that had to wait gets, unless another version has it.

    Returns:
        The version; None if it waits in the outbox.

    Raises:
        TrackingError: the registry refused, another process held the model's lock for too long, or
            the alias is one that only promotions move.
    """
    store = current_store()
    uri, tags = with_store_ids(model_uri), origin.tags()
    if store is None:
        return _register(uri, name, alias, tags, describe, timeout_s)
    if store.has_everything():
        try:
            return _register(uri, name, alias, tags, describe, timeout_s)
        except (MlflowException, StoreAwayError) as error:
            store.remote.note_away(error)
    aliased = alias or first_alias
    store.session.add(
        Kind.VERSION,
        model_uri.removeprefix("models:/"),
        name=name,
        alias=alias,
        first_alias=first_alias,
        tags=tags,
        timeout_s=timeout_s,
        description=describe(f"models:/{name}@{aliased}" if aliased else f"models:/{name}"),
    )
    log.warning("%s will be registered as %s when the tracking store takes it", model_uri, name)
    return None


def register_waiting(model_id: str, values: Mapping[str, Any]) -> None:
    """Register a model that waited in an outbox.

    Args:
        model_id: the id of the logged model.
        values: the payload of the operation that :func:`register` wrote.
    """
    name, description = values["name"], values["description"]
    uri = f"models:/{model_id}"
    version = _register(
        uri,
        name,
        values["alias"],
        values["tags"],
        lambda _: description,
        values["timeout_s"],
        values["first_alias"],
    )
    log.info("%s is registered as models:/%s/%s", uri, name, version)


def _register(
    model_uri: str,
    name: str,
    alias: str | None,
    tags: Mapping[str, str],
    describe: Callable[[str], str],
    timeout_s: float,
    first_alias: str | None = None,
) -> str:
    client = mlflow.MlflowClient()
    try:
        _create_registered_model(name)
        with lock_model(name, timeout_s):
            finish_moves(name)
            version = _first_version(name, model_uri)
            if version is None:
                with asking_store():
                    made = client.create_model_version(
                        name,
                        model_uri,
                        tags=dict(tags),
                        model_id=model_uri.removeprefix("models:/"),
                    )
                version = str(_first_version(name, model_uri))
                if version != str(made.version):  # a slow registry outlasted the lock
                    client.delete_model_version(name, made.version)
            _link_model(model_uri, name, version)
            entry = client.get_model_version(name, version)
            if not split_notes(entry.description or "")[0]:
                text = describe(f"models:/{name}/{version}")
                before = client.get_model_version(name, version).description or ""
                client.update_model_version(name, version, with_text(before, text))
            if alias:
                check_not_promoted_alias(name, alias)
                client.set_registered_model_alias(name, alias, version)
            if first_alias and first_alias not in client.get_registered_model(name).aliases:
                client.set_registered_model_alias(name, first_alias, version)
    except MlflowException as error:
        if is_away(error):
            raise
        raise TrackingError(
            f"the registry does not take {name!r} ({one_line(error)}): "
            "check the name and the server"
        ) from error
    return version


def _create_registered_model(name: str) -> None:
    client = mlflow.MlflowClient()
    if not client.search_registered_models(f"name = '{name}'", max_results=1):
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise


def _first_version(name: str, model_uri: str) -> str | None:
    """Return the first version of a logged model, None if it has none."""
    versions = mlflow.MlflowClient().search_model_versions(f"name = '{name}'")
    numbers = [int(version.version) for version in versions if version.source == model_uri]
    return str(min(numbers)) if numbers else None


def _link_model(model_uri: str, name: str, version: str) -> None:
    """Note a version on its logged model, where MLflow's UI looks for it."""
    client = mlflow.MlflowClient()
    model = client.get_logged_model(model_uri.removeprefix("models:/"))
    links = json.loads(model.tags.get(MLFLOW_MODEL_VERSIONS) or "[]")
    link = {"name": name, "version": int(version)}
    if not any((old["name"], str(old["version"])) == (name, version) for old in links):
        tags = {MLFLOW_MODEL_VERSIONS: json.dumps([*links, link])}
        client.set_logged_model_tags(model.model_id, tags)


def add_model_card(model_uri: str, text: str) -> None:
    """Store a model card with a logged model, as ``README.md``.

    Args:
        model_uri: ``models:/<id>``.
        text: the card.
    """
    with temporary_folder() as folder:
        path = folder / CARD_FILE
        path.write_text(text, encoding="utf-8")
        mlflow.MlflowClient().log_model_artifact(model_uri.removeprefix("models:/"), str(path))


def check_registered_name(name: str, alias: str | None) -> None:
    """Check that the registry takes a name and an alias, before any work.

    Raises:
        TrackingError: the name or the alias cannot be used.
    """
    if not name or set(name) & set("/:.%\"'"):
        raise TrackingError(
            f"registered_model {name!r}: must be a name without / : . % and quotation marks"
        )
    if alias and (
        alias == "latest" or re.fullmatch(r"v\d+", alias) or not re.fullmatch(r"[\w-]+", alias)
    ):
        raise TrackingError(
            f"alias {alias!r}: must be letters, digits, - and _, and neither 'latest' nor like "
            "'v1': choose for example champion"
        )


def _model_folder(path: Path) -> Path:
    for candidate in (
        path,
        path / "model",
        path / "artifacts" / "model",
        *sorted(path.glob("artifacts/*")),
    ):
        if (candidate / TaggerSpec.FILE).is_file():
            return candidate
    raise ModelError(
        f"{path}: no {TaggerSpec.FILE}, so not a model of this platform: "
        "give a train or export run, or a model that it logged"
    )
