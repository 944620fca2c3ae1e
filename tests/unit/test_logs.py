"""Progress goes to standard error, one line each, without secrets."""

import os
import subprocess
import sys

CODE = """
import logging, sys
from ner_mlflow.logs import show_progress
show_progress(name_process=sys.argv[1] == "named")
logging.getLogger("ner_mlflow.step").info("at https://me:hunter2@host/v1 with %s", "sk-123456")
logging.getLogger("library").info("not shown")
logging.getLogger("library").warning("shown")
try:
    raise ValueError("key sk-123456")
except ValueError:
    logging.getLogger("ner_mlflow.step").exception("failed")
    logging.getLogger("library").exception("connection lost")
"""


def logged(argument: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", CODE, argument],
        env={**os.environ, "OPENAI_API_KEY": "sk-123456"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr


def test_progress_and_warnings_are_shown_without_secrets() -> None:
    output = logged("plain")
    first, second, *traceback, last = output.splitlines()
    assert first.endswith("  at https://me:***@host/v1 with ***")
    assert second.endswith("  shown")
    assert "ValueError: key ***" in traceback
    assert last.endswith("  connection lost (ValueError: key ***)")  # another library's, in a line
    assert "hunter2" not in output
    assert "sk-123456" not in output


def test_processes_that_share_a_terminal_are_named() -> None:
    first, *_ = logged("named").splitlines()
    assert "] at https://" in first
