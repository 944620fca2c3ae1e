"""Find models by their address, and register proven ones."""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

from ..errors import ModelError, TrackingError
from ..exporting.hub_folder import CARD_FILE
from ..modeling.loading import is_onnx_model
from ..provenance import cache_key, file_sha256
from ..redaction import one_line
from ..tagging.tagger import TaggerSpec
from .outbox import Kind, with_store_ids
from .outbox_store import current_store
from .queries import download
from .records import Lineage, VersionOrigin, lineage_of, logged_model_uri
from .remote import asking_store, is_away
from .run import temporary_folder

log = logging.getLogger(__name__)

DESCRIPTION_LIMIT = 5000
"""Characters of a version's description that all registries store."""
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
    first_alias: str | None = None,
) -> str | None:
    """Give a proven logged model a version in the registry, once, and then the alias.

    If the store does not take the model now, it is registered when it does.

    Args:
        model_uri: the address of the logged model; a model that has a version keeps it.
        name: the name of the registered model.
        alias: the alias that the version gets; None: none.
        origin: where the model comes from, written as tags of a new version.
        describe: returns the description of a version by its address. A version that has a
            description keeps it.
        first_alias: an alias that a version that had to wait gets, unless another version has it.

    Returns:
        The version; None if it waits in the outbox.

    Raises:
        TrackingError: the registry refused.
    """
    store = current_store()
    if store is None:
        return _register(model_uri, name, alias, origin.tags(), describe)
    if store.has_everything():
        try:
            return _register(with_store_ids(model_uri), name, alias, origin.tags(), describe)
        except MlflowException as error:
            store.remote.note_away(error)
    aliased = alias or first_alias
    store.session.add(
        Kind.VERSION,
        model_uri.removeprefix("models:/"),
        name=name,
        alias=alias,
        first_alias=first_alias,
        tags=origin.tags(),
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
    name, first_alias = values["name"], values["first_alias"]
    tags, description = values["tags"], values["description"]
    uri = f"models:/{model_id}"
    version = _register(uri, name, values["alias"], tags, lambda _: description)
    client = mlflow.MlflowClient()
    if first_alias and first_alias not in client.get_registered_model(name).aliases:
        client.set_registered_model_alias(name, first_alias, version)
    log.info("%s is registered as models:/%s/%s", uri, name, version)


def _register(
    model_uri: str,
    name: str,
    alias: str | None,
    tags: Mapping[str, str],
    describe: Callable[[str], str],
) -> str:
    client = mlflow.MlflowClient()
    try:
        versions = client.search_model_versions(f"name = '{name}'")
        entry = next((version for version in versions if version.source == model_uri), None)
        if entry is None:
            with asking_store():
                entry = mlflow.register_model(model_uri, name, tags=dict(tags))
        if not entry.description:  # also if the process that made it died before
            description = describe(f"models:/{name}/{entry.version}")
            client.update_model_version(name, entry.version, description=description)
        if alias:
            client.set_registered_model_alias(name, alias, entry.version)
    except MlflowException as error:
        if is_away(error):
            raise
        raise TrackingError(
            f"the registry does not take {name!r} ({one_line(error)}): "
            "check the name and the server"
        ) from error
    return str(entry.version)


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
