"""Write weakly labelled sentences as Parquet, for other programs."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..atomic import atomic_folder
from ..data.sentences import Sentence

PART = "part-00000.parquet"
COLUMNS = pa.schema(
    [
        pa.field("number", pa.int64()),
        pa.field("document", pa.string()),
        pa.field("origin", pa.string()),
        pa.field("text", pa.string()),
        pa.field("tokens", pa.list_(pa.string())),
        pa.field("starts", pa.list_(pa.int32())),
        pa.field("tags", pa.list_(pa.string())),
    ]
)


def labelled_table(sentences: Sequence[Sentence]) -> pa.Table:
    """Return sentences as a table in their order, which is that of the source.

    Returns:
        A row for each: number (from 0), document (its id), origin (its place), text, tokens, starts
        (the offset in the text of each token, in code points) and tags (IOB2, and ``?`` where
        labelers are unsure).
    """
    rows = [
        {
            "number": number,
            "document": sentence.document,
            "origin": sentence.origin,
            "text": sentence.text,
            "tokens": sentence.tokens,
            "starts": sentence.starts,
            "tags": sentence.tags,
        }
        for number, sentence in enumerate(sentences)
    ]
    return pa.Table.from_pylist(rows, schema=COLUMNS)


def write_labelled(table: pa.Table, folder: Path) -> None:
    """Write a table as a folder of one Parquet file, which appears once it is written."""
    with atomic_folder(folder) as part:
        pq.write_table(table, part / PART)
