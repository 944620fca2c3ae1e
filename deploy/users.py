"""Add, change and remove users of the server. It must run; the account is that of admin.env.

usage: python -m deploy.users add NAME --role ROLE
       python -m deploy.users role NAME --role ROLE
       python -m deploy.users password NAME
       python -m deploy.users remove NAME
       python -m deploy.users list

`add` and `password` print a new password once. Whoever makes an experiment or a model owns it.
"""

import argparse
import secrets
from collections.abc import Mapping

import requests
from mlflow.exceptions import MlflowException
from mlflow.server.auth.client import AuthServiceClient
from mlflow.server.auth.entities import Role

from .common import DeployError, run_command, setting

WORKSPACE = "default"
"""MLflow's workspace, whose experiments and models the roles are about."""
ROLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "reader": (("experiment", "READ"), ("registered_model", "READ")),
    "member": (
        ("workspace", "USE"),
        ("experiment", "READ"),
        ("registered_model", "READ"),
    ),
    "maintainer": (
        ("workspace", "USE"),
        ("experiment", "EDIT"),
        ("registered_model", "EDIT"),
    ),
}
"""Role -> what it may do with all resources of a type.

A reader reads. A member also makes experiments and models, and owns these. A maintainer also writes
to those of others: logs runs, registers versions, moves aliases.
"""


def role_of(client: AuthServiceClient, name: str) -> Role:
    """Return a role, which is made if the server does not have it yet."""
    for role in client.list_roles(WORKSPACE):
        if role.name == name:
            return role
    role = client.create_role(WORKSPACE, name)
    for resource, permission in ROLES[name]:
        client.add_role_permission(role.id, resource, "*", permission)
    return role


def set_role(client: AuthServiceClient, user: str, name: str) -> None:
    """Give a user one of the roles, and take the others away."""
    role = role_of(client, name)
    held = client.list_user_roles(user)
    for other in held:
        if other.name in ROLES and other.id != role.id:
            client.unassign_role(user, other.id)
    if role.id not in [other.id for other in held]:
        client.assign_role(user, role.id)


def list_users(client: AuthServiceClient) -> list[tuple[str, str]]:
    """Return the name and the roles of each user."""
    address = setting("MLFLOW_TRACKING_URI").rstrip("/")
    account = (setting("MLFLOW_TRACKING_USERNAME"), setting("MLFLOW_TRACKING_PASSWORD"))
    answer = requests.get(f"{address}/api/2.0/mlflow/users/list", auth=account, timeout=30)
    answer.raise_for_status()
    rows = []
    for user in answer.json()["users"]:
        roles = [role.name for role in client.list_user_roles(user["username"])]
        administrator = ["administrator"] if user["is_admin"] else []
        rows.append((user["username"], ", ".join(administrator + roles) or "no role"))
    return rows


def main() -> None:
    """Carry out a command about users."""
    parser = argparse.ArgumentParser(prog="python -m deploy.users", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("add", "role", "password", "remove"):
        commands.add_parser(command).add_argument("name")
    for command in ("add", "role"):
        commands.choices[command].add_argument("--role", choices=ROLES, required=True)
    commands.add_parser("list")
    arguments = parser.parse_args()
    address = setting("MLFLOW_TRACKING_URI")
    setting("MLFLOW_TRACKING_USERNAME")
    setting("MLFLOW_TRACKING_PASSWORD")
    client = AuthServiceClient(address)
    try:
        if arguments.command == "add":
            password = secrets.token_urlsafe(15)
            client.create_user(arguments.name, password)
            set_role(client, arguments.name, arguments.role)
            print(f"{arguments.name} is a {arguments.role}; password: {password}")
        elif arguments.command == "role":
            set_role(client, arguments.name, arguments.role)
            print(f"{arguments.name} is a {arguments.role}")
        elif arguments.command == "password":
            password = secrets.token_urlsafe(15)
            client.update_user_password(arguments.name, password)
            print(f"{arguments.name} has a new password: {password}")
        elif arguments.command == "remove":
            client.delete_user(arguments.name)
            print(f"{arguments.name} is removed")
        else:
            for name, roles in list_users(client):
                print(f"{name}: {roles}")
    except (MlflowException, requests.RequestException) as error:
        reason = " ".join(str(error).split())
        raise DeployError(f"{address} refuses ({reason}): check admin.env and the name") from error


if __name__ == "__main__":
    run_command(main)
