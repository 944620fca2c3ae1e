"""Passwords and keys are removed from addresses and texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.redaction import one_line, redact, redact_address


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:secret@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql://me:se/cr@et@host/db", "postgresql://me:***@host/db"),
        ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
        (
            "postgresql://me@host/db?password=secret&sslmode=require",
            "postgresql://me@host/db?password=***&sslmode=require",
        ),
        ("https://me:secret@host/mlflow", "https://me:***@host/mlflow"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("sqlite", "sqlite"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str) -> None:
    assert redact_address(address) == shown


@given(
    st.text(
        st.characters(
            exclude_characters="\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029", exclude_categories=["Cs"]
        ),
        min_size=4,
    )
)
def test_any_password_is_hidden(secret: str) -> None:
    address = f"postgresql://me:{secret}@host/db"
    assert redact_address(address) == "postgresql://me:***@host/db"


def test_an_error_that_quotes_the_address_does_not_quote_the_password() -> None:
    address = "postgresql://me:se%2Fcret@host/db"
    assert (
        redact(f"cannot parse {address}; password se/cret refused", address)
        == "cannot parse postgresql://me:***@host/db; password *** refused"
    )


def test_an_error_that_quotes_any_address_is_one_line_without_its_password() -> None:
    error = OSError(
        "GET https://me:hunter2@host/mlflow\n failed; see postgresql://x:y%40z@db/1?password=p"
    )
    assert (
        one_line(error)
        == "GET https://me:***@host/mlflow failed; see postgresql://x:***@db/1?password=***"
    )


def test_secrets_in_environment_variables_are_removed_from_any_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "correct horse")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-123456")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:battery@host")
    assert (
        redact("login me/battery, key sk-123456 or 'correct horse'")
        == "login me/***, key *** or '***'"
    )
