"""Inspect a corpus: show how it would be read, what is odd, and how to continue."""

import shlex
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config.loading import load_config
from ..config.schema import DataConfig
from ..config.settings import SETTINGS
from ..data.formats.registry import FORMATS
from ..errors import DataError
from ..logs import show_progress
from ..redaction import redact
from ..start_up import importing
from ..tracking.adoption import adopted_run
from .command import EPILOG, command
from .options import GivenSettings, preset_option, source_options

if TYPE_CHECKING:
    from ..data.inspection import Inspection

DEFAULT_PRESET = "minilm_full"


@command("inspect")
@preset_option(DEFAULT_PRESET)
@source_options
def inspect(preset: str, given: GivenSettings) -> None:
    """Show how a corpus would be read; no dataset is written.

    Shows files, splits, columns, scheme, types with examples, which label map fits, findings with
    their places, and the command that trains on the corpus. A corpus that is refused is shown as
    far as it can be read, and the command ends with the error.
    """
    with importing():  # `inspect --help` need not wait for pandas
        from ..data.card import format_text
        from ..data.inspection import inspect_corpus
    show_progress()
    config = given.resolve(preset).data
    inspection = inspect_corpus(config)
    if not inspection.error:
        inspection = replace(inspection, command=_next_command(inspection, config, preset))
    click.echo(redact(format_text(inspection)))
    if adopted_run():
        _log_card(inspection)
    elif inspection.error:
        raise DataError(inspection.error)


def next_command(
    inspection: "Inspection",
    config: DataConfig,
    base: DataConfig,
    presets: str = "",
    project: str = "",
) -> str:
    """Return the command that trains on a corpus as it was inspected, for a shell.

    Args:
        inspection: the corpus; its label map is part of the command.
        config: the settings that it was inspected with.
        base: the settings that the command begins with: those of its preset.
        presets: the value of ``presets``; empty: not given.
        project: the folder of the project, for ``mlflow run``; empty: the console script.
    """
    from ..data.inspection import changed_settings

    config = config.model_copy(update={"label_map": inspection.label_map or config.label_map})
    values = {"presets": presets} if presets else {}
    for name in ("dataset", "label_map"):
        values[name] = SETTINGS[f"data.{name}"].to_text(getattr(config, name))
    for name, text in changed_settings(config, base).items():
        if name not in values:
            values[f"data.{name}"] = text
    if project:
        words = ["mlflow", "run", project, "--env-manager", "local"]
        words += [word for name, text in values.items() for word in ("-P", f"{name}={text}")]
    else:
        words = ["ner-mlflow", "main"]
        words += [word for name, text in values.items() for word in (f"--{name}", text)]
    return shlex.join(words)


def _next_command(inspection: "Inspection", config: DataConfig, preset: str) -> str:
    project = "." if Path("MLproject").is_file() else ""
    presets = "" if preset == DEFAULT_PRESET else preset
    return next_command(inspection, config, load_config(preset).data, presets, project)


def _log_card(inspection: "Inspection") -> None:
    """Log the page to the run that `mlflow run` opened, and end it."""
    # Here, since importing MLflow takes longer than reading a corpus.
    from ..data.card import render_card
    from ..tracking.lifecycle import open_run, ui_address
    from ..tracking.steps import Step

    with open_run(Step.INSPECT, f"inspect {inspection.dataset}") as run:
        run.log_page("card", render_card(inspection))
        click.echo(f"\nopen next: {ui_address(run, 'card.html')}")
        if inspection.error:
            raise DataError(inspection.error)


def _format_list() -> str:
    width = max(map(len, FORMATS))
    lines = [
        textwrap.fill(
            f"{name.ljust(width)}  {format_.title}: {format_.summary}",
            76,
            subsequent_indent=" " * (width + 2),
        )
        for name, format_ in FORMATS.items()
    ]
    return "\n".join(["\b", "Formats (source_format):", *lines])


inspect.epilog = f"{_format_list()}\n\n{EPILOG}"
