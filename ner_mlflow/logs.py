"""Set up logging to standard error, for commands and the processes that they start."""

import copy
import logging

from .redaction import one_line, redact

PACKAGE = "ner_mlflow"
TIME_FORMAT = "%H:%M:%S"
MLFLOW = "mlflow"


class _Formatter(logging.Formatter):
    """Redacts secrets; shows an error that another library logs in one line, without traceback."""

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        if error is None or record.name.partition(".")[0] == PACKAGE:
            return redact(super().format(record))
        line = f"{one_line(record.getMessage())} ({type(error).__name__}: {one_line(error)})"
        record = copy.copy(record)
        record.msg, record.args, record.exc_info, record.exc_text = line, (), None, None
        return super().format(record)


def show_progress(name_process: bool = False) -> None:
    """Log this package's progress and other libraries' warnings, with secrets redacted.

    Args:
        name_process: put the process id on each line, for processes that share a terminal.
    """
    prefix = "%(asctime)s  [%(process)d] " if name_process else "%(asctime)s  "
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter(f"{prefix}%(message)s", TIME_FORMAT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=name_process)
    logging.getLogger(PACKAGE).setLevel(logging.INFO)
    # MLflow writes to a handler of its own, which redacts nothing and shows tracebacks.
    mlflow_log = logging.getLogger(MLFLOW)
    mlflow_log.handlers.clear()
    mlflow_log.propagate = True
