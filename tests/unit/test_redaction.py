"""Passwords and keys are removed from addresses and texts."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.redaction import (
    keep_secret,
    one_line,
    redact,
    redact_address,
    redact_likely_secrets,
    redact_values,
)


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
        ("https://token@host/v1", "https://***@host/v1"),
        ("https://host/v1?api-key=secret&v=2", "https://host/v1?api-key=***&v=2"),
        ("https://host/v1?v=2&key=secret", "https://host/v1?v=2&key=***"),
        ("https://host/v1?X-Amz-Signature=secret", "https://host/v1?X-Amz-Signature=***"),
        ("https://host/v1?monkey=1&max_tokens=2", "https://host/v1?monkey=1&max_tokens=2"),
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


def test_secrets_that_a_process_got_to_know_are_removed_from_any_text() -> None:
    keep_secret("of-no-known-form")
    keep_secret("short")
    assert redact("of-no-known-form, short") == "***, short"


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=4).filter(
        lambda secret: "***" not in secret and secret not in "password endpoint https host"
    )
)
def test_no_quotation_in_yaml_hides_a_password_from_redaction(secret: str) -> None:
    values = {"prompt": {"base_url": [f"https://me:{secret}@host/v1"], "n": 1, "empty": None}}
    assert redact_values(values) == {
        "prompt": {"base_url": ["https://me:***@host/v1"], "n": 1, "empty": None}
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("export AWS_SECRET_ACCESS_KEY=wJalr/K7 next", "export AWS_SECRET_ACCESS_KEY=*** next"),
        ("password: hunter2", "password: ***"),
        ("**Password**: hunter2", "**Password**: ***"),
        ("Server=x; Password=a,b; Port=1", "Server=x; Password=*** Port=1"),
        ("{'passwd': 'a b', 'user': 'me'}", "{'passwd': ***, 'user': 'me'}"),
        ('"apiKey" : "x1", "n": 1', '"apiKey" : ***, "n": 1'),
        ('secret = "cut off', "secret = ***"),
        ("<token>abc</token>", "<token>***"),
        ("config['secret_key'] = 'x'", "config['secret_key'] = ***"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("sent Bearer abcdefgh.ijk", "sent Bearer ***"),
        ("mysql --password hunter2 -v", "mysql --password *** -v"),
        ("curl -u me:hunter2 http://x", "curl -u me:*** http://x"),
        ("id AKIAIOSFODNN7EXAMPLE", "id ***"),
        ("use ghp_0123456789abcdefABCD", "use ***"),
        ("d41d8cd98f00b204e9800998ecf8427e ok", "*** ok"),
        ("a wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY b", "a *** b"),
    ],
)
def test_what_looks_like_a_secret_in_a_quoted_text_is_replaced(text: str, shown: str) -> None:
    assert redact_likely_secrets(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "at org.apache.hadoop.FileNotFoundExceptionHandlerFactory.create(Foo.java:12)",
        "/usr/lib/x86_64-linux-gnu/python3.11/site-packages/numpy/__init__.py",
        "2021-09-08T00:21:11.596Z ERROR the queue is full: 12 of 12",
        "monkey: banana, turkey = 3",
        "the password is wrong, and the key does not turn",
        "addr 0x7fff5fbff8c0 deadbeef",
    ],
)
def test_logs_and_paths_without_secrets_stay(text: str) -> None:
    assert redact_likely_secrets(text) == text


@given(
    st.sampled_from(["password: ", "API_KEY=", "APIKEY=", "accessToken -> ", "--secret "]),
    # A value does not begin like what joins it to the word.
    st.from_regex(r"[^\s\"'=:>-][^\s\"']{0,20}", fullmatch=True).filter(
        lambda value: value.isprintable() and value.lower() not in ("basic", "bearer", "token")
    ),
)
def test_any_value_after_a_word_for_a_secret_is_replaced(words: str, secret: str) -> None:
    assert redact_likely_secrets(f"run {words}{secret} end") == f"run {words}*** end"


@pytest.mark.parametrize(
    "part", ["key", "key='", 'key="', "-key", "token.", "aA0", "-u ", "-u=", "a:"]
)
def test_the_time_to_guess_secrets_is_linear(part: str) -> None:
    start = time.process_time()
    redact_likely_secrets(part * (200_000 // len(part)))
    assert time.process_time() - start < 4
