"""Stream documents without labels from files, folders and the hub.

A document is a text file, a row with a text, or one event of an issue, such as a comment. Nothing
that is wrong with a document stops the stream: it is left out and counted with its place, in a
kind of ``findings.yaml`` that begins with ``weak_``. A broken file costs what stands behind its
break, but a stream of the hub that breaks is an error, since the next one may go further. Memory is
bounded by the longest document that is read and, for Parquet, by a row group.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from itertools import islice
from operator import ne
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import yaml

from ..data.files import open_parquet, read_blocks, read_parquet_batches, suffix_of
from ..data.findings import Findings
from ..data.hub import explain_hub_error, is_hub_id
from ..data.sentences import TRAIN
from ..data.split_files import corpus_paths
from ..data.split_names import listed
from ..data.texts import TEXT_FIELDS
from ..errors import DataError
from ..redaction import one_line, shorten
from ..tagging.words import encodable

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import IterableDataset

SETTING, SAMPLE_SETTING = "weak_source", "weak_sample"
LONGEST_BYTES = 8_388_608
"""Of a line of JSONL and of a text; a comment on GitHub has at most 65,536 characters."""
BATCH_ROWS = 256
KINDS_PREFIX = "weak_"
ISSUE_FIELDS = ("repo", "issue_id", "issue_number", "events", "bot_issue")
"""Fields of a row of ``bigcode/the-stack-github-issues`` that are read."""
AUTHOR_FIELDS = ("author", "masked_author")

SAMPLE_CHARS = 4_000
SAMPLE_WORDS = 400
FEWEST_WORDS = 4
FEWEST_TAGS = 6
MOST_IN_TAGS, MOST_IN_TAGS_OF_PROSE = 0.2, 0.5
"""Shares of characters in HTML tags beyond which a text is a page, if it has so many tags; the
first is for texts that begin with a tag, since prose may quote some HTML."""
FEWEST_ASCII = 0.75
"""The share of letters that are ASCII below which a text is not English."""
MANY_WORDS = 40
FEWEST_COMMON = 0.03
"""The share of common English words below which a text of many words is not English."""
FEWEST_OTHERS = 2
"""Words of other languages that make a text foreign, if they are more than the English ones."""

_TAG = re.compile(
    r"</?(?:!doctype|a|abbr|article|b|big|blockquote|body|br|button|center|code|dd|div|dl|dt|em|font"
    r"|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|label|li|link|main|meta|nav|ol"
    r"|option|p|pre|script|section|select|small|span|strong|style|sub|sup|svg|table|tbody|td|th"
    r"|thead|title|tr|tt|u|ul)(?=[\s/>])[^<>]{0,500}>",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")


class Document(NamedTuple):
    """A text without labels.

    Attributes:
        id: where it comes from, such as ``apache/hadoop#12/0`` (repository, number of the issue,
            event) or ``file.jsonl:7``. What stands before the last ``/`` names the conversation.
        text: as written; only halves of surrogate pairs are replaced.
        origin: the place for messages, such as ``/data/file.jsonl:7``.
    """

    id: str
    text: str
    origin: str


class _BrokenStreamError(Exception):
    """A stream of the hub broke before its end."""


class _Row(NamedTuple):
    """A row as it was read, or the place of an event, with its name in ids."""

    name: str
    origin: str
    value: Any


def read_documents(source: str, findings: Findings) -> Iterator[Document]:
    """Yield the documents of a source.

    Args:
        source: files and folders, separated by commas, or a hub id ``owner/name[:config]``, whose
            split ``train`` is streamed. Folders are read with their sub-folders, in the order of
            the names: ``.jsonl``, ``.parquet`` and ``.txt``, gzipped or not. A text file is one
            document. A row holds its text in ``text``, ``content`` or ``body``; a row with
            ``events``, an issue, gives a document for each event with a text. The title of an issue
            is the first paragraph of its first event.
        findings: counts what is left out.

    Raises:
        DataError: there is no such source, the hub refuses it, its stream breaks, or it yields no
            document; the message says why.
    """
    before = {finding.kind: finding.count for finding in findings}
    count = 0
    rows = _hub_rows(source, findings) if is_hub_id(source) else _file_rows(source, findings)
    try:
        for row in rows:
            for document in _documents(row, findings):
                count += 1
                yield document
    except _BrokenStreamError as error:
        fewer = f"set {SAMPLE_SETTING}={count} to take those, " if count else ""
        raise DataError(
            f"{error}, after {count} documents: run again, {fewer}or download its files and give "
            "their folder"
        ) from error
    if not count:
        reasons = [
            str(finding)
            for finding in findings
            if finding.kind.startswith(KINDS_PREFIX) and finding.count > before.get(finding.kind, 0)
        ]
        raise DataError(
            f"{SETTING} {source!r}: holds no document: "
            f"{'; '.join(reasons) or 'there are no files, or they are empty'}: give texts, or "
            f"rows with a field {', '.join(TEXT_FIELDS)} or events"
        )


def is_bot(author: object) -> bool:
    """Return whether an account is a bot's by its name; a null is nobody's."""
    if not isinstance(author, str):
        return False
    name = author.strip().lower().removeprefix("app/")
    bots = _table()["bots"]
    return name in bots["names"] or name.endswith(tuple(bots["ends"]))


def unusable_reason(text: str, prose: str | None = None) -> str | None:
    """Return why a text is of no use for training, or None.

    Args:
        text: as written; its first :data:`SAMPLE_CHARS` characters tell whether it is HTML.
        prose: what cleaning left of it; its first :data:`SAMPLE_WORDS` words are counted. None
            takes the text itself.

    Returns:
        ``html``, ``too_short`` or ``not_english``: ``weak_`` and the reason is a kind of finding.
    """
    found = islice(_WORD.finditer(text if prose is None else prose), SAMPLE_WORDS)
    sample = _Sample(text[:SAMPLE_CHARS], [match[0].lower() for match in found])
    return next((name for name, applies in _REASONS if applies(sample)), None)


class _Sample(NamedTuple):
    text: str
    words: list[str]


def _is_html(sample: _Sample) -> bool:
    tags = _TAG.findall(sample.text)
    begins = _TAG.match(sample.text.lstrip()) is not None
    most = MOST_IN_TAGS if begins else MOST_IN_TAGS_OF_PROSE
    return len(tags) >= FEWEST_TAGS and sum(map(len, tags)) > most * len(sample.text)


def _is_short(sample: _Sample) -> bool:
    return len(sample.words) < FEWEST_WORDS


def _is_foreign(sample: _Sample) -> bool:
    letters = "".join(sample.words)
    if len(letters.encode("ascii", "ignore")) < FEWEST_ASCII * len(letters):
        return True
    english, others = (
        sum(map(_words(language).__contains__, sample.words)) for language in ("english", "others")
    )
    is_other = others > english and others >= FEWEST_OTHERS
    words = len(sample.words)
    return is_other or (words >= MANY_WORDS and english < FEWEST_COMMON * words)


_REASONS: Final[tuple[tuple[str, Callable[[_Sample], bool]], ...]] = (
    ("html", _is_html),
    ("too_short", _is_short),
    ("not_english", _is_foreign),
)
"""Reasons in the order in which they are looked for, and what tells them."""


def _documents(row: _Row, findings: Findings) -> Iterator[Document]:
    """Yield the documents of a row, in their order."""
    texts: Iterable[tuple[_Row, Any]]
    if not isinstance(row.value, Mapping):
        findings.add("weak_not_object", place=row.origin, detail=shorten(repr(row.value)))
        return
    elif row.value.get("events"):
        texts = _events(row, findings)
    else:
        fields = (row.value[field] for field in TEXT_FIELDS if row.value.get(field) is not None)
        texts = [(row, next(fields, None))]
    for place, text in texts:
        if not isinstance(text, str) or not text.strip():
            findings.add("weak_no_text", place=place.origin)
        elif len(text) > LONGEST_BYTES:
            findings.add("weak_too_long", place=place.origin, detail=f"({len(text):,} characters)")
        else:
            written = encodable(text)
            halves = sum(map(ne, text, written)) if written != text else 0
            findings.add("half_surrogate_replaced", place=place.origin, count=halves)
            yield Document(place.name, written, place.origin)


def _events(row: _Row, findings: Findings) -> Iterator[tuple[_Row, Any]]:
    """Yield the place and the text of each event that is not a bot's."""
    issue, events = row.value, row.value["events"]
    if isinstance(events, Mapping) and all(isinstance(field, list) for field in events.values()):
        # Arrow may hold a list of objects as lists by field.
        events = [
            dict(zip(events, values, strict=False))
            for values in zip(*events.values(), strict=False)
        ]
    if not isinstance(events, list):
        findings.add("weak_not_object", place=row.origin, detail=f"events {shorten(repr(events))}")
        return
    number = issue.get("issue_number") or issue.get("issue_id") or row.name
    repository = issue.get("repo")
    name = f"{repository}#{number}" if isinstance(repository, str) and repository else row.name
    title: Any = None
    for index, event in enumerate(events):
        origin = f"{row.origin}, event {index}"
        if not isinstance(event, Mapping):
            findings.add("weak_not_object", place=origin, detail=shorten(repr(event)))
            continue
        if index == 0:
            title = event.get("title")
        text = event.get("text")
        if index == 0 and isinstance(title, str) and title.strip():
            text = f"{title.strip()}\n\n{text}" if isinstance(text, str) and text.strip() else title
        if issue.get("bot_issue") is True or any(is_bot(event.get(key)) for key in AUTHOR_FIELDS):
            findings.add("weak_bot", place=origin)
        else:
            yield _Row(f"{name}/{index}", origin, None), text


