"""Versions of registered models, made once whatever is killed or runs beside."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from ..errors import TrackingError
from ..redaction import one_line
from .registry import check_not_promoted_alias, finish_moves
from .registry_lock import lock_model
from .registry_notes import split_notes, with_text
from .remote import ALREADY_EXISTS, asking_store, is_away

log = logging.getLogger(__name__)


def add_version(
    model_uri: str,
    name: str,
    alias: str | None,
    tags: Mapping[str, str],
    describe: Callable[[str], str],
    timeout_s: float,
    first_alias: str | None = None,
) -> str:
    """Give a logged model a version in the registry, once, and then the alias.

    The arguments are those of :func:`~ner_mlflow.tracking.registration.register`.

    Raises:
        MlflowException: the registry is away.
        TrackingError: the registry refused, another process held the model's lock for too long, or
            the alias is one that only promotions move.
    """
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


def add_waiting_version(model_id: str, values: Mapping[str, Any]) -> None:
    """Give a model that waited in an outbox its version.

    Args:
        model_id: the id of the logged model.
        values: the payload of its operation of kind ``VERSION``.
    """
    name, description = values["name"], values["description"]
    uri = f"models:/{model_id}"
    version = add_version(
        uri,
        name,
        values["alias"],
        values["tags"],
        lambda _: description,
        values["timeout_s"],
        values["first_alias"],
    )
    log.info("%s is registered as models:/%s/%s", uri, name, version)


def _create_registered_model(name: str) -> None:
    client = mlflow.MlflowClient()
    if not client.search_registered_models(f"name = '{name}'", max_results=1):
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != ALREADY_EXISTS:
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
