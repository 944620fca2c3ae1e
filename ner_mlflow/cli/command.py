"""Run a command: one-line errors, clean interruption, quiet libraries, settings as options."""

import logging
import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from ..atomic import remove_dead_scratch, scratch_folder
from ..config.settings import SETTINGS, unknown_setting
from ..errors import ConfigError, NerError
from ..full_disks import folder_error
from ..logs import show_progress
from ..redaction import one_line, redact
from ..start_up import end_imports
from ..tracking.credentials import move_credentials
from ..tracking.undelivered import left_folders
from .options import GivenSettings, SettingOption

PROGRAM = "ner-mlflow"
"""Name of the console script."""
INTERRUPTED = 130
"""Exit status after Ctrl-C or SIGTERM."""
UNDELIVERED = 75
"""Exit status when the work is done and the tracking store lacks some of it: EX_TEMPFAIL of
sysexits.h."""
EPILOG = (
    "Every setting can be given under its dotted key, such as --train.weight_decay 0.1; "
    "docs/settings.md lists them."
)


class OneLineErrors(click.Command):
    """A command whose errors are one line on standard error, with a non-zero exit status."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run the command, then exit. SIGTERM ends it as Ctrl-C does."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _interrupt)
        move_credentials()
        try:
            with _temporary_folder():
                super().main(*args, **{**kwargs, "standalone_mode": False})
        except NerError as error:
            _exit(str(error), 1)
        except click.UsageError as error:
            step = error.ctx.command.name if error.ctx else self.name
            names = PROGRAM if step == PROGRAM else f"{PROGRAM} {step}"
            _exit(f"{error.format_message()} (see: {names} --help)", 2)
        except click.ClickException as error:
            _exit(error.format_message(), 1)
        except (click.Abort, KeyboardInterrupt):
            _exit("interrupted", INTERRUPTED)
        except Exception as error:
            if problem := folder_error(error):
                _exit(str(problem), 1)
            # A fault of this program; its traceback may quote an address or a key.
            click.echo(redact(traceback.format_exc()), nl=False, err=True)
            sys.exit(1)
        sys.exit(UNDELIVERED if left_folders else 0)


class Command(OneLineErrors):
    """A step's command, which takes every setting under its dotted key.

    Its function gets the settings of the command line as the argument ``given``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [SettingOption([f"--{key}"], setting) for key, setting in SETTINGS.items()]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line.

        Raises:
            ConfigError: an option with a dot names no setting.
        """
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if isinstance(error, click.NoSuchOption) and "." in error.option_name:
                name = error.option_name
                raise ConfigError(
                    f"option {name}: {unknown_setting(name.removeprefix('--'))}"
                ) from error
            error.ctx = error.ctx or ctx
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Call the function of the command."""
        end_imports()
        options = [param for param in self.params if isinstance(param, SettingOption)]
        texts = [(option, ctx.params.pop(option.name)) for option in options]
        ctx.params["given"] = GivenSettings(
            tuple((option, text) for option, text in texts if option.is_given(text))
        )
        return super().invoke(ctx)


def command(name: str) -> Callable[[Callable[..., None]], Command]:
    """Make a function the command of the step ``name``."""
    return click.command(
        name, cls=Command, epilog=EPILOG, context_settings={"max_content_width": 100}
    )


LIBRARY_LEVELS = {
    "onnxscript": logging.ERROR,
    "onnx_ir": logging.ERROR,
    "torch.onnx": logging.ERROR,
    "mlflow.utils.requirements_utils": logging.ERROR,
    "mlflow.system_metrics": logging.ERROR,
    # Each failed attempt to reach a database, every few seconds. The error that it raises is told
    # once: the store is away.
    "mlflow.store.db.utils": logging.CRITICAL,
}
"""Logger of a library -> the least level that is shown."""


def set_up_logging() -> None:
    """Show this package's progress on standard error, and of the libraries only what matters."""
    # Not at the top: `ner-mlflow --help` need not wait for it.
    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    show_progress()
    for name, level in LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(level)
    warnings.simplefilter("ignore", FutureWarning)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    disable_progress_bar()
    set_verbosity_error()


@contextmanager
def _temporary_folder() -> Iterator[None]:
    """Keep temporary files, of child processes too, in one folder that is removed at the end.

    MLflow leaves there a copy of everything that it downloads from a server.
    """
    before, variable = tempfile.tempdir, os.environ.get("TMPDIR")
    remove_dead_scratch()
    with scratch_folder() as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before
            if variable is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = variable


def _interrupt(*_: object) -> NoReturn:
    # After a Ctrl-C `mlflow run` also sends SIGTERM, which must not interrupt the ending of runs.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    raise KeyboardInterrupt


def _exit(message: str, status: int) -> NoReturn:
    click.echo(f"error: {one_line(message, limit=2000)}", err=True)
    sys.exit(status)
