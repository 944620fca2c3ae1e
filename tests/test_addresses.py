"""A password is shown nowhere, wherever it stands in an address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.addresses import hide_password, without_password


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:secret@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql://me:se/cr@et@host/db", "postgresql://me:***@host/db"),
        ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
        ("postgresql://me@host/db?password=secret&sslmode=require", "postgresql://me@host/db?password=***&sslmode=require"),
        ("https://me:secret@host/mlflow", "https://me:***@host/mlflow"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("sqlite", "sqlite"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str) -> None:
    assert without_password(address) == shown


@given(st.text(st.characters(exclude_characters="\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029", exclude_categories=["Cs"]), min_size=4))
def test_whatever_the_password(secret: str) -> None:
    address = f"postgresql://me:{secret}@host/db"
    assert without_password(address) == "postgresql://me:***@host/db"


def test_an_error_that_quotes_the_address_does_not_quote_the_password() -> None:
    address = "postgresql://me:se%2Fcret@host/db"
    assert hide_password(f"cannot parse {address}; password se/cret refused", address) == "cannot parse postgresql://me:***@host/db; password *** refused"
