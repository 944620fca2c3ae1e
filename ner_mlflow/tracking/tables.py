"""The titles and notes of the tables that runs log."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

FILE = "tables.yaml"


@dataclass(frozen=True)
class TableText:
    """What stands above a table on its page; ``note`` may be empty."""

    title: str
    note: str = ""


@cache
def table_texts() -> dict[str, TableText]:
    """Return the texts of all tables, by the name that they are logged under."""
    text = (Path(__file__).parent / FILE).read_text(encoding="utf-8")
    return {name: TableText(**values) for name, values in yaml.safe_load(text).items()}


def table_text(name: str) -> TableText:
    """Return the texts of a table; the title of an unknown one is its name."""
    return table_texts().get(name, TableText(name))
