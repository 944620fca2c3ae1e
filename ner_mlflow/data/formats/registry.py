"""List the formats, and find out the format of a file by its content."""

from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ...errors import DataError
from .base import Format, Head, Writer
from .brat import BRAT
from .conll import CONLL
from .conll_writer import write_conll
from .conllu import CONLLU
from .csv_table import CSV
from .doccano import DOCCANO
from .entity_rows import ENTITY_ROWS, write_entity_rows
from .gliner import GLINER
from .heads import read_head
from .label_studio import LABEL_STUDIO
from .prodigy import PRODIGY
from .spacy import SPACY, SPACY_DOCBIN
from .token_rows import TOKEN_ROWS

FORMATS = MappingProxyType(
    {
        format_.name: format_
        for format_ in (
            LABEL_STUDIO,
            PRODIGY,
            GLINER,
            TOKEN_ROWS,
            SPACY,
            DOCCANO,
            ENTITY_ROWS,
            BRAT,
            CONLLU,
            CSV,
            CONLL,
        )
    }
)
"""Name -> format; the first that matches a file's beginning is its format."""
VARIANTS = (SPACY_DOCBIN,)
"""Other files of a format that is in the table under the same name."""


class Output(NamedTuple):
    """How a corpus is written in a format.

    Attributes:
        write: the writer.
        suffixes: suffixes of the files that it writes, the usual one first.
    """

    write: Writer
    suffixes: tuple[str, ...]


OUTPUTS = MappingProxyType(
    {
        "jsonl": Output(write_entity_rows, (".jsonl",)),
        "parquet": Output(write_entity_rows, (".parquet",)),
        "conll": Output(write_conll, CONLL.suffixes),
        **{
            format_.name: Output(format_.write, format_.suffixes)
            for format_ in (LABEL_STUDIO, DOCCANO, PRODIGY, SPACY, GLINER)
            if format_.write
        },
    }
)
"""Name of an output format -> its writer."""
UNZIPPED = (".parquet", ".spacy")
"""Suffixes of files that are compressed within and take no ``.gz``."""


def recognize(head: Head) -> Format | None:
    """Return the format of a file by its beginning, or None if no format matches."""
    formats = (*FORMATS.values(), *VARIANTS)
    return next((format_ for format_ in formats if format_.matches(head)), None)


def find_format(path: Path, name: str = "auto") -> Format:
    """Return the format of a file: the one of this name, or the one that its content shows.

    Raises:
        DataError: the content fits no format.
    """
    if name != "auto":
        if variants := [format_ for format_ in VARIANTS if format_.name == name]:
            head = read_head(path)
            return next((format_ for format_ in variants if format_.matches(head)), FORMATS[name])
        return FORMATS[name]
    head = read_head(path)
    if format_ := recognize(head):
        return format_
    row = f", a row has the fields {', '.join(head.row)}" if isinstance(head.row, dict) else ""
    raise DataError(
        f"{path}: of no known format{row[:200]} ({', '.join(FORMATS)}): convert it, or give its "
        "format as source_format"
    )


def find_output(path: Path, name: str) -> Output:
    """Return the output format of this name, which must fit the name of the file to write.

    Raises:
        DataError: the format has no such suffix.
    """
    output = OUTPUTS[name]
    unzipped = path.with_suffix("") if path.suffix == ".gz" else path
    zips_twice = path.suffix == ".gz" and unzipped.suffix in UNZIPPED
    if zips_twice or unzipped.suffix.lower() not in output.suffixes:
        raise DataError(
            f"output {path}: files of the format {name} end in {' or '.join(output.suffixes)}: "
            "rename it"
        )
    return output