# Files


def _file_rows(source: str, findings: Findings) -> Iterator[_Row]:
    paths = corpus_paths(source, SETTING)
    folders = [path if path.is_dir() else path.parent for path in paths]
    root = Path(os.path.commonpath([folder.absolute() for folder in folders]))
    seen = set()
    for path in paths:
        for file in _files(path):
            if file.resolve() in seen:
                continue
            seen.add(file.resolve())
            read = _READERS.get(suffix_of(file))
            if read is None and not path.is_dir():
                raise DataError(
                    f"{SETTING} {file}: neither .jsonl, .jsonl.gz, .parquet nor .txt: convert it"
                )
            if read is None:
                findings.add("weak_file_left_out", place=str(file))
                continue
            name = file.absolute().relative_to(root).as_posix()
            try:
                yield from read(file, name, findings)
            except DataError as error:  # names the file and the line or row
                findings.add("weak_broken_file", place=str(error))
            except OSError as error:
                findings.add("weak_broken_file", place=str(file), detail=one_line(error))


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _read_json_lines(path: Path, name: str, findings: Findings) -> Iterator[_Row]:
    for number, line in _lines(path, findings):
        origin = f"{path}:{number}"
        text = _decode(line, origin, findings)
        if text is None or not text.strip():
            continue
        try:
            value = json.loads(text)
        # ValueError: not JSON, or a number with too many digits.
        except (ValueError, RecursionError) as error:
            findings.add("weak_not_json", place=origin, detail=f"({one_line(error, limit=80)})")
            continue
        yield _Row(f"{name}:{number}", origin, value)


