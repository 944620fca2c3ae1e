"""Keep the user and password of a tracking server out of its address."""

import logging
import os
from collections.abc import MutableMapping
from urllib.parse import unquote, urlsplit

from .adoption import adopted_run

log = logging.getLogger(__name__)

NO_LINKS = "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"
"""Variable that keeps MLflow from printing the address of a run when it ends."""
ADDRESS, USER, PASSWORD = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
)


def split_credentials(address: str) -> tuple[str, str, str]:
    """Return an address without credentials, the user and the password; both may be empty."""
    user_and_password, at, _ = urlsplit(address).netloc.rpartition("@")
    if not at:
        return address, "", ""
    user, _, password = user_and_password.partition(":")
    return address.replace(f"{user_and_password}@", "", 1), unquote(user), unquote(password)


def basic_credentials() -> tuple[str, str] | None:
    """Return the user and password that MLflow sends to its server, None without them."""
    user, password = os.environ.get(USER, ""), os.environ.get(PASSWORD, "")
    return (user, password) if user and password else None


def move_credentials(environment: MutableMapping[str, str] | None = None) -> None:
    """Move user and password from a server's address to the variables that MLflow has for them.

    MLflow prints the address of its server, and quotes it in errors and warnings. A command calls
    this before it uses MLflow. Databases stay as they are: MLflow does not print their addresses.

    Args:
        environment: the environment variables; None: those of this process.
    """
    variables = os.environ if environment is None else environment
    address, user, password = split_credentials(variables.get(ADDRESS, ""))
    if not address.startswith(("http://", "https://")) or not (user or password):
        return
    if user and password:  # MLflow takes both or none
        variables.update({ADDRESS: address, USER: user, PASSWORD: password})
    else:
        variables[NO_LINKS] = "true"
    if adopted_run():
        log.warning(
            "%s holds a secret, which `mlflow run` itself prints: set %s and %s instead",
            ADDRESS,
            USER,
            PASSWORD,
        )
