"""Inspect a corpus: say what would be read, what is odd, and how to go on."""

import textwrap
from dataclasses import replace
from pathlib import Path

import click

from ..config.loading import load_config
from ..config.schema import DataConfig
from ..data.card import format_text, render_card
from ..data.formats.registry import FORMATS
from ..data.inspection import Inspection, inspect_corpus, next_command
from ..errors import DataError
from ..logs import show_progress
from ..redaction import redact
from ..tracking.adoption import adopted_run
from .command import EPILOG, command
from .options import GivenSettings, preset_option, setting

DEFAULT_PRESET = "minilm_full"


@command("inspect")
@preset_option(DEFAULT_PRESET)
@setting("dataset", "data.dataset")
@setting("revision", "data.revision")
@setting("label_map", "data.label_map")
@setting("splits", "data.splits")
@setting("source_format", "data.source_format")
@setting("token_column", "data.token_column")
@setting("tag_column", "data.tag_column")
@setting("text_column", "data.text_column")
@setting("tag_names", "data.tag_names")
@setting("scheme", "data.scheme")
@setting("untyped_type", "data.untyped_type")
@setting("overlaps", "data.overlaps")
@setting("invalid_spans", "data.invalid_spans")
@setting("offset_unit", "data.offset_unit")
@setting("blank_tokens", "data.blank_tokens")
def inspect(preset: str, given: GivenSettings) -> None:
    """Show what would be read of a corpus; nothing is written.

    Shows files, splits, columns, scheme, types with examples, which label map fits, everything odd
    with its place, and the command to go on with. A corpus that is refused is shown as far as it
    can be read, and the command ends with the error.
    """
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


def _next_command(inspection: Inspection, config: DataConfig, preset: str) -> str:
    project = "." if Path("MLproject").is_file() else ""
    presets = "" if preset == DEFAULT_PRESET else preset
    return next_command(inspection, config, load_config(preset).data, presets, project)


def _log_card(inspection: Inspection) -> None:
    """Log the page to the run that `mlflow run` opened, and end it."""
    # Here, since importing MLflow takes longer than reading a corpus.
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