def _read_text(path: Path, name: str, findings: Findings) -> Iterator[_Row]:
    blocks: list[bytes] = []
    size = 0
    for block in read_blocks(path):
        blocks.append(block)
        size += len(block)
        if size > LONGEST_BYTES:
            findings.add("weak_too_long", place=str(path))
            return
    text = _decode(b"".join(blocks), str(path), findings)
    if text is not None:
        yield _Row(name, str(path), {TEXT_FIELDS[0]: text})


def _read_parquet(path: Path, name: str, findings: Findings) -> Iterator[_Row]:
    file = open_parquet(path)
    known = file.schema_arrow.names
    columns = [field for field in ISSUE_FIELDS if field in known] if "events" in known else []
    columns += [field for field in TEXT_FIELDS if field in known]
    if not columns:
        detail = f"(no column {', '.join(TEXT_FIELDS)} or events among {listed(known)})"
        rows = file.metadata.num_rows
        findings.add("weak_no_text", place=str(path), detail=detail, count=rows)
        return
    number = 0
    for batch in read_parquet_batches(path, file, columns=columns, batch_rows=BATCH_ROWS):
        for value in _batch_rows(batch):
            origin = f"{path}, row {number}"
            if value is None:
                findings.add("weak_invalid_utf8", place=origin)
            else:
                yield _Row(f"{name}:{number}", origin, value)
            number += 1


