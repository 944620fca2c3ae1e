"""What tests of the formats of texts with spans share: reading rows and files, random texts."""

import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from hypothesis import strategies as st

from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.findings import Findings
from ner_mlflow.data.formats.base import (
    AnnotatedText,
    FileReader,
    Format,
    Head,
    Record,
    RowReader,
    Rows,
    Span,
    TextWithSpans,
)
from ner_mlflow.data.formats.rows import open_rows
from ner_mlflow.tagging.invisible import WITHOUT_GLYPH

LABELS = st.sampled_from(["OS", "Data Type", "a-b", "Ö", "PER/x"])
_PIECES = st.one_of(
    st.text(max_size=4),
    st.text(st.characters(min_codepoint=0x10000), max_size=2),
    st.sampled_from(
        [" ", " ", " ", "  ", "\n", "\r\n", "\n\n", "\t", "\x85", "\u2028", "\ufeff", "\0", "#"]
    ),
    st.sampled_from(
        ["Node.js", "C++", "(e.g.", "it's", "# x", "-DOCSTART-", "<b>", "{", "[", "\\n"]
    ),
    st.sampled_from(["👨🏻‍🚒", "😀", "e\u0301", "स्ते", "Redis.", "Is"]),
)


def read_rows(
    format_: Format, rows: Sequence[Any], findings: Findings | None = None, **settings: Any
) -> list[Record]:
    read = cast("RowReader", format_.read)
    source = Rows("train.jsonl:", enumerate(rows, 1), lambda _: None)
    return list(read(source, DataConfig(**settings), findings or Findings(), "train"))


def read_file(format_: Format, path: Path, findings: Findings | None = None) -> list[Record]:
    if not format_.is_rows:
        read = cast("FileReader", format_.read)
        return list(read(path, DataConfig(), findings or Findings(), "train"))
    return read_rows(format_, [row for _, row in rows_of(path).items], findings)


def rows_of(path: Path) -> Rows:
    if path.suffix == ".parquet":
        return open_rows(path)
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if content.startswith(b"["):
        return Rows(f"{path}:", enumerate(json.loads(content), 1), lambda _: None)
    return open_rows(path)


def head_of(row: Any, suffix: str = ".jsonl") -> Head:
    return Head(Path(f"train{suffix}"), suffix, "json", (), row)


def texts_of(records: Sequence[Record]) -> list[tuple[str, list[tuple[int, int, str]]]]:
    """Return text and spans, after a check that surfaces are those of the text."""
    texts = []
    for record in records:
        assert isinstance(record, TextWithSpans)
        for span in record.spans:
            assert span.surface in (None, record.text[span.start : span.end])
        texts.append((record.text, [span[:3] for span in record.spans]))
    return texts


_BLANK_END = re.compile(rf"^[\s{WITHOUT_GLYPH}]|[\s{WITHOUT_GLYPH}]$")


@st.composite
def annotated_texts(draw: st.DrawFn) -> AnnotatedText:
    """Texts of all planes of Unicode with entities; their ends are neither blank nor hidden."""
    text = "".join(draw(st.lists(_PIECES, max_size=8)))
    bounds = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    spans = [
        Span(start, end, draw(LABELS))
        for start, end in zip(bounds[::2], bounds[1::2], strict=False)
        if not _BLANK_END.search(text[start:end])
    ]
    return AnnotatedText(
        text, spans, draw(st.none() | st.text(st.characters(codec="utf-8"), max_size=3))
    )
