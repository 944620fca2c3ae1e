"""The console script ``ner-mlflow STEP``."""

import importlib
from types import MappingProxyType

import click

from .command import PROGRAM, Command, OneLineErrors

STEPS = MappingProxyType(
    {
        "main": "Prepare data; train, evaluate and export each preset; register the best model.",
        "inspect": "Show what would be read of a corpus, and what is odd in it; writes no dataset.",
        "data": "Prepare a dataset and log it with its statistics.",
        "train": "Train a model on a prepared dataset.",
        "evaluate": "Score models on a split and log scores, errors and differences.",
        "compare": "Compare trained models side by side, from what was tracked.",
        "robustness": "Measure the F1 that a model loses on perturbed sentences.",
        "prompt": "Score a language model as a baseline.",
        "export": "Export a model to ONNX, prove and time it, register the variant to serve.",
        "promote": "Let a registered model replace the champion, or roll back.",
        "predict": "Tag a whole corpus with a registered model.",
        "sweep": "Search for the best settings and register the model trained with them.",
        "sync": "Deliver to the tracking store what earlier commands could not.",
        "demo": "Show models, their scores and errors, and try them, in a browser.",
    }
)
"""Step -> its summary, in the order of the help."""
SCRIPTS = MappingProxyType({**{step: step for step in STEPS}, "inspect": "inspect_corpus"})
"""Step -> its script in ``entrypoints/``. A script ``inspect.py`` would hide Python's own module
from every script that is called by its path."""


def load_command(step: str) -> Command:
    """Import a step's command; only then are the libraries that it needs imported."""
    command = getattr(importlib.import_module(f".{step}", __package__), step)
    assert isinstance(command, Command)
    return command


class Steps(OneLineErrors, click.Group):
    """The steps as subcommands, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the names of the steps."""
        return list(STEPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        """Return a step's command, or None if there is no such step."""
        return load_command(cmd_name) if cmd_name in STEPS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """Write the steps with their summaries, importing none."""
        with formatter.section("Steps"):
            formatter.write_dl(list(STEPS.items()))


main = Steps(
    PROGRAM,
    subcommand_metavar="STEP [OPTIONS]",
    help="From a corpus of IT text to a registered named-entity recognition model, every step "
    "tracked by MLflow.",
    epilog=f"{PROGRAM} STEP --help explains the options of a step.",
    context_settings={"max_content_width": 100},
)
