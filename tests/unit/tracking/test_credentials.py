"""User and password leave the address of a tracking server for MLflow's variables."""

import logging
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.tracking.credentials import (
    ADDRESS,
    NO_LINKS,
    PASSWORD,
    USER,
    basic_credentials,
    move_credentials,
    split_credentials,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(TEXT, TEXT)
def test_user_and_password_move_whatever_they_are(user: str, password: str) -> None:
    address = f"https://{quote(user, safe='')}:{quote(password, safe='')}@host:5000/path"
    variables = {ADDRESS: address}
    move_credentials(variables)
    assert variables == {ADDRESS: "https://host:5000/path", USER: user, PASSWORD: password}


@pytest.mark.parametrize(
    "address",
    ["", "http://127.0.0.1:5000", "sqlite:////a/b@c.db", "postgresql://me:hunter2@host/db"],
)
def test_other_addresses_stay(address: str) -> None:
    variables = {ADDRESS: address}
    move_credentials(variables)
    assert variables == {ADDRESS: address}


def test_a_token_without_a_password_keeps_mlflow_from_printing_the_address() -> None:
    variables = {ADDRESS: "https://token@host"}
    move_credentials(variables)
    assert variables == {ADDRESS: "https://token@host", NO_LINKS: "true"}
    assert split_credentials("https://token@host/x@y") == ("https://host/x@y", "token", "")


def test_the_user_of_mlflow_run_is_told_what_mlflow_prints(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with caplog.at_level(logging.WARNING):
        move_credentials({ADDRESS: "https://me:hunter2@host"})
    assert caplog.messages == [
        "MLFLOW_TRACKING_URI holds a secret, which `mlflow run` itself prints: "
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
    ]


def test_credentials_are_both_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(USER, "me")
    monkeypatch.delenv(PASSWORD, raising=False)
    assert basic_credentials() is None
    monkeypatch.setenv(PASSWORD, "hunter2")
    assert basic_credentials() == ("me", "hunter2")
