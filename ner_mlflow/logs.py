"""Set up logging to standard error, for commands and the processes that they start."""

import logging

from .redaction import redact

TIME_FORMAT = "%H:%M:%S"


class _RedactingFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def show_progress(name_process: bool = False) -> None:
    """Log this package's progress and other libraries' warnings, with secrets redacted.

    Args:
        name_process: put the process id on each line, for processes that share a terminal.
    """
    prefix = "%(asctime)s  [%(process)d] " if name_process else "%(asctime)s  "
    handler = logging.StreamHandler()
    handler.setFormatter(_RedactingFormatter(f"{prefix}%(message)s", TIME_FORMAT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=name_process)
    logging.getLogger("ner_mlflow").setLevel(logging.INFO)