_READERS: Final[Mapping[str, Callable[[Path, str, Findings], Iterator[_Row]]]] = {
    ".jsonl": _read_json_lines,
    ".parquet": _read_parquet,
    ".txt": _read_text,
}
"""Suffix of files, without ``.gz``, and how they are read."""


def _batch_rows(batch: "pa.RecordBatch") -> Iterator[Any]:
    """Yield the rows of a batch; None for one that is not UTF-8."""
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for index in range(batch.num_rows):
            try:
                yield batch.slice(index, 1).to_pylist()[0]
            except UnicodeDecodeError:
                yield None


def _lines(path: Path, findings: Findings) -> Iterator[tuple[int, bytes]]:
    """Yield the number, from 1, and the bytes of each line; long ones are counted, never held."""
    number = 1
    begun: list[bytes] = []
    size = 0
    for block in read_blocks(path):
        for index, piece in enumerate(block.split(b"\n")):
            if index:
                yield from _line(path, number, begun, size, findings)
                number, begun, size = number + 1, [], 0
            size += len(piece)
            if size <= LONGEST_BYTES:
                begun.append(piece)
            else:
                begun.clear()
    yield from _line(path, number, begun, size, findings)


def _line(
    path: Path, number: int, pieces: list[bytes], size: int, findings: Findings
) -> Iterator[tuple[int, bytes]]:
    if size > LONGEST_BYTES:
        findings.add("weak_too_long", place=f"{path}:{number}", detail=f"({size:,} bytes)")
    else:
        yield number, b"".join(pieces)


def _decode(content: bytes, origin: str, findings: Findings) -> str | None:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        detail = f"(byte {content[error.start]:#04x})"
        findings.add("weak_invalid_utf8", place=origin, detail=detail)
        return None


# The hub


def _hub_rows(source: str, findings: Findings) -> Iterator[_Row]:
    """Yield the rows of a hub dataset's train split; only data files are read, no code is run.

    Raises:
        DataError: the hub gives no such dataset.
        _BrokenStreamError: a row after the first cannot be read. A connection that is lost was
            then tried again by ``datasets``, for more than a minute.
    """
    explain = partial(explain_hub_error, source, setting=SETTING)
    try:
        rows = iter(_open_hub(source, findings))
        first = next(rows, None)
    except DataError:
        raise
    except Exception as error:  # the hub's libraries raise many types
        raise DataError(explain(error)) from error
    number = 0
    row: Any = first
    while row is not None:
        yield _Row(f"{source}:{number}", f"{source}, {TRAIN}, row {number}", row)
        number += 1
        try:
            row = next(rows, None)
        except Exception as error:
            cause = error.__cause__ or error
            raise _BrokenStreamError(
                f"{SETTING} {source!r}: the stream of the hub broke after row {number - 1} "
                f"({type(cause).__name__}: {one_line(cause)})"
            ) from error


def _open_hub(source: str, findings: Findings) -> "IterableDataset":
    from datasets import load_dataset  # here: files do not need it

    name, _, config = source.partition(":")
    splits = cast("dict[str, IterableDataset]", load_dataset(name, config or None, streaming=True))
    chosen = TRAIN if TRAIN in splits else next(iter(splits)) if len(splits) == 1 else None
    if chosen is None:
        raise DataError(
            f"{SETTING} {source!r}: none of its splits ({listed(splits)}) is {TRAIN}: download the "
            "files of one and give their folder"
        )
    for split in splits:
        if split != chosen:
            findings.add("split_left_out", place=f"{source}, {split}", detail=f"(not {TRAIN})")
    rows = splits[chosen]
    wanted = {*ISSUE_FIELDS, *TEXT_FIELDS} & set(rows.column_names or ())
    return rows.select_columns(sorted(wanted)) if wanted else rows


# Tables


@cache
def _table() -> Mapping[str, Any]:
    path = Path(__file__).with_name("documents.yaml")
    return cast("Mapping[str, Any]", yaml.safe_load(path.read_text(encoding="utf-8")))


@cache
def _words(language: str) -> frozenset[str]:
    return frozenset(_table()[language])
