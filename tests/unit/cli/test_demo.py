"""The command `demo` refuses in one line what cannot work, before anything starts."""

import importlib.util
from socket import create_server

import pytest

from ner_mlflow.cli import demo as module
from ner_mlflow.cli.demo import demo


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        demo(list(arguments))
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_without_the_extra_the_way_out_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        module, "find_spec", lambda name: None if name == "streamlit" else find_spec(name)
    )
    assert "pip install 'ner-mlflow[demo]'" in refused(capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "http"], "port 'http': give a number from 0 to 65535"),
        (["--port", "70000"], "port '70000': give a number"),
        (["--host", "203.0.113.1"], "host '203.0.113.1', port 8501: cannot be listened at"),
        (["--train.epochs", "3"], "option --train.epochs: demo has no settings"),
    ],
)
def test_what_cannot_be_served_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message in refused(capsys, *arguments)


def test_a_port_that_is_taken_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        error = refused(capsys, "--port", port)
    assert f"host '127.0.0.1', port {port}: cannot be listened at" in error
    assert "give another port, or port=0" in error


def test_a_server_that_does_not_answer_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:geheim123@127.0.0.1:9")
    error = refused(capsys, "--port", "0")
    assert "does not answer" in error
    assert "geheim123" not in error
