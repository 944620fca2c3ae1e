"""Register proven models, now or when the store is back."""

import logging
import re
from collections.abc import Callable

import mlflow
from mlflow.exceptions import MlflowException

from ..errors import TrackingError
from ..exporting.hub_folder import CARD_FILE
from .outbox import Kind, with_store_ids
from .outbox_store import current_store
from .records import VersionOrigin
from .remote import StoreAwayError
from .run import temporary_folder
from .versions import add_version

log = logging.getLogger(__name__)

CARD_LIMIT = 3500
"""Characters of a model card in a version's description; promotions add lines."""


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
        return add_version(uri, name, alias, tags, describe, timeout_s)
    if store.has_everything():
        try:
            return add_version(uri, name, alias, tags, describe, timeout_s)
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
