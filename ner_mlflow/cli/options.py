"""What the commands share: options made from the configuration, one-line errors, quiet libraries."""

import gc
import logging
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import click
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from ..config.loading import flatten, load_config, parse_overrides, preset_names
from ..config.schema import Config
from ..errors import ConfigError, NerError
from ..logs import show_progress
from ..redaction import one_line

PRESET = "preset"
"""Default of every option that stands for a setting: what the preset says."""
INTERRUPTED = 130

_DESCRIPTIONS = Config.descriptions()
_BASE = flatten(load_config())


class Command(click.Command):
    """A command whose errors are one line on standard error and a non-zero exit status; SIGTERM ends it as Ctrl-C does."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run the command, then leave the process."""
        gc.freeze()  # modules stay: later collections need not look at them
        gc.enable()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _interrupt)
        try:
            with _temporary_folder():
                super().main(*args, **{**kwargs, "standalone_mode": False})
        except NerError as error:
            _exit(str(error), 1)
        except click.UsageError as error:
            _exit(f"{error.format_message()} (see: python -m entrypoints.{self.name} --help)", 2)
        except click.ClickException as error:
            _exit(error.format_message(), 1)
        except (click.Abort, KeyboardInterrupt):
            _exit("interrupted", INTERRUPTED)
        sys.exit(0)


def command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function the command of the entry point ``name``."""
    return click.command(name, cls=Command, context_settings={"max_content_width": 120})


def setting(name: str, key: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option ``--name`` for the setting at a dotted key, described and defaulted by the configuration."""
    return click.option(
        f"--{name}",
        key.replace(".", "__"),
        default=PRESET,
        metavar="VALUE",
        help=f"{_DESCRIPTIONS[key]}  [{key}; base: {_BASE[key]}]",
    )


def list_setting(
    name: str, key: str, empty: str = "all"
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option ``--name`` for a setting that is a list: its parts with commas between, a word (``all``) for the empty list."""

    def parts(_context: click.Context, _option: click.Parameter, text: str) -> str | list[str]:
        return text if text == PRESET else [] if text == empty else several(text, name)

    help_text = f"{_DESCRIPTIONS[key]}; commas between  [{key}; base: {','.join(map(str, _BASE[key])) or empty}]"
    return click.option(
        f"--{name}",
        key.replace(".", "__"),
        default=PRESET,
        metavar="VALUE",
        callback=parts,
        help=help_text,
    )


def option(
    name: str, default: str, help_text: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option that is no setting."""
    return click.option(f"--{name}", default=default, show_default=default != "", help=help_text)


def flag(name: str, help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option that is true or false; false unless it is given."""
    return click.option(
        f"--{name}", default="false", type=click.BOOL, help=f"{help_text}  [default: false]"
    )


preset_option = option(
    "preset", "minilm_full", f"settings to start from: {', '.join(preset_names())}, or a YAML file"
)
overrides_option = option(
    "overrides", "", "more settings, blanks between: 'train.weight_decay=0.1 model.max_length=256'"
)
data_run_option = option(
    "data_run",
    "latest",
    "prepared dataset: a data run's id, runs:/ID, or latest (made when there is none)",
)


def resolve(preset: str, options: Mapping[str, Any], overrides: str) -> Config:
    """The configuration: base, preset, ``overrides``, then the options that were given."""
    return load_config(preset, given(options, overrides))


def several(text: str, what: str) -> list[str]:
    """The different parts of ``text`` between commas, one at least."""
    parts = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not parts:
        raise ConfigError(
            f"{what} {text!r}: names nothing: give one, or several with commas between"
        )
    return parts


def given(options: Mapping[str, Any], overrides: str) -> dict[str, Any]:
    """Overrides by dotted key: what ``--overrides`` and the options say beyond the preset."""
    stated = {key.replace("__", "."): value for key, value in options.items() if value != PRESET}
    return {**parse_overrides(overrides), **stated}


def set_up_logging() -> None:
    """Our progress on standard error; of the libraries only what a user must know."""
    show_progress()
    for name in (
        "onnxscript",
        "onnx_ir",
        "torch.onnx",
        "mlflow.transformers",
        "mlflow.utils.requirements_utils",
        "mlflow.system_metrics",
    ):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.simplefilter("ignore", FutureWarning)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

    disable_progress_bar()
    set_verbosity_error()


@contextmanager
def _temporary_folder() -> Iterator[None]:
    """Keep the temporary files of this process, and of those it starts, in one folder that goes with the command: MLflow leaves
    there a copy of all that it fetches from a server."""
    before, variable = tempfile.tempdir, os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory(prefix="ner-mlflow-", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        try:
            yield
        finally:
            tempfile.tempdir = before
            if variable is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = variable


def _interrupt(*_: object) -> NoReturn:
    # On Ctrl-C `mlflow run` sends a SIGTERM after it, which must not end the command amid its last words.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    raise KeyboardInterrupt


def _exit(message: str, status: int) -> NoReturn:
    click.echo(f"error: {one_line(message, limit=2000)}", err=True)
    sys.exit(status)
